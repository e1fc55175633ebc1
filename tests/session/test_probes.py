"""P3 P7: a turn that is paused finds out by itself, free of charge, when it can go on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.session.lifecycle import advance
from holdfast.session.state import Pause, Phase
from session.harness import LIMITS, World

PASSING = [kind for kind, policy in POLICIES.items() if policy.probe_ms is not None]
OF_THE_WAY = [FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.STALLED, FailureKind.CUT]


def paused(kind: FailureKind = FailureKind.NETWORK) -> World:
    """A world whose turn has spent its budget on one kind of failure."""
    world = World(seed=1)
    world.submit()
    while world.state.phase is not Phase.PAUSED:
        if world.state.phase is Phase.WAITING:
            world.act(next(e for e in world.pending if isinstance(e, inp.WakeAt)))
        else:
            world.give(inp.Failed(Failure(kind=kind, message="no")))
    return world


def pause_of(world: World) -> Pause:
    assert world.state.pause is not None
    return world.state.pause


def look(world: World, found: Failure | None) -> None:
    """Let the time of the next look come, and have it find this."""
    pause = pause_of(world)
    assert pause.retry_at_ms is not None
    world.now_ms = pause.retry_at_ms
    world.give(inp.Tick())
    world.give(inp.Probed(pause.since_ms, found))


@pytest.mark.parametrize("kind", PASSING)
def test_whatever_passes_by_itself_is_looked_for_and_the_turn_goes_on_when_it_has(
    kind: FailureKind,
) -> None:
    world = paused(kind)
    requests = world.requests
    for _ in range(5):
        look(world, Failure(kind=FailureKind.NETWORK, message="still no"))
        assert (world.state.phase, world.requests) == (Phase.PAUSED, requests)
    look(world, None)
    assert (world.state.phase, world.requests) == (Phase.REQUESTING, requests + 1)
    assert world.journal[-2].event == ev.TurnResumed(by="probe")


@given(asked_ms=st.none() | st.integers(0, 10_000_000), looks=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_looks_come_ever_more_rarely_but_no_longer_apart_than_the_limit_or_the_server_says(
    asked_ms: int | None, looks: int
) -> None:
    world = paused()
    before = 0
    for _ in range(looks):
        look(world, Failure(kind=FailureKind.NETWORK, message="no", retry_after_ms=asked_ms))
        at_ms = pause_of(world).retry_at_ms
        assert at_ms is not None
        delay = at_ms - world.now_ms
        assert delay >= before, "never sooner than before"
        assert (asked_ms or 0) <= delay <= max(asked_ms or 0, LIMITS.probe_max_ms)
        before = delay


def test_a_cause_that_stays_keeps_its_words_and_is_written_with_its_body_once() -> None:
    world = paused()
    page = Failure(kind=FailureKind.SERVER, message="502", raw="<html>" * 100)
    for _ in range(3):
        look(world, page)
    bodies = [r.event.failure.raw for r in world.journal if isinstance(r.event, ev.ProbeFailed)]
    assert bodies == [page.raw, "", ""]
    probe = pause_of(world).probe
    assert probe is not None
    assert probe.message == "502"


def test_the_answer_to_a_look_for_a_pause_that_is_over_changes_nothing() -> None:
    world = paused()
    old = pause_of(world)
    look(world, Failure(kind=FailureKind.NETWORK, message="no"))
    events = len(world.journal)
    world.give(inp.Probed(old.since_ms))
    world.give(inp.Resume())
    world.give(inp.Probed(old.since_ms, Failure(kind=FailureKind.NETWORK, message="no")))
    assert world.state.phase is Phase.REQUESTING
    assert [type(r.event) for r in world.journal[events:]] == [ev.TurnResumed, ev.RequestStarted]


def test_whoever_asks_again_does_not_wait_for_the_next_look() -> None:
    world = paused()
    world.give(inp.Resume())
    assert world.state.phase is Phase.REQUESTING


def test_after_a_restart_a_paused_turn_is_looked_after_as_before() -> None:
    world = paused()
    look(world, Failure(kind=FailureKind.NETWORK, message="no"))
    world.pending.clear()
    world.give(inp.Restarted(generation=2))
    assert [type(effect) for effect in world.pending] == [inp.WakeAt]
    look(world, None)
    assert world.state.phase is Phase.REQUESTING


def test_what_only_a_person_can_lift_is_never_looked_for() -> None:
    for kind in (kind for kind, policy in POLICIES.items() if policy.remedy is Remedy.ASK):
        world = paused(kind)
        assert pause_of(world).retry_at_ms is None
        assert not [e for e in world.pending if isinstance(e, inp.WakeAt | inp.Probe)]


# -- a machine that slept -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OF_THE_WAY)
def test_a_machine_that_wakes_tries_at_once_and_with_a_whole_budget(kind: FailureKind) -> None:
    """C09: the network of the morning is another one than that of the evening."""
    for world in (paused(kind), waiting(kind)):
        world.now_ms += 8 * 3_600_000
        world.give(inp.Woke())
        assert world.state.phase is Phase.REQUESTING
        world.give(inp.Failed(Failure(kind=kind, message="not yet")))
        assert world.state.phase is Phase.WAITING, "the night was no time of trouble"
        assert world.state.wait is not None
        assert world.state.wait.attempt == 2


@pytest.mark.parametrize("kind", [FailureKind.OVERLOADED, FailureKind.SERVER, *OF_THE_WAY])
def test_C09_a_try_that_comes_hours_late_has_a_whole_budget(kind: FailureKind) -> None:
    """Nobody ran when its time came: the machine slept, or the server was not there."""
    world = waiting(kind)
    world.now_ms += 8 * 3_600_000
    world.give(inp.Tick())
    assert world.state.phase is Phase.REQUESTING
    world.give(inp.Failed(Failure(kind=kind, message="not yet")))
    assert world.state.phase is Phase.WAITING, "the night was no time of trouble"


@pytest.mark.parametrize(
    "failure",
    [
        Failure(kind=FailureKind.OVERLOADED, message="busy"),
        Failure(kind=FailureKind.NETWORK, message="busy", retry_after_ms=60_000),
    ],
)
def test_a_time_that_the_api_named_or_needs_is_kept_by_a_machine_that_wakes(
    failure: Failure,
) -> None:
    world = World(seed=1)
    world.submit()
    world.give(inp.Failed(failure))
    world.give(inp.Woke())
    assert world.state.phase is Phase.WAITING


def waiting(kind: FailureKind) -> World:
    world = World(seed=1)
    world.submit()
    world.give(inp.Failed(Failure(kind=kind, message="no")))
    assert world.state.phase is Phase.WAITING
    return world


def test_a_machine_that_wakes_disturbs_nothing_else() -> None:
    for seed in range(30):
        world = World(seed=seed)
        for _ in range(30):
            world.step()
            phase, before = world.state.phase, len(world.journal)
            if phase not in {Phase.WAITING, Phase.PAUSED}:
                env = inp.Env("s_1", world.now_ms, 0.5, world.limits)
                assert advance(world.state, inp.Woke(), env).effects == ()
                assert (world.state.phase, len(world.journal)) == (phase, before)
