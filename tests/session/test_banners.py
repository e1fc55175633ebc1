"""What a person is told while a session does not simply go on (P7, P12)."""

from __future__ import annotations

import pytest

from holdfast.session import banners
from holdfast.session.failures import POLICIES, FailureKind, Remedy
from holdfast.session.state import INTERRUPTED, Phase
from session.all_banners import DUE, RAW, S, failure, pauses, stuck, waits


def test_p7_every_pause_and_wait_says_what_it_is_and_offers_a_way_on() -> None:
    for banner in (*pauses(), *waits()):
        assert banner.title
        assert banner.text
        assert banner.actions
        assert sum(action.primary for action in banner.actions) <= 1
        assert len({action.title for action in banner.actions}) == len(banner.actions)


def test_p7_a_turn_that_is_held_up_always_offers_to_diagnose_and_to_stop() -> None:
    offered = [{action.command for action in banner.actions} for banner in (*pauses(), *stuck())]
    assert all({"holdfast.doctor.run", "holdfast.turn.stop"} <= commands for commands in offered)


def test_p7_whoever_waits_for_an_endpoint_may_try_at_once_or_go_to_another_one() -> None:
    for banner in (*stuck(), *(pause for pause in pauses() if pause.due is not None)):
        commands = {action.command for action in banner.actions}
        assert "holdfast.turn.resume" not in commands, "one word for it"
        assert {"holdfast.turn.retry", "holdfast.model.select"} <= commands


def test_p7_buttons_stay_where_they_are_when_a_wait_becomes_a_try() -> None:
    failed = failure(FailureKind.NETWORK)
    wait = banners.waiting(S, reason="network", attempt=2, due=DUE, failure=failed, since=9)
    tried = banners.again(S, attempt=2, failure=failed, since=9)
    assert tried.text == wait.text.replace("comes next", "is under way")
    assert (tried.title, tried.actions, tried.raw) == (wait.title, wait.actions, wait.raw)
    assert (tried.due, tried.since) == (None, 9)


@pytest.mark.parametrize("kind", FailureKind)
def test_a_wait_says_what_was_seen_what_helps_which_attempt_comes_and_since_when(
    kind: FailureKind,
) -> None:
    policy, failed = POLICIES[kind], failure(kind)
    wait = banners.waiting(S, reason=kind, attempt=3, due=DUE, failure=failed, since=DUE - 9)
    assert wait.text == f"{policy.says} Attempt 3 comes next. {policy.advice}"
    assert (wait.due, wait.since) == (DUE, DUE - 9)
    paused = banners.paused(
        S, reason=kind, message="", advice="", due=DUE, failure=failed, attempts=6, since=DUE - 9
    )
    assert paused.text == f"{policy.says} 6 attempts were in vain. {policy.advice}"
    assert (paused.due, paused.since) == (DUE, DUE - 9)


def test_titles_take_a_countdown_and_texts_are_sentences() -> None:
    """A countdown "in 12 s" follows a title; "Overloaded Attempt 2." is kept away by this."""
    for banner in (*pauses(), *waits()):
        assert not banner.title.endswith(".")
        if banner.tone != "info":
            assert banner.text.endswith(".")


@pytest.mark.parametrize("kind", FailureKind)
def test_p12_a_pause_has_the_servers_own_words_behind_it_and_its_policys_in_front(
    kind: FailureKind,
) -> None:
    policy = POLICIES[kind]
    banner = banners.paused(S, reason=kind, message="m", advice="a", failure=failure(kind))
    assert (banner.title, banner.text) == (policy.says.rstrip("."), policy.advice)
    assert banner.raw is not None
    assert RAW in banner.raw
    assert "req_1" in banner.raw


def test_p12_an_older_failure_is_not_shown_as_the_cause_of_another_pause() -> None:
    old = failure(FailureKind.NETWORK)
    assert banners.paused(S, reason=INTERRUPTED, message="m", advice="a", failure=old).raw is None


def test_what_only_a_person_can_lift_never_begins_with_trying_again() -> None:
    for kind, policy in POLICIES.items():
        banner = banners.paused(S, reason=kind, message="m", advice="a")
        if policy.remedy is Remedy.ASK:
            assert banner.tone == "error"
            assert "holdfast.turn.retry" not in {action.command for action in banner.actions}


def test_a_pause_for_a_key_offers_to_give_one_first() -> None:
    kind = FailureKind.AUTHENTICATION
    [first, *_] = banners.paused(S, reason=kind, message="", advice="").actions
    assert (first.command, first.argument, first.primary) == (
        "holdfast.credentials.set",
        None,
        True,
    )


def test_a_label_says_each_phase_and_is_empty_only_when_idle() -> None:
    labels = [
        banners.label(phase, silent=False, percentage=None, read_only=False) for phase in Phase
    ]
    assert len(set(labels)) == len(labels)
    assert [phase for phase, label in zip(Phase, labels, strict=True) if not label] == [Phase.IDLE]


@pytest.mark.parametrize(
    ("phase", "silent", "percentage", "read_only", "label"),
    [
        (Phase.COMPACTING, False, 40, False, "compacting 40 %"),
        (Phase.STREAMING, False, 40, False, "streaming, compacting 40 %"),
        (Phase.IDLE, False, 0, False, "compacting 0 %"),
        (Phase.STREAMING, True, None, False, "silent"),
        (Phase.IDLE, False, None, True, "open elsewhere"),
        (Phase.PAUSED, False, None, True, "paused, open elsewhere"),
    ],
)
def test_a_label_joins_what_happens_at_once(
    phase: Phase, silent: bool, percentage: int | None, read_only: bool, label: str
) -> None:
    said = banners.label(phase, silent=silent, percentage=percentage, read_only=read_only)
    assert said == label
