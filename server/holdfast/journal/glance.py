"""A look at the store's file from beside those who use it: readable, writable, and held by whom.

Law: nothing in the store changes, none is created, and nobody is kept from writing for longer than
it takes to see that the lock can be had.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import apsw

from holdfast.journal import schema
from holdfast.journal.leases import Liveness, ProcessIdentity, liveness
from holdfast.journal.looks import Holder, Standing, StoreLook

LOCK_S: Final = 1.5
"""How long a writer may keep the lock before that is worth saying: a commit takes milliseconds."""

_STANDING: Final = {
    Liveness.ALIVE: Standing.ALIVE,
    Liveness.GONE: Standing.GONE,
    Liveness.UNKNOWN: Standing.ELSEWHERE,
}


def look(path: Path, *, lock_s: float = LOCK_S) -> StoreLook:
    """Look at the store at `path`. Blocks, for a little more than `lock_s`; never raises."""
    if not path.exists():
        return StoreLook(exists=False)
    has_log = _log(path).exists()
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except (apsw.Error, OSError) as error:
        return StoreLook(exists=True, problem=str(error))
    try:
        if has_log:
            # Who only looks leaves the log to those who write; one that he made himself is empty.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.set_busy_timeout(round(lock_s * 1000))
        return _seen(connection, path)
    except (apsw.Error, OSError) as error:
        return StoreLook(exists=True, problem=str(error))
    finally:
        schema.disconnect(connection)


def _seen(connection: apsw.Connection, path: Path) -> StoreLook:
    if not schema.rows(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'leases'"):
        foreign = bool(schema.rows(connection, "SELECT 1 FROM sqlite_schema LIMIT 1"))
        return StoreLook(exists=True, problem="The file is no store of sessions." * foreign)
    ((sessions,),) = schema.rows(connection, "SELECT count(*) FROM sessions")
    log = _log(path)
    return StoreLook(
        exists=True,
        sessions=sessions,
        size_bytes=path.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
        holders=_holders(connection),
        locked_s=_locked_s(connection),
        suspect=schema.is_suspect(path),
    )


def _holders(connection: apsw.Connection) -> tuple[Holder, ...]:
    here, now_ms = ProcessIdentity.current(), time.time_ns() // 1_000_000
    found = schema.rows(
        connection,
        """SELECT pid, host, started, count(*), max(heartbeat_ms)
           FROM leases GROUP BY pid, host, started ORDER BY count(*) DESC""",
    )
    return tuple(
        Holder(
            pid,
            host,
            sessions,
            max(0.0, (now_ms - heartbeat_ms) / 1000),
            _standing(ProcessIdentity(pid, host, started), here),
        )
        for pid, host, started, sessions, heartbeat_ms in found
    )


def _standing(holder: ProcessIdentity, here: ProcessIdentity) -> Standing:
    return Standing.HERE if holder == here else _STANDING[liveness(holder, here)]


def _locked_s(connection: apsw.Connection) -> float:
    """Return how long the lock of writers could not be had; it is given back at once."""
    begun = time.monotonic()
    try:
        connection.execute("BEGIN IMMEDIATE")
    except (apsw.BusyError, apsw.LockedError):
        return time.monotonic() - begun
    connection.execute("ROLLBACK")
    return 0.0


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")
