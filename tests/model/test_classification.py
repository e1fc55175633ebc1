"""Every answer of the API, and of what stands in front of it, is one failure (§4.1, §4.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model import classification, failure_tables
from holdfast.session.failures import FailureKind as K


def envelope(kind: str | None, message: str, code: str | None = None) -> str:
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return json.dumps({"type": "error", "error": error, "request_id": "req_body"})


def litellm(name: str, quoted: str) -> str:
    """A LiteLLM proxy quotes the API's body inside its own message."""
    message = f"litellm.{name}: AnthropicException - {quoted}. Received Model Group=x"
    return json.dumps({"error": {"message": message, "type": None, "code": "400"}})


INVALID = "invalid_request_error"
HTML = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>prompt is too long"

# (status, body, kind): §4.1 row by row, by type and status as the API sends them.
STATUS_TABLE = [
    (400, envelope(INVALID, "max_tokens: Field required"), K.INVALID_REQUEST),
    (401, envelope("authentication_error", "invalid x-api-key"), K.AUTHENTICATION),
    (402, envelope("billing_error", "Payment required"), K.BILLING),
    (403, envelope("permission_error", "Your API key may not use this"), K.PERMISSION),
    (404, envelope("not_found_error", "model: claude-nine"), K.MODEL_GONE),
    (408, "", K.TIMEOUT),
    (409, envelope("conflict_error", "Conflict"), K.SERVER),
    (412, "", K.INVALID_REQUEST),
    (413, envelope("request_too_large", "Request exceeds the maximum size"), K.TOO_LARGE),
    (422, "", K.INVALID_REQUEST),
    (429, envelope("rate_limit_error", "This would exceed your rate limit"), K.RATE_LIMITED),
    (431, "", K.INTERNAL),
    (499, "", K.TIMEOUT),
    (500, envelope("api_error", "Internal server error"), K.SERVER),
    (501, "", K.SERVER),
    (502, "", K.SERVER),
    (503, "", K.SERVER),
    (504, envelope("timeout_error", "Request timed out"), K.TIMEOUT),
    (529, envelope("overloaded_error", "Overloaded"), K.OVERLOADED),
]

# What a proxy writes says nothing about the request, whatever words are on the page.
HTML_TABLE = [
    (400, K.SERVER), (401, K.AUTHENTICATION), (403, K.NETWORK), (404, K.SERVER),
    (405, K.SERVER), (407, K.NETWORK), (413, K.TOO_LARGE), (429, K.RATE_LIMITED), (500, K.SERVER),
    (502, K.SERVER), (503, K.SERVER), (504, K.TIMEOUT), (511, K.NETWORK), (520, K.SERVER),
    (522, K.TIMEOUT), (524, K.TIMEOUT), (529, K.OVERLOADED), (302, K.NETWORK),
]  # fmt: skip

# (status, type, error_code, kind): codes decide, whatever type and status say.
CODE_TABLE = [
    (400, INVALID, "organization_on_hold", K.BILLING),
    (400, INVALID, "cmek_key_disabled", K.PERMISSION),
    (400, INVALID, "cmek_key_network_blocked", K.PERMISSION),
    (400, INVALID, "claude_code_version_too_old", K.PERMISSION),
    (400, INVALID, "request_body_timeout", K.TIMEOUT),
    (400, INVALID, "request_body_encoding_invalid", K.INVALID_REQUEST),
    (400, INVALID, "unsupported_charset", K.INVALID_REQUEST),
    (400, INVALID, "image_dimensions_too_large", K.INVALID_REQUEST),
    (400, INVALID, "compaction_block_misplaced", K.INVALID_REQUEST),
    (400, INVALID, "user_profile_unknown", K.PERMISSION),
    (402, "billing_error", "linked_organization_billing_unavailable", K.BILLING),
    (402, "billing_error", "linked_organization_spend_limit_reached", K.SPEND_LIMIT),
    (403, "permission_error", "user_profile_billing_unavailable", K.BILLING),
    (404, "not_found_error", "thread_not_found", K.INVALID_REQUEST),
    (404, "not_found_error", "file_expired", K.INVALID_REQUEST),
    (409, "conflict_error", "skill_read_blocked_undecryptable", K.PERMISSION),
    (413, "request_too_large", "request_body_too_large_after_decoding", K.TOO_LARGE),
    (429, "rate_limit_error", "contract_spend_limit_reached", K.SPEND_LIMIT),
    (429, "rate_limit_error", "enforced_spend_limit_reached", K.SPEND_LIMIT),
    (429, "rate_limit_error", "ramp_limit_exceeded", K.RATE_LIMITED),
    (503, "api_error", "cmek_key_unreachable", K.SERVER),
    (529, "overloaded_error", "compaction_unavailable", K.OVERLOADED),
    (400, INVALID, "a_code_of_next_year", K.INVALID_REQUEST),
]

