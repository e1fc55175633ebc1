"""What a compaction shows: signed blocks (R91-R95), facts from state (B13, B21), short outputs."""

from __future__ import annotations

import attrs
import pytest

from holdfast.conversation.history import ASSISTANT, USER, Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import preflight, view
from holdfast.session.compaction import facts, planning
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.origins import index_of, last_index_of
from holdfast.session.state import Phase
from session.compacting import (
    LIMITS,
    SIGNING,
    THINKING,
    about,
    answer,
    call,
    compacted,
    done,
    exchange,
    ready,
    result,
    shown,
    talked,
    told,
    wanted,
)
from session.harness import TAKING, World, signed

TASKS = tuple(
    ev.TodoItem(
        text=f"task number {n} of the plan",
        status="in_progress" if n < 3 else "completed" if n < 9 else "pending",
    )
    for n in range(20)
)


# -- signed blocks ---------------------------------------------------------------------------------


def test_R92_a_signed_block_stands_alone_and_first_and_everything_kept_follows_unchanged() -> None:
    world = World(1, SIGNING)
    for number in range(6):
        world.submit(f"question {number}")
        answer(world, THINKING, text(about(1_000)))
    before = view.messages(world.state)
    world.give(inp.CompactAsked())
    ready(world, rung=ev.Rung.ON_DEMAND)
    first, *kept, last = view.messages(world.state)
    assert first.blocks == (signed("They spoke of kelp."),)
    assert {first.role, kept[0].role} == {USER, ASSISTANT}
    assert tuple(kept) == before[-len(kept) :], "also its thinking (spec §6)"
    assert any(THINKING in message.blocks for message in kept)
    assert last.role == USER
    assert "state of the session" in last.blocks[0].text_of("text")


def test_R72_thinking_that_followed_the_facts_of_an_earlier_block_leaves_with_them() -> None:
    world = compacted(SIGNING, rung=ev.Rung.ON_DEMAND)
    for number in range(2):
        world.submit(f"another question {number}")
        answer(world, THINKING, text(about(1_000)))
    (before,) = world.state.compactions
    world.give(inp.CompactAsked())
    running = world.state.compaction
    assert running is not None
    cut = index_of(world.state.messages, running.started.cut_origin) or 0
    assert last_index_of(world.state.messages, before.known_origin) >= cut, "among what is kept"
    ready(world, rung=ev.Rung.ON_DEMAND)
    sent = view.messages(world.state)
    assert before.facts_origin not in {message.origin for message in sent}
    assert not any(THINKING in message.blocks for message in sent)


def test_what_follows_a_signed_block_only_grows() -> None:
    world = compacted(SIGNING, rung=ev.Rung.ON_DEMAND)
    before = view.messages(world.state)
    for _ in range(3):
        exchange(world, said=about(100))
        assert view.messages(world.state)[: len(before)] == before
        before = view.messages(world.state)


def test_R95_a_signed_block_waits_until_no_call_is_open() -> None:
    world = talked(SIGNING)
    world.submit("Look.")
    (tool_use_id,) = call(world, "read")
    world.give(inp.CompactAsked())
    ready(world, rung=ev.Rung.ON_DEMAND)
    assert world.state.compactions == []
    result(world, tool_use_id, "Seen.")
    assert world.state.compactions != []
    assert wanted(world, inp.CallModel), "and the turn goes on"


