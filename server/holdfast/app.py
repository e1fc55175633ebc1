"""The composition root: the one place that builds concrete things and hands them down."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from holdfast.agent.clock import SystemWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.journal import glance
from holdfast.journal.recall import SqliteIndex
from holdfast.journal.sqlite import SqliteStore
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.clouds.adapter import CloudModel
from holdfast.model.credentials import Credentials, CredentialSource
from holdfast.model.endpoints import endpoint_of
from holdfast.model.port import Model
from holdfast.model.switchboard import Switchboard
from holdfast.network import Subject
from holdfast.network.surroundings import subject_of
from holdfast.settings import DEFAULT_ENDPOINT, Continue, EndpointSetting, Kind, Settings
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
        progress_cut_s=settings.stream.progress_cut_s,
        first_byte_s=settings.stream.first_byte_s,
        retry_budget_s=settings.retry.budget_s,
        retry_max_delay_s=settings.retry.max_delay_s,
        probe_max_s=settings.retry.probe_max_s,
        prices=settings.prices,
        endpoint=endpoint_of(settings.base_url),
        base_url=settings.base_url,
        endpoints=settings.endpoints,
        begins_at="" if settings.endpoint == DEFAULT_ENDPOINT else settings.endpoint,
        failover=settings.failover,
        failover_s=settings.retry.failover_s,
        continue_interrupted=settings.continue_interrupted is Continue.ALWAYS,
        permissions=tuple(
            Rule(rule.tool, rule.pattern, Answer(rule.answer.value))
            for rule in settings.permissions
        ),
    )


def _model_at(
    setting: EndpointSetting,
    credentials: Callable[[], Credentials],
    *,
    environment: Mapping[str, str],
) -> Model:
    """Return the model behind one of the further endpoints. A cloud looks for credentials of
    its own, unless a client has given some.
    """
    if setting.kind.is_cloud:
        return CloudModel(setting, environment, credentials)
    marks = setting.kind is not Kind.COMPATIBLE
    return AnthropicModel(credentials, setting.base_url, cache_marks=marks)


class Application:
    """What one process is made of. `environment` is read at every attempt of a request, so that a
    new key continues a paused turn.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._credentials = CredentialSource(self._environment)
        self._switchboard: Switchboard | None = None
        self._services: Services | None = None
        self._settings: Settings | None = None
        self._news: str | None = None

    async def compose(self, settings: Settings) -> Supervisor:
        """Build the supervisor of this process.

        A damaged store is salvaged; `take_news` then says what came of it. Raises `StoreTooNew` and
        `StoreUnreadable`; nothing has been changed then.
        """
        store = await SqliteStore.open(settings.store_path)
        self._settings = settings
        self._news = str(store.recovered) if store.recovered is not None else None
        own = self._credentials.current
        model = AnthropicModel(own, settings.base_url)
        self._switchboard = Switchboard(
            model,
            own,
            self._environment,
            partial(_model_at, environment=self._environment),
            settings.endpoints,
        )
        self._services = Services(
            store=store,
            model=model,
            tools=Toolbox(),
            world=SystemWorld(),
            settings=agent_settings(settings),
            traces=Traces(settings.data_dir / TRACES) if SUPPORTED else None,
            credentials=self._credentials,
            recall=SqliteIndex(settings.data_dir / RECALL),
            switchboard=self._switchboard,
        )
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        return Supervisor(
            self._services, owner=owner, preload=model.preload, subject_of=self._subject
        )

    def take_news(self) -> str | None:
        """Return, once, what a person must know of how the store was found."""
        news, self._news = self._news, None
        return news

    def reconfigure(self, settings: Settings) -> None:
        """Let later steps of all sessions run under changed settings. The store and the first
        endpoint stay.
        """
        self._settings = settings
        if self._services is not None:
            self._services.settings = agent_settings(settings)
        if self._switchboard is not None:
            self._switchboard.use(settings.endpoints)

    def _subject(self, endpoint: str, model: str | None) -> Subject:
        """Return what the doctor examines: an endpoint as requests use it now."""
        assert self._settings is not None, "a supervisor is composed of settings"
        assert self._switchboard is not None, "as above"
        there = self._switchboard.credentials_at(endpoint)
        return subject_of(
            self._settings,
            self._credentials.current(),
            self._environment,
            endpoint=endpoint,
            model=model,
            given=None if there is None else there.current(),
            look=self._switchboard.at(endpoint).probe,
            stored=partial(glance.look, self._settings.store_path),
        )


async def compose(settings: Settings) -> Supervisor:
    """Build the supervisor of a process that needs no more: the command line."""
    return await Application().compose(settings)
