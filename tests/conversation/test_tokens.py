"""Estimates: cheap, never below nothing, corrected by what the API counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conversation import strategies as make
from holdfast.conversation.history import THINKING, Block, History, tool_result, user
from holdfast.conversation.tokens import (
    IMAGE_TOKENS,
    Calibration,
    estimate,
    estimate_block,
    estimate_message,
    estimate_text,
    history_bytes,
)


def image(size: int) -> Block:
    source = {"type": "base64", "media_type": "image/png", "data": "x" * size}
    return Block.of({"type": "image", "source": source})


@given(make.any_history)
def test_bytes_are_exactly_those_of_the_request(history: History) -> None:
    body = ",".join(message.wire for message in history)
    assert history_bytes(history) == len(body.encode(errors="surrogatepass"))


@given(make.any_history, make.any_history)
def test_an_estimate_of_two_parts_is_the_sum_of_theirs(one: History, two: History) -> None:
    assert estimate(one + two) == estimate(one) + estimate(two)


@given(make.any_history)
def test_what_a_message_keeps_of_itself_is_what_its_blocks_say(history: History) -> None:
    for message in history:
        assert message.tokens == estimate_message(message.blocks) == estimate((message,))
        rest = tuple(block for block in message.blocks if block.type not in THINKING)
        assert (message.unbound or message).blocks == rest
        if message.unbound is not None:
            assert message.unbound.tokens == estimate_message(rest)


@given(st.text())
def test_text_costs_its_bytes_over_three_and_a_half(value: str) -> None:
    size = len(value.encode(errors="surrogatepass"))
    assert size / 3.5 <= estimate_text(value) < size / 3.5 + 1


def test_an_image_costs_the_same_however_large_its_file_is() -> None:
    assert IMAGE_TOKENS < estimate_block(image(10)) == estimate_block(image(1_000_000))


def test_an_image_inside_a_result_is_an_image() -> None:
    result = Block.of({**tool_result("t1", "").data, "content": [dict(image(900_000).data)]})
    assert estimate_block(result) < IMAGE_TOKENS + 100


def test_a_document_grows_with_its_pages_but_not_like_text() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "x" * 800_000}
    document = Block.of({"type": "document", "source": source})
    assert 15_000 < estimate_block(document) < 30_000


def test_what_was_counted_is_believed_and_what_came_since_is_estimated_in_its_measure() -> None:
    sent = (user("x" * 3_500),)
    known = Calibration.from_usage(sent, tokens=estimate(sent) * 2)
    assert known.ratio == 2.0
    assert known.context_tokens(sent) == estimate(sent) * 2
    more = user("y" * 350)
    assert known.context_tokens((*sent, more)) == estimate(sent) * 2 + estimate((more,)) * 2


@given(make.any_history, st.integers(-5, 10**7))
def test_a_strange_count_never_makes_a_strange_estimate(sent: History, tokens: int) -> None:
    known = Calibration.from_usage(sent, tokens)
    assert 0.5 <= known.ratio <= 2.5
    assert known.context_tokens(sent) >= 0
