"""Compaction that cannot strand a session (P4, P5, P7; B01, B07, B08, B16)."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.stage import Room, room, step
from holdfast.agent.api import NothingToCompact
from holdfast.session import events as ev

SUMMARISER = {"system_contains": "hand-over note"}
NOTE = "Goal: to know kelp. Done: three questions were answered. Nothing is open."


async def talk(session: Room, times: int = 3, words: str = "") -> None:
    for number in range(times):
        await session.answered(f"question {number} {words}")


@pytest.mark.survives("B18")
async def test_a_summary_by_the_model_comes_into_force_and_can_be_undone(tmp_path: Path) -> None:
    async with room(tmp_path, step(SUMMARISER, say=NOTE)) as session:
        await talk(session, words="word " * 400)
        before = [m.text for m in await all_messages(session)]
        compaction_id = await session.supervisor.compact(session.session_id, "")
        committed = await session.until(ev.CompactionCommitted)
        assert committed.compaction_id == compaction_id
        await session.answered("and now?")
        body = session.simulator.log[-1].body
        assert NOTE in body["messages"][0]["content"][0]["text"]
        assert [m.text for m in await all_messages(session)][: len(before)] == before
        assert await session.supervisor.undo_compaction(session.session_id) == compaction_id
        await session.answered("and then?")
        assert NOTE not in str(session.simulator.log[-1].body)
        assert session.simulator.refusals == []


@pytest.mark.survives("V3")
async def test_B01_with_504_on_every_compaction_call_a_prompt_is_answered_and_a_digest_follows(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path, step(SUMMARISER, fault={"name": "gateway-timeout"}, times=None)
    ) as session:
        await talk(session)
        await session.answered("the secret word is dulse")
        await session.supervisor.compact(session.session_id, "")
        await session.until(ev.CompactionRungFailed)
        await session.answered("while that fails?")
        assert not session.of(ev.CompactionCommitted), "answered while it was still failing"
        await session.until(ev.CompactionCommitted)
        assert [e.rung for e in session.of(ev.CompactionPrepared)] == [ev.Rung.DIGEST]
        assert "dulse" in await session.answered("what was the secret word?")
        assert session.simulator.refusals == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (step(SUMMARISER, say="no"), "empty"),
        (step(SUMMARISER, fault={"name": "empty-content"}), "empty"),
        (step(SUMMARISER, fault={"name": "refusal"}), "refusal"),
        (step(SUMMARISER, say=NOTE, stop_reason="max_tokens"), "max_tokens"),
        (step(SUMMARISER, say=NOTE, calls=[("read", {"path": "a"})]), "toolCall"),
        (step(SUMMARISER, say=NOTE * 100), "notSmaller"),
    ],
)
async def test_B08_an_unacceptable_summary_falls_down_the_ladder_with_its_reason(
    tmp_path: Path, said: dict[str, object], reason: str
) -> None:
    async with room(tmp_path, said) as session:
        await talk(session, words="word " * 100)
        await session.supervisor.compact(session.session_id, "")
        await session.until(ev.CompactionCommitted)
        assert [e.reason for e in session.of(ev.CompactionRungFailed)] == [reason]
        assert [e.rung for e in session.of(ev.CompactionPrepared)] == [ev.Rung.DIGEST]


async def test_B16_a_compaction_is_cancelled_at_once_and_changes_nothing(tmp_path: Path) -> None:
    async with room(
        tmp_path, step(SUMMARISER, fault={"name": "headers-never"}, times=None)
    ) as session:
        await talk(session)
        await session.supervisor.compact(session.session_id, "")
        await session.until_status(lambda s: s.progress is not None)
        await session.supervisor.cancel_compaction(session.session_id)
        ended = await session.until(ev.CompactionEnded)
        assert ended.outcome is ev.CompactionEnd.CANCELLED
        await session.answered("go on")
        assert not session.of(ev.CompactionCommitted)


async def test_progress_never_goes_back(tmp_path: Path) -> None:
    async with room(tmp_path, step(SUMMARISER, say=NOTE * 20, per_delta_ms=2)) as session:
        await talk(session, words="word " * 2_000)
        await session.supervisor.compact(session.session_id, "")
        await session.until(ev.CompactionCommitted)
        percentages = [s.progress.percentage for s in session.statuses if s.progress is not None]
        assert percentages
        assert percentages == sorted(percentages)


@pytest.mark.survives("B06")
async def test_the_soft_mark_starts_a_compaction_beside_the_session(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step(SUMMARISER, say=NOTE, times=None),
        window_tokens=40_000,
        contextWindowTokens=40_000,
    ) as session:
        await talk(session, times=6, words="word " * 3_500)
        started = await session.until(ev.CompactionStarted)
        assert started.trigger == "auto"
        await session.until(ev.CompactionCommitted)
        await session.answered("still here?")
        assert session.simulator.refusals == []


@pytest.mark.survives("A24")
async def test_P5_when_nothing_else_fits_the_local_digest_makes_room_without_the_model(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path,
        step(SUMMARISER, fault={"name": "headers-never"}, times=None),
        window_tokens=40_000,
        contextWindowTokens=40_000,
    ) as session:
        await talk(session, times=10, words="word " * 3_500)
        committed = session.of(ev.CompactionCommitted)
        assert committed
        assert {e.rung for e in session.of(ev.CompactionPrepared)} == {ev.Rung.DIGEST}
        assert session.simulator.refusals == []


@pytest.mark.survives("A24")
async def test_an_overflow_answer_of_the_api_compacts_and_sends_again(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "big"}, fault={"name": "prompt-too-long"}),
        step({"last_user_contains": "big"}, say="Now it fits."),
    ) as session:
        await talk(session)
        assert await session.answered("big") == "Now it fits."
        assert session.of(ev.CompactionStarted)[0].trigger == "overflow"


async def test_there_may_be_nothing_to_compact(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        with pytest.raises(NothingToCompact):
            await session.supervisor.compact(session.session_id, "")


async def all_messages(session: Room) -> list[object]:
    return await session.supervisor.messages(session.session_id, limit=None, before=None)
