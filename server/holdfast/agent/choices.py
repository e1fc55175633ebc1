"""Everything that could answer a session, as rows of a picker: endpoints, their models, changes.

Law: all endpoints are asked at once, none is waited for longer than `ASKED_S`. One that does not
say what it has can be chosen all the same, and why it did not say is told. What changes is said in
the words of the record that the choice makes (`limits.alternative`). What answers now comes first,
then the same model elsewhere, which is what somebody looks for whose endpoint fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import attrs

from holdfast.agent.limits import alternative, limits_of, model_of
from holdfast.agent.registry import Registry
from holdfast.agent.selection import EndpointEntry, Selection
from holdfast.agent.services import Services
from holdfast.model.port import Capabilities, ModelFailed
from holdfast.network.surroundings import FIRST_PARTY_URL
from holdfast.session.failures import told
from holdfast.session.state import SessionState
from holdfast.settings import DEFAULT_ENDPOINT

ASKED_S: Final = 5.0
"""How long a person who looks at a picker waits for an endpoint."""

_FIRST_PARTY: Final = frozenset({"firstParty", "anthropic"})


@attrs.frozen(kw_only=True)
class Choice:
    """One row. `label`, `description` and `detail` are for people, `group` is a heading.

    `model` and `endpoint` are what `Selection.select` takes; `in_use` marks what answers now.
    """

    group: str
    label: str
    description: str = ""
    detail: str = ""
    model: str | None = None
    endpoint: str | None = None
    in_use: bool = False


@attrs.frozen
class ChoiceList:
    """All that a person can choose for a session, endpoint by endpoint."""

    choices: tuple[Choice, ...]


@attrs.frozen
class _Asked:
    """What an endpoint said of its models, or why it did not."""

    models: Sequence[Capabilities] = ()
    trouble: str = ""


class Choices:
    """Makes the rows."""

    def __init__(self, services: Services, sessions: Registry, selection: Selection) -> None:
        self._services = services
        self._sessions = sessions
        self._selection = selection

    async def of(self, session_id: str, asked_s: float = ASKED_S) -> ChoiceList:
        """Ask all endpoints what they have. Raises what opening the session raises."""
        driver = await self._sessions.owned(session_id)
        entries = self._selection.endpoints().endpoints
        said = await asyncio.gather(*(self._ask(entry, asked_s) for entry in entries))
        state = driver.state
        context = driver.context_tokens(limits_of(self._services, state, driver.capabilities))
        rows = [
            row
            for entry, asked in zip(entries, said, strict=True)
            for row in self._rows(entry, asked, state, context)
        ]
        setting = Choice(
            group="Settings",
            label="The setting's model",
            description=self._services.settings.model,
        )
        wanted = model_of(self._services, state)
        return ChoiceList((*sorted(rows, key=lambda row: _rank(row, wanted)), setting))

    async def _ask(self, entry: EndpointEntry, asked_s: float) -> _Asked:
        try:
            async with asyncio.timeout(asked_s):
                return _Asked((await self._selection.models(entry.name)).models)
        except ModelFailed as failed:
            return _Asked(trouble=told(failed.failure))
        except TimeoutError:
            return _Asked(trouble=f"It did not say within {asked_s:g} s which models it has.")

    def _rows(
        self, entry: EndpointEntry, asked: _Asked, state: SessionState, context: int
    ) -> Iterator[Choice]:
        services, group = self._services, _group(entry)
        name = "" if entry.name == DEFAULT_ENDPOINT else entry.name
        wanted, here = model_of(services, state), name == state.endpoint
        called = {there: model for model, there in entry.models.items()}
        known = {called.get(each.model, each.model): each for each in asked.models}
        for model in known or (wanted,):
            changed = attrs.evolve(state, model=model)
            there, found = services.settings.there(name, model), known.get(model)
            said = found.window_tokens if found is not None else None
            window = services.settings.context_window_tokens or said
            in_use = here and model == wanted
            told_of = (
                "in use" if in_use else "",
                f"{_count(window)} tokens" if window else "",
                f"there called {there}" if there != model else "",
            )
            changes = (
                asked.trouble,
                "" if here else alternative(services, changed, name).says,
                "" if in_use else _room(context, window),
            )
            yield Choice(
                group="Now" if in_use else "The same model elsewhere" if model == wanted else group,
                label=model if here else f"{model} at {entry.name}",
                description=" · ".join(filter(None, told_of)),
                detail=" ".join(filter(None, changes)),
                model=model,
                endpoint=None if here else entry.name,
                in_use=in_use,
            )


def _group(entry: EndpointEntry) -> str:
    """Return an endpoint's heading."""
    own = FIRST_PARTY_URL if entry.kind in _FIRST_PARTY else ""
    address = urlsplit(entry.base_url or own).netloc
    return " · ".join((entry.name, address or entry.kind))


def _room(context: int, window: int | None) -> str:
    """Say that a conversation has to be compacted for a window, if it has to."""
    if not window or context <= window:
        return ""
    return f"The conversation ({_count(context)} tokens) is compacted first."


def _rank(row: Choice, wanted: str) -> int:
    """Return where a row stands: what answers now, the same model elsewhere, all others."""
    return 0 if row.in_use else 1 if row.model == wanted else 2


def _count(tokens: int) -> str:
    """Return a number of tokens as people say it: "200k", "1M"."""
    return f"{tokens / 1e6:.3g}M" if tokens >= 1_000_000 else f"{tokens // 1000}k"
