"""What people are told of compactions, in plain words.

Law: one notice for each compaction that came into force, with how it came about behind a click;
only the newest in force offers to be undone, and what was undone last to be put back. A compaction
that changed nothing is told when it says something that a person can act on.
"""

from __future__ import annotations

from typing import Final

from holdfast.session import events as ev
from holdfast.session.items import titles
from holdfast.session.items.notices import action, put
from holdfast.session.items.shapes import NoticeItem
from holdfast.session.items.state import Compaction, ItemsState

_SHOW: Final = "holdfast.session.compactionText"
_NO_SUMMARY: Final = " The model gave no summary, so a local digest is used."
_SAYS: Final = {
    ev.Rung.CLEARED: "Long outputs of tools are shortened in what the model sees",
    ev.Rung.ON_DEMAND: "The conversation up to here was compacted by the API",
    ev.Rung.CHUNKS: "The conversation up to here was compacted for the model, part by part",
}
_COMPACTED: Final = "The conversation up to here was compacted for the model"
_RECAST: Final = {
    "model": "The model that answers next does not take the API's own compaction: the text of it "
    "is sent instead.",
    "refused": "The API refused its own compaction: the text of it is sent instead.",
}


def started(state: ItemsState, event: ev.CompactionStarted, _seq: int, _at: int) -> None:
    """Remember what a compaction begins with."""
    state.compactions[event.compaction_id] = Compaction(event)


def rung_failed(state: ItemsState, event: ev.CompactionRungFailed, _seq: int, _at: int) -> None:
    """Remember what went wrong on the way."""
    known = state.compactions.get(event.compaction_id)
    if known is not None:
        words = f"{event.rung.value}, attempt {event.attempt}: {event.reason} {event.detail}"
        failures = (*known.failures, words.strip())
        state.compactions[event.compaction_id] = Compaction(known.started, known.prepared, failures)


def prepared(state: ItemsState, event: ev.CompactionPrepared, _seq: int, _at: int) -> None:
    """Remember what will stand for what is covered."""
    known = state.compactions.get(event.compaction_id)
    if known is not None:
        state.compactions[event.compaction_id] = Compaction(known.started, event, known.failures)


def committed(state: ItemsState, event: ev.CompactionCommitted, seq: int, at_ms: int) -> None:
    """Show that a summary stands for what came before."""
    known = state.compactions.pop(event.compaction_id, None)
    if known is None or known.prepared is None:
        return
    made = known.prepared
    words = (
        f"{_SAYS.get(made.rung, _COMPACTED)}: about {known.started.tokens_before:,} tokens became "
        f"{made.tokens_after:,}. Nothing is deleted."
    )
    if made.rung in {ev.Rung.DIGEST, ev.Rung.FLOOR} and known.failures:
        words += _NO_SUMMARY
    detail = "\n\n".join((*known.failures, made.summary))
    item_id = put(state, seq, at_ms, "compacted", "info", words, detail)
    state.in_force.append((event.compaction_id, item_id))
    _offer_redo(state, None)
    _offer_undo(state)


def ended(state: ItemsState, event: ev.CompactionEnded, seq: int, at_ms: int) -> None:
    """Say when nothing could be removed; other ends change nothing that a person sees."""
    state.compactions.pop(event.compaction_id, None)
    if event.outcome is ev.CompactionEnd.POINTLESS:
        words = (
            "Compacting would free no room now, so it is not tried again by itself until the "
            f"conversation has grown. {event.detail}"
        )
        put(state, seq, at_ms, "compactionPointless", "warning", words.strip())


def undone(state: ItemsState, event: ev.CompactionUndone, seq: int, at_ms: int) -> None:
    """Show that what a compaction covered is sent again."""
    for compaction_id, item_id in state.in_force:
        notice = state.items.get(item_id, NoticeItem)
        if compaction_id == event.compaction_id and notice is not None:
            state.change(notice, actions=())
    state.in_force = [found for found in state.in_force if found[0] != event.compaction_id]
    below = " up to the compaction before it" if state.in_force else ""
    words = f"The compaction was undone. The model sees the whole conversation again{below}."
    item_id = put(state, seq, at_ms, "compactionUndone", "info", words)
    _offer_redo(state, (event.compaction_id, item_id))
    _offer_undo(state)


def redone(state: ItemsState, event: ev.CompactionRedone, seq: int, at_ms: int) -> None:
    """Show that a compaction is in force again."""
    for compaction_id, item_id in state.undone:
        notice = state.items.get(item_id, NoticeItem)
        if compaction_id == event.compaction_id and notice is not None:
            state.change(notice, actions=())
    state.undone = [found for found in state.undone if found[0] != event.compaction_id]
    words = "The compaction was put back. The model sees its summary again."
    item_id = put(state, seq, at_ms, "compactionRedone", "info", words)
    state.in_force.append((event.compaction_id, item_id))
    _show_redo(state)
    _offer_undo(state)


def recast(state: ItemsState, event: ev.CompactionRecast, seq: int, at_ms: int) -> None:
    """Show that the text of a compaction takes the place of its signed block."""
    words = _RECAST.get(event.reason, _RECAST["refused"])
    put(state, seq, at_ms, "compactionRecast", "info", words, event.detail)


def measured(state: ItemsState, event: ev.CompactionMeasured, _seq: int, _at: int) -> None:
    """Add to a compaction what the API counted after it."""
    for compaction_id, item_id in state.in_force:
        notice = state.items.get(item_id, NoticeItem)
        if compaction_id == event.compaction_id and notice is not None:
            told = f"The API counted {event.tokens:,} tokens for the request after it."
            detail = titles.shown_detail(f"{told}\n\n{notice.detail}".strip())
            state.change(notice, detail=detail)


def forget_removed(state: ItemsState) -> None:
    """Forget what belonged to items that a rewind removed."""
    state.in_force = [found for found in state.in_force if found[1] in state.items]
    state.undone = [found for found in state.undone if found[1] in state.items]
    _offer_undo(state)


def _offer_undo(state: ItemsState) -> None:
    for place, (compaction_id, item_id) in enumerate(state.in_force, start=1):
        notice = state.items.get(item_id, NoticeItem)
        if notice is None:
            continue
        show = action(state, "Show", _SHOW, compactionId=compaction_id, part="covered")
        undo = action(state, "Undo", "holdfast.session.undoCompaction")
        offered = (undo, show) if place == len(state.in_force) else (show,)
        if len(notice.actions) != len(offered):
            state.change(notice, actions=offered)


def _offer_redo(state: ItemsState, newest: tuple[str, str] | None) -> None:
    """Add what was undone last; None after a new compaction, when nothing can be redone."""
    if newest is None:
        for _, item_id in state.undone:
            notice = state.items.get(item_id, NoticeItem)
            if notice is not None:
                state.change(notice, actions=())
        state.undone = []
    else:
        state.undone = [*state.undone, newest]
        _show_redo(state)


def _show_redo(state: ItemsState) -> None:
    for place, (_, item_id) in enumerate(state.undone, start=1):
        notice = state.items.get(item_id, NoticeItem)
        newest = place == len(state.undone)
        if notice is not None and bool(notice.actions) is not newest:
            redo = action(state, "Redo", "holdfast.session.redoCompaction")
            state.change(notice, actions=(redo,) if newest else ())
