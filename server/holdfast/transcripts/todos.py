"""The task list of a foreign session, as it stood at the end.

Law: the last list that the session itself wrote wins: a whole list, or single tasks made and
changed one by one. A status that is unknown counts as pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from holdfast.conversation.history import ASSISTANT, Message
from holdfast.transcripts.imported import Todo

STATUSES: Final = frozenset({"pending", "in_progress", "completed"})
_GONE: Final = "deleted"


def todos_of(messages: Sequence[Message], values: Iterable[Mapping[str, Any]]) -> tuple[Todo, ...]:
    """Return the tasks of the active branch, or else of the last record that carries a list."""
    whole: tuple[Todo, ...] | None = None
    tasks: dict[str, Todo] = {}
    for name, given in _calls(messages):
        if name == "TodoWrite":
            whole = _todos(given.get("todos"))
        elif name == "TaskCreate":
            tasks[str(len(tasks) + 1)] = Todo(_text(given, "subject"), "pending")
        elif name == "TaskUpdate":
            _update(tasks, given)
    if tasks:
        return tuple(todo for todo in tasks.values() if todo.status != _GONE)
    if whole is not None:
        return whole
    lists = [value["todos"] for value in values if isinstance(value.get("todos"), list)]
    return _todos(lists[-1]) if lists else ()


def _calls(messages: Sequence[Message]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for message in messages:
        if message.role != ASSISTANT:
            continue
        for block in message.blocks:
            given = block.get("input")
            if block.type == "tool_use" and isinstance(given, Mapping):
                yield block.text_of("name"), given


def _update(tasks: dict[str, Todo], given: Mapping[str, Any]) -> None:
    number = str(given.get("taskId"))
    known = tasks.get(number)
    if known is None:
        return
    status = _text(given, "status")
    text = _text(given, "subject") or known.text
    known_status = status in STATUSES or status == _GONE
    tasks[number] = Todo(text, status if known_status else known.status)


def _todos(items: Any) -> tuple[Todo, ...]:
    if not isinstance(items, list):
        return ()
    found = (_todo(item) for item in items if isinstance(item, Mapping))
    return tuple(todo for todo in found if todo.text)


def _todo(item: Mapping[str, Any]) -> Todo:
    status = _text(item, "status")
    text = _text(item, "content") or _text(item, "text")
    return Todo(text, status if status in STATUSES else "pending")


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
