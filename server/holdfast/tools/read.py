"""The tool `read`: the text of a file, numbered, as the user sees it.

Law: what an editor shows wins over what the disk holds. What is no text becomes a stub that names
the bytes, never the bytes themselves (A22). Pictures and PDFs are handed on as blocks of the type
that their bytes have (A19); what they must be like to enter a history is seen to where they do.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec

from holdfast.conversation import media
from holdfast.media import fitting
from holdfast.tools import files, output, paths
from holdfast.tools.base import BaseTool
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.threads import in_thread

LINES_MAX: Final = 2000
LINE_CHARS_MAX: Final = 2000
NOTES_BYTES: Final = 300  # kept free for what is said about the text


class ReadArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`offset` is the first line, counted from 1; `limit` a number of lines."""

    path: str
    offset: Annotated[int, msgspec.Meta(ge=1)] = 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=LINES_MAX)] = LINES_MAX


class ReadTool(BaseTool[ReadArguments]):
    """Reads one file."""

    name = "read"
    description = (
        "Read a file of the workspace. Returns text with line numbers: the number, a tab, the "
        f"line; at most {LINES_MAX} lines at a time, continue with `offset`. Lines longer than "
        f"{LINE_CHARS_MAX} characters are cut. If the file is open in the editor with unsaved "
        "changes, you get those. Images (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF) and PDFs are shown "
        "to you; other binary files are only described."
    )
    properties: ClassVar[dict[str, Any]] = {
        "path": {"type": "string", "description": "File path, relative to the workspace."},
        "offset": {
            "type": "integer",
            "minimum": 1,
            "description": "First line to return, counted from 1. Default 1.",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": LINES_MAX,
            "description": f"Number of lines to return. Default {LINES_MAX}.",
        },
    }
    required = ("path",)
    arguments_type = ReadArguments

    def target_of(self, arguments: ReadArguments, context: ToolContext | None) -> str:
        """Return the path."""
        return paths.target(arguments.path, context)

    async def perform(self, arguments: ReadArguments, context: ToolContext) -> ToolOutput:
        """Read from the editor, else from disk."""
        path = paths.resolve(arguments.path, context)
        unsaved = context.editor.open_text(path) if context.editor else None
        if unsaved is not None:
            return _text(
                path, unsaved, ["open in the editor: its current text"], arguments, context
            )
        return await in_thread(lambda: _from_disk(path, arguments, context))


def _from_disk(path: Path, arguments: ReadArguments, context: ToolContext) -> ToolOutput:
    data = files.read_bytes(path)
    media_type = fitting.sniffed(data)
    if media_type is not None:
        return _medium(path, data, media_type, context)
    if files.is_binary(data):
        return _stub(path, data, "binary file", context)
    try:
        return _text(path, data.decode(), [], arguments, context)
    except UnicodeDecodeError:
        note = "not valid UTF-8: undecodable bytes are shown as U+FFFD"
        return _text(path, data.decode(errors="replace"), [note], arguments, context)


def _medium(path: Path, data: bytes, media_type: str, context: ToolContext) -> ToolOutput:
    known = media.picture(media.Plain(data))
    sides = f", {known.width}x{known.height} pixels" if known and known.readable else ""
    text = f"{paths.shown(path, context)}: {media_type}{sides}, {len(data)} bytes"
    block = fitting.from_file(data, media_type)
    return output.succeeded(text, context, text, media=(block,))


def _stub(path: Path, data: bytes, kind: str, context: ToolContext) -> ToolOutput:
    shown = paths.shown(path, context)
    digest = hashlib.sha256(data).hexdigest()
    text = f"{shown}: {kind}; {len(data)} bytes, sha256 {digest}"
    return output.succeeded(text, context, f"{shown}: {kind}, {len(data)} bytes")


def _text(
    path: Path, text: str, notes: list[str], arguments: ReadArguments, context: ToolContext
) -> ToolOutput:
    shown = paths.shown(path, context)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        return output.succeeded("(the file is empty)", context, f"{shown}: empty")
    first = arguments.offset - 1
    if first >= len(lines):
        raise ToolFailure(f"{shown} has {len(lines)} lines; offset {first + 1} is past its end.")
    numbered = _numbered(lines, first, arguments.limit, context.output_bytes_max - NOTES_BYTES)
    last = first + len(numbered)
    if any(line.endswith("\r") for line in lines[first:last]):
        notes.append("lines end in CRLF")
    if last < len(lines):
        notes.append(f"lines {first + 1}-{last} of {len(lines)}; continue with offset {last + 1}")
    noted = [f"[{note}]" for note in notes]
    summary = f"{shown}: lines {first + 1}-{last} of {len(lines)}"
    return output.succeeded("\n".join([*numbered, *noted]), context, summary)


def _numbered(lines: list[str], first: int, limit: int, room: int) -> list[str]:
    """Return numbered lines while they fit into `room` bytes; at least one."""
    numbered: list[str] = []
    for number, raw in enumerate(lines[first : first + limit], start=first + 1):
        line = output.safe(raw.removesuffix("\r")).replace("\n", "\N{SYMBOL FOR CARRIAGE RETURN}")
        if len(line) > LINE_CHARS_MAX:
            cut = len(line) - LINE_CHARS_MAX
            line = f"{line[:LINE_CHARS_MAX]}… [{cut} more characters]"
        entry = f"{number:>6}\t{line}"
        room -= len(entry.encode()) + 1
        if numbered and room < 0:
            break
        numbered.append(entry)
    return numbered
