"""The fold from events to items and changes.

Law: total, deterministic, without clock. The same events give the same items, in batches of any
size; and what a client holds, changed by the changes of a batch, is what the list holds after it.
A follower folds the journal once and then goes on by events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote

from holdfast.session import events as ev
from holdfast.session.inputs import Recorded
from holdfast.session.items import compactions, history, notices, prompts, responses, tools
from holdfast.session.items.shapes import Change, Item
from holdfast.session.items.state import ItemsState


class Items:
    """A session as items, up to the event `seq`."""

    def __init__(self, session_id: str, state: ItemsState | None = None) -> None:
        """Begin before the first event. `session_id` is what the notices' actions name."""
        self._state = ItemsState(session_id) if state is None else state

    @property
    def seq(self) -> int:
        """The number of the newest event that is folded in."""
        return self._state.seq

    def copy(self) -> Items:
        """Return an independent copy."""
        return Items(self._state.session_id, self._state.copy())

    def fold(self, records: Iterable[Recorded]) -> None:
        """Fold in events; those that are folded in already change nothing."""
        state = self._state
        for record in records:
            if record.seq <= state.seq:
                continue
            state.seq = record.seq
            handler = _HANDLERS.get(type(record.event))
            if handler is not None:
                handler(state, record.event, record.seq, record.at_ms)

    def page(self, limit: int, before: str | None = None) -> tuple[list[Item], bool]:
        """Return the newest `limit` items, or those before an item, and whether there are more."""
        return self._state.items.page(limit, before)

    def take_changes(self) -> list[Change]:
        """Return what has changed since the last time, and begin anew."""
        return self._state.items.take_changes()

    def forget_changes(self) -> None:
        """Begin anew: what there is now is known."""
        self._state.items.forget_changes()


def _created(state: ItemsState, event: ev.SessionCreated, _seq: int, _at: int) -> None:
    uri = event.workspace_uri or ""
    state.folder = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else ""


def _request_failed(state: ItemsState, event: ev.RequestFailed, seq: int, at_ms: int) -> None:
    responses.close(state, "cut", at_ms)
    notices.request_failed(state, event, seq, at_ms)


def _turn_ended(state: ItemsState, event: ev.TurnEnded, seq: int, at_ms: int) -> None:
    responses.close(state, "cut", at_ms)
    prompts.turn_ended(state, event, seq, at_ms)


def _rewound(state: ItemsState, event: ev.HistoryRewound, seq: int, at_ms: int) -> None:
    responses.close(state, "cut", at_ms)
    prompts.rewound(state, event, seq, at_ms)


_HANDLERS: Final[dict[type[ev.Event], Callable[[ItemsState, Any, int, int], None]]] = {
    ev.SessionCreated: _created,
    ev.ModelSelected: notices.model_selected,
    ev.EndpointSelected: notices.endpoint_selected,
    ev.SessionRecovered: notices.recovered,
    ev.DiagnosisRecorded: notices.diagnosed,
    ev.DurationCapLearned: notices.cap_learned,
    ev.HistoryImported: notices.imported,
    ev.MessageImported: history.message_imported,
    ev.HistoryRepaired: notices.repaired,
    ev.RepairUndone: notices.repair_undone,
    ev.HistoryRewound: _rewound,
    ev.PromptAccepted: prompts.accepted,
    ev.TurnStarted: prompts.turn_started,
    ev.TurnEnded: _turn_ended,
    ev.RequestStarted: responses.request_started,
    ev.ResponseStarted: responses.response_started,
    ev.BlockStarted: responses.block_started,
    ev.BlockDelta: responses.block_delta,
    ev.BlockFinished: responses.block_finished,
    ev.ResponseFinished: responses.response_finished,
    ev.ResponseCut: responses.response_cut,
    ev.RequestFailed: _request_failed,
    ev.RetryScheduled: notices.retry,
    ev.TurnPaused: notices.paused,
    ev.TurnResumed: notices.resumed,
    ev.ToolAuthorised: tools.authorised,
    ev.QuestionAsked: tools.asked,
    ev.QuestionAnswered: tools.answered,
    ev.ToolStarted: tools.started,
    ev.ToolFinished: tools.finished,
    ev.CompactionStarted: compactions.started,
    ev.CompactionRungFailed: compactions.rung_failed,
    ev.CompactionPrepared: compactions.prepared,
    ev.CompactionCommitted: compactions.committed,
    ev.CompactionEnded: compactions.ended,
    ev.CompactionUndone: compactions.undone,
    ev.CompactionRedone: compactions.redone,
    ev.CompactionRecast: compactions.recast,
    ev.CompactionMeasured: compactions.measured,
}
"""Events without a row (names, stop requests, task lists, chunks) are shown by the session."""
