"""What real gateways answer, recorded from them, is told for what it is (P7, P12).

The answers are in `gateway_answers.json`; `make gateways` asks the gateways again. None is put down
to the API when the gateway wrote it, none to a rate limit when there is none, and a refusal that a
person can lift is not taken for a fault of the request, which would be looked for in vain.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.model import classification
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure
from holdfast.session.failures import FailureKind as K

RECORDED: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("gateway_answers.json").read_text(encoding="utf-8")
)

SAME = {
    # what both gateways pass on, each in its own wrapping
    "server-error": (K.SERVER, Cause.SERVER_ERROR),
    "overloaded": (K.OVERLOADED, Cause.OVERLOADED),
    "gateway-timeout": (K.TIMEOUT, None),
    "bad-gateway-html": (K.SERVER, Cause.GATEWAY_PAGE),
    "unavailable-html": (K.SERVER, Cause.GATEWAY_PAGE),
    "gateway-timeout-html": (K.TIMEOUT, Cause.GATEWAY_TIMEOUT),
    "too-large": (K.TOO_LARGE, None),
    "too-large-html": (K.TOO_LARGE, Cause.TOO_LARGE_FOR_PROXY),
    "rate-limit": (K.RATE_LIMITED, Cause.RATE_LIMITED),
    "spend-limit": (K.SPEND_LIMIT, Cause.SPEND_LIMIT),
    "low-credit": (K.BILLING, Cause.BILLING),
    "unauthorized": (K.AUTHENTICATION, Cause.GATEWAY_KEY_REFUSED),
    "billing": (K.BILLING, Cause.BILLING),
    "forbidden": (K.PERMISSION, Cause.KEY_FORBIDDEN),
    "model-gone": (K.MODEL_GONE, Cause.MODEL_GONE),
    "prompt-too-long": (K.TOO_LONG, None),
    "bad-request": (K.INVALID_REQUEST, None),
    "close-before-headers": (K.SERVER, Cause.GATEWAY_UPSTREAM),
    "reset-before-headers": (K.SERVER, Cause.GATEWAY_UPSTREAM),
    "error-event-overloaded": (K.OVERLOADED, Cause.OVERLOADED),
    # what they say by themselves
    "a wrong key": (K.AUTHENTICATION, Cause.KEY_REFUSED),
    "no key": (K.AUTHENTICATION, Cause.KEY_MISSING),
    "an unknown model": (K.MODEL_GONE, Cause.MODEL_GONE),
    "the list of models": (K.SERVER, Cause.WRONG_ADDRESS),
    "nobody listens behind it": (K.SERVER, Cause.GATEWAY_UPSTREAM),
    "no name behind it": (K.SERVER, Cause.GATEWAY_UPSTREAM),
    "headers-never": (K.TIMEOUT, Cause.GATEWAY_TIMEOUT),
    "silence": (K.STALLED, Cause.SILENT_STREAM),
    "reset": (K.CUT, Cause.CUT_STREAM),
    "the first refusal of a key behind it": (K.AUTHENTICATION, Cause.GATEWAY_KEY_REFUSED),
    "the next request after it": (K.SERVER, Cause.GATEWAY_COOLDOWN),
    # what is lost in the translation into another vendor's protocol
    "translated: overloaded": (K.OVERLOADED, Cause.OVERLOADED),
    "translated: rate-limit": (K.RATE_LIMITED, Cause.RATE_LIMITED),
    "translated: bad-gateway-html": (K.SERVER, Cause.GATEWAY_PAGE),
    "translated: eof": (K.CUT, Cause.CUT_STREAM),
    "translated: unauthorized": (K.AUTHENTICATION, Cause.GATEWAY_KEY_REFUSED),
    "translated: error-event-overloaded": (K.OVERLOADED, Cause.OVERLOADED),
}


def heard(row: dict[str, Any]) -> Failure:
    if row["status"] == 200:
        return classification.from_event(row["body"].partition("data:")[2].strip())
    headers = {"retry-after": row["retryAfter"]} if "retryAfter" in row else {}
    return classification.from_response(row["status"], headers, row["body"])


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: f"{row['gateway']}: {row['case']}")
def test_p12_what_a_gateway_answers_is_told_for_what_it_is(row: dict[str, Any]) -> None:
    failure = heard(row)
    assert (failure.kind, failure.cause) == SAME[row["case"]]


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: f"{row['gateway']}: {row['case']}")
def test_p12_its_words_are_those_of_who_refused_and_hold_no_trace_of_a_program(
    row: dict[str, Any],
) -> None:
    failure = heard(row)
    assert failure.message
    assert "\n    at " not in failure.message
    assert "<h1>" not in failure.message
    assert "\\n" not in failure.message
    assert failure.raw, "the whole of it stays reachable"


def test_every_case_was_recorded_from_a_gateway() -> None:
    assert {row["case"] for row in RECORDED} == {*SAME}


def test_a_model_that_a_gateway_puts_aside_is_asked_for_again_when_it_says() -> None:
    [row] = [row for row in RECORDED if row["case"] == "the next request after it"]
    assert heard(row).retry_after_ms == 5_000
