"""What calls did over and over: commands that ran, files that were read and changed.

Law: counted all, looked at closely only where it can be shown: the newest. A result stays bytes
until then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from holdfast.conversation.activity import calls as about
from holdfast.conversation.activity.facts import Ending, FileUse, Lines, Run
from holdfast.conversation.activity.reading import Arguments, ends, read
from holdfast.conversation.history import Block

RUNS_MAX: Final = 250
FILES_MAX: Final = 120
USES_MAX: Final = 30
ALL_USES_MAX: Final = 200
"""Of so many of the newest the details are read."""

_TELLING: Final = re.compile(
    r"error|fail|exception|fatal|panic|denied|not found|cannot|traceback|no such", re.IGNORECASE
)
_EMPTY_LINE: Final = re.compile(
    r"^(?:\[?exit code -?\d+(?: after [\d.]+ s)?\]?|\((?:\w+ completed with )?no output\)|"
    r"command: .*|chunk id: .*|wall time: .*|process exited with code .*|original token count: .*|"
    r"output:)$",
    re.IGNORECASE,
)
_TERMINAL_CODES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Runs:
    """What became of each command line or task: how often it ran and what came last."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int, Block, bool]] = {}

    def add(self, line: str, result: Block, *, failed: bool) -> None:
        """Count a run."""
        times, failures, _, _ = self._last.pop(line, (0, 0, result, False))
        self._last[line] = (times + 1, failures + failed, result, failed)

    def found(self) -> tuple[Run, ...]:
        """Return the runs, each line once."""
        found: list[Run] = []
        looked_at = {True: 0, False: 0}
        for line, (times, failures, result, failed) in reversed(self._last.items()):
            looked_at[failures > 0] += 1
            close = looked_at[failures > 0] <= RUNS_MAX
            said = telling_line(result, failed=failed) if close else ""
            ended: Ending = "ok" if not failed else "refused" if about.refused(result) else "failed"
            found.append(Run(line, said, ended, times, failures))
        return tuple(reversed(found))


def telling_line(result: Block, *, failed: bool) -> str:
    """Return the line of an output that says most: of a failure one that names it."""
    if failed and about.refused(result):
        return ""
    output = ends(read(result).content)
    lines = [line for line in map(_bare, output.head.splitlines()) if line]
    if not failed:
        return lines[0] if lines else ""
    late = [line for line in map(_bare, output.tail.splitlines()) if line]
    named = next((line for line in (*lines, *late) if _TELLING.search(line)), "")
    return named or (late[-1] if late else "")


def _bare(line: str) -> str:
    """Return a line without what says nothing: colours, tags, exit codes, "no output"."""
    if "\x1b" in line:
        line = _TERMINAL_CODES.sub("", line)
    line = line.strip().removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
    return "" if _EMPTY_LINE.match(line) else line


class Files:
    """How files were used, in the order in which they were last touched."""

    def __init__(self) -> None:
        self._calls: dict[str, list[Arguments]] = {}
        self._results: dict[str, list[Block]] = {}

    def add(self, path: str, arguments: Arguments, result: Block) -> None:
        """Count a use."""
        calls = self._calls.pop(path, None)
        if calls is None:
            self._calls[path], self._results[path] = [arguments], [result]
            return
        calls.append(arguments)
        self._calls[path] = calls
        self._results[path].append(result)

    def __contains__(self, path: str) -> bool:
        return path in self._calls

    def found(self, but: Files | None = None) -> tuple[FileUse, ...]:
        """Return the files, except those that `but` has as well."""
        found: list[FileUse] = []
        left = ALL_USES_MAX
        for path, calls in reversed(self._calls.items()):
            if but is not None and path in but:
                continue
            lines: Lines = ()
            if left > 0 and len(found) < FILES_MAX:
                lines = _lines(calls[-USES_MAX:], self._results[path][-USES_MAX:])
                left -= min(len(calls), USES_MAX)
            found.append(FileUse(path, len(calls), lines))
        return tuple(reversed(found))


def _lines(calls: Sequence[Arguments], results: Sequence[Block]) -> Lines:
    found: list[tuple[int, int]] = []
    for arguments, result in zip(calls, results, strict=True):
        asked = about.called_lines(arguments)
        found += (asked,) if asked else about.told_lines(ends(read(result).content))
    return about.merged(found)
