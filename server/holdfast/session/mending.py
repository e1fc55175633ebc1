"""Decisions about refused requests: what is examined, recorded, sent again, and when it ends.

Law: each rung that is taken is a record with its cause, which a person can take back (P4). One
refusal costs at most `ladder.EXTRA_REQUESTS_MAX` more requests; then what did not help is taken
back and the turn is paused with the API's own words (P3, P12). What a restart interrupts is
examined again: that costs nothing and takes no rung twice.
"""

from __future__ import annotations

from typing import Final

from holdfast.conversation import tokens
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import refusals, sizes, soundness, view
from holdfast.session.compaction import budget
from holdfast.session.edits import edits_of, notes_of
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.ladder import EXTRA_REQUESTS_MAX, Case, Outcome, Verdict
from holdfast.session.pausing import pause
from holdfast.session.rungs import Change, RepairRung, Scene, Sent
from holdfast.session.state import SessionState, Turn
from holdfast.session.step import Step

AGAIN_MS: Final = 1_000
"""After this long a request is sent again that the API accepts when it only counts it."""


def is_filtered(failure: Failure) -> bool:
    """Whether the content was refused and not the request's form: then nothing is retried (A35)."""
    return (
        failure.kind is FailureKind.INVALID_REQUEST
        and refusals.read(failure).family is refusals.Family.FILTERED
    )


def refused(step: Step) -> None:
    """Climb the ladder for the refusal that was just recorded, or end where it ends."""
    turn = step.state.turn
    if turn is None or not turn.examining:
        return  # The refusal named a limit; the request is sent again within it.
    if turn.refusals > EXTRA_REQUESTS_MAX:
        give_up(step, turn)
    else:
        examine(step)


def examine(step: Step) -> None:
    """Have it found out what to change, of a history that breaks no rule we know: somebody may have
    undone a compaction while the request was under way.
    """
    state = step.state
    turn = state.turn
    if turn is None or turn.failure is None:
        return
    soundness.ensure(step, sending=True)
    case = case_of(state, turn, turn.failure, step.env.limits)
    model = state.model or step.env.limits.model
    step.want(inp.Examine(turn.turn_id, model, state.prefix_version, case))


def case_of(state: SessionState, turn: Turn, failure: Failure, limits: inp.Limits) -> Case:
    """Return a refused request as the ladder sees it."""
    sent = Sent(view.messages(state), state.dropping, frozenset(state.left_out))
    scene = Scene(
        limits.profile,
        tuple(name for name in limits.tools if name not in sent.left_out),
        state.prompt_origins.get(turn.prompt_id, ""),
        limits.turns_joined,
    )
    refusal = refusals.read(failure)
    return Case(
        sent,
        refusals.before_joining(refusal, sent.history) if scene.turns_joined else refusal,
        scene,
        head=state.messages[-1].origin if state.messages else "",
        extra=EXTRA_REQUESTS_MAX + 1 - turn.refusals,
        tried=frozenset(state.tried),
    )


def examined(step: Step, given: inp.Examined) -> None:
    """Act on what was found out: record the rungs, try again, or pause."""
    state = step.state
    turn = state.turn
    if turn is None or turn.turn_id != given.turn_id or not turn.examining:
        return
    if state.prefix_version != given.prefix_version:
        examine(step)  # The history was changed meanwhile: what was found speaks of another one.
        return
    match given.outcome.verdict:
        case Verdict.MENDED:
            if not _record(step, turn, given.case, given.outcome):
                give_up(step, turn)
        case Verdict.AGAIN:
            asked_ms = turn.failure.retry_after_ms if turn.failure else None
            at_ms = step.env.now_ms + max(AGAIN_MS, asked_ms or 0)
            if at_ms - (turn.trouble_since_ms or 0) > step.env.limits.retry_budget_ms:
                give_up(step, turn)
                return
            reason = FailureKind.INVALID_REQUEST.value
            step.emit(
                ev.RetryScheduled(attempt=turn.attempts + 1, retry_at_ms=at_ms, reason=reason)
            )
            step.want(inp.WakeAt(at_ms))
        case Verdict.GIVEN_UP:
            give_up(step, turn)


def give_up(step: Step, turn: Turn) -> None:
    """Take back what did not help and pause with the API's own words."""
    for repair_id in reversed(list(turn.repairs)):
        if repair_id in step.state.repairs:
            step.emit(ev.RepairUndone(repair_id=repair_id))
    failure = turn.failure or Failure(kind=FailureKind.INVALID_REQUEST, message="")
    pause(step, failure, None)


def _record(step: Step, turn: Turn, case: Case, outcome: Outcome) -> bool:
    """Write down the rungs, oldest first; say whether any of them changes anything."""
    words = turn.failure.message if turn.failure else ""
    request_id = turn.failure.request_id if turn.failure else None
    recorded = False
    for change in outcome.changes:
        head, rung, place, fragment = case.key(change)
        cause = ev.RepairCause(
            rung=rung,
            head=head,
            place=place,
            fragment=fragment,
            rule=case.refusal.rule,
            words=words,
            request_id=request_id,
            checked=outcome.checked,
        )
        event = event_of(f"r_{step.state.seq + 1}", change, cause)
        if event is not None:
            step.emit(event)
            recorded = True
    return recorded


def event_of(repair_id: str, change: Change, cause: ev.RepairCause) -> ev.HistoryRepaired | None:
    """Return the record of a rung, or None when it changes nothing."""
    before, after = change.before, change.after
    edits = edits_of(before.history, after.history)
    switched = after.dropping if after.dropping is not before.dropping else None
    left_out = tuple(sorted(after.left_out - before.left_out))
    if not edits and switched is None and not left_out:
        return None
    return ev.HistoryRepaired(
        repair_id=repair_id,
        notes=notes_of(change.steps),
        edits=edits,
        cause=cause,
        drop_mismatched_thinking=switched,
        left_out=left_out,
    )


# -- too many bytes --------------------------------------------------------------------------------


def body_bytes(state: SessionState) -> int:
    """Return how large the messages of the next request are, in bytes."""
    return tokens.history_bytes(view.messages(state))


def fit(step: Step, *, refused_for_size: bool = False) -> bool:
    """Make the view fit the endpoint's limit in bytes, by a record; say whether it was changed.

    A second budget beside tokens: a picture of many bytes is few tokens (A25, R7).
    """
    state = step.state
    limits = step.env.limits
    bytes_max = budget.bytes_max(state, limits)
    messages = view.messages(state)
    step.body_bytes = sizes.at_most(messages)
    if not refused_for_size and step.body_bytes <= bytes_max:
        return False
    change = sizes.shrunk(Sent(messages, state.dropping, frozenset(state.left_out)), bytes_max)
    if change is None:
        return False
    failure = state.turn.failure if state.turn and refused_for_size else None
    cause = ev.RepairCause(
        rung=RepairRung.SHRINK.value,
        head=messages[-1].origin,
        place="all",
        rule="R7",
        words=failure.message if failure else "",
        request_id=failure.request_id if failure else None,
    )
    event = event_of(f"r_{state.seq + 1}", change, cause)
    if event is None:
        return False
    step.emit(event)
    return True
