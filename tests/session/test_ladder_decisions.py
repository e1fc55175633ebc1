"""What the state machine makes of refusals: records, requests, budgets, undo (P2, P3, P4, P7)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import attrs
import pytest

from conversation.strategies import PIXEL
from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import sizes, view
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.ladder import EXTRA_REQUESTS_MAX, Answer, Outcome, Verdict
from holdfast.session.phases import RESTART, Restart
from holdfast.session.refusals import read
from holdfast.session.rungs import Sent
from holdfast.session.state import Phase
from session.climbing import examined
from session.harness import LIMITS, World

ROOMY = attrs.evolve(LIMITS, window_tokens=200_000)
NEVER_HEARD = Failure(kind=FailureKind.INVALID_REQUEST, message="No.", status=400, request_id="r7")


def told(world: World, kind: type[ev.Event]) -> list[Any]:
    return [record.event for record in world.journal if isinstance(record.event, kind)]


def wanted(world: World, kind: type[inp.Effect]) -> list[Any]:
    return [effect for effect in world.pending if isinstance(effect, kind)]


def answered(world: World, words: str = "An answer") -> None:
    """Submit a prompt and finish its turn."""
    world.submit("A prompt")
    finished = ev.BlockFinished(index=0, block=ev.raw_blocks((text(words),))[0])
    world.give(inp.Arrived((finished,)))
    world.give(inp.Completed("m", "end_turn", ev.Usage(input_tokens=5, output_tokens=5)))


def refused(failure: Failure = NEVER_HEARD, limits: inp.Limits = ROOMY) -> World:
    """Return a world in which the second prompt was refused."""
    world = World(1, limits)
    answered(world)
    world.submit("The last prompt")
    fail(world, failure)
    return world


def fail(world: World, failure: Failure = NEVER_HEARD) -> None:
    """Let the request under way fail."""
    world.pending = [e for e in world.pending if not isinstance(e, inp.CallModel)]
    world.give(inp.Failed(failure))


def disliked(block: Block) -> bool:
    return block.text_of("text") == "An answer"


def counts(sent: Sent) -> Answer:
    """Dislike the first answer, without saying where."""
    found = any(disliked(block) for message in sent.history for block in message.blocks)
    return read(NEVER_HEARD) if found else None


def examine(world: World, outcome: Outcome | None = None) -> inp.Examined:
    """Carry out the examination that is wanted."""
    (effect,) = wanted(world, inp.Examine)
    world.pending.remove(effect)
    outcome = examined(effect.case, counts) if outcome is None else outcome
    given = inp.Examined(effect.turn_id, effect.prefix_version, effect.case, outcome)
    world.give(given)
    return given


def test_a_refusal_is_examined_recorded_with_its_cause_and_sent_again() -> None:
    world = refused()
    assert world.state.phase is Phase.REPAIRING
    examine(world)
    (repaired,) = told(world, ev.HistoryRepaired)
    assert repaired.cause == ev.RepairCause(
        rung="withhold",
        head=world.state.messages[-1].origin,
        place=repaired.edits[0].origin + "/0",
        fragment="No.",
        words="No.",
        request_id="r7",
        checked=True,
    )
    assert world.state.phase is Phase.REQUESTING
    assert not any(disliked(b) for m in view.messages(world.state) for b in m.blocks)


def test_P1_a_restart_examines_again_and_knows_what_was_paid() -> None:
    world = refused()
    assert RESTART[world.state.phase] is Restart.EXAMINE_AGAIN
    world.crash()
    assert world.state.phase is Phase.REPAIRING
    (effect,) = wanted(world, inp.Examine)
    assert effect.case.extra == EXTRA_REQUESTS_MAX
    examine(world)
    fail(world)
    world.crash()
    (effect,) = wanted(world, inp.Examine)
    assert effect.case.extra == EXTRA_REQUESTS_MAX - 1
    assert {key[1] for key in effect.case.tried} == {"withhold"}


def test_P3_after_two_more_requests_what_did_not_help_is_taken_back_and_the_turn_is_paused() -> (
    None
):
    world = refused()
    before = view.messages(world.state)
    requests = world.requests
    for _ in range(EXTRA_REQUESTS_MAX):
        examine(world)
        if world.state.phase is Phase.WAITING:
            world.act(wanted(world, inp.WakeAt)[0])
        fail(world)
    while world.state.phase is Phase.REPAIRING:
        examine(world, Outcome(Verdict.GIVEN_UP))
    assert world.requests - requests <= EXTRA_REQUESTS_MAX
    pause = world.state.pause
    assert pause is not None
    assert "No." in pause.message
    assert view.messages(world.state) == before
    undone = {event.repair_id for event in told(world, ev.RepairUndone)}
    assert undone == {event.repair_id for event in told(world, ev.HistoryRepaired)}
    world.settle()


def test_what_was_found_out_about_a_history_that_has_changed_meanwhile_is_not_used() -> None:
    world = refused()
    (effect,) = wanted(world, inp.Examine)
    outcome = examined(effect.case, counts)
    world.give(inp.Note((ev.RepairUndone(repair_id="none"),)))  # The view is another one now.
    world.pending.clear()
    world.pending.append(effect)
    world.give(inp.Examined(effect.turn_id, effect.prefix_version, effect.case, outcome))
    assert told(world, ev.HistoryRepaired) == []
    assert world.state.phase is Phase.REPAIRING


def test_P7_stop_ends_an_examination_and_what_it_still_says_is_not_heard() -> None:
    world = refused()
    (effect,) = wanted(world, inp.Examine)
    world.give(inp.Stop())
    assert world.state.phase is Phase.IDLE
    assert wanted(world, inp.Examine) == []
    outcome = examined(effect.case, counts)
    world.give(inp.Examined(effect.turn_id, effect.prefix_version, effect.case, outcome))
    assert told(world, ev.HistoryRepaired) == []


def test_a_prompt_that_comes_meanwhile_is_queued_and_answered() -> None:
    world = refused()
    world.submit("One more")
    assert [prompt.blocks[0].get("text") for prompt in world.state.queue] == ["One more"]
    world.settle()
    ends = [event.reason for event in told(world, ev.TurnEnded)]
    assert ends == [ev.TurnEnd.COMPLETED] * 3


@pytest.mark.survives("A35")
def test_A35_refused_content_ends_its_turn_at_once_and_the_next_prompt_starts() -> None:
    words = "Output blocked by content filtering policy"
    world = refused(Failure(kind=FailureKind.INVALID_REQUEST, message=words, status=400))
    assert told(world, ev.TurnEnded)[-1].reason is ev.TurnEnd.REFUSED
    assert world.state.phase is Phase.IDLE
    assert wanted(world, inp.Examine) == []


def test_P4_a_repair_that_leaves_nothing_of_a_record_can_be_undone() -> None:
    world = World(1, ROOMY)
    for number in range(3):
        answered(world, f"Answer {number}")
    before = list(world.state.messages)
    gone = ev.HistoryRepaired(
        repair_id="r_x",
        notes=(),
        edits=tuple(ev.MessageEdit(origin=m.origin, messages=()) for m in before[1:4]),
    )
    world.give(inp.Note((gone,)))
    assert len(world.state.messages) == len(before) - 3
    world.give(inp.Note((ev.RepairUndone(repair_id="r_x"),)))
    assert world.state.messages == before
    assert [m.origin for m in world.state.messages] == [m.origin for m in before]


def test_a_repair_of_a_summary_changes_the_summary_and_can_be_undone() -> None:
    world = World(1, ROOMY)
    for _ in range(4):
        answered(world, "word " * 400)
    world.limits = attrs.evolve(ROOMY, window_tokens=3_000)
    world.give(inp.CompactAsked())
    compaction_id = wanted(world, inp.PrepareCompaction)[0].compaction_id
    world.give(inp.CompactionReady(compaction_id, ev.Rung.SUMMARY, "What was said before."))
    before = view.messages(world.state)
    origin = before[0].origin
    assert origin.startswith("compaction.")
    edit = ev.MessageEdit(origin=origin, messages=(("user", ev.raw_blocks((text("short"),))),))
    world.give(inp.Note((ev.HistoryRepaired(repair_id="r_x", notes=(), edits=(edit,)),)))
    assert view.messages(world.state)[0].blocks == (text("short"),)
    world.give(inp.Note((ev.RepairUndone(repair_id="r_x"),)))
    assert view.messages(world.state) == before


# -- bytes -----------------------------------------------------------------------------------------


def picture(size: int) -> Block:
    """Return a picture of one pixel whose encoding has about this many bytes."""
    data = b64encode(b64decode(PIXEL) + bytes(size * 3 // 4)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return Block.of({"type": "image", "source": source})


def with_pictures(count: int, limits: inp.Limits = ROOMY) -> World:
    world = World(1, limits)
    for number in range(count):
        prompt_id = world.fresh("p")
        blocks = (text(f"Look at {number}"), picture(30_000))
        world.give(inp.Submit(prompt_id, world.fresh("t"), blocks))
        world.accepted[prompt_id] = ""
        finished = ev.BlockFinished(index=0, block=ev.raw_blocks((text("I see"),))[0])
        world.give(inp.Arrived((finished,)))
        world.give(inp.Completed("m", "end_turn", ev.Usage(input_tokens=5, output_tokens=5)))
    return world


@pytest.mark.survives("A25")
def test_A25_a_413_names_the_oldest_pictures_only_and_is_learned_for_the_session() -> None:
    world = with_pictures(8)
    world.submit("And now?")
    failure = Failure(kind=FailureKind.TOO_LARGE, message="Request too large", status=413)
    fail(world, failure)
    assert world.state.phase is Phase.REQUESTING, "it is sent again at once"
    sent = view.messages(world.state)
    pictures = [any(b.type == "image" for b in m.blocks) for m in sent if m.role == "user"]
    assert pictures == [False] * 5 + [True] * 3 + [False], "the newest are kept"
    assert told(world, ev.RequestFailed)[0].body_bytes > 240_000
    (repaired,) = told(world, ev.HistoryRepaired)
    assert repaired.cause.rung == "shrink"
    assert world.state.body_bytes_max is not None
    assert sizes.at_most(sent) <= world.state.body_bytes_max + 10_000


def test_a_person_who_resumes_after_a_413_has_the_learned_limit_tried_again() -> None:
    world = with_pictures(0)
    world.submit("And now?")
    fail(world, Failure(kind=FailureKind.TOO_LARGE, message="Too large", status=413))
    assert world.state.phase is Phase.PAUSED
    assert world.state.body_bytes_max is not None
    world.give(inp.Resume())
    assert world.state.body_bytes_max is None


@pytest.mark.survives("A25")
def test_A25_what_an_endpoint_does_not_take_is_never_sent() -> None:
    profile = attrs.evolve(ROOMY.profile, body_bytes_max=110_000)
    world = with_pictures(6, attrs.evolve(ROOMY, profile=profile))
    assert told(world, ev.RequestFailed) == []
    assert sizes.at_most(view.messages(world.state)) <= 110_000
    assert len(told(world, ev.HistoryRepaired)) >= 1


def test_a_history_that_fits_is_not_touched() -> None:
    world = with_pictures(3)
    assert told(world, ev.HistoryRepaired) == []
    messages = view.messages(world.state)
    exact = sum(len(message.wire.encode()) + 1 for message in messages)
    assert exact <= sizes.at_most(messages) <= exact + 60 * len(messages)
    assert sizes.shrunk(Sent(messages), exact) is None


def test_A24_the_room_that_is_named_is_used_before_anything_is_compacted() -> None:
    words = "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"
    world = refused(Failure(kind=FailureKind.TOO_LONG, message=words, status=400))
    assert world.state.phase is Phase.REQUESTING
    assert world.state.turn is not None
    assert world.state.turn.answer_tokens == 9_984
    assert told(world, ev.CompactionStarted) == []
    assert next(iter(world.state.learned.values())).window_tokens == 200_000


def test_A24_without_room_for_an_answer_the_history_is_compacted() -> None:
    words = "input length and `max_tokens` exceed context limit: 199500 + 32000 > 200000"
    world = World(1, ROOMY)
    for _ in range(4):
        answered(world, "word " * 400)
    world.limits = attrs.evolve(ROOMY, window_tokens=3_000, hard_mark=9.0, soft_mark=9.0)
    world.submit("The last prompt")
    fail(world, Failure(kind=FailureKind.TOO_LONG, message=words, status=400))
    assert world.state.phase is Phase.COMPACTING
