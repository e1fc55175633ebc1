"""The tool `list`: what is in a folder.

Law: one level, sorted by name, at most `ENTRIES_MAX` entries, and it says what it left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from holdfast.tools import output, paths
from holdfast.tools.base import BaseTool
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.threads import Stop, in_thread

ENTRIES_MAX: Final = 1000
SCANNED_MAX: Final = 100_000
LIST_TIMEOUT_S: Final = 10.0


class ListArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is a folder."""

    path: str = "."


class ListTool(BaseTool[ListArguments]):
    """Lists one folder."""

    name = "list"
    description = (
        "List a folder of the workspace, one level deep, sorted by name. Folders end in `/`, "
        "symbolic links show where they lead, files show their size in bytes. At most "
        f"{ENTRIES_MAX} entries. To find files by name in a tree, use `glob`."
    )
    properties: ClassVar[dict[str, Any]] = {
        "path": {
            "type": "string",
            "description": "Folder path, relative to the workspace. Default: the workspace.",
        },
    }
    required = ()
    arguments_type = ListArguments

    def target_of(self, arguments: ListArguments, context: ToolContext | None) -> str:
        """Return the path."""
        return paths.target(arguments.path, context)

    async def perform(self, arguments: ListArguments, context: ToolContext) -> ToolOutput:
        """List the folder in a thread."""
        path = paths.resolve(arguments.path, context)
        stop = Stop(LIST_TIMEOUT_S)
        return await in_thread(lambda: _list(path, stop, context), stop)


def _list(path: Path, stop: Stop, context: ToolContext) -> ToolOutput:
    with os.scandir(path) as found:
        scanned = list(_until(found, stop))
    scanned.sort(key=lambda entry: entry.name)
    lines = [_describe(entry) for entry in scanned[:ENTRIES_MAX]]
    if len(scanned) > ENTRIES_MAX:
        lines.append(f"[{len(scanned) - ENTRIES_MAX} more entries not shown]")
    if stop.timed_out or len(scanned) == SCANNED_MAX:
        lines.append("[the folder was not read to its end: it is too large]")
    shown = paths.shown(path, context)
    text = "\n".join(lines) or "(the folder is empty)"
    return output.succeeded(text, context, f"{shown}: {len(scanned)} entries")


def _until(entries: Iterator[os.DirEntry[str]], stop: Stop) -> Iterator[os.DirEntry[str]]:
    for count, entry in enumerate(entries, start=1):
        yield entry
        if count >= SCANNED_MAX or stop():
            return


def _describe(entry: os.DirEntry[str]) -> str:
    """Return one line; an entry that vanishes meanwhile keeps its bare name."""
    name = entry.name.replace("\n", "\N{SYMBOL FOR NEWLINE}")
    try:
        if entry.is_symlink():
            return f"{name} -> {Path(entry.path).readlink().as_posix()}"
        if entry.is_dir(follow_symlinks=False):
            return f"{name}/"
        return f"{name}  ({entry.stat(follow_symlinks=False).st_size} bytes)"
    except OSError:
        return name
