"""Every banner that there is: each reason, with and without a time."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.session import banners
from holdfast.session.banners import Banner
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.state import COMPACTION_CANCELLED, INTERRUPTED, NO_ROOM

S = "s_1"
DUE = 1_770_000_000_000
RAW = "the server's own words"


def failure(kind: FailureKind) -> Failure:
    return Failure(kind=kind, message=RAW, status=500, request_id="req_1")


def pauses() -> Iterator[Banner]:
    for kind in FailureKind:
        for due in (None, DUE):
            yield banners.paused(
                S, reason=kind, message="m", advice="a", due=due, failure=failure(kind)
            )
    reasons = (INTERRUPTED, COMPACTION_CANCELLED, NO_ROOM, banners.STORAGE, "of a newer version")
    for reason in reasons:
        yield banners.paused(S, reason=reason, message="It stands.", advice="Do this.")


def stuck() -> Iterator[Banner]:
    """Yield the banners of a turn that waits for the other side."""
    for reason in (*FailureKind, "of a newer version"):
        for attempt in (1, 2):
            yield banners.waiting(S, reason=reason, attempt=attempt, due=DUE, failure=None)
    yield banners.again(S, attempt=2, failure=failure(FailureKind.NETWORK))
    yield banners.silent(S, None)
    yield banners.silent(S, DUE)


def waits() -> Iterator[Banner]:
    yield from stuck()
    yield banners.compacting(S)
    yield banners.compacting(S, step="asking", percentage=4, attempt=2, cause="late", due=DUE)
