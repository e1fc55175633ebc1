"""A damaged store is set aside, and all that can be read of it is carried over into a new one.

Law: the damaged file is kept byte for byte under another name, and whatever is still readable in it
is in the new store or in a file beside it. A session is carried over up to its first lost record:
from there on its records could mean something else, so those behind a gap go, as JSON lines, into
the file of leftovers. Nobody else may have the store open meanwhile: SQLite's own exclusive lock is
held from before the first byte is read until the new store has taken the old one's place.

Crashing is harmless at every step. The new store is built under a name of its own; once it is
complete and synced it is called `-salvaged`, and from then on the next opening finishes the change
of places, because the log may already be gone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import apsw
import attrs

from holdfast.journal import schema
from holdfast.journal.carving import (
    BlobRow,
    Pages,
    RecordRow,
    SessionName,
    SessionRow,
    carve,
)
from holdfast.journal.schema import SEQ_BITS, SEQ_MASK, rows
from holdfast.journal.store import StoreBusy, StoreUnreadable

logger = logging.getLogger(__name__)

RECOVERED_TITLE: Final = "Recovered session"
_COPY_BYTES: Final = 1 << 20


@attrs.frozen
class Salvage:
    """What became of a damaged store."""

    set_aside: Path
    """The damaged file under its new name; its log, if there was one, is beside it."""
    sessions: int
    records: int
    cut: tuple[str, ...]
    """Ids of the sessions that have lost records from some point on."""
    leftovers: Path | None
    """Readable records behind a gap, one JSON object a line."""
    leftover_records: int

    def __str__(self) -> str:
        words = [
            "The session store was damaged. What could be read of it was carried over: "
            f"{self.sessions} sessions with {self.records} records."
        ]
        if self.cut:
            words.append(f"Cut off where damage begins: {', '.join(self.cut)}.")
        if self.leftovers is not None:
            words.append(f"{self.leftover_records} later records are in {self.leftovers}.")
        words.append(f"The damaged file was kept: {self.set_aside}.")
        return " ".join(words)


def salvage(path: Path, vfs: str | None, *, certainly_ours: bool) -> Salvage | None:
    """Set the damaged store at `path` aside and put a new one with its content in its place.

    Returns None, with nothing changed, when nothing says that the file was ever a store of ours;
    `certainly_ours` says it already. Raises `StoreBusy`, `OSError` and `apsw.Error`; the store is
    then as it was.
    """
    with _alone(path, vfs) as file:
        pages = Pages(file.xRead, path.stat().st_size, _log_of(path))
        if not certainly_ours and not _is_ours(pages):
            return None
        aside = _free_name(path)
        fresh = _beside(path, "-salvaging")
        try:
            built = _build(pages, aside, fresh, vfs)
            _keep(path, file, aside)
            fresh.replace(_beside(path, "-salvaged"))
        except BaseException:
            for name in (fresh, aside, _leftovers_of(aside)):
                _remove(name)
            raise
        schema.sync_directory(path.parent)
        _take_place(path)
    logger.warning("damaged store set aside", extra={"aside": str(aside)})
    return built


def finish(path: Path, vfs: str | None) -> None:
    """Let a complete new store take its place, if a crash has kept it from that."""
    if _beside(path, "-salvaged").exists():
        with _alone(path, vfs):
            _take_place(path)


@contextmanager
def _alone(path: Path, vfs: str | None) -> Iterator[apsw.VFSFile]:
    """Hold the store's file with SQLite's exclusive lock. Raises `StoreBusy`.

    A connection keeps a shared lock for as long as it is open, so there is none in any process.
    """
    before = path.stat().st_ino
    file = apsw.VFSFile(
        vfs or "", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0]
    )
    try:
        for level in (apsw.SQLITE_LOCK_SHARED, apsw.SQLITE_LOCK_EXCLUSIVE):
            try:
                file.xLock(level)
            except apsw.BusyError as error:
                raise _in_use(path) from error
        if path.stat().st_ino != before:  # another process was quicker
            raise _in_use(path)
        yield file
    finally:
        file.xUnlock(apsw.SQLITE_LOCK_NONE)
        file.xClose()


def _in_use(path: Path) -> StoreBusy:
    return StoreBusy(f"The store {path} is damaged, and another server has it open.")


def _is_ours(pages: Pages) -> bool:
    """Whether a file without a header is a store: it holds a row of ours, or nothing at all."""
    if any(isinstance(found, SessionRow | SessionName | RecordRow) for found in carve(pages)):
        return True
    return not any(any(pages.page(number)) for number in range(1, pages.count + 1))


def _build(pages: Pages, aside: Path, fresh: Path, vfs: str | None) -> Salvage:
    """Make the new store, complete and synced, in one file."""
    _remove(fresh)
    leftovers = _Leftovers(_leftovers_of(aside))
    try:
        connection = schema.open_store(fresh, vfs)
    except StoreUnreadable as error:
        raise OSError(str(error)) from error
    try:
        connection.execute("BEGIN IMMEDIATE")
        sessions = _carry_over(pages, connection)
        cut = _trim(connection, sessions, leftovers)
        leftovers.sync()
        connection.execute("COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        (count,) = rows(connection, "SELECT count(*) FROM records")[0]
    finally:
        leftovers.close()
        schema.disconnect(connection)
    return Salvage(
        set_aside=aside,
        sessions=len(sessions),
        records=count,
        cut=cut,
        leftovers=leftovers.path if leftovers.count else None,
        leftover_records=leftovers.count,
    )


def _carry_over(pages: Pages, connection: apsw.Connection) -> dict[int, SessionRow]:
    """Insert all rows that can be read, and return the sessions, also those only guessed at."""
    sessions: dict[int, SessionRow] = {}
    names: dict[int, str] = {}
    for found in carve(pages):
        match found:
            case SessionRow():
                known = sessions.get(found.key)
                if known is None or known.head_seq <= found.head_seq:
                    sessions[found.key] = found
            case SessionName():
                names[found.key] = found.session_id
            case RecordRow():
                connection.execute(
                    "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)", attrs.astuple(found)
                )
            case BlobRow():
                connection.execute(
                    "INSERT OR IGNORE INTO blobs VALUES (?, ?)", attrs.astuple(found)
                )
    spans = rows(
        connection,
        "SELECT record_key >> ?, min(at_ms), max(at_ms) FROM records GROUP BY record_key >> ?",
        (SEQ_BITS, SEQ_BITS),
    )
    for key, first_ms, last_ms in [*spans, *((key, 0, 0) for key in names)]:
        if key not in sessions:
            sessions[key] = _without_row(key, names.get(key), first_ms, last_ms)
    return _with_unique_ids(sessions)


def _without_row(key: int, session_id: str | None, first_ms: int, last_ms: int) -> SessionRow:
    """Describe a session whose row is lost, from the index over ids and from its records."""
    return SessionRow(
        key=key,
        session_id=session_id or f"recovered-{key}",
        title=RECOVERED_TITLE,
        workspace_uri=None,
        model=None,
        phase="idle",
        created_at_ms=first_ms,
        updated_at_ms=last_ms,
        head_seq=0,
        archived=0,
    )


def _with_unique_ids(sessions: dict[int, SessionRow]) -> dict[int, SessionRow]:
    """Name the older of two sessions differently: an id can be in use again after a deletion."""
    taken: set[str] = set()
    unique: dict[int, SessionRow] = {}
    for key in sorted(sessions, reverse=True):
        row = sessions[key]
        if row.session_id in taken:
            row = attrs.evolve(row, session_id=f"{row.session_id}-recovered-{key}")
        taken.add(row.session_id)
        unique[key] = row
    return unique


def _trim(
    connection: apsw.Connection, sessions: dict[int, SessionRow], leftovers: _Leftovers
) -> tuple[str, ...]:
    """Keep each session's records up to the first gap; return the ids of those that have one."""
    cut = []
    for key, row in sorted(sessions.items()):
        head = _whole_until(connection, key)
        behind = leftovers.move(connection, row.session_id, key << SEQ_BITS | head)
        if behind or head < row.head_seq:
            cut.append(row.session_id)
        connection.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attrs.astuple(attrs.evolve(row, head_seq=head)),
        )
    return tuple(cut)


