"""The search behind `grep`, run as a program of its own.

Law: reads one JSON request from standard input and writes JSON lines: `{"path", "line", "text"}`
per match, flushed file by file, then one `{"done": …}` or `{"error": …}`. Python's `re` cannot be
interrupted and holds the interpreter's lock, so a catastrophic pattern would freeze a server that
ran it in a thread; a process can be killed. Only the standard library is imported: it starts fast.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from holdfast.tools.globs import Glob, TooManyAlternatives
from holdfast.tools.walk import files_below

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
BINARY_PROBE_BYTES: Final = 8192
EXCERPT_CHARS: Final = 300


class Search:
    """One search and its counts."""

    def __init__(self, request: dict[str, Any]) -> None:
        """Compile the request. Raises `re.error`, `TooManyAlternatives` and their like."""
        flags = re.IGNORECASE if request["ignore_case"] else 0
        self._pattern = re.compile(request["pattern"], flags)
        self._wanted = Glob(request["glob"]) if request["glob"] else None
        self._root: str = request["root"]
        self._include_ignored: bool = request["include_ignored"]
        self._room: int = request["limit"]
        self.counts = {"searched": 0, "binary": 0, "huge": 0, "unreadable": 0}
        self.truncated = False

    def matches(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the matches of each file that has some, in the walk's order."""
        for path, relative in self._files():
            if self._wanted is not None and not self._wanted.matches(relative):
                continue
            text = self._text(path)
            if text is None:
                continue
            found = self._in_text(text, relative)
            if found:
                yield found
            if self.truncated:
                return

    def _files(self) -> Iterator[tuple[str, str]]:
        if not os.path.isdir(self._root):  # noqa: PTH112 - plain strings throughout
            yield self._root, os.path.basename(self._root)  # noqa: PTH119 - as above
            return
        walked = files_below(
            self._root, include_ignored=self._include_ignored, should_stop=lambda: False
        )
        for relative in walked:
            yield os.path.join(self._root, relative), relative  # noqa: PTH118 - as above

    def _text(self, path: str) -> str | None:
        """Return a file's text; None, counted, when it is no text or cannot be read."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as above
                data = file.read(FILE_BYTES_MAX + 1)
        except OSError:
            self.counts["unreadable"] += 1
            return None
        if len(data) > FILE_BYTES_MAX:
            self.counts["huge"] += 1
        elif b"\0" in data[:BINARY_PROBE_BYTES]:
            self.counts["binary"] += 1
        else:
            self.counts["searched"] += 1
            return data.decode(errors="replace")
        return None

    def _in_text(self, text: str, relative: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for number, line in enumerate(text.split("\n"), start=1):
            match = self._pattern.search(line)
            if match is None:
                continue
            if self._room == 0:
                self.truncated = True
                break
            self._room -= 1
            found.append({"path": relative, "line": number, "text": _excerpt(line, match.start())})
        return found


def _excerpt(line: str, position: int) -> str:
    """Return the part of a long line around a match."""
    line = line.removesuffix("\r")
    if len(line) <= EXCERPT_CHARS:
        return line
    start = max(0, min(position - EXCERPT_CHARS // 4, len(line) - EXCERPT_CHARS))
    end = start + EXCERPT_CHARS
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def _limit_cpu(seconds: int) -> None:
    """Die of CPU time when nobody is left to kill us: the server may be gone before we are."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _write(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def main() -> None:
    """Answer the one request on standard input."""
    request = json.loads(sys.stdin.buffer.read())
    _limit_cpu(request["cpu_s"])
    try:
        search = Search(request)
    except (re.error, RecursionError, OverflowError) as error:
        _write({"error": f"invalid regular expression: {error}"})
        return
    except TooManyAlternatives as error:
        _write({"error": f"invalid `glob`: {error}"})
        return
    for found in search.matches():
        for match in found:
            _write(match)
        sys.stdout.flush()
    _write({"done": search.counts, "truncated": search.truncated})


if __name__ == "__main__":
    main()
