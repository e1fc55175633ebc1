"""The index of a transcript: a row for every record, a note for everything that is none.

Law: one streaming pass that never fails but with `OSError`; memory follows the records, not their
words. Every byte of the file stands on the line of a row, in a note, or is white space. An index is
never changed: `extended` gives a new one, equal to one that is built anew.
"""

from __future__ import annotations

import gc
import hashlib
import io
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import attrs
import msgspec

from holdfast.transcripts.bodies import Bodies
from holdfast.transcripts.imported import Note
from holdfast.transcripts.lines import Line, objects, read_lines, whole_lines
from holdfast.transcripts.rows import Entry, Names, Row, entry_of, row

Progress: TypeAlias = Callable[[int, int], None]
"""Is told the bytes that were read and those that there are."""

PROGRESS_BYTES: Final = 4 * 1024 * 1024
"""How often progress is told."""
BUFFER_BYTES: Final = 1024 * 1024
"""How much is read at once; most lines are shorter."""
EDGE_BYTES: Final = 4096
"""How much of the head and of the tail is compared to know a file again."""

_decode: Final = msgspec.json.Decoder(Entry).decode


@attrs.define
class About:
    """What the bookkeeping of a file says about its session; the latest of each.

    `leaf` is the line and the id of the last record that names the end of the active branch.
    `summaries` are pairs of the id that an old title is about, and the title.
    """

    versions: dict[str, None] = attrs.field(factory=dict)
    session_ids: dict[str, None] = attrs.field(factory=dict)
    session_id: str = ""
    cwd: str = ""
    model: str = ""
    titles: dict[str, str] = attrs.field(factory=dict)
    summaries: list[tuple[str, str]] = attrs.field(factory=list)
    leaf: tuple[int, str] | None = None

    def take(self, entry: Entry, line: int) -> None:
        """Note what one record says."""
        if entry.version and entry.version not in self.versions:
            self.versions[entry.version] = None
        if entry.session_id and entry.session_id != self.session_id:
            self.session_id = entry.session_id
            self.session_ids[entry.session_id] = None
        if entry.cwd and entry.cwd != self.cwd:
            self.cwd = entry.cwd
        if entry.customTitle or entry.aiTitle or entry.summary or entry.leafUuid:
            self._take_bookkeeping(entry, line)

    def _take_bookkeeping(self, entry: Entry, line: int) -> None:
        if entry.type == "custom-title" and entry.customTitle:
            self.titles["custom-title"] = entry.customTitle
        elif entry.type == "ai-title" and entry.aiTitle:
            self.titles["ai-title"] = entry.aiTitle
        elif entry.type == "summary" and entry.summary:
            self.summaries.append((entry.leafUuid or "", entry.summary))
        elif entry.type == "last-prompt" and entry.leafUuid:
            self.leaf = (line, entry.leafUuid)

    def title(self, known: Mapping[str, object]) -> str:
        """Return the name of the session: a person's, the program's, or an old summary."""
        own = [summary for leaf, summary in self.summaries if leaf in known]
        named = self.titles.get("custom-title") or self.titles.get("ai-title")
        return named or (own[-1] if own else "")

    def copy(self) -> About:
        """Return a copy that can be changed by itself."""
        return attrs.evolve(
            self,
            versions=dict(self.versions),
            session_ids=dict(self.session_ids),
            titles=dict(self.titles),
            summaries=list(self.summaries),
        )


@attrs.frozen
class _Resume:
    """Where reading goes on when the file has grown: behind its last whole line."""

    offset: int
    line: int
    about: About


@attrs.frozen(eq=False)
class TranscriptIndex:
    """All records of a file in file order, what could not be read, and what is said about it.

    `size` is how many bytes were read, `edges` a digest of the first and the last of them.
    """

    path: Path
    size: int
    mtime_ns: int
    rows: Sequence[Row]
    notes: Sequence[Note]
    about: About
    edges: bytes
    resume: _Resume

    @classmethod
    def build(cls, path: Path, *, progress: Progress | None = None) -> TranscriptIndex:
        """Read a file. Raises `OSError`."""
        with path.open("rb", buffering=BUFFER_BYTES) as stream:
            return _built(path, stream, _Builder(stream), progress)

    @classmethod
    def of_stream(cls, stream: BinaryIO) -> TranscriptIndex:
        """Read an open binary stream that can seek, from its beginning."""
        stream.seek(0)
        return _built(Path(), stream, _Builder(stream), None)

    @property
    def title(self) -> str:
        """The name of the session; empty when nobody gave it one."""
        return self.about.title({row.key: row for row in self.rows if not row.sidechain})

    def extended(self, *, progress: Progress | None = None) -> TranscriptIndex:
        """Return the index of the file as it is now, reading only what was appended.

        The same object when nothing changed; built anew when the file is not the same one, grown.
        Raises `OSError`.
        """
        with self.path.open("rb", buffering=BUFFER_BYTES) as stream:
            if self._is_of(stream):
                return self
            grown = _status(stream)[0] > self.size and _edges(stream, self.size) == self.edges
            return _built(self.path, stream, _Builder(stream, self if grown else None), progress)

    def rewritten(
        self, path: Path, same_bytes: int, *, progress: Progress | None = None
    ) -> TranscriptIndex:
        """Return the index of another file, which begins with the first `same_bytes` of this one.

        Reads what comes behind them, and the record before. Raises `OSError`.
        """
        place = bisect_left(self.rows, same_bytes, key=lambda row: row.start) - 1
        about = self.about.copy()
        offset, line = 0, 0
        if place >= 0:
            offset, line = self.rows[place].start, self.rows[place].line - 1
        if about.leaf is not None and about.leaf[0] > line:
            about.leaf = None  # it is read again
        older = attrs.evolve(self, resume=_Resume(offset, line, about))
        with path.open("rb", buffering=BUFFER_BYTES) as stream:
            return _built(path, stream, _Builder(stream, older), progress)

    def is_current(self) -> bool:
        """Say whether the file is still as it was read. Raises `OSError`."""
        with self.path.open("rb") as stream:
            return self._is_of(stream)

    def _is_of(self, stream: BinaryIO) -> bool:
        same = _status(stream) == (self.size, self.mtime_ns)
        return same and _edges(stream, self.size) == self.edges


