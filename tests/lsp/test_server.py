"""The server of one connection, on a scripted supervisor and a connection in memory."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.api import OpenQuestion, SessionEntry, SessionList
from holdfast.agent.overview import Overview
from holdfast.journal.store import StoreTooNew
from holdfast.lsp.connection import Connection
from holdfast.lsp.framing import FrameParser
from holdfast.lsp.server import Compose, HoldfastServer
from holdfast.settings import Settings
from holdfast.tools.port import Editor
from lsp.raw_editor import frame
from lsp.scripted import SESSION, ScriptedSupervisor

CONFIGURATION = {"workspace": {"configuration": True}}


class ServedSupervisor(ScriptedSupervisor):
    """A scripted supervisor with what a start and an end of a connection need."""

    def __init__(self, recovered: list[str] | None = None) -> None:
        super().__init__()
        self.editors: dict[str, Editor | None] = {}
        self.overview = Overview()
        self.entries_now: tuple[SessionEntry, ...] = ()
        self.recovered = recovered or []
        self.folders: list[str] = []
        self.closed = False

    async def recover(self, workspace_uris: list[str]) -> list[str]:
        self.folders = list(workspace_uris)
        return self.recovered

    async def entries(self, after: int | None = None) -> SessionList:
        if after is not None:
            await self.overview.after(after)
        return SessionList(self.entries_now, self.overview.version)

    def use_editor(self, connection_id: str, editor: Editor | None) -> None:
        self.editors[connection_id] = editor

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


class Wire:
    """Both ends of a connection: a source and a sink for the server, a client for the test."""

    def __init__(self, compose: Compose, **more: Any) -> None:
        self.server = HoldfastServer(compose, environ={"HOLDFAST_DATA_DIR": "/nowhere"}, **more)
        self.messages: list[dict[str, Any]] = []
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._parser = FrameParser()
        self._id = 0
        self._arrived = asyncio.Event()

    # -- as a source and a sink ------------------------------------------------------------------

    async def read(self) -> bytes:
        return await self._input.get()

    def write(self, data: bytes) -> None:
        self.messages += [json.loads(body) for body in self._parser.feed(data)]
        self._arrived.set()
        self._arrived = asyncio.Event()

    def pending(self) -> int:
        return 0

    async def drain(self) -> None:
        pass

    async def close(self, timeout_s: float) -> None:
        pass

    def abort(self) -> None:
        pass

    # -- as a client -----------------------------------------------------------------------------

    def send(self, **message: Any) -> None:
        self._input.put_nowait(frame({"jsonrpc": "2.0", **message}))

    def hang_up(self) -> None:
        self._input.put_nowait(b"")

    async def request(self, method: str, params: Any = None) -> dict[str, Any]:
        self._id += 1
        number = self._id
        self.send(id=number, method=method, params=params)
        return await self.until(lambda m: m.get("id") == number and "method" not in m)

    async def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        params = {"command": name, "arguments": [arguments]}
        return await self.request("workspace/executeCommand", params)

    async def initialize(self, capabilities: Any, options: Any = None, **more: Any) -> None:
        params = {"capabilities": capabilities, "initializationOptions": options, **more}
        await self.request("initialize", params)
        self.send(method="initialized", params={})

    async def until(self, matching: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                arrived = self._arrived
                for message in self.messages:
                    if matching(message):
                        self.messages.remove(message)
                        return message
                await arrived.wait()

    async def until_method(self, method: str) -> dict[str, Any]:
        return await self.until(lambda message: message.get("method") == method)


@asynccontextmanager
async def serving(compose: Compose, **more: Any) -> AsyncIterator[Wire]:
    wire = Wire(compose, **more)
    running = asyncio.create_task(Connection(wire.server, wire, wire).run())
    yield wire
    wire.hang_up()
    async with asyncio.timeout(10):
        assert await running == 0
        await wire.server.close()


class Composer:
    """Makes the supervisor, or fails so often first."""

    def __init__(self, *failures: Exception, supervisor: ServedSupervisor | None = None) -> None:
        self.failures = list(failures)
        self.supervisor = supervisor or ServedSupervisor()
        self.settings: list[Settings] = []

    async def __call__(self, settings: Settings) -> Any:
        self.settings.append(settings)
        if self.failures:
            raise self.failures.pop(0)
        return self.supervisor


# -- settings ------------------------------------------------------------------------------------


async def test_the_supervisor_is_made_with_the_settings_of_initialize() -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize({}, {"holdfast": {"model": "claude-haiku-4-5"}})
        await wire.command("holdfast.session.list")
    assert [settings.model for settings in composer.settings] == ["claude-haiku-4-5"]
    assert composer.settings[0].data_dir == Path("/nowhere")


async def test_settings_are_pulled_from_editors_that_keep_them() -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize(CONFIGURATION, {"holdfast": {"model": "from-options"}})
        asked = await wire.until_method("workspace/configuration")
        assert asked["params"]["items"] == [{"section": "holdfast"}]
        wire.send(id=asked["id"], result=[{"model": "from-the-editor"}])
        await wire.command("holdfast.session.list")
    assert composer.settings[0].model == "from-the-editor"


@pytest.mark.parametrize("answer", [[None], [], None, [{}]])
async def test_an_editor_that_has_none_leaves_the_options_in_force(answer: Any) -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize(CONFIGURATION, {"holdfast": {"model": "from-options"}})
        asked = await wire.until_method("workspace/configuration")
        wire.send(id=asked["id"], result=answer)
        await wire.command("holdfast.session.list")
    assert composer.settings[0].model == "from-options"


async def test_changed_settings_are_handed_on_and_told_when_wrong() -> None:
    changed: list[Settings] = []
    async with serving(Composer(), reconfigure=changed.append) as wire:
        await wire.initialize({})
        await wire.command("holdfast.session.list")
        for section in ({"model": "new"}, {"model": "new"}, {"model": "newer", "no": 1}):
            params = {"settings": {"holdfast": section}}
            wire.send(method="workspace/didChangeConfiguration", params=params)
        told = await wire.until_method("window/showMessage")
    assert "holdfast.no" in told["params"]["message"]
    assert [settings.model for settings in changed] == ["new", "newer"], "the same again is no news"


async def test_the_editor_is_asked_to_say_when_settings_change() -> None:
    async with serving(Composer()) as wire:
        await wire.initialize(
            {"workspace": {"didChangeConfiguration": {"dynamicRegistration": True}}}
        )
        asked = await wire.until_method("client/registerCapability")
        wire.send(id=asked["id"], result=None)
        (registration,) = asked["params"]["registrations"]
        assert registration["method"] == "workspace/didChangeConfiguration"
        assert registration["registerOptions"] == {"section": "holdfast"}


# -- the store -----------------------------------------------------------------------------------


async def test_a_store_that_cannot_be_opened_is_told_once_and_tried_again() -> None:
    """P3: the server goes on, and says what helps."""
    too_new = [StoreTooNew("a.db", 9, 1) for _ in range(3)]
    composer = Composer(*too_new)
    async with serving(composer) as wire:
        await wire.initialize({})
        told = (await wire.until_method("window/showMessage"))["params"]
        assert "Update Holdfast" in told["message"]
        for _ in range(2):
            error = (await wire.command("holdfast.session.list"))["error"]
            assert error["data"]["kind"] == "StoreTooNew"
        assert (await wire.command("holdfast.session.list"))["result"] == {"sessions": []}
        assert [m for m in wire.messages if m.get("method") == "window/showMessage"] == []


async def test_an_unexpected_fault_is_a_sentence_for_the_client_and_a_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(Composer(ZeroDivisionError("secret"), ZeroDivisionError("secret"))) as wire:
        await wire.initialize({})
        await wire.until_method("window/showMessage")
        with caplog.at_level(logging.ERROR):
            error = (await wire.command("holdfast.session.list"))["error"]
    assert error["code"] == -32603
    assert "secret" not in json.dumps(error)
    assert "ZeroDivisionError: secret" in caplog.text


async def test_many_commands_at_once_make_one_supervisor() -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize({})
        await asyncio.gather(*(wire.command("holdfast.session.list") for _ in range(5)))
    assert len(composer.settings) == 1


# -- sessions of a connection --------------------------------------------------------------------


def asking() -> ServedSupervisor:
    supervisor = ServedSupervisor(recovered=[SESSION])
    supervisor.be("asking")
    question = OpenQuestion("q", SESSION, "t", "run", "Run it?", "make", "make *")
    supervisor.view_extras = {"questions": (question,)}
    supervisor.open_questions = {"q"}
    return supervisor


async def test_what_a_dead_server_left_goes_on_and_its_questions_are_asked() -> None:
    """P9: without any command, in the folders of this window."""
    supervisor = asking()
    async with serving(Composer(supervisor=supervisor)) as wire:
        folders = [{"uri": "file:///home/me/project", "name": "project"}]
        await wire.initialize({}, workspaceFolders=folders)
        asked = await wire.until_method("window/showMessageRequest")
        wire.send(id=asked["id"], result={"title": "Deny"})
        while not supervisor.calls:
            await asyncio.sleep(0)
    assert supervisor.folders == ["file:///home/me/project"]
    assert supervisor.calls == [("answer", "q", "deny")]


async def test_a_client_with_a_view_of_questions_is_not_asked() -> None:
    supervisor = asking()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({"experimental": {"holdfast": {"questions": True}}})
        while not supervisor.followers:
            await asyncio.sleep(0)
        await wire.command("holdfast.session.list")
        assert [m for m in wire.messages if m.get("method")] == []


async def test_the_answer_to_open_comes_before_what_follows_it() -> None:
    supervisor = ServedSupervisor()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        supervisor.happen()
        opened = await wire.command("holdfast.session.open", sessionId=SESSION, sinceSeq=0)
        assert [item["seq"] for item in opened["result"]["events"]] == [1]
        assert opened["result"]["seq"] == 1
        assert wire.messages == []
        supervisor.happen()
        event = await wire.until_method("holdfast/event")
        assert event["params"]["seq"] == 2


async def test_the_answer_to_list_comes_before_the_changes_that_follow_it() -> None:
    supervisor = ServedSupervisor()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        assert await wire.command("holdfast.session.list", follow=True)
        entry = SessionEntry(SESSION, "A session", None, None, "idle", 1, 2, 3, archived=False)
        supervisor.entries_now = (entry,)
        supervisor.overview.touch()
        told = await wire.until_method("holdfast/sessions")
        assert told["params"]["removed"] == []
        assert [line["sessionId"] for line in told["params"]["sessions"]] == [SESSION]
        assert "status" not in told["params"]["sessions"][0]


async def test_a_long_past_is_not_answered_in_one_piece() -> None:
    """S9: the rest follows as notifications, and nothing is missing."""
    supervisor = ServedSupervisor()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        for _ in range(2000):
            supervisor.happen()
        opened = await wire.command("holdfast.session.open", sessionId=SESSION, sinceSeq=0)
        seqs = [item["seq"] for item in opened["result"]["events"]]
        assert len(seqs) < 1100
        assert opened["result"]["seq"] == seqs[-1]
        await wire.until(lambda m: m.get("params", {}).get("seq") == 2000)
        events = [m["params"]["seq"] for m in wire.messages if m["method"] == "holdfast/event"]
        assert [*seqs, *events, 2000] == list(range(1, 2001))


async def test_the_end_of_a_connection_gives_back_its_editor_only() -> None:
    supervisor = ServedSupervisor(recovered=[SESSION])
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        await wire.command("holdfast.session.list")
        (editor,) = supervisor.editors.values()
        assert editor is not None
        await wire.request("shutdown")
        assert list(supervisor.editors.values()) == [None]
        assert supervisor.followers == 0
        assert not supervisor.closed, "sessions are not the connection's to end (P9)"
    assert supervisor.closed, "the end of a process of its own is"
