"""Where a history may be cut: never through a pair, never into something that is refused (B09)."""

from __future__ import annotations

import pytest
from hypothesis import given

from conversation import strategies as make
from conversation.notation import parse
from holdfast.conversation.cut_points import NothingToCompact, cut_points, cuts_within_turn
from holdfast.conversation.history import History, user
from holdfast.conversation.rules import validate
from holdfast.conversation.tokens import estimate

LONG_TURN = "user: go / use a: x / result a: 1 / use b: y / result b: 2 / use c: z / result c: 3"


def all_cuts(history: History) -> tuple[int, ...]:
    found: tuple[int, ...] = ()
    for cuts in (cut_points, cuts_within_turn):
        try:
            found += cuts(history)
        except NothingToCompact:
            continue
    return found


def test_a_cut_lies_before_what_a_person_said() -> None:
    history = parse("user: a / assistant: b / user: c / use t: x / result t: 1 / user: d")
    assert cut_points(history) == (2,)  # the prompt `d` came together with the result


def test_cuts_come_newest_first_and_leave_the_tail_that_was_asked_for() -> None:
    history = parse(
        "user: a / assistant: b / user: c / assistant: d / user: e / assistant: f / user: g"
    )
    assert cut_points(history) == (6, 4, 2)
    keep = estimate(history[4:])
    assert cut_points(history, keep) == (4, 2)


def test_a_long_turn_may_be_cut_between_two_rounds_of_tools() -> None:
    history = parse(LONG_TURN)
    with pytest.raises(NothingToCompact):
        cut_points(history)
    assert cuts_within_turn(history) == (5, 3, 1)


@pytest.mark.survives("B09")
def test_a_cut_never_separates_a_server_call_from_its_late_result() -> None:
    history = parse(
        "user: a / search srvtoolu_1 / use t: x / result t: 1 / found srvtoolu_1 / user: b"
    )
    assert cut_points(history) == (4,)


def test_nothing_to_compact_says_how_much_there_would_be() -> None:
    history = parse("user: a / assistant: b / user: c")
    with pytest.raises(NothingToCompact) as caught:
        cut_points(history, 1_000)
    assert caught.value.tail_tokens_max == estimate(history[2:])
    assert "1000 tokens" in str(caught.value)


@given(make.valid_histories(turns_max=6))
@pytest.mark.survives("B09")
def test_both_sides_of_every_cut_are_valid_without_repair(history: History) -> None:
    for cut in all_cuts(history):
        assert validate((*history[:cut], user("Summarise."))) == ()
        assert validate((user("Summary: …"), *history[cut:])) == ()


@given(make.valid_histories(turns_max=6))
def test_no_legal_cut_before_a_prompt_is_missed(history: History) -> None:
    found = [cut for cut in all_cuts(history) if history[cut].role == "user"]
    for cut in range(1, len(history)):
        prompt = history[cut].role == "user" and all(
            block.type != "tool_result" for block in history[cut].blocks
        )
        if prompt:
            assert cut in found
