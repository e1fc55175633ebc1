"""The tool `grep`: lines by regular expression.

Law: the search runs in a process of its own (`grep_worker`), so that neither a catastrophic pattern
nor a cancellation can touch the server: at the time limit the process is killed, and what it had
found by then is the answer. No outside program is needed, and the syntax is always Python's.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec

import holdfast
from holdfast.conversation import encoding
from holdfast.tools import grep_worker, output, paths
from holdfast.tools.base import BaseTool
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.processes import ProcessEnd, run_process

MATCHES_DEFAULT: Final = 100
MATCHES_MAX: Final = 1000
GREP_TIMEOUT_S: Final = 20.0
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024

# -I keeps the workspace and the user's Python variables off the import path: a file `re.py` in
# the workspace must not become part of the server.
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from holdfast.tools.grep_worker import main; main()"
)
_PACKAGES: Final = str(Path(holdfast.__file__).parent.parent)


class GrepArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is a file or a folder; `glob` filters the files of a folder."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    path: str = "."
    glob: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    ignore_case: bool = False
    include_ignored: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MATCHES_MAX)] = MATCHES_DEFAULT


class GrepTool(BaseTool[GrepArguments]):
    """Searches file contents."""

    name = "grep"
    description = (
        "Search the contents of files on disk for a regular expression (Python syntax, one line "
        "at a time). Returns `path:line: text` per matching line, in the order of the tree. "
        f"Binary files and files above {grep_worker.FILE_BYTES_MAX // 1024 // 1024} MB are "
        "passed over, as are symbolic links and, unless `include_ignored` is true, folders such "
        "as .git, node_modules and .venv. Unsaved changes in the editor are not seen."
    )
    properties: ClassVar[dict[str, Any]] = {
        "pattern": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "description": "Regular expression, matched anywhere in a line.",
        },
        "path": {
            "type": "string",
            "description": "File or folder, relative to the workspace. Default: the workspace.",
        },
        "glob": {
            "type": "string",
            "maxLength": 1000,
            "description": "Only files that match, for example `*.py` or `src/**/*.{ts,tsx}`.",
        },
        "ignore_case": {"type": "boolean", "description": "Default false."},
        "include_ignored": {
            "type": "boolean",
            "description": "Also search .git, node_modules, .venv and the like. Default false.",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": MATCHES_MAX,
            "description": f"Most matching lines to return. Default {MATCHES_DEFAULT}.",
        },
    }
    required = ("pattern",)
    arguments_type = GrepArguments

    def target_of(self, arguments: GrepArguments, context: ToolContext | None) -> str:
        """Return the file or folder that is searched."""
        return paths.target(arguments.path, context)

    async def perform(self, arguments: GrepArguments, context: ToolContext) -> ToolOutput:
        """Run the worker and read its answer, whole or cut short."""
        path = paths.resolve(arguments.path, context)
        if not path.is_dir() and not path.is_file():
            raise ToolFailure(f"{paths.shown(path, context)} is neither a file nor a folder.")
        timeout_s = min(GREP_TIMEOUT_S, context.run_timeout_s)
        kept = output.HeadAndTail(2 * ANSWER_BYTES_MAX)  # the first half is what is read
        end = await run_process(
            [sys.executable, "-I", "-S", "-W", "ignore", "-c", _BOOT, _PACKAGES],
            folder=paths.workspace(context),
            timeout_s=timeout_s,
            kept=kept,
            feed=_request(path, arguments, timeout_s),
        )
        return _report(_Answer.of(kept.head), end, path, arguments, context)


class _Answer:
    """What the worker managed to say. `counts` is None when it was cut short."""

    def __init__(self) -> None:
        self.matches: list[dict[str, Any]] = []
        self.counts: dict[str, int] | None = None
        self.truncated = False
        self.error = ""

    @classmethod
    def of(cls, written: bytes) -> _Answer:
        answer = cls()
        for line in written.splitlines(keepends=True):
            if not line.startswith(b"{") or not line.endswith(b"\n"):
                continue  # torn by the kill, or not ours
            value = encoding.decode(line)
            if "done" in value:
                answer.counts, answer.truncated = value["done"], value["truncated"]
            elif "error" in value:
                answer.error = value["error"]
            else:
                answer.matches.append(value)
        return answer


def _request(path: Path, arguments: GrepArguments, timeout_s: float) -> bytes:
    return encoding.encode(
        {
            "pattern": arguments.pattern,
            "glob": arguments.glob,
            "ignore_case": arguments.ignore_case,
            "include_ignored": arguments.include_ignored,
            "limit": arguments.limit,
            "root": str(path),
            "cpu_s": math.ceil(timeout_s) + 1,
        }
    ).encode()


def _report(
    answer: _Answer, end: ProcessEnd, path: Path, arguments: GrepArguments, context: ToolContext
) -> ToolOutput:
    if answer.error:
        raise ToolFailure(f"{answer.error[:1].upper()}{answer.error[1:]}.")
    notes = _notes(answer, end, arguments)
    if answer.counts is None and not answer.matches:
        raise ToolFailure(
            f"{' '.join(notes)} Nothing was found by then. Search a smaller folder, or use a "
            "pattern without nested repeats."
        )
    prefix = paths.shown(path if path.is_dir() else path.parent, context)
    start = "" if prefix == "." else f"{prefix}/"
    lines = [f"{start}{found['path']}:{found['line']}: {found['text']}" for found in answer.matches]
    if not lines:
        lines.append(f"No line matches {arguments.pattern!r}.")
    text = "\n".join([*lines, *(f"[{note}]" for note in notes)])
    return output.succeeded(text, context, f"{arguments.pattern}: {len(answer.matches)} lines")


def _notes(answer: _Answer, end: ProcessEnd, arguments: GrepArguments) -> list[str]:
    """Say how complete the answer is (P12)."""
    if end.timed_out:
        return [f"The search was stopped after {end.duration_s:.1f} s, its time limit."]
    if answer.counts is None:
        return [f"The search broke off (exit code {end.exit_code})."]
    counts = answer.counts
    notes = [f"{counts['searched']} files searched"]
    if answer.truncated:
        notes.append(f"only the first {arguments.limit} matching lines are shown")
    passed_over = [kind for kind in ("binary", "huge", "unreadable") if counts[kind]]
    return [*notes, *(f"{counts[kind]} {kind} files passed over" for kind in passed_over)]
