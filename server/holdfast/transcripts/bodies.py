"""Bodies: what the rows left in the file, read when it is asked for.

Law: one record in memory at a time, nothing kept, nothing written. A record that is gone, because
the file was changed meanwhile, is empty and no error; only the file system may fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import attrs

from holdfast.conversation.history import Block, blocks_from_content
from holdfast.transcripts.lines import Line, objects
from holdfast.transcripts.rows import Row, content_of

Blocks: TypeAlias = Callable[[Row], tuple[Block, ...]]
"""Finds the blocks of a row: whole ones, or skeletons."""

_NOTHING: Final[dict[str, Any]] = {}


@attrs.define
class Bodies:
    """The records of a file. Use `opened`, or give an open binary stream that can seek."""

    _stream: BinaryIO

    def raw(self, row: Row) -> bytes:
        """Return the line of a row, its end included."""
        self._stream.seek(row.start)
        return self._stream.read(row.stop - row.start)

    def record(self, row: Row) -> dict[str, Any]:
        """Return the record of a row as it stands in the file."""
        line = Line(row.line, row.start, row.stop, [])
        for number, found in enumerate(objects(line, self.raw(row))):
            if number == row.piece:
                return found.value
        return _NOTHING

    def blocks(self, row: Row) -> tuple[Block, ...]:
        """Return the blocks of a row's message; none for a row that says nothing."""
        return whole_blocks(content_of(self.record(row))) if row.role else ()


@contextmanager
def opened(path: Path) -> Iterator[Bodies]:
    """Open the bodies of a file. Raises `OSError`."""
    with path.open("rb") as stream:
        yield Bodies(stream)


def whole_blocks(content: Any) -> tuple[Block, ...]:
    """Read a content; one that is nested beyond all measure is empty."""
    try:
        return blocks_from_content(content)
    except RecursionError:
        return ()
