"""Where bytes of a transcript stand in the text that an editor shows, and the other way round.

Law: an editor also ends a line at a carriage return (LSP 3.17, text documents), the index only at a
line feed. Bytes that are no UTF-8 count as the replacements that an editor shows, a byte-order
mark at the head of a file as nothing. No more of the file is read than the lines asked for.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import attrs

from holdfast.transcripts.bodies import Bodies

if TYPE_CHECKING:
    from holdfast.transcripts.index import TranscriptIndex
    from holdfast.transcripts.rows import Row

Json: TypeAlias = dict[str, Any]

UTF_16: Final = "utf-16"
BOM: Final = b"\xef\xbb\xbf"
_READ_BYTES: Final = 1024 * 1024
_UNITS: Final = {"utf-8": ("utf-8", 1), UTF_16: ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
"""For each position encoding: the codec that writes its units, and the bytes of one."""
_RETURN: Final = re.compile(rb"\r(?!\n)")
_LINE_END: Final = re.compile("\r\n|\n|\r")


@attrs.frozen(eq=False)
class Source:
    """The bytes behind a view: a file, or a text that is not saved (`data`).

    `returns` are the offsets of the carriage returns that end a line by themselves.
    """

    index: TranscriptIndex
    data: bytes | None
    returns: Sequence[int]

    @contextmanager
    def opened(self, encoding: str = UTF_16) -> Iterator[Places]:
        """Open it for one answer. Raises `OSError`."""
        if self.data is not None:
            yield Places(self, io.BytesIO(self.data), encoding)
            return
        with self.index.path.open("rb") as stream:
            yield Places(self, stream, encoding)


def lone_returns(stream: BinaryIO) -> Sequence[int]:
    """Return the offsets of all carriage returns that no line feed follows."""
    found: list[int] = []
    offset, held = 0, b""
    while piece := stream.read(_READ_BYTES):
        if b"\r" in piece or held:
            piece = held + piece
            held = b"\r" if piece.endswith(b"\r") else b""
            whole = piece[: len(piece) - len(held)]
            found.extend(offset + match.start() for match in _RETURN.finditer(whole + b" "))
            offset += len(whole)
        else:
            offset += len(piece)
    return [*found, offset] if held else found


class Places:
    """Positions of one source, in the units that the editor counts in."""

    def __init__(self, source: Source, stream: BinaryIO, encoding: str) -> None:
        """Take a source that is open as `stream`; an unknown encoding counts as UTF-16."""
        self.rows = source.index.rows
        self.size = source.index.size
        self.bodies = Bodies(stream)
        self._returns = source.returns
        self._mark = BOM if source.data is None else b""
        self._stream = stream
        self._codec, self._unit = _UNITS.get(encoding, _UNITS[UTF_16])

    # -- from bytes to positions -------------------------------------------------------------------

    def line(self, row: Row) -> int:
        """Return the number of the line that a row begins on, from 0."""
        return row.line - 1 + bisect_left(self._returns, row.start)

    def start(self, row: Row) -> Json:
        """Return the beginning of a row's line."""
        return {"line": self.line(row), "character": 0}

    def behind(self, place: int) -> Json:
        """Return the beginning of the line behind the row at a place, or the end of the text."""
        row, after = self.rows[place], place + 1
        while after < len(self.rows) and self.rows[after].start < row.stop:
            after += 1
        if after < len(self.rows) and self.rows[after].start == row.stop:
            return self.start(self.rows[after])
        return self.position(row.stop)

    def position(self, offset: int) -> Json:
        """Return the position of a byte."""
        at = min(offset, self.size)
        number, start = self._line_before(at)
        before = self.read(start, at)
        line = number - 1 + before.count(b"\n") + bisect_left(self._returns, at)
        begins = max(before.rfind(b"\n") + 1, self._behind_return(at) - start)
        said = before[begins:]
        if start + begins == 0:
            said = said.removeprefix(self._mark)
        return {"line": line, "character": self._units(said)}

    def span(self, start: int, stop: int) -> Json:
        """Return the range of some bytes."""
        return {"start": self.position(start), "end": self.position(stop)}

    def range_of_bytes(self, number: int, start: int, raw: bytes) -> Json:
        """Return the range of a line of the file whose number, first byte and bytes are known."""
        line = number - 1 + bisect_left(self._returns, start)
        shown = raw.removeprefix(self._mark) if start == 0 else raw
        end = self._units(_RETURN.split(shown.rstrip(b"\r\n"))[0])
        return {
            "start": {"line": line, "character": 0},
            "end": {"line": line, "character": end},
        }

    def range_of_line(self, number: int) -> Iterator[Json]:
        """Yield the range of a line of the file (from 1), if a record stands on it."""
        at = bisect_left(self.rows, number, key=_number)
        if at < len(self.rows) and self.rows[at].line == number:
            yield self.words(self.rows[at].start, self.rows[at].stop)

    def words(self, start: int, stop: int) -> Json:
        """Return the range of some bytes without the end of the line they may end with."""
        raw = self.read(start, stop)
        return self.span(start, start + len(raw.rstrip(b"\r\n")))

    def read(self, start: int, stop: int) -> bytes:
        """Return some bytes; fewer when the file has become shorter."""
        self._stream.seek(start)
        return self._stream.read(max(0, stop - start))

    def _line_before(self, offset: int) -> tuple[int, int]:
        """Return number and first byte of the last line with a record that begins before."""
        at = bisect_right(self.rows, offset, key=_start) - 1
        return (self.rows[at].line, self.rows[at].start) if at >= 0 else (1, 0)

    def _behind_return(self, offset: int) -> int:
        at = bisect_left(self._returns, offset) - 1
        return self._returns[at] + 1 if at >= 0 else 0

    def _units(self, raw: bytes) -> int:
        return len(raw) if raw.isascii() else len(self._encoded(_shown(raw))) // self._unit

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._codec, errors="surrogatepass")

    # -- from positions to rows --------------------------------------------------------------------

    def rows_of(self, line: int) -> Sequence[Row]:
        """Return the records on a line of the editor; several when they were glued together."""
        at = bisect_right(self.rows, line, key=self.line) - 1
        if at < 0 or (line > self.line(self.rows[at]) and line > self._last_line(self.rows[at])):
            return ()
        first = at
        while first and self.rows[first - 1].line == self.rows[at].line:
            first -= 1
        return self.rows[first : at + 1]

    def between(self, first: int, last: int) -> range:
        """Return the places of the records that begin on some lines, both ends included."""
        return range(
            bisect_left(self.rows, first, key=self.line),
            bisect_right(self.rows, last, key=self.line),
        )

    def text_at(self, row: Row, position: Json) -> tuple[str, int]:
        """Return the line of the editor that a position in a row is on, and the place in it."""
        raw = self.read(row.start, row.stop)
        lines = _LINE_END.split(_shown(raw.removeprefix(self._mark) if row.start == 0 else raw))
        text = lines[min(position["line"] - self.line(row), len(lines) - 1)]
        if text.isascii():
            return text, min(position["character"], len(text))
        before = self._encoded(text)[: position["character"] * self._unit]
        return text, len(before.decode(self._codec, errors="ignore"))

    def _last_line(self, row: Row) -> int:
        """Return the last line of a row: another than its first when line ends broke it up."""
        last: int = self.words(row.start, row.stop)["end"]["line"]
        return last


def _shown(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _number(row: Row) -> int:
    return row.line


def _start(row: Row) -> int:
    return row.start
