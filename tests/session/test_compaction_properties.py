"""Compactions in a hostile world: whatever is brought into force, the session goes on (P2, P4, P5).

Each journal is folded event by event, and the view is compared before and after each commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import Message
from holdfast.conversation.profile import Profile
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import preflight, view
from holdfast.session.compaction import budget
from holdfast.session.fold import apply
from holdfast.session.items.fold import Items
from holdfast.session.state import SessionState
from session.harness import LIMITS, TAKING, World

SEEDS = st.integers(0, 2**32)
LONG = attrs.evolve(LIMITS, window_tokens=8_000, profile=TAKING)


def played(seed: int, steps: int, limits: inp.Limits = LIMITS) -> World:
    world = World(seed, limits)
    for _ in range(steps):
        world.step()
    return world


@attrs.frozen
class Commit:
    """A commit of a journal: the states around it, and how it was prepared.

    `judged` is what the ladder was judged by; `prepared` the same with the facts of the commit.
    """

    before: SessionState
    after: SessionState
    judged: ev.CompactionPrepared
    prepared: ev.CompactionPrepared
    started: ev.CompactionStarted


def commits(world: World) -> Iterator[Commit]:
    state = SessionState()
    started: dict[str, ev.CompactionStarted] = {}
    judged: dict[str, ev.CompactionPrepared] = {}
    prepared: dict[str, ev.CompactionPrepared] = {}
    for record in world.journal:
        event = record.event
        if isinstance(event, ev.CompactionStarted):
            started[event.compaction_id] = event
        if isinstance(event, ev.CompactionPrepared):
            prepared[event.compaction_id] = event
            judged.setdefault(event.compaction_id, event)
        before = deepcopy(state) if isinstance(event, ev.CompactionCommitted) else None
        apply(state, event, record.seq, record.at_ms)
        if before is not None and isinstance(event, ev.CompactionCommitted):
            which = event.compaction_id
            yield Commit(before, state, judged[which], prepared[which], started[which])


def words(messages: tuple[Message, ...]) -> str:
    return " ".join(block.raw for message in messages for block in message.blocks)


def profile_for(state: SessionState) -> Profile:
    found = state.in_force
    return TAKING if found is not None and found.block is not None else LIMITS.profile


@pytest.mark.survives("B09")
@pytest.mark.survives("B11")
@given(seed=SEEDS, steps=st.integers(40, 160))
@settings(max_examples=20, deadline=None)
def test_P2_the_view_after_any_rung_breaks_no_rule_that_it_kept_before(
    seed: int, steps: int
) -> None:
    for commit in commits(played(seed, steps, LONG if seed % 2 else LIMITS)):
        if preflight.check(view.messages(commit.before), profile_for(commit.before)):
            continue
        broken = preflight.check(view.messages(commit.after), profile_for(commit.after))
        assert not broken, (commit.prepared.rung, broken)


@given(seed=SEEDS, steps=st.integers(40, 160))
@settings(max_examples=20, deadline=None)
def test_P5_open_calls_and_the_last_prompt_stand_in_the_view_after_any_rung(
    seed: int, steps: int
) -> None:
    for commit in commits(played(seed, steps)):
        shown = words(view.messages(commit.after))
        for call in commit.after.calls.values():
            assert call.block.raw in shown
        turn = commit.after.turn
        if turn is not None:
            assert f"prompt {turn.prompt_id}" in shown


@pytest.mark.survives("B12")
@given(seed=SEEDS, steps=st.integers(40, 160))
@settings(max_examples=20, deadline=None)
def test_P5_whatever_comes_into_force_makes_the_view_smaller_and_what_a_model_made_fits(
    seed: int, steps: int
) -> None:
    for commit in commits(played(seed, steps)):
        before = budget.estimated_tokens(commit.before, LIMITS, view.messages(commit.before))
        after = budget.estimated_tokens(commit.after, LIMITS, view.messages(commit.after))
        assert after < before
        if commit.judged.rung in {ev.Rung.ON_DEMAND, ev.Rung.SUMMARY, ev.Rung.CHUNKS}:
            assert commit.judged.tokens_after <= budget.marks(LIMITS).hard


@pytest.mark.survives("B18")
@given(seed=SEEDS, steps=st.integers(40, 160))
@settings(max_examples=20, deadline=None)
def test_P4_undo_restores_the_view_byte_for_byte_and_redo_the_compacted_one(
    seed: int, steps: int
) -> None:
    for commit in commits(played(seed, steps, LONG if seed % 2 else LIMITS)):
        state = deepcopy(commit.after)
        earlier, compacted = view.messages(commit.before), view.messages(state)
        found = commit.prepared.compaction_id
        for _ in range(2):
            apply(state, ev.CompactionUndone(compaction_id=found), state.seq + 1, 0)
            assert view.messages(state) == earlier
            apply(state, ev.CompactionRedone(compaction_id=found), state.seq + 1, 0)
            assert view.messages(state) == compacted
        assert state.compactions == commit.after.compactions


@given(seed=SEEDS, steps=st.integers(40, 160))
@settings(max_examples=20, deadline=None)
def test_B02_nothing_starts_by_itself_while_nothing_has_changed_since_the_last_try(
    seed: int, steps: int
) -> None:
    tried: dict[tuple[int, int, str], int] = {}
    world = played(seed, steps)
    state = SessionState()
    for record in world.journal:
        event = record.event
        if isinstance(event, ev.CompactionStarted) and event.trigger == "auto":
            key = (state.prefix_version, len(state.messages), event.model)
            tried[key] = tried.get(key, 0) + 1
        apply(state, event, record.seq, record.at_ms)
    # Once beside the session, once because a request waits, once to say that nothing can go.
    assert max(tried.values(), default=0) <= 3


@given(seed=SEEDS, steps=st.integers(40, 120))
@settings(max_examples=15, deadline=None)
def test_every_compaction_that_starts_comes_into_force_or_ends_with_a_reason(
    seed: int, steps: int
) -> None:
    world = played(seed, steps)
    world.settle()
    world.submit("Is it over?")
    world.settle()
    open_ones: set[str] = set()
    for record in world.journal:
        match record.event:
            case ev.CompactionStarted(compaction_id=found):
                assert not open_ones, "one at a time"
                open_ones.add(found)
            case ev.CompactionCommitted(compaction_id=found):
                open_ones.remove(found)
            case ev.CompactionEnded(compaction_id=found, outcome=outcome, detail=detail):
                open_ones.remove(found)
                assert detail, outcome
            case _:
                pass
    running = world.state.compaction
    assert open_ones == ({running.started.compaction_id} if running else set())


@given(seed=SEEDS, steps=st.integers(40, 120))
@settings(max_examples=10, deadline=None)
def test_P1_the_notices_of_compactions_fold_the_same_in_batches_of_any_size(
    seed: int, steps: int
) -> None:
    journal = played(seed, steps).journal
    whole, single = Items("s_1"), Items("s_1")
    whole.fold(journal)
    for record in journal:
        single.fold([record])
    assert whole.page(10_000) == single.page(10_000)
