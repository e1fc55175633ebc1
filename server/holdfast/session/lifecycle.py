"""The turn's state machine: state + input -> events + effects.

Law: this is the only place that decides. `advance` folds its own events into the state as it goes,
so that a decision can depend on the one before it; the caller must make the events durable before
it carries out an effect or acknowledges anything, and must fold the journal anew when it cannot.
No input is illegal: what does not fit the phase changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from holdfast.session import compaction, failover, mending, model_calls, pausing, tool_calls
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.phases import is_interrupted
from holdfast.session.state import INTERRUPTED, Phase, SessionState
from holdfast.session.step import Step

LATE_MS: Final = 10_000
"""A try that is so late was not waited for: the machine slept, or no server was there. Time in
which nothing could be tried is no time of trouble (C09).
"""


def advance(state: SessionState, given: inp.Input, env: inp.Env) -> inp.Advance:
    """Take one step. Changes `state` through the fold and returns what to persist and to do."""
    step = Step(state, env)
    _DECISIONS[type(given)](step, given)
    if type(given) is not inp.Arrived:  # Deltas come by the hundred and open no new question.
        compaction.commit_prepared(step)
        model_calls.request(step)
        compaction.start_in_background(step)
    return step.finish()


# -- people --------------------------------------------------------------------------------------


def _submit(step: Step, given: inp.Submit) -> None:
    if given.prompt_id in step.state.prompts:
        return  # The same prompt id twice is one prompt.
    step.emit(
        ev.PromptAccepted(
            prompt_id=given.prompt_id,
            turn_id=given.turn_id,
            content=ev.raw_blocks(given.blocks),
            mentions=given.mentions,
        )
    )
    turn = step.state.turn
    if turn is not None and step.state.phase is Phase.PAUSED:
        # The next prompt always works: it takes over from a turn that cannot go on (P3).
        _settle_calls(step)
        step.emit(ev.TurnEnded(turn_id=turn.turn_id, reason=ev.TurnEnd.SUPERSEDED))
    model_calls.next_turn(step)


def _stop(step: Step, _given: inp.Stop) -> None:
    state = step.state
    turn = state.turn
    if turn is None:
        return
    step.emit(ev.StopRequested(turn_id=turn.turn_id))
    if turn.examining:
        step.want(inp.AbortModel())
    if state.requested:
        step.want(inp.AbortModel())
        step.emit(ev.ResponseCut(cause=ev.CutCause.STOPPED))
    _settle_calls(step)
    compaction.cancel_blocking(step)
    step.emit(ev.TurnEnded(turn_id=turn.turn_id, reason=ev.TurnEnd.STOPPED))


def _settle_calls(step: Step) -> None:
    """End the open calls of a turn that ends. Those of a paused one were begun before a restart."""
    if step.state.calls:
        step.want(inp.KillTools())
        paused = step.state.phase is Phase.PAUSED
        outcome = ev.ToolOutcome.UNKNOWN if paused else ev.ToolOutcome.INTERRUPTED
        tool_calls.settle_open(step, started=outcome)


def _resume(step: Step, given: inp.Resume) -> None:
    pause = step.state.pause
    if given.paused_for is not None and (pause is None or pause.reason != given.paused_for):
        return
    turn = step.state.turn
    if given.turn_id is not None and (turn is None or turn.turn_id != given.turn_id):
        return  # It was stopped meanwhile, and what waits behind it is held.
    match step.state.phase:
        case Phase.PAUSED | Phase.WAITING:
            step.emit(ev.TurnResumed(by="user"))
            _go_on(step)
        case Phase.QUEUED:
            model_calls.next_turn(step, held_too=True)
        case Phase.REQUESTING | Phase.STREAMING if given.give_up and step.state.requested:
            step.want(inp.AbortModel())
            step.emit(ev.ResponseCut(cause=ev.CutCause.GIVEN_UP))
            model_calls.request(step)
        case _:
            pass


def _go_on(step: Step) -> None:
    """Go on with a turn that waited; calls that a restart left open come first."""
    if step.state.calls:
        tool_calls.take_up(step)
    else:
        model_calls.request(step)


def _answered(step: Step, given: inp.Answered) -> None:
    if given.question_id in step.state.questions and step.state.phase is Phase.PAUSED:
        step.emit(ev.TurnResumed(by="user"))  # Whoever answers wants the turn to go on.
        tool_calls.take_up(step)
    tool_calls.answered(step, given)


def _note(step: Step, given: inp.Note) -> None:
    busy = step.state.turn is not None
    paused = step.state.phase is Phase.PAUSED
    if given.at_rest is not None and busy and not (paused and given.at_rest == "paused"):
        return  # A turn began after the question was asked: its history must not change under it.
    if given.at_rest is not None and step.state.calls:
        return  # A restart left calls open, whose results will follow.
    for event in given.events:
        step.emit(event)


# -- time and restarts ---------------------------------------------------------------------------


def _tick(step: Step, _given: inp.Tick) -> None:
    state = step.state
    due = state.wait or state.pause
    if due is None or due.retry_at_ms is None:
        return
    # A clock that shows a time before the wait began was set back; how far nobody knows (C09).
    if due.since_ms <= step.env.now_ms < due.retry_at_ms:
        step.want(inp.WakeAt(due.retry_at_ms))
    elif state.pause is not None and pausing.is_probed(state.pause):
        step.want(inp.Probe(state.pause.since_ms))
    elif state.wait is not None:
        late = step.env.now_ms - due.retry_at_ms > LATE_MS
        step.emit(ev.TurnResumed(by="wake" if late else "timer"))
        model_calls.request(step)
    else:
        step.emit(ev.TurnResumed(by="probe"))
        model_calls.request(step)


def _probed(step: Step, given: inp.Probed) -> None:
    """Go on when the endpoint answers; else look again later. The turn may wait otherwise now."""
    pause = step.state.pause
    if pause is None or pause.retry_at_ms is None or pause.since_ms != given.since_ms:
        return
    if given.failure is None:
        step.emit(ev.TurnResumed(by="probe"))
        model_calls.request(step)
    else:
        pausing.look_again_later(step, pause, given.failure)


def _woke(step: Step, _given: inp.Woke) -> None:
    """Do not wait for what a sleep has made pointless: the way to the API may be another one now.

    A time that the API named stays.
    """
    state = step.state
    failure = state.turn.failure if state.turn is not None else None
    if failure is None or not pausing.passes_with_the_network(failure):
        return
    if state.wait is not None or (state.pause is not None and pausing.is_probed(state.pause)):
        step.emit(ev.TurnResumed(by="wake"))
        model_calls.request(step)


def _restarted(step: Step, given: inp.Restarted) -> None:
    """Carry out the row of `phases.RESTART` for the phase that the last owner left."""
    state = step.state
    phase = state.phase
    if phase is not Phase.IDLE or state.compaction is not None:
        step.emit(ev.SessionRecovered(phase=phase.value, generation=given.generation))
    if not step.env.limits.continue_interrupted and is_interrupted(state):
        _hold(step)
        phase = Phase.PAUSED
    match phase:
        case Phase.QUEUED:
            model_calls.next_turn(step)
        case Phase.COMPACTING:
            compaction.prepare_again(step)
        case Phase.REQUESTING | Phase.STREAMING:
            if state.response is not None:
                step.emit(ev.ResponseCut(cause=ev.CutCause.RESTART))
            model_calls.request(step)
        case Phase.REPAIRING:
            mending.examine(step)
        case Phase.ASKING | Phase.RUNNING_TOOLS:
            tool_calls.recover(step)
        case Phase.WAITING | Phase.PAUSED:
            tool_calls.settle_started(step)  # Calls of a turn that a restart has interrupted.
            _tick(step, inp.Tick())
        case Phase.IDLE:
            pass
    if phase is not Phase.COMPACTING:
        compaction.prepare_again(step)


def _hold(step: Step) -> None:
    """Pause a turn that a restart interrupted until a person wants it to go on.

    What it had begun is looked at all the same: a command that still runs is stopped now.
    """
    state = step.state
    if state.response is not None:
        step.emit(ev.ResponseCut(cause=ev.CutCause.RESTART))
    step.emit(
        ev.TurnPaused(
            reason=INTERRUPTED,
            message="The server was started again while this turn was under way.",
            advice="Resume the turn to go on.",
        )
    )


# -- the response --------------------------------------------------------------------------------


def _arrived(step: Step, given: inp.Arrived) -> None:
    for event in given.events:
        step.emit(tool_calls.normalised(step.state, event))


def _completed(step: Step, given: inp.Completed) -> None:
    state = step.state
    turn = state.turn
    if turn is None or not state.requested or model_calls.went_on(step, given):
        return
    unmeasured = state.unmeasured
    step.emit(
        ev.ResponseFinished(
            message_id=given.message_id,
            stop_reason=given.stop_reason,
            usage=given.usage,
            detail=given.detail,
            age_ms=given.lived.age_ms,
        )
    )
    compaction.measured(step, unmeasured)
    if state.calls:
        tool_calls.begin(step, cut_last=given.stop_reason == "max_tokens")
        return
    refused = given.stop_reason == "refusal"
    reason = ev.TurnEnd.REFUSED if refused else ev.TurnEnd.COMPLETED
    step.emit(ev.TurnEnded(turn_id=turn.turn_id, reason=reason))
    model_calls.next_turn(step)


_DECISIONS: Final[dict[type[Any], Callable[[Step, Any], None]]] = {
    inp.Submit: _submit,
    inp.Stop: _stop,
    inp.Resume: _resume,
    inp.Note: _note,
    inp.Tick: _tick,
    inp.Probed: _probed,
    inp.LookedBack: failover.looked_back,
    inp.Woke: _woke,
    inp.Restarted: _restarted,
    inp.Arrived: _arrived,
    inp.Completed: _completed,
    inp.Failed: model_calls.failed,
    inp.Examined: mending.examined,
    inp.Judged: tool_calls.judged,
    inp.Looked: tool_calls.looked,
    inp.LookedAgain: tool_calls.looked_again,
    inp.TraceFound: tool_calls.trace_found,
    inp.Ran: tool_calls.ran,
    inp.Answered: _answered,
    inp.CompactAsked: compaction.asked,
    inp.RungFailed: compaction.rung_failed,
    inp.ChunkReady: compaction.chunk_ready,
    inp.CompactionReady: compaction.ready,
    inp.CancelCompaction: compaction.cancelled,
}
