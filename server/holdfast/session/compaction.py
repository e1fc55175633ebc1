"""Decisions about compaction: when, where, and when its result comes into force.

Law: compaction changes the view, never the history (P4). It is prepared beside the session and
committed only between two requests and only if what it covers is still a prefix (P5). Nothing
starts again while nothing has changed since the last try, nor after a person cancelled it (B02).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from holdfast.conversation import tokens
from holdfast.conversation.cut_points import NothingToCompact, cut_points, cuts_within_turn
from holdfast.conversation.history import USER, History, Message, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.state import (
    COMPACTION_CANCELLED,
    INTERRUPTED,
    Phase,
    RunningCompaction,
    SessionState,
    index_of,
)
from holdfast.session.step import Step

GROWTH_MIN: Final = 4
"""Messages that must have come since the last try before an automatic one starts again."""


def plan(state: SessionState, keep_tokens: int) -> int | None:
    """Return the index of the first message that stays verbatim; None when nothing can go.

    A cut never separates a call from its result, and leaves an unanswered prompt and open calls
    in the tail. Prefers a cut before a prompt; inside a long tool loop it is before an assistant
    message. The tail is at most `keep_tokens` (an estimate) when a legal cut allows that.
    """
    start_at = _covered(state)
    tail = tuple(state.messages[start_at:])
    legal = sorted({*_cuts(cut_points, tail), *_cuts(cuts_within_turn, tail)})
    if not legal:
        return None
    fitting = [i for i in legal if tokens.estimate(tail[i:]) <= keep_tokens] or legal[-1:]
    prompts = [i for i in fitting if tail[i].role == USER]
    return start_at + (prompts[0] if prompts else fitting[0])


def _cuts(find: Callable[[History], tuple[int, ...]], history: History) -> tuple[int, ...]:
    try:
        return find(history)
    except NothingToCompact:
        return ()


def _covered(state: SessionState) -> int:
    return view.cut_index(state, state.in_force) if state.in_force else 0


def covered(state: SessionState, started: ev.CompactionStarted) -> tuple[str, tuple[Message, ...]]:
    """Return what a compaction must summarise: the summary in force, and the messages after it."""
    cut = index_of(state.messages, started.cut_origin)
    previous = state.in_force.summary if state.in_force else ""
    return previous, tuple(state.messages[_covered(state) : cut])


def start(
    step: Step,
    trigger: Literal["auto", "manual", "overflow"],
    *,
    blocking: bool,
    instructions: str = "",
) -> bool:
    """Start a compaction if there is something to compact. Says whether one is under way."""
    state = step.state
    running = state.compaction
    if running is not None and (running.started.blocking or not blocking):
        return True
    limits = step.env.limits
    cut = plan(state, limits.keep_tokens)
    if cut is None:
        return False
    if running is not None:
        _end(step, running, ev.CompactionEnd.SUPERSEDED, "a blocking compaction took its place")
    compaction_id = f"c_{state.seq + 1}"
    step.emit(
        ev.CompactionStarted(
            compaction_id=compaction_id,
            trigger=trigger,
            cut_origin=state.messages[cut].origin,
            tokens_before=view.context_tokens(state),
            blocking=blocking,
            instructions=instructions,
        )
    )
    step.want(inp.PrepareCompaction(compaction_id, digest_only=blocking))
    return True


def start_in_background(step: Step) -> None:
    """From the soft mark on, prepare a compaction beside the session."""
    state = step.state
    if (
        state.compaction is not None
        or state.compaction_held
        or (state.pause is not None and state.pause.reason == INTERRUPTED)
        or len(state.messages) - state.compaction_tried_at < GROWTH_MIN
        or view.context_tokens(state) < step.env.limits.soft_tokens
    ):
        return
    start(step, "auto", blocking=False)


def make_room(step: Step) -> bool:
    """Above the hard mark, start a compaction that the next request waits for.

    Says whether the request must wait. The local digest needs no model and takes milliseconds.
    """
    if view.context_tokens(step.state) < step.env.limits.hard_tokens:
        return False
    return start(step, "auto", blocking=True)


def asked(step: Step, given: inp.CompactAsked) -> None:
    """A person asks for a compaction."""
    start(step, "manual", blocking=False, instructions=given.instructions)


def rung_failed(step: Step, given: inp.RungFailed) -> None:
    """Record why a rung did not hold."""
    if _running(step, given.compaction_id) is not None:
        step.emit(
            ev.CompactionRungFailed(
                compaction_id=given.compaction_id,
                rung=given.rung,
                attempt=given.attempt,
                reason=given.reason,
                detail=given.detail,
            )
        )


def ready(step: Step, given: inp.CompactionReady) -> None:
    """Take a summary; one that does not make the view smaller falls down the ladder."""
    running = _running(step, given.compaction_id)
    if running is None or running.summary is not None:
        return
    state = step.state
    summary = compose(state, given.summary)
    cut = index_of(state.messages, running.started.cut_origin)
    tail = tuple(state.messages[cut:]) if cut is not None else ()
    after = tokens.estimate((Message(USER, (text(summary),)), *tail))
    before = tokens.estimate(view.messages(state))
    if given.rung is ev.Rung.SUMMARY and after >= before:
        rung_failed(
            step,
            inp.RungFailed(given.compaction_id, given.rung, 0, "notSmaller", f"{after} tokens"),
        )
        step.want(inp.PrepareCompaction(given.compaction_id, digest_only=True))
        return
    step.emit(
        ev.CompactionPrepared(
            compaction_id=given.compaction_id,
            rung=given.rung,
            summary=summary,
            tokens_after=after,
            model=given.model,
            usage=given.usage,
        )
    )


def commit_prepared(step: Step) -> None:
    """Bring a prepared summary into force, if no request is under way."""
    state = step.state
    running = state.compaction
    if running is None or running.summary is None or state.requested:
        return
    is_there = index_of(state.messages, running.started.cut_origin) is not None
    if not is_there or running.prefix_version != state.prefix_version:
        _end(step, running, ev.CompactionEnd.SUPERSEDED, "the history it covers was changed")
        return
    step.emit(ev.CompactionCommitted(compaction_id=running.started.compaction_id))


def cancelled(step: Step, _given: inp.CancelCompaction) -> None:
    """Cancel at once; the view is as it was. A turn that cannot go on without is paused."""
    running = step.state.compaction
    if running is None:
        return
    _end(step, running, ev.CompactionEnd.CANCELLED, "cancelled by the user")
    if running.started.blocking and step.state.phase is Phase.REQUESTING:
        step.emit(
            ev.TurnPaused(
                reason=COMPACTION_CANCELLED,
                message="The history does not fit the model's window without a compaction.",
                advice="Resume the turn to compact and go on, or choose a larger model.",
            )
        )


def cancel_blocking(step: Step) -> None:
    """A stopped turn needs no room any more."""
    running = step.state.compaction
    if running is not None and running.started.blocking:
        _end(step, running, ev.CompactionEnd.CANCELLED, "the turn was stopped")


def prepare_again(step: Step) -> None:
    """After a restart, prepare anew what was not ready."""
    running = step.state.compaction
    if running is not None and running.summary is None:
        step.want(inp.PrepareCompaction(running.started.compaction_id, running.started.blocking))


def compose(state: SessionState, summary: str) -> str:
    """Return the text that stands for the compacted part: the summary, and facts from state.

    Facts are not left to prose: the task list and the folder are rendered from the journal (B13).
    """
    parts = [
        "[Earlier parts of this conversation were compacted into the summary below. Requests "
        "named in it are done unless it says otherwise.]",
        f"<summary>\n{summary.strip()}\n</summary>",
    ]
    if state.todos:
        lines = "\n".join(f"- [{todo.status}] {todo.text}" for todo in state.todos)
        parts.append(f"<tasks>\n{lines}\n</tasks>")
    if state.workspace_uri:
        parts.append(f"<workspace>{state.workspace_uri}</workspace>")
    return "\n".join(parts)


def _end(step: Step, running: RunningCompaction, outcome: ev.CompactionEnd, detail: str) -> None:
    step.want(inp.AbortCompaction())
    step.emit(
        ev.CompactionEnded(
            compaction_id=running.started.compaction_id, outcome=outcome, detail=detail
        )
    )


def _running(step: Step, compaction_id: str) -> RunningCompaction | None:
    running = step.state.compaction
    return running if running and running.started.compaction_id == compaction_id else None
