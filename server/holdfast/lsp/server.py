"""The language server of one connection.

Law: it belongs to a connection and owns nothing that must outlive one: sessions are the
supervisor's (P9). The supervisor is made after `initialize`, when the settings are known; when it
cannot be made the server goes on, every command says why, and the next one tries again (P3).
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from holdfast import __version__
from holdfast.agent.errors import AgentError
from holdfast.journal.store import StoreError
from holdfast.lsp import commands, errors, wire
from holdfast.lsp.documents import Documents
from holdfast.lsp.editor import ConnectionEditor
from holdfast.lsp.followers import Followers
from holdfast.lsp.lists import Lists
from holdfast.lsp.notices import Notices
from holdfast.lsp.port import Supervisor
from holdfast.lsp.progress import Progress
from holdfast.lsp.protocol import HoldfastProtocol
from holdfast.lsp.questions import Questions
from holdfast.lsp.transcripts.features import Transcripts
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.lsp.outbox import Outbox

logger = logging.getLogger(__name__)

CONFIGURATION_TIMEOUT_S: Final = 5.0
PRELOAD_AFTER_S: Final = 2.0
SECTION: Final = "holdfast"

Compose = Callable[[Settings], Awaitable[Supervisor]]


class HoldfastServer(LanguageServer):
    """One connection's handlers and what they share."""

    protocol: HoldfastProtocol

    def __init__(
        self,
        compose: Compose,
        *,
        environ: Mapping[str, str] | None = None,
        reconfigure: Callable[[Settings], None] | None = None,
        take_news: Callable[[], str | None] | None = None,
    ) -> None:
        """Prepare a server; nothing is opened before `initialize`.

        `compose` makes the supervisor (once; a failure is told and tried again), `reconfigure`
        hears of settings that change later. `take_news` gives, once, what `compose` has to tell a
        person.
        """
        # pygls logs whole messages, which hold prompts (P11).
        logging.getLogger("pygls").setLevel(logging.ERROR)
        super().__init__(
            "holdfast",
            __version__,
            protocol_cls=HoldfastProtocol,
            converter_factory=get_converter,
        )
        self.connection_id = uuid.uuid4().hex[:12]
        self.settings, self._problems = Settings.load(None, {})
        self.bars = Progress(self, self.connection_id, self.supervisor)
        self.questions = Questions(self, self.supervisor)
        self.notices = Notices(self)
        self.followers = Followers(
            self._outbox, self.supervisor, (self.bars, self.questions, self.notices)
        )
        self.lists = Lists(self._outbox, self.supervisor)
        self.transcripts = Transcripts(self)
        self._compose = compose
        self.environ = os.environ if environ is None else environ
        self._reconfigure = reconfigure
        self._take_news = take_news
        self._editor_section: Any = None
        self._initialized = asyncio.Event()
        self._composing: asyncio.Task[Supervisor] | None = None
        self._told_failure = ""
        self._background: set[asyncio.Task[Any]] = set()
        for row in commands.COMMANDS.values():
            self.command(row.name)(row.handler)
        features: Mapping[str, Callable[[Any], Any]] = {
            types.INITIALIZE: self._initialize,
            types.INITIALIZED: self._on_initialized,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self._did_change_configuration,
        }
        for method, handler in features.items():
            # pygls puts marks on handlers, which bound methods do not take.
            self.feature(method)(partial(handler))
        self.transcripts.register()

    # -- commands --------------------------------------------------------------------------------

    async def execute(self, name: str, given: Sequence[Any] | None) -> msgspec.Raw:
        """Run one command and return its encoded result. Raises `JsonRpcException` only."""
        try:
            row = commands.command(name)
            result = await row.handler(self, commands.arguments(row, given))
            return msgspec.Raw(wire.encode(result))
        except Exception as error:  # noqa: BLE001 (the one guard of commands)
            raise errors.converted(error, name) from None

    async def supervisor(self) -> Supervisor:
        """Return the supervisor, making it if need be. Raises what `compose` raises."""
        if self._composing is None or _failed(self._composing):
            self._composing = asyncio.create_task(self._composed(), name="compose")
            self._composing.add_done_callback(_failed)
        return await asyncio.shield(self._composing)

    async def _composed(self) -> Supervisor:
        await self._pull_configuration()
        try:
            supervisor = await self._compose(self.settings)
        except Exception as error:
            refusal = errors.converted(error, "opening the session store")
            if self._told_failure != str(refusal):
                self._told_failure = str(refusal)
                action = getattr(error, "action", "Look at the server's log.")
                self.show(types.MessageType.Error, f"{refusal} {action}")
            raise
        self._told_failure = ""
        news = self._take_news() if self._take_news is not None else None
        if news is not None:
            self.show(types.MessageType.Warning, news)
        editor = ConnectionEditor(
            self, lambda: self.workspace.text_documents, self.client_capabilities
        )
        supervisor.use_editor(self.connection_id, editor)
        return supervisor

    def info(self) -> dict[str, Any]:
        """Return the result of `holdfast.server.info`."""
        composing = self._composing
        store: dict[str, Any] = {"state": "opening"}
        if composing is not None and composing.done():
            error = None if composing.cancelled() else composing.exception()
            store = {"state": "open"}
            if isinstance(error, Exception):
                store = {"state": "failed", "error": errors.wire(errors.converted(error, "it"))}
        return {
            "version": __version__,
            "versions": {
                "python": platform.python_version(),
                **_versions(),
            },
            "processId": os.getpid(),
            "dataDir": str(self.settings.data_dir),
            "store": store,
            "problems": wire.plain(self._problems),
        }

    # -- the life of a connection ----------------------------------------------------------------

    def _initialize(self, params: types.InitializeParams) -> None:
        self.protocol.use_workspace(Documents.like(self.workspace, params.workspace_folders))
        capabilities = params.capabilities
        views = _own_views(capabilities.experimental)
        self.bars.supported = bool(get_capability(capabilities, "window.work_done_progress", False))
        self.questions.wanted = views.get("questions") is not True
        self.notices.wanted = self.bars.waits = views.get("status") is not True
        self.transcripts.diagnostics.use(capabilities)
        self._load(params.initialization_options)

    def _on_initialized(self, _: types.InitializedParams) -> None:
        self._initialized.set()
        self.spawn(self._start())

    async def _start(self) -> None:
        """Do what can be done before the first command comes."""
        if get_capability(
            self.client_capabilities,
            "workspace.did_change_configuration.dynamic_registration",
            False,
        ):
            registration = types.Registration(
                id="holdfast-configuration",
                method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                register_options={"section": SECTION},
            )
            self.spawn(self._register(registration))
        try:
            supervisor = await self.supervisor()
        except Exception:  # noqa: BLE001 (`_composed` has told and logged it)
            return
        self._tell_problems()
        try:
            for session_id in await supervisor.recover(list(self.folder_uris())):
                await self.followers.watch(session_id)
        except (StoreError, AgentError) as error:
            logger.warning("sessions could not be recovered: %s", error)
        # Loading takes a second of the processor, which belongs to the editor's start first.
        await asyncio.sleep(PRELOAD_AFTER_S)
        supervisor.preload()

    async def _register(self, registration: types.Registration) -> None:
        try:
            await self.ask(
                types.CLIENT_REGISTER_CAPABILITY,
                types.RegistrationParams(registrations=[registration]),
                CONFIGURATION_TIMEOUT_S,
            )
        except (JsonRpcException, TimeoutError) as error:
            logger.info("the editor registers nothing: %r", error)

    async def end_connection(self) -> None:
        """End what belongs to this connection. Sessions go on. Harmless when it has ended."""
        await self.followers.close()
        await self.lists.close()
        await self.transcripts.close()
        await self.bars.close()
        composing = self._composing
        if composing is not None and composing.done() and not _failed(composing):
            composing.result().use_editor(self.connection_id, None)
        for task in self._background:
            task.cancel()

    async def close(self) -> None:
        """End the connection and give all sessions back: the end of a process of its own."""
        await self.end_connection()
        composing = self._composing
        if composing is not None:
            await asyncio.wait([composing])
            if not _failed(composing):
                await composing.result().close()

    # -- settings --------------------------------------------------------------------------------

    async def _did_change_configuration(self, params: types.DidChangeConfigurationParams) -> None:
        before = self.settings
        if not await self._pull_configuration() and params.settings:
            self._load(params.settings)
        if self.settings != before:
            self._tell_problems()
            if self._reconfigure is not None:
                self._reconfigure(self.settings)

    async def _pull_configuration(self) -> bool:
        """Ask the editor for its section. False when it cannot be asked or has none."""
        if not get_capability(self.client_capabilities, "workspace.configuration", False):
            return False
        item = types.ConfigurationItem(section=SECTION)
        try:
            async with asyncio.timeout(CONFIGURATION_TIMEOUT_S):
                await self._initialized.wait()
            found = await self.ask(
                types.WORKSPACE_CONFIGURATION,
                types.ConfigurationParams(items=[item]),
                CONFIGURATION_TIMEOUT_S,
            )
        except (JsonRpcException, TimeoutError) as error:
            logger.info("the editor does not say its settings: %r", error)
            return False
        if not found or not found[0]:
            return False
        self._load(found[0])
        return True

    def _load(self, section: Any) -> None:
        self.settings, self._problems = Settings.load(section, self.environ)

    def _tell_problems(self) -> None:
        words = "\n".join(problem.message for problem in self._problems)
        if words:
            self.show(types.MessageType.Warning, words)

    def folder_uris(self) -> list[str]:
        """Return the folders that the editor has open."""
        folders = [folder.uri for folder in self.workspace.folders.values()]
        return folders or [uri for uri in (self.workspace.root_uri,) if uri]

    # -- the connection, as bars and questions use it --------------------------------------------

    @property
    def documents(self) -> Documents:
        """What the editor has open."""
        assert isinstance(self.workspace, Documents), "it is put there by `initialize`"
        return self.workspace

    @property
    def busy(self) -> bool:
        """Whether the editor is behind with reading."""
        return self._outbox().busy

    async def ask(self, method: str, params: Any, timeout_s: float | None) -> Any:
        """Send a request and return its result; see `HoldfastProtocol.ask`."""
        return await self.protocol.ask(method, params, timeout_s)

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.protocol.notify(method, params)

    def show(self, kind: types.MessageType, message: str) -> None:
        """Show a message to the person."""
        self.notify(types.WINDOW_SHOW_MESSAGE, types.ShowMessageParams(kind, message))

    async def cancel_progress(self, token: int | str) -> None:
        """Do what a bar's stop button stands for."""
        try:
            await self.bars.cancel(token)
        except (StoreError, AgentError) as error:
            self.show(types.MessageType.Warning, f"{error} {error.action}")

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log only: requests are answered, and people are told by those who know what helps."""
        logger.info("%s: %s", getattr(source, "__name__", source), error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the handlers, until the connection ends."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("a background task failed", exc_info=error)

    def _outbox(self) -> Outbox:
        outbox = self.protocol.outbox
        assert outbox is not None, "messages are sent only while there is a connection"
        return outbox


def _own_views(experimental: Any) -> dict[str, Any]:
    """Return what the client says it shows itself (`capabilities.experimental.holdfast`)."""
    own = experimental.get("holdfast") if isinstance(experimental, dict) else None
    return own if isinstance(own, dict) else {}


@cache
def _versions() -> dict[str, str]:
    from importlib import metadata  # noqa: PLC0415 (no start needs it: S1)

    return {name: metadata.version(name) for name in ("pygls", "lsprotocol", "anthropic", "apsw")}


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