class _Builder:
    """The pass over a file, from its beginning or from where an older index ends."""

    def __init__(self, stream: BinaryIO, older: TranscriptIndex | None = None) -> None:
        self._stream = stream
        self._names = Names()
        self.rows: list[Row] = []
        self.notes: list[Note] = []
        self.about = About()
        self.resume = _Resume(0, 0, About())
        if older is not None:
            self._go_on_from(older)

    def _go_on_from(self, older: TranscriptIndex) -> None:
        self.resume = older.resume
        self.rows = [row for row in older.rows if row.start < self.resume.offset]
        self.notes = [note for note in older.notes if note.start < self.resume.offset]
        self.about = self.resume.about.copy()
        self._names.update((known.uuid, known.uuid) for known in self.rows)

    def run(self, size: int, progress: Progress | None) -> int:
        """Read to the end, and return where that is."""
        end, number = self.resume.offset, self.resume.line
        self._stream.seek(end)
        told, is_open, last = end, False, b"\n"
        lines = read_lines(self._stream, self.notes, end, number)
        for line, start, stop, raw in whole_lines(lines, self.notes):
            entry = _entry(raw)
            if entry is None or not raw.endswith(b"\n"):
                if not is_open:
                    self._mark(start, line - 1)  # what is appended may be the rest of it
                is_open = True
            else:
                is_open = False
            if entry is None:
                self._salvage(Line(line, start, stop, self.notes), raw)
            else:
                self._take(entry, line, start, stop, 0)
            end, number, last = stop, line, raw
            if progress is not None and end - told >= PROGRESS_BYTES:
                told = end
                progress(end, size)
        self._tell_apart()
        if not is_open:
            self._mark(end, number + last.count(b"\n") - 1)
        if progress is not None:
            progress(size, size)
        return max(end, max((note.stop for note in self.notes), default=0))

    def _mark(self, offset: int, line: int) -> None:
        self.resume = _Resume(offset, line, self.about.copy())

    def _salvage(self, line: Line, raw: bytes) -> None:
        for piece, found in enumerate(objects(line, raw)):
            self._take(entry_of(found.value), line.number, line.start, line.stop, piece)

    def _take(self, entry: Entry, line: int, start: int, stop: int, piece: int) -> None:
        self.rows.append(row(entry, self._names, line, start, stop, piece))
        self.about.take(entry, line)

    def _tell_apart(self) -> None:
        """Mark records that stand twice; give other keys to different ones under one id.

        A record of a sub-agent never takes the key of one of the main track.
        """
        keys = [row.key for row in self.rows if row.key]
        if len(set(keys)) == len(keys):
            return
        bodies = Bodies(self._stream)
        places: dict[str, int] = {}
        for place, later in enumerate(self.rows):
            if not later.key or later.twice:
                continue
            first = self.rows[places.setdefault(later.key, place)]
            if first is later:
                continue
            if first.sidechain == later.sidechain and bodies.record(first) == bodies.record(later):
                later.twice = True
            elif first.sidechain and not later.sidechain:
                self.rows[places[later.key]] = msgspec.structs.replace(first, key=_other(first))
                places[later.key] = place
            else:
                later.key = _other(later)


def _entry(raw: bytes) -> Entry | None:
    """Read a line that is one clean record; None for any other."""
    if 0 <= raw.find(b"\n") < len(raw) - 1:
        return None
    try:
        entry = _decode(raw)
        if not raw.isascii():
            raw.decode()  # what was skipped is text too
    except (ValueError, RecursionError):
        return None
    return entry


def _other(row: Row) -> str:
    return f"{row.key}#{row.line}" + (f".{row.piece}" if row.piece else "")


def _built(
    path: Path, stream: BinaryIO, builder: _Builder, progress: Progress | None
) -> TranscriptIndex:
    size, mtime_ns = _status(stream)
    with gc_paused():
        end = builder.run(size, progress)
    return TranscriptIndex(
        path=path,
        size=end,
        mtime_ns=mtime_ns,
        rows=builder.rows,
        notes=builder.notes,
        about=builder.about,
        edges=_edges(stream, end),
        resume=builder.resume,
    )


def _status(stream: BinaryIO) -> tuple[int, int]:
    """Return size and time of change; those of a stream in memory have no time."""
    try:
        status = os.fstat(stream.fileno())
    except io.UnsupportedOperation:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _edges(stream: BinaryIO, size: int) -> bytes:
    """Return a digest of the head and the tail of the first `size` bytes."""
    stream.seek(0)
    head = stream.read(min(EDGE_BYTES, size))
    stream.seek(max(0, size - EDGE_BYTES))
    return hashlib.blake2b(head + stream.read(min(EDGE_BYTES, size)), digest_size=16).digest()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Leave cyclic garbage alone for one bounded pass, which makes none but keeps many objects."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
