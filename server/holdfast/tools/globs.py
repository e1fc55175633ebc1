"""File globs that cannot run away.

Law: matching takes time in proportion to pattern times path. Patterns come from a model and run in
the server, where a backtracking match would freeze every session. Only the standard library is
imported here: the search worker starts fast.

`*`, `?` and `[…]` stay within one path segment, `**` spans any number of them, `{a,b}` are
alternatives. A pattern without `/` matches file names in any folder.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import Final

ALTERNATIVES_MAX: Final = 64
_ANY_DEPTH: Final = "**"
_BRACES: Final = re.compile(r"\{([^{}]*,[^{}]*)\}")


class TooManyAlternatives(ValueError):
    """The braces of a pattern stand for more than `ALTERNATIVES_MAX` patterns."""


class Glob:
    """A compiled pattern for relative paths with `/`."""

    def __init__(self, pattern: str) -> None:
        """Compile. Raises `TooManyAlternatives`."""
        self._alternatives = tuple(_compile(one) for one in _expand(pattern))

    def matches(self, path: str) -> bool:
        """Say whether a relative path with `/` matches."""
        segments = path.split("/")
        return any(_matches(one, segments) for one in self._alternatives)


def _expand(pattern: str) -> tuple[str, ...]:
    """Resolve `{a,b}`, innermost first."""
    done: list[str] = []
    pending = [pattern]
    while pending:
        current = pending.pop()
        found = _BRACES.search(current)
        if found is None:
            done.append(current)
        else:
            before, after = current[: found.start()], current[found.end() :]
            pending += [before + one + after for one in found[1].split(",")]
        if len(done) + len(pending) > ALTERNATIVES_MAX:
            raise TooManyAlternatives(f"the braces stand for more than {ALTERNATIVES_MAX} patterns")
    return tuple(done)


def _compile(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """Return one expression per segment, None for `**`.

    `fnmatch.translate` makes atomic groups, so one segment is matched without backtracking.
    """
    segments = [segment for segment in pattern.split("/") if segment not in ("", ".")]
    if "/" not in pattern:
        segments.insert(0, _ANY_DEPTH)
    return tuple(
        None if segment == _ANY_DEPTH else re.compile(fnmatch.translate(segment))
        for segment in segments
    )


def _matches(pattern: Sequence[re.Pattern[str] | None], segments: Sequence[str]) -> bool:
    """Match greedily, going back to the last `**` only: that one is always enough."""
    at = position = 0
    retry_at, retry_position = -1, 0
    while position < len(segments):
        if at < len(pattern) and pattern[at] is None:
            retry_at, retry_position = at, position
            at += 1
        elif at < len(pattern) and _segment_matches(pattern[at], segments[position]):
            at, position = at + 1, position + 1
        elif retry_at >= 0:
            retry_position += 1
            at, position = retry_at + 1, retry_position
        else:
            return False
    return all(segment is None for segment in pattern[at:])


def _segment_matches(expression: re.Pattern[str] | None, segment: str) -> bool:
    return expression is not None and expression.match(segment) is not None
