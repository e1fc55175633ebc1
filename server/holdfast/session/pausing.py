"""How a turn is paused after a failure, and how it finds out by itself that it can go on.

Law: a pause names its reason, carries the server's own words, says what to do, and either when it
is tried again or that a person must act (P3, P7, P12). What passes by itself is looked for with
free probes, ever more rarely and never more than `Limits.probe_max_ms` apart; only when the
endpoint answers is a request sent.
"""

from __future__ import annotations

from typing import Final

import msgspec

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import POLICIES, Failure, FailureKind, Policy, explain, told
from holdfast.session.state import Pause
from holdfast.session.step import Step

PROBE_GROWTH: Final = 1.25
"""Each look comes so much later than the one before."""

_GROWTHS_MAX: Final = 64

_PROBED: Final = frozenset(
    kind.value for kind, policy in POLICIES.items() if policy.probe_ms is not None
)
_OF_THE_WAY: Final = frozenset(
    {FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.STALLED, FailureKind.CUT}
)


def pause(step: Step, failure: Failure, retry_at_ms: int | None) -> None:
    """Pause the turn: reason, the server's own words, what to do, when it tries by itself."""
    step.emit(
        ev.TurnPaused(
            reason=failure.kind.value,
            message=told(failure),
            advice=explain(failure).advice,
            retry_at_ms=retry_at_ms,
        )
    )
    if retry_at_ms is not None:
        step.want(inp.WakeAt(retry_at_ms))


def is_probed(pause: Pause) -> bool:
    """Say whether a pause ends by itself, when the endpoint answers again."""
    return pause.retry_at_ms is not None and pause.reason in _PROBED


def passes_with_the_network(failure: Failure) -> bool:
    """Say whether another network may be all that a failed request needs."""
    return failure.kind in _OF_THE_WAY and failure.retry_after_ms is None


def look_again_later(step: Step, pause: Pause, found: Failure) -> None:
    """Put the end of a pause off: the endpoint was looked at, and `found` stands in the way.

    A cause that is known already keeps its words and leaves its body out: days without a network
    are many looks.
    """
    policy = POLICIES[FailureKind(pause.reason)]
    at_ms = step.env.now_ms + probe_delay_ms(step, found, policy)
    known = pause.probe
    if known is not None and (known.kind, known.message) == (found.kind, found.message):
        found = msgspec.structs.replace(found, raw="")
    step.emit(ev.ProbeFailed(failure=found, retry_at_ms=at_ms))
    step.want(inp.WakeAt(at_ms))


def probe_delay_ms(step: Step, failure: Failure, policy: Policy) -> int:
    """Return how long to wait before the next look at the endpoint: at least as the server asks."""
    turn, longest = step.state.turn, step.env.limits.probe_max_ms
    growth = PROBE_GROWTH ** min(turn.probes if turn is not None else 0, _GROWTHS_MAX)
    base = policy.probe_ms if policy.probe_ms is not None else longest
    return max(failure.retry_after_ms or 0, int(min(longest, base * growth)))
