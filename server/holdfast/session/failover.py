"""When another endpoint answers instead, and what changes by it.

Law: only a person's own list makes a session change its endpoint, never more than once to each of
them in one turn, so that nothing bounces; and what changes is said before it is sent (design §5).
The way back is taken between turns only, when a free look finds an answer, and the more rarely the
more often it was in vain.
"""

from __future__ import annotations

from typing import Final, Literal

from holdfast.conversation.profile import Profile
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.bounds import Alternative
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.session.state import LOOKING_BACK, Phase
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

LOOK_MS: Final = 2_000
"""How long a turn waits, before it begins, for the endpoint that a fail-over has left."""

_DOUBLINGS_MAX: Final = 6

_PASSING: Final = frozenset({Remedy.RETRY, Remedy.CONTINUE})


def taken(step: Step, failure: Failure) -> bool:
    """Go on at the next endpoint of the list if this one has failed long enough; say whether."""
    turn = step.state.turn
    if turn is None or not _has_failed(step, failure):
        return False
    left = {*turn.left, step.state.endpoint}
    found = next((a for a in step.env.limits.failover if a.endpoint not in left), None)
    if found is None:
        return False
    _select(step, found, "failover", failure.kind.value)
    return True


def looks_back(step: Step) -> bool:
    """Look for the endpoint that a fail-over has left, if it is time; say whether the turn waits.

    The look is free and bounded. Whatever it finds, the turn goes on.
    """
    state, env = step.state, step.env
    home = state.home
    if home is None or env.limits.home is None or state.phase is not Phase.REQUESTING:
        return False
    away_ms = env.limits.failover_ms * 2 ** min(state.returns, _DOUBLINGS_MAX)
    if 0 <= env.now_ms - home.left_ms < away_ms:
        return False
    due_ms = env.now_ms + LOOK_MS
    step.emit(ev.RetryScheduled(attempt=1, retry_at_ms=due_ms, reason=LOOKING_BACK))
    step.want(inp.WakeAt(due_ms))
    step.want(inp.LookBack(home.endpoint, env.now_ms))
    return True


def looked_back(step: Step, given: inp.LookedBack) -> None:
    """Go on there if it answers, else here. The turn may have gone on, or ended, meanwhile."""
    wait, home = step.state.wait, step.env.limits.home
    if wait is None or wait.reason != LOOKING_BACK or wait.since_ms != given.since_ms:
        return
    step.emit(ev.TurnResumed(by="probe"))
    if given.answers and home is not None:
        _select(step, home, "returned", LOOKING_BACK)


def _select(
    step: Step, there: Alternative, why: Literal["failover", "returned"], reason: str
) -> None:
    """Have another endpoint answer: in the next step, which knows the grammar there."""
    step.emit(
        ev.EndpointSelected(
            endpoint=there.endpoint,
            model=step.state.model,
            there=there.there,
            reason=why,
            said=there.says,
        )
    )
    now = step.env.now_ms
    step.emit(ev.RetryScheduled(attempt=1, retry_at_ms=now, reason=reason))
    step.want(inp.WakeAt(now))


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
