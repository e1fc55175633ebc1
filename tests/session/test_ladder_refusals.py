"""Reading a refusal: where it points, what it most likely means, its numbers (A24, A25, A26)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import classification
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.refusals import Family, Lesson, lesson, read

R40 = (
    "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: "
    "toolu_01A, toolu_01B. Each `tool_use` block must have a corresponding `tool_result` block in "
    "the next message."
)
R42 = (
    "messages.4.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each "
    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
)
R72 = (
    "messages.5.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
    'different conversation. Remove the block, or set `thinking.block_binding.x` to "drop_block".'
)


def refused(words: str, status: int = 400) -> Failure:
    """Return the failure that such an answer of the API is."""
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    return classification.from_response(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("words", "family", "place", "ids"),
    [
        (R40, Family.PAIRING, (3, None, None), ("toolu_01A", "toolu_01B")),
        (R42, Family.PAIRING, (4, 1, None), ("toolu_9",)),
        (R72, Family.BINDING, (5, 0, None), ()),
        ("messages.2.content.7: Invalid `signature` in `thinking` block", Family.THINKING,
         (2, 7, None), ()),
        ("messages.1.content.22.pdf.source.base64.data: A maximum of 600 PDF pages may be "
         "provided.", Family.MEDIA, (1, 22, None), ()),
        ("Could not process image", Family.MEDIA, (None, None, None), ()),
        ("tools.2.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the "
         "top level", Family.TOOL, (None, None, 2), ()),
        ('messages: roles must alternate between "user" and "assistant", but found multiple '
         '"user" roles in a row', Family.ROLES, (None, None, None), ()),
        ("Output blocked by content filtering policy", Family.FILTERED, (None, None, None), ()),
        ("messages.12.content.3.tool_result.content.0.image.source.base64: image exceeds 5 MB "
         "maximum: 6000000 bytes > 5242880 bytes", Family.MEDIA, (12, 3, None), ()),
        ("messages[7].content[2]: nobody ever heard of this", Family.UNKNOWN, (7, 2, None), ()),
        ("Something is not as it should be", Family.UNKNOWN, (None, None, None), ()),
    ],
)  # fmt: skip
def test_a_refusal_is_read_for_its_place_and_its_family(
    words: str,
    family: Family,
    place: tuple[int | None, int | None, int | None],
    ids: tuple[str, ...],
) -> None:
    found = read(refused(words))
    assert (found.family, (found.message, found.block, found.tool), found.ids) == (
        family,
        place,
        ids,
    )


@pytest.mark.survives("A26")
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": f"litellm.BadRequestError: AnthropicException - {R42}"}},
        {"error": {"message": json.dumps({"error": {"type": "x", "message": R42}}), "code": 400}},
        {"message": f"ValidationException: {R42}"},
        {"detail": [{"msg": R42}]},
    ],
)
def test_the_place_is_found_in_what_a_gateway_wraps_around_it(body: dict[str, Any]) -> None:
    found = read(classification.from_response(400, {}, json.dumps(body).encode()))
    assert (found.family, found.message, found.block) == (Family.PAIRING, 4, 1)


def test_the_fragment_is_the_same_for_the_same_cause_at_another_place() -> None:
    here = read(refused("messages.3.content.1: call toolu_a has 17 things too many"))
    there = read(refused("messages.9.content.2: call toolu_b has 3 things too many"))
    other = read(refused("messages.9.content.2: call toolu_b is green"))
    assert here.fragment == there.fragment != other.fragment


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_words_can_be_read(message: str, raw: str) -> None:
    failure = Failure(kind=FailureKind.INVALID_REQUEST, message=message, raw=raw)
    read(failure)
    lesson(failure, 1_000)


@pytest.mark.survives("A24")
@pytest.mark.parametrize(
    ("words", "taught"),
    [
        ("input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000, decrease "
         "input length or `max_tokens` and try again",
         Lesson(answer_tokens=9_984, window_tokens=200_000)),
        ("input length and `max_tokens` exceed context limit: 199500 + 21333 > 200000",
         Lesson(window_tokens=200_000)),
        ("max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for m",
         Lesson(output_tokens=8_192)),
        ("prompt is too long: 210000 tokens > 200000 maximum", Lesson(window_tokens=200_000)),
        ("prompt is too long: 12 tokens > 3 maximum", Lesson()),
        ("messages.3.content.0.text.cache_control: Extra inputs are not permitted",
         Lesson(no_cache_marks=True)),
        ("messages.3.content.0.text.colour: Extra inputs are not permitted", Lesson()),
        ("prompt is too long", Lesson()),
    ],
)  # fmt: skip
def test_A24_the_numbers_of_a_refusal_are_learned(words: str, taught: Lesson) -> None:
    assert lesson(refused(words)) == taught


@pytest.mark.survives("A25")
@pytest.mark.parametrize(
    ("words", "sent", "cap"),
    [
        ("Request exceeds the maximum size", 30_000_000, 15_000_000),
        ("Request too large (max 20MB)", 30_000_000, 20_000_000),
        ("body exceeded limit of 2097152 bytes", 3_000_000, 2_097_152),
        ("Request too large (max 20MB)", 10_000_000, 5_000_000),
        ("Request exceeds the maximum size", 0, None),
    ],
)
def test_A25_a_413_teaches_how_many_bytes_are_taken(words: str, sent: int, cap: int | None) -> None:
    failure = Failure(kind=FailureKind.TOO_LARGE, message=words, status=413)
    assert lesson(failure, sent).body_bytes == cap
