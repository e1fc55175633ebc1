"""The composition root: the one place that builds concrete things and hands them down."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from typing import Final

from holdfast.agent.clock import SystemWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.journal.recall import SqliteIndex
from holdfast.journal.sqlite import SqliteStore
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import CredentialSource
from holdfast.model.endpoints import endpoint_of
from holdfast.settings import Continue, Settings
from holdfast.tools.permissions import Answer, Rule
from holdfast.tools.registry import Toolbox
from holdfast.tools.traces import SUPPORTED, Traces

TRACES: Final = "commands"
"""The folder in the data directory where running commands leave their traces."""
RECALL: Final = "recall"
"""The folder in the data directory with the indexes of sessions' pasts; it can be thrown away."""


def agent_settings(settings: Settings) -> AgentSettings:
    """Return the part of the settings that turns and compactions run under."""
    return AgentSettings(
        model=settings.model,
        max_output_tokens=settings.max_output_tokens,
        context_window_tokens=settings.context_window_tokens,
        soft_mark=settings.compaction.soft_mark,
        hard_mark=settings.compaction.hard_mark,
        compaction_deadline_s=settings.compaction.deadline_s,
        compaction_method=settings.compaction.method.value,
        idle_warn_s=settings.stream.idle_warn_s,
        idle_cut_s=settings.stream.idle_cut_s,
        retry_budget_s=settings.retry.budget_s,
        retry_max_delay_s=settings.retry.max_delay_s,
        prices=settings.prices,
        endpoint=endpoint_of(settings.base_url),
        continue_interrupted=settings.continue_interrupted is Continue.ALWAYS,
        permissions=tuple(
            Rule(rule.tool, rule.pattern, Answer(rule.answer.value))
            for rule in settings.permissions
        ),
    )


class Application:
    """What one process is made of. `environment` is read at every attempt of a request, so that a
    new key continues a paused turn.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._credentials = CredentialSource(os.environ if environment is None else environment)
        self._services: Services | None = None
        self._news: str | None = None

    async def compose(self, settings: Settings) -> Supervisor:
        """Build the supervisor of this process.

        A damaged store is salvaged; `take_news` then says what came of it. Raises `StoreTooNew` and
        `StoreUnreadable`; nothing has been changed then.
        """
        store = await SqliteStore.open(settings.store_path)
        self._news = str(store.recovered) if store.recovered is not None else None
        model = AnthropicModel(self._credentials.current, settings.base_url)
        self._services = Services(
            store=store,
            model=model,
            tools=Toolbox(),
            world=SystemWorld(),
            settings=agent_settings(settings),
            traces=Traces(settings.data_dir / TRACES) if SUPPORTED else None,
            credentials=self._credentials,
            recall=SqliteIndex(settings.data_dir / RECALL),
        )
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        return Supervisor(self._services, owner=owner, preload=model.preload)

    def take_news(self) -> str | None:
        """Return, once, what a person must know of how the store was found."""
        news, self._news = self._news, None
        return news

    def reconfigure(self, settings: Settings) -> None:
        """Let later steps of all sessions run under changed settings. Store and endpoint stay."""
        if self._services is not None:
            self._services.settings = agent_settings(settings)


async def compose(settings: Settings) -> Supervisor:
    """Build the supervisor of a process that needs no more: the command line."""
    return await Application().compose(settings)
