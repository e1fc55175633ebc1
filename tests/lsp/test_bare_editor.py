"""A session from birth to recovery in an editor that knows nothing of Holdfast (P10).

Law: the client is pytest-lsp with the capabilities of a released editor; it checks what the server
sends against the specification. Every message must be expected, and every request be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pytest_lsp import LanguageClient, client_capabilities
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES

from holdfast.lsp.commands import COMMANDS
from holdfast.simulator import Match, Respond, Simulator, Step, TextItem, ToolUseItem
from lsp.raw_editor import WAIT_S, server_command, server_environ

VSCODE = "visual_studio_code@v1.65.2"


class BareEditor(LanguageClient):
    """An editor with nothing but the specification."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[types.ShowMessageRequestParams] = []
        self.registrations: list[str] = []
        self.executed: set[str] = set()
        self.folders: list[str] = []
        self.choose: Callable[[list[str]], str | None] = lambda _: None
        for method, function in DEFAULT_CLIENT_FEATURES.items():
            self.feature(method)(function)
        self.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)(show_message_request)
        self.feature(types.CLIENT_REGISTER_CAPABILITY)(register_capability)

    async def start(self, data_dir: Path, base_url: str, like: str, workspace: Path) -> None:
        await self.start_io(*server_command(data_dir), env=server_environ(base_url))
        capabilities = client_capabilities(like)
        assert capabilities.window is not None
        capabilities.window.work_done_progress = True
        folder = types.WorkspaceFolder(workspace.as_uri(), "workspace")
        self.folders = [folder.uri]
        await self.initialize_session(
            types.InitializeParams(capabilities, workspace_folders=[folder])
        )

    async def command(self, name: str, **arguments: Any) -> Any:
        params = types.ExecuteCommandParams(name, [arguments])
        self.executed.add(name)
        return await asyncio.wait_for(self.workspace_execute_command_async(params), WAIT_S)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what a client learns from the server's messages."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.02)

    async def until_phase(self, session_id: str, phase: str) -> dict[str, Any]:
        """Ask for the state until it is this one, as a client without notifications does."""
        async with asyncio.timeout(WAIT_S):
            while True:
                state = await self.command("holdfast.session.state", sessionId=session_id)
                if state["phase"] == phase:
                    return dict(state)
                await asyncio.sleep(0.02)

    async def last_answer(self, session_id: str) -> str:
        found = await self.command("holdfast.session.messages", sessionId=session_id)
        return str(found["messages"][-1]["text"])

    def progress_kinds(self) -> dict[Any, list[str]]:
        return {token: [v.kind for v in values] for token, values in self.progress_reports.items()}


async def show_message_request(
    client: BareEditor, params: types.ShowMessageRequestParams
) -> types.MessageActionItem | None:
    client.questions.append(params)
    title = client.choose([action.title for action in params.actions or []])
    return None if title is None else types.MessageActionItem(title=title)


def register_capability(client: BareEditor, params: types.RegistrationParams) -> None:
    client.registrations += [registration.method for registration in params.registrations]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def client() -> AsyncIterator[BareEditor]:
    client = BareEditor()
    yield client
    if client._server is not None and client._server.returncode is None:
        await client.shutdown_session()
    await client.stop()
    assert client.messages == [], "no message came that the test does not know of"
    for kinds in client.progress_kinds().values():
        assert kinds[0] == "begin"
        assert kinds[-1] == "end"
        assert set(kinds[1:-1]) <= {"report"}


def calls_a_command() -> list[Step]:
    call = ToolUseItem(name="run", input={"command": "echo from-the-tool"})
    return [
        Step(match=Match(last_user_contains="run it"), respond=Respond(content=(call,))),
        Step(
            match=Match(last_result_contains="from-the-tool"),
            respond=Respond(content=(TextItem(text="It said from-the-tool."),)),
        ),
    ]


