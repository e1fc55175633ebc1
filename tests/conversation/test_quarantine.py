"""When the API refuses what no rule forbids: the block becomes words, the session goes on (P3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import strategies as make
from conversation.notation import parse, render
from holdfast.conversation.history import Block, History, assistant, to_wire, tool_result, user
from holdfast.conversation.quarantine import as_plain_text, hide_answer, quarantine
from holdfast.conversation.rules import validate


def test_a_refused_block_becomes_text_where_it_stands() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "xxxx"}
    history = (user("look", Block.of({"type": "image", "source": source})),)
    repaired = quarantine(history, 0, 1)
    assert repaired.history == (user("look", "[image: image/png, 4 bytes encoded]"),)
    assert [step.rule for step in repaired.steps] == ["quarantine"]


def test_a_refused_call_takes_its_result_along() -> None:
    history = parse("user: go / use t1: ls / result t1: a.txt / user: and?")
    assert render(quarantine(history, 1, 0).history) == (
        "user: go / assistant: [called ls: {}] / user: [Result of the tool call above]\na.txt "
        "/ user: and?"
    )


def test_a_refused_result_stays_the_answer_of_its_call() -> None:
    reference = {"type": "tool_reference", "tool_name": "X"}
    result = Block.of({**tool_result("t1", "").data, "content": [reference]})
    history = (*parse("user: go / use t1: ls"), user(result))
    assert render(quarantine(history, 2, 0).history) == (
        "user: go / use t1: ls / result t1: [tool found: X]"
    )


def test_refused_thinking_leaves_the_view() -> None:
    history = parse("user: go / think: sig / assistant: so / user: ok")
    assert render(quarantine(history, 1, 0).history) == "user: go / assistant: so / user: ok"


def test_a_position_that_is_none_is_an_error() -> None:
    with pytest.raises(IndexError):
        quarantine((user("a"),), 0, 1)
    with pytest.raises(IndexError):
        quarantine((user("a"),), 1)


@given(make.any_history, st.data())
def test_p2_every_quarantine_leaves_a_valid_history(history: History, data: st.DataObject) -> None:
    history = (*history, user("go on"))
    message = data.draw(st.integers(0, len(history) - 1))
    assert validate(quarantine(history, message).history) == ()
    for block in range(len(history[message].blocks)):
        assert validate(quarantine(history, message, block).history) == ()


@given(make.any_history)
def test_a_history_as_plain_text_is_valid_and_holds_nothing_but_text(history: History) -> None:
    plain = as_plain_text((*history, assistant("so"))).history
    assert validate(plain) == ()
    assert {b["type"] for m in to_wire(plain) for b in m["content"]} == {"text"}


@pytest.mark.survives("A35")
def test_a_refused_answer_is_hidden_and_the_prompt_can_be_asked_anew() -> None:
    history = parse("user: a / assistant: I cannot help with that. / user: b")
    repaired = hide_answer(history, 1)
    assert render(repaired.history) == "user: a / + user: b"
    assert repaired.steps[0].rule == "A35"


def test_the_calls_of_a_hidden_answer_stay_because_they_had_effects() -> None:
    history = parse("user: a / think: s / assistant: no / use t1: x / result t1: ok / user: b")
    repaired = hide_answer(history, 1)
    assert render(repaired.history) == "user: a / use t1: x / result t1: ok / user: b"


def test_only_answers_are_hidden() -> None:
    with pytest.raises(ValueError, match=r"messages\.0 is not"):
        hide_answer(parse("user: a"), 0)
