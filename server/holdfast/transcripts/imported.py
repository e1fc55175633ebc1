"""What a reader of foreign transcripts gives back.

Law: plain values, nothing of the file's own format. `messages` is the active branch as the model
would have seen it, unrepaired: calls may lack results, texts may be blank.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from holdfast.conversation.history import History

NoteKind: TypeAlias = Literal["unread", "mended", "bridged", "left out"]


@attrs.frozen
class Note:
    """Something in the file that was skipped, mended or bridged.

    `line` counts from 1; `start` and `stop` are byte offsets in the file. Notes about the file as a
    whole have line 0.
    """

    kind: NoteKind
    text: str
    line: int = 0
    start: int = 0
    stop: int = 0

    def __str__(self) -> str:
        place = f"line {self.line} (bytes {self.start}-{self.stop}): " if self.line else ""
        return f"{place}{self.text}"


@attrs.frozen
class Todo:
    """One item of a session's task list. `status` is pending, in_progress or completed."""

    text: str
    status: str


@attrs.frozen
class ImportedHistory:
    """A foreign session: what was said on its active branch, and what is known about it.

    `origin` of a message is the id of its record, or `line:<n>` where there is none, with
    `.<piece>` for those behind the first on a shared line. `versions` are those of the writing
    program, in order of appearance; `title`, `cwd` and `model` are the latest.
    """

    format: str
    versions: tuple[str, ...] = ()
    session_id: str = ""
    title: str = ""
    cwd: str = ""
    model: str = ""
    messages: History = ()
    todos: tuple[Todo, ...] = ()
    notes: tuple[Note, ...] = ()
    entries: int = 0
