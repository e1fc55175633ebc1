"""Every failure names what it shows, and a failure that shows nothing names nothing (P12)."""

from __future__ import annotations

import errno
import json
import socket
import ssl

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model import classification, transport_faults
from holdfast.session.causes import Cause
from holdfast.session.failures import FailureKind as K


def envelope(kind: str, message: str, code: str | None = None) -> str:
    details = {} if code is None else {"details": {"error_code": code}}
    return json.dumps({"type": "error", "error": {"type": kind, "message": message, **details}})


INVALID = "invalid_request_error"
PAGE = "<!DOCTYPE html><html><head><title>Corporate gateway</title></head><body>No.</body></html>"
PLAIN = "upstream connect error or disconnect/reset before headers"

ANSWERS = [
    # what a status and a body are: their kind and their cause
    (
        401,
        envelope("authentication_error", "invalid x-api-key"),
        K.AUTHENTICATION,
        Cause.KEY_REFUSED,
    ),
    (
        401,
        envelope("authentication_error", "OAuth token has expired."),
        K.AUTHENTICATION,
        Cause.KEY_EXPIRED,
    ),
    (
        401,
        envelope("authentication_error", "x-api-key header is required"),
        K.AUTHENTICATION,
        Cause.KEY_MISSING,
    ),
    (401, PAGE, K.AUTHENTICATION, Cause.GATEWAY_PAGE),
    (402, envelope("billing_error", "Payment required"), K.BILLING, Cause.BILLING),
    (402, "", K.BILLING, Cause.BILLING),
    (403, envelope("permission_error", "not allowed"), K.PERMISSION, Cause.KEY_FORBIDDEN),
    (403, PAGE, K.NETWORK, Cause.GATEWAY_PAGE),
    (403, "Forbidden", K.PERMISSION, Cause.GATEWAY_PAGE),
    (403, "", K.PERMISSION, None),
    (407, PAGE, K.NETWORK, Cause.PROXY_LOGIN),
    (407, "", K.NETWORK, Cause.PROXY_LOGIN),
    (404, envelope("not_found_error", "model: claude-nine"), K.MODEL_GONE, Cause.MODEL_GONE),
    (404, PAGE, K.SERVER, Cause.WRONG_ADDRESS),
    (404, '{"detail":"Not Found"}', K.SERVER, Cause.WRONG_ADDRESS),
    (413, envelope("request_too_large", "Request exceeds the maximum size"), K.TOO_LARGE, None),
    (413, PAGE, K.TOO_LARGE, Cause.TOO_LARGE_FOR_PROXY),
    (413, "Payload Too Large", K.TOO_LARGE, Cause.TOO_LARGE_FOR_PROXY),
    (429, envelope("rate_limit_error", "slow down"), K.RATE_LIMITED, Cause.RATE_LIMITED),
    (
        429,
        envelope("rate_limit_error", "x", "enforced_spend_limit_reached"),
        K.SPEND_LIMIT,
        Cause.SPEND_LIMIT,
    ),
    (400, envelope(INVALID, "x", "request_body_timeout"), K.TIMEOUT, Cause.UPLOAD_STUCK),
    (400, envelope(INVALID, "max_tokens: Field required"), K.INVALID_REQUEST, None),
    (302, "", K.NETWORK, Cause.REDIRECTED),
    (511, PAGE, K.NETWORK, Cause.SIGN_IN_PAGE),
    (500, envelope("api_error", "Internal server error"), K.SERVER, Cause.SERVER_ERROR),
    (500, "", K.SERVER, None),
    (502, PAGE, K.SERVER, Cause.GATEWAY_PAGE),
    (503, PLAIN, K.SERVER, Cause.GATEWAY_PAGE),
    (504, PAGE, K.TIMEOUT, Cause.GATEWAY_TIMEOUT),
    (504, envelope("timeout_error", "Request timed out"), K.TIMEOUT, None),
    (524, PAGE, K.TIMEOUT, Cause.GATEWAY_TIMEOUT),
    (529, envelope("overloaded_error", "Overloaded"), K.OVERLOADED, Cause.OVERLOADED),
]


# LiteLLM's own types of errors, as its source names them: with a database it knows many keys.
REFUSALS_OF_LITELLM = [
    (401, "token_not_found_in_db", K.AUTHENTICATION, Cause.KEY_REFUSED),
    (400, "expired_key", K.AUTHENTICATION, Cause.KEY_EXPIRED),
    (400, "budget_exceeded", K.SPEND_LIMIT, Cause.SPEND_LIMIT),
    (401, "key_model_access_denied", K.PERMISSION, Cause.KEY_FORBIDDEN),
    (403, "team_model_access_denied", K.PERMISSION, Cause.KEY_FORBIDDEN),
]


@pytest.mark.parametrize(("status", "type_", "kind", "cause"), REFUSALS_OF_LITELLM)
def test_p12_what_a_gateway_refuses_to_its_key_is_named(
    status: int, type_: str, kind: K, cause: Cause
) -> None:
    words = type_.replace("_", " ")
    error = {"message": words, "type": type_, "param": None, "code": str(status)}
    failure = classification.from_response(status, {}, json.dumps({"error": error}))
    assert (failure.kind, failure.cause) == (kind, cause)


