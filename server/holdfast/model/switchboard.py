"""The models behind all endpoints that a person has set.

Law: each endpoint has its own connections and its own key, read anew for every attempt; a key is
never sent to an address that it was not meant for (P11). An endpoint that the settings do not name
any more fails each request in words, it is never replaced by another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

import attrs

from holdfast.model.capabilities import from_table
from holdfast.model.credentials import Credentials, CredentialSource, resolve
from holdfast.model.port import (
    Capabilities,
    Model,
    ModelFailed,
    ModelRequest,
    Probe,
    StreamItem,
)
from holdfast.session.failures import Failure, FailureKind
from holdfast.settings import DEFAULT_ENDPOINT, EndpointSetting

Build: TypeAlias = Callable[[EndpointSetting, Callable[[], Credentials]], Model]
"""How the model at an endpoint is made; the function that it is given reads its credentials."""

NO_KEY: Final = Credentials(auth_token="none")  # noqa: S106 -- what servers without keys are sent
"""Servers that want no key take any; the header is there because the SDK insists on one."""


class Switchboard:
    """Gives each endpoint its `Model`, made when it is first asked for.

    `first` is the first endpoint's, `own` returns its credentials, `environment` is read at every
    attempt; `build` makes the others. Belongs to one event loop.
    """

    def __init__(
        self,
        first: Model,
        own: Callable[[], Credentials],
        environment: Mapping[str, str],
        build: Build,
        endpoints: Sequence[EndpointSetting] = (),
    ) -> None:
        self._first = first
        self._own = own
        self._environment = environment
        self._build = build
        self._endpoints = {each.name: each for each in endpoints}
        self._models: dict[EndpointSetting, Model] = {}
        self._given: dict[EndpointSetting, CredentialSource] = {}

    def use(self, endpoints: Sequence[EndpointSetting]) -> None:
        """Know these endpoints from now on. Requests under way go on where they are."""
        self._endpoints = {each.name: each for each in endpoints}

    def at(self, name: str) -> Model:
        """Return the model at an endpoint; "" is the first one. Never fails."""
        if name in ("", DEFAULT_ENDPOINT):
            return self._first
        setting = self._endpoints.get(name)
        if setting is None:
            return _Unknown(name)
        if setting not in self._models:
            built = self._build(setting, lambda: self._credentials(setting))
            self._models[setting] = Renaming(setting, built)
        return self._models[setting]

    async def drop_connections(self) -> None:
        """Forget the pooled connections of all endpoints but the first; see the port."""
        await asyncio.gather(*(model.drop_connections() for model in self._models.values()))

    async def close(self) -> None:
        """Close the connections of all endpoints but the first."""
        models, self._models = list(self._models.values()), {}
        await asyncio.gather(*(model.close() for model in models))

    def credentials_at(self, name: str) -> CredentialSource | None:
        """Return what a client hands over for one of the endpoints besides the first; None for one
        that the settings do not name. A setting with another address is another endpoint (P11).
        """
        setting = self._endpoints.get(name)
        return None if setting is None else self._source(setting)

    def _source(self, setting: EndpointSetting) -> CredentialSource:
        if setting not in self._given:
            self._given[setting] = CredentialSource({}, lambda: self._set(setting))
        return self._given[setting]

    def _credentials(self, setting: EndpointSetting) -> Credentials:
        current = self._source(setting).current()
        return NO_KEY if current.secret is None and _wants_none(setting) else current

    def _set(self, setting: EndpointSetting) -> Credentials:
        """Return what the settings say of an endpoint's credentials. A cloud looks for its own."""
        if setting.kind.is_cloud:
            return Credentials()
        if setting.key_variable is not None:
            return resolve({}, api_key=self._environment.get(setting.key_variable))
        return self._own() if setting.base_url is None else Credentials()


def _wants_none(setting: EndpointSetting) -> bool:
    addressed = setting.base_url is not None and not setting.kind.is_cloud
    return setting.key_variable is None and addressed


class Renaming:
    """Implements `Model`: asks an endpoint for models by the names that it has for them."""

    def __init__(self, setting: EndpointSetting, model: Model) -> None:
        self._setting = setting
        self._model = model

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[StreamItem]]:
        """Open one streamed response; see the port."""
        async with self._model.stream(self._renamed(request)) as items:
            yield items

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens a request has; see the port."""
        return await self._model.count_tokens(self._renamed(request))

    async def capabilities(self, model: str) -> Capabilities:
        """Return what the endpoint's model for `model` can do; see the port."""
        return await self._model.capabilities(self._setting.there(model))

    async def models(self) -> Sequence[Capabilities]:
        """Return the models that the endpoint has, by its own names. Raises `ModelFailed`."""
        return await self._model.models()

    async def probe(self) -> Probe:
        """Look whether the endpoint answers; see the port."""
        return await self._model.probe()

    async def drop_connections(self) -> None:
        """Forget the pooled connections; see the port."""
        await self._model.drop_connections()

    async def close(self) -> None:
        """Close pooled connections."""
        await self._model.close()

    def _renamed(self, request: ModelRequest) -> ModelRequest:
        return attrs.evolve(request, model=self._setting.there(request.model))


class _Unknown:
    """Implements `Model` for an endpoint that the settings do not name: everything fails."""

    def __init__(self, name: str) -> None:
        words = f"The setting holdfast.endpoints names no endpoint {name!r} any more."
        self._failure = Failure(kind=FailureKind.MODEL_GONE, message=words)

    def stream(
        self,
        request: ModelRequest,  # noqa: ARG002 (the port's name)
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamItem]]:
        raise ModelFailed(self._failure)

    async def count_tokens(self, request: ModelRequest) -> int:  # noqa: ARG002 (as above)
        raise ModelFailed(self._failure)

    async def capabilities(self, model: str) -> Capabilities:
        return from_table(model)

    async def models(self) -> Sequence[Capabilities]:
        raise ModelFailed(self._failure)

    async def probe(self) -> Probe:
        return Probe(ok=False, failure=self._failure)

    async def drop_connections(self) -> None:
        """There are none."""

    async def close(self) -> None:
        """There is nothing to close."""
