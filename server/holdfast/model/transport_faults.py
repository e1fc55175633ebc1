"""Which failure an exception of the transport is.

Law: classification is total: whatever the SDK, the HTTP library or the operating system raises is
one `Failure` that names the cause a person can act on (name not found, certificate, refused,
proxy). Exceptions are recognised by the names of their classes, so this module imports no SDK and
both HTTP libraries that the SDK has used are understood. Pure.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdfast.model.classification import excerpt
from holdfast.session.failures import Failure, FailureKind

_CHAIN_MAX: Final = 32

# Class name -> (kind before the response's headers, kind after them). Before the headers nothing
# of an answer exists; after them what arrived is kept and continued (specification §3.4, §4.1).
_KINDS: Final[Mapping[str, tuple[FailureKind, FailureKind]]] = {
    "ConnectTimeout": (FailureKind.TIMEOUT, FailureKind.CUT),
    "PoolTimeout": (FailureKind.TIMEOUT, FailureKind.CUT),
    "WriteTimeout": (FailureKind.TIMEOUT, FailureKind.CUT),
    "ReadTimeout": (FailureKind.TIMEOUT, FailureKind.STALLED),
    "APITimeoutError": (FailureKind.TIMEOUT, FailureKind.STALLED),
    "TimeoutError": (FailureKind.TIMEOUT, FailureKind.STALLED),
    "ConnectError": (FailureKind.NETWORK, FailureKind.CUT),
    "ReadError": (FailureKind.NETWORK, FailureKind.CUT),
    "WriteError": (FailureKind.NETWORK, FailureKind.CUT),
    "CloseError": (FailureKind.NETWORK, FailureKind.CUT),
    "ProxyError": (FailureKind.NETWORK, FailureKind.CUT),
    "RemoteProtocolError": (FailureKind.NETWORK, FailureKind.CUT),
    "DecodingError": (FailureKind.UNREADABLE, FailureKind.UNREADABLE),
    "UnicodeDecodeError": (FailureKind.UNREADABLE, FailureKind.UNREADABLE),
    "TooManyRedirects": (FailureKind.SERVER, FailureKind.SERVER),
    "UnsupportedProtocol": (FailureKind.INTERNAL, FailureKind.INTERNAL),
    "InvalidURL": (FailureKind.INTERNAL, FailureKind.INTERNAL),
    "LocalProtocolError": (FailureKind.INTERNAL, FailureKind.INTERNAL),
    "OSError": (FailureKind.NETWORK, FailureKind.CUT),
    # The SDK wraps every exception of a request in this; a cause found in the chain goes first.
    "APIConnectionError": (FailureKind.NETWORK, FailureKind.CUT),
}

_SAYS: Final[Mapping[str, str]] = {
    "ConnectTimeout": "The connection could not be opened in time.",
    "PoolTimeout": "All connections to the API are in use.",
    "WriteTimeout": "The request could not be sent in time.",
    "ReadTimeout": "The API sent nothing in time.",
    "RemoteProtocolError": "The connection was closed in the middle of the exchange.",
    "ReadError": "The connection broke while receiving.",
    "WriteError": "The connection broke while sending.",
    "ProxyError": "The proxy refused the connection.",
    "DecodingError": "The answer's compression is damaged.",
    "UnicodeDecodeError": "The answer is not valid UTF-8.",
    "UnsupportedProtocol": "The base URL is no http or https address.",
    "InvalidURL": "The base URL is not a valid address.",
}


def from_exception(
    error: BaseException,
    *,
    headers_received: bool,
    request_id: str | None = None,
    secrets: Sequence[str] = (),
) -> Failure:
    """Classify what was raised while talking to the API.

    `headers_received` says whether the answer had begun. What is no transport fault is `INTERNAL`.
    """
    chain = tuple(_chain(error))
    name = next((name for cause in chain for name in _names(cause) if name in _SPECIFIC), None)
    if name is None:
        name = next((name for cause in chain for name in _names(cause) if name in _KINDS), None)
    before, after = _KINDS.get(name or "", (FailureKind.INTERNAL, FailureKind.INTERNAL))
    root = _cause(chain)
    words = root or _SAYS.get(name or "", "")
    detail = next((text for cause in reversed(chain) if (text := str(cause).strip())), "")
    if not words:
        words = detail or type(error).__name__
    return Failure(
        kind=after if headers_received else before,
        message=excerpt(words if detail in words else f"{words} ({detail})", secrets),
        request_id=request_id,
        raw=excerpt(" <- ".join(f"{type(cause).__name__}: {cause}" for cause in chain), secrets),
    )


_SPECIFIC: Final = frozenset(_KINDS) - {"APIConnectionError", "APITimeoutError", "OSError"}


def _names(error: BaseException) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(error).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, outermost first; groups count as their members."""
    todo, seen = [error], set[int]()
    while todo and len(seen) < _CHAIN_MAX:
        current = todo.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            todo.extend(current.exceptions)
        below = current.__cause__ or current.__context__
        if below is not None:
            todo.append(below)


def _cause(chain: Sequence[BaseException]) -> str:
    """Say in plain words what lies at the bottom of a connection failure, or nothing."""
    for error in chain:
        if isinstance(error, socket.gaierror):
            return "The name of the API's host could not be resolved (DNS)."
        if isinstance(error, ssl.SSLCertVerificationError):
            return "The server's certificate was refused (TLS)."
        if isinstance(error, ssl.SSLError):
            return "The secure connection could not be set up (TLS)."
        if isinstance(error, ConnectionRefusedError):
            return "The connection was refused: nothing listens there, or a firewall says no."
        if isinstance(error, ConnectionResetError):
            return "The connection was reset by the other side."
        if isinstance(error, OSError) and error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
            return "The network is unreachable."
    return ""
