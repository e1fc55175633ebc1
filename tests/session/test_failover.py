"""When a session goes on at another endpoint by itself (P3, P7): only by the person's list."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.models import Endpoint, profile_of
from holdfast.session import events as ev
from holdfast.session import failover
from holdfast.session import inputs as inp
from holdfast.session.bounds import Alternative
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.session.state import Phase
from session.harness import LIMITS, World

AFTER_MS = 60_000
LIST = (Alternative("b", "m", "No cache there."), Alternative("c", "m", ""))
PASSING = [k for k, p in POLICIES.items() if p.remedy in {Remedy.RETRY, Remedy.CONTINUE}]
OURS = [k for k in FailureKind if k not in failover.AT_ONCE and k not in PASSING]
kinds = st.sampled_from(list(FailureKind))


def world(seed: int = 1, listed: tuple[Alternative, ...] = LIST) -> World:
    limits = attrs.evolve(LIMITS, failover=listed, failover_ms=AFTER_MS)
    return World(seed, attrs.evolve(limits, retry_budget_ms=10 * AFTER_MS))


def fail(at: World, kind: FailureKind, **more: int) -> None:
    """Fail the request under way, and send the next one as soon as it is due."""
    at.give(inp.Failed(Failure(kind=kind, message="m", **more)))
    wait = at.state.wait
    if wait is not None:
        at.now_ms = max(at.now_ms, wait.retry_at_ms)
        at.give(inp.Tick())


def moves(at: World) -> list[ev.EndpointSelected]:
    return [r.event for r in at.journal if isinstance(r.event, ev.EndpointSelected)]


@pytest.mark.parametrize("kind", sorted(failover.AT_ONCE))
def test_P3_what_does_not_pass_by_itself_moves_the_turn_at_once(kind: FailureKind) -> None:
    here = world()
    here.submit()
    fail(here, kind)
    [moved] = moves(here)
    assert (moved.endpoint, moved.reason, moved.said) == ("b", "failover", "No cache there.")
    assert here.state.phase is Phase.REQUESTING
    assert here.state.requested, "the request is sent there"


@pytest.mark.parametrize("kind", PASSING)
def test_P3_what_may_pass_moves_the_turn_after_the_time_that_a_person_set(
    kind: FailureKind,
) -> None:
    here = world()
    here.submit()
    fail(here, kind)
    began_ms = here.state.turn.trouble_since_ms if here.state.turn is not None else None
    assert began_ms is not None
    assert moves(here) == [], "the first failure is no reason to leave"
    while not moves(here):
        failed_at_ms = here.now_ms
        assert failed_at_ms - began_ms < 3 * AFTER_MS, "the turn never moves"
        fail(here, kind)
    assert failed_at_ms - began_ms >= AFTER_MS, "the endpoint had time left"
    assert here.state.turn is not None
    assert (here.state.turn.attempts, here.state.turn.trouble_since_ms) == (0, None)


def test_a_server_that_asks_for_a_longer_wait_than_that_is_left_at_once() -> None:
    here = world()
    here.submit()
    fail(here, FailureKind.RATE_LIMITED, retry_after_ms=AFTER_MS)
    assert [moved.endpoint for moved in moves(here)] == ["b"]


@pytest.mark.parametrize("kind", OURS)
def test_a_request_that_is_wrong_itself_is_not_carried_elsewhere(kind: FailureKind) -> None:
    here = world()
    here.submit()
    here.now_ms += 2 * AFTER_MS
    fail(here, kind)
    assert moves(here) == []


@given(many=st.lists(kinds, max_size=30), delay_ms=st.integers(0, AFTER_MS))
@settings(max_examples=60, deadline=None)
def test_without_a_list_nothing_moves(many: list[FailureKind], delay_ms: int) -> None:
    here = world(listed=())
    here.submit()
    for kind in many:
        here.now_ms += delay_ms
        fail(here, kind)
    assert moves(here) == []


@given(many=st.lists(kinds, max_size=40), delay_ms=st.integers(0, AFTER_MS))
@settings(max_examples=60, deadline=None)
def test_one_turn_goes_to_each_endpoint_once_so_that_nothing_bounces(
    many: list[FailureKind], delay_ms: int
) -> None:
    here = world(listed=(Alternative("", "m", ""), *LIST))
    here.submit()
    for kind in many:
        here.now_ms += delay_ms
        fail(here, kind)
    names = [moved.endpoint for moved in moves(here)]
    assert names == ["b", "c"][: len(names)]


def test_P7_when_all_endpoints_of_the_list_have_failed_the_turn_is_paused_with_its_reason() -> None:
    here = world()
    here.submit()
    for _ in range(3):
        fail(here, FailureKind.BILLING)
    assert here.state.pause is not None
    assert here.state.pause.reason == "billing"


def test_a_person_who_chooses_an_endpoint_lets_the_turn_go_to_all_of_them_again() -> None:
    here = world()
    here.submit()
    fail(here, FailureKind.BILLING)
    assert here.state.turn is not None
    assert here.state.turn.left == [""]
    here.give(inp.Note((ev.EndpointSelected(endpoint="", model=None, reason="back"),)))
    assert here.state.turn.left == []


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_P1_to_P7_hold_in_a_hostile_world_with_other_endpoints(seed: int, steps: int) -> None:
    here = world(seed)
    for _ in range(steps):
        here.step()
    here.settle()
    here.submit("Are you still there?")
    here.settle()
    ends = [r.event for r in here.journal if isinstance(r.event, ev.TurnEnded)]
    assert ends[-1].reason is ev.TurnEnd.COMPLETED


def test_what_changes_is_said_in_words() -> None:
    here = profile_of("claude-opus-5-5")
    there = profile_of("claude-opus-5-5", Endpoint.COMPATIBLE)
    said = failover.changes("claude-opus-5-5", "opus", here, there)
    assert "opus is asked for in place of claude-opus-5-5." in said
    assert "Earlier thinking is not sent there." in said
    assert failover.changes("m", "m", here, here) == ""
