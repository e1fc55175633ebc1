"""What a server and its worker say to each other: one JSON object a line.

Law: both ends use these types and nothing else. Imports are light: the worker loads this first.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

RECOGNISE: Final = "recognise"
"""The result is the name of a format, or null. `params.head`: the beginning of an unsaved text."""
DIAGNOSE: Final = "diagnose"
"""Partial results and the result are lists of diagnostics, each with all that is known by then."""
CHECK: Final = "check"
REPAIR: Final = "repair"
"""`params`: `output` (a path), `inPlace`, `dryRun`; with none of them a copy beside the file."""
LIST: Final = "list"
"""`params.folder`: only sessions that have to do with this folder."""
FOLDER: Final = "folder"
"""The result is the folder that a session belongs to, as it stands there, if that is a folder here;
null when the session names another; "" when it names none."""
FORGET: Final = "forget"
"""The document is closed."""

CANCELLED: Final = "Cancelled"
TEXT_WANTED: Final = "TextWanted"
"""This version of the document is not known here: ask again, with its text."""


class Request(msgspec.Struct, omit_defaults=True):
    """A question, or with `cancel` the wish not to hear of one any more.

    A method that is none of the above is LSP's, and `params` are LSP's. `version` is that of an
    unsaved text, whose name is `uri`; without it the file at `path` is meant.
    """

    id: int = 0
    cancel: int | None = None
    method: str = ""
    path: str = ""
    uri: str = ""
    version: int | None = None
    text: str | None = None
    params: dict[str, Any] = {}


class Reached(msgspec.Struct):
    """How far a request is. `done` and `total` count bytes."""

    done: int
    total: int
    phase: str


class Refusal(msgspec.Struct):
    """Why there is no result, in the words of `errors.failed`."""

    kind: str
    message: str
    action: str


class Answer(msgspec.Struct, omit_defaults=True):
    """What the worker says of a request: `progress` and `partial` any number of times, then one
    `result` or `error`.
    """

    id: int
    progress: Reached | None = None
    partial: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Refusal | None = None
