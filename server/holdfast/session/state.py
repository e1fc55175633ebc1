"""What a session is at one moment: the values that the fold keeps.

Law: this module holds data and questions about it, no rule of change. All change is in `fold.py`;
all decisions are in `lifecycle.py`. A tool call and its result are one value here, so that a call
without a result cannot be represented in a finished history (P2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import attrs

from holdfast.conversation.history import Block, Message
from holdfast.session.events import (
    CompactionStarted,
    FileEvidence,
    QuestionAsked,
    RepairNote,
    Rung,
    TodoItem,
    ToolOutcome,
    Usage,
)
from holdfast.session.failures import Failure
from holdfast.session.lifetimes import DurationCap


class Phase(StrEnum):
    """Where a session is. `lifecycle.RESTART` says what a restart does in each."""

    IDLE = "idle"
    QUEUED = "queued"
    COMPACTING = "compacting"
    REQUESTING = "requesting"
    STREAMING = "streaming"
    ASKING = "asking"
    RUNNING_TOOLS = "runningTools"
    REPAIRING = "repairing"
    WAITING = "waiting"
    PAUSED = "paused"


class CallState(StrEnum):
    """The life of one tool call."""

    REQUESTED = "requested"
    ASKED = "asked"
    AUTHORISED = "authorised"
    STARTED = "started"
    SETTLED = "settled"


@attrs.frozen
class Prompt:
    """A prompt that waits in the queue. Its last blocks show the files of `mentions`."""

    prompt_id: str
    turn_id: str
    blocks: tuple[Block, ...]
    mentions: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[Block, ...]:
        """What the person said, without the files."""
        return self.blocks[: len(self.blocks) - len(self.mentions)]


@attrs.define
class ToolCall:
    """One tool call of the latest assistant message, with its result when it has one."""

    tool_use_id: str
    name: str
    block: Block
    state: CallState = CallState.REQUESTED
    mutates: bool = True
    before: FileEvidence | None = None
    traced: bool = False
    outcome: ToolOutcome | None = None
    result: Block | None = None


@attrs.define
class Turn:
    """The turn under way.

    `attempts` counts failures since the last progress, `trouble_since_ms` is when they began.
    `reshapes` counts how often the request was made smaller after a refusal, `continuations` how
    often an answer that had reached a limit was continued.

    `refusals` counts how often the request itself was refused since the last progress;
    `examining` is whether it is being found out why; `repairs` are what was changed for it.
    `answer_tokens` is the room that the API said there is for the answer. `insisted`: a person
    wants the request sent although by our count it does not fit. `left` are the endpoints that were
    given up for another one. `probes` counts the looks at the endpoint since the last progress,
    `pieces` the parts of one answer that were asked for one by one (`pieces.py`).
    """

    turn_id: str
    prompt_id: str
    attempts: int = 0
    trouble_since_ms: int | None = None
    reshapes: int = 0
    continuations: int = 0
    failure: Failure | None = None
    refusals: int = 0
    examining: bool = False
    repairs: list[str] = attrs.Factory(list)
    answer_tokens: int | None = None
    insisted: bool = False
    left: list[str] = attrs.Factory(list)
    probes: int = 0
    pieces: int = 0


@attrs.define
class OpenResponse:
    """A response that is arriving. `texts` holds the text of open and closed text blocks."""

    prefix_version: int = 0
    model: str = ""
    started: bool = False
    message_id: str = ""
    blocks: dict[int, Block] = attrs.Factory(dict)
    texts: dict[int, list[str]] = attrs.Factory(dict)
    names: dict[int, str] = attrs.Factory(dict)

    def text_so_far(self) -> str:
        """Return all text that has arrived, in block order."""
        return "".join("".join(self.texts[index]) for index in sorted(self.texts))

    def tool_names(self) -> tuple[str, ...]:
        """Return the names of the tools whose calls had begun, closed or not."""
        return tuple(self.names[index] for index in sorted(self.names) if self.names[index])


@attrs.frozen
class Pause:
    """Why a turn is paused and what may be done.

    `retry_at_ms` is when it tries by itself whether it can go on; it waits for that since
    `since_ms`. `probe` is what stood in the way when it last tried.
    """

    reason: str
    message: str
    advice: str
    retry_at_ms: int | None
    since_ms: int
    probe: Failure | None = None


@attrs.frozen
class Wait:
    """A retry that is due at `retry_at_ms`; it is waited for since `since_ms`."""

    attempt: int
    retry_at_ms: int
    reason: str
    since_ms: int


@attrs.frozen
class Compaction:
    """A compaction that was committed: `summary` stands for all before the record `cut_origin`,
    or up to the record `known_origin`, the last when it was committed, if that is empty.

    An empty summary stands for nothing: only outputs are left out. `cleared` says of which calls,
    and how many bytes of each stay. A signed `block` is sent instead of the summary, and `facts`
    after the record `known_origin`. `model` made it, if one did. `measured` is what the API counted
    for the first request after it, in tokens. `unbound_before` is what `unbound_origin` was before.
    """

    compaction_id: str
    summary: str
    cut_origin: str
    known_origin: str
    rung: Rung = Rung.SUMMARY
    block: Block | None = None
    facts: str = ""
    cleared: Mapping[str, int] = attrs.field(factory=dict)
    model: str = ""
    measured: int | None = None
    unbound_before: str = ""

    @property
    def origin(self) -> str:
        """The origin of the message that the summary is in the view."""
        return f"compaction.{self.compaction_id}"

    @property
    def facts_origin(self) -> str:
        """The origin of the message that the facts behind a signed block are in the view."""
        return f"{self.origin}.facts"


@attrs.frozen
class Undone:
    """A compaction that was taken back, and what `unbound_origin` was while it was in force.

    That holds again when it is put back while `head` is still the newest record.
    """

    compaction: Compaction
    unbound_origin: str
    head: str


@attrs.frozen
class Latch:
    """An automatic compaction removed nothing, or would not: when the context had this many tokens,
    by this model's count, in a history of so many messages.
    """

    tokens: int
    model: str
    messages: int


@attrs.frozen
class Calibration:
    """What the API counted for messages against what was estimated for the same, in tokens."""

    counted: int = 0
    estimated: int = 0


@attrs.define
class RunningCompaction:
    """A compaction that is being prepared, or prepared and not yet committed. `prefix_version` is
    that of the history it was begun for. `failed` counts the tries of each rung that did not hold,
    before and after a restart.
    """

    started: CompactionStarted
    prefix_version: int = 0
    rung: Rung | None = None
    summary: str | None = None
    tokens_after: int = 0
    block: Block | None = None
    facts: str = ""
    cleared: Mapping[str, int] = attrs.field(factory=dict)
    model: str = ""
    failed: dict[Rung, int] = attrs.Factory(dict)


@attrs.frozen
class Learned:
    """What failures have said about a model's sizes, in tokens (None is nothing), and whether its
    endpoint refuses marks of the prompt cache, compaction on demand, or more messages than one for
    a turn (`turns_joined`).

    `summary_tokens` is how much one request for a summary may hold at most: what was asked for with
    more ran into a time limit on the way or into the window (B01, B03, C06).
    """

    window_tokens: int | None = None
    output_tokens: int | None = None
    no_cache_marks: bool = False
    turns_joined: bool = False
    no_compaction: bool = False
    summary_tokens: int | None = None


@attrs.frozen
class Home:
    """The endpoint that a fail-over left, at `left_ms`, and that is gone back to by itself."""

    endpoint: str
    left_ms: int


@attrs.frozen
class Switched:
    """What a repair changed besides messages: whether mismatched thinking is passed over, as it
    was before, and which tools were left out.
    """

    dropping: bool
    left_out: tuple[str, ...]


@attrs.frozen
class Grant:
    """A permission that a person gave for the rest of the session."""

    tool: str
    pattern: str


@attrs.define
class SessionState:
    """A session, folded. Owned and changed by `fold.apply` alone; everyone else reads.

    Thinking is bound to everything sent before it (R72). Whenever what is sent changes other than
    by growing (import, repair, compaction, their undoing), `prefix_version` grows and
    `unbound_origin` becomes the newest record: thinking up to there is not sent again.

    `usage` is what the API counted for the newest answer, which `usage_model` gave, `spent` the sum
    of all, by model; `calibration` corrects estimates by it. `undone` are compactions that can be
    put back, the newest last. `unmeasured` is the one whose first request has not been counted yet.
    While `latch` holds, no automatic compaction starts.

    `dropping` asks the API to pass over thinking that is bound elsewhere; `left_out` are tools that
    the API refused. `tried` are the rungs of the ladder that were taken (head, rung, place,
    fragment), whatever became of them. `learned` and `body_bytes_max` are limits that refusals
    taught, of its endpoint too: `cap`, and `died_ms`, the age at which something on the way last
    ended a request. `endpoint` is who answers, "" the first; `home` who did before a fail-over,
    `returns` counts in vain how often it was gone back to. `chunks` are summaries of parts of the
    history by their key, for every later try.
    """

    title: str = ""
    system: str = ""
    workspace_uri: str | None = None
    model: str | None = None
    endpoint: str = ""
    parent_id: str | None = None
    archived: bool = False
    seq: int = 0
    messages: list[Message] = attrs.Factory(list)
    unbound_origin: str = ""
    prefix_version: int = 0
    prompt_origins: dict[str, str] = attrs.Factory(dict)
    prompts: dict[str, str] = attrs.Factory(dict)
    queue: list[Prompt] = attrs.Factory(list)
    held: bool = False
    turn: Turn | None = None
    response: OpenResponse | None = None
    requested: bool = False
    calls: dict[str, ToolCall] = attrs.Factory(dict)
    calls_origin: str = ""
    questions: dict[str, QuestionAsked] = attrs.Factory(dict)
    answered: dict[str, str] = attrs.Factory(dict)
    grants: list[Grant] = attrs.Factory(list)
    pause: Pause | None = None
    wait: Wait | None = None
    todos: tuple[TodoItem, ...] = ()
    usage: Usage | None = None
    usage_messages: int = 0
    usage_model: str = ""
    calibration: Calibration = attrs.field(factory=Calibration)
    total_output_tokens: int = 0
    spent: dict[str, Usage] = attrs.Factory(dict)
    compactions: list[Compaction] = attrs.Factory(list)
    compaction: RunningCompaction | None = None
    compaction_tried_at: int = 0
    compaction_held: bool = False
    undone: list[Undone] = attrs.Factory(list)
    unmeasured: str = ""
    latch: Latch | None = None
    chunks: dict[str, str] = attrs.Factory(dict)
    repairs: dict[str, dict[str, tuple[Message, ...]]] = attrs.Factory(dict)
    repair_notes: list[RepairNote] = attrs.Factory(list)
    switches: dict[str, Switched] = attrs.Factory(dict)
    dropping: bool = False
    left_out: tuple[str, ...] = ()
    tried: set[tuple[str, str, str, str]] = attrs.Factory(set)
    learned: dict[str, Learned] = attrs.Factory(dict)
    body_bytes_max: int | None = None
    cap: DurationCap | None = None
    died_ms: int = 0
    home: Home | None = None
    returns: int = 0
    tool_use_ids: set[str] = attrs.Factory(set)
    ignored_events: int = 0
    updated_at_ms: int = 0

    @property
    def phase(self) -> Phase:
        """Where the session is: a function of the state, so that it can never disagree with it."""
        if self.turn is None:
            return Phase.QUEUED if self.queue else Phase.IDLE
        if self.pause is not None:
            return Phase.PAUSED
        if self.wait is not None:
            return Phase.WAITING
        if self.turn.examining:
            return Phase.REPAIRING
        if self.compaction is not None and self.compaction.started.blocking:
            return Phase.COMPACTING
        if self.calls:
            return Phase.ASKING if self.questions else Phase.RUNNING_TOOLS
        if self.response is not None and self.response.started:
            return Phase.STREAMING
        return Phase.REQUESTING

    @property
    def in_force(self) -> Compaction | None:
        """The compaction that the view is built on."""
        return self.compactions[-1] if self.compactions else None

    def visible_prompts(self) -> set[str]:
        """Return the ids of the prompts that are in the history and not rewound."""
        origins = {message.origin for message in self.messages}
        return {prompt for prompt, origin in self.prompt_origins.items() if origin in origins}

    def open_calls(self) -> list[ToolCall]:
        """Return the calls that have no result yet, in the order of the message."""
        return [call for call in self.calls.values() if call.state is not CallState.SETTLED]


INTERRUPTED: Final = "interrupted"
"""The reason of a pause after a restart, under the setting `continueInterrupted` "ask"."""

COMPACTION_CANCELLED: Final = "compactionCancelled"
"""The reason of a pause when a compaction without which nothing fits was cancelled."""

NO_ROOM: Final = "noRoom"
"""The reason of a pause when a request does not fit and nothing more can be left out of it."""

LOOKING_BACK: Final = "lookingBack"
"""The reason of the short wait before a turn, for the endpoint that a fail-over has left."""

UNSUPPORTED: Final = "unsupported"
"""The reason of a failed rung whose endpoint refuses compaction on demand as such."""

TURN_PHASES: Final = frozenset(Phase) - {Phase.IDLE, Phase.QUEUED}


def outcomes_of(calls: Iterable[ToolCall]) -> Mapping[str, ToolOutcome]:
    """Return how the settled calls ended, by tool use id."""
    return {call.tool_use_id: call.outcome for call in calls if call.outcome is not None}
