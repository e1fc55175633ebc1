"""What is told of a failure: the one table, and nothing that nobody saw (P7, P12)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.session import banners
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import (
    POLICIES,
    TRIED,
    Failure,
    FailureKind,
    Remedy,
    explain,
    raw_words,
    told,
)
from session import failures_page

FAILURES = st.builds(
    Failure,
    kind=st.sampled_from(FailureKind),
    message=st.text(max_size=40),
    status=st.none() | st.integers(200, 599),
    request_id=st.none() | st.text(min_size=1, max_size=10),
    cause=st.none() | st.sampled_from(Cause),
)


@settings(max_examples=200, deadline=None)
@given(FAILURES)
def test_p12_no_reason_is_invented_what_is_told_is_the_row_of_what_was_seen(
    failure: Failure,
) -> None:
    explanation = explain(failure)
    policy = POLICIES[failure.kind]
    seen = failure.cause not in {None, Cause.UNKNOWN}
    row = CAUSES[failure.cause] if failure.cause is not None and seen else policy
    assert (explanation.says, explanation.advice) == (row.says, row.advice)
    assert explanation.tried == TRIED[policy.remedy]
    assert explanation.actions
    assert told(failure).startswith(explanation.says)
    assert failure.message in told(failure) or failure.message in explanation.says


@settings(max_examples=100, deadline=None)
@given(FAILURES)
def test_p12_banners_say_what_is_told_and_keep_the_servers_words_behind_it(
    failure: Failure,
) -> None:
    waits = banners.waiting("s_1", reason=failure.kind, attempt=1, due=5, failure=failure)
    paused = banners.paused("s_1", reason=failure.kind, message="", advice="", failure=failure)
    explanation = explain(failure)
    assert waits.text.startswith(explanation.says)
    assert (paused.title, paused.text) == (explanation.says.rstrip("."), explanation.advice)
    assert waits.raw == paused.raw == raw_words(failure)


def test_every_cause_has_its_own_words_in_whole_sentences() -> None:
    assert {*CAUSES} == {*Cause}
    for row in CAUSES.values():
        for words in (row.says, row.advice):
            assert words[0].isupper()
            assert words.endswith(".")
    assert len({row.says for row in CAUSES.values()}) == len(CAUSES)


@pytest.mark.parametrize("kind", FailureKind)
def test_only_what_passes_by_itself_is_said_to_be_tried_by_itself(kind: FailureKind) -> None:
    by_itself = POLICIES[kind].remedy is not Remedy.ASK
    assert (
        "nothing is sent until you say so" in explain(Failure(kind=kind, message="")).tried
    ) is (not by_itself)


def test_what_the_last_look_met_is_told_when_it_is_another_thing() -> None:
    """A pause for an overload goes on while the network is gone: both are told."""
    busy = Failure(kind=FailureKind.OVERLOADED, message="", cause=Cause.OVERLOADED)
    gone = Failure(kind=FailureKind.NETWORK, message="no such host", cause=Cause.NAME_NOT_FOUND)

    def text(probe: Failure | None) -> str:
        return banners.paused(
            "s_1", reason=busy.kind, message="", advice="", due=5, failure=busy, probe=probe
        ).text

    assert CAUSES[Cause.OVERLOADED].says in text(gone)
    assert CAUSES[Cause.NAME_NOT_FOUND].says in text(gone)
    assert text(busy) == text(None)


def test_d27_a_record_without_a_cause_and_one_with_a_newer_cause_are_both_read() -> None:
    old = b'{"kind":"network","message":"gone"}'
    newer = b'{"kind":"network","message":"gone","cause":"solarFlare"}'
    for record, cause in ((old, None), (newer, Cause.UNKNOWN)):
        failure = msgspec.json.decode(record, type=Failure)
        assert failure.cause is cause
        assert explain(failure).says == POLICIES[FailureKind.NETWORK].says
    assert b"cause" not in msgspec.json.encode(msgspec.json.decode(old, type=Failure))


def test_the_page_of_failures_is_the_tables() -> None:
    """`make failures` writes it."""
    assert failures_page.PAGE.read_text(encoding="utf-8") == failures_page.page()
