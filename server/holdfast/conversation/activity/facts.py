"""What is known of a session's past, as plain values.

Law: nothing but values. How they are found is told in `collecting`, how they are shown elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

State: TypeAlias = Literal["done", "interrupted", "open"]
Ending: TypeAlias = Literal["ok", "failed", "refused"]
Status: TypeAlias = Literal["pending", "in_progress", "completed"]
Lines: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of line numbers, both ends included, ascending and apart from each other."""


@attrs.frozen
class Request:
    """What a person asked for, the assistant's last words about it, and how far it came.

    `text` is verbatim. `expansion` is what a slash command was replaced by. Requests in a row are
    answered together: the last of them has the answer, all of them the state.
    """

    text: str
    answer: str
    state: State
    expansion: str = ""


@attrs.frozen
class FileUse:
    """A file that was read or changed, how often, and where as far as that is on record."""

    path: str
    times: int = 1
    lines: Lines = ()


@attrs.frozen
class Run:
    """A command or a sub-agent's task: what it said the last time, and how it ended then."""

    line: str
    said: str
    ended: Ending
    times: int = 1
    failures: int = 0


@attrs.frozen
class Decision:
    """A sentence by which somebody seems to have decided or required something.

    `request` is the number of the request that it belongs to, from 1; 0 before the first.
    """

    by: Literal["user", "assistant"]
    sentence: str
    request: int


@attrs.frozen
class Task:
    """One item of the task list."""

    text: str
    status: Status


@attrs.frozen
class Activity:
    """The facts of a history. Files and runs come in the order in which they were last touched.

    `before` is the answer and state of what was done before the first request; its text is empty.
    `tasks` is None when no task list was written. `open_calls` have no result; `in_background` is
    what was started there, by its id, and not heard of again. `stopped` are the ids that were.
    """

    before: Request
    requests: tuple[Request, ...]
    files_read: tuple[FileUse, ...]
    files_changed: tuple[FileUse, ...]
    commands: tuple[Run, ...]
    agents: tuple[Run, ...]
    errors: tuple[tuple[str, int], ...]
    decisions: tuple[Decision, ...]
    tasks: tuple[Task, ...] | None
    open_calls: tuple[str, ...]
    in_background: Mapping[str, str]
    stopped: frozenset[str]
    other_tools: Mapping[str, int]
    summaries: tuple[str, ...]
