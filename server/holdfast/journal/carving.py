"""Rows out of a damaged SQLite file, page by page, without SQLite.

Law: what is returned was written. Every page is looked at by itself, so damage costs the rows on
the damaged pages and no others, whatever page it is: the header and the inner pages of the trees
are not needed. A row counts only when its whole shape is one of ours; a blob's content must have
its digest, a record's payload must be JSON. Nothing here writes, or raises because of content.

The formats are those of sqlite.org/fileformat2.html: 1.5 (freelist), 1.6 (leaf pages, overflow),
2.1 (records) and 4 (the write-ahead log). The library has a recovery of its own, which apsw does
not contain.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import attrs

from holdfast.journal.schema import SEQ_BITS, SEQ_MASK
from holdfast.journal.sessions import is_json

Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Value, ...]
Read: TypeAlias = Callable[[int, int], bytes]  # (length, offset) -> at most that many bytes

PAGE_BYTES: Final = 4096  # what SQLite chose for every store so far
_PAGE_SIZES: Final = frozenset(1 << n for n in range(9, 17))
_TABLE_LEAF: Final = 13
_INDEX_LEAF: Final = 10
_WAL_HEADER: Final = struct.Struct(">8I")
_WAL_FRAME: Final = struct.Struct(">6I")
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)  # by serial type


@attrs.frozen
class SessionRow:
    """A row of `sessions`, without its head, which the records tell."""

    key: int
    session_id: str
    title: str
    workspace_uri: str | None
    model: str | None
    phase: str
    created_at_ms: int
    updated_at_ms: int
    head_seq: int
    archived: int


@attrs.frozen
class SessionName:
    """An entry of the index over session ids: it survives when the row itself does not."""

    key: int
    session_id: str


@attrs.frozen
class RecordRow:
    """A row of `records`."""

    key: int
    at_ms: int
    type: str
    version: int
    payload: bytes


@attrs.frozen
class BlobRow:
    """A row of `blobs`."""

    digest: str
    content: bytes


Found: TypeAlias = SessionRow | SessionName | RecordRow | BlobRow


class Pages:
    """The pages of a database file under those that its log has committed."""

    def __init__(self, read: Read, size: int, wal: bytes) -> None:
        """`read` reads the database file, which has `size` bytes."""
        self._read = read
        self._log = committed_pages(wal)
        header = self._log.get(1) or read(100, 0)
        size_said = int.from_bytes(header[16:18], "big") if len(header) >= 18 else 0
        size_said = 65_536 if size_said == 1 else size_said
        in_log = len(next(iter(self._log.values()), b""))
        said = size_said if size_said in _PAGE_SIZES else PAGE_BYTES
        self.page_bytes = in_log or said
        self.count = max(-(-size // self.page_bytes), *self._log, 0, 0)

    def page(self, number: int) -> bytes:
        """Return a page, padded with zeroes where the file ends too early."""
        if not 0 < number <= self.count:
            return bytes(self.page_bytes)
        found = self._log.get(number)
        if found is None:
            found = self._read(self.page_bytes, (number - 1) * self.page_bytes)
        return found.ljust(self.page_bytes, b"\0")

    def unused(self) -> set[int]:
        """Return the pages that hold deleted rows, as far as the list of them can be read."""
        free: set[int] = set()
        trunk = int.from_bytes(self.page(1)[32:36], "big")
        while 0 < trunk <= self.count and trunk not in free:
            free.add(trunk)
            page = self.page(trunk)
            following, leaves = struct.unpack_from(">2I", page)
            if leaves > self.page_bytes // 4 - 2:
                break
            free.update(struct.unpack_from(f">{leaves}I", page, 8))
            trunk = following
        return free


def carve(pages: Pages) -> Iterator[Found]:
    """Return every row of ours that can be read, in the order of the pages."""
    unused = pages.unused()
    for number in range(1, pages.count + 1):
        if number in unused:
            continue
        page = pages.page(number)
        start = 100 if number == 1 else 0
        if page[start] not in (_TABLE_LEAF, _INDEX_LEAF):
            continue
        for cell in _cells(page, start):
            found = _found(pages, page, cell, is_table=page[start] == _TABLE_LEAF)
            if found is not None:
                yield found


def committed_pages(wal: bytes) -> dict[int, bytes]:
    """Return the newest committed content of each page in a log (fileformat2, 4.1 to 4.3).

    As in SQLite's own recovery the log ends at the first frame whose salt or checksum is wrong.
    """
    committed: dict[int, bytes] = {}
    if len(wal) < _WAL_HEADER.size:
        return committed
    magic, _, page_bytes, _, *salt, sum_1, sum_2 = _WAL_HEADER.unpack_from(wal)
    order = {0x377F0682: "<", 0x377F0683: ">"}.get(magic)
    sums = (sum_1, sum_2)
    if order is None or page_bytes not in _PAGE_SIZES or sums != _sums(wal[:24], order, (0, 0)):
        return committed
    pending: dict[int, bytes] = {}
    frame_bytes = _WAL_FRAME.size + page_bytes
    for start in range(_WAL_HEADER.size, len(wal) - frame_bytes + 1, frame_bytes):
        number, commits, *rest = _WAL_FRAME.unpack_from(wal, start)
        page = wal[start + _WAL_FRAME.size : start + frame_bytes]
        sums = _sums(page, order, _sums(wal[start : start + 8], order, sums))
        if rest != [*salt, *sums]:
            break
        pending[number] = page
        if commits:
            committed.update(pending)
            pending.clear()
    return committed


def _sums(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """Go on with the log's checksum (fileformat2, 4.2)."""
    first, second = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _cells(page: bytes, start: int) -> Iterator[int]:
    """Return where the cells of a leaf page begin."""
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for at in range(start + 8, min(start + 8 + 2 * count, len(page) - 1), 2):
        cell = int.from_bytes(page[at : at + 2], "big")
        if start + 8 < cell < len(page):
            yield cell


