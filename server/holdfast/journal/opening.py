"""From a path to two connections, whatever state the file is in.

Law: an opening ends, within a bounded time, in connections to the file that then is at the path, or
in an error with a next step. A healthy store costs no check that grows with its size: SQLite reads
the header, the schema and the sessions' rows. A store in which damage has shown itself (here, or
in a read or write since, which leaves a mark beside the file) is checked as a whole, and replaced
by what can be salvaged. A file that was never a store is refused untouched (P8).
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Final

import apsw
import attrs

from holdfast.journal import salvage, schema, sessions
from holdfast.journal.salvage import Salvage
from holdfast.journal.store import StoreBusy, StoreDamaged, StoreUnreadable

logger = logging.getLogger(__name__)

# Several processes that open, create or mend one store at once get in each other's way for
# moments; SQLite's own waiting does not cover all of them.
PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.02


@attrs.frozen
class Opened:
    """A store that can be used. `recovered`: what became of a damaged one that was in its place."""

    path: Path
    write_connection: apsw.Connection
    read_connection: apsw.Connection
    recovered: Salvage | None


class _Again(Exception):
    """The file at the path has changed meanwhile: look anew."""


def open_both(path: Path, vfs: str | None) -> Opened:
    """Open the store at `path` for one writer and one reader. Blocks.

    Raises `StoreTooNew` and `StoreUnreadable`; the file is then left as it was.
    """
    path = path.absolute()
    deadline = time.monotonic() + PATIENCE_S
    recovered: Salvage | None = None
    while True:
        try:
            mended = _mend(path, vfs)
            recovered = mended or recovered
            return _connect_both(path, vfs, recovered)
        except (StoreBusy, _Again) as error:
            if time.monotonic() > deadline:
                if isinstance(error, StoreUnreadable):
                    raise
                raise StoreBusy(f"The store {path} changes all the time.") from error
            time.sleep(_PAUSE_S)


def _mend(path: Path, vfs: str | None) -> Salvage | None:
    """Salvage the store if it is known to be damaged, or cannot be opened for it."""
    try:
        salvage.finish(path, vfs)
        if schema.is_suspect(path) and _has_problems(path, vfs):
            try:
                return salvage.salvage(path, vfs, certainly_ours=True)
            except StoreBusy:
                # Some of its sessions can be read, and the other server goes on with them.
                logger.warning("damaged store is in use; it is salvaged at a later opening")
                return None
        emptied = _is_emptied(path)
        return salvage.salvage(path, vfs, certainly_ours=False) if emptied else None
    except (apsw.Error, OSError) as error:
        raise _cannot_be_salvaged(path, error) from error


def _has_problems(path: Path, vfs: str | None) -> bool:
    """Check the whole file; takes the mark away when nothing is wrong with it."""
    if not path.exists():
        schema.clear_suspicion(path)
        return False
    try:
        connection = schema.open_store(path, vfs)
    except StoreDamaged as damaged:
        return damaged.ours
    try:
        if sessions.problems(connection):
            # The log, too, is to be set aside as it is.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            return True
    finally:
        schema.disconnect(connection)
    schema.clear_suspicion(path)
    return False


def _is_emptied(path: Path) -> bool:
    """Whether the file has lost all its bytes but has a log, which SQLite would throw away."""
    return path.is_file() and path.stat().st_size == 0 and salvage.has_log(path)


def _connect_both(path: Path, vfs: str | None, recovered: Salvage | None) -> Opened:
    before = path.stat().st_ino if path.exists() else None
    try:
        write_connection = schema.open_store(path, vfs)
    except StoreDamaged as damaged:
        if recovered is not None:
            raise  # a disk that damages what was just written is not to be filled with copies
        mended = _salvage_or_refuse(path, vfs, damaged)
        return _connect_both(path, vfs, mended)
    try:
        read_connection = schema.connect(path, vfs)
    except apsw.Error as error:
        schema.disconnect(write_connection)
        if isinstance(error, schema.DAMAGE):
            schema.suspect(path, str(error))
        kind = StoreBusy if isinstance(error, apsw.BusyError) else StoreUnreadable
        raise kind(f"The store {path} cannot be opened: {error}.") from error
    if before is not None and path.stat().st_ino != before:
        # Set aside by another process between the opening and the first lock.
        schema.disconnect(read_connection)
        schema.disconnect(write_connection)
        raise _Again
    return Opened(path, write_connection, read_connection, recovered)


def _salvage_or_refuse(path: Path, vfs: str | None, damaged: StoreDamaged) -> Salvage:
    try:
        mended = salvage.salvage(path, vfs, certainly_ours=damaged.ours)
    except (apsw.Error, OSError) as error:
        raise _cannot_be_salvaged(path, error) from error
    if mended is None:
        refused = StoreUnreadable(str(damaged))
        raise refused from damaged
    return mended


def _cannot_be_salvaged(path: Path, error: Exception) -> StoreUnreadable:
    refused = StoreUnreadable(
        f"The store {path} is damaged, and its content cannot be carried over now: {error}."
    )
    refused.action = (
        "Nothing was changed. Make room on the disk and make the data directory writable, then "
        "start again."
    )
    return refused
