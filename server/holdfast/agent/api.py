"""The values that the supervisor gives to its callers: language server and command line.

Law: plain data in snake_case; the callers convert it for the wire. Times are wall-clock
milliseconds unless the name says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:  # These load after `initialize` (S1).
    from holdfast.session.banners import Banner
    from holdfast.session.inputs import Recorded
    from holdfast.session.items import Change, Item, Items


@attrs.frozen
class Accepted:
    """A prompt that is durable. `queued` says that it waits behind another turn."""

    turn_id: str
    prompt_id: str
    seq: int
    queued: bool


@attrs.frozen
class CompactionProgress:
    """How far a compaction is. `percentage` never goes back; times in milliseconds.

    `step` is what is happening in plain words: "asking the model for a summary"; `rung` is the step
    of the ladder. `chunk` of `chunks` are done when the history is summarised in chunks.
    `received_tokens` is an estimate.
    """

    compaction_id: str
    step: str
    percentage: int
    elapsed_ms: int
    attempt: int = 1
    retry_at_ms: int | None = None
    cause: str | None = None
    received_tokens: int = 0
    rung: str = ""
    chunk: int | None = None
    chunks: int | None = None


@attrs.frozen
class Status:
    """What a session is doing now. `reason`, `message` and `advice` speak of waits and pauses.

    `cause` is what was seen to be wrong below the reason, None when nothing was; `tried` is what
    Holdfast does about it by itself; `trouble_at_ms` is when the trouble of this turn began.

    `silent_ms` is how long nothing has arrived on an open stream; `retry_at_ms` is then when it is
    cut and the turn goes on. `read_only` names the owner when another server owns the session.
    `label` is the whole state in a few words, empty when idle; `banner` is there while the session
    does not simply go on.
    """

    session_id: str
    phase: str
    reason: str | None = None
    message: str | None = None
    advice: str | None = None
    cause: str | None = None
    tried: str | None = None
    trouble_at_ms: int | None = None
    attempt: int | None = None
    retry_at_ms: int | None = None
    silent_ms: int | None = None
    progress: CompactionProgress | None = None
    read_only: str | None = None
    label: str = ""
    banner: Banner | None = None


@attrs.frozen
class OpenQuestion:
    """A permission question that waits for an answer."""

    question_id: str
    session_id: str
    tool_use_id: str
    tool: str
    title: str
    detail: str
    pattern: str


@attrs.frozen
class Cost:
    """What was used, in money, by the prices of the setting `holdfast.prices`."""

    amount: float
    currency: str = "USD"


@attrs.frozen
class UsageView:
    """Tokens: `context_tokens` is an estimate of the next request, of `window_tokens`; the others
    are sums of what the API counted. `cost` is None when a model that was used has no price.
    """

    context_tokens: int = 0
    window_tokens: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    cost: Cost | None = None


@attrs.frozen
class SessionEntry:
    """A line of the list of sessions. `status` is there for a session that is open here."""

    session_id: str
    title: str
    workspace_uri: str | None
    model: str | None
    phase: str
    created_at_ms: int
    updated_at_ms: int
    head_seq: int
    archived: bool
    status: Status | None = None


@attrs.frozen
class SessionList:
    """All sessions, newest first. `version` is what `Supervisor.entries` waits to see changed."""

    entries: tuple[SessionEntry, ...]
    version: int


@attrs.frozen
class SessionView:
    """A session as a person would want to know it.

    `compactions` are in force, the newest last, made by `compaction_rung`; `undone_compactions` can
    be put back. `model` is asked for at `endpoint`.
    """

    session_id: str
    title: str
    workspace_uri: str | None
    model: str | None
    phase: str
    seq: int
    archived: bool
    updated_at_ms: int
    status: Status
    context_tokens: int
    window_tokens: int
    output_tokens: int
    usage: UsageView = UsageView()
    questions: tuple[OpenQuestion, ...] = ()
    todos: tuple[dict[str, str], ...] = ()
    queue: tuple[dict[str, Any], ...] = ()
    compactions: tuple[str, ...] = ()
    undone_compactions: tuple[str, ...] = ()
    compaction_rung: str | None = None
    repairs: tuple[str, ...] = ()
    endpoint: str = "default"


@attrs.frozen
class ReadableMessage:
    """One message for people: role, plain text, and the content blocks as they are."""

    role: str
    origin: str
    text: str
    content: tuple[dict[str, Any], ...]


@attrs.frozen
class ToolDiff:
    """What a call makes, or made, of its one file. A text is None when there is no file, or it is
    not known; `reason` then says why. `state` is `proposed`, `applied` or `unknown`.
    """

    uri: str
    before: str | None
    after: str | None
    state: Literal["proposed", "applied", "unknown"]
    reason: str | None = None


@attrs.frozen
class RepairChange:
    """What a repair changes about one record: its words before and after, clipped."""

    origin: str
    before: str
    after: str
    rules: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@attrs.frozen
class RepairReport:
    """What a repair found and did (or would do). `report` says the same to people, in Markdown.

    `in_force` are the repairs that were there before; each can be taken back.
    """

    findings: tuple[dict[str, Any], ...]
    repairs: tuple[dict[str, str], ...]
    applied: bool
    repair_id: str | None = None
    changes: tuple[RepairChange, ...] = ()
    in_force: tuple[str, ...] = ()
    report: str = ""


@attrs.frozen
class CompactionAttempt:
    """A try of a rung that did not hold: why, in a stable word and in the API's own words."""

    rung: str
    attempt: int
    reason: str
    detail: str = ""
    elapsed_ms: int = 0


@attrs.frozen
class ChunkCount:
    """How many chunks of a history are summarised."""

    done: int
    count: int


@attrs.frozen
class CompactionReport:
    """What became of one compaction. Times in milliseconds, sizes in estimated tokens.

    `state` is `running`, `committed` (in force, or under one that is), `undone` or `ended` (it
    never came into force; `outcome` says how). `tokens_measured` is what the API counted for the
    first request after it. `rung` is where the ladder ended, or is. `label`, `sizes` and `reasons`
    say it in plain words, for lists.
    """

    compaction_id: str
    trigger: str
    state: Literal["running", "committed", "undone", "ended"]
    started_at_ms: int
    tokens_before: int
    rung: str | None = None
    duration_ms: int | None = None
    tokens_after: int | None = None
    tokens_measured: int | None = None
    model: str | None = None
    attempts: tuple[CompactionAttempt, ...] = ()
    chunks: ChunkCount | None = None
    outcome: str = ""
    detail: str = ""
    label: str = ""
    sizes: str = ""
    reasons: str = ""


@attrs.frozen
class CompactionReports:
    """All compactions of a session, the oldest first. `report` says the same in Markdown."""

    compactions: tuple[CompactionReport, ...]
    report: str


@attrs.frozen
class CompactionText:
    """What a compaction covers, or what stands for it, in Markdown."""

    title: str
    text: str


@attrs.frozen
class Batch:
    """Something for a follower: events in order without a gap, and the newest status."""

    events: tuple[Recorded, ...]
    status: Status | None


@attrs.frozen
class OpenedItems:
    """A session as items, for a follower: the changes that it missed, or the newest items.

    `fold` is at the event from which the follower goes on; it belongs to the follower.
    """

    fold: Items
    changes: tuple[Change, ...] | None = None
    items: tuple[Item, ...] = ()
    more: bool = False


ExportFormat = Literal["jsonl", "markdown", "claude-code"]
