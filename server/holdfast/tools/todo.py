"""The tool `todo`: the session's task list.

Law: the list is state of the session, not prose: it is replaced as a whole and survives every
compaction verbatim. Nothing outside the session changes.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from holdfast.tools import output
from holdfast.tools.base import BaseTool
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import Todo, ToolContext, ToolOutput

ITEMS_MAX: Final = 100
ITEM_CHARS_MAX: Final = 500
_MARKS: Final = {"pending": "[ ]", "in_progress": "[>]", "completed": "[x]"}


class TodoItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One task."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=ITEM_CHARS_MAX)]
    status: Literal["pending", "in_progress", "completed"]


class TodoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`items` is the whole list; an empty one clears it."""

    items: Annotated[tuple[TodoItem, ...], msgspec.Meta(max_length=ITEMS_MAX)]


class TodoTool(BaseTool[TodoArguments]):
    """Replaces the task list."""

    name = "todo"
    description = (
        "Replace the session's task list. Use it for work of several steps: pass all items each "
        "time, in order, with their status. The user sees the list, and it is kept for you when "
        "older parts of the conversation are summarised. An empty list clears it."
    )
    properties: ClassVar[dict[str, Any]] = {
        "items": {
            "type": "array",
            "maxItems": ITEMS_MAX,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "minLength": 1, "maxLength": ITEM_CHARS_MAX},
                    "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                },
                "required": ["text", "status"],
                "additionalProperties": False,
            },
            "description": "The whole list, in order.",
        },
    }
    required = ("items",)
    arguments_type = TodoArguments

    def target_of(self, arguments: TodoArguments, context: ToolContext | None) -> str:  # noqa: ARG002 - the session's own
        """Return `""`: nothing outside the session is named."""
        return ""

    async def perform(self, arguments: TodoArguments, context: ToolContext) -> ToolOutput:
        """Take over the list."""
        todos = tuple(
            Todo(output.one_line(item.text, ITEM_CHARS_MAX), item.status)
            for item in arguments.items
        )
        if not all(todo.text for todo in todos):
            raise ToolFailure("Every item needs a text that is not blank.")
        lines = [f"{_MARKS[todo.status]} {todo.text}" for todo in todos]
        done = sum(todo.status == "completed" for todo in todos)
        text = "\n".join(lines) or "The task list is empty."
        return output.succeeded(text, context, f"{done} of {len(todos)} done", todos=todos)
