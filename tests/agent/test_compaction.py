"""Compaction that cannot strand a session, over the real wire (P4, P5, P7; B01, B07, B08, B16).

What each rung does by itself is in test_compaction_ladder.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.stage import Room, room, step
from holdfast.agent.errors import NothingToCompact
from holdfast.session import events as ev

SUMMARISER = {"system_contains": "hand-over note"}
ANY_SUMMARISER = {"has_tools": False}
"""A summariser is shown words and has no tools, the session always has some."""
NOTE = "Goal: to know kelp. Done: three questions were answered. Nothing is open."
BY_SUMMARY: dict[str, Any] = {
    "window_tokens": 40_000,
    "contextWindowTokens": 40_000,
    "compaction": {"deadlineSeconds": 10, "method": "summary"},
}
"""A small window, of which little is kept, and a model that writes the summary."""


async def talk(session: Room, times: int = 14, words: str = "word " * 800) -> None:
    for number in range(times):
        await session.answered(f"question {number} {words}")


@pytest.mark.survives("B18")
async def test_a_summary_by_the_model_comes_into_force_and_can_be_undone(tmp_path: Path) -> None:
    async with room(tmp_path, step(SUMMARISER, say=NOTE), **BY_SUMMARY) as session:
        await talk(session)
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
        tmp_path, step(ANY_SUMMARISER, fault={"name": "gateway-timeout"}, times=None), **BY_SUMMARY
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
        ({"say": "no"}, "empty"),
        ({"fault": {"name": "empty-content"}}, "empty"),
        ({"fault": {"name": "refusal"}}, "refusal"),
        ({"say": NOTE, "stop_reason": "max_tokens"}, "max_tokens"),
        ({"say": NOTE, "calls": [("read", {"path": "a"})]}, "toolCall"),
        ({"say": "question 0 " + "word " * 700}, "tooSimilar"),
    ],
)
async def test_B08_an_unacceptable_summary_falls_down_the_ladder_with_its_reason(
    tmp_path: Path, said: dict[str, Any], reason: str
) -> None:
    async with room(tmp_path, step(SUMMARISER, times=None, **said), **BY_SUMMARY) as session:
        await talk(session)
        await session.supervisor.compact(session.session_id, "")
        await session.until(ev.CompactionCommitted)
        fell = [(e.rung, e.reason) for e in session.of(ev.CompactionRungFailed)]
        assert fell == [(ev.Rung.SUMMARY, reason)] * 2
        assert [e.rung for e in session.of(ev.CompactionPrepared)] == [ev.Rung.DIGEST]


async def test_B16_a_compaction_is_cancelled_at_once_and_changes_nothing(tmp_path: Path) -> None:
    async with room(
        tmp_path, step(ANY_SUMMARISER, fault={"name": "headers-never"}, times=None), **BY_SUMMARY
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
    said = step(SUMMARISER, say=NOTE * 20, per_delta_ms=2)
    async with room(tmp_path, said, **BY_SUMMARY) as session:
        await talk(session)
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
        **BY_SUMMARY,
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
        step(ANY_SUMMARISER, fault={"name": "headers-never"}, times=None),
        **BY_SUMMARY,
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
        **BY_SUMMARY,
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