async def test_a_whole_session_works_without_any_custom_capability(
    client: BareEditor, simulator: Simulator, tmp_path: Path
) -> None:
    """P10: create, prompt, permission, stop, compact, resume."""
    simulator.script(calls_a_command())
    client.choose = lambda titles: titles[0]
    (tmp_path / "work").mkdir()
    await client.start(tmp_path / "data", simulator.base_url, VSCODE, tmp_path / "work")
    created = await client.command(
        "holdfast.session.create", workspaceUri=(tmp_path / "work").as_uri()
    )
    session: str = created["sessionId"]

    accepted = await client.command("holdfast.turn.send", sessionId=session, text="run it")
    assert accepted["queued"] is False
    await client.until(lambda: client.questions)
    assert "echo from-the-tool" in client.questions[0].message
    await client.until_phase(session, "idle")
    assert await client.last_answer(session) == "It said from-the-tool."
    assert len(client.questions) == 1

    slow = Respond(content=(TextItem(text="word " * 2_000),), per_delta_ms=20)
    simulator.script([Step(respond=slow)])
    await client.command("holdfast.turn.send", sessionId=session, text="write a novel")
    await client.until_phase(session, "streaming")
    assert (await client.command("holdfast.turn.stop", sessionId=session))["phase"] == "idle"

    simulator.script([])
    await client.command("holdfast.turn.send", sessionId=session, text="go on")
    await client.until_phase(session, "idle")
    compaction = await client.command("holdfast.session.compact", sessionId=session)
    assert compaction["compactionId"]
    await client.until(lambda: "end" in [*chain(*client.progress_kinds().values())])
    resumed = await client.command("holdfast.turn.resume", sessionId=session)
    assert resumed["phase"] == "idle"
    await client.command("holdfast.turn.send", sessionId=session, text="still there?")
    await client.until_phase(session, "idle")
    assert "still there?" in await client.last_answer(session)
    assert simulator.refusals == []
    assert client.registrations == [types.WORKSPACE_DID_CHANGE_CONFIGURATION]


async def test_a_killed_server_goes_on_in_the_next_window(
    client: BareEditor, simulator: Simulator, tmp_path: Path
) -> None:
    """P1, P9: the turn is answered by the next server, which the question follows into."""
    simulator.script(calls_a_command())
    (tmp_path / "work").mkdir()
    place = (tmp_path / "data", simulator.base_url)
    uri = (tmp_path / "work").as_uri()
    doomed = BareEditor()
    await doomed.start(*place, "emacs@v29.1", tmp_path / "work")
    created = await doomed.command("holdfast.session.create", workspaceUri=uri)
    session: str = created["sessionId"]
    await doomed.command("holdfast.turn.send", sessionId=session, text="run it")
    await doomed.until(lambda: doomed.questions)
    assert doomed._server is not None
    doomed._server.kill()
    await doomed.stop()

    client.choose = lambda titles: titles[0]
    await client.start(*place, "neovim@v0.10.0", tmp_path / "work")
    await client.until(lambda: client.questions)
    await client.until_phase(session, "idle")
    assert await client.last_answer(session) == "It said from-the-tool."
    assert simulator.refusals == []


async def compacts(on_session: Callable[..., Awaitable[Any]], client: BareEditor) -> None:
    """Compact, read what was compacted, undo, redo and undo."""
    await on_session("session.compact")
    await client.until(lambda: "end" in [*chain(*client.progress_kinds().values())])
    done = await on_session("session.compactions")
    assert [each["state"] for each in done["compactions"]] == ["committed"]
    assert "in force" in done["compactions"][0]["label"]
    assert done["report"].startswith("# Compactions of ")
    compaction = {"compactionId": done["compactions"][0]["compactionId"]}
    covered = await on_session("session.compactionText", **compaction)
    assert "from-the-tool" in covered["text"]
    assert (await on_session("session.compactionText", **compaction, part="summary"))["text"]
    assert await on_session("session.undoCompaction") == compaction
    assert await on_session("session.redoCompaction") == compaction
    assert await on_session("session.undoCompaction") == compaction


async def chooses_a_model(client: BareEditor, session: str) -> None:
    [endpoint] = (await client.command("holdfast.endpoint.list"))["endpoints"]
    models = (await client.command("holdfast.model.list", endpoint=endpoint["name"]))["models"]
    rows = (await client.command("holdfast.model.choices", sessionId=session))["choices"]
    assert {each["model"] for each in models} <= {row.get("model") for row in rows}
    await client.command("holdfast.model.select", sessionId=session, model=models[0]["model"])


