"""A model behind a cloud: Amazon Bedrock, Google Vertex AI, Microsoft Foundry.

Law: as for `AnthropicModel`. What a cloud does not have - a list of models, a count of tokens - is
answered as a server answers it, 404, and the table of models stands in. Credentials that were
refused are looked for anew at the next attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from holdfast.model import capabilities as catalogue
from holdfast.model import exchange, probing, request_body
from holdfast.model.clouds import failures, places
from holdfast.model.clouds.logins import Grant, login_of, require
from holdfast.model.clouds.places import Interface, Place, Route
from holdfast.model.credentials import Credentials
from holdfast.model.port import Capabilities, ModelFailed, ModelRequest, Probe, StreamItem
from holdfast.session.failures import Failure, FailureKind
from holdfast.settings import EndpointSetting, Kind

if TYPE_CHECKING:
    import httpx2

    from holdfast.model.clouds.wire import CloudWire


SIGN_IN_LOOK_S: Final = 5.0
"""How long a free look waits for credentials."""


class CloudModel:
    """Implements `Model`. Belongs to one event loop; shared by all sessions of an endpoint.

    `environment` is read at every attempt. `given` returns a key or token that a client has handed
    over for this endpoint, which goes before all others. `transport` replaces sockets, in tests.
    """

    def __init__(
        self,
        setting: EndpointSetting,
        environment: Mapping[str, str],
        given: Callable[[], Credentials] = Credentials,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Keep the parts; nothing is imported, looked for or connected yet."""
        self._setting = setting
        self._environment = environment
        self._given = given
        self._transport = transport
        self._login = login_of(setting, environment)
        self._loading: dict[tuple[Place, str], asyncio.Task[CloudWire]] = {}
        self._last: Route | None = None

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[StreamItem]]:
        """Open one streamed response; see the port."""
        grant, place = await self._granted()
        route = self._route(place, request.model)
        betas = exchange.betas_of(request)
        build = partial(
            request_body.build,
            request,
            cache_marks=request.cache_marks,
            envelope=route.envelope,
            betas=betas,
        )
        body = await exchange.body_of(request, build)
        wire = await self._wire(place, route)
        try:
            opened = await wire.open(
                body,
                grant,
                request.first_byte_timeout_s,
                request.idle_cut_s,
                request.progress_cut_s,
                () if route.envelope.betas else betas,
                route.path,
            )
        except ModelFailed as failed:
            self._consider(failed)
            raise
        async with opened, aclosing(exchange.items_of(opened, grant.secrets)) as items:
            yield items

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens a request has; see the port."""
        grant, place = await self._granted()
        route = self._route(place, request.model)
        if route.count_path is None:
            raise failures.not_offered(self._setting.kind, "count of tokens")
        build = partial(
            request_body.build_count,
            request,
            cache_marks=request.cache_marks,
            envelope=route.count_envelope,
        )
        body = await exchange.body_of(request, build)
        wire = await self._wire(place, route)
        try:
            counted = await wire.count(
                body,
                grant,
                request.first_byte_timeout_s,
                exchange.betas_of(request),
                route.count_path,
            )
        except ModelFailed as failed:
            self._consider(failed)
            raise
        return exchange.tokens_in(counted)

    async def capabilities(self, model: str) -> Capabilities:
        """Return what `model` can do by the table; a cloud has no list that says it."""
        return catalogue.from_table(model)

    async def models(self) -> Sequence[Capabilities]:
        """Raise `ModelFailed`: a cloud has no list of models for this interface."""
        raise failures.not_offered(self._setting.kind, "list of models to choose from")

    async def probe(self) -> Probe:
        """Look whether the cloud answers, and whether this machine can sign in to it; see the port.

        Nothing is signed for the look, so that a refusal of it says nothing but that the cloud is
        there. Credentials that are long in coming say nothing either.
        """
        started = time.monotonic()
        failure = None
        try:
            place = self._place()
            wire = await self._wire(place, self._last or places.route_of(place, ""))
            seen = await self._seen(wire)
            failure = seen if seen is not None else await self._sign_in_failure()
        except ModelFailed as failed:
            failure = failed.failure
        except Exception as error:  # noqa: BLE001 (a look at the endpoint has an outcome, P7)
            failure = exchange.internal("The endpoint cannot be probed", error).failure
        return probing.verdict(failure, int((time.monotonic() - started) * 1000))

    async def drop_connections(self) -> None:
        """Forget pooled connections; see the port."""
        await asyncio.gather(*(wire.renew() for wire in self._loaded()))

    async def close(self) -> None:
        """Close pooled connections. The next use opens new ones."""
        loading, self._loading = self._loading, {}
        if loading:
            await asyncio.wait(loading.values())
        wires = [task.result() for task in loading.values() if task.exception() is None]
        await asyncio.gather(*(wire.close() for wire in wires))

    async def _granted(self) -> tuple[Grant, Place]:
        """Return credentials, and where they are for. Raises `ModelFailed`."""
        place = self._place()
        grant = self._handed_over() or await self._login.grant()
        place = attrs.evolve(place, project=place.project or grant.project)
        if place.kind is Kind.VERTEX and place.project is None:
            raise failures.misplaced(places.unowned())
        return grant, place

    def _handed_over(self) -> Grant | None:
        """Return what a client gave: a key of the resource in Foundry, else a token. Raises
        `ModelFailed` when it cannot be sent.
        """
        given = self._given()
        if given.secret is None:
            return None
        problem = given.problem()
        if problem is not None:
            raise failures.misplaced(problem)
        if given.api_key is not None and self._setting.kind is Kind.FOUNDRY:
            return Grant(api_key=given.api_key)
        return Grant(auth_token=given.secret)

    def _place(self) -> Place:
        place = places.place_of(self._setting, self._environment)
        problem = place.problem()
        if problem is not None:
            raise failures.misplaced(problem)
        return place

    async def _seen(self, wire: CloudWire) -> Failure | None:
        """Return what stands between this machine and the cloud."""
        try:
            await wire.probe(Credentials())
        except ModelFailed as failed:
            return None if probing.verdict(failed.failure, 0).ok else failed.failure
        return None

    async def _sign_in_failure(self) -> Failure | None:
        """Return why nobody could sign in now, as far as that is known soon."""
        try:
            async with asyncio.timeout(SIGN_IN_LOOK_S):
                await self._granted()
        except TimeoutError:
            return None
        except ModelFailed as failed:
            return failed.failure
        return None

    def _route(self, place: Place, model: str) -> Route:
        route = places.route_of(place, model)
        if route.interface is Interface.RUNTIME:
            require(Kind.BEDROCK, "botocore.eventstream")
        self._last = route
        return route

    def _consider(self, failed: ModelFailed) -> None:
        """Look for credentials anew when those that were used were refused."""
        if failed.failure.kind in {FailureKind.AUTHENTICATION, FailureKind.PERMISSION}:
            self._login.forget()

    def _loaded(self) -> list[CloudWire]:
        done = [task for task in self._loading.values() if task.done()]
        return [task.result() for task in done if task.exception() is None]

    async def _wire(self, place: Place, route: Route) -> CloudWire:
        key = (place, route.url)
        if key not in self._loading:
            load = asyncio.to_thread(_load, place, route, self._transport)
            self._loading[key] = asyncio.create_task(load)
        try:
            # One import serves all; a turn that is stopped meanwhile must not undo it.
            return await asyncio.shield(self._loading[key])
        except Exception as error:
            self._loading.pop(key, None)
            raise exchange.internal("The client for the cloud cannot be built", error) from error


def _load(place: Place, route: Route, transport: httpx2.AsyncBaseTransport | None) -> CloudWire:
    """Import the SDK and build the connections. Runs in a worker thread."""
    from holdfast.model.clouds.wire import CloudWire  # noqa: PLC0415 -- a second of CPU, see S2

    return CloudWire(place, route, transport)
