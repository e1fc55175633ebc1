"""Which tools there are.

Law: names are unique (A30) and the order never changes while a session lives: the definitions are
the first bytes of every request, and the prompt cache rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.tools.edit import EditTool
from holdfast.tools.glob import GlobTool
from holdfast.tools.grep import GrepTool
from holdfast.tools.list import ListTool
from holdfast.tools.port import Tool
from holdfast.tools.read import ReadTool
from holdfast.tools.recall import RecallReadTool, RecallSearchTool
from holdfast.tools.run import RunTool
from holdfast.tools.todo import TodoTool
from holdfast.tools.write import WriteTool


def builtin_tools() -> tuple[Tool, ...]:
    """Return the tools that need nothing but a session, in their fixed order."""
    return (
        ReadTool(),
        ListTool(),
        GlobTool(),
        GrepTool(),
        EditTool(),
        WriteTool(),
        RunTool(),
        TodoTool(),
        RecallSearchTool(),
        RecallReadTool(),
    )


class Toolbox:
    """The tools of a session, by name."""

    def __init__(self, tools: Sequence[Tool] | None = None) -> None:
        """Hold `tools`, by default the built-in ones. Raises `ValueError` for a name used twice."""
        self._tools: dict[str, Tool] = {}
        for tool in builtin_tools() if tools is None else tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are named {tool.name!r}")
            self._tools[tool.name] = tool
        self._definitions = tuple(tool.definition for tool in self._tools.values())

    @property
    def definitions(self) -> tuple[Mapping[str, Any], ...]:
        """The definitions in the API's shape, in the order of registration. Constant."""
        return self._definitions

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of registration."""
        return tuple(self._tools)

    def get(self, name: str) -> Tool | None:
        """Return a tool; None for a name that the model made up."""
        return self._tools.get(name)
