"""A compaction asks another endpoint when its own fails; its waits can be ended (P3, P5, P7)."""

from __future__ import annotations

import pytest

from agent.ladder_stage import Answer, Walk, always, by_kind, failing, history, task, walk
from holdfast.agent.compaction.hurry import DOUBT_S
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failover import AT_ONCE
from holdfast.session.failures import POLICIES, Remedy
from holdfast.session.failures import FailureKind as K

R = ev.Rung
TALK = history(20_000)
LONG = history(150_000)
PASSING = sorted(k for k, p in POLICIES.items() if p.remedy in {Remedy.RETRY, Remedy.CONTINUE})
HOUR_MS = 3_600_000


def asked_of(found: Walk) -> list[str]:
    """Return who was asked, in order; "" is the session's own endpoint."""
    everyone = {"": found.model, **found.others}
    asked = [(each.at_s, name) for name, model in everyone.items() for each in model.asked]
    return [name for _, name in sorted(asked)]


def words_of(found: Walk) -> list[str]:
    return [given.detail for given in found.of(inp.RungFailed)]


@pytest.mark.parametrize("kind", [*PASSING, *sorted(AT_ONCE)])
def test_P3_the_second_try_of_a_summary_goes_to_the_next_endpoint_at_once(kind: K) -> None:
    given = task(TALK, others=("office",))
    broken = always(failing(kind))
    found = walk(given, broken, method="summary", elsewhere={"office": always(Answer())})
    assert found.ready.rung is R.SUMMARY
    assert asked_of(found) == ["", "office"]
    assert found.fell == [("summary", kind.value)]
    assert "The endpoint office is asked next." in words_of(found)[0], "P12: it is said"
    assert found.seconds < 3, "nobody waits for an endpoint that is not asked again"


@pytest.mark.parametrize("kind", PASSING)
def test_B02_when_all_endpoints_fail_there_are_no_more_tries_than_with_one(kind: K) -> None:
    given = task(LONG, others=("b", "c", "d"))
    broken = always(failing(kind))
    found = walk(given, broken, elsewhere=dict.fromkeys("bcd", broken))
    assert found.ready.rung is R.DIGEST
    assert len(asked_of(found)) <= 2 + 2 + 4
    assert found.asked("onDemand"), "the signed compaction is asked of the session's own alone"
    assert not any(a.kind == "onDemand" for m in found.others.values() for a in m.asked)


@pytest.mark.parametrize("kind", sorted(AT_ONCE))
def test_what_only_a_person_can_lift_here_may_be_no_trouble_elsewhere(kind: K) -> None:
    given = task(TALK, others=("office",))
    broken = always(failing(kind))
    found = walk(given, broken, elsewhere={"office": always(Answer())})
    assert found.ready.rung is R.SUMMARY
    assert asked_of(found) == ["", "office"]


def test_whoever_asks_for_an_hour_is_left_for_another() -> None:
    limited = always(failing(K.RATE_LIMITED, retry_after_ms=HOUR_MS))
    given = task(TALK, others=("office",))
    found = walk(given, limited, elsewhere={"office": always(Answer())})
    assert found.ready.rung is R.SUMMARY
    assert asked_of(found) == ["", "office"]


def test_chunks_that_fail_side_by_side_move_one_endpoint_on_and_not_two() -> None:
    given = task(LONG, others=("office", "third"), on_demand=None, input_tokens_max=20_000)
    first = by_kind(chunk=(Answer(), failing(K.SERVER)))
    fine = always(Answer())
    found = walk(given, first, elsewhere={"office": fine, "third": fine})
    assert found.ready.rung is R.CHUNKS
    assert found.others["office"].asked
    assert not found.others["third"].asked


def test_P7_retry_now_ends_the_wait_for_a_summary() -> None:
    limited = failing(K.RATE_LIMITED, retry_after_ms=45_000)
    decides = by_kind(onDemand=(limited, Answer()))
    patient = walk(task(TALK), decides)
    hurried = walk(task(TALK), by_kind(onDemand=(limited, Answer())), hurried_at_s=[5.0])
    assert patient.seconds > 45
    assert hurried.ready.rung is R.ON_DEMAND
    assert hurried.model.asked[1].at_s == pytest.approx(5.0)


def test_P7_retry_now_ends_the_wait_of_all_chunks() -> None:
    limited = failing(K.RATE_LIMITED, retry_after_ms=45_000)
    decides = by_kind(chunk=(Answer(), limited, Answer()))
    given = task(LONG, on_demand=None)
    found = walk(given, decides, hurried_at_s=[6.0])
    assert found.ready.rung is R.CHUNKS
    assert found.seconds < 40


def test_a_hurry_before_the_wait_shortens_nothing() -> None:
    limited = failing(K.RATE_LIMITED, retry_after_ms=45_000)
    found = walk(task(TALK), by_kind(onDemand=(limited, Answer())), hurried_at_s=[0.05])
    assert found.model.asked[1].at_s >= 45


def test_C09_a_request_that_the_machine_slept_through_is_given_up_and_tried_again() -> None:
    lost = Answer(after_s=500.0)
    found = walk(task(TALK), by_kind(onDemand=(lost, Answer())), doubted_at_s=[3.0])
    assert found.ready.rung is R.ON_DEMAND
    assert found.fell == [("onDemand", "network")]
    assert found.model.asked[1].at_s - (3.0 + DOUBT_S) < 5


def test_C09_a_request_that_is_heard_of_after_a_sleep_goes_on() -> None:
    alive = Answer(pings_s=60.0)
    found = walk(task(TALK), by_kind(onDemand=alive), doubted_at_s=[3.0, 30.0])
    assert found.ready.rung is R.ON_DEMAND
    assert found.fell == []
