"""How a turn is paused after a failure.

Law: a pause names its reason, carries the server's own words, says what to do, and either when it
is tried again or that a person must act (P3, P7, P12).
"""

from __future__ import annotations

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import Failure, Policy
from holdfast.session.step import Step


def pause(step: Step, failure: Failure, policy: Policy, retry_at_ms: int | None) -> None:
    """Pause the turn: reason, the server's own words, what to do, when it tries by itself."""
    step.emit(
        ev.TurnPaused(
            reason=failure.kind.value,
            message=f"{policy.says} ({failure.message})" if failure.message else policy.says,
            advice=policy.advice,
            retry_at_ms=retry_at_ms,
        )
    )
    if retry_at_ms is not None:
        step.want(inp.WakeAt(retry_at_ms))
