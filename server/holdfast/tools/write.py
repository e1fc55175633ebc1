"""The tool `write`: a whole file, new or replaced.

Law: afterwards the file holds exactly the given text, or exactly what it held before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from holdfast.tools import files, paths
from holdfast.tools.base import BaseTool
from holdfast.tools.changes import in_editor, removed_and_added
from holdfast.tools.output import succeeded
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.threads import in_thread


class WriteArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`content` is the whole new text."""

    path: str
    content: str


class WriteTool(BaseTool[WriteArguments]):
    """Writes one file."""

    name = "write"
    mutates = True
    description = (
        "Create a file in the workspace or replace its whole content. Missing folders are made. "
        "If the file is open in the editor, its text is replaced there. To change part of a file, "
        "use `edit`."
    )
    properties: ClassVar[dict[str, Any]] = {
        "path": {"type": "string", "description": "File path, relative to the workspace."},
        "content": {"type": "string", "description": "The whole new content, as UTF-8 text."},
    }
    required = ("path", "content")
    arguments_type = WriteArguments

    def changed_by(self, arguments: WriteArguments, context: ToolContext) -> Path | None:
        """Return the file."""
        return paths.resolve(arguments.path, context)

    def target_of(self, arguments: WriteArguments, context: ToolContext | None) -> str:
        """Return the path."""
        return paths.target(arguments.path, context)

    def ask(self, arguments: WriteArguments, context: ToolContext) -> tuple[str, str]:
        """Show the new content, and say when it replaces another."""
        verb = "Replace" if _exists(arguments.path, context) else "Create"
        title = f"{verb} `{paths.target(arguments.path, context)}`?"
        return title, removed_and_added("", arguments.content)

    def text_after(
        self,
        arguments: WriteArguments,
        context: ToolContext,  # noqa: ARG002 (whatever was there is replaced)
        before: str | None,  # noqa: ARG002
    ) -> str:
        """Return the new content."""
        return arguments.content

    async def perform(self, arguments: WriteArguments, context: ToolContext) -> ToolOutput:
        """Write through the editor when the file is open there, else to disk."""
        path = paths.resolve(arguments.path, context)
        shown = paths.shown(path, context)
        data = arguments.content.encode()
        async with files.lock_for(path):
            if context.editor and context.editor.open_text(path) is not None:
                await in_editor(path, arguments.content, f"Write {shown}", context)
                did = f"Replaced the text of {shown} in the editor (not saved to disk yet)"
            else:
                existed = await in_thread(lambda: _write(path, data))
                did = f"{'Replaced' if existed else 'Created'} {shown}"
        text = f"{did}: {len(data)} bytes."
        return succeeded(text, context, text)


def _write(path: Path, data: bytes) -> bool:
    existed = path.exists()
    files.write_atomic(path, data)
    return existed


def _exists(path: str, context: ToolContext) -> bool:
    return context.workspace is not None and paths.resolve(path, context).exists()