# (status, message, kind): the API's sentences, in its own envelope with its usual type.
MESSAGE_TABLE = [
    (400, "prompt is too long: 212345 tokens > 200000 maximum", K.TOO_LONG),
    (
        400,
        "input length and `max_tokens` exceed context limit: 198882 + 21333 > 200000, decrease "
        "input length or `max_tokens` and try again",
        K.TOO_LONG,
    ),
    (429, "Extra usage is required for long context requests.", K.TOO_LONG),
    (
        400,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
        "Billing to upgrade or purchase credits.",
        K.BILLING,
    ),
    (
        400,
        "You have reached your specified API usage limits. You will regain access later.",
        K.SPEND_LIMIT,
    ),
    (400, "You have reached your specified workspace API usage limits.", K.SPEND_LIMIT),
    (
        429,
        "This request would exceed your organization's rate limit of 30,000 input tokens per "
        "minute. prompt is too long",
        K.RATE_LIMITED,
    ),
    (
        429,
        "Request too large for claude-x on tokens per min (TPM): Limit 30000, Requested 50000",
        K.RATE_LIMITED,
    ),
    (
        400,
        "max_tokens: 999999 > 128000, which is the maximum allowed number of output tokens for x",
        K.INVALID_REQUEST,
    ),
    (
        400,
        "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: "
        "toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the "
        "next message.",
        K.INVALID_REQUEST,
    ),
    (400, "context_management: Extra inputs are not permitted", K.INVALID_REQUEST),
    (
        400,
        "messages.1.content.0.image.source.base64: image exceeds 5 MB maximum: 6 bytes > 5 bytes",
        K.INVALID_REQUEST,
    ),
    (400, "model: Field required", K.INVALID_REQUEST),
    (400, "This model does not support assistant message prefill.", K.INVALID_REQUEST),
]

# (status, body, kind): gateways, local servers and other vendors' words.
FOREIGN_TABLE = [
    (400, litellm("BadRequestError", envelope(INVALID, "prompt is too long: 2 > 1")), K.TOO_LONG),
    (500, litellm("BadRequestError", envelope(INVALID, "messages.0: no")), K.INVALID_REQUEST),
    (500, litellm("InternalServerError", envelope("overloaded_error", "Busy")), K.OVERLOADED),
    (
        500,
        '{"error":{"message":"litellm.ContextWindowExceededError: too much","code":"500"}}',
        K.TOO_LONG,
    ),
    (500, '{"error":{"message":"litellm.BadRequestError: no","code":"500"}}', K.INVALID_REQUEST),
    (500, '{"error":{"message":"litellm.Timeout: slow","code":"500"}}', K.TIMEOUT),
    (404, '{"error":{"message":"litellm.NotFoundError: x","code":"404"}}', K.MODEL_GONE),
    (400, '{"error":{"message":"Budget has been exceeded! Spent 2 > 1"}}', K.SPEND_LIMIT),
    (400, '{"error":"/chat: Invalid model name passed in model=x"}', K.MODEL_GONE),
    (404, '{"error":{"type":"not_found_error","message":"model \'x\' not found"}}', K.MODEL_GONE),
    (404, '{"detail":"Not Found"}', K.SERVER),
    (404, "", K.SERVER),
    (
        400,
        '{"error":{"message":"This model\'s maximum context length is 8192 tokens.",'
        '"code":"context_length_exceeded"}}',
        K.TOO_LONG,
    ),
    (
        400,
        '{"error":{"code":400,"message":"the request exceeds the available context size, try '
        'increasing it","type":"exceed_context_size_error"}}',
        K.TOO_LONG,
    ),
    (400, '{"message":"Input is too long for requested model."}', K.TOO_LONG),
    (400, "Failed to buffer the request body: length limit exceeded", K.TOO_LARGE),
    (429, '{"error":{"code":"insufficient_quota","message":"You exceeded"}}', K.BILLING),
    (429, "slow down", K.RATE_LIMITED),
    (400, '[{"error":{"message":"credit balance is too low"}}]', K.BILLING),
    (500, '{"errors":[{"message":"x"}]}', K.SERVER),
    (418, "42", K.INVALID_REQUEST),
    (503, "upstream connect error", K.SERVER),
]


