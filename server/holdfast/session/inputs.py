"""What goes into the turn's state machine and what comes out of it.

Law: inputs are facts from the world (a prompt, a stream item, a timer, a restart), effects are
wishes to the world. The machine neither waits nor acts; `agent/driver.py` waits and
`agent/effects.py` acts.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from holdfast.conversation.history import Block
from holdfast.session import bounds
from holdfast.session.events import (
    AnyEvent,
    CommandEvidence,
    Event,
    FileEvidence,
    Rung,
    TodoItem,
    ToolOutcome,
    Usage,
)
from holdfast.session.failures import Failure
from holdfast.session.ladder import Case, Outcome
from holdfast.session.lifetimes import Lived

Limits: TypeAlias = bounds.Limits
Env: TypeAlias = bounds.Env


# -- inputs --------------------------------------------------------------------------------------


@attrs.frozen
class Submit:
    """A person sent a prompt. Its last blocks show the files of `mentions`."""

    prompt_id: str
    turn_id: str
    blocks: tuple[Block, ...]
    mentions: tuple[str, ...] = ()


@attrs.frozen
class Arrived:
    """Part of the response arrived: lazy events, in order."""

    events: tuple[Event, ...]


@attrs.frozen
class Completed:
    """The response is complete."""

    message_id: str
    stop_reason: str
    usage: Usage
    detail: str = ""
    lived: Lived = attrs.field(factory=Lived)


@attrs.frozen
class Failed:
    """The request failed, before or after something of the response arrived."""

    failure: Failure
    lived: Lived = attrs.field(factory=Lived)


@attrs.frozen
class Examined:
    """It was found out what a refused request needs. `case` is what was examined."""

    turn_id: str
    prefix_version: int
    case: Case
    outcome: Outcome


@attrs.frozen
class Verdict:
    """What the permission rules say about a call."""

    answer: Literal["allow", "ask", "deny"]
    by: str
    mutates: bool = True
    title: str = ""
    detail: str = ""
    pattern: str = ""


@attrs.frozen
class Judged:
    """The permission rules were asked about a call."""

    tool_use_id: str
    verdict: Verdict


@attrs.frozen
class Looked:
    """What the file is that a call is about to change; None when it changes no single file.
    `traced` says that the call will leave a trace while it runs.
    """

    tool_use_id: str
    before: FileEvidence | None
    traced: bool = False


@attrs.frozen
class LookedAgain:
    """What the file is now that a call, whose outcome is unknown, would have changed."""

    tool_use_id: str
    after: FileEvidence | None


@attrs.frozen
class TraceFound:
    """What a call, whose outcome is unknown, has left: the evidence, None when it cannot be read,
    and the end of its output.
    """

    tool_use_id: str
    evidence: CommandEvidence | None
    output: str = ""


@attrs.frozen
class Ran:
    """A tool call came back."""

    tool_use_id: str
    content: tuple[Block, ...]
    is_error: bool = False
    summary: str = ""
    todos: tuple[TodoItem, ...] | None = None
    outcome: ToolOutcome = ToolOutcome.FINISHED


@attrs.frozen
class Answered:
    """A person answered a question."""

    question_id: str
    answer: Literal["allow", "allowAlways", "deny"]


@attrs.frozen
class Stop:
    """A person stops the turn."""


@attrs.frozen
class Resume:
    """A person lets a paused, waiting or held session go on now; with `paused_for` only a turn
    that is paused for this reason, with `turn_id` only this turn. With `give_up` a request under
    way, of which nothing is heard, is sent again.
    """

    paused_for: str | None = None
    give_up: bool = False
    turn_id: str | None = None


@attrs.frozen
class Tick:
    """The timer that a `WakeAt` asked for went off, perhaps early, perhaps twice."""


@attrs.frozen
class Probed:
    """The endpoint was looked at for the pause that began, or was put off, at `since_ms`.

    `failure` is what stands in the way of a request, None when one is worth sending.
    """

    since_ms: int
    failure: Failure | None = None


@attrs.frozen
class LookedBack:
    """The endpoint that a fail-over had left was looked at for the wait of `since_ms`."""

    since_ms: int
    answers: bool


@attrs.frozen
class Woke:
    """The machine has slept, or this process was stopped for a while."""


@attrs.frozen
class Restarted:
    """A new owner opened the session."""

    generation: int


@attrs.frozen
class CompactAsked:
    """A person asks for a compaction."""

    instructions: str = ""


@attrs.frozen
class RungFailed:
    """A try of a rung of the compaction ladder did not hold. See `CompactionRungFailed`."""

    compaction_id: str
    rung: Rung
    attempt: int
    reason: str
    detail: str = ""
    input_tokens: int = 0
    elapsed_ms: int = 0


@attrs.frozen
class ChunkReady:
    """A chunk was summarised. See `CompactionChunkSummarised`."""

    compaction_id: str
    key: str
    number: int
    count: int
    summary: str
    model: str = ""
    usage: Usage = attrs.field(factory=Usage)
    elapsed_ms: int = 0


@attrs.frozen
class CompactionReady:
    """A summary that passed the acceptance bar; `model` wrote it, if one did.

    `block` is the API's signed compaction, whose readable content `summary` is.
    """

    compaction_id: str
    rung: Rung
    summary: str
    model: str = ""
    usage: Usage = attrs.field(factory=Usage)
    block: Block | None = None
    elapsed_ms: int = 0


@attrs.frozen
class CancelCompaction:
    """A person cancels the running compaction."""


@attrs.frozen
class Note:
    """Facts that change nothing about the turn (rename, archive, import, undo, rewind).

    Those that change the history are taken at rest only: `at_rest` names what may be under way,
    nothing (`idle`) or at most a pause (`paused`). Otherwise nothing happens; whoever asked looks.
    """

    events: tuple[AnyEvent, ...]
    at_rest: Literal["idle", "paused"] | None = None


Input: TypeAlias = (
    Submit
    | Arrived
    | Completed
    | Failed
    | Examined
    | Judged
    | Looked
    | LookedAgain
    | TraceFound
    | Ran
    | Answered
    | Stop
    | Resume
    | Tick
    | Probed
    | LookedBack
    | Woke
    | Restarted
    | CompactAsked
    | RungFailed
    | ChunkReady
    | CompactionReady
    | CancelCompaction
    | Note
)


# -- effects -------------------------------------------------------------------------------------


@attrs.frozen
class CallModel:
    """Send the request that the view describes."""

    turn_id: str
    attempt: int
    model: str


@attrs.frozen
class AbortModel:
    """Close the connection of the request, or end the examination, that is under way, if any."""


@attrs.frozen
class Examine:
    """Find out what makes the API accept a refused request, by its free count alone."""

    turn_id: str
    model: str
    prefix_version: int
    case: Case


@attrs.frozen
class Judge:
    """Ask the permission rules about a call."""

    tool_use_id: str
    block: Block


@attrs.frozen
class LookBefore:
    """Take the evidence that the write-ahead record of a call will hold."""

    tool_use_id: str
    block: Block


@attrs.frozen
class LookAfter:
    """After a crash, look at the file that a call would have changed."""

    tool_use_id: str
    path: str


@attrs.frozen
class LookForTrace:
    """After a crash, look what a call has left, and stop it if it still runs."""

    tool_use_id: str


@attrs.frozen
class DropTrace:
    """Remove what a call has left: its result is in the journal."""

    tool_use_id: str


@attrs.frozen
class RunTool:
    """Run a call that was authorised and is recorded as started."""

    tool_use_id: str
    block: Block


@attrs.frozen
class KillTools:
    """Stop all running calls."""


@attrs.frozen
class WakeAt:
    """Send a `Tick` at `at_ms` (wall clock)."""

    at_ms: int


@attrs.frozen
class Probe:
    """Look whether the endpoint answers, for the pause of `since_ms`; free, never a request."""

    since_ms: int


@attrs.frozen
class LookBack:
    """Look whether another endpoint answers, for the wait of `since_ms`; free, never a request."""

    endpoint: str
    since_ms: int


@attrs.frozen
class PrepareCompaction:
    """Prepare a summary beside the session, beginning at the rung `first` and going down."""

    compaction_id: str
    first: Rung


@attrs.frozen
class AbortCompaction:
    """Stop preparing."""


Effect: TypeAlias = (
    CallModel
    | AbortModel
    | Examine
    | Judge
    | LookBefore
    | LookAfter
    | LookForTrace
    | DropTrace
    | RunTool
    | KillTools
    | WakeAt
    | Probe
    | LookBack
    | PrepareCompaction
    | AbortCompaction
)


@attrs.frozen
class Recorded:
    """An event with the journal number and wall-clock time it was folded under."""

    seq: int
    at_ms: int
    event: Event


@attrs.frozen
class Advance:
    """The outcome of one step: what must be in the journal before the effects are carried out."""

    records: tuple[Recorded, ...]
    effects: tuple[Effect, ...]