def test_R91_another_model_that_takes_no_block_gets_the_text_and_its_request_is_valid() -> None:
    world = compacted(SIGNING, rung=ev.Rung.ON_DEMAND)
    world.give(inp.Note((ev.ModelSelected(model="other"),)))
    world.limits = LIMITS
    world.submit("And you?")
    assert [e.reason for e in told(world, ev.CompactionRecast)] == ["model"]
    first = view.messages(world.state)[0]
    assert first.role == USER
    assert "They spoke of kelp." in first.blocks[0].text_of("text")
    assert preflight.check(view.messages(world.state), LIMITS.profile, sending=True) == ()
    answer(world)
    assert told(world, ev.HistoryRepaired) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("compaction_signature_invalid", "messages.0.content.0: the signature does not match"),
        (None, "messages.0.content.0: Input tag 'compaction' found using 'type' does not match"),
        (None, "`compaction` block must be sent first, in place of the messages it summarizes"),
    ],
)
def test_R94_a_signed_block_that_is_refused_becomes_text_and_the_request_is_sent_again(
    code: str | None, words: str
) -> None:
    world = compacted(SIGNING, rung=ev.Rung.ON_DEMAND)
    world.submit("And now?")
    done(world, inp.CallModel)
    kind = FailureKind.INVALID_REQUEST
    world.give(inp.Failed(Failure(kind=kind, message=words, status=400, error_code=code)))
    assert [e.reason for e in told(world, ev.CompactionRecast)] == ["refused"]
    assert world.state.phase is Phase.REQUESTING
    answer(world)
    assert world.state.learned["m"].no_compaction
    assert "They spoke of kelp." in view.messages(world.state)[0].blocks[0].text_of("text")


def test_a_refusal_that_does_not_speak_of_the_block_leaves_it_alone() -> None:
    world = compacted(SIGNING, rung=ev.Rung.ON_DEMAND)
    world.submit("And now?")
    done(world, inp.CallModel)
    kind = FailureKind.INVALID_REQUEST
    world.give(inp.Failed(Failure(kind=kind, message="messages.2.content.0: no", status=400)))
    assert told(world, ev.CompactionRecast) == []
    assert world.state.phase is Phase.REPAIRING


def test_an_endpoint_that_refuses_compaction_on_demand_is_not_asked_again() -> None:
    world = talked(SIGNING)
    world.give(inp.CompactAsked())
    running = world.state.compaction
    assert running is not None
    found = running.started.compaction_id
    world.give(inp.RungFailed(found, ev.Rung.ON_DEMAND, 1, "unsupported"))
    assert world.state.learned["m"].no_compaction


def test_what_the_api_compacts_is_the_view_as_it_was_sent_up_to_the_cut() -> None:
    world = talked(SIGNING)
    before = view.messages(world.state)
    world.give(inp.CompactAsked())
    running = world.state.compaction
    assert running is not None
    head = planning.on_demand(world.state, running.started)
    assert head is not None
    assert head == before[: len(head)]
    assert head[-1].role != before[len(head)].role, "the speaker changes at the cut"


def test_a_signed_block_behind_which_an_output_must_be_shortened_is_sent_as_text() -> None:
    world = talked(SIGNING, times=3)
    world.submit("Look.")
    (tool_use_id,) = call(world, "read")
    result(world, tool_use_id, about(3_000))
    answer(world)
    world.give(inp.CompactAsked())
    world.limits = attrs.evolve(SIGNING, window_tokens=3_400)
    ready(world, rung=ev.Rung.ON_DEMAND)
    assert world.state.in_force is not None
    assert world.state.in_force.block is None
    assert world.state.in_force.cleared.keys() == {tool_use_id}


# -- facts -----------------------------------------------------------------------------------------


@pytest.mark.survives("B13")
@pytest.mark.parametrize("rung", [ev.Rung.SUMMARY, ev.Rung.DIGEST, ev.Rung.ON_DEMAND])
def test_B13_the_task_list_stands_in_the_view_word_for_word_after_every_rung(rung: ev.Rung) -> None:
    world = talked(SIGNING)
    world.give(inp.Note((ev.TodosUpdated(todos=TASKS),)))
    for _ in range(2):
        world.give(inp.CompactAsked())
        ready(world, rung=rung)
        for task in TASKS:
            assert shown(world).count(f"- [{task.status}] {task.text}\\n") == 1
        for _ in range(4):
            exchange(world, said=about(1_000))


def test_B13_facts_are_those_of_the_commit_and_not_of_when_the_summary_was_written() -> None:
    world = talked()
    world.submit("Work on it.")
    world.give(inp.CompactAsked())
    ready(world)
    world.give(inp.Note((ev.TodosUpdated(todos=TASKS[:1]),)))
    answer(world)
    assert "task number 0 of the plan" in shown(world)


