"""The event vocabulary of a session: what the journal holds and what clients see.

Law: everything a session is, is a fold over these events. An event says what happened, never what
to do. Content blocks travel as raw JSON and keep their bytes. A type, once released, is never
renamed and never loses a field; new fields have defaults; a changed meaning is a new `version`
with an upcaster in `journal/codec.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, TypeAlias

import msgspec

from holdfast.conversation.history import Block, Role
from holdfast.session.failures import Failure

RawBlocks: TypeAlias = tuple[msgspec.Raw, ...]


def _tag(name: str) -> str:
    return name[0].lower() + name[1:]


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=_tag,
    rename="camel",
    omit_defaults=True,
):
    """Base of all events. `LAZY` events need not be on disk before the next step is taken."""

    VERSION: ClassVar[int] = 1
    LAZY: ClassVar[bool] = False


class ToolOutcome(StrEnum):
    """How a tool call ended. The last three are told to the model in those words (P6)."""

    FINISHED = "finished"
    REFUSED = "refused"
    NOT_STARTED = "notStarted"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


class TurnEnd(StrEnum):
    """Why a turn ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


class CutCause(StrEnum):
    """Why a response ended before it was complete."""

    FAILURE = "failure"
    STOPPED = "stopped"
    RESTART = "restart"


class Rung(StrEnum):
    """A step of the compaction ladder."""

    SUMMARY = "summary"
    DIGEST = "digest"


class CompactionEnd(StrEnum):
    """How a compaction ended that was not committed."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    POINTLESS = "pointless"


# -- the session ---------------------------------------------------------------------------------


class SessionCreated(Event, frozen=True):
    """A session began. `parent_id` is set for forks.

    `system` is the system prompt of all its requests; it is fixed here, because thinking blocks
    are bound to it (R72).
    """

    title: str
    system: str = ""
    workspace_uri: str | None = None
    model: str | None = None
    parent_id: str | None = None


class SessionRenamed(Event, frozen=True):
    """A person gave the session a title."""

    title: str


class SessionArchived(Event, frozen=True):
    """A session was archived (hidden from lists) or brought back."""

    archived: bool


class ModelSelected(Event, frozen=True):
    """Later requests go to `model`; None means the setting's default."""

    model: str | None


class SessionRecovered(Event, frozen=True):
    """A new owner opened a session whose owner had gone while it was in `phase`."""

    phase: str
    generation: int


# -- history from elsewhere, repairs, rewinds ----------------------------------------------------


class HistoryImported(Event, frozen=True):
    """The messages that follow come from a foreign transcript or from a parent session."""

    source: str
    format: str
    notes: tuple[str, ...] = ()


class MessageImported(Event, frozen=True):
    """One message of an imported history."""

    role: Role
    content: RawBlocks


class MessageEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """In the view, the messages of the record `origin` are replaced by `messages`."""

    origin: str
    messages: tuple[tuple[Role, RawBlocks], ...]


