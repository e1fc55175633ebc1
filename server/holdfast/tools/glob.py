"""The tool `glob`: files by name.

Law: the answer is the first `limit` files in the walk's fixed order, within a time limit, and says
when there may be more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec

from holdfast.tools import output, paths, walk
from holdfast.tools.base import BaseTool
from holdfast.tools.errors import ToolFailure
from holdfast.tools.globs import Glob, TooManyAlternatives
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.threads import Stop, in_thread

FILES_DEFAULT: Final = 200
FILES_MAX: Final = 1000
GLOB_TIMEOUT_S: Final = 15.0


class GlobArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pattern` is matched against paths relative to `path`."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    path: str = "."
    include_ignored: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=FILES_MAX)] = FILES_DEFAULT


class GlobTool(BaseTool[GlobArguments]):
    """Finds files by a name pattern."""

    name = "glob"
    description = (
        "Find files by name, for example `*.py`, `src/**/*.{ts,tsx}` or `docs/*/index.md`. `*` "
        "and `?` stay within one folder, `**` spans any number of folders, `{a,b}` are "
        "alternatives; a pattern without `/` matches file names in any folder. Returns paths "
        "relative to the workspace, sorted. Folders such as .git, node_modules and .venv are "
        "passed over unless `include_ignored` is true. To search in file contents, use `grep`."
    )
    properties: ClassVar[dict[str, Any]] = {
        "pattern": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "Glob."},
        "path": {
            "type": "string",
            "description": "Folder to search, relative to the workspace. Default: the workspace.",
        },
        "include_ignored": {
            "type": "boolean",
            "description": "Also look into .git, node_modules, .venv and the like. Default false.",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": FILES_MAX,
            "description": f"Most files to return. Default {FILES_DEFAULT}.",
        },
    }
    required = ("pattern",)
    arguments_type = GlobArguments

    def target_of(self, arguments: GlobArguments, context: ToolContext | None) -> str:
        """Return the folder that is searched."""
        return paths.target(arguments.path, context)

    async def perform(self, arguments: GlobArguments, context: ToolContext) -> ToolOutput:
        """Walk in a thread."""
        folder = paths.resolve(arguments.path, context)
        if not folder.is_dir():
            raise ToolFailure(f"{paths.shown(folder, context)} is not a folder.")
        try:
            wanted = Glob(arguments.pattern)
        except TooManyAlternatives as error:
            raise ToolFailure(f"Invalid pattern: {error}.") from error
        stop = Stop(GLOB_TIMEOUT_S)
        found = await in_thread(lambda: _find(folder, wanted, arguments, stop), stop)
        return _report(folder, found, arguments, stop.timed_out, context)


def _find(folder: Path, wanted: Glob, arguments: GlobArguments, stop: Stop) -> list[str]:
    """Return up to one more than `limit` paths, which tells that there are more."""
    found: list[str] = []
    walked = walk.files_below(
        str(folder), include_ignored=arguments.include_ignored, should_stop=stop
    )
    for relative in walked:
        if wanted.matches(relative):
            found.append(relative)
            if len(found) > arguments.limit:
                break
    return found


def _report(
    folder: Path,
    found: list[str],
    arguments: GlobArguments,
    timed_out: bool,
    context: ToolContext,
) -> ToolOutput:
    prefix = paths.shown(folder, context)
    start = "" if prefix == "." else f"{prefix}/"
    shown = sorted(found[: arguments.limit])
    lines = [f"{start}{path}".replace("\n", "\N{SYMBOL FOR NEWLINE}") for path in shown]
    if len(found) > arguments.limit:
        lines.append(f"[more than {arguments.limit} files match; narrow the pattern]")
    if timed_out:
        lines.append(f"[stopped after {GLOB_TIMEOUT_S:g} s; there may be more files]")
    text = "\n".join(lines) or f"No file matches {arguments.pattern!r}."
    return output.succeeded(text, context, f"{arguments.pattern}: {len(shown)} files")