@pytest.mark.survives("B21")
def test_B21_a_request_that_was_answered_is_never_a_bare_imperative_after_compactions() -> None:
    world = World(1, attrs.evolve(LIMITS, keep_fraction=0.0))
    exchange(world, "Delete the file kelp.txt", "Deleted.")
    world.submit("Work for a long time.")
    for _ in range(6):
        (tool_use_id,) = call(world, "read")
        result(world, tool_use_id, about(900))
    for _ in range(3):
        world.give(inp.CompactAsked())
        if world.state.compaction is not None:
            ready(world, "The file was deleted, as asked.")
        (tool_use_id,) = call(world, "read")
        result(world, tool_use_id, about(900))
    assert "Delete the file" not in shown(world)
    assert "which is being worked on:" in shown(world)
    assert "Work for a long time." in shown(world)
    answer(world)
    assert "which is over" in "\n".join(facts.facts(world.state))


def test_facts_name_open_calls_questions_permissions_and_the_folder() -> None:
    world = World(1, LIMITS)
    world.give(inp.Note((ev.SessionCreated(title="t", workspace_uri="file:///home/me/kelp"),)))
    world.submit("Run it.")
    ids = call(world, "run", "read")
    world.give(inp.Judged(ids[0], inp.Verdict("allow", "rule")))
    told_now = "\n".join(facts.facts(world.state))
    assert "<workspace>file:///home/me/kelp</workspace>" in told_now
    assert "- running: [called run:" in told_now
    asking = World(1, LIMITS)
    asking.submit("Run it.")
    block = Block.of({"type": "tool_use", "id": "t0", "name": "run", "input": {}})
    answer(asking, block, stop="tool_use")
    done(asking, inp.Judge)
    asking.give(inp.Judged("t0", inp.Verdict("ask", "rule", title="Run make?", pattern="make *")))
    assert "Run make?" in "\n".join(facts.facts(asking.state))
    asking.give(inp.Answered("s_1:t0", "allowAlways"))
    assert "make *: allowed" in "\n".join(facts.facts(asking.state))


def test_a_composed_text_gives_its_summary_back_whatever_stands_in_it() -> None:
    for summary in ("plain", "with <summary>\n inside", "ends </summary>", "a\n\nb"):
        composed = facts.compose(summary, ("<tasks>\n- [x]\n</tasks>",))
        assert facts.bare(composed) == summary
    assert facts.bare("no frame") == "no frame"


# -- shortened outputs -----------------------------------------------------------------------------


def looked(outputs: int, size: int) -> World:
    """A world with old outputs of about `size` tokens each, below the soft mark."""
    world = World(1, LIMITS)
    for _ in range(outputs):
        world.submit("Look.")
        (tool_use_id,) = call(world, "read")
        result(world, tool_use_id, about(size))
        answer(world)
    return world


def test_rung_0_shortens_old_outputs_without_a_model_when_that_is_enough() -> None:
    world = looked(5, 3_100)
    assert [c.rung for c in world.state.compactions] == [ev.Rung.CLEARED]
    assert wanted(world, inp.PrepareCompaction) == []
    cleared = world.state.compactions[0].cleared
    newest = [b for m in world.state.messages[-3:] for b in m.blocks if b.type == "tool_result"]
    assert newest, "the story ends with an output"
    assert all(block.text_of("tool_use_id") not in cleared for block in newest)
    assert shown(world).count("Output left out here") == len(cleared)
    exchange(world, "Go on.")


def test_a_second_rung_0_leaves_out_what_the_first_did_and_more() -> None:
    world = looked(10, 3_100)
    first, second = world.state.compactions[:2]
    assert first.rung is second.rung is ev.Rung.CLEARED
    assert set(first.cleared) < set(second.cleared)


def test_P4_an_undo_after_more_turns_shows_the_history_without_thinking_of_another_view() -> None:
    world = World(1, LIMITS)
    for number in range(6):
        world.submit(f"question {number}")
        answer(world, THINKING, text(about(1_000)))
    world.give(inp.CompactAsked())
    ready(world)
    world.submit("And then?")
    answer(world, THINKING, text("Later."))
    found = world.state.compactions[0].compaction_id
    world.give(inp.Note((ev.CompactionUndone(compaction_id=found),)))
    everything = tuple(view.without_thinking(message) for message in world.state.messages)
    assert view.messages(world.state) == everything, "R72, R74: bound thinking has no holes"


