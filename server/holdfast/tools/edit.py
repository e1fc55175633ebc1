"""The tool `edit`: replace exact text in a file.

Law: what is replaced was there, byte for byte, and was the only such place unless all were meant.
Everything else in the file stays as it was, line ends, byte order mark and undecodable bytes
included.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import attrs
import msgspec

from holdfast.tools import files, paths
from holdfast.tools.base import BaseTool
from holdfast.tools.changes import in_editor, removed_and_added, text_on_disk
from holdfast.tools.errors import ToolFailure
from holdfast.tools.output import succeeded
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.threads import in_thread

LINES_NAMED_MAX: Final = 10


class EditArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`old_text` must occur exactly once, unless `replace_all`."""

    path: str
    old_text: Annotated[str, msgspec.Meta(min_length=1)]
    new_text: str
    replace_all: bool = False


@attrs.frozen
class Replaced:
    """The text after an edit, how many places changed, and the lines they were on (from 1)."""

    text: str
    count: int
    lines: tuple[int, ...]


class EditTool(BaseTool[EditArguments]):
    """Replaces text in one file."""

    name = "edit"
    mutates = True
    description = (
        "Replace text in a file of the workspace. `old_text` must match exactly, white space and "
        "indentation included (without the line numbers that `read` adds), and must occur exactly "
        "once: add surrounding lines to make it unique, or set `replace_all`. If the file is open "
        "in the editor, its unsaved text is edited there. Read a file before you edit it. To "
        "create a file, use `write`."
    )
    properties: ClassVar[dict[str, Any]] = {
        "path": {"type": "string", "description": "File path, relative to the workspace."},
        "old_text": {"type": "string", "minLength": 1, "description": "Text to replace."},
        "new_text": {"type": "string", "description": "Text to put there; may be empty."},
        "replace_all": {
            "type": "boolean",
            "description": "Replace every occurrence. Default false.",
        },
    }
    required = ("path", "old_text", "new_text")
    arguments_type = EditArguments

    def changed_by(self, arguments: EditArguments, context: ToolContext) -> Path | None:
        """Return the file."""
        return paths.resolve(arguments.path, context)

    def target_of(self, arguments: EditArguments, context: ToolContext | None) -> str:
        """Return the path."""
        return paths.target(arguments.path, context)

    def ask(self, arguments: EditArguments, context: ToolContext) -> tuple[str, str]:
        """Show what goes and what comes."""
        every = " (every occurrence)" if arguments.replace_all else ""
        title = f"Edit `{paths.target(arguments.path, context)}`{every}?"
        return title, removed_and_added(arguments.old_text, arguments.new_text)

    def text_after(self, arguments: EditArguments, context: ToolContext, before: str | None) -> str:
        """Return the edited text."""
        shown = paths.target(arguments.path, context)
        if before is None:
            raise ToolFailure(f"{shown} does not exist.")
        return replace(before, arguments, shown).text

    async def perform(self, arguments: EditArguments, context: ToolContext) -> ToolOutput:
        """Edit in the editor when the file is open there, else on disk."""
        path = paths.resolve(arguments.path, context)
        shown = paths.shown(path, context)
        async with files.lock_for(path):
            unsaved = context.editor.open_text(path) if context.editor else None
            if unsaved is not None:
                done = replace(unsaved, arguments, shown)
                await in_editor(path, done.text, f"Edit {shown}", context)
                where = " in the editor (not saved to disk yet)"
            else:
                done = await in_thread(lambda: _edit_on_disk(path, arguments, shown))
                where = ""
        places = "1 place" if done.count == 1 else f"{done.count} places"
        text = f"Edited {shown}{where}: {places}, {_lines(done.lines)}."
        return succeeded(text, context, f"{shown}: {places} edited")


def replace(text: str, arguments: EditArguments, shown: str) -> Replaced:
    """Return the edited text. Raises `ToolFailure` that says where near matches are."""
    old, new = arguments.old_text, arguments.new_text
    if old == new:
        raise ToolFailure("`old_text` and `new_text` are the same; nothing would change.")
    if old not in text and "\r\n" in text and "\r" not in old:
        # `read` shows lines without their ends, so a model cannot know of CRLF.
        old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
    count = text.count(old)
    if count == 0:
        raise ToolFailure(f"`old_text` does not occur in {shown}. {_near(text, old)}")
    lines = _lines_of(text, old)
    if count > 1 and not arguments.replace_all:
        raise ToolFailure(
            f"`old_text` occurs {count} times in {shown}, {_lines(lines)}. Add surrounding lines "
            "to make it unique, or set `replace_all`."
        )
    return Replaced(text.replace(old, new), count, lines)


def _edit_on_disk(path: Path, arguments: EditArguments, shown: str) -> Replaced:
    text = text_on_disk(path, shown)
    if not arguments.new_text.isascii() and _has_escapes(text):
        raise ToolFailure(
            f"{shown} is not UTF-8; only ASCII text can be put in without mixing encodings. "
            "Convert the file first."
        )
    done = replace(text, arguments, shown)
    files.write_atomic(path, done.text.encode(errors="surrogateescape"))
    return done


def _has_escapes(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _lines_of(text: str, part: str) -> tuple[int, ...]:
    """Return the line numbers on which `part` starts, without overlaps."""
    numbers: list[int] = []
    line, position = 1, 0
    while (found := text.find(part, position)) >= 0:
        line += text.count("\n", position, found)
        numbers.append(line)
        line += text.count("\n", found, found + len(part))
        position = found + len(part)
    return tuple(numbers)


def _lines(numbers: tuple[int, ...]) -> str:
    named = ", ".join(str(number) for number in numbers[:LINES_NAMED_MAX])
    more = len(numbers) - LINES_NAMED_MAX
    return f"line{'s' if len(numbers) > 1 else ''} {named}" + (
        f" and {more} more" if more > 0 else ""
    )


def _near(text: str, old: str) -> str:
    """Say where something like `old` is: the same but for white space, or its first line."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    wanted = [" ".join(line.split()) for line in old.strip().split("\n")]
    starts = [number for number, line in enumerate(lines, start=1) if line == wanted[0] and line]
    same = tuple(n for n in starts if lines[n - 1 : n - 1 + len(wanted)] == wanted)
    if same:
        return f"The same text with other white space is on {_lines(same)}; copy it exactly."
    if starts:
        return f"Its first line is on {_lines(tuple(starts))}, but what follows differs there."
    containing = tuple(
        n for n, line in enumerate(lines, start=1) if wanted[0] and wanted[0] in line
    )
    if containing:
        return f"Its first line is part of {_lines(containing)}."
    return "Read the file again; it may have changed."
