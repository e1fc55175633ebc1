"""What a session's journal tells the doctor: limits of time, and nothing that was said (P11)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.agent.troubles import past_of
from holdfast.journal import codec
from holdfast.journal.store import Record
from holdfast.network.past import Life, Past, check, outlived_by_none
from holdfast.session import events as ev
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.inputs import Recorded
from holdfast.session.lifetimes import has_outlived
from session.journals import of_a_hostile_world, of_any_events

NOW_MS = 1_000_000


def cut(age_ms: int, cause: Cause = Cause.CUT_STREAM) -> ev.RequestFailed:
    failure = Failure(kind=FailureKind.CUT, message="private words", cause=cause)
    return ev.RequestFailed(turn_id="t", attempt=1, failure=failure, age_ms=age_ms)


def lived(age_ms: int) -> ev.ResponseFinished:
    return ev.ResponseFinished(message_id="m", stop_reason="end_turn", age_ms=age_ms)


def past(*events: ev.Event) -> Past:
    """The one place here that knows what a journal is."""
    records = [
        codec.encode(Recorded(seq, seq * 1000, event)) for seq, event in enumerate(events, start=1)
    ]
    return past_of(records, NOW_MS)


def test_two_answers_that_die_at_one_age_are_a_limit_and_one_is_not() -> None:
    assert past(cut(60_000)).cap_ms == 0
    assert past(cut(60_000), cut(60_300)).cap_ms == 60_000
    assert past(cut(60_000), cut(12_000)).cap_ms == 0
    assert past(cut(1_000), cut(1_000)).cap_ms == 0, "what dies so young dies of something else"
    assert past(cut(60_000, Cause.RESET), cut(60_000, Cause.GATEWAY_TIMEOUT)).cap_ms == 60_000


def test_what_we_ended_ourselves_is_no_limit_of_others() -> None:
    assert past(cut(90_000, Cause.SILENT_STREAM), cut(90_000, Cause.SILENT_STREAM)).cap_ms == 0


def test_an_answer_that_lives_longer_and_another_endpoint_prove_the_contrary() -> None:
    assert past(cut(60_000), cut(60_000), lived(90_000)).cap_ms == 0
    assert past(cut(60_000), cut(60_000), lived(20_000)).cap_ms == 60_000
    away = ev.EndpointSelected(endpoint="other", model=None, there="m", reason="user")
    assert past(cut(60_000), cut(60_000), away) == Past()


def test_what_a_session_reckons_with_is_said_when_its_records_are_too_old_to_tell() -> None:
    told = check(Past(learned_ms=30_000))
    assert told is not None
    assert told.cause == Cause.DURATION_CAP
    assert "30 s" in told.says


def test_the_newest_trouble_is_told_by_its_cause_and_not_in_words_of_the_session() -> None:
    told = check(past(cut(60_000)))
    assert told is not None
    assert "in the middle of the answer" in told.says
    assert "private" not in told.says
    assert check(Past()) is None


@given(st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_any_journal_can_be_asked(seed: int) -> None:
    for made in (of_any_events(seed), of_a_hostile_world(seed)):
        records: list[Record] = [codec.encode(recorded) for recorded in made]
        assert past_of(records, NOW_MS).cap_ms >= 0


@given(st.lists(st.builds(Life, st.integers(0, 100_000), st.booleans()), max_size=12))
@settings(max_examples=100, deadline=None)
def test_no_age_is_kept_that_a_later_answer_has_outlived(lives: list[Life]) -> None:
    found = outlived_by_none(lives)
    assert list(found) == [
        life.age_ms
        for at, life in enumerate(lives)
        if life.killed
        and not any(
            not later.killed and has_outlived(later.age_ms, life.age_ms) for later in lives[at:]
        )
    ]