def _found(pages: Pages, page: bytes, cell: int, *, is_table: bool) -> Found | None:
    """Read one cell as a row of ours; None when it is none."""
    try:
        size, at = _varint(page, cell)
        if not is_table:
            if at + size > len(page):  # no id of ours is so long that it needs more pages
                return None
            return _name(_values(page[at : at + size]))
        key, at = _varint(page, at)
        payload = _payload(pages, page, at, size)
        return None if payload is None else _row(key, _values(payload))
    except (IndexError, struct.error, UnicodeDecodeError):
        return None


def _payload(pages: Pages, page: bytes, at: int, size: int) -> bytes | None:
    """Return a table cell's payload with what overflowed into other pages (fileformat2, 1.6)."""
    usable = len(page)
    largest = usable - 35
    if size <= largest:
        return page[at : at + size] if at + size <= usable else None
    if size > usable * pages.count:
        return None
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    local = local if local <= largest else least
    if at + local + 4 > usable:
        return None
    parts = [page[at : at + local]]
    left, following = size - local, int.from_bytes(page[at + local : at + local + 4], "big")
    while left > 0:
        if not 0 < following <= pages.count:
            return None
        more = pages.page(following)
        parts.append(more[4 : 4 + min(left, usable - 4)])
        left -= usable - 4
        following = int.from_bytes(more[:4], "big")
    return b"".join(parts) if following == 0 else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length integer and where it ends. Raises `IndexError`."""
    value = 0
    for end in range(at, at + 8):
        value = value << 7 | data[end] & 0x7F
        if data[end] < 0x80:
            return value, end + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >> 63 else value, at + 9


def _values(payload: bytes) -> Row | None:
    """Decode a record (fileformat2, 2.1). None when its parts do not fill it exactly."""
    header_bytes, at = _varint(payload, 0)
    body = header_bytes
    values: list[Value] = []
    while at < header_bytes:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        values.append(value)
    return tuple(values) if (at, body) == (header_bytes, len(payload)) else None


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind <= 6:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return float(struct.unpack_from(">d", payload, at)[0]), at + 8
    if kind < 12:
        raise IndexError(kind)  # never in a file
    end = at + (kind - 12) // 2
    content = payload[at:end]
    return (content.decode() if kind % 2 else content), end


def _name(values: Row | None) -> Found | None:
    match values:
        case (str(session_id), int(key)) if key > 0 and not _is_digest(session_id):
            return SessionName(key, session_id)
        case _:
            return None


def _row(key: int, values: Row | None) -> Found | None:
    """Tell by its shape to which table a row belongs. The key's own column is empty."""
    match values:
        case (None, int(at_ms), str(kind), int(version), bytes(payload)) if (
            key >> SEQ_BITS > 0 and key & SEQ_MASK > 0 and is_json(payload)
        ):
            return RecordRow(key, at_ms, kind, version, payload)
        case (
            None,
            str(session_id),
            str(title),
            (str() | None) as workspace_uri,
            (str() | None) as model,
            str(phase),
            int(created),
            int(updated),
            int(head),
            int(archived),
        ) if key > 0 and session_id:
            return SessionRow(
                key,
                session_id,
                title,
                workspace_uri,
                model,
                phase,
                created,
                updated,
                head,
                int(bool(archived)),
            )
        case (str(digest), bytes(content)) if (
            _is_digest(digest) and hashlib.sha256(content).hexdigest() == digest
        ):
            return BlobRow(digest, content)
        case _:
            return None


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
