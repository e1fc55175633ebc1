"""When another endpoint answers instead, and what changes by it.

Law: only a person's own list makes a session change its endpoint, never more than once to each of
them in one turn, so that nothing bounces; and what changes is said before it is sent (design §5).
"""

from __future__ import annotations

from typing import Final

from holdfast.conversation.profile import Profile
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.session.step import Step

AT_ONCE: Final = frozenset(
    {
        FailureKind.AUTHENTICATION,
        FailureKind.BILLING,
        FailureKind.SPEND_LIMIT,
        FailureKind.MODEL_GONE,
    }
)
"""What does not pass by itself and concerns this endpoint alone: trying again there is in vain."""

_PASSING: Final = frozenset({Remedy.RETRY, Remedy.CONTINUE})


def taken(step: Step, failure: Failure) -> bool:
    """Go on at the next endpoint of the list if this one has failed for long enough; say whether.

    The request is sent in the next step, which knows the grammar of the other endpoint.
    """
    turn = step.state.turn
    if turn is None or not _has_failed(step, failure):
        return False
    left = {*turn.left, step.state.endpoint}
    found = next((a for a in step.env.limits.failover if a.endpoint not in left), None)
    if found is None:
        return False
    now = step.env.now_ms
    step.emit(
        ev.EndpointSelected(
            endpoint=found.endpoint,
            model=step.state.model,
            there=found.there,
            reason="failover",
            said=found.says,
        )
    )
    step.emit(ev.RetryScheduled(attempt=1, retry_at_ms=now, reason=failure.kind.value))
    step.want(inp.WakeAt(now))
    return True


def changes(model: str, there: str, here: Profile, other: Profile) -> str:
    """Say in plain words what another endpoint changes in the requests of a session."""
    said = []
    if there != model:
        said.append(f"{there} is asked for in place of {model}.")
    if here.thinking_replayed and not other.thinking_replayed:
        said.append("Earlier thinking is not sent there.")
    if here.cache_marks_max and not other.cache_marks_max:
        said.append("There is no prompt cache.")
    return " ".join(said)


def _has_failed(step: Step, failure: Failure) -> bool:
    """Say whether staying is in vain: at once, or after `failover_ms` of trouble.

    A server that asks for a longer wait than that has said so itself.
    """
    if failure.kind in AT_ONCE:
        return True
    turn = step.state.turn
    if turn is None or turn.trouble_since_ms is None:
        return False
    if POLICIES[failure.kind].remedy not in _PASSING:
        return False
    ready_ms = step.env.now_ms + (failure.retry_after_ms or 0)
    return ready_ms - turn.trouble_since_ms >= step.env.limits.failover_ms
