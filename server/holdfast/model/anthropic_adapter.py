"""A model behind the Anthropic Messages API, or behind anything that speaks it.

Law: importing this module costs nothing: the SDK is imported in a worker thread on first use (S2).
The adapter keeps the port's promise: items in order, then `ResponseEnded` or `ModelFailed`, and no
retries, which are the turn's business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.conversation.profile import ON_DEMAND
from holdfast.model import capabilities as catalogue
from holdfast.model import exchange, probing, request_body
from holdfast.model.credentials import Credentials
from holdfast.model.port import (
    Capabilities,
    ModelFailed,
    ModelRequest,
    Probe,
    StreamItem,
)
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind

if TYPE_CHECKING:
    import httpx2

    from holdfast.model.anthropic_wire import Wire

# How long a failed look-up of the models keeps us from asking again, in seconds.
LISTING_RETRY_S: Final = 300.0


class AnthropicModel:
    """Implements `Model`. Belongs to one event loop; shared by all sessions of an endpoint.

    `credentials` is called for every attempt, so a renewed key is used at once (C07). `base_url`
    of None is the first-party API. `cache_marks` of False leaves prompt-cache marks out, for
    endpoints that refuse them. `transport` replaces the sockets, in tests.
    """

    def __init__(
        self,
        credentials: Callable[[], Credentials],
        base_url: str | None = None,
        *,
        cache_marks: bool = True,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Keep the parts; nothing is imported or connected yet."""
        self._credentials = credentials
        self._base_url = base_url
        self._cache_marks = cache_marks
        self._transport = transport
        self._loading: asyncio.Task[Wire] | None = None
        self._listed: tuple[Capabilities, ...] | None = None
        self._listing: asyncio.Task[tuple[Capabilities, ...]] | None = None
        self._listing_failed_at: float | None = None

    def preload(self) -> None:
        """Start importing the SDK in a worker thread, in idle time. Harmless when done already.

        Needs a running event loop.
        """
        if self._loading is None:
            self._loading = asyncio.create_task(
                asyncio.to_thread(_load, self._base_url, self._transport)
            )

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[StreamItem]]:
        """Open one streamed response; see the port."""
        began_s = time.monotonic()
        credentials = self._usable_credentials()
        body = await self._body(request, request_body.build)
        wire = await self._wire()
        unsent_ms = int((time.monotonic() - began_s) * 1000)
        try:
            opened = await wire.open(
                body,
                credentials,
                request.first_byte_timeout_s,
                request.idle_cut_s,
                request.progress_cut_s,
                exchange.betas_of(request),
            )
            async with opened, aclosing(exchange.items_of(opened, credentials.secrets)) as items:
                yield items
        except ModelFailed as failed:
            failed.unsent_ms = unsent_ms
            raise

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens a request has; see the port."""
        credentials = self._usable_credentials()
        body = await self._body(request, request_body.build_count)
        wire = await self._wire()
        counted = await wire.count(
            body, credentials, request.first_byte_timeout_s, exchange.betas_of(request)
        )
        return exchange.tokens_in(counted)

    async def capabilities(self, model: str) -> Capabilities:
        """Return what `model` can do: as the endpoint lists it, else from the table.

        Waits at most as long as one look-up may take, once; a failed one is not repeated for
        `LISTING_RETRY_S`.
        """
        if self._listed is None and self._can_list():
            try:
                await self.models()
            except ModelFailed:
                # The table is the answer then; `models()` is where a person sees the failure.
                self._listing_failed_at = time.monotonic()
        for listed in self._listed or ():
            if listed.model == model:
                return listed
        return catalogue.from_table(model)

    async def models(self) -> Sequence[Capabilities]:
        """Return the models that the endpoint lists now. Raises `ModelFailed`."""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._list_models())
        # Shared by all who ask at the same time, so none of them may cancel it for the others.
        return await asyncio.shield(self._listing)

    async def probe(self) -> Probe:
        """Look whether the endpoint answers, with or without a usable key; see the port."""
        started = time.monotonic()
        failure = None
        try:
            credentials = self._credentials()
            wire = await self._wire()
            await wire.probe(credentials if credentials.problem() is None else Credentials())
        except ModelFailed as failed:
            failure = failed.failure
        except Exception as error:  # noqa: BLE001 (a look at the endpoint has an outcome, P7)
            failure = exchange.internal("The endpoint cannot be probed", error).failure
        return probing.verdict(failure, int((time.monotonic() - started) * 1000))

    async def drop_connections(self) -> None:
        """Forget pooled connections; see the port. There are none before the first use."""
        loading = self._loading
        if loading is not None and loading.done() and loading.exception() is None:
            await loading.result().renew()

    async def close(self) -> None:
        """Close pooled connections. The next use opens new ones."""
        listing, self._listing = self._listing, None
        if listing is not None:
            listing.cancel()
            await asyncio.wait([listing])
        loading, self._loading = self._loading, None
        if loading is not None:
            await asyncio.wait([loading])
            if loading.exception() is None:
                await loading.result().close()

    async def _list_models(self) -> tuple[Capabilities, ...]:
        credentials = self._usable_credentials()
        wire = await self._wire()
        self._listed = catalogue.from_listing(await _listing(wire, credentials))
        return self._listed

    def _can_list(self) -> bool:
        if self._credentials().problem() is not None:
            return False
        failed_at = self._listing_failed_at
        return failed_at is None or time.monotonic() - failed_at >= LISTING_RETRY_S

    def _usable_credentials(self) -> Credentials:
        credentials = self._credentials()
        problem = credentials.problem()
        if problem is not None:
            cause = Cause.KEY_MISSING if credentials.secret is None else None
            raise ModelFailed(
                Failure(kind=FailureKind.AUTHENTICATION, message=problem, cause=cause)
            )
        return credentials

    async def _body(self, request: ModelRequest, build: Callable[..., bytes]) -> bytes:
        marks = self._cache_marks and request.cache_marks
        return await exchange.body_of(request, partial(build, request, cache_marks=marks))

    async def _wire(self) -> Wire:
        self.preload()
        loading = self._loading
        assert loading is not None
        try:
            # One import serves all; a turn that is stopped meanwhile must not undo it.
            return await asyncio.shield(loading)
        except Exception as error:
            self._loading = None
            raise exchange.internal("The client for the API cannot be built", error) from error


async def _listing(wire: Wire, credentials: Credentials) -> object:
    """Ask for the models, with what the beta header adds (§5.3), or without where it is refused."""
    try:
        return await wire.models(credentials, (ON_DEMAND,))
    except ModelFailed as failed:
        if failed.failure.kind is not FailureKind.INVALID_REQUEST:
            raise
    return await wire.models(credentials)


def _load(base_url: str | None, transport: httpx2.AsyncBaseTransport | None) -> Wire:
    """Import the SDK and build a client. Runs in a worker thread."""
    from holdfast.model.anthropic_wire import Wire  # noqa: PLC0415 -- a second of CPU, see S2

    return Wire(base_url, transport)