@pytest.mark.survives("V4")
@pytest.mark.parametrize(("status", "body", "kind", "cause"), ANSWERS)
def test_p12_an_answer_names_what_it_shows(
    status: int, body: str, kind: K, cause: Cause | None
) -> None:
    failure = classification.from_response(status, {}, body)
    assert (failure.kind, failure.cause) == (kind, cause)


def test_p12_an_error_event_names_what_it_shows_as_well() -> None:
    failure = classification.from_event(envelope("overloaded_error", "Overloaded"))
    assert (failure.kind, failure.cause) == (K.OVERLOADED, Cause.OVERLOADED)


@settings(max_examples=300, deadline=None)
@given(st.integers(300, 599), st.sampled_from(["api_error", INVALID, "next_years_error"]))
def test_p12_an_answer_in_the_apis_own_envelope_is_never_put_down_to_a_gateway(
    status: int, kind: str
) -> None:
    failure = classification.from_response(status, {}, envelope(kind, "Something."))
    assert failure.cause not in {
        Cause.GATEWAY_PAGE,
        Cause.TOO_LARGE_FOR_PROXY,
        Cause.GATEWAY_TIMEOUT,
    }


@settings(max_examples=300, deadline=None)
@given(st.integers(300, 599))
def test_p12_a_page_is_never_put_down_to_the_api(status: int) -> None:
    failure = classification.from_response(status, {}, PAGE)
    assert failure.cause not in {Cause.SERVER_ERROR, Cause.KEY_REFUSED, Cause.KEY_FORBIDDEN}


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


TRANSPORT = [
    # (what lies below a ConnectError, cause, cause when the connection goes to a proxy)
    (socket.gaierror(socket.EAI_NONAME, "unknown"), Cause.NAME_NOT_FOUND, Cause.PROXY_UNREACHABLE),
    (socket.gaierror(socket.EAI_AGAIN, "again"), Cause.NAME_SERVER_SILENT, Cause.PROXY_UNREACHABLE),
    (ConnectionRefusedError(111, "refused"), Cause.REFUSED, Cause.PROXY_UNREACHABLE),
    (OSError(errno.ENETUNREACH, "no route"), Cause.UNREACHABLE, Cause.PROXY_UNREACHABLE),
    (ConnectionResetError(104, "reset"), Cause.RESET, Cause.RESET),
    (certificate(18), Cause.TLS_INTERCEPTED, Cause.TLS_INTERCEPTED),
    (certificate(20), Cause.TLS_INTERCEPTED, Cause.TLS_INTERCEPTED),
    (certificate(9), Cause.TLS_CLOCK, Cause.TLS_CLOCK),
    (certificate(10), Cause.TLS_CLOCK, Cause.TLS_CLOCK),
    (certificate(62), Cause.TLS_NAME, Cause.TLS_NAME),
    (certificate(23), Cause.TLS_REFUSED, Cause.TLS_REFUSED),
    (ssl.SSLError(1, "wrong version number"), Cause.TLS_REFUSED, Cause.TLS_REFUSED),
    (OSError(errno.EMFILE, "too many open files"), None, None),
    (ValueError("something new"), None, None),
]


@pytest.mark.survives("V4")
@pytest.mark.parametrize(("below", "direct", "proxied"), TRANSPORT)
def test_p12_an_exception_names_what_it_shows(
    below: Exception, direct: Cause | None, proxied: Cause | None
) -> None:
    error = httpx2.ConnectError("All attempts failed")
    error.__cause__ = below
    for through, cause in ((False, direct), (True, proxied)):
        failure = transport_faults.from_exception(error, headers_received=False, proxied=through)
        assert failure.cause is cause
    cut = transport_faults.from_exception(error, headers_received=True)
    assert (cut.kind, cut.cause) == (K.CUT, Cause.CUT_STREAM)


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (httpx2.ConnectTimeout(""), Cause.CONNECT_TIMEOUT, Cause.CUT_STREAM),
        (httpx2.WriteTimeout(""), Cause.UPLOAD_STUCK, Cause.CUT_STREAM),
        (httpx2.ReadTimeout(""), Cause.NO_FIRST_BYTE, Cause.SILENT_STREAM),
        (httpx2.RemoteProtocolError("Server disconnected"), Cause.RESET, Cause.CUT_STREAM),
        (httpx2.RemoteProtocolError("illegal status line"), None, Cause.CUT_STREAM),
        (
            httpx2.ProxyError("407 Proxy Authentication Required"),
            Cause.PROXY_LOGIN,
            Cause.CUT_STREAM,
        ),
        (httpx2.ProxyError("403 Forbidden"), Cause.PROXY_REFUSED, Cause.CUT_STREAM),
        (httpx2.PoolTimeout(""), None, Cause.CUT_STREAM),
        (TimeoutError(), None, Cause.SILENT_STREAM),
        (httpx2.DecodingError(""), None, None),
    ],
)
def test_p12_the_http_librarys_own_exceptions_name_what_they_show(
    error: Exception, before: Cause | None, after: Cause | None
) -> None:
    for received, cause in ((False, before), (True, after)):
        failure = transport_faults.from_exception(error, headers_received=received)
        assert failure.cause is cause
        assert failure.message
