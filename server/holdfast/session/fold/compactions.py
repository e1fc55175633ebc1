"""How compactions come into force and are taken back."""

from __future__ import annotations

from holdfast.session import events as ev
from holdfast.session.fold import history, responses
from holdfast.session.state import Compaction, RunningCompaction, SessionState


def compaction_started(
    state: SessionState, event: ev.CompactionStarted, _seq: int, _at: int
) -> None:
    """Remember what is being compacted, and that it was tried at this length."""
    state.compaction = RunningCompaction(event, state.prefix_version)
    state.compaction_tried_at = len(state.messages)
    if event.trigger == "manual":
        state.compaction_held = False
    if event.trigger == "overflow" and state.turn is not None:
        state.turn.reshapes += 1


def compaction_prepared(
    state: SessionState, event: ev.CompactionPrepared, _seq: int, _at: int
) -> None:
    """Keep the summary until it can be committed."""
    running = _running(state, event.compaction_id)
    if running is not None:
        running.rung, running.summary = event.rung, event.summary
        running.tokens_after = event.tokens_after
    if event.model:
        responses.spend(state, event.model, event.usage)


def compaction_committed(
    state: SessionState, event: ev.CompactionCommitted, _seq: int, _at: int
) -> None:
    """Bring the prepared summary into force."""
    running = _running(state, event.compaction_id)
    if running is None or running.summary is None:
        return
    state.compactions.append(
        Compaction(
            event.compaction_id,
            running.summary,
            running.started.cut_origin,
            state.messages[-1].origin if state.messages else "",
        )
    )
    state.compaction = None
    if state.turn is not None:
        state.turn.answer_tokens = None  # There is more room now.
    history.prefix_changed(state)


def compaction_ended(state: SessionState, event: ev.CompactionEnded, _seq: int, _at: int) -> None:
    """Forget a compaction that did not come into force."""
    if _running(state, event.compaction_id) is not None:
        state.compaction = None
        # After a cancel nothing starts by itself until a person asks for it (B16).
        state.compaction_held = event.outcome is ev.CompactionEnd.CANCELLED


def compaction_undone(state: SessionState, event: ev.CompactionUndone, _seq: int, _at: int) -> None:
    """Go back to the view before a compaction."""
    state.compactions = [c for c in state.compactions if c.compaction_id != event.compaction_id]
    state.compaction_held = True
    history.prefix_changed(state)


def _running(state: SessionState, compaction_id: str) -> RunningCompaction | None:
    running = state.compaction
    return running if running and running.started.compaction_id == compaction_id else None
