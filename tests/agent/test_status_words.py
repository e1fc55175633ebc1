"""The words of a status: what holds a session up goes before what merely happens (P7)."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.agent import overview
from holdfast.agent.api import CompactionProgress
from holdfast.agent.reading import status_of
from holdfast.session.banners import STORAGE
from holdfast.session.events import CompactionStarted
from holdfast.session.failures import Failure, FailureKind, told
from holdfast.session.state import (
    OpenResponse,
    Pause,
    RunningCompaction,
    SessionState,
    Turn,
    Wait,
)

S = "s_1"
NOW = 1_770_000_000_000
FAILURE = Failure(kind=FailureKind.OVERLOADED, message="Overloaded", status=529)


def during(**more: Any) -> SessionState:
    return SessionState(turn=Turn("t", "p", failure=FAILURE), **more)


STREAMING = during(requested=True, response=OpenResponse(started=True))


def test_an_idle_session_has_nothing_to_say() -> None:
    status = status_of(S, SessionState())
    assert (status.label, status.banner) == ("", None)


def test_a_wait_says_what_its_policy_says_and_when_it_ends() -> None:
    wait = Wait(attempt=2, retry_at_ms=NOW, reason="overloaded", since_ms=NOW - 9)
    banner = status_of(S, during(wait=wait)).banner
    assert banner is not None
    assert (banner.title, banner.due) == ("Trying again", NOW)
    assert banner.text.startswith("The API is overloaded. Attempt 2 comes next. Wait,")
    assert banner.raw is not None
    assert "status: 529" in banner.raw


def test_a_request_that_is_sent_again_is_in_trouble_until_something_comes_of_it() -> None:
    turn = Turn("t", "p", failure=FAILURE, attempts=2, trouble_since_ms=NOW - 9)
    status = status_of(S, SessionState(turn=turn, requested=True), silent_ms=99_000)
    assert (status.phase, status.label, status.attempt) == ("requesting", "trying again", 3)
    assert (status.message, status.cause) == (told(FAILURE), None)
    assert status.banner is not None
    assert "Attempt 3 is under way." in status.banner.text
    assert status.banner.since == NOW - 9
    answering = SessionState(turn=turn, requested=True, response=OpenResponse(started=True))
    assert status_of(S, answering).banner is None


def test_a_pause_goes_before_silence_and_being_read_only_before_all() -> None:
    pause = Pause("interrupted", "It stands.", "Do this.", None, NOW)
    state = during(pause=pause)
    paused = status_of(S, state, silent_ms=99_000)
    assert paused.banner is not None
    assert (paused.banner.title, paused.banner.text) == ("It stands", "Do this.")
    elsewhere = status_of(S, state, read_only="process 1")
    assert elsewhere.banner is not None
    assert elsewhere.banner.title == "Read only here"
    assert elsewhere.label == "paused, open elsewhere"


def test_a_store_in_trouble_is_a_pause_like_others() -> None:
    status = status_of(S, STREAMING, store_trouble="disk full")
    assert (status.reason, status.label) == (STORAGE, "paused")
    assert status.banner is not None
    assert status.banner.title == "The session store cannot be written"
    assert status.banner.raw == "disk full"


def test_silence_is_told_with_the_time_of_the_cut_and_its_length_changes_no_words() -> None:
    short, long = (
        status_of(S, STREAMING, silent_ms=silent_ms, cut_at_ms=NOW)
        for silent_ms in (12_000, 13_000)
    )
    assert short.banner is not None
    assert short.banner.due == NOW
    assert (short.label, short.banner) == (long.label, long.banner)
    assert overview.same_line(short, long)
    assert not overview.same_line(status_of(S, STREAMING), short), "a list says that it is silent"


@pytest.mark.parametrize("blocking", [False, True])
def test_a_compaction_is_told_with_its_step(blocking: bool) -> None:
    started = CompactionStarted(
        compaction_id="c", trigger="manual", blocking=blocking, cut_origin="", tokens_before=9
    )
    progress = CompactionProgress("c", "asking the model", 40, 1, cause="Late", attempt=2)
    state = during(compaction=RunningCompaction(started))
    status = status_of(S, state, progress=progress)
    assert status.banner is not None
    assert status.banner.title == "Compacting the conversation, 40 %"
    assert status.banner.text == "Asking the model · attempt 2 · Late"
    assert status.label.endswith("compacting 40 %")
    assert (status_of(S, state).banner is not None) is blocking, "nothing fits before it"
    assert status_of(S, during(), progress=progress).banner is None, "it is over"
