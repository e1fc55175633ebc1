"""The event vocabulary of a session: what the journal holds and what clients see.

Law: everything a session is, is a fold over these events. An event says what happened, never what
to do. Content blocks travel as raw JSON and keep their bytes. A type, once released, is never
renamed and never loses a field; new fields have defaults; a changed meaning is a new `version`
with an upcaster in `journal/codec.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from holdfast.session.events.base import (
    Event,
    RawBlocks,
    block_data,
    blocks_of,
    raw_blocks,
    tag,
)
from holdfast.session.events.compactions import (
    CompactionChunkSummarised,
    CompactionCommitted,
    CompactionEnd,
    CompactionEnded,
    CompactionMeasured,
    CompactionPrepared,
    CompactionRecast,
    CompactionRedone,
    CompactionRungFailed,
    CompactionStarted,
    CompactionUndone,
    Rung,
)
from holdfast.session.events.responses import (
    BlockDelta,
    BlockFinished,
    BlockStarted,
    CutCause,
    DurationCapLearned,
    ProbeFailed,
    RequestFailed,
    RequestStarted,
    ResponseCut,
    ResponseFinished,
    ResponseStarted,
    RetryScheduled,
    TurnPaused,
    TurnResumed,
    Usage,
)
from holdfast.session.events.sessions import (
    DiagnosisRecorded,
    EndpointSelected,
    HistoryImported,
    HistoryRepaired,
    HistoryRewound,
    MessageEdit,
    MessageImported,
    ModelSelected,
    RepairCause,
    RepairNote,
    RepairUndone,
    SessionArchived,
    SessionCreated,
    SessionRecovered,
    SessionRenamed,
)
from holdfast.session.events.tools import (
    CommandEvidence,
    FileEvidence,
    QuestionAnswered,
    QuestionAsked,
    TodoItem,
    TodosUpdated,
    ToolAuthorised,
    ToolFinished,
    ToolOutcome,
    ToolStarted,
)
from holdfast.session.events.turns import (
    PromptAccepted,
    StopRequested,
    TurnEnd,
    TurnEnded,
    TurnStarted,
)

AnyEvent: TypeAlias = (
    SessionCreated
    | SessionRenamed
    | SessionArchived
    | ModelSelected
    | EndpointSelected
    | SessionRecovered
    | DiagnosisRecorded
    | HistoryImported
    | MessageImported
    | HistoryRepaired
    | RepairUndone
    | HistoryRewound
    | PromptAccepted
    | TurnStarted
    | TurnEnded
    | StopRequested
    | RequestStarted
    | ResponseStarted
    | BlockStarted
    | BlockDelta
    | BlockFinished
    | ResponseFinished
    | ResponseCut
    | RequestFailed
    | DurationCapLearned
    | RetryScheduled
    | TurnPaused
    | ProbeFailed
    | TurnResumed
    | ToolAuthorised
    | QuestionAsked
    | QuestionAnswered
    | ToolStarted
    | ToolFinished
    | TodosUpdated
    | CompactionStarted
    | CompactionRungFailed
    | CompactionPrepared
    | CompactionCommitted
    | CompactionEnded
    | CompactionUndone
    | CompactionChunkSummarised
    | CompactionRedone
    | CompactionRecast
    | CompactionMeasured
)

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {
    tag(kind.__name__): kind for kind in AnyEvent.__args__
}


def type_of(event: Event) -> str:
    """Return the event's type as it is written in the journal and on the wire."""
    return tag(type(event).__name__)


__all__ = [
    "EVENT_TYPES",
    "AnyEvent",
    "BlockDelta",
    "BlockFinished",
    "BlockStarted",
    "CommandEvidence",
    "CompactionChunkSummarised",
    "CompactionCommitted",
    "CompactionEnd",
    "CompactionEnded",
    "CompactionMeasured",
    "CompactionPrepared",
    "CompactionRecast",
    "CompactionRedone",
    "CompactionRungFailed",
    "CompactionStarted",
    "CompactionUndone",
    "CutCause",
    "DiagnosisRecorded",
    "DurationCapLearned",
    "EndpointSelected",
    "Event",
    "FileEvidence",
    "HistoryImported",
    "HistoryRepaired",
    "HistoryRewound",
    "MessageEdit",
    "MessageImported",
    "ModelSelected",
    "ProbeFailed",
    "PromptAccepted",
    "QuestionAnswered",
    "QuestionAsked",
    "RawBlocks",
    "RepairCause",
    "RepairNote",
    "RepairUndone",
    "RequestFailed",
    "RequestStarted",
    "ResponseCut",
    "ResponseFinished",
    "ResponseStarted",
    "RetryScheduled",
    "Rung",
    "SessionArchived",
    "SessionCreated",
    "SessionRecovered",
    "SessionRenamed",
    "StopRequested",
    "TodoItem",
    "TodosUpdated",
    "ToolAuthorised",
    "ToolFinished",
    "ToolOutcome",
    "ToolStarted",
    "TurnEnd",
    "TurnEnded",
    "TurnPaused",
    "TurnResumed",
    "TurnStarted",
    "Usage",
    "block_data",
    "blocks_of",
    "raw_blocks",
    "type_of",
]
