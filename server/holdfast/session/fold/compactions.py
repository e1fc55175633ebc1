"""How compactions come into force, are taken back and put back, and what their failures teach.

Law: undoing restores what was sent before, redoing what was sent after. Thinking is only sent again
where nothing was made meanwhile that is bound to the other view (R72).
"""

from __future__ import annotations

from typing import Final

import attrs

from holdfast.conversation.history import Block, Message
from holdfast.conversation.profile import THINKING_BLOCKS
from holdfast.session import events as ev
from holdfast.session.failures import FailureKind
from holdfast.session.fold import history, responses
from holdfast.session.origins import index_of, last_index_of
from holdfast.session.state import (
    UNSUPPORTED,
    Compaction,
    Latch,
    Learned,
    RunningCompaction,
    SessionState,
    Undone,
)

SUMMARY_TOKENS_MIN: Final = 4_000
"""No limit of one request for a summary is learned below this."""

_TOO_MUCH: Final = frozenset(
    kind.value
    for kind in (
        FailureKind.TIMEOUT,
        FailureKind.STALLED,
        FailureKind.CUT,
        FailureKind.TOO_LONG,
        FailureKind.TOO_LARGE,
    )
)
"""Reasons for which less is asked next time: a time limit on the way, or the size itself."""


def compaction_started(
    state: SessionState, event: ev.CompactionStarted, _seq: int, _at: int
) -> None:
    """Remember what is being compacted, and that it was tried at this length."""
    state.compaction = RunningCompaction(event, state.prefix_version)
    state.compaction_tried_at = len(state.messages)
    if event.trigger == "manual":
        state.compaction_held, state.latch = False, None
    if event.trigger == "overflow" and state.turn is not None:
        state.turn.reshapes += 1


def chunk_summarised(
    state: SessionState, event: ev.CompactionChunkSummarised, _seq: int, _at: int
) -> None:
    """Keep the summary of a chunk for every later try, of this compaction or another."""
    state.chunks[event.key] = event.summary
    if event.model:
        responses.spend(state, event.model, event.usage)


