"""Who answers a session: the endpoints and models there are, and choosing among them.

Law: a choice is a record. What an endpoint does not have is refused when it can be asked, and a
turn that only waits for another endpoint or model goes on at once.
"""

from __future__ import annotations

from typing import Literal

import attrs

from holdfast.agent.driver import Driver
from holdfast.agent.errors import UnknownEndpoint, UnknownModel
from holdfast.agent.limits import alternative
from holdfast.agent.registry import Registry
from holdfast.agent.services import Services
from holdfast.model.credentials import Source
from holdfast.model.port import Capabilities
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import FailureKind
from holdfast.session.state import Phase
from holdfast.settings import DEFAULT_ENDPOINT


@attrs.frozen
class EndpointEntry:
    """One endpoint for people. `models` is what it calls the models that sessions want."""

    name: str
    kind: str
    base_url: str | None
    models: dict[str, str] = attrs.Factory(dict)


@attrs.frozen
class EndpointList:
    """All endpoints, the first one first, and the order in which they stand in for each other."""

    endpoints: tuple[EndpointEntry, ...]
    failover: tuple[str, ...]


@attrs.frozen
class ModelList:
    """The models that an endpoint has."""

    endpoint: str
    models: tuple[Capabilities, ...]


class Selection:
    """Answers who may answer, and changes who does."""

    def __init__(self, services: Services, sessions: Registry) -> None:
        self._services = services
        self._sessions = sessions

    def endpoints(self) -> EndpointList:
        """Return the endpoints of the settings. None is asked."""
        settings = self._services.settings
        first = EndpointEntry(DEFAULT_ENDPOINT, settings.endpoint.value, settings.base_url)
        more = (
            EndpointEntry(each.name, each.kind.value, each.base_url, dict(each.models))
            for each in settings.endpoints
        )
        return EndpointList((first, *more), settings.failover)

    async def models(self, endpoint: str | None = None) -> ModelList:
        """Ask an endpoint, or the first, for its models.

        Raises `ModelFailed` and `UnknownEndpoint`.
        """
        name = self._named(endpoint)
        found = await self._services.model_at(name).models()
        return ModelList(name or DEFAULT_ENDPOINT, tuple(found))

    async def select(self, session_id: str, model: str | None, endpoint: str | None) -> None:
        """Send the session's later requests to `model` at `endpoint`.

        Without an endpoint it stays where it is, and None is the setting's model; with one, None
        keeps the session's model. Raises `UnknownEndpoint` and `UnknownModel`.
        """
        driver = await self._sessions.owned(session_id)
        if endpoint is not None:
            await self._change(driver, model, self._named(endpoint))
            return
        await self._check(model, driver.state.endpoint)
        await driver.ask(inp.Note((ev.ModelSelected(model=model),)))
        driver.learn_capabilities()
        # A turn whose model is gone waits for nothing but another one (A34).
        await driver.ask(inp.Resume(paused_for=FailureKind.MODEL_GONE.value))

    def use_credentials(
        self, api_key: str | None, auth_token: str | None, endpoint: str | None = None
    ) -> Source:
        """Authenticate with these at an endpoint, or the first; see `Supervisor`.

        Raises `UnknownEndpoint`.
        """
        name = self._named(endpoint)
        credentials = self._services.credentials_at(name)
        credentials.give(api_key, auth_token)
        source = credentials.source
        for driver in self._sessions.open_drivers() if source != "none" else ():
            if not name or driver.state.endpoint == name:
                driver.learn_capabilities()
                driver.post(inp.Resume(paused_for=FailureKind.AUTHENTICATION.value))
        return source

    def beginning(self, model: str | None, endpoint: str | None = None) -> tuple[ev.Event, ...]:
        """Return what the journal of a new session says of where it begins: at `endpoint`, a name
        in records, or where the settings say. Nothing for the first one.
        """
        name = self._services.settings.begins_at if endpoint is None else endpoint
        if not name:
            return ()
        there = self._services.settings.there(name, model or self._services.settings.model)
        return (ev.EndpointSelected(endpoint=name, model=model, there=there, reason="begun"),)

    async def _change(self, driver: Driver, model: str | None, name: str) -> None:
        wanted = model if model is not None else driver.state.model
        await self._check(model, name)
        state = driver.state
        there = alternative(self._services, attrs.evolve(state, model=wanted), name)
        reason: Literal["user", "back"] = "user" if name or not state.endpoint else "back"
        await driver.ask(
            inp.Note(
                (
                    ev.EndpointSelected(
                        endpoint=name,
                        model=wanted,
                        there=there.there,
                        reason=reason,
                        said=there.says,
                    ),
                )
            )
        )
        turn, pause = driver.state.turn, driver.state.pause
        if turn is not None and driver.state.phase in {Phase.WAITING, Phase.REQUESTING}:
            # Nothing has come from the endpoint before.
            await driver.ask(inp.Resume(give_up=True, turn_id=turn.turn_id))
        elif pause is not None and pause.reason in frozenset(FailureKind):
            await driver.ask(inp.Resume(paused_for=pause.reason))

    async def _check(self, model: str | None, endpoint: str) -> None:
        """Refuse a model that the endpoint does not have, when the endpoint can be asked."""
        if model is not None and await self._services.offers(model, endpoint) is False:
            at = f"The endpoint {endpoint!r}" if endpoint else "The endpoint"
            raise UnknownModel(f"{at} has no model {model!r}.")

    def _named(self, endpoint: str | None) -> str:
        """Return an endpoint's name in records. Raises `UnknownEndpoint`."""
        if endpoint in (None, "", DEFAULT_ENDPOINT):
            return ""
        assert endpoint is not None
        if self._services.settings.endpoint_named(endpoint) is None:
            raise UnknownEndpoint(f"The setting holdfast.endpoints names no {endpoint!r}.")
        return endpoint
