"""Servers that are ended, stopped and continued in the middle of a turn (P1, P3, P6, P9)."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from e2e.nursery import Nursery
from e2e.server import Server, start
from e2e.suspended import check_kept
from holdfast.simulator import Script, Simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

END_LIMIT_S = 15.0
STOPPED_S = 1.3
"""Longer than the stream's idle limit in these tests, shorter than any lease's."""


def script(name: str) -> list[dict[str, Any]]:
    """A streamed text, a command that takes its time and leaves a mark, a streamed end."""
    command = f"echo {name} >> effects.log; sleep 0.2; echo ok-{name}"
    call = {"type": "tool_use", "name": "run", "input": {"command": command}}
    return [
        {
            "match": {"last_user_contains": f"work {name}."},
            "times": None,
            "respond": {"content": [text("I begin with a command. " * 4), call], "per_delta_ms": 4},
        },
        {
            "match": {"has_tool_results": True},
            "times": None,
            "respond": {"content": [text("All is done. " * 6)], "per_delta_ms": 4},
        },
    ]


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "chunk": 4}


async def session_in(server: Server, workspace: Path) -> str:
    workspace.mkdir(exist_ok=True)
    made = await server.command("session.create", workspaceUri=workspace.as_uri(), title="s")
    await server.open(made["sessionId"])
    return str(made["sessionId"])


async def end(server: Server, way: str) -> int | None:
    """End a server as `way` says and return its exit code, bounded in time."""
    client = server.client
    assert client is not None
    match way:
        case "SIGTERM":
            client._process.send_signal(signal.SIGTERM)
        case "exit":
            client.notify("exit", None)
        case "closed stdin":
            assert client._process.stdin is not None
            client._process.stdin.close()
    async with asyncio.timeout(END_LIMIT_S):
        code = await client._process.wait()
    await client._gone()
    return code


def check_ran_once(workspace: Path) -> None:
    marks = workspace / "effects.log"
    ran = Counter(marks.read_text().splitlines() if marks.exists() else ())
    assert all(count == 1 for count in ran.values()), f"P6: {ran}"


@pytest.mark.parametrize("moment", ["blockDelta", "toolStarted"])
@pytest.mark.parametrize(("way", "code"), [("SIGTERM", 0), ("exit", 1), ("closed stdin", 0)])
@pytest.mark.survives("D19")
async def test_P9_a_turn_goes_on_in_the_next_server_however_the_last_one_was_ended(
    way: str, code: int, moment: str, nursery: Nursery, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    async with Simulator(Script.parse(script("a"))) as simulator:
        first = await start(simulator, tmp_path, nursery)
        session_id = await session_in(first, workspace)
        sent = await first.command("turn.send", sessionId=session_id, text="work a.")
        await first.until(lambda: first.of(session_id, moment), moment)
        assert await end(first, way) == code
        second = await start(simulator, tmp_path, nursery)
        await second.open(session_id)
        await second.ended(session_id, sent["turnId"])
        await check_kept(first, second, session_id)
        check_ran_once(workspace)
        again = await second.command("turn.send", sessionId=session_id, text="And now?")
        await second.ended(session_id, again["turnId"])
        assert simulator.refusals == [], "P2"
        assert await end(second, "exit") == 1


async def test_C09_a_server_that_was_stopped_and_continued_goes_on_and_does_nothing_twice(
    nursery: Nursery, tmp_path: Path
) -> None:
    """One session streams, one runs a command, one waits for a retry when the stop comes."""
    names = ("streams", "runs", "waits")
    overloaded = {
        "match": {"last_user_contains": "work waits."},
        "times": 2,
        "fault": {"name": "overloaded"},
    }
    steps = [overloaded, *(step for name in names for step in script(name))]
    async with Simulator(Script.parse(steps)) as simulator:
        server = await start(simulator, tmp_path, nursery)
        sessions = {name: await session_in(server, tmp_path / name) for name in names}
        for name, moment in zip(
            ("runs", "waits", "streams"),
            ("toolStarted", "retryScheduled", "blockDelta"),
            strict=True,
        ):
            session_id = sessions[name]
            await server.command("turn.send", sessionId=session_id, text=f"work {name}.")
            await server.until(lambda s=session_id, m=moment: server.of(s, m), moment)
        assert server.client is not None
        server.client._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_S)  # Real time is what this is about.
        server.client._process.send_signal(signal.SIGCONT)
        for name, session_id in sessions.items():
            await server.until(lambda s=session_id: server.of(s, "turnEnded"), f"{name} ends")
            # What arrived meanwhile is read before any limit counts.
            assert name == "waits" or not server.of(session_id, "requestFailed"), name
            sent = await server.command("turn.send", sessionId=session_id, text="And now?")
            await server.ended(session_id, sent["turnId"])
            await check_kept(server, server, session_id)
            check_ran_once(tmp_path / name)
        assert simulator.refusals == [], "P2"
        assert await end(server, "closed stdin") == 0
