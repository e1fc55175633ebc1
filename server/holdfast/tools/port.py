"""What a tool is, what it gets and what it gives back.

Law: `run` is total: bad input, a missing file or a time-out come back as a `ToolOutput` with
`is_error`, in words the model can act on. Only cancellation passes through, after the tool has put
its house in order (processes killed, temporary files gone).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from holdfast.conversation.history import Block


@attrs.frozen
class Todo:
    """One item of the session's task list. `status` is pending, in_progress or completed."""

    text: str
    status: str


@attrs.frozen
class ToolOutput:
    """What a tool call came to.

    `content` are the blocks of the `tool_result` (text, image, document); pictures may be of any
    size and type, they are made fit where they enter the history. `todos` replaces the session's
    task list when it is not None. `summary` is one line for people.
    """

    content: tuple[Block, ...]
    is_error: bool = False
    summary: str = ""
    todos: tuple[Todo, ...] | None = None


@attrs.frozen
class Question:
    """What a person is asked before a call may run.

    `title` is one line ("Run `make test`?"), `detail` the full command or diff. `pattern` is what
    "allow always" would allow from now on, in the words of the setting `permissions`.
    """

    title: str
    detail: str
    pattern: str


@attrs.frozen
class Mention:
    """What a person mentions in a prompt: a file, or its lines from `start_line` to `end_line`
    (from 1, both included).
    """

    path: str
    start_line: int | None = None
    end_line: int | None = None


class Editor(Protocol):
    """The editor's view of files that are open in it. Paths are absolute and resolved."""

    def open_text(self, path: Path) -> str | None:
        """Return the unsaved text of an open document, or None when it is not open."""
        ...

    async def replace_text(self, path: Path, text: str, label: str) -> bool:
        """Replace an open document's text through `workspace/applyEdit`. False when refused."""
        ...


@attrs.frozen
class Place:
    """Where in the past something was found: an entry, who said it, what it is, and some of it."""

    number: int
    who: str
    kind: str
    excerpt: str


@attrs.frozen
class Found:
    """What a search of the past came to. `note` says what was out of order with it."""

    places: tuple[Place, ...]
    note: str = ""


@attrs.frozen
class PastEntry:
    """One entry of the past in full, with the numbers of its neighbours."""

    number: int
    who: str
    kind: str
    text: str
    before: int | None = None
    after: int | None = None


class Recall(Protocol):
    """The session's whole history, whatever of it is still sent to the model."""

    async def search(self, query: str, limit: int) -> Found:
        """Return at most `limit` places that hold words of any text, the best first."""
        ...

    async def read(self, entry: int) -> PastEntry:
        """Return an entry. Raises `ToolFailure` when there is none with this number."""
        ...


@attrs.frozen
class ToolContext:
    """Where a call runs. `workspace` is None in a session without a folder: then no tool may
    touch files. `run_timeout_s` and `output_bytes_max` bound the `run` tool. `trace` is the call's
    own folder for what shall outlive the server (`traces`); None when nothing shall. `recall` is
    the session's past; None where there is no session.
    """

    workspace: Path | None
    editor: Editor | None = None
    run_timeout_s: float = 120.0
    output_bytes_max: int = 30_000
    trace: Path | None = None
    recall: Recall | None = None


class Tool(Protocol):
    """One tool. `mutates` says whether a call may change anything outside the session,
    `leaves_trace` whether it uses the context's `trace`.
    """

    name: str
    mutates: bool
    leaves_trace: bool

    @property
    def definition(self) -> Mapping[str, Any]:
        """The tool in the API's shape: name, description, input_schema. Constant."""
        ...

    def target(self, arguments: Mapping[str, Any], context: ToolContext | None = None) -> str:
        """What permission patterns are matched against: a path or a command line.

        With a context, paths are resolved (links, `..`, absolute spellings), so that no other
        spelling of a path slips past a rule. Total; `""` for arguments that do not fit.
        """
        ...

    def question(self, arguments: Mapping[str, Any], context: ToolContext) -> Question:
        """What to ask a person. Total, also for bad arguments."""
        ...

    def changes(self, arguments: Mapping[str, Any], context: ToolContext) -> Path | None:
        """The one file that a call would change; None when it is not exactly one. Total."""
        ...

    def changed(
        self, arguments: Mapping[str, Any], context: ToolContext, before: str | None
    ) -> str:
        """The text of that file after a call that found it as `before` (None: there was none).

        Nothing is done. Raises `ToolFailure` in the words with which the call would fail.
        """
        ...

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        """Run one call."""
        ...
