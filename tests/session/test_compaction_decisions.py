"""When a compaction starts, falls, ends and is held (P4, P5, P7; B02, B04, B10, B16, B17, B23)."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from holdfast.conversation.history import Block, Role, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.compaction import budget
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.state import NO_ROOM, Phase
from session.compacting import (
    LIMITS,
    about,
    answer,
    call,
    compacted,
    done,
    exchange,
    failed,
    ready,
    result,
    shown,
    talked,
    told,
    wanted,
)
from session.harness import World

ROLES: Final[tuple[Role, ...]] = ("user", "assistant")


def imported(role: Role, block: Block) -> ev.MessageImported:
    return ev.MessageImported(role=role, content=ev.raw_blocks((block,)))


def started(world: World) -> list[str]:
    return [event.trigger for event in told(world, ev.CompactionStarted)]


def filled(limits: inp.Limits = LIMITS) -> World:
    """A world just below the soft mark, with enough messages to compact."""
    world = talked(limits, times=5, size=2_000)
    assert not started(world)
    return world


# -- beside the session ----------------------------------------------------------------------------


@pytest.mark.survives("B17")
def test_B17_a_compaction_asked_for_while_a_tool_runs_leaves_the_turn_alone() -> None:
    world = talked()
    world.submit("Look.")
    (tool_use_id,) = call(world, "read")
    world.give(inp.CompactAsked())
    assert world.state.phase is Phase.RUNNING_TOOLS
    ready(world)
    assert world.state.phase is Phase.RUNNING_TOOLS
    result(world, tool_use_id, "It is green.")
    assert world.state.phase is Phase.REQUESTING
    assert "They spoke of kelp." in shown(world)
    assert "It is green." in shown(world)
    answer(world)
    assert told(world, ev.TurnEnded)[-1].reason is ev.TurnEnd.COMPLETED


def test_B17_what_is_prepared_during_a_request_comes_into_force_after_it() -> None:
    world = talked()
    world.submit("Meanwhile?")
    world.give(inp.CompactAsked())
    before = view.messages(world.state)
    ready(world)
    assert view.messages(world.state) == before
    assert world.state.compactions == []
    answer(world)
    assert len(world.state.compactions) == 1


def test_P5_a_prompt_sent_while_a_compaction_runs_is_answered() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    exchange(world, "Are you there?", "I am.")
    assert told(world, ev.TurnEnded)[-1].reason is ev.TurnEnd.COMPLETED
    assert world.state.compaction is not None
    ready(world)
    assert "I am." in shown(world)


@pytest.mark.survives("B09")
def test_B09_open_calls_and_their_finished_neighbours_stay_in_the_tail() -> None:
    world = talked()
    world.submit("Look at three.")
    ids = call(world, "read", "glob", "grep")
    result(world, ids[0], "first")
    result(world, ids[1], "second")
    world.give(inp.CompactAsked())
    ready(world)
    assert all(tool_use_id in shown(world) for tool_use_id in ids)
    result(world, ids[2], "third")  # The request that follows is validated by the world.
    assert "third" in shown(world)
    assert wanted(world, inp.CallModel)


def test_B09_an_answer_and_what_asks_to_continue_it_are_one_record_and_stay_together() -> None:
    world = World(1, LIMITS)
    world.submit("Write much.")
    answer(world, text(about(3_000)), stop="max_tokens")
    answer(world, text(about(3_000)))
    for _ in range(3):
        exchange(world, said=about(200))
    whole = ("Continue exactly where it stopped", about(3_000).strip())
    assert all(part in shown(world) for part in whole)
    world.give(inp.CompactAsked())
    ready(world)
    assert not any(part in shown(world) for part in whole)


@pytest.mark.survives("B02")
def test_B02_a_compaction_that_leaves_too_much_is_not_followed_by_another_at_once() -> None:
    world = World(1, attrs.evolve(LIMITS, overhead_tokens=14_900))
    while world.state.compaction is None:
        exchange(world, said=about(400))
    ready(world, "A summary.")
    assert len(world.state.compactions) == 1
    assert budget.context_tokens(world.state, world.limits) > budget.marks(world.limits).soft
    exchange(world)
    assert len(told(world, ev.CompactionStarted)) == 1


# -- when nothing else fits ------------------------------------------------------------------------


def test_P5_a_request_that_does_not_fit_waits_for_the_local_digest_and_then_goes_on() -> None:
    world = talked(times=3)
    exchange(world, "How much?", "Much.", tokens=18_900)
    done(world, inp.PrepareCompaction)
    world.submit("And now?")
    assert world.state.phase is Phase.COMPACTING
    assert [e.first for e in wanted(world, inp.PrepareCompaction)] == [ev.Rung.DIGEST]
    ready(world, "A digest.", rung=ev.Rung.DIGEST)
    assert world.state.phase is Phase.REQUESTING
    assert wanted(world, inp.CallModel)


@pytest.mark.survives("B04")
def test_B04_one_output_of_most_of_the_window_is_shortened_and_the_turn_goes_on_at_once() -> None:
    world = World(1, LIMITS)
    world.submit("Show me the whole file.")
    (tool_use_id,) = call(world, "read")
    result(world, tool_use_id, f"HEAD {about(17_500)} TAIL")
    assert [c.rung for c in world.state.compactions] == [ev.Rung.CLEARED]
    assert wanted(world, inp.CallModel), "no model and no wait was needed"
    assert wanted(world, inp.PrepareCompaction) == []
    entry = world.state.messages[1].origin
    for kept in ("Show me the whole file.", "HEAD", "TAIL", f"`recall_read` with entry {entry}"):
        assert kept in shown(world)
    marks = budget.marks(LIMITS)
    assert budget.context_tokens(world.state, LIMITS) < marks.hard
    assert about(17_500) in world.state.messages[2].blocks[0].raw, "the history keeps all (P4)"


@pytest.mark.survives("B04")
def test_B04_when_nothing_can_be_left_out_the_turn_says_what_fills_the_window() -> None:
    limits = attrs.evolve(LIMITS, overhead_tokens=23_000)
    world = World(1, limits)
    world.submit("Hello?")
    assert wanted(world, inp.CallModel) == []
    pause = world.state.pause
    assert pause is not None
    assert pause.reason == NO_ROOM
    assert "tool definitions 23,000" in pause.message
    world.give(inp.Resume())
    assert wanted(world, inp.CallModel), "a person who insists is believed (P3)"


@pytest.mark.survives("B04")
def test_B04_after_two_compactions_that_brought_nothing_it_is_told_and_no_more_start() -> None:
    world = thrashing()
    ends = told(world, ev.CompactionEnded)
    assert [e.outcome for e in ends] == [ev.CompactionEnd.POINTLESS]
    assert "15,600 of 20,000 tokens" in ends[0].detail
    count = len(told(world, ev.CompactionStarted))
    for _ in range(4):
        exchange(world, tokens=15_800)
    assert len(told(world, ev.CompactionStarted)) == count, "it is said once"


@pytest.mark.survives("B06")
@pytest.mark.parametrize("act", ["growth", "model", "person"])
def test_B06_the_hold_ends_with_growth_another_model_or_a_person(act: str) -> None:
    world = thrashing()
    count = len(told(world, ev.CompactionCommitted))
    if act == "person":
        world.give(inp.CompactAsked())
    if act == "model":
        world.give(inp.Note((ev.ModelSelected(model="other"),)))
        world.limits = attrs.evolve(LIMITS, window_tokens=16_000)
    for _ in range(3):
        world.submit()
        if world.state.compaction is not None:
            ready(world, "short", rung=ev.Rung.DIGEST)
        answer(world, tokens=19_900 if act == "growth" else 15_700)
    assert len(told(world, ev.CompactionCommitted)) > count


def thrashing() -> World:
    """A world that was compacted twice, and the API still counted too much each time."""
    world = World(1, LIMITS)
    for _ in range(4):
        exchange(world, said=about(600))
    for _ in range(2):
        for _ in range(2):
            exchange(world, said=about(600), tokens=15_500)
        ready(world)
    for _ in range(3):
        exchange(world, tokens=15_600)
    assert [c.measured for c in world.state.compactions] == [15_499, 15_599]
    return world


@pytest.mark.survives("B23")
def test_B23_a_compaction_that_removes_nothing_ends_and_says_so() -> None:
    world = World(1, LIMITS)
    exchange(world, "a")
    exchange(world, "b")
    world.give(inp.CompactAsked())
    ready(world, about(500), rung=ev.Rung.DIGEST)
    assert [e.outcome for e in told(world, ev.CompactionEnded)] == [ev.CompactionEnd.POINTLESS]
    assert world.state.compactions == []


@pytest.mark.survives("B23")
def test_B23_an_overflow_that_no_compaction_mends_pauses_with_the_apis_own_words() -> None:
    world = World(1, LIMITS)
    exchange(world, "a")
    world.submit("b")
    words = "the context of this request is odd"
    done(world, inp.CallModel)
    world.give(inp.Failed(Failure(kind=FailureKind.TOO_LONG, message=words)))
    ready(world, about(500), rung=ev.Rung.DIGEST)
    pause = world.state.pause
    assert pause is not None
    assert words in pause.message
    assert started(world) == ["overflow"]


@pytest.mark.survives("A24")
def test_A24_an_overflow_compacts_and_sends_again() -> None:
    world = talked()
    world.submit("big")
    words = "prompt is too long: 24000 tokens > 18000 maximum"
    done(world, inp.CallModel)
    world.give(inp.Failed(Failure(kind=FailureKind.TOO_LONG, message=words)))
    assert started(world) == ["overflow"]
    ready(world, "A digest.", rung=ev.Rung.DIGEST)
    answer(world, text("It fits now."))
    assert world.state.phase is Phase.IDLE
    assert world.state.learned["m"].window_tokens == 18_000


@pytest.mark.survives("B06")
def test_B06_an_overflow_without_numbers_teaches_that_less_fits() -> None:
    world = talked()
    world.submit("big")
    sent = budget.context_tokens(world.state, LIMITS)
    words = "exceeds the available context size"
    done(world, inp.CallModel)
    world.give(inp.Failed(Failure(kind=FailureKind.TOO_LONG, message=words)))
    assert world.state.learned["m"].window_tokens == int(sent * 0.95)


# -- failures and restarts -------------------------------------------------------------------------


@pytest.mark.survives("B10")
def test_B10_after_three_failures_in_a_row_a_plain_prompt_is_answered() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    for _ in range(3):
        failed(world, "server")
    exchange(world, "Still there?", "Of course.")
    assert told(world, ev.TurnEnded)[-1].reason is ev.TurnEnd.COMPLETED


@pytest.mark.survives("B02")
def test_B02_failed_tries_are_counted_across_restarts() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    failed(world, "network", rung=ev.Rung.ON_DEMAND)
    failed(world, "network", rung=ev.Rung.SUMMARY)
    world.crash()
    failed(world, "cut", rung=ev.Rung.SUMMARY)
    running = world.state.compaction
    assert running is not None
    assert running.failed == {ev.Rung.ON_DEMAND: 1, ev.Rung.SUMMARY: 2}
    assert len(wanted(world, inp.PrepareCompaction)) == 1


def test_P5_a_chunk_is_recorded_once_and_known_to_every_later_try() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    running = world.state.compaction
    assert running is not None
    chunk = inp.ChunkReady(running.started.compaction_id, "key", 1, 3, "part one", "m", ev.Usage())
    world.give(chunk)
    world.give(chunk)
    world.crash()
    world.give(inp.CancelCompaction())
    world.give(inp.CompactAsked())
    assert world.state.chunks == {"key": "part one"}
    assert len(told(world, ev.CompactionChunkSummarised)) == 1


def test_a_summary_that_does_not_hold_falls_to_the_next_rung_and_not_to_the_last() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    huge = about(30_000)
    below = []
    for rung in (ev.Rung.ON_DEMAND, ev.Rung.SUMMARY, ev.Rung.CHUNKS):
        ready(world, huge, rung=rung)
        below += [effect.first for effect in wanted(world, inp.PrepareCompaction)]
    assert below == [ev.Rung.SUMMARY, ev.Rung.CHUNKS, ev.Rung.DIGEST]
    assert [e.reason for e in told(world, ev.CompactionRungFailed)] == ["notSmaller"] * 3


@pytest.mark.parametrize(
    ("reason", "size", "learned"),
    [
        ("timeout", 60_000, 30_000),
        ("stalled", 60_000, 30_000),
        ("tooLong", 6_000, 4_000),
        ("overloaded", 60_000, None),
        ("empty", 60_000, None),
        ("deadline", 0, None),
    ],
)
def test_C06_a_try_that_took_too_long_teaches_to_ask_for_less(
    reason: str, size: int, learned: int | None
) -> None:
    world = talked()
    world.give(inp.CompactAsked())
    failed(world, reason, size=size)
    known = world.state.learned.get("m")
    assert (known.summary_tokens if known else None) == learned


# -- a history that was broken meanwhile -----------------------------------------------------------


@pytest.mark.parametrize("held", [False, True], ids=["beside the session", "before a request"])
def test_P5_a_broken_history_is_mended_before_a_compaction_begins(*, held: bool) -> None:
    world = filled()
    if held:
        world.give(inp.CompactAsked())
        world.give(inp.CancelCompaction())
    before = len(world.journal)
    orphan = Block.of({"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}})
    more = [imported(role, text(about(1_000))) for _ in range(5) for role in ROLES]
    world.give(inp.Note((imported("user", text("Look.")), imported("assistant", orphan), *more)))
    world.submit("And now?")
    kinds = [type(record.event) for record in world.journal[before:]]
    assert kinds.index(ev.HistoryRepaired) < kinds.index(ev.CompactionStarted)


# -- a person --------------------------------------------------------------------------------------


@pytest.mark.survives("B16")
def test_B16_after_a_cancel_only_a_request_that_does_not_fit_starts_one_by_itself() -> None:
    world = filled()
    world.give(inp.CompactAsked())
    world.give(inp.CancelCompaction())
    for _ in range(3):
        exchange(world, tokens=16_500)
    assert started(world) == ["manual"], "held, although over the soft mark"
    exchange(world, tokens=18_900)
    world.submit("No room.")
    assert started(world) == ["manual", "auto"]
    assert world.state.phase is Phase.COMPACTING


def test_B16_a_compaction_that_a_person_asks_for_ends_the_hold() -> None:
    world = filled()
    world.give(inp.CompactAsked())
    world.give(inp.CancelCompaction())
    world.give(inp.CompactAsked())
    ready(world)
    for _ in range(3):
        exchange(world, tokens=16_500)
    assert started(world) == ["manual", "manual", "auto"]


@pytest.mark.survives("B18")
def test_B18_after_two_compactions_a_rewind_between_them_brings_the_first_back() -> None:
    world = compacted()
    for _ in range(4):
        exchange(world, said=about(1_000))
    second_prompt = sorted(world.state.prompt_origins, key=lambda p: int(p[1:]))[-3]
    world.give(inp.CompactAsked())
    ready(world, "A second summary.")
    assert len(world.state.compactions) == 2
    world.give(inp.Note((ev.HistoryRewound(prompt_id=second_prompt),), at_rest="idle"))
    assert len(world.state.compactions) == 1
    assert "They spoke of kelp." in shown(world)
    assert "A second summary." not in shown(world)
    exchange(world, "Go on from here.")


@pytest.mark.survives("B18")
def test_B18_a_rewind_into_what_was_compacted_shows_the_history_itself_again() -> None:
    world = compacted()
    world.give(inp.Note((ev.HistoryRewound(prompt_id="p3"),), at_rest="idle"))
    assert world.state.compactions == []
    assert "question 0" in shown(world)
    exchange(world, "Go on from here.")


@pytest.mark.survives("B11")
def test_B11_a_session_of_one_turn_and_a_compaction_right_after_another_stay_sendable() -> None:
    world = World(1, LIMITS)
    exchange(world, said=about(3_000))
    for _ in range(2):
        world.give(inp.CompactAsked())
        if world.state.compaction is not None:
            ready(world)
        exchange(world, "And?")  # The world validates each request.


@pytest.mark.survives("B22")
def test_B22_a_compaction_as_the_last_act_is_in_force_after_a_restart() -> None:
    world = compacted()
    before = view.messages(world.state)
    world.crash()
    assert view.messages(world.state) == before
    exchange(world, "Go on.")
    assert view.messages(world.state)[: len(before)] == before


def test_redo_is_over_with_the_next_compaction() -> None:
    world = compacted()
    found = world.state.compactions[0].compaction_id
    world.give(inp.Note((ev.CompactionUndone(compaction_id=found),)))
    assert [u.compaction.compaction_id for u in world.state.undone] == [found]
    world.give(inp.CompactAsked())
    ready(world)
    assert world.state.undone == []
