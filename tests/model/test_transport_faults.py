"""Every exception of the transport is one failure that names its cause (SDK notes §4.1)."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import ssl

import anthropic
import httpx2
import pytest

from holdfast.model import transport_faults
from holdfast.session.failures import FailureKind as K

REQUEST = httpx2.Request("POST", "https://api.example/v1/messages")


def wrapped(*causes: BaseException) -> BaseException:
    """Chain exceptions as `raise … from …` does, the first one outermost."""
    for outer, inner in itertools.pairwise(causes):
        outer.__cause__ = inner
    return causes[0]


def connection_error(*causes: BaseException) -> BaseException:
    return wrapped(anthropic.APIConnectionError(request=REQUEST), *causes)


TABLE = [
    # (exception, kind before the headers, kind after them)
    (httpx2.ConnectTimeout(""), K.TIMEOUT, K.CUT),
    (httpx2.PoolTimeout(""), K.TIMEOUT, K.CUT),
    (httpx2.WriteTimeout(""), K.TIMEOUT, K.CUT),
    (httpx2.ReadTimeout(""), K.TIMEOUT, K.STALLED),
    (httpx2.ConnectError(""), K.NETWORK, K.CUT),
    (httpx2.ReadError(""), K.NETWORK, K.CUT),
    (httpx2.WriteError(""), K.NETWORK, K.CUT),
    (httpx2.CloseError(""), K.NETWORK, K.CUT),
    (httpx2.RemoteProtocolError(""), K.NETWORK, K.CUT),
    (httpx2.ProxyError("407 Proxy Authentication Required"), K.NETWORK, K.CUT),
    (httpx2.DecodingError(""), K.UNREADABLE, K.UNREADABLE),
    (httpx2.TooManyRedirects(""), K.SERVER, K.SERVER),
    (httpx2.UnsupportedProtocol(""), K.INTERNAL, K.INTERNAL),
    (httpx2.LocalProtocolError("Illegal header value"), K.INTERNAL, K.INTERNAL),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), K.UNREADABLE, K.UNREADABLE),
    (TimeoutError(), K.TIMEOUT, K.STALLED),
    (OSError(errno.ENETUNREACH, "no route"), K.NETWORK, K.CUT),
    (anthropic.APITimeoutError(request=REQUEST), K.TIMEOUT, K.STALLED),
    (anthropic.APIConnectionError(request=REQUEST), K.NETWORK, K.CUT),
    (connection_error(httpx2.RemoteProtocolError("gone")), K.NETWORK, K.CUT),
    (connection_error(httpx2.LocalProtocolError("bad")), K.INTERNAL, K.INTERNAL),
    (ValueError("ours"), K.INTERNAL, K.INTERNAL),
]


@pytest.mark.parametrize(("error", "before", "after"), TABLE)
def test_each_exception_before_and_after_the_headers(
    error: BaseException, before: K, after: K
) -> None:
    for received, kind in ((False, before), (True, after)):
        failure = transport_faults.from_exception(
            error, headers_received=received, request_id="req_1"
        )
        assert failure.kind is kind
        assert failure.message
        assert failure.status is None
        assert type(error).__name__ in failure.raw
        assert failure.request_id == "req_1"


@pytest.mark.parametrize(
    ("root", "word"),
    [
        (socket.gaierror(-2, "Name or service not known"), "DNS"),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), "certificate"),
        (ssl.SSLError(1, "wrong version number"), "TLS"),
        (ConnectionRefusedError(111, "Connection refused"), "refused"),
        (ConnectionResetError(104, "reset by peer"), "reset"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
    ],
)
def test_the_cause_at_the_bottom_of_the_chain_is_named(root: BaseException, word: str) -> None:
    nested = ExceptionGroup("attempts", [root]) if isinstance(root, Exception) else root
    for chain in ((httpx2.ConnectError("x"), root), (httpx2.ConnectError("x"), nested)):
        failure = transport_faults.from_exception(connection_error(*chain), headers_received=False)
        assert failure.kind is K.NETWORK
        assert word in failure.message


def test_an_endless_chain_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert transport_faults.from_exception(first, headers_received=False).kind is K.INTERNAL


def test_a_secret_in_an_exception_is_blotted_out() -> None:
    """P11: the transport quotes a header value that it refuses."""
    error = connection_error(httpx2.LocalProtocolError("Illegal header value b'Bearer tok-123'"))
    failure = transport_faults.from_exception(error, headers_received=False, secrets=("tok-123",))
    assert "tok-123" not in failure.message + failure.raw


def test_p12_how_a_wait_was_ended_in_here_is_told_to_nobody_and_kept_for_whoever_looks() -> None:
    scope = asyncio.CancelledError("Cancelled via cancel scope 7f80cd0b9c60")
    error = connection_error(httpx2.ConnectTimeout("slow"), TimeoutError(), scope)
    failure = transport_faults.from_exception(error, headers_received=False)
    assert "cancel scope" not in failure.message
    assert "cancel scope" in failure.raw
