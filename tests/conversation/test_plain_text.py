"""A history as plain text: words only, bounded, the same every time (B07)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import strategies as make
from conversation.strategies import thinking, tool_use
from holdfast.conversation.clipping import clip, clip_line
from holdfast.conversation.history import Block, History, assistant, tool_result, user
from holdfast.conversation.plain_text import ItemLimits, render, render_each
from holdfast.conversation.tokens import estimate_text


def test_it_reads_like_a_conversation() -> None:
    history = (
        user("Make it green."),
        assistant(thinking("secret"), "I run the tests.", tool_use("t1", command="make test")),
        user(tool_result("t1", "1 failed", is_error=True)),
        assistant("One fails."),
    )
    assert render(history) == (
        "User: Make it green.\n\n"
        "Assistant: I run the tests.\n[called run: make test]\n\n"
        "[result of run, which reported an error]\n1 failed\n\n"
        "Assistant: One fails."
    )


def test_media_are_named_and_not_carried() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 5_000}
    assert render((user(Block.of({"type": "image", "source": source})),)) == (
        "User: [image: image/png, 5000 bytes encoded]"
    )


def test_a_long_result_keeps_its_head_and_its_tail() -> None:
    history = (user(tool_result("t1", "BEGIN" + "x" * 50_000 + "END")),)
    shown = render(history, limits=ItemLimits(text=400, call=100, result=400))
    assert "BEGIN" in shown
    assert shown.endswith("END")
    assert len(shown) <= 400


@given(make.any_history, st.integers(0, 400))
def test_it_keeps_to_its_limit_whatever_it_is_given(history: History, max_tokens: int) -> None:
    shown = render(history, max_tokens=max_tokens)
    assert estimate_text(shown) <= max_tokens
    assert render(history, max_tokens=max_tokens) == shown


def test_the_beginning_and_the_end_survive_when_the_middle_must_go() -> None:
    middle = tuple(user(f"message {n} " + "x" * 500) for n in range(100))
    shown = render((user("THE GOAL"), *middle, user("THE LAST")), max_tokens=2_000)
    assert shown.startswith("User: THE GOAL")
    assert shown.endswith("User: THE LAST")
    assert "102 messages in all" in shown


@given(make.any_history)
def test_no_thinking_is_told(history: History) -> None:
    marked = (*history, assistant(thinking("a private thought", "sig"), "said"))
    assert "a private thought" not in render(marked)


@given(st.text(), st.integers(0, 200))
def test_a_clip_never_exceeds_its_limit_and_is_valid_text(value: str, limit: int) -> None:
    assert len(clip(value, limit).encode()) <= limit
    assert len(clip_line(value, limit).encode()) <= limit
    assert "\n" not in clip_line(value, limit)


@pytest.mark.parametrize("value", ["", "short", "schön"])
def test_what_fits_is_not_clipped(value: str) -> None:
    assert clip(value, 100) == value


def test_calls_show_the_argument_that_matters_first() -> None:
    history = (assistant(tool_use("t1", "Edit", old="a", file_path="src/x.py")),)
    assert render(history).endswith('[called Edit: src/x.py {"old":"a"}]')


@given(make.any_history, make.any_history)
def test_a_message_that_comes_later_changes_nothing_of_those_before_it(
    history: History, more: History
) -> None:
    assert render_each((*history, *more))[: len(history)] == render_each(history)
