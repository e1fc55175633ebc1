"""The protocol over real pipes: everything that asks is answered, whatever it asks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import pytest_asyncio

from holdfast.lsp.commands import COMMANDS
from holdfast.simulator import Fault, Match, Simulator, Step
from lsp.raw_editor import (
    RawEditor,
    Refused,
    frame,
    raw_editor,
    result_of,
    server_command,
    server_environ,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON_A_SESSION = [
    row
    for row in COMMANDS.values()
    if any(f.encode_name == "sessionId" for f in msgspec.structs.fields(row.params))
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def editor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawEditor]:
    """One server for all tests here: each of them shows that it goes on after the others."""
    async with (
        Simulator([_silent_models()]) as simulator,
        raw_editor(tmp_path_factory.mktemp("data"), simulator.base_url) as editor,
    ):
        editor.send({"id": "early", "method": "workspace/executeCommand", "params": {}})
        early = await editor.until_answer_to("early")
        assert early["error"]["code"] == -32002, "nothing is answered before initialize"
        await editor.initialize({})
        yield editor
        editor.inbox = [m for m in editor.inbox if m.get("method") != "window/logMessage"]
        assert editor.inbox == [], "nothing came that nobody asked for"
        assert await editor.stop() == 0


def _silent_models() -> Step:
    fault = Fault(name="headers-never", hold_ms=60_000)
    return Step(match=Match(kind="models"), times=None, fault=fault)


@pytest_asyncio.fixture(loop_scope="module")
async def session(editor: RawEditor) -> dict[str, str]:
    result: dict[str, str] = await editor.command("holdfast.session.create", {})
    return result


async def still_alive(editor: RawEditor) -> None:
    assert (await editor.command("holdfast.server.info"))["version"]


# -- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ON_A_SESSION, ids=lambda row: row.name)
async def test_an_unknown_session_is_refused_by_every_command(editor: RawEditor, row: Any) -> None:
    argument = {k: v for k, v in row.example.items() if k != "model"}
    with pytest.raises(Refused) as refusal:
        await editor.command(row.name, {**argument, "sessionId": "s_never"})
    assert (refusal.value.code, refusal.value.data["kind"]) == (-32602, "SessionUnknown")
    assert refusal.value.data["action"]


async def test_wrong_arguments_are_answered_with_the_name_of_the_field(editor: RawEditor) -> None:
    with pytest.raises(Refused, match=r"holdfast\.turn\.send: .*`sessionId`") as refusal:
        await editor.command("holdfast.turn.send", {"sessionId": 5})
    assert refusal.value.data["retryable"] is False


@pytest.mark.parametrize("argument", [{}, {"text": "a", "content": []}])
async def test_a_prompt_has_either_text_or_content(
    editor: RawEditor, session: dict[str, str], argument: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="either `text` or `content`"):
        await editor.command("holdfast.turn.send", {**session, **argument})


async def test_an_unknown_command_is_refused(editor: RawEditor) -> None:
    with pytest.raises(Refused) as refusal:
        await editor.command("holdfast.explode")
    assert refusal.value.data["kind"] == "UnknownCommand"


@pytest.mark.parametrize("arguments", [None, [], [{}], {}])
async def test_a_missing_argument_is_an_empty_object(editor: RawEditor, arguments: Any) -> None:
    params = {"command": "holdfast.session.list", "arguments": arguments}
    assert "sessions" in await editor.request("workspace/executeCommand", params)


async def test_json_in_arguments_is_data_whatever_its_keys_are(
    editor: RawEditor, session: dict[str, str]
) -> None:
    """A nested object with a `jsonrpc` key is no message."""
    nested = {"jsonrpc": "2.0", "method": "exit", "id": 1, "params": {}}
    with pytest.raises(Refused):
        await editor.command("holdfast.session.rename", {**session, "title": nested})
    result = await editor.command("holdfast.session.state", {**session, "more": [nested, nested]})
    assert result["phase"] == "idle"


async def test_a_giant_argument_is_read(editor: RawEditor, session: dict[str, str]) -> None:
    result = await editor.command("holdfast.session.state", {**session, "more": "x" * 20_000_000})
    assert result["sessionId"] == session["sessionId"]


async def test_half_a_character_becomes_a_replacement_character(editor: RawEditor) -> None:
    """A23: some editors send half of a surrogate pair."""
    created = await editor.command("holdfast.session.create", {"title": "half \ud83d"})
    found = await editor.command("holdfast.session.open", created)
    assert found["session"]["title"] == "half \ufffd"
    await editor.until_method("holdfast/status")


async def test_a_cancelled_request_is_answered_as_such(editor: RawEditor) -> None:
    """P7: every wait has a working stop button."""
    number, answer = editor.begin_request(
        "workspace/executeCommand", {"command": "holdfast.model.list"}
    )
    await still_alive(editor)
    editor.notify("$/cancelRequest", {"id": number})
    with pytest.raises(Refused) as refusal:
        await result_of(answer)
    assert refusal.value.code == -32800


# -- messages that do not fit --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("workspace/executeCommand", None, -32602),
        ("workspace/executeCommand", {"command": 5}, -32602),
        ("workspace/executeCommand", {"command": "x", "arguments": "y"}, -32602),
        ("textDocument/hover", {"textDocument": 5}, -32602),
        ("holdfast/unheardOf", {"any": {"thing": 1}}, -32601),
        (
            "textDocument/completion",
            {"textDocument": {"uri": "a"}, "position": {"line": 0, "character": 0}},
            -32601,
        ),
        ("initialize", {"capabilities": {}}, -32600),
    ],
)
async def test_a_request_that_does_not_fit_is_answered_with_its_id(
    editor: RawEditor, method: str, params: Any, code: int
) -> None:
    with pytest.raises(Refused) as refusal:
        await editor.request(method, params)
    assert refusal.value.code == code
    assert "Traceback" not in json.dumps([refusal.value.message, refusal.value.data])


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didOpen", {"textDocument": 5}),
        (
            "textDocument/didChange",
            {
                "textDocument": {"uri": "file:///no", "version": 1},
                "contentChanges": [{"text": "x"}],
            },
        ),
        ("$/unheardOf", {"a": 1}),
        ("workspace/didChangeConfiguration", {}),
        ("window/workDoneProgress/cancel", {"token": "unknown"}),
        ("$/cancelRequest", {"id": 999_999}),
    ],
)
async def test_a_notification_that_does_not_fit_costs_itself_only(
    editor: RawEditor, method: str, params: Any
) -> None:
    editor.notify(method, params)
    await still_alive(editor)


@pytest.mark.parametrize(
    "message",
    [
        [],
        [1, 2],
        5,
        None,
        "text",
        {},
        {"id": 7},
        {"id": None, "method": "x"},
        {"id": 1, "method": 2},
    ],
)
async def test_what_is_no_message_is_refused(editor: RawEditor, message: Any) -> None:
    editor.send_bytes(frame(message))
    error = await editor.until_error()
    assert error["code"] == -32600
    await still_alive(editor)


async def test_answers_that_nobody_waits_for_are_passed_over(editor: RawEditor) -> None:
    editor.send({"id": "unknown", "result": {"a": 1}})
    editor.send({"id": 5, "error": {"code": 1, "message": "x"}})
    editor.send({"id": [1], "result": None})
    await still_alive(editor)


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 9\r\n\r\nnot json!",
        b"Content-Length: x\r\n\r\n",
        b"Content-Type: text/plain\r\n\r\n",
        b"Content-Length: 3\r\n\r\n\xff\xfe\xfd",
        b"Content-Length: 2000000\r\n\r\n" + b"[" * 2_000_000,
        b"Content-Length: 9999999999999\r\n\r\n",
        b"Content-Length: 5\r\n\r\n" + b'{"jsonrpc":"2.0","id":1}',
    ],
)
async def test_a_malformed_frame_is_reported_and_the_next_one_is_read(
    editor: RawEditor, data: bytes
) -> None:
    editor.send_bytes(data)
    assert (await editor.until_error())["code"] == -32700
    await still_alive(editor)


async def test_frames_in_single_bytes_are_frames(editor: RawEditor) -> None:
    number, answer = editor.expect_answer()
    message = {"jsonrpc": "2.0", "id": number, "method": "workspace/executeCommand"}
    message["params"] = {"command": "holdfast.session.list"}
    for byte in frame(message):
        editor.send_bytes(bytes([byte]))
    assert "sessions" in await result_of(answer)


# -- starts and ends -----------------------------------------------------------------------------


async def test_exit_without_shutdown_is_an_error(tmp_path: Path) -> None:
    async with raw_editor(tmp_path) as editor:
        await editor.initialize({})
        editor.notify("exit")
        assert await editor.exit_code() == 1


async def test_a_process_that_is_told_to_stop_ends_cleanly(tmp_path: Path) -> None:
    async with raw_editor(tmp_path) as editor:
        await editor.initialize({})
        await editor.command("holdfast.session.create", {})
        editor.process.send_signal(signal.SIGTERM)
        assert await editor.exit_code() == 0


async def test_nothing_is_answered_after_shutdown_but_that_it_is_too_late(tmp_path: Path) -> None:
    async with raw_editor(tmp_path) as editor:
        await editor.initialize({})
        await editor.request("shutdown")
        with pytest.raises(Refused) as refusal:
            await editor.command("holdfast.session.list")
        assert refusal.value.code == -32600
        editor.notify("exit")
        assert await editor.exit_code() == 0


async def test_wrong_settings_are_named_and_nothing_stops(tmp_path: Path) -> None:
    async with raw_editor(tmp_path) as editor:
        await editor.initialize({}, maxOutputTokens="many", unheardOf=1)
        message = (await editor.until_method("window/showMessage"))["params"]["message"]
        assert "holdfast.maxOutputTokens" in message
        assert "holdfast.unheardOf" in message
        info = await editor.command("holdfast.server.info")
        assert [p["name"] for p in info["problems"]] == [
            "holdfast.maxOutputTokens",
            "holdfast.unheardOf",
        ]
        assert info["dataDir"] == str(tmp_path)
        assert await editor.stop() == 0


async def test_a_store_that_cannot_be_opened_is_told_and_tried_again(tmp_path: Path) -> None:
    """P3: the next command works once the cause is gone."""
    (tmp_path / "holdfast.db").mkdir()
    async with raw_editor(tmp_path) as editor:
        await editor.initialize({})
        message = (await editor.until_method("window/showMessage"))["params"]
        assert message["type"] == 1
        for _ in range(2):
            with pytest.raises(Refused) as refusal:
                await editor.command("holdfast.session.list")
            assert refusal.value.data["kind"] in ("StoreUnreadable", "StoreUnavailable")
        info = await editor.command("holdfast.server.info")
        assert info["store"]["state"] == "failed"
        (tmp_path / "holdfast.db").rmdir()
        assert await editor.command("holdfast.session.list") == {"sessions": []}
        assert (await editor.command("holdfast.server.info"))["store"] == {"state": "open"}
        assert editor.taken("window/showMessage") == [], "it is told once"
        assert await editor.stop() == 0


async def test_a_script_can_talk_through_files(tmp_path: Path) -> None:
    requests = [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}}},
        {"method": "initialized", "params": {}},
        {
            "id": 2,
            "method": "workspace/executeCommand",
            "params": {"command": "holdfast.session.list"},
        },
    ]
    said = b"".join(frame({"jsonrpc": "2.0", **request}) for request in requests)
    (tmp_path / "said").write_bytes(said)
    with (tmp_path / "said").open("rb") as stdin, (tmp_path / "answers").open("wb") as stdout:
        process = await asyncio.create_subprocess_exec(
            *server_command(tmp_path / "data"), stdin=stdin, stdout=stdout, env=server_environ(None)
        )
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    answers = (tmp_path / "answers").read_bytes()
    assert b'"id":1' in answers
    assert b'"result":{"sessions":[]}' in answers


async def test_stray_output_cannot_break_a_frame() -> None:
    """What libraries and child processes print goes to stderr, what they read is empty."""
    code = (
        "import os, sys\n"
        "from holdfast.lsp.stdio import take_standard_streams\n"
        "reading, writing = take_standard_streams()\n"
        "print('stray'); sys.stdout.flush()\n"
        "os.system('echo child; cat')\n"
        "os.write(writing, os.read(reading, 100))\n"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=pipe, stdout=pipe, stderr=pipe
    )
    said, log = await asyncio.wait_for(process.communicate(b"frame"), 20)
    assert said == b"frame"
    assert log.split() == [b"stray", b"child"]


# -- a start and nothing else --------------------------------------------------------------------


@attrs.frozen
class Start:
    """What a server did that was only asked to initialize, by an editor that went away then."""

    answer: dict[str, Any]
    imported: set[str]
    exit_code: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a server with capabilities that make no sense, and watch its imports."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime"),
        *server_command(tmp_path_factory.mktemp("data"))[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    capabilities = {"textDocument": {"hover": 5}, "window": 3, "own": 1}
    params = {"capabilities": capabilities}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    # Whatever is imported until the input ends was imported before the answer, or right after it.
    said, log = await asyncio.wait_for(process.communicate(frame(message)), 20)
    imported = {line.rpartition(b"|")[2].strip().decode() for line in log.splitlines()}
    assert process.returncode is not None
    return Start(json.loads(said.partition(b"\r\n\r\n")[2]), imported, process.returncode)


async def test_any_editor_can_start_it(start: Start) -> None:
    """P10: capabilities that make no sense are left out, not refused."""
    result = start.answer["result"]
    assert result["capabilities"]["executeCommandProvider"]["commands"] == list(COMMANDS)
    assert result["serverInfo"]["name"] == "holdfast"


async def test_nothing_heavy_is_imported_when_initialize_is_answered(start: Start) -> None:
    """S2."""
    assert "pygls.lsp.server" in start.imported
    assert start.imported & {"anthropic", "mcp", "psycopg", "PIL", "rich", "httpx2"} == set()


async def test_the_agent_is_not_imported_before_initialize_is_answered(start: Start) -> None:
    """S1: half of a start was modules that were needed for their types alone."""
    parts = {
        "holdfast.agent.driver",
        "holdfast.agent.supervisor",
        "holdfast.conversation.passes",
        "holdfast.conversation.rules",
        "holdfast.session.banners",
        "holdfast.session.inputs",
        "holdfast.session.state",
        "holdfast.media.fitting",
    }
    assert "holdfast.lsp.server" in start.imported
    assert start.imported & parts == set()


async def test_an_editor_that_is_gone_ends_the_process(start: Start) -> None:
    assert start.exit_code == 0