def test_what_rung_0_left_out_stays_left_out_under_the_next_compaction() -> None:
    world = looked(5, 3_100)
    cleared = set(world.state.compactions[0].cleared)
    for _ in range(3):
        exchange(world, said=about(300))
    world.give(inp.CompactAsked())
    ready(world)
    newest = world.state.in_force
    assert newest is not None
    assert newest.rung is ev.Rung.SUMMARY
    assert set(newest.cleared) >= cleared
    found = newest.compaction_id
    world.give(inp.Note((ev.CompactionUndone(compaction_id=found),)))
    world.give(
        inp.Note((ev.CompactionUndone(compaction_id=world.state.compactions[0].compaction_id),))
    )
    assert "Output left out here" not in shown(world), "P4: all of it is there again"


def test_a_person_who_asks_for_a_compaction_gets_a_summary_and_no_shortened_outputs() -> None:
    world = looked(4, 3_000)
    world.give(inp.CompactAsked())
    assert [e.first for e in wanted(world, inp.PrepareCompaction)] == [ev.Rung.ON_DEMAND]


def test_a_digest_is_made_anew_from_the_history_and_a_models_summary_is_built_upon() -> None:
    world = compacted()
    for rung in (ev.Rung.DIGEST, ev.Rung.SUMMARY):
        for _ in range(4):
            exchange(world, said=about(1_000))
        world.give(inp.CompactAsked())
        running = world.state.compaction
        assert running is not None
        previous, messages = planning.covered(world.state, running.started)
        assert previous == "They spoke of kelp."
        ready(world, f"A {rung.value}.", rung=rung)
    first = view.cut_index(world.state, world.state.compactions[0])
    assert messages[0] == world.state.messages[first], "also what only the digest stood for"


@pytest.mark.parametrize("role", [USER, ASSISTANT])
def test_a_signed_block_in_front_is_valid_for_who_takes_it_and_text_for_others(role: str) -> None:
    """Also in histories that come from elsewhere: R91-R94, R21, R31."""
    other = ASSISTANT if role == USER else USER
    tail = [("user", "Well?")] if other == USER else [("assistant", "Aye."), ("user", "Well?")]
    history = view.History((view.Message(role, (signed("So far."),), "1"),)) + tuple(
        view.Message(said_by, (text(words),), str(n)) for n, (said_by, words) in enumerate(tail, 2)
    )
    assert preflight.check(history, TAKING, sending=True) == ()
    event, steps = preflight.mend(history, "r_1", LIMITS.profile, sending=True)
    assert event is not None
    assert steps
    said = [block.raw for _, blocks in event.edits[0].messages for block in ev.blocks_of(blocks)]
    assert any("So far." in raw for raw in said)


# -- records of which a repair leaves nothing ------------------------------------------------------


@pytest.mark.parametrize("rung", [ev.Rung.SUMMARY, ev.Rung.ON_DEMAND])
@pytest.mark.survives("B22")
def test_B22_what_came_behind_the_cut_is_shown_when_a_repair_takes_the_cut_away(
    rung: ev.Rung,
) -> None:
    """P4: who is asked about is in the view, whatever becomes of the record that names a cut."""
    world = compacted(SIGNING if rung is ev.Rung.ON_DEMAND else LIMITS, rung=rung)
    [compaction] = world.state.compactions
    cut = compaction.cut_origin or compaction.known_origin
    exchange(world, "asked behind it")
    before = view.messages(world.state)
    edit = ev.MessageEdit(origin=cut, messages=())
    world.give(inp.Note((ev.HistoryRepaired(repair_id="r_1", notes=(), edits=(edit,)),)))
    assert "asked behind it" in shown(world)
    assert "question 0" not in shown(world), "what it covers stays covered"
    world.give(inp.Note((ev.RepairUndone(repair_id="r_1"),)))
    assert view.messages(world.state) == before
