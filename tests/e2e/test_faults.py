"""Every fault of the simulator, through the real server, the real SDK and real HTTP (P2, P3).

The oracle: whatever happened, the session is not dead - the next prompt gets a normal answer that
still knows the first prompt, the strict API refused nothing of ours, and no tool ran twice.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from e2e.server import Server, running
from holdfast.simulator import FAULTS, Script, Simulator

HELD = {"hold_ms": 2_500, "interval_ms": 20}
PACED = {"slow-drip": {"interval_ms": 1}}
GROUPS = [FAULTS[i::6] for i in range(6)]


async def survive(server: Server, simulator: Simulator, fault: str, workspace: Path) -> None:
    made = await server.command("session.create", workspaceUri=workspace.as_uri(), title=fault)
    session_id = made["sessionId"]
    await server.open(session_id)
    first = "The secret word is dulse."
    simulator.script(
        Script.parse(
            [
                {
                    "match": {"last_user_contains": first},
                    "fault": {"name": fault, **HELD, **PACED.get(fault, {})},
                    "times": 1,
                }
            ]
        )
    )
    sent = await server.command("turn.send", sessionId=session_id, text=first)
    if await server.settled(session_id, sent["turnId"]) == "paused":
        status = server.statuses[session_id]
        assert status["reason"], "P7: a pause has a reason"
        assert status["message"]
        assert status["advice"], "P3: a pause says what can be done"
    sent = await server.command("turn.send", sessionId=session_id, text="What was the secret word?")
    await server.ended(session_id, sent["turnId"])
    assert "dulse" in await server.last_answer(session_id), f"{fault}: the history is lost"
    refused = [entry for entry in simulator.refusals if entry.rule]
    assert refused == [], f"P2: {fault} led to a refused request"
    starts = Counter(e["toolUseId"] for e in server.of(session_id, "toolStarted"))
    assert all(count == 1 for count in starts.values()), f"P6: {fault} ran a tool twice"


@pytest.mark.parametrize("faults", GROUPS, ids=lambda faults: f"{faults[0]}-and-others")
@pytest.mark.survives(
    "A04", "A05", "A06", "A11", "A12", "A23", "A24", "A25", "A27", "A28", "A34", "A35"
)
@pytest.mark.survives("C01", "C03", "C11", "D22", "V2")
async def test_P3_after_every_fault_the_next_prompt_gets_its_answer(
    faults: tuple[str, ...], tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("kelp\n")
    async with Simulator() as simulator, running(simulator, tmp_path) as server:
        for fault in faults:
            await survive(server, simulator, fault, workspace)
            simulator.clear_log()
