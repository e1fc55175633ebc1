"""What a free look at the endpoint says: is a request worth sending?

Law: pure. Whatever the endpoint itself answers, a refused key or an unknown path included, means
that it is there; only silence, a broken way to it, its own trouble and somebody else's page in its
place speak against a request. What is said is what was seen, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.conversation import encoding
from holdfast.model import classification
from holdfast.model.port import Probe
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind

BODY_BYTES_MAX: Final = 64 * 1024
"""So much of an answer is read. One model of the list takes less than 2 KB."""

_AGAINST: Final = frozenset(
    {
        FailureKind.NETWORK,
        FailureKind.TIMEOUT,
        FailureKind.STALLED,
        FailureKind.CUT,
        FailureKind.OVERLOADED,
        FailureKind.RATE_LIMITED,
        FailureKind.SERVER,
        FailureKind.UNREADABLE,
    }
)
# A gateway or a local server need not have the list of models, and may say so with a page.
_NOT_THERE: Final = frozenset({404, 405, 501})


def verdict(failure: Failure | None, latency_ms: int) -> Probe:
    """Return what a look has found. `failure`: what it met, None when all was well."""
    ok = failure is None or failure.status in _NOT_THERE or failure.kind not in _AGAINST
    return Probe(ok, failure, latency_ms)


def read(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str] = ()
) -> Failure | None:
    """Return what is wrong with the answer to a look, or None. `body` may be cut short."""
    if not 200 <= status < 300:
        return classification.from_response(status, headers, body, secrets)
    try:
        listed = encoding.decode(body)
    except (ValueError, RecursionError):
        listed = None
    if isinstance(listed, dict) or len(body) >= BODY_BYTES_MAX:
        return None
    return Failure(
        kind=FailureKind.UNREADABLE,
        message="Something else than the API answered; a sign-in page or a proxy may be between.",
        status=status,
        cause=Cause.SIGN_IN_PAGE if body.lstrip().startswith(b"<") else None,
        request_id=classification.request_id(headers),
        raw=classification.excerpt(body.decode(errors="replace"), secrets),
    )
