"""When a compaction starts, and with which rung; when a person stops it.

Law: nothing starts again while nothing has changed since the last try (B02, B23), nor by itself
after a person cancelled or undid one: then only a request that does not fit starts one, until a
person asks for a compaction (B16). When nothing can be removed the turn says what fills the window
and waits; nothing is sent that must be refused (B04).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import soundness, view
from holdfast.session.compaction import budget, clearing, planning
from holdfast.session.compaction.blocks import recast
from holdfast.session.compaction.commits import commit_prepared
from holdfast.session.compaction.endings import end, end_pointless, pause_for_room, running_of
from holdfast.session.compaction.results import prepared
from holdfast.session.state import (
    COMPACTION_CANCELLED,
    INTERRUPTED,
    NO_ROOM,
    Compaction,
    Phase,
    SessionState,
)
from holdfast.session.step import Step

Trigger: TypeAlias = Literal["auto", "manual", "overflow"]

GROWTH_MIN: Final = 4
"""Messages that must have come since the last try before an automatic one starts again."""

GROWTH_SHARE: Final = 5
"""What is held because it removes nothing is tried again after a fifth of the window has come."""

URGENT_SHARE: Final = 20
"""Where a request would have to wait for it, after a twentieth."""


# -- starting --------------------------------------------------------------------------------------


def start(
    step: Step,
    trigger: Trigger,
    *,
    blocking: bool,
    instructions: str = "",
    context: int | None = None,
) -> bool:
    """Start a compaction if there is something to compact. `context` is its size, if known.

    Says whether one is under way, or was already done: shortening outputs needs no preparation.
    """
    state = step.state
    running = state.compaction
    if running is not None and (running.started.blocking or not blocking):
        return True
    limits = step.env.limits
    before = budget.context_tokens(state, limits) if context is None else context
    # By the API's own count an overflow does not fit, whatever ours is.
    context = max(before, limits.window_tokens) if trigger == "overflow" else before
    found = budget.marks(limits)
    keep = budget.keep_tokens(state, limits)
    over = int((context - found.target) / budget.ratio(state)) + 1
    if trigger != "manual":
        old = clearing.old(state, keep, over)
        if _clear(step, trigger, old, context, found.target):
            return True
    cut = planning.plan(state, keep)
    fits = cut is not None and _tail_tokens(state, limits, cut) <= found.hard
    if trigger != "manual" and not fits:
        newest = clearing.newest(view.messages(state), over)
        if _clear(step, trigger, newest, context, found.hard - 1):
            return True
    if cut is None:
        return False
    _supersede(step)
    origin = state.messages[cut].origin
    started = _started(step, trigger, origin, before, instructions, blocking=blocking)
    step.emit(started)
    step.want(inp.PrepareCompaction(started.compaction_id, _first(blocking=blocking)))
    return True


def _tail_tokens(state: SessionState, limits: inp.Limits, cut: int) -> int:
    """Estimate the context behind a cut, with the room that a summary needs."""
    summary = limits.window_tokens // 8
    return summary + budget.estimated_tokens(state, limits, tuple(state.messages[cut:]))


def _clear(step: Step, trigger: Trigger, found: clearing.Clearing, context: int, most: int) -> bool:
    """Shorten outputs if that alone brings the context to at most `most` tokens (rung 0)."""
    state = step.state
    first = planning.covered_until(state)
    after = context - budget.scaled(state, found.saved)
    if not found.cleared or after > most or first >= len(state.messages):
        return False
    _supersede(step)
    started = _started(step, trigger, state.messages[first].origin, context, blocking=False)
    step.emit(started)
    before = state.in_force
    known = before.cleared if before else {}
    offered = Compaction(
        compaction_id=started.compaction_id,
        summary=before.summary if before else "",
        cut_origin=started.cut_origin,
        known_origin=state.messages[-1].origin,
        rung=ev.Rung.CLEARED,
        block=before.block if before else None,
        facts=before.facts if before else "",
        cleared=clearing.merged(known, found.cleared),
    )
    step.emit(prepared(offered, after, ev.Usage()))
    commit_prepared(step)
    return True


def _started(
    step: Step,
    trigger: Trigger,
    cut_origin: str,
    tokens_before: int,
    instructions: str = "",
    *,
    blocking: bool,
) -> ev.CompactionStarted:
    state = step.state
    return ev.CompactionStarted(
        compaction_id=f"c_{state.seq + 1}",
        trigger=trigger,
        cut_origin=cut_origin,
        tokens_before=tokens_before,
        blocking=blocking,
        instructions=instructions,
        model=budget.model_of(state, step.env.limits),
    )


def _supersede(step: Step) -> None:
    running = step.state.compaction
    if running is not None:
        end(step, running, ev.CompactionEnd.SUPERSEDED, "another compaction took its place")


def _first(*, blocking: bool) -> ev.Rung:
    """Return the rung to begin with: there is no time for a model when a request waits."""
    return ev.Rung.DIGEST if blocking else ev.Rung.ON_DEMAND


# -- by itself -------------------------------------------------------------------------------------


def start_in_background(step: Step) -> None:
    """From the soft mark on, in tokens or bytes, prepare a compaction beside the session."""
    state, limits = step.state, step.env.limits
    if (
        state.compaction is not None
        or state.compaction_held
        or (state.pause is not None and state.pause.reason in {INTERRUPTED, NO_ROOM})
        or len(state.messages) - state.compaction_tried_at < GROWTH_MIN
    ):
        return
    soft = budget.marks(limits).soft
    context = budget.context_tokens(state, limits)
    heavy = budget.is_heavy(state, limits, step.body_bytes)
    if (context < soft and not heavy) or _is_latched(state, limits, context, GROWTH_SHARE):
        return
    if state.turn is None:
        _make_sound(step)  # In a turn each request has done that.
    thrashes = state.latch is None and _is_thrashing(state, soft)
    if thrashes or not start(step, "auto", blocking=False, context=context):
        _say_pointless(step, context)


def make_room(step: Step) -> bool:
    """Above the hard mark, make the next request smaller, or let it wait until it is.

    Says whether the request must wait. The local digest needs no model and takes milliseconds.
    """
    state, limits = step.state, step.env.limits
    context = budget.context_tokens(state, limits)
    hard = budget.marks(limits).hard
    if context < hard:
        return False
    over = budget.is_over_window(state, limits, context)
    if not _is_in_vain(state, limits, context, over=over):
        _make_sound(step)
        thrashes = not over and state.latch is None and _is_thrashing(state, hard)
        if not thrashes and start(step, "auto", blocking=True, context=context):
            return state.phase is Phase.COMPACTING
        _say_pointless(step, context)
    insisted = state.turn is not None and state.turn.insisted
    if not over or insisted:
        return False
    pause_for_room(step)
    return True


def _make_sound(step: Step) -> None:
    """Mend the history before it is cut: a cut is only legal in a history that is."""
    recast(step)
    soundness.ensure(step)


def _is_in_vain(state: SessionState, limits: inp.Limits, context: int, *, over: bool) -> bool:
    """Whether a compaction that a request waits for was tried, and little is different now."""
    latch = state.latch
    if latch is not None and latch.messages == len(state.messages):
        return True
    return not over and _is_latched(state, limits, context, URGENT_SHARE)


def _is_latched(state: SessionState, limits: inp.Limits, context: int, share: int) -> bool:
    latch = state.latch
    if latch is None or latch.model != budget.model_of(state, limits):
        return False
    return context < latch.tokens + limits.window_tokens // share


def _is_thrashing(state: SessionState, mark: int) -> bool:
    """Whether two compactions in a row have really left more than the mark (B04).

    It is said once, which sets the latch; when that is over there is another try.
    """
    last = state.compactions[-2:]
    return len(last) == 2 and all(c.measured is not None and c.measured >= mark for c in last)


def _say_pointless(step: Step, context: int) -> None:
    """Record that a compaction would remove nothing, and what there is; then it is held."""
    state = step.state
    if state.compaction is not None or not state.messages:
        return
    started = _started(step, "auto", state.messages[-1].origin, context, blocking=False)
    step.emit(started)
    running = running_of(state, started.compaction_id)
    if running is not None:
        end_pointless(step, running)


# -- people and restarts ---------------------------------------------------------------------------


def asked(step: Step, given: inp.CompactAsked) -> None:
    """A person asks for a compaction; a turn under way goes on (B17)."""
    if step.state.turn is None:
        _make_sound(step)
    start(step, "manual", blocking=False, instructions=given.instructions)


def cancelled(step: Step, _given: inp.CancelCompaction) -> None:
    """Cancel at once; the view is as it was. A turn that cannot go on without is paused."""
    running = step.state.compaction
    if running is None:
        return
    end(step, running, ev.CompactionEnd.CANCELLED, "cancelled by the user")
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
        end(step, running, ev.CompactionEnd.CANCELLED, "the turn was stopped")


def prepare_again(step: Step) -> None:
    """After a restart, prepare anew what was not ready; tries that failed stay counted."""
    running = step.state.compaction
    if running is not None and running.summary is None:
        first = _first(blocking=running.started.blocking)
        step.want(inp.PrepareCompaction(running.started.compaction_id, first))
