"""JSON Lines as crashes leave them: NUL runs, torn and fused lines, broken characters.

Law: one pass, one line in memory, no exception for any content. Every byte of the file ends up in
an object, or in a note that says where it is (D05-D07).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, TypeAlias

import attrs
import msgspec

from holdfast.transcripts.imported import Note, NoteKind

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A longer line is set aside unread; the longest seen in the wild has 2 MB."""
STARTS_MAX: Final = 100
"""How many places of a damaged line are tried as the beginning of a record."""
PARTS_MAX: Final = 400
"""Into how many lines a record may have been broken; a wrapping at 80 columns makes so many."""
JOINED_BYTES_MAX: Final = 8 * 1024 * 1024
"""A longer record that was broken is not put together again; the longest seen has 2 MB."""
ENDS_MAX: Final = 20
"""How many ends of lines are tried as the end of a record that was broken."""

_BOM: Final = b"\xef\xbb\xbf"
_ENDS: Final = (b"}\n", b"}\r\n")
_BEGINNING: Final = b'{"parentUuid":'
_START: Final = re.compile(r'\{\s*"[A-Za-z_]{2,40}"\s*:')
_NAME: Final = re.compile(rb'"[\w.:/+=\r\n-]+"')
_decoder: Final = msgspec.json.Decoder()
_lenient: Final = json.JSONDecoder(strict=False)

IsRecord: TypeAlias = Callable[[Mapping[str, Any]], bool]
RawLine: TypeAlias = tuple[int, int, int, bytes]
"""Number, first byte, end and bytes of a line."""


@attrs.frozen
class Found:
    """One object of the file: its line (from 1), the line's bytes, and the object."""

    line: int
    start: int
    stop: int
    value: dict[str, Any]


def is_record(value: Mapping[str, Any]) -> bool:
    """Say whether an object is a record of Claude Code, and no part of one."""
    return isinstance(value.get("type"), str) and not value.keys().isdisjoint(
        {"uuid", "sessionId", "leafUuid", "messageId"}
    )


@attrs.define
class Line:
    """A line that is being read, and the notes about it."""

    number: int
    start: int
    stop: int
    notes: list[Note]
    is_record: IsRecord = is_record

    def note(self, kind: NoteKind, text: str) -> None:
        """Say something about the line."""
        self.notes.append(Note(kind, text, self.number, self.start, self.stop))

    def found(self, value: dict[str, Any]) -> Found:
        """Return an object of the line."""
        return Found(self.number, self.start, self.stop, value)


def read_objects(
    stream: BinaryIO, notes: list[Note], *, is_record: IsRecord = is_record
) -> Iterator[Found]:
    """Yield the objects of a JSON Lines file and append what is to be said about it to `notes`.

    Behind a damaged place reading goes on at the next object that `is_record`.
    """
    for number, start, stop, raw in whole_lines(read_lines(stream, notes), notes):
        yield from objects(Line(number, start, stop, notes, is_record), raw)


def read_lines(
    stream: BinaryIO,
    notes: list[Note],
    offset: int = 0,
    number: int = 0,
    *,
    line_bytes_max: int = LINE_BYTES_MAX,
) -> Iterator[RawLine]:
    """Yield number, first byte, end and bytes of each line, from byte `offset` on.

    `number` counts the lines before. A line that is too long is set aside with a note.
    """
    readline = stream.readline
    while piece := readline(line_bytes_max):
        number += 1
        start, raw = offset, piece
        offset += len(piece)
        if not piece.endswith(b"\n"):
            raw, offset, too_long = _rest_of_line(stream, piece, offset, line_bytes_max)
            if too_long:
                text = f"a line of more than {line_bytes_max} bytes was set aside"
                notes.append(Note("unread", text, number, start, offset))
                continue
        yield number, start, offset, raw


def _rest_of_line(
    stream: BinaryIO, piece: bytes, offset: int, bytes_max: int
) -> tuple[bytes, int, bool]:
    """Return a long line without its NUL bytes, where it ends, and whether it is too long."""
    raw, too_long = piece, False
    while not piece.endswith(b"\n") and (piece := stream.readline(bytes_max)):
        offset += len(piece)
        raw = raw.replace(b"\0", b"") + piece.replace(b"\0", b"")
        too_long = too_long or len(raw) > bytes_max
        raw = raw[:bytes_max]
    return raw, offset, too_long


def whole_lines(lines: Iterable[RawLine], notes: list[Note]) -> Iterator[RawLine]:
    """Yield the lines of a file; a record that was broken over several of them as one, with a note.

    A line is held back only while it begins as a record does and does not end as one.
    """
    held: list[RawLine] = []
    for line in lines:
        raw = line[3]
        if held and (len(held) == PARTS_MAX or _stands_alone(raw)):
            yield from _joined(held, notes)
            held = []
        if held or (raw.startswith(b"{") and not raw.endswith(_ENDS)):
            held.append(line)
        else:
            yield line
    yield from _joined(held, notes)