async def asks_about_transcripts(client: BareEditor, source: Path, work: Path) -> None:
    uri = source.as_uri()
    report = await client.command("holdfast.transcript.check", uri=uri)
    repaired = await client.command("holdfast.transcript.repair", uri=uri, dryRun=True)
    assert (report["format"], repaired["output"]) == ("claude-code", None)
    continued = await client.command("holdfast.transcript.import", uri=uri)
    (made,) = [
        row
        for row in (await client.command("holdfast.session.list"))["sessions"]
        if row["sessionId"] == continued["sessionId"]
    ]
    assert made["workspaceUri"] in client.folders, "its own folder is on another machine"
    found = await client.command("holdfast.transcript.list", workspaceUri=work.as_uri())
    assert isinstance(found["sessions"], list)
    await client.command("holdfast.session.delete", sessionId=continued["sessionId"])


async def test_every_command_of_the_table_does_its_work(
    client: BareEditor, simulator: Simulator, tmp_path: Path
) -> None:
    """P10: no command needs more than `workspace/executeCommand`."""
    simulator.script(calls_a_command())
    work = tmp_path / "work"
    work.mkdir()
    await client.start(tmp_path / "data", simulator.base_url, VSCODE, work)

    async def on_session(name: str, **arguments: Any) -> Any:
        return await client.command(f"holdfast.{name}", sessionId=session, **arguments)

    async def prompt(text: str, prompt_id: str) -> None:
        await on_session("turn.send", text=text, promptId=prompt_id)
        await client.until_phase(session, "idle")

    made = await client.command("holdfast.session.create", workspaceUri=work.as_uri())
    session = made["sessionId"]
    await on_session("session.open", sinceSeq=0)
    await on_session("turn.send", text="run it" + " word" * 2_000, promptId="p1")
    asking = await client.until_phase(session, "asking")
    question = asking["questions"][0]["questionId"]
    await client.command("holdfast.permission.answer", questionId=question, answer="allow")
    await client.until_phase(session, "idle")
    shown = (await on_session("session.items"))["items"]
    (call,) = [item["toolUseId"] for item in shown if item["kind"] == "tool"]
    assert "from-the-tool" in (await on_session("tool.output", toolUseId=call))["text"]
    assert (await on_session("tool.diff", toolUseId=call))["state"] == "unknown"
    await prompt("second", "p2")
    await prompt("third", "p3")
    assert (await on_session("session.repair", dryRun=True))["findings"] == []
    await compacts(on_session, client)
    await on_session("session.cancelCompaction")
    for verb in ("stop", "resume", "retry"):
        assert (await on_session(f"turn.{verb}"))["phase"] == "idle"
    fork = (await on_session("session.fork", beforePromptId="p3"))["sessionId"]
    await on_session("session.rewind", promptId="p3")
    texts = [m["text"] for m in (await on_session("session.messages"))["messages"]]
    assert "second" in texts
    assert "third" not in texts
    await on_session("session.rename", title="Renamed")
    await on_session("session.archive")
    assert "Renamed" in (await on_session("session.export", format="markdown"))["content"]
    await chooses_a_model(client, session)
    source = Path(__file__).parent.parent / "corpora/claude-code/cipher-box-2.1.49_d9bd077a.jsonl"
    imported = await client.command("holdfast.session.import", uri=source.as_uri())
    await asks_about_transcripts(client, source, work)
    await client.command("holdfast.session.delete", sessionId=fork)
    listed = (await client.command("holdfast.session.list"))["sessions"]
    assert {row["sessionId"] for row in listed} == {session, imported["sessionId"]}
    assert (await client.command("holdfast.server.info"))["version"]
    assert (await client.command("holdfast.doctor.run", free=True))["verdict"]
    assert "verdict" in (await client.command("holdfast.doctor.bundle"))["text"]
    given = await client.command("holdfast.credentials.set", apiKey="another")
    assert (given, simulator.refusals) == ({"source": "client"}, [])
    assert client.executed == set(COMMANDS)
