"""The fold: how each event changes the state.

Law: `apply` is total and deterministic. The same events give the same state, whoever folds them
and how often; an event that its phase does not allow changes nothing and is counted. Nothing is
decided here: what an event means for the wire history is fixed by the event alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from holdfast.session import events as ev
from holdfast.session.fold import compactions, history, responses, sessions, tools, turns
from holdfast.session.phases import ALLOWED
from holdfast.session.state import SessionState


def fold(events: Iterable[tuple[int, int, ev.Event]]) -> SessionState:
    """Fold `(seq, at_ms, event)` triples into a state."""
    state = SessionState()
    for seq, at_ms, event in events:
        apply(state, event, seq, at_ms)
    return state


def apply(state: SessionState, event: ev.Event, seq: int, at_ms: int) -> None:
    """Change `state` by one event. `seq` is its journal number, `at_ms` its wall-clock time."""
    state.seq = seq
    state.updated_at_ms = at_ms
    allowed = ALLOWED.get(type(event))
    if allowed is not None and state.phase not in allowed:
        state.ignored_events += 1
        return
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(state, event, seq, at_ms)


_HANDLERS: Final[dict[type[ev.Event], Callable[[SessionState, Any, int, int], None]]] = {
    ev.SessionCreated: sessions.created,
    ev.SessionRenamed: sessions.renamed,
    ev.SessionArchived: sessions.archived,
    ev.ModelSelected: sessions.model_selected,
    ev.EndpointSelected: sessions.endpoint_selected,
    ev.MessageImported: history.imported,
    ev.HistoryRepaired: history.repaired,
    ev.RepairUndone: history.repair_undone,
    ev.HistoryRewound: history.rewound,
    ev.PromptAccepted: turns.prompt_accepted,
    ev.TurnStarted: turns.turn_started,
    ev.TurnEnded: turns.turn_ended,
    ev.RequestStarted: responses.request,
    ev.ResponseStarted: responses.response_started,
    ev.BlockStarted: responses.block_started,
    ev.BlockDelta: responses.block_delta,
    ev.BlockFinished: responses.block_finished,
    ev.ResponseFinished: responses.response_finished,
    ev.ResponseCut: responses.response_cut,
    ev.RequestFailed: responses.request_failed,
    ev.DurationCapLearned: responses.cap_learned,
    ev.RetryScheduled: responses.retry,
    ev.TurnPaused: responses.paused,
    ev.ProbeFailed: responses.probe_failed,
    ev.TurnResumed: responses.resumed,
    ev.ToolAuthorised: tools.authorised,
    ev.QuestionAsked: tools.asked,
    ev.QuestionAnswered: tools.answered,
    ev.ToolStarted: tools.tool_started,
    ev.ToolFinished: tools.tool_finished,
    ev.TodosUpdated: tools.todos,
    ev.CompactionStarted: compactions.compaction_started,
    ev.CompactionPrepared: compactions.compaction_prepared,
    ev.CompactionCommitted: compactions.compaction_committed,
    ev.CompactionEnded: compactions.compaction_ended,
    ev.CompactionUndone: compactions.compaction_undone,
    ev.CompactionChunkSummarised: compactions.chunk_summarised,
    ev.CompactionRungFailed: compactions.rung_failed,
    ev.CompactionRedone: compactions.compaction_redone,
    ev.CompactionRecast: compactions.compaction_recast,
    ev.CompactionMeasured: compactions.compaction_measured,
}
"""Events without a row (recovery notes, stop requests) are facts for people."""
