"""What became of each compaction is told from the journal, and what it covers can be read (P12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.stage import Room, room, step
from holdfast.agent import compaction_reports
from holdfast.agent.api import CompactionReport
from holdfast.agent.compaction_reports import Stories
from holdfast.agent.compaction_words import MADE
from holdfast.agent.errors import UnknownCompaction
from holdfast.conversation.history import Block, Message, assistant, tool_result, user
from holdfast.session import events as ev
from holdfast.session.state import Compaction, SessionState

SUMMARISER = {"system_contains": "hand-over note"}
NOTE = "Goal: to know kelp. Done: the questions were answered. Nothing is open."
BY_SUMMARY = {"compaction": {"method": "summary"}}


def started(name: str = "c_5", cut: str = "20") -> ev.CompactionStarted:
    return ev.CompactionStarted(
        compaction_id=name, trigger="auto", cut_origin=cut, tokens_before=9_000
    )


def prepared(name: str = "c_5", **more: Any) -> ev.CompactionPrepared:
    given = {"rung": ev.Rung.SUMMARY, "summary": "All is well.", "tokens_after": 800, **more}
    return ev.CompactionPrepared(compaction_id=name, **given)


def committed(name: str = "c_5") -> ev.CompactionCommitted:
    return ev.CompactionCommitted(compaction_id=name)


def chunk(number: int, count: int) -> ev.CompactionChunkSummarised:
    return ev.CompactionChunkSummarised(
        compaction_id="c_5", key=f"k{number}/{count}", number=number, count=count, summary="s"
    )


def told(*events: ev.Event) -> Stories:
    """Each event comes a second after the one before."""
    stories = Stories()
    for second, event in enumerate(events):
        stories.take(event, second * 1000)
    return stories


def state_with(*names: str, messages: tuple[Message, ...] = ()) -> SessionState:
    in_force = [Compaction(name, "All is well.", "20", "25") for name in names]
    return SessionState(title="Kelp", messages=list(messages), compactions=in_force)


def the_report(stories: Stories, *in_force: str) -> CompactionReport:
    (found,) = compaction_reports.reports(stories, state_with(*in_force)).compactions
    return found


# -- reports -------------------------------------------------------------------------------------


def test_a_report_tells_each_try_with_its_reason_and_what_held_in_the_end() -> None:
    failed = ev.CompactionRungFailed(
        compaction_id="c_5",
        rung=ev.Rung.SUMMARY,
        attempt=1,
        reason="timeout",
        detail="Gateway Time-out",
        elapsed_ms=30_000,
    )
    stories = told(
        started(),
        failed,
        chunk(1, 2),
        chunk(2, 2),
        prepared(rung=ev.Rung.CHUNKS, model="m"),
        committed(),
        ev.CompactionMeasured(compaction_id="c_5", tokens=1_234),
    )
    found = the_report(stories, "c_5")
    assert (found.state, found.rung, found.trigger, found.model) == (
        "committed", "chunks", "auto", "m",
    )  # fmt: skip
    assert (found.tokens_before, found.tokens_after, found.tokens_measured) == (9_000, 800, 1_234)
    assert found.duration_ms == 5_000
    assert found.chunks is not None
    assert (found.chunks.done, found.chunks.count) == (2, 2)
    (tried,) = found.attempts
    assert (tried.rung, tried.attempt, tried.reason, tried.elapsed_ms) == (
        "summary", 1, "timeout", 30_000,
    )  # fmt: skip
    assert (found.label, found.sizes, found.reasons) == (
        "summaries of chunks, in force",
        "9,000 → 1,234 tokens · 5.0 s",
        "summary by the model: timeout",
    )
    words = compaction_reports.reports(stories, state_with("c_5")).report
    assert "summaries of chunks · committed" in words
    assert "Not held: summary by the model, try 1 after 30.0 s: timeout (Gateway Time-out)" in words
    assert "Counted by the API afterwards: 1,234 tokens." in words


@pytest.mark.parametrize(
    ("events", "in_force", "state", "outcome"),
    [
        ((started(),), (), "running", ""),
        ((started(), prepared()), (), "running", ""),
        ((started(), prepared(), committed()), ("c_5",), "committed", ""),
        (
            (started(), prepared(), committed(), ev.CompactionUndone(compaction_id="c_5")),
            (),
            "undone",
            "",
        ),
        (
            (
                started(),
                prepared(),
                committed(),
                ev.CompactionUndone(compaction_id="c_5"),
                ev.CompactionRedone(compaction_id="c_5"),
            ),
            ("c_5",),
            "committed",
            "",
        ),
        (
            (
                started(),
                prepared(),
                committed(),
                ev.CompactionRecast(compaction_id="c_5", reason="model"),
            ),
            ("c_5",),
            "committed",
            "recast",
        ),
        *[
            ((started(), ev.CompactionEnded(compaction_id="c_5", outcome=o)), (), "ended", o.value)
            for o in ev.CompactionEnd
        ],
    ],
)
def test_the_state_of_a_compaction_is_what_its_events_and_the_session_say(
    events: tuple[ev.Event, ...], in_force: tuple[str, ...], state: str, outcome: str
) -> None:
    found = the_report(told(*events), *in_force)
    assert (found.state, found.outcome) == (state, outcome)


def test_chunks_of_another_size_are_counted_anew() -> None:
    found = the_report(told(started(), chunk(1, 2), chunk(2, 2), chunk(1, 6)))
    assert found.chunks is not None
    assert (found.chunks.done, found.chunks.count, found.rung) == (1, 6, "chunks")


def test_every_rung_has_words() -> None:
    assert set(MADE) == set(ev.Rung)


def test_events_of_compactions_that_never_began_tell_nothing() -> None:
    assert told(committed("c_9"), chunk(1, 1), prepared("c_9")).of == {}


# -- what was compacted --------------------------------------------------------------------------

CALL = Block.of({"type": "tool_use", "id": "t1", "name": "run", "input": {"command": "make"}})
TALK = (
    user("what is kelp?", origin="3"),
    assistant("Seaweed.", CALL, origin="8"),
    Message("user", (tool_result("t1", "``` built"),), "8.results"),
    user("and dulse?", origin="20"),
    assistant("Red.", origin="25"),
)


def text(stories: Stories, state: SessionState, part: Any, name: str = "c_5") -> str:
    return compaction_reports.text(stories, state, name, part).text


def test_what_is_covered_is_shown_whole_and_nothing_behind_it() -> None:
    stories = told(started(), prepared(), committed())
    said = text(stories, state_with("c_5", messages=TALK), "covered")
    assert said == (
        "# Compacted part of Kelp\n\n## Entry 3 · user\n\nwhat is kelp?\n\n"
        "## Entry 8 · assistant\n\nSeaweed.\n\n```text\n[called run]\ncommand: make\n```\n\n"
        "````text\n[result of run]\n``` built\n````\n"
    )
    assert text(stories, state_with("c_5", messages=TALK), "summary") == (
        "# Summary of Kelp\n\nAll is well.\n"
    )


def test_a_second_compaction_covers_the_summary_before_it() -> None:
    stories = told(started(), prepared(), committed(), started("c_9", "25"), prepared("c_9"))
    said = text(stories, state_with("c_5", messages=TALK), "covered", "c_9")
    assert said == (
        "# Compacted part of Kelp\n\n## Summary before\n\nAll is well.\n\n"
        "## Entry 20 · user\n\nand dulse?\n"
    )


def test_what_was_made_without_a_model_is_covered_anew_with_all_before_it() -> None:
    digested = prepared(rung=ev.Rung.DIGEST)
    stories = told(started(), digested, committed(), started("c_9", "25"), prepared("c_9"))
    said = text(stories, state_with("c_5", messages=TALK), "covered", "c_9")
    assert "Summary before" not in said
    assert "what is kelp?" in said
    assert "and dulse?" in said


def test_outputs_that_were_left_out_are_shown_in_full() -> None:
    cleared = prepared(rung=ev.Rung.CLEARED, summary="", cleared=(("t1", 4),))
    stories = told(started(cut="3"), cleared, committed())
    said = text(stories, state_with(messages=TALK), "covered")
    assert "## Entry 8 · result, 4 bytes of it shown" in said
    assert "``` built" in said
    assert "Seaweed" not in said
    assert "1 output is shown to the model shortened." in text(
        stories, state_with(messages=TALK), "summary"
    )


def test_what_there_is_not_is_said() -> None:
    stories = told(started())
    assert "There is no summary" in text(stories, state_with(messages=TALK), "summary")
    with pytest.raises(UnknownCompaction, match="'c_1'"):
        text(stories, state_with(messages=TALK), "covered", "c_1")
    with pytest.raises(UnknownCompaction, match="rewound"):
        text(stories, state_with(messages=TALK[:2]), "covered")


# -- end to end ----------------------------------------------------------------------------------


async def compacted(session: Room) -> str:
    for number in range(4):
        await session.answered(f"question {number} " + "word " * (1_000 if number == 0 else 1))
    compaction_id = await session.supervisor.compact(session.session_id, "")
    await session.until(ev.CompactionCommitted)
    return compaction_id


async def test_B18_a_compaction_is_shown_undone_and_redone(tmp_path: Path) -> None:
    async with room(tmp_path, step(SUMMARISER, say=NOTE), **BY_SUMMARY) as session:
        supervisor, session_id = session.supervisor, session.session_id
        compaction_id = await compacted(session)
        (found,) = (await supervisor.compactions(session_id)).compactions
        assert (found.compaction_id, found.state, found.rung) == (
            compaction_id, "committed", "summary",
        )  # fmt: skip
        covered = await supervisor.compaction_text(session_id, compaction_id, "covered")
        summary = await supervisor.compaction_text(session_id, compaction_id, "summary")
        assert "question 0" in covered.text
        assert NOTE in summary.text
        view = await supervisor.view(session_id)
        assert (view.compactions, view.compaction_rung) == ((compaction_id,), "summary")

        assert await supervisor.undo_compaction(session_id) == compaction_id
        assert (await supervisor.compactions(session_id)).compactions[0].state == "undone"
        view = await supervisor.view(session_id)
        assert (view.compactions, view.undone_compactions) == ((), (compaction_id,))
        assert await supervisor.redo_compaction(session_id) == compaction_id
        assert await supervisor.redo_compaction(session_id) is None
        await session.answered("and now?")
        assert NOTE in str(session.simulator.log[-1].body)
        assert session.simulator.refusals == []


async def test_a_session_without_compactions_says_so(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        found = await session.supervisor.compactions(session.session_id)
        assert found.compactions == ()
        assert "There was none yet." in found.report
        assert await session.supervisor.redo_compaction(session.session_id) is None
