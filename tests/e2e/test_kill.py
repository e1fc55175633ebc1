"""kill -9 of the real server process at seeded points under load (P1, P2, P3, P6, P9).

Each server that was started after a kill is the one that is killed next, so one run is a chain of
crashes of one store. The oracle after each: what was shown is in the journal as it was shown, what
was acknowledged is there, no command ran twice, the turn and the next prompt get their answers, and
the strict API refused nothing.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from e2e.server import Server, start
from holdfast.simulator import Script, Simulator

POINTS = 30
CHAINS = 3


def script(seed: int) -> Script:
    """Two rounds of tools between streamed texts; every command leaves a line in a file."""

    def run(name: str) -> dict[str, Any]:
        command = f"echo {seed}-{name} >> effects.log"
        return {"type": "tool_use", "name": "run", "input": {"command": command}}

    def say(text: str, *calls: dict[str, Any]) -> dict[str, Any]:
        return {
            "content": [{"type": "text", "text": text, "chunk": 4}, *calls],
            "per_delta_ms": 2,
        }

    work = f"work {seed}"
    return Script.parse(
        [
            {
                "match": {"last_user_contains": work},
                "respond": say("I begin with two commands. " * 3, run("a"), run("b")),
                "times": 1,
            },
            {
                "match": {"has_tool_results": True},
                "respond": say("Now the third of them. " * 3, run("c")),
                "times": 1,
            },
            {"match": {"has_tool_results": True}, "respond": say("All is done. " * 8)},
        ]
    )


async def journal(server: Server, session_id: str) -> list[dict[str, Any]]:
    exported = await server.command("session.export", sessionId=session_id, format="jsonl")
    return [json.loads(line) for line in exported["content"].splitlines()]


async def crash(server: Server, session_id: str, seed: int) -> str:
    """Let a turn begin and kill the server after a seeded number of shown events."""
    rng = random.Random(seed)
    sent = await server.command(
        "turn.send", sessionId=session_id, text=f"work {seed}", promptId=f"p{seed}"
    )
    shown = len(server.events[session_id])
    point = shown + rng.randint(0, 40)
    await server.until(
        lambda: (
            len(server.events[session_id]) >= point
            or any(e["turnId"] == sent["turnId"] for e in server.of(session_id, "turnEnded"))
        ),
        f"event {point}",
    )
    assert server.client is not None
    await server.client.kill()
    return str(sent["turnId"])


def check_shown(server: Server, session_id: str, lines: list[dict[str, Any]]) -> None:
    in_journal = {line["seq"]: line["event"] for line in lines}
    for shown in server.events[session_id]:
        assert in_journal[shown["seq"]] == shown["event"], "P1: shown, and now otherwise"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chain", range(CHAINS))
async def test_P1_P6_nothing_shown_is_lost_and_nothing_runs_twice_whenever_the_server_is_killed(
    chain: int, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    async with Simulator() as simulator:
        server = await start(simulator, tmp_path)
        made = await server.command(
            "session.create", workspaceUri=workspace.as_uri(), title=f"chain {chain}"
        )
        session_id = made["sessionId"]
        await server.open(session_id)
        for seed in range(chain, POINTS, CHAINS):
            simulator.script(script(seed))
            turn_id = await crash(server, session_id, seed)
            survivor = await start(simulator, tmp_path)
            await survivor.open(session_id)
            await survivor.ended(session_id, turn_id)
            check_shown(server, session_id, await journal(survivor, session_id))
            assert simulator.refusals == [], f"P2, seed {seed}"
            server = survivor
        sent = await server.command("turn.send", sessionId=session_id, text="Still there?")
        await server.ended(session_id, sent["turnId"])
        lines = await journal(server, session_id)
        accepted = {e["event"]["promptId"] for e in lines if e["event"]["type"] == "promptAccepted"}
        assert {f"p{seed}" for seed in range(chain, POINTS, CHAINS)} <= accepted
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        assert server.client is not None
        await server.client.stop()
    ran = Counter((workspace / "effects.log").read_text().splitlines())
    assert ran, "the commands did run"
    assert max(ran.values()) == 1, f"P6: {ran.most_common(3)}"
