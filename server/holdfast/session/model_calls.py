"""Decisions about requests: when one is sent, what follows a failure.

Law: no request leaves without a pre-flight check (P2), every failure ends in a retry at a known
time, a smaller request, or a pause with a reason and a next step (P3, P7). Nothing here depends on
status codes; `failures.POLICIES` is the whole policy.
"""

from __future__ import annotations

from typing import Final

from holdfast.session import compaction, failover, mending, pieces, soundness
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.compaction import budget
from holdfast.session.failures import POLICIES, Failure, FailureKind, Policy, Remedy
from holdfast.session.pausing import pause, probe_delay_ms
from holdfast.session.state import Phase, Turn
from holdfast.session.step import Step

CONTINUATIONS_MAX: Final = 3
"""How often one turn's answer is continued after it reached a limit."""

_LIMITS: Final = {
    "max_tokens": ev.CutCause.OUTPUT_LIMIT,
    "model_context_window_exceeded": ev.CutCause.WINDOW_FULL,
}

RESHAPES_MAX: Final = 2
"""How often one turn's request is made smaller after the API refused its size."""


def next_turn(step: Step, *, held_too: bool = False) -> None:
    """Start the turn of the oldest queued prompt, if the session is free."""
    state = step.state
    if state.turn is not None or not state.queue or (state.held and not held_too):
        return
    prompt = state.queue[0]
    step.emit(ev.TurnStarted(turn_id=prompt.turn_id, prompt_id=prompt.prompt_id))
    if not failover.looks_back(step):
        request(step)


def request(step: Step) -> None:
    """Send the next request of the turn, or first make room for it."""
    state = step.state
    turn = state.turn
    if turn is None or state.phase is not Phase.REQUESTING or state.requested:
        return
    compaction.commit_prepared(step)
    if compaction.make_room(step):
        return
    compaction.recast(step)
    soundness.ensure(step, sending=True)
    mending.fit(step)
    model = state.model or step.env.limits.model
    attempt = turn.attempts + 1
    step.emit(ev.RequestStarted(turn_id=turn.turn_id, attempt=attempt, model=model))
    step.want(inp.CallModel(turn.turn_id, attempt, model))


def failed(step: Step, given: inp.Failed) -> None:
    """React to a failed request by its kind's policy."""
    state = step.state
    turn = state.turn
    if turn is None or not state.requested:
        return
    failure, lesson = pieces.cause_of(step, given), pieces.lesson(step, given)
    if state.response is not None and state.response.started:
        step.emit(ev.ResponseCut(cause=ev.CutCause.FAILURE, detail=failure.message))
    size = mending.body_bytes(state) if failure.kind is FailureKind.TOO_LARGE else 0
    too_long = failure.kind is FailureKind.TOO_LONG
    room = turn.answer_tokens
    step.emit(
        ev.RequestFailed(
            turn_id=turn.turn_id,
            attempt=turn.attempts + 1,
            failure=failure,
            body_bytes=size,
            context_tokens=budget.context_tokens(state, step.env.limits) if too_long else 0,
            age_ms=given.lived.age_ms,
        )
    )
    if lesson is not None:
        step.emit(lesson)
    if compaction.refused(step, failure):
        return  # It is sent again with the text of the compaction.
    if mending.is_filtered(failure):
        step.emit(ev.TurnEnded(turn_id=turn.turn_id, reason=ev.TurnEnd.REFUSED))
        next_turn(step)
        return
    policy = POLICIES[failure.kind]
    if failover.taken(step, failure):
        return  # Another endpoint is asked in the next step.
    match policy.remedy:
        case Remedy.RETRY | Remedy.CONTINUE:
            _retry(step, turn, failure, policy)
        case Remedy.RESHAPE if failure.kind is FailureKind.INVALID_REQUEST:
            mending.refused(step)
        case Remedy.RESHAPE:
            if turn.answer_tokens == room or turn.reshapes > RESHAPES_MAX:
                _reshape(step, turn, failure)
            # Else it is sent again, with the room for the answer that the API named (A24).
        case Remedy.ASK:
            pause(step, failure, None)


def went_on(step: Step, given: inp.Completed) -> bool:
    """Continue an answer of text that ended at a limit (specification §3.2, C11).

    At the window's limit the history is compacted first. Bounded per turn; an answer without text
    or with calls takes the ordinary path. A piece that is only thinking is asked for again, longer.
    """
    state = step.state
    turn, response = state.turn, state.response
    cause = _LIMITS.get(given.stop_reason)
    if cause is ev.CutCause.OUTPUT_LIMIT and pieces.is_piece(step):
        cause = ev.CutCause.PIECE
    is_piece = cause is ev.CutCause.PIECE
    if (
        cause is None
        or turn is None
        or response is None
        or (turn.continuations >= CONTINUATIONS_MAX and not is_piece)
        or any(block.type == "tool_use" for block in response.blocks.values())
    ):
        return False
    said = response.text_so_far().strip()
    if not said and not is_piece:
        return False
    age_ms = given.lived.age_ms
    step.emit(ev.ResponseCut(cause=cause, detail=given.stop_reason, age_ms=age_ms))
    if not said:
        pieces.ask_for_more(step)
    if cause is ev.CutCause.WINDOW_FULL:
        compaction.start(step, "overflow", blocking=True)
    request(step)
    return True


def _retry(step: Step, turn: Turn, failure: Failure, policy: Policy) -> None:
    now = step.env.now_ms
    limits = step.env.limits
    backoff = min(limits.retry_max_delay_ms, policy.base_ms * 2 ** min(turn.attempts - 1, 16))
    delay = int(backoff * (0.5 + 0.5 * step.env.jitter))
    if failure.retry_after_ms is not None:  # Asked for again and again, it is believed less.
        delay = max(failure.retry_after_ms, delay)
    since = now if turn.trouble_since_ms is None else turn.trouble_since_ms
    if now + delay - since > limits.retry_budget_ms:
        pause(step, failure, now + probe_delay_ms(step, failure, policy))
        return
    at_ms = now + delay
    step.emit(
        ev.RetryScheduled(attempt=turn.attempts + 1, retry_at_ms=at_ms, reason=failure.kind.value)
    )
    step.want(inp.WakeAt(at_ms))


def _reshape(step: Step, turn: Turn, failure: Failure) -> None:
    """Make the request smaller: in bytes by naming pictures only, in tokens by a compaction."""
    if turn.reshapes < RESHAPES_MAX:
        if failure.kind is FailureKind.TOO_LARGE and mending.fit(step, refused_for_size=True):
            return
        if compaction.start(step, "overflow", blocking=True):
            return
    pause(step, failure, None)