def _stands_alone(raw: bytes) -> bool:
    return raw.startswith(_BEGINNING) or (raw.startswith(b"{") and _is_value(raw))


def _joined(held: Sequence[RawLine], notes: list[Note]) -> Iterator[RawLine]:
    """Yield held lines, those that make a record together as one."""
    waiting = list(held)
    while waiting:
        count = _parts_of_first(waiting)
        number, start, _, raw = waiting[0]
        stop = waiting[count - 1][2]
        if count > 1:
            raw = b"".join(part for _, _, _, part in waiting[:count])
            notes.append(
                Note("mended", f"a record was broken over {count} lines", number, start, stop)
            )
        yield number, start, stop, raw
        del waiting[:count]


def _parts_of_first(waiting: Sequence[RawLine]) -> int:
    """Return how many lines make one record with the first; 1 when it stands by itself."""
    first = waiting[0][3]
    if len(waiting) == 1 or not first.startswith(b"{") or _is_value(first):
        return 1
    raw, tried = bytearray(first), 0
    for count, (_, _, _, part) in enumerate(waiting[1:], 2):
        raw += part
        if len(raw) > JOINED_BYTES_MAX or tried == ENDS_MAX:
            break
        if part.rstrip().endswith(b"}"):
            tried += 1
            if _is_value(_put_together(bytes(raw))):
                return count
    return 1


def _put_together(raw: bytes) -> bytes:
    """Mend what a line's end broke: names, ids, encoded bytes, numbers; in words it is white space.

    A whole line comes back as it is.
    """
    if not 0 <= raw.find(b"\n") < len(raw) - 1:
        return raw
    mended = _NAME.sub(_without_breaks, raw)
    bare = mended.replace(b"\r", b"").replace(b"\n", b"")
    return bare if _is_value(bare) and not _is_value(mended) else mended


def _without_breaks(name: re.Match[bytes]) -> bytes:
    return name[0].replace(b"\r", b"").replace(b"\n", b"")


def _is_value(raw: bytes) -> bool:
    """Say whether some bytes are one JSON value; ends of lines may stand in its texts."""
    text = raw.decode("utf-8", "replace").strip()
    return 0 < len(text) == value_at(text, 0)[1]


def objects(line: Line, raw: bytes) -> Iterator[Found]:
    """Yield the objects of a line, and note what is wrong with it."""
    raw = _put_together(raw)
    try:
        value = _decoder.decode(raw)
    except (ValueError, RecursionError):
        yield from _salvaged(line, raw)
        return
    if isinstance(value, dict):
        yield line.found(value)
    else:
        line.note("unread", "a line that is no object")


def _salvaged(line: Line, raw: bytes) -> Iterator[Found]:
    """Read what can be read of a line that is not one clean object."""
    text = _cleaned(line, raw)
    position, pieces = 0, 0
    while position < len(text):
        value, end = value_at(text, position)
        if end == position:
            end = _next_record(text, position, line.is_record)
            what = "the end of a torn record" if end == len(text) else "a torn record"
            line.note("unread", f"{what}: {end - position} characters could not be read")
        elif isinstance(value, dict):
            pieces += 1
            yield line.found(value)
        else:
            line.note("unread", "something that is no object")
        position = _skip_blanks(text, end)
    if pieces > 1:
        line.note("mended", f"{pieces} records stand on one line")


def _cleaned(line: Line, raw: bytes) -> str:
    raw = raw.removeprefix(_BOM)
    if b"\0" in raw:
        line.note("mended", f"{raw.count(0)} NUL bytes were skipped")
        raw = raw.replace(b"\0", b"")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        line.note("mended", "bytes that are not UTF-8 were replaced")
        text = raw.decode(errors="replace")
    return text.strip()


def value_at(text: str, position: int) -> tuple[Any, int]:
    """Return the JSON value at a position and where it ends; the same position if there is none."""
    try:
        value, end = _lenient.raw_decode(text, position)
    except (ValueError, RecursionError):
        return None, position
    return value, end


def _next_record(text: str, position: int, is_record: IsRecord) -> int:
    """Return where the next whole record begins behind a damaged place, or the text's length."""
    for tried, match in enumerate(_START.finditer(text, position + 1)):
        if tried == STARTS_MAX:
            break
        value, end = value_at(text, match.start())
        if end > match.start() and isinstance(value, dict) and is_record(value):
            return match.start()
    return len(text)


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
