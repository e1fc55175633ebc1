"""Events about tool calls, permission questions and the task list."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from holdfast.session.events.base import Event, RawBlocks


class ToolOutcome(StrEnum):
    """How a tool call ended. The last three are told to the model in those words (P6)."""

    FINISHED = "finished"
    REFUSED = "refused"
    NOT_STARTED = "notStarted"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


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


class FileEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a file was: SHA-256 (hex) and size in bytes, both None when there was no such file.

    `content` is the digest of the blob that keeps the text a call found there, which may be the
    editor's; None when there was none, or it was no text, or it was too large to be kept.
    """

    path: str
    sha256: str | None
    size: int | None
    content: str | None = None


class CommandEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an interrupted command was found to be after a crash.

    `ended`: by itself, with `exit_code` (negative for a signal). `cut`: it was stopped at its time
    limit or together with the server. `stopped`: it was still running and has been stopped then.
    `running`: it could not be stopped. `vanished`: it had begun and left no exit status.
    `nothing`: it is not seen to have begun. `pid` leads its process group.
    """

    found: Literal["ended", "cut", "stopped", "running", "vanished", "nothing"]
    pid: int | None = None
    exit_code: int | None = None


class ToolStarted(Event, frozen=True):
    """Write-ahead: the call is about to run (C10). Without a `ToolFinished` its outcome is
    unknown. Evidence for that case: `before` is what the file was that it would change, `traced`
    says that it leaves a trace in the data directory while it runs.
    """

    tool_use_id: str
    name: str
    mutates: bool
    before: FileEvidence | None = None
    traced: bool = False


class ToolFinished(Event, frozen=True):
    """A call has its result. `content` are the blocks of the `tool_result`, `command` is the
    evidence that they rest on when the server died while a command ran.
    """

    tool_use_id: str
    outcome: ToolOutcome
    content: RawBlocks
    is_error: bool = False
    summary: str = ""
    command: CommandEvidence | None = None


class TodoItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One item of the session's task list."""

    text: str
    status: str


class TodosUpdated(Event, frozen=True):
    """The task list was replaced."""

    todos: tuple[TodoItem, ...]
