"""The composition root: the one place that builds concrete things and hands them down."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from holdfast.agent.clock import SystemWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.journal.sqlite import SqliteStore
from holdfast.model import credentials
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.settings import Settings
from holdfast.tools.permissions import Answer, Rule
from holdfast.tools.registry import Toolbox


def agent_settings(settings: Settings) -> AgentSettings:
    """Return the part of the settings that turns and compactions run under."""
    return AgentSettings(
        model=settings.model,
        max_output_tokens=settings.max_output_tokens,
        context_window_tokens=settings.context_window_tokens,
        soft_mark=settings.compaction.soft_mark,
        hard_mark=settings.compaction.hard_mark,
        compaction_deadline_s=settings.compaction.deadline_s,
        idle_warn_s=settings.stream.idle_warn_s,
        idle_cut_s=settings.stream.idle_cut_s,
        retry_budget_s=settings.retry.budget_s,
        retry_max_delay_s=settings.retry.max_delay_s,
        permissions=tuple(
            Rule(rule.tool, rule.pattern, Answer(rule.answer.value))
            for rule in settings.permissions
        ),
    )


async def compose(settings: Settings, environ: Mapping[str, str] | None = None) -> Supervisor:
    """Build the supervisor of this process.

    Credentials are read from the environment at every attempt, so a new key continues a paused
    turn. Raises `StoreTooNew` and `StoreUnreadable`; nothing has been changed then.
    """
    environment = os.environ if environ is None else environ
    store = await SqliteStore.open(settings.store_path)
    model = AnthropicModel(lambda: credentials.resolve(environment), settings.base_url)
    services = Services(
        store=store,
        model=model,
        tools=Toolbox(),
        world=SystemWorld(),
        settings=agent_settings(settings),
    )
    owner = f"{socket.gethostname()}:{os.getpid()}"
    return Supervisor(services, owner=owner, preload=model.preload)
