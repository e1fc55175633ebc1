"""The database file: its format, its checks on opening, and how a connection is set up.

Law: opening never changes a file that is not ours, is damaged, or is of a newer format; it creates
a store only where there is nothing. What happens to a damaged one is said in `opening`. The
format's number is SQLite's `user_version`; the mark that a file is ours is its `application_id`.
Both are read from the file's first 100 bytes before SQLite is let near it, because SQLite may write
while it opens (recovery, checkpoint on close).

The store file is never opened with `open()`: closing such a descriptor drops the POSIX locks that
SQLite holds on the same file in this process (sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Final

import apsw

from holdfast.journal.store import (
    SessionUnknown,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreTooNew,
    StoreUnreadable,
)

logger = logging.getLogger(__name__)

FORMAT: Final = 1
APPLICATION_ID: Final = 0x484F_4C44  # "HOLD"

# With two connections on one file, older versions can lose commits or corrupt the file when the
# WAL is reset (fixed in 3.51.3). A packaged apsw may be linked to an older library.
SQLITE_VERSION_MIN: Final = (3, 51, 3)

# How long a connection waits for another process before it gives up.
BUSY_TIMEOUT_MS: Final = 5_000

# A record's key is its session's key above its seq: the rows of a session lie together, in order,
# and a row of a few KB stays in one page, which an index-organised table would not allow.
SEQ_BITS: Final = 32
SEQ_MASK: Final = (1 << SEQ_BITS) - 1

# What SQLite raises when the file's content, not the disk or the caller, is at fault.
DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError)

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_WAL_BYTES_KEPT: Final = 16 * 1024 * 1024

# `AUTOINCREMENT` never gives a number twice: a session created anew under an old id gets a new
# key, and a lease's generation grows for ever, even across releases and deletions.
_TABLES: Final = f"""
CREATE TABLE sessions (
    session_key   INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id    TEXT NOT NULL UNIQUE,
    title         TEXT NOT NULL,
    workspace_uri TEXT,
    model         TEXT,
    phase         TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    head_seq      INTEGER NOT NULL,
    archived      INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    record_key INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    type       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    payload    BLOB NOT NULL
) STRICT;
CREATE TABLE leases (
    generation   INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key  INTEGER NOT NULL UNIQUE REFERENCES sessions ON DELETE CASCADE,
    owner        TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    host         TEXT NOT NULL,
    started      TEXT,
    heartbeat_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE blobs (
    digest  TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""


def open_store(path: Path, vfs: str | None) -> apsw.Connection:
    """Open the store at `path`, creating it where there is none, and return its connection.

    Raises `StoreTooNew`, `StoreDamaged`, `StoreBusy` and otherwise `StoreUnreadable`; an existing
    file is then byte for byte as before.
    """
    ours = False
    try:
        require_sound_sqlite(apsw.sqlite_lib_version())
        _create_private_file(path)
        _require_writable(path)
        ours = _check_header(path, vfs)
        return _open_checked(path, vfs)
    except DAMAGE as error:
        says = f"The store {path} cannot be opened, as it is damaged: {error}."
        raise StoreDamaged(says, ours=ours) from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"The store {path} cannot be opened: {error}.") from error
    except (apsw.Error, OSError) as error:
        raise StoreUnreadable(f"The store {path} cannot be opened: {error}.") from error


def connect(path: Path, vfs: str | None) -> apsw.Connection:
    """Open one more connection to a store that `open_store` has accepted.

    Raises `apsw.Error`.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    try:
        _configure(connection)
    except BaseException:
        disconnect(connection)
        raise
    return connection


def disconnect(connection: apsw.Connection) -> None:
    """Close a connection, whatever the disk says.

    The last one moves the WAL into the file; when that fails the WAL stays, with all that is in it.
    """
    try:
        connection.close(force=True)
    except apsw.Error as error:
        logger.warning("journal closed with an error", extra={"error": str(error)})


def suspect(path: Path, why: str) -> None:
    """Leave a mark beside the store that it showed damage, so that the next opening checks it all.

    The mark is a file, because the store itself cannot be trusted to keep it.
    """
    logger.error("the store is damaged", extra={"error": why})
    try:
        os.close(os.open(_suspicion(path), os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        logger.warning("the store could not be marked as damaged", extra={"error": str(error)})


def is_suspect(path: Path) -> bool:
    """Whether the store has shown damage since it was last found sound."""
    return _suspicion(path).exists()


def clear_suspicion(path: Path) -> None:
    """Take the mark away. Raises `OSError`."""
    _suspicion(path).unlink(missing_ok=True)


def _suspicion(path: Path) -> Path:
    return path.with_name(path.name + "-suspect")


def rows(
    connection: apsw.Connection, statement: str, bindings: apsw.Bindings | None = None
) -> list[tuple[Any, ...]]:
    """Run one statement and return all its rows.

    STRICT tables vouch for the values' types, as long as the page they are on is sound.
    """
    return list(connection.execute(statement, bindings))


def unknown_session(connection: apsw.Connection, session_id: str) -> StoreError:
    """Return why a session is not found: there is none, or a page of the index is damaged.

    The table is read past the index, which has been seen to lose a session that lists still show.
    """
    listed = "SELECT 1 FROM sessions NOT INDEXED WHERE session_id = ?"
    if rows(connection, listed, (session_id,)):
        return StoreDamaged(f"Session {session_id!r} is missing in the index of sessions.")
    return SessionUnknown(session_id)


def require_sound_sqlite(version: str) -> None:
    """Refuse an SQLite library that can corrupt a store. Raises `StoreUnreadable`."""
    if tuple(int(part) for part in version.split(".")) < SQLITE_VERSION_MIN:
        needed = ".".join(map(str, SQLITE_VERSION_MIN))
        raise StoreUnreadable(
            f"SQLite {version} can corrupt a store in use; {needed} or newer is needed."
        )


def _create_private_file(path: Path) -> None:
    """Create the file (0600) and its directory (0700) unless they exist.

    SQLite gives its `-wal` and `-shm` files the permissions of the main file.
    """
    directory = path.parent
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in missing:
        sync_directory(folder.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def sync_directory(directory: Path) -> None:
    """Make new and changed entries of a directory survive power loss. Windows has no such call."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_writable(path: Path) -> None:
    """Refuse early what SQLite would open read-only and fail on later."""
    if not path.is_file():
        raise StoreUnreadable(f"The store {path} is not a file.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnreadable(f"The store {path} cannot be read and written by this user.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreUnreadable(f"The directory {path.parent} cannot be written by this user.")


def _check_header(path: Path, vfs: str | None) -> bool:
    """Judge a file by its first bytes, through SQLite's own descriptor table.

    Returns whether they say that it is a store.
    """
    if path.stat().st_size == 0:
        return False
    file = apsw.VFSFile(
        vfs or "", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
    )
    try:
        header = file.xRead(_HEADER_BYTES, 0)
    finally:
        file.xClose()
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StoreDamaged(
            f"The file {path} is not a Holdfast store, nor any SQLite database.", ours=False
        )
    application_id = int.from_bytes(header[68:72], "big", signed=True)
    _check_identity(path, application_id, int.from_bytes(header[60:64], "big", signed=True))
    return application_id == APPLICATION_ID


def _check_identity(path: Path, application_id: int, version: int) -> None:
    """Refuse a foreign or newer file. All zeroes may be a store whose creation was cut off."""
    if (application_id, version) == (0, 0):
        return
    if application_id != APPLICATION_ID:
        raise StoreUnreadable(f"The file {path} is another program's SQLite database.")
    if version > FORMAT:
        raise StoreTooNew(str(path), version, FORMAT)
    if version < 1:
        raise StoreUnreadable(f"The store {path} has format {version}, which never existed.")


def _open_checked(path: Path, vfs: str | None) -> apsw.Connection:
    """Open with SQLite, look again at what the WAL may say, and only then allow writing."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # Were this the last connection, closing it would move the WAL into the file. Without a
        # WAL there is nothing to move, and closing removes the empty one that SQLite makes.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(_has_wal(path)))
        blank = _is_blank(path, connection)
        _configure(connection)
        if blank:
            _create_tables(path, connection)
        _keep_private(path)
        # Nothing works without the sessions' rows, which are few: damage there shows at once.
        rows(connection, "SELECT max(head_seq), max(title) FROM sessions")
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    except BaseException:
        disconnect(connection)
        raise
    return connection


def _has_wal(path: Path) -> bool:
    wal = path.with_name(path.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0


def _is_blank(path: Path, connection: apsw.Connection) -> bool:
    """Whether there is a store still to be made. Raises for a file that must not be touched."""
    if connection.readonly("main"):
        raise StoreUnreadable(f"The store {path} can only be read.")
    with connection:  # one snapshot: another process may be creating the store right now
        application_id = connection.pragma("application_id")
        version = connection.pragma("user_version")
        tables = {name for (name,) in rows(connection, "SELECT name FROM sqlite_schema")}
    _check_identity(path, int(application_id), int(version))
    if application_id == APPLICATION_ID:
        if not tables >= {"sessions", "records", "leases", "blobs"}:
            raise StoreDamaged(f"The store {path} is damaged: tables are missing.")
        return False
    if tables:
        raise StoreUnreadable(f"The file {path} is another program's SQLite database.")
    return True


def _configure(connection: apsw.Connection) -> None:
    """Set what SQLite does not keep in the file. `journal_mode` is kept, so it is set last."""
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.wal_autocheckpoint(0)  # the writer does it, after it has answered
    connection.pragma("synchronous", "FULL")
    connection.pragma("fullfsync", 1)  # macOS: fsync alone does not reach the platter
    connection.pragma("checkpoint_fullfsync", 1)
    connection.pragma("foreign_keys", 1)
    # What was deleted is gone from the file (P11), and no salvage can bring it back.
    connection.pragma("secure_delete", 1)
    connection.pragma("cell_size_check", 1)  # notice a damaged page when it is read
    connection.pragma("journal_size_limit", _WAL_BYTES_KEPT)
    mode = connection.pragma("journal_mode")
    if mode != "wal" and connection.pragma("journal_mode", "wal") != "wal":
        raise StoreUnreadable("This file system does not support SQLite's write-ahead log.")


def _create_tables(path: Path, connection: apsw.Connection) -> None:
    """Create the tables, unless another process was quicker."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_blank(path, connection):
            connection.execute(_TABLES)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _keep_private(path: Path) -> None:
    """Take away other users' access, for instance after a restore from a backup (P11)."""
    if os.name != "posix":
        return
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists() and file.stat().st_mode & 0o077:
            file.chmod(0o600)
