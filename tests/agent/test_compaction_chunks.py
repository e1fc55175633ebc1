"""Chunked compaction in a session, over the real wire: reuse, restarts, gateways (P5; B01-B03)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.stage import Room, room, step, supervised
from holdfast.session import events as ev
from holdfast.simulator import Script, Simulator

CHUNK = {"system_contains": "note on one part"}
NOTE = "The questions of this part were answered; the words were counted and nothing is open."
ONLY_CHUNKS = (
    step({"has_compaction": True}, fault={"name": "gateway-timeout"}, times=None),
    step({"system_contains": "hand-over note"}, fault={"name": "gateway-timeout"}, times=None),
)
"""A gateway that lets nothing large through."""
WIDE: dict[str, Any] = {
    "window_tokens": 60_000,
    "contextWindowTokens": 60_000,
    "compaction": {"deadlineSeconds": 20},
}


async def talk(session: Room, times: int = 20) -> None:
    for number in range(times):
        await session.answered(f"question {number} " + f"word{number} " * 900)


def chunk_requests(simulator: Simulator) -> list[str]:
    """Return the words of every request for the note on a part, in order."""
    return [
        entry.body["messages"][0]["content"][0]["text"]
        for entry in simulator.log
        if "note on one part" in entry.system
    ]


async def test_B03_chunks_are_summarised_once_each_and_joined(tmp_path: Path) -> None:
    async with room(tmp_path, *ONLY_CHUNKS, step(CHUNK, say=NOTE, times=None), **WIDE) as session:
        await talk(session)
        await session.supervisor.compact(session.session_id, "")
        prepared = await session.until(ev.CompactionPrepared)
        assert prepared.rung is ev.Rung.CHUNKS
        asked = chunk_requests(session.simulator)
        assert len(asked) == len(set(asked)) > 1
        done = session.of(ev.CompactionChunkSummarised)
        assert len(done) == len(asked)
        assert [chunk.summary for chunk in done] == [NOTE] * len(done)
        await session.answered("and now?")
        assert session.simulator.refusals == []


@pytest.mark.survives("B01")
async def test_B01_a_gateway_that_goes_by_size_gets_smaller_chunks_until_they_pass(
    tmp_path: Path,
) -> None:
    cut = {"body_bytes_over": 45_000}
    async with room(
        tmp_path,
        step({**cut, "has_compaction": True}, fault={"name": "gateway-timeout"}, times=None),
        step({**cut, "has_tools": False}, fault={"name": "gateway-timeout"}, times=None),
        step(CHUNK, say=NOTE, times=None),
        **WIDE,
    ) as session:
        await talk(session)
        await session.supervisor.compact(session.session_id, "")
        prepared = await session.until(ev.CompactionPrepared)
        assert prepared.rung is ev.Rung.CHUNKS
        sizes = [e.input_tokens for e in session.of(ev.CompactionRungFailed)]
        assert sizes == sorted(sizes, reverse=True)
        assert all(entry.body_bytes <= 45_000 for entry in session.simulator.log[-3:])


@pytest.mark.survives("B01", "B02")
async def test_B01_a_restart_in_the_middle_repeats_no_finished_chunk(tmp_path: Path) -> None:
    """Counted by what the API was asked, not by what the journal says."""
    steps = (
        *ONLY_CHUNKS,
        step(CHUNK, say=NOTE, times=2),
        step(CHUNK, fault={"name": "headers-never"}, times=None, label="hanging"),
    )
    async with Simulator(Script.parse(list(steps)), window_tokens=60_000) as simulator:
        settings = {k: v for k, v in WIDE.items() if k != "window_tokens"}
        async with supervised(simulator, tmp_path / "data", **settings) as first:
            session_id = await first.create(workspace_uri=None, title=None, model=None)
            before = Room(first, simulator, session_id)
            await talk(before)
            await first.compact(session_id, "")
            await simulator.wait_until(lambda log: any(e.step == "hanging" for e in log), 10)
            await before.until(
                ev.CompactionChunkSummarised,
                lambda _: len(before.of(ev.CompactionChunkSummarised)) == 2,
            )
            finished = {chunk.key for chunk in before.of(ev.CompactionChunkSummarised)}
            await before.leave()
        asked_before = chunk_requests(simulator)
        simulator.script(Script.parse([*ONLY_CHUNKS, step(CHUNK, say=NOTE, times=None)]).steps)
        async with supervised(simulator, tmp_path / "data", **settings) as second:
            after = Room(second, simulator, session_id)
            prepared = await after.until(ev.CompactionPrepared)
            chunks = after.of(ev.CompactionChunkSummarised)
            await after.leave()
        assert prepared.rung is ev.Rung.CHUNKS
        asked_after = chunk_requests(simulator)[len(asked_before) :]
        assert asked_before[0] not in asked_after
        assert len(set(asked_after)) == len(asked_after) == len(chunks) - len(finished)
        assert len({chunk.key for chunk in chunks}) == len(chunks)


@pytest.mark.survives("B02", "B10")
async def test_P3_twenty_turns_go_on_while_every_compaction_call_fails_for_ever(
    tmp_path: Path,
) -> None:
    """Also when a second and a third compaction are needed; no request is ever refused."""
    async with room(
        tmp_path,
        step({"has_compaction": True}, fault={"name": "gateway-timeout"}, times=None),
        step({"has_tools": False}, fault={"name": "reset"}, times=None),
        window_tokens=30_000,
        contextWindowTokens=30_000,
        compaction={"deadlineSeconds": 1},
        retry={"maxDelaySeconds": 0.1},
    ) as session:
        for number in range(20):
            await session.answered(f"question {number} " + f"word{number} " * 2_200)
            assert session.of(ev.TurnEnded)[-1].reason is ev.TurnEnd.COMPLETED
        committed = session.of(ev.CompactionCommitted)
        assert len(committed) >= 3
        assert {e.rung for e in session.of(ev.CompactionPrepared)} <= {
            ev.Rung.DIGEST,
            ev.Rung.CLEARED,
        }
        assert session.simulator.refusals == []
