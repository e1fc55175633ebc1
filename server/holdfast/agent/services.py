"""What a driver works with, and the bounds it works under.

Law: all that is concrete comes from `app.py` and is handed down; nothing is global. Settings may
change while sessions run: the holder is shared, the value in it is frozen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import attrs

from holdfast.agent.clock import World
from holdfast.agent.overview import Overview
from holdfast.conversation import encoding, tokens
from holdfast.conversation.models import Endpoint
from holdfast.conversation.tool_grammar import normalise_tools
from holdfast.journal.search import SearchIndex
from holdfast.journal.store import Store
from holdfast.model.credentials import CredentialSource
from holdfast.model.endpoints import kind_at
from holdfast.model.port import Model, ModelFailed
from holdfast.model.switchboard import Switchboard
from holdfast.settings import EndpointSetting, Price
from holdfast.tools.permissions import Rule
from holdfast.tools.port import Editor, Tool
from holdfast.tools.traces import Traces

MODELS_WAIT_S: Final = 10.0
"""How long an endpoint may take to say which models it has."""

_log: Final = logging.getLogger(__name__)


class Tools(Protocol):
    """The tools that sessions may use."""

    @property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """The tools in the API's shape, in constant order and bytes."""
        ...

    def get(self, name: str) -> Tool | None:
        """Return a tool by its name."""
        ...


@attrs.frozen
class AgentSettings:
    """The bounds of turns and compactions. Seconds and tokens as the names say.

    `compaction_method` is the first rung that is tried: the API's own compaction where the model
    has it, a summary by the model, or the digest without one. `endpoint` is the kind of the first
    endpoint, that of `base_url`; `begins_at` names the one where new sessions begin ("" the first),
    `failover` those by which it and others are replaced.
    """

    model: str
    max_output_tokens: int = 32_000
    context_window_tokens: int | None = None
    soft_mark: float = 0.75
    hard_mark: float = 0.92
    compaction_deadline_s: float = 300.0
    compaction_method: Literal["api", "summary", "local"] = "api"
    idle_warn_s: float = 8.0
    idle_cut_s: float = 90.0
    progress_cut_s: float = 600.0
    first_byte_s: float = 120.0
    retry_budget_s: float = 600.0
    retry_max_delay_s: float = 60.0
    probe_max_s: float = 300.0
    permissions: tuple[Rule, ...] = ()
    prices: tuple[Price, ...] = ()
    continue_interrupted: bool = True
    endpoint: Endpoint = Endpoint.FIRST_PARTY
    base_url: str | None = None
    endpoints: tuple[EndpointSetting, ...] = ()
    begins_at: str = ""
    failover: tuple[str, ...] = ()
    failover_s: float = 60.0

    def endpoint_named(self, name: str) -> EndpointSetting | None:
        """Return one of the endpoints besides the first."""
        return next((each for each in self.endpoints if each.name == name), None)

    def kind_of(self, endpoint: str) -> Endpoint:
        """Return which grammar an endpoint has; "" is the first. An unknown one is a gateway."""
        if not endpoint:
            return self.endpoint
        found = self.endpoint_named(endpoint)
        return kind_at(found) if found is not None else Endpoint.GATEWAY

    def there(self, endpoint: str, model: str) -> str:
        """Return what a model is called at an endpoint."""
        found = self.endpoint_named(endpoint)
        return model if found is None else found.there(model)


class Services:
    """The shared services of all sessions. Without `traces` an interrupted command leaves none;
    without `recall` a session's past is read through instead of looked up.
    """

    def __init__(
        self,
        *,
        store: Store,
        model: Model,
        tools: Tools,
        world: World,
        settings: AgentSettings,
        traces: Traces | None = None,
        credentials: CredentialSource | None = None,
        recall: SearchIndex | None = None,
        switchboard: Switchboard | None = None,
    ) -> None:
        self.store = store
        self.model = model
        self._switchboard = switchboard
        self.tools = tools
        self.world = world
        self.settings = settings
        self.traces = traces
        self.recall = recall
        self.credentials = credentials if credentials is not None else CredentialSource({})
        self.overview = Overview()
        self.editors: dict[str, Editor] = {}
        # One tool with a strange schema must not cost a session its requests (A29, A30).
        self.definitions, mended = normalise_tools(tools.definitions)
        for change in mended:
            _log.warning("tool %s: %s (%s)", change.origin, change.action, change.rule)
        self.overhead_bytes = sum(
            len(encoding.encode(dict(tool)).encode()) for tool in self.definitions
        )
        self.overhead_tokens = int(self.overhead_bytes / tokens.BYTES_PER_TOKEN)
        self.tool_names = tuple(str(tool.get("name")) for tool in self.definitions)

    def editor(self) -> Editor | None:
        """Return the editor of the connection that came last."""
        return next(reversed(self.editors.values()), None)

    def model_at(self, endpoint: str) -> Model:
        """Return the model at an endpoint; "" is the first."""
        return self.model if self._switchboard is None else self._switchboard.at(endpoint)

    def credentials_at(self, endpoint: str) -> CredentialSource:
        """Return the credentials for an endpoint; for one that nobody knows, those of nobody."""
        if not endpoint:
            return self.credentials
        found = None if self._switchboard is None else self._switchboard.credentials_at(endpoint)
        return found if found is not None else CredentialSource({})

    async def drop_connections(self) -> None:
        """Have no request use a connection that is open now."""
        await self.model.drop_connections()
        if self._switchboard is not None:
            await self._switchboard.drop_connections()

    async def close_models(self) -> None:
        """Close the connections to all endpoints."""
        await self.model.close()
        if self._switchboard is not None:
            await self._switchboard.close()

    async def offers(self, model: str, endpoint: str = "") -> bool | None:
        """Say whether the endpoint has a model; None when it cannot be asked."""
        try:
            async with asyncio.timeout(MODELS_WAIT_S):
                known = {found.model for found in await self.model_at(endpoint).models()}
        except (ModelFailed, TimeoutError):
            return None  # Offline is no reason to refuse; the request will tell.
        return self.settings.there(endpoint, model) in known if known else None