def kind_of(status: int, body: str | bytes, **headers: str) -> K:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return classification.from_response(status, names, body).kind


@pytest.mark.parametrize(("status", "body", "kind"), STATUS_TABLE)
def test_each_row_of_the_status_table(status: int, body: str, kind: K) -> None:
    assert kind_of(status, body) is kind


@pytest.mark.parametrize(("status", "kind"), HTML_TABLE)
def test_a_page_is_classified_by_its_status_alone(status: int, kind: K) -> None:
    assert kind_of(status, HTML) is kind


@pytest.mark.parametrize(("status", "type_", "code", "kind"), CODE_TABLE)
def test_each_error_code(status: int, type_: str, code: str, kind: K) -> None:
    assert kind_of(status, envelope(type_, "words", code)) is kind


@pytest.mark.parametrize(("status", "message", "kind"), MESSAGE_TABLE)
def test_each_stable_sentence(status: int, message: str, kind: K) -> None:
    type_ = "rate_limit_error" if status == 429 else INVALID
    assert kind_of(status, envelope(type_, message)) is kind


@pytest.mark.parametrize(("status", "body", "kind"), FOREIGN_TABLE)
def test_gateways_and_other_servers(status: int, body: str, kind: K) -> None:
    assert kind_of(status, body) is kind


@pytest.mark.parametrize("code", failure_tables.CODES)
def test_every_code_of_the_table_is_recognised_at_any_status(code: str) -> None:
    for status in (400, 429, 500, 529):
        assert kind_of(status, envelope(None, "words", code)) is failure_tables.CODES[code]


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("overloaded_error", K.OVERLOADED),
        ("api_error", K.SERVER),
        ("rate_limit_error", K.RATE_LIMITED),
        ("timeout_error", K.TIMEOUT),
        ("authentication_error", K.AUTHENTICATION),
        ("billing_error", K.BILLING),
        ("permission_error", K.PERMISSION),
        ("request_too_large", K.TOO_LARGE),
        ("not_found_error", K.INVALID_REQUEST),
        ("conflict_error", K.SERVER),
        (INVALID, K.INVALID_REQUEST),
        ("error_of_next_year", K.SERVER),
        (None, K.SERVER),
    ],
)
def test_an_error_event_is_classified_by_its_type(type_: str | None, kind: K) -> None:
    """C05: the status of a mid-stream error is 200 and says nothing."""
    failure = classification.from_event(envelope(type_, "words"), "req_header")
    assert (failure.kind, failure.status) == (kind, 200)
    assert (failure.type, failure.message, failure.request_id) == (type_, "words", "req_header")


def test_an_error_event_of_a_gateway_is_classified_by_the_status_in_its_code() -> None:
    data = '{"error":{"message":"upstream said no","code":"429"}}'
    assert classification.from_event(data).kind is K.RATE_LIMITED
    assert classification.from_event("not json").kind is K.SERVER


# -- waiting --------------------------------------------------------------------------------

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"retry-after": "12"}, 12_000),
        ({"Retry-After": "1.5"}, 1_500),
        ({"retry-after-ms": "250", "retry-after": "12"}, 250),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": DATE}, 30_000),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 40}, 366 * 24 * 3_600_000),
        ({}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-22T10:00:05Z",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-22T10:01:00Z",
                "anthropic-ratelimit-output-tokens-remaining": "9",
                "anthropic-ratelimit-output-tokens-reset": "2026-11-22T11:00:00Z",
                "date": DATE,
            },
            60_000,
        ),
    ],
)
def test_how_long_to_wait_is_read_from_the_headers(
    headers: dict[str, str], wait_ms: int | None
) -> None:
    """C08; dates count from the server's clock, never from ours."""
    failure = classification.from_response(429, headers, "")
    assert (failure.kind, failure.retry_after_ms) == (K.RATE_LIMITED, wait_ms)