def _whole_until(connection: apsw.Connection, session_key: int) -> int:
    """Return the last seq of a session before which none is missing."""
    base = session_key << SEQ_BITS
    head = 0
    for (key,) in connection.execute(
        "SELECT record_key FROM records WHERE record_key BETWEEN ? AND ? ORDER BY record_key",
        (base, base | SEQ_MASK),
    ):
        if key & SEQ_MASK != head + 1:
            break
        head += 1
    return head


class _Leftovers:
    """The file of records behind a gap; made with the first of them, and private (P11)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._descriptor: int | None = None

    def move(self, connection: apsw.Connection, session_id: str, last_key: int) -> bool:
        """Take a session's records after `last_key` out of the store; False when there are none."""
        span = (last_key + 1, last_key | SEQ_MASK)
        where = "FROM records WHERE record_key BETWEEN ? AND ?"
        found = connection.execute(
            f"SELECT record_key, at_ms, type, version, payload {where} ORDER BY record_key",
            span,
        )
        before = self.count
        for key, at_ms, kind, version, payload in found:
            self._write(
                {
                    "sessionId": session_id,
                    "seq": key & SEQ_MASK,
                    "atMs": at_ms,
                    "type": kind,
                    "version": version,
                    "event": json.loads(payload),
                }
            )
        connection.execute(f"DELETE {where}", span)
        return self.count > before

    def _write(self, line: dict[str, object]) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        _write_all(self._descriptor, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self.count += 1

    def sync(self) -> None:
        """Make the lines survive power loss."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def _keep(path: Path, file: apsw.VFSFile, aside: Path) -> None:
    """Copy the damaged file and its log: not every file system knows a second name for a file.

    It is read through SQLite's descriptor, because closing another one would drop the lock. Never
    is more asked for than there is: trailing zeroes of a short read are not returned.
    """
    size = path.stat().st_size
    parts = (file.xRead(min(_COPY_BYTES, size - at), at) for at in range(0, size, _COPY_BYTES))
    _write_private(aside, parts)
    log = _log_of(path)
    if log:
        _write_private(_beside(aside, "-wal"), iter([log]))


def _take_place(path: Path) -> None:
    """Put the new store in the old one's place. Harmless when it is cut off and repeated."""
    for suffix in ("-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)
    schema.sync_directory(path.parent)
    _beside(path, "-salvaged").replace(path)
    schema.sync_directory(path.parent)
    schema.clear_suspicion(path)


def has_log(path: Path) -> bool:
    """Whether there is a log with something in it."""
    return bool(_log_of(path))


def _log_of(path: Path) -> bytes:
    """Return the log's bytes. SQLite keeps its locks elsewhere, so it may be opened as a file."""
    try:
        return _beside(path, "-wal").read_bytes()
    except FileNotFoundError:
        return b""


def _free_name(path: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    return _beside(path, f".damaged-{stamp}")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _leftovers_of(aside: Path) -> Path:
    return _beside(aside, ".leftovers.jsonl")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)


def _write_private(path: Path, parts: Iterator[bytes]) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        for part in parts:
            _write_all(descriptor, part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
