"""The index of sessions' pasts: one SQLite file with FTS5 for each session.

Law: what lies here can be thrown away at any moment. It holds no text that could be read back
(a contentless index), only which words stand in which entry. A file that is missing, damaged or
of another format is emptied and made anew; one that does not fit the history (it grew, was
repaired or rewound) is brought in line entry by entry, by digests. Writes are short transactions
that any number of servers may repeat; files are open only while they are used.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from holdfast.journal.schema import DAMAGE, require_sound_sqlite, rows
from holdfast.journal.search import Past, SearchUnavailable
from holdfast.journal.store import StoreError

_FORMAT: Final = 1
_BATCH_BYTES: Final = 2_000_000
"""How much text one transaction takes in: the memory it needs and the time others wait for it."""
_CACHE_KIB: Final = 8_000
_BUSY_TIMEOUT_MS: Final = 5_000

_TABLES: Final = f"""
CREATE VIRTUAL TABLE words USING fts5(
    text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);
CREATE TABLE entries (entry INTEGER PRIMARY KEY, digest BLOB NOT NULL) STRICT;
PRAGMA user_version = {_FORMAT};
"""
_FOUND: Final = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid DESC LIMIT ?"

logger = logging.getLogger(__name__)


class _Stopped(Exception):
    """Nobody waits for the result any more."""


class SqliteIndex:
    """A `SearchIndex` in a folder of its own. All work is done in worker threads."""

    def __init__(self, folder: Path, *, vfs: str | None = None) -> None:
        """Keep the indexes in `folder`, which is made (0700) when it is needed first.

        `vfs` names a registered apsw VFS, through which all files are then read and written.
        """
        self._folder = folder
        self._vfs = vfs
        self._locks: dict[str, asyncio.Lock] = {}

    async def search(
        self, session_id: str, past: Past, terms: Sequence[str], limit: int
    ) -> list[int]:
        """Return the entries that hold the terms, the best first. Raises `SearchUnavailable`.

        The first search of a long session reads all of it; what is done then stays done, also
        when the caller gives up.
        """
        stop = threading.Event()
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            try:
                return await asyncio.to_thread(
                    self._search, self._path(session_id), past, tuple(terms), limit, stop
                )
            finally:
                stop.set()

    async def forget(self, session_id: str) -> None:
        """Remove a session's index."""
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            try:
                await asyncio.to_thread(_remove, self._path(session_id))
            except OSError as error:
                raise SearchUnavailable(f"The search index cannot be removed: {error}.") from error
        self._locks.pop(session_id, None)

    def _path(self, session_id: str) -> Path:
        # A hash, because an id may hold what no file name may.
        return self._folder / f"{hashlib.sha256(session_id.encode()).hexdigest()[:32]}.db"

    def _search(
        self, path: Path, past: Past, terms: Sequence[str], limit: int, stop: threading.Event
    ) -> list[int]:
        try:
            require_sound_sqlite(apsw.sqlite_lib_version())
            try:
                return self._looked_up(path, past, terms, limit, stop)
            except (*DAMAGE, apsw.SQLError) as damage:
                # Damage, or tables that are not ours: both are mended by beginning again.
                logger.warning("a search index is made anew", extra={"error": str(damage)})
                _empty(path, self._vfs)
                return self._looked_up(path, past, terms, limit, stop)
        except _Stopped:
            return []
        except (apsw.Error, OSError, StoreError) as error:
            raise SearchUnavailable(_in_words(error)) from error

    def _looked_up(
        self, path: Path, past: Past, terms: Sequence[str], limit: int, stop: threading.Event
    ) -> list[int]:
        connection = _open(path, self._vfs)
        try:
            _bring_in_line(connection, past, stop)
            return _ranked(connection, past, terms, limit)
        finally:
            connection.close(force=True)


def _open(path: Path, vfs: str | None) -> apsw.Connection:
    """Open an index, creating it (0600) where none is."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("cell_size_check", 1)
        connection.pragma("synchronous", "NORMAL")  # what a power cut damages is made anew
        with _transaction(connection):
            _prepare(connection)
    except BaseException:
        connection.close(force=True)
        raise
    return connection


def _prepare(connection: apsw.Connection) -> None:
    """Make the tables where there is nothing. Raises `CorruptError` for what is not ours."""
    version = connection.pragma("user_version")
    if version == 0 and not rows(connection, "SELECT 1 FROM sqlite_schema"):
        connection.execute(_TABLES)
    elif version != _FORMAT:
        raise apsw.CorruptError(f"The index has format {version}.")


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    """Run the block as one transaction that other servers wait for."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _bring_in_line(connection: apsw.Connection, past: Past, stop: threading.Event) -> None:
    """Take in what is new or has changed, drop what is gone."""
    digests = past.digests
    known: dict[int, bytes] = dict(rows(connection, "SELECT entry, digest FROM entries"))
    gone = [entry for entry, digest in known.items() if digests.get(entry) != digest]
    missing = [entry for entry, digest in digests.items() if known.get(entry) != digest]
    if gone:
        with _transaction(connection):
            connection.executemany("DELETE FROM words WHERE rowid = ?", [(e,) for e in gone])
            connection.executemany("DELETE FROM entries WHERE entry = ?", [(e,) for e in gone])
    for batch in _batches(past, missing, stop):
        with _transaction(connection):
            # "OR REPLACE": another server may be taking in the same.
            connection.executemany(
                "INSERT OR REPLACE INTO words (rowid, text) VALUES (?, ?)", batch
            )
            connection.executemany(
                "INSERT OR REPLACE INTO entries (entry, digest) VALUES (?, ?)",
                [(entry, digests[entry]) for entry, _ in batch],
            )


def _batches(
    past: Past, entries: Iterable[int], stop: threading.Event
) -> Iterable[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size = 0
    for entry in entries:
        if stop.is_set():
            raise _Stopped
        text = past.text_of(entry)
        batch.append((entry, text))
        size += len(text)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ranked(connection: apsw.Connection, past: Past, terms: Sequence[str], limit: int) -> list[int]:
    """Return entries with all terms, then those with words that begin like one of them."""
    quoted = [_quoted(term) for term in terms if any(map(str.isalnum, term))]
    found: dict[int, None] = {}
    for query in (" AND ".join(quoted), " OR ".join(f"{term} *" for term in quoted)):
        if query and len(found) < limit:
            matches = rows(connection, _FOUND, (query, 2 * limit))
            found |= dict.fromkeys(entry for (entry,) in matches if entry in past.digests)
    return list(found)[:limit]


def _quoted(term: str) -> str:
    """Return a term as a string of FTS5's query language, in which nothing else is special."""
    return '"' + term.replace("\x00", " ").replace('"', '""') + '"'


def _empty(path: Path, vfs: str | None) -> None:
    """Make an index a blank database, whatever is in the file.

    In place, under SQLite's own locks: were the file replaced while another server uses it, that
    one's rollback journal would be played into the new file.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 1)
        connection.execute("VACUUM")
    finally:
        connection.close(force=True)


def _remove(path: Path) -> None:
    """Remove an index with its rollback journal, the journal first: it must not outlive it."""
    for file in (path.with_name(path.name + "-journal"), path):
        file.unlink(missing_ok=True)


def _in_words(error: Exception) -> str:
    match error:
        case apsw.FullError():
            return "The disk is full, so the search index cannot be written."
        case apsw.BusyError() | apsw.LockedError():
            return "Another server is making the search index."
        case StoreError():
            return str(error)
        case _:
            return f"The search index cannot be used: {error}."