class RepairNote(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one repair step did: rule, place, action, what was kept."""

    rule: str
    origin: str
    action: str
    kept: str


class HistoryRepaired(Event, frozen=True):
    """The view was repaired once and for all; the original records stay (P4)."""

    repair_id: str
    notes: tuple[RepairNote, ...]
    edits: tuple[MessageEdit, ...]


class RepairUndone(Event, frozen=True):
    """A repair was taken back."""

    repair_id: str


class HistoryRewound(Event, frozen=True):
    """The view ends before the prompt `prompt_id`; everything after it is hidden, not deleted."""

    prompt_id: str


# -- prompts and turns ---------------------------------------------------------------------------


class PromptAccepted(Event, frozen=True):
    """A prompt is durable and will be answered. `prompt_id` is the client's; it is taken once."""

    prompt_id: str
    turn_id: str
    content: RawBlocks


class TurnStarted(Event, frozen=True):
    """A prompt left the queue and became part of the history."""

    turn_id: str
    prompt_id: str


class TurnEnded(Event, frozen=True):
    """A turn is over. Every turn that started has exactly one of these."""

    turn_id: str
    reason: TurnEnd


class StopRequested(Event, frozen=True):
    """A person stopped the turn. The local state obeys at once, whatever the socket does (P7)."""

    turn_id: str


# -- one request and its response ----------------------------------------------------------------


class RequestStarted(Event, frozen=True):
    """A request is about to be sent. `attempt` counts from 1 since the last progress."""

    turn_id: str
    attempt: int
    model: str


class ResponseStarted(Event, frozen=True):
    """The API accepted the request. `input_tokens` is the whole prompt's count."""

    LAZY: ClassVar[bool] = True
    message_id: str
    model: str
    input_tokens: int
    request_id: str | None = None


class BlockStarted(Event, frozen=True):
    """A block of the response began."""

    LAZY: ClassVar[bool] = True
    index: int
    kind: str
    name: str = ""


class BlockDelta(Event, frozen=True):
    """More of a block. Many deltas of the stream may be joined in one."""

    LAZY: ClassVar[bool] = True
    index: int
    kind: Literal["text", "thinking", "toolInput"]
    text: str


class BlockFinished(Event, frozen=True):
    """A block is complete, as assembled from the raw stream."""

    LAZY: ClassVar[bool] = True
    index: int
    block: msgspec.Raw


class Usage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Token counts of one response, as the API reported them."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    @property
    def context_tokens(self) -> int:
        """All tokens that were in the window when the response ended."""
        return (
            self.input_tokens
            + self.cache_creation_input_tokens
            + self.cache_read_input_tokens
            + self.output_tokens
        )


class ResponseFinished(Event, frozen=True):
    """The response is complete; its blocks are now part of the history."""

    message_id: str
    stop_reason: str
    usage: Usage = Usage()
    detail: str = ""


class ResponseCut(Event, frozen=True):
    """The response ended early. Text that arrived is kept; open tool input is never executed."""

    cause: CutCause
    detail: str = ""


class RequestFailed(Event, frozen=True):
    """A request failed; the server's own words are in `failure` (P12)."""

    turn_id: str
    attempt: int
    failure: Failure


class RetryScheduled(Event, frozen=True):
    """The same request will be sent again at `retry_at_ms` (wall clock)."""

    attempt: int
    retry_at_ms: int
    reason: str


class TurnPaused(Event, frozen=True):
    """The turn waits for its cause to go away. `retry_at_ms`: when it tries again by itself."""

    reason: str
    message: str
    advice: str
    retry_at_ms: int | None = None


class TurnResumed(Event, frozen=True):
    """A paused or waiting turn goes on."""

    by: Literal["user", "timer", "probe"]


# -- tools ---------------------------------------------------------------------------------------


class ToolAuthorised(Event, frozen=True):
    """A call may run. `by` says why: a rule of the settings, the session, or a person."""

    tool_use_id: str
    by: str
    mutates: bool


class QuestionAsked(Event, frozen=True):
    """A person is asked whether a call may run. Stays open until it is answered or stopped."""

    question_id: str
    tool_use_id: str
    tool: str
    title: str
    detail: str
    pattern: str


class QuestionAnswered(Event, frozen=True):
    """A question got its one answer."""

    question_id: str
    answer: Literal["allow", "allowAlways", "deny"]


class ToolStarted(Event, frozen=True):
    """Write-ahead: the call is about to run (C10). Without a `ToolFinished` its outcome is
    unknown.
    """

    tool_use_id: str
    name: str
    mutates: bool


class ToolFinished(Event, frozen=True):
    """A call has its result. `content` are the blocks of the `tool_result`."""

    tool_use_id: str
    outcome: ToolOutcome
    content: RawBlocks
    is_error: bool = False
    summary: str = ""


class TodoItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One item of the session's task list."""

    text: str
    status: str


class TodosUpdated(Event, frozen=True):
    """The task list was replaced."""

    todos: tuple[TodoItem, ...]


# -- compaction ----------------------------------------------------------------------------------


class CompactionStarted(Event, frozen=True):
    """A compaction of everything before the record `cut_origin` began.

    `blocking` is set when no request fits before it is done. Token counts are estimates.
    """

    compaction_id: str
    trigger: Literal["auto", "manual", "overflow"]
    cut_origin: str
    tokens_before: int
    blocking: bool = False
    instructions: str = ""


class CompactionRungFailed(Event, frozen=True):
    """A rung of the ladder did not hold; the next one is taken."""

    compaction_id: str
    rung: Rung
    attempt: int
    reason: str
    detail: str = ""


class CompactionPrepared(Event, frozen=True):
    """A summary that passed the acceptance bar; it is committed between two requests."""

    compaction_id: str
    rung: Rung
    summary: str
    tokens_after: int


class CompactionCommitted(Event, frozen=True):
    """The prepared summary now stands for what it covers. The records stay (P4)."""

    compaction_id: str


class CompactionEnded(Event, frozen=True):
    """A compaction ended without changing the view."""

    compaction_id: str
    outcome: CompactionEnd
    detail: str = ""


class CompactionUndone(Event, frozen=True):
    """A committed compaction was taken back; the view before it is in force again."""

    compaction_id: str


AnyEvent: TypeAlias = (
    SessionCreated
    | SessionRenamed
    | SessionArchived
    | ModelSelected
    | SessionRecovered
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
    | RetryScheduled
    | TurnPaused
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
)

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {
    _tag(kind.__name__): kind for kind in AnyEvent.__args__
}


def type_of(event: Event) -> str:
    """Return the event's type as it is written in the journal and on the wire."""
    return _tag(type(event).__name__)


def raw_blocks(blocks: Iterable[Block]) -> RawBlocks:
    """Wrap blocks for an event; their bytes are spliced, not encoded again."""
    return tuple(msgspec.Raw(block.raw.encode()) for block in blocks)


def blocks_of(content: Iterable[msgspec.Raw]) -> tuple[Block, ...]:
    """Return an event's content as blocks, with the bytes that were stored."""
    return tuple(Block(bytes(raw).decode()) for raw in content)


def block_data(content: Iterable[msgspec.Raw]) -> list[Any]:
    """Return an event's content as plain data."""
    return [dict(block.data) for block in blocks_of(content)]