def test_x_should_retry_decides_where_the_kind_is_a_guess() -> None:
    assert kind_of(400, "", x_should_retry="true") is K.SERVER
    assert kind_of(429, "", x_should_retry="false") is K.SPEND_LIMIT
    assert kind_of(429, "", x_should_retry="false", retry_after="3") is K.RATE_LIMITED
    assert kind_of(401, "", x_should_retry="true") is K.AUTHENTICATION
    assert kind_of(529, "", x_should_retry="false") is K.OVERLOADED


def test_a_spend_limit_with_a_time_to_wait_passes_by_itself() -> None:
    body = envelope("rate_limit_error", "words", "enforced_spend_limit_reached")
    assert kind_of(429, body) is K.SPEND_LIMIT
    assert kind_of(429, body, retry_after="60") is K.RATE_LIMITED


# -- what is kept ---------------------------------------------------------------------------


def test_the_servers_own_words_are_kept() -> None:
    """P12: status, type, code, message, request id and raw body are always reachable."""
    body = envelope(INVALID, "words", "tool_name_conflict")
    failure = classification.from_response(400, {"Request-Id": "req_9"}, body.encode())
    assert failure.message == "words"
    assert (failure.status, failure.type) == (400, INVALID)
    assert (failure.error_code, failure.request_id) == ("tool_name_conflict", "req_9")
    assert failure.raw == body
    assert classification.from_response(400, {}, body).request_id == "req_body"


def test_a_body_without_words_is_named_by_its_status_and_title() -> None:
    assert classification.from_response(502, {}, HTML).message == (
        "HTTP 502 Bad Gateway: 502 Bad Gateway"
    )
    assert "base URL" in classification.from_response(404, {}, "").message
    assert classification.from_response(599, {}, b"").message == "HTTP 599"


def test_a_redirect_is_reported_with_its_target_and_not_followed_with_a_key() -> None:
    failure = classification.from_response(302, {"Location": "http://login.example/"}, HTML)
    assert failure.kind is K.NETWORK
    assert "http://login.example/" in failure.message


def test_a_secret_in_a_body_is_blotted_out_also_at_the_edge_of_the_excerpt() -> None:
    """P11: some servers quote the key that they refuse."""
    key = "sk-ant-api03-" + "k" * 40
    token = "opaque+token/12345678"
    body = f"invalid key {key}, Bearer abcdefgh12345, {token}" + "." * 3950 + key
    for failure in (
        classification.from_response(401, {}, body, secrets=(token,)),
        classification.from_event(body, secrets=(token,)),
    ):
        for text in (failure.message, failure.raw):
            assert "kkkk" not in text
            assert "abcdefgh12345" not in text
            assert token not in text
            assert "sk-ant" not in text


def test_the_raw_body_is_cut_at_4_kb_between_characters() -> None:
    failure = classification.from_response(500, {}, "x" + "ü" * 10_000)
    assert failure.raw == "x" + "ü" * 2047


@settings(max_examples=150, deadline=None)
@given(
    st.integers(100, 999),
    st.dictionaries(
        st.sampled_from(
            ["retry-after", "retry-after-ms", "date", "x-should-retry", "request-id",
             "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"]
        ),
        st.text(max_size=30) | st.just("0") | st.just(DATE),
    ),
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: envelope(INVALID, text).encode())
    | st.recursive(
        st.none() | st.text(max_size=9) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["error", "type", "message", "details", "error_code", "code"]),
            inner,
        ),
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
def test_any_answer_is_classified(status: int, headers: dict[str, str], body: bytes) -> None:
    failure = classification.from_response(status, headers, body)
    assert failure.message
    assert len(failure.raw.encode()) <= classification.RAW_BYTES_MAX
    assert failure.message.encode()
    event = classification.from_event(body.decode(errors="replace"))
    assert event.message
