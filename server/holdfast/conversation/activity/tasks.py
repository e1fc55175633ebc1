"""The task list of a history, as it stood at the end.

Law: the last list wins: a whole list, or single tasks that were made and changed one by one. A
status that nobody knows counts as pending.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from holdfast.conversation.activity.facts import Status, Task
from holdfast.conversation.activity.reading import Raw, Reading, name_of, value_of

_STATUSES: Final[Mapping[str, Status]] = {
    "pending": "pending",
    "in_progress": "in_progress",
    "completed": "completed",
}
_TEXT_NAMES: Final = ("content", "text", "step", "title", "subject")
_GONE: Final = "deleted"


class TaskList:
    """Follows the calls that write a task list."""

    def __init__(self) -> None:
        self._whole: tuple[Task, ...] | None = None
        self._single: dict[str, Task] = {}
        self._made = 0

    def take(self, call: Reading) -> None:
        """Take in one call that was carried out."""
        given = call.input
        if given.subject and not given.status:
            self._made += 1
            self._single[str(self._made)] = Task(given.subject, "pending")
            return
        number = name_of(given.taskId)
        if number:
            self._change(number, given.subject, given.status)
            return
        for raw in (given.todos, given.items, given.plan):
            if memoryview(raw).nbytes:
                self._whole = _tasks(raw)
                self._single = {}
                return

    def _change(self, number: str, subject: str, status: str) -> None:
        known = self._single.get(number)
        if status == _GONE:
            self._single.pop(number, None)
        elif known is not None:
            text = subject or known.text
            self._single[number] = Task(text, _STATUSES.get(status, known.status))

    @property
    def tasks(self) -> tuple[Task, ...] | None:
        """The list, None when there never was one."""
        return tuple(self._single.values()) if self._single else self._whole


def _tasks(raw: Raw) -> tuple[Task, ...]:
    items: Any = value_of(raw)
    found = (
        (_task(item) for item in items if isinstance(item, Mapping))
        if isinstance(items, list)
        else ()
    )
    return tuple(task for task in found if task.text)


def _task(item: Mapping[str, Any]) -> Task:
    text = next((item[n] for n in _TEXT_NAMES if isinstance(item.get(n), str) and item[n]), "")
    status = item.get("status")
    return Task(
        text.strip(), _STATUSES.get(status, "pending") if isinstance(status, str) else "pending"
    )