def rung_failed(state: SessionState, event: ev.CompactionRungFailed, _seq: int, _at: int) -> None:
    """Count the try, and learn how much is too much for one request (C06, B02)."""
    running = _running(state, event.compaction_id)
    if running is None:
        return
    running.failed[event.rung] = running.failed.get(event.rung, 0) + 1
    model = running.started.model or state.model or ""
    known = state.learned.get(model, Learned())
    if event.rung is ev.Rung.ON_DEMAND and event.reason == UNSUPPORTED:
        known = attrs.evolve(known, no_compaction=True)
    if event.reason in _TOO_MUCH and event.input_tokens:
        less = max(SUMMARY_TOKENS_MIN, event.input_tokens // 2)
        known = attrs.evolve(known, summary_tokens=min(known.summary_tokens or less, less))
    if known != state.learned.get(model, Learned()):
        state.learned[model] = known


def compaction_prepared(
    state: SessionState, event: ev.CompactionPrepared, _seq: int, _at: int
) -> None:
    """Keep the summary until it can be committed."""
    running = _running(state, event.compaction_id)
    if running is not None:
        running.rung, running.summary = event.rung, event.summary
        running.tokens_after = event.tokens_after
        running.block = None if event.block is None else Block(event.block)
        running.facts, running.cleared = event.facts, dict(event.cleared)
        running.model = event.model
    if event.model:
        responses.spend(state, event.model, event.usage)


def compaction_committed(
    state: SessionState, event: ev.CompactionCommitted, _seq: int, _at: int
) -> None:
    """Bring the prepared summary into force."""
    running = _running(state, event.compaction_id)
    if running is None or running.summary is None:
        return
    rung = running.rung or ev.Rung.SUMMARY
    keeps = running.block is not None and not _facts_are_dropped(state, running)
    state.compactions.append(
        Compaction(
            compaction_id=event.compaction_id,
            summary=running.summary,
            cut_origin=running.started.cut_origin,
            known_origin=_head(state),
            rung=rung,
            block=running.block,
            facts=running.facts,
            cleared=running.cleared,
            model=running.model,
            unbound_before=state.unbound_origin,
        )
    )
    state.compaction = None
    state.undone.clear()
    state.latch = None
    state.unmeasured = event.compaction_id
    if state.turn is not None:
        state.turn.answer_tokens = None  # There is more room now.
    history.prefix_changed(state)
    if rung is ev.Rung.ON_DEMAND and keeps:
        # The signed block stands for what was sent: thinking behind it stays valid (spec §6).
        state.unbound_origin = state.compactions[-1].unbound_before


def _facts_are_dropped(state: SessionState, running: RunningCompaction) -> bool:
    """Whether facts of the compaction before stood among what is kept: then that has changed."""
    before = state.in_force
    if before is None or not before.facts:
        return False
    cut = index_of(state.messages, running.started.cut_origin)
    return cut is None or last_index_of(state.messages, before.known_origin) >= cut


def compaction_ended(state: SessionState, event: ev.CompactionEnded, _seq: int, _at: int) -> None:
    """Forget a compaction that did not come into force."""
    running = _running(state, event.compaction_id)
    if running is None:
        return
    state.compaction = None
    if event.outcome is ev.CompactionEnd.CANCELLED:
        # After a cancel nothing starts by itself until a person asks for it (B16).
        state.compaction_held = True
    elif event.outcome is ev.CompactionEnd.POINTLESS:
        started = running.started
        state.latch = Latch(started.tokens_before, started.model, len(state.messages))


def compaction_undone(state: SessionState, event: ev.CompactionUndone, _seq: int, _at: int) -> None:
    """Go back to the view before a compaction."""
    found = next((c for c in state.compactions if c.compaction_id == event.compaction_id), None)
    state.compaction_held = True
    was_newest = found is not None and state.in_force is found
    state.compactions = [c for c in state.compactions if c is not found]
    unbound = state.unbound_origin
    history.prefix_changed(state)
    if found is None:
        return
    if was_newest:
        state.undone.append(Undone(found, unbound, _head(state)))
        if _nothing_bound_since(state, found.known_origin):
            state.unbound_origin = found.unbound_before


def compaction_redone(state: SessionState, event: ev.CompactionRedone, _seq: int, _at: int) -> None:
    """Put a compaction back that was taken back last."""
    found = state.undone[-1] if state.undone else None
    if found is None or found.compaction.compaction_id != event.compaction_id:
        return
    state.undone.pop()
    state.compactions.append(found.compaction)
    state.latch = None
    history.prefix_changed(state)
    if _nothing_bound_since(state, found.head):
        state.unbound_origin = found.unbound_origin


def compaction_recast(state: SessionState, event: ev.CompactionRecast, _seq: int, _at: int) -> None:
    """Send the text of a compaction instead of its signed block from now on."""
    for place, found in enumerate(state.compactions):
        if found.compaction_id == event.compaction_id and found.block is not None:
            state.compactions[place] = attrs.evolve(found, block=None)
            if event.reason == "refused" and found.model:
                known = state.learned.get(found.model, Learned())
                state.learned[found.model] = attrs.evolve(known, no_compaction=True)
            if state.turn is not None:
                state.turn.examining = False  # It is known what was wrong with the request.
            history.prefix_changed(state)


def compaction_measured(
    state: SessionState, event: ev.CompactionMeasured, _seq: int, _at: int
) -> None:
    """Know what a compaction has really brought."""
    state.compactions = [
        attrs.evolve(c, measured=event.tokens) if c.compaction_id == event.compaction_id else c
        for c in state.compactions
    ]


def _head(state: SessionState) -> str:
    return state.messages[-1].origin if state.messages else ""


def _nothing_bound_since(state: SessionState, origin: str) -> bool:
    """Whether no thinking came behind the record `origin`: nothing is bound to the other view."""
    last = last_index_of(state.messages, origin)
    return last >= 0 and not any(_thinks(message) for message in state.messages[last + 1 :])


def _thinks(message: Message) -> bool:
    return any(block.type in THINKING_BLOCKS for block in message.blocks)


def _running(state: SessionState, compaction_id: str) -> RunningCompaction | None:
    running = state.compaction
    return running if running and running.started.compaction_id == compaction_id else None
