"""Headers, sizes and JSON are looked at before anything else (R1 to R7)."""

from __future__ import annotations

import json
import zlib

import pytest

from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Account
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator
from simulator.simulator_bodies import (
    KEY_HEADERS,
)
from simulator.simulator_cases import INVALID

HEADER_CASES = [
    ("R1a", {"x-api-key": ""}, 401, "authentication_error", "x-api-key header is required"),
    ("R1b", {"x-api-key": "wrong"}, 401, "authentication_error", "invalid x-api-key"),
    (
        "R1c",
        {"x-api-key": "", "authorization": "Bearer wrong"},
        401,
        "authentication_error",
        "Invalid bearer token",
    ),
    ("R3", {"anthropic-version": ""}, 400, INVALID, "anthropic-version: header is required"),
    (
        "R3b",
        {"anthropic-version": "2020-01-01"},
        400,
        INVALID,
        'anthropic-version: "2020-01-01" is not a valid version',
    ),
    (
        "R4",
        {"anthropic-beta": "compact-2026-09-04, tea-2026-01-01"},
        400,
        INVALID,
        "Unexpected value(s) `tea-2026-01-01` for the `anthropic-beta` header. Please consult our "
        "documentation at docs.anthropic.com or try again without the header.",
    ),
]


@pytest.mark.parametrize(("rule", "headers", "status", "kind", "message"), HEADER_CASES)
def test_a_wrong_header_is_refused_before_the_body_is_looked_at(
    rule: str, headers: dict[str, str], status: int, kind: str, message: str
) -> None:
    validator = Validator(Account(api_key="sk-test"), Signer(), Ledger())
    with pytest.raises(Refusal) as caught:
        validator.envelope({**KEY_HEADERS, **headers})
    refusal = caught.value
    assert (refusal.rule, refusal.status, refusal.type, refusal.message) == (
        rule,
        status,
        kind,
        message,
    )


@pytest.mark.parametrize("header", [{"x-api-key": "k"}, {"authorization": "Bearer k"}])
def test_both_ways_of_sending_a_key_are_accepted(header: dict[str, str]) -> None:
    validator = Validator(Account(api_key="k"), Signer(), Ledger())
    assert validator.envelope({"anthropic-version": "2023-06-01", **header}).version == "2023-06-01"


JSON_CASES = [
    (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    (b'{\n"a": "\\ud83d"}', "no low surrogate in string: line 2 column 13 (char 14)"),
    (b'{"a": "\\ud83dx"}', "no low surrogate in string: line 1 column 14 (char 13)"),
    (b'{"a": "\\udc00"}', "invalid high surrogate in string: line 1 column 8 (char 7)"),
    (b'{"\\ud83d": 1}', "no low surrogate in string: line 1 column 9 (char 8)"),
    (b'{"a": "\xed\xa0\x80"}', "invalid Unicode in string: line 1 column 8 (char 7)"),
    (b'{"a": NaN}', "unexpected constant NaN: line 1 column 1 (char 0)"),
]


@pytest.mark.parametrize(("raw", "detail"), JSON_CASES)
def test_r5_a_body_that_is_no_strict_json_is_refused_with_the_place(
    raw: bytes, detail: str
) -> None:
    validator = Validator(Account(), Signer(), Ledger())
    with pytest.raises(Refusal) as caught:
        validator.parsed({}, raw)
    assert (caught.value.rule, caught.value.status) == ("R5", 400)
    assert caught.value.message == f"The request body is not valid JSON: {detail}"


@pytest.mark.parametrize(
    "value", ["\\\\ud83d", "\\ud83d\\ude00", "\\\\\\\\ud83d", "\\u0041\\ud83d\\ude00\\u0042"]
)
def test_r5_a_surrogate_pair_or_an_escaped_backslash_is_no_lone_surrogate(value: str) -> None:
    raw = f'{{"a": "{value}"}}'
    parsed = Validator(Account(), Signer(), Ledger()).parsed({}, raw.encode())
    assert parsed == json.loads(raw)


BODY_CASES = [
    ("R5a", {}, b"[]", 400, None),
    (
        "R5b",
        {"content-type": "application/json; charset=utf-16"},
        b"{}",
        400,
        "unsupported_charset",
    ),
    ("R6a", {"content-encoding": "br"}, b"{}", 400, "request_body_encoding_unsupported"),
    ("R6b", {"content-encoding": "gzip"}, b"{}", 400, "request_body_encoding_invalid"),
    (
        "R6c",
        {"content-encoding": "deflate"},
        zlib.compress(bytes(2000)),
        413,
        "request_body_too_large_after_decoding",
    ),
    ("R7", {}, bytes(1001), 413, None),
]


@pytest.mark.parametrize(("rule", "headers", "raw", "status", "code"), BODY_CASES)
def test_a_body_that_cannot_be_taken_is_refused_by_encoding_and_size(
    rule: str, headers: dict[str, str], raw: bytes, status: int, code: str | None
) -> None:
    validator = Validator(Account(body_bytes_max=1000), Signer(), Ledger())
    with pytest.raises(Refusal) as caught:
        validator.parsed(headers, raw)
    assert (caught.value.rule, caught.value.status) == (rule, status)
    assert caught.value.details.get("error_code") == code


def test_a_compressed_body_is_read() -> None:
    validator = Validator(Account(), Signer(), Ledger())
    headers = {"content-encoding": "gzip", "content-type": "application/json; charset=UTF-8"}
    compressor = zlib.compressobj(wbits=31)
    raw = compressor.compress(b'{"a": 1}') + compressor.flush()
    assert validator.parsed(headers, raw) == {"a": 1}
