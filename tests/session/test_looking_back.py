"""The way back from a fail-over: between turns, after a free look, said (P3, P7, P12)."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.session import events as ev
from holdfast.session import failover
from holdfast.session import inputs as inp
from holdfast.session.bounds import Alternative
from holdfast.session.failures import UNSEEN, Failure, FailureKind
from holdfast.session.state import LOOKING_BACK, Phase
from session.harness import LIMITS, World

AFTER_MS = 60_000
LIST = (Alternative("b", "m", ""), Alternative("c", "m", ""))
FOR_NOW = sorted(failover.AT_ONCE - UNSEEN)


def world(seed: int = 1) -> World:
    limits = attrs.evolve(LIMITS, failover=LIST, failover_ms=AFTER_MS)
    return World(seed, attrs.evolve(limits, retry_budget_ms=10 * AFTER_MS))


def away(kind: FailureKind = FailureKind.AUTHENTICATION) -> World:
    """Return a session that has moved, and whose turn there is over."""
    here = world()
    here.submit()
    move(here, kind)
    finish(here)
    return here


def move(at: World, kind: FailureKind = FailureKind.AUTHENTICATION) -> None:
    at.give(inp.Failed(Failure(kind=kind, message="m")))
    at.give(inp.Tick())


def finish(at: World) -> None:
    at.give(inp.Completed("m", "end_turn", ev.Usage(input_tokens=9, output_tokens=1)))
    assert at.state.turn is None


def looks(at: World) -> list[inp.LookBack]:
    return [effect for effect in at.pending if isinstance(effect, inp.LookBack)]


def found(at: World, *, answers: bool) -> None:
    [look] = looks(at)
    at.pending.remove(look)
    at.give(inp.LookedBack(look.since_ms, answers=answers))


def selected(at: World) -> list[tuple[str, str]]:
    events = (r.event for r in at.journal)
    return [(e.endpoint, e.reason) for e in events if isinstance(e, ev.EndpointSelected)]


@pytest.mark.parametrize("kind", FOR_NOW)
def test_P3_the_next_prompt_goes_back_when_the_endpoint_that_was_left_answers_again(
    kind: FailureKind,
) -> None:
    here = away(kind)
    here.now_ms += AFTER_MS
    here.submit()
    assert here.state.phase is Phase.WAITING, "P7: the look is a wait that is shown"
    assert here.state.wait is not None
    assert here.state.wait.retry_at_ms == here.now_ms + failover.LOOK_MS, "and bounded"
    assert here.requests == 2, "P7: a look is no request"
    found(here, answers=True)
    here.give(inp.Tick())
    assert selected(here) == [("b", "failover"), ("", "returned")]
    assert here.state.phase is Phase.REQUESTING
    assert here.state.requested
    assert here.state.home is None


def test_P7_when_it_does_not_answer_the_turn_begins_where_the_session_is() -> None:
    here = away()
    here.now_ms += AFTER_MS
    here.submit()
    found(here, answers=False)
    assert here.state.requested
    assert here.state.endpoint == "b"


def test_P7_a_look_that_brings_nothing_in_time_holds_no_turn_up() -> None:
    here = away()
    here.now_ms += AFTER_MS
    here.submit()
    here.now_ms += failover.LOOK_MS
    here.give(inp.Tick())
    assert here.state.requested
    found(here, answers=True)
    assert here.state.endpoint == "b", "and what comes too late changes nothing in mid-turn"


def test_P7_stop_works_while_it_is_looked() -> None:
    here = away()
    here.now_ms += AFTER_MS
    here.submit()
    here.give(inp.Stop())
    assert here.state.phase is Phase.IDLE
    found(here, answers=True)
    assert here.state.endpoint == "b"


def test_nothing_is_looked_at_before_the_time_that_a_person_set_is_over() -> None:
    here = away()
    here.now_ms += AFTER_MS - 1
    here.submit()
    assert here.state.requested
    assert looks(here) == []


@pytest.mark.parametrize("kind", sorted(UNSEEN))
def test_what_a_free_look_cannot_see_is_left_for_a_person_to_lift(kind: FailureKind) -> None:
    here = away(kind)
    here.now_ms += 100 * AFTER_MS
    here.submit()
    assert here.state.requested
    assert looks(here) == []


def test_a_person_who_chooses_an_endpoint_stays_there() -> None:
    here = away()
    here.give(inp.Note((ev.EndpointSelected(endpoint="c", model=None, reason="user"),)))
    here.now_ms += 100 * AFTER_MS
    here.submit()
    assert here.state.requested
    assert here.state.endpoint == "c"


def test_P7_each_return_in_vain_doubles_the_time_until_the_next_look() -> None:
    here = away()
    for times in (1, 2, 4, 8, 16, 32, 64, 64):
        left_ms = here.now_ms
        here.now_ms = left_ms + times * AFTER_MS - 1
        here.submit()
        finish(here)
        assert looks(here) == []
        here.now_ms = left_ms + times * AFTER_MS
        here.submit()
        found(here, answers=True)
        here.give(inp.Tick())
        move(here)
        finish(here)


def test_a_turn_that_ends_well_at_home_makes_the_next_absence_a_first_one() -> None:
    here = away()
    here.now_ms += AFTER_MS
    here.submit()
    found(here, answers=True)
    here.give(inp.Tick())
    assert here.state.returns == 1
    finish(here)
    assert here.state.returns == 0


def test_after_two_moves_it_is_the_first_endpoint_that_is_gone_back_to() -> None:
    here = world()
    here.submit()
    move(here)
    move(here)
    finish(here)
    here.now_ms += AFTER_MS
    here.submit()
    [look] = looks(here)
    assert look.endpoint == ""


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 150))
@settings(max_examples=60, deadline=None)
def test_P3_P7_endpoints_change_in_mid_turn_only_when_one_has_failed(seed: int, steps: int) -> None:
    here = world(seed)
    for _ in range(steps):
        here.step()
    here.settle()
    requested = False
    for recorded in here.journal:
        match recorded.event:
            case ev.TurnStarted():
                requested = False
            case ev.RequestStarted():
                requested = True
            case ev.EndpointSelected(reason="returned"):
                assert not requested, "a turn that has begun stays where it is"
            case ev.RetryScheduled() as wait if wait.reason == LOOKING_BACK:
                assert not requested
                assert wait.retry_at_ms - recorded.at_ms <= failover.LOOK_MS
            case _:
                pass
