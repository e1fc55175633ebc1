"""A key that a client hands over is nowhere but in memory (P11): a whole run, then a search."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator import Fault, Simulator, Step
from lsp.raw_editor import RawEditor, Refused, frame, server_command, server_environ

SECRET = "sk-ant-api03-never-to-be-seen"
SET = "holdfast.credentials.set"

MALFORMED: list[list[Any]] = [
    [SECRET],
    [{"apiKey": [SECRET]}],
    [{"apiKey": {"key": SECRET}}],
    [{"apiKey": SECRET * 1_000}],
    [{"apiKey": 1, "authToken": SECRET}],
    [{"apiKey": SECRET}, SECRET],
    [[{"apiKey": SECRET}]],
]


async def use(editor: RawEditor, session: str) -> None:
    """Pause for want of a key, hand it over in good and bad ways, and be answered."""
    await editor.command("holdfast.turn.send", {"sessionId": session, "text": "hello"})
    await until_phase(editor, session, "paused")
    for arguments in MALFORMED:
        with pytest.raises(Refused) as refused:
            await editor.command(SET, *arguments)
        assert SECRET not in f"{refused.value.message} {refused.value.data}"
    editor.send_bytes(frame({"params": {"apiKey": SECRET}}))
    broken = json.dumps({"method": SET, "params": SECRET}).encode()[:-1]
    editor.send_bytes(b"Content-Length: %d\r\n\r\n%b" % (len(broken), broken))
    editor.notify("workspace/executeCommand", {"command": SET, "arguments": SECRET})
    assert await editor.command(SET, {"apiKey": f" {SECRET}\n"}) == {"source": "client"}
    await until_phase(editor, session, "idle")
    export = {"sessionId": session, "format": "jsonl"}
    assert SECRET not in json.dumps(await editor.command("holdfast.session.export", export))
    assert await editor.command(SET, {}) == {"source": "none"}


async def until_phase(editor: RawEditor, session: str, phase: str) -> None:
    async with asyncio.timeout(20):
        while True:
            state = await editor.command("holdfast.session.state", {"sessionId": session})
            if state["phase"] == phase:
                return
            await asyncio.sleep(0.02)


async def test_P11_a_key_of_the_client_is_in_no_log_answer_export_or_file(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "server.log"
    echo = Step(fault=Fault(name="overloaded", message=f"overloaded, {SECRET}"))
    async with Simulator() as simulator:
        simulator.script([echo])
        environ = server_environ(simulator.base_url)
        del environ["ANTHROPIC_API_KEY"]
        process = await asyncio.create_subprocess_exec(
            *server_command(data),
            "--log-file",
            str(log),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**environ, "PYTHONASYNCIODEBUG": "1"},
        )
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        editor = RawEditor(process)
        await editor.initialize({}, retry={"maxDelaySeconds": 0.1})
        created = await editor.command("holdfast.session.create", {})
        await use(editor, created["sessionId"])
        assert await editor.stop() == 0
        shown = json.dumps(editor.inbox).encode() + await errors
        assert simulator.refusals == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert log in files
    for found in [shown, *(path.read_bytes() for path in files)]:
        assert SECRET.encode() not in found
