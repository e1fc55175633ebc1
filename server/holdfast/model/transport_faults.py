"""Which failure an exception of the transport is.

Law: classification is total: whatever the SDK, the HTTP library or the operating system raises is
one `Failure`, with the cause that the exception shows, if it shows one. Exceptions are recognised
by the names of their classes, so this module imports no SDK and both HTTP libraries that the SDK
has used are understood. Pure.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdfast.model.classification import excerpt
from holdfast.session.causes import CAUSES, Cause
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
    "TimeoutError": "Nothing came back in time.",
    "APITimeoutError": "Nothing came back in time.",
    "PoolTimeout": "All connections to the API are in use.",
    "RemoteProtocolError": "The other side does not keep to the rules of HTTP.",
    "DecodingError": "The answer's compression is damaged.",
    "UnicodeDecodeError": "The answer is not valid UTF-8.",
    "UnsupportedProtocol": "The base URL is no http or https address.",
    "InvalidURL": "The base URL is not a valid address.",
}
"""Words for what no cause stands for."""

_CAUSES: Final[Mapping[str, Cause]] = {
    "ConnectTimeout": Cause.CONNECT_TIMEOUT,
    "WriteTimeout": Cause.UPLOAD_STUCK,
    "ReadTimeout": Cause.NO_FIRST_BYTE,
    "ReadError": Cause.RESET,
    "WriteError": Cause.RESET,
    "CloseError": Cause.RESET,
    "ProxyError": Cause.PROXY_REFUSED,
}
"""What a class of the HTTP library shows before the headers, if nothing below it shows more."""

_AFTER: Final[Mapping[FailureKind, Cause]] = {
    FailureKind.STALLED: Cause.SILENT_STREAM,
    FailureKind.CUT: Cause.CUT_STREAM,
}

# X509_V_ERR_* of OpenSSL, as in `SSLCertVerificationError.verify_code`.
_CERTIFICATES: Final[Mapping[int, Cause]] = {
    2: Cause.TLS_INTERCEPTED,  # the issuer is not there
    18: Cause.TLS_INTERCEPTED,  # self-signed
    19: Cause.TLS_INTERCEPTED,  # self-signed in the chain
    20: Cause.TLS_INTERCEPTED,  # the issuer is not known here
    21: Cause.TLS_INTERCEPTED,  # the first of the chain cannot be verified
    9: Cause.TLS_CLOCK,  # not yet valid
    10: Cause.TLS_CLOCK,  # expired
    62: Cause.TLS_NAME,  # another host
    64: Cause.TLS_NAME,  # another address
}
_NO_NAME: Final = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_CLOSED: Final = re.compile(r"disconnected|closed|reset", re.IGNORECASE)
# With a proxy every connection goes to the proxy, so that these are about it.
_PROXYS_OWN: Final = frozenset(
    {
        Cause.NAME_NOT_FOUND,
        Cause.NAME_SERVER_SILENT,
        Cause.UNREACHABLE,
        Cause.REFUSED,
        Cause.CONNECT_TIMEOUT,
    }
)


def from_exception(
    error: BaseException,
    *,
    headers_received: bool,
    request_id: str | None = None,
    secrets: Sequence[str] = (),
    proxied: bool = False,
) -> Failure:
    """Classify what was raised while talking to the API.

    `headers_received` says whether the answer had begun, `proxied` whether the connection goes to a
    proxy. What is no transport fault is `INTERNAL`.
    """
    chain = tuple(_chain(error))
    name = next((name for link in chain for name in _names(link) if name in _SPECIFIC), None)
    if name is None:
        name = next((name for link in chain for name in _names(link) if name in _KINDS), None)
    before, after = _KINDS.get(name or "", (FailureKind.INTERNAL, FailureKind.INTERNAL))
    kind = after if headers_received else before
    if headers_received:
        cause = _AFTER.get(kind)
    else:
        cause = _below(chain) or _by_name(name, chain)
        if proxied and cause in _PROXYS_OWN:
            cause = Cause.PROXY_UNREACHABLE
    words = CAUSES[cause].says if cause is not None else _SAYS.get(name or "", "")
    detail = next((text for link in reversed(chain) if (text := _words(link))), "")
    if not words:
        words = detail or type(error).__name__
    return Failure(
        kind=kind,
        message=excerpt(words if detail in words else f"{words} ({detail})", secrets),
        request_id=request_id,
        cause=cause,
        raw=excerpt(" <- ".join(f"{type(link).__name__}: {link}" for link in chain), secrets),
    )


def _words(link: BaseException) -> str:
    """Return what an exception says for people. How a wait was ended in here is nobody's news."""
    return "" if isinstance(link, asyncio.CancelledError) else str(link).strip()


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


def _below(chain: Sequence[BaseException]) -> Cause | None:
    """Return what the operating system or the TLS library said, at the bottom of a chain."""
    for error in chain:
        if isinstance(error, socket.gaierror):
            known = error.errno in _NO_NAME
            return Cause.NAME_NOT_FOUND if known else Cause.NAME_SERVER_SILENT
        if isinstance(error, ssl.SSLCertVerificationError):
            return _CERTIFICATES.get(getattr(error, "verify_code", 0), Cause.TLS_REFUSED)
        if isinstance(error, ssl.SSLError):
            return Cause.TLS_REFUSED
        if isinstance(error, ConnectionRefusedError):
            return Cause.REFUSED
        if isinstance(error, ConnectionResetError | BrokenPipeError):
            return Cause.RESET
        if isinstance(error, OSError) and error.errno in _NO_ROUTE:
            return Cause.UNREACHABLE
    return None


def _by_name(name: str | None, chain: Sequence[BaseException]) -> Cause | None:
    """Return what the HTTP library's own class and words show."""
    words = " ".join(str(link) for link in chain)
    if name == "ProxyError" and "407" in words:
        return Cause.PROXY_LOGIN
    if name == "RemoteProtocolError":
        return Cause.RESET if _CLOSED.search(words) else None
    return _CAUSES.get(name or "")
