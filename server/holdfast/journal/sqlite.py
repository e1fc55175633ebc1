"""The default store: one SQLite file in WAL mode.

Law: one thread writes and one thread reads, each with a connection of its own, so a read never
waits for a write and the event loop waits for neither. Whatever was acknowledged is visible to
every later read. All rules of the port live in the modules that this one puts together: the file
in `schema`, `opening` and `salvage`, leases in `leases`, rows in `sessions`, commits in `writer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import apsw

from holdfast.journal import blobs, schema, sessions
from holdfast.journal.jobs import AnyJob, JobThread
from holdfast.journal.leases import ProcessIdentity, beat, give_back, take
from holdfast.journal.opening import Opened, open_both
from holdfast.journal.salvage import Salvage
from holdfast.journal.store import (
    Durability,
    Lease,
    Record,
    SessionSummary,
    StoreDamaged,
    StoreError,
    StoreUnreadable,
    SummaryChange,
)
from holdfast.journal.writer import GROUP_MAX, Writer

T = TypeVar("T")

# How long `close` waits for a disk that does not answer, per thread.
CLOSE_TIMEOUT_S: Final = 10.0


class SqliteStore:
    """A `Store` in one SQLite file. Made by `open`; used from the event loop that opened it.

    An append waits as long as the disk takes. A caller who cannot wait cancels it; the append
    then takes effect as a whole or not at all.
    """

    def __init__(self, opened: Opened, vfs: str | None, process: ProcessIdentity) -> None:
        """Start the threads. Use `open`."""
        self.recovered: Salvage | None = opened.recovered
        """What became of a damaged store that was found at this opening."""
        self._path = path = opened.path
        self._process = process
        self._writer = writer = Writer(
            opened.write_connection,
            reopen=lambda: schema.connect(path, vfs),
            on_damage=lambda error: schema.suspect(path, str(error)),
        )
        self._read_connection = opened.read_connection
        self._lost_tails: dict[int, int] = {}  # touched by the writing thread only
        self._writing = JobThread(
            "holdfast-journal-writer", writer.play, group_max=GROUP_MAX, tidy=writer.tidy
        )
        self._reading = JobThread("holdfast-journal-reader", self._play_reads, group_max=1)
        self._close_lock = asyncio.Lock()

    @classmethod
    async def open(
        cls, path: Path, *, process: ProcessIdentity | None = None, vfs: str | None = None
    ) -> SqliteStore:
        """Open the store at `path`, creating it (0600, in a directory of 0700) where none is.

        `process` is who holds the leases, by default this process. `vfs` names a registered apsw
        VFS, through which all files are then read and written.

        A damaged store is set aside and what can be read of it is carried over; `recovered` then
        says so. Raises `StoreTooNew` and `StoreUnreadable`; the file is then left as it was.
        """
        opened = await asyncio.to_thread(open_both, path, vfs)
        return cls(opened, vfs, process or ProcessIdentity.current())

    async def create(
        self,
        summary: SessionSummary,
        owner: str,
        now_ms: int,
        records: Sequence[Record] = (),
    ) -> Lease:
        """Create a session with its first records and take its lease, all in one transaction."""
        sessions.require_contiguous(records)
        if records and records[0].seq != 1:
            raise ValueError(f"A session begins with record 1, not {records[0].seq}.")

        def run(connection: apsw.Connection) -> Lease:
            sessions.insert(connection, summary)
            lease = take(connection, summary.session_id, owner, self._process, now_ms)
            if records:
                sessions.Append(lease, records, None, self._lost_tails)(connection)
            return lease

        return await self._writing.submit(run, barrier=True)

    async def acquire(self, session_id: str, owner: str, now_ms: int) -> Lease:
        """Take a session's lease."""

        def run(connection: apsw.Connection) -> Lease:
            return take(connection, session_id, owner, self._process, now_ms)

        return await self._writing.submit(run)

    async def heartbeat(self, leases: Sequence[Lease], now_ms: int) -> list[Lease]:
        """Refresh leases and return those that were lost."""
        if not leases:
            return []
        return await self._writing.submit(lambda db: beat(db, leases, now_ms))

    async def release(self, lease: Lease) -> None:
        """Give a lease back. Raises `StoreUnavailable`; the lease then ends with this process."""
        await self._writing.submit(lambda db: give_back(db, lease))

    async def append(
        self,
        lease: Lease,
        records: Sequence[Record],
        durability: Durability,
        change: SummaryChange | None = None,
    ) -> None:
        """Append records and change the summary with them."""
        sessions.require_contiguous(records)
        append = sessions.Append(lease, records, change, self._lost_tails)
        await self._writing.submit(
            append, barrier=durability is Durability.BARRIER, on_lost=append.lost
        )

    async def read(
        self, session_id: str, after_seq: int = 0, limit: int | None = None
    ) -> list[Record]:
        """Return records in order. Raises `StoreUnreadable` when the file is damaged there."""
        return await self._read(lambda db: sessions.read(db, session_id, after_seq, limit))

    async def summaries(self) -> list[SessionSummary]:
        """Return all sessions, the last changed first."""
        return await self._read(sessions.summaries)

    async def summary(self, session_id: str) -> SessionSummary:
        """Return one session's summary."""
        return await self._read(lambda db: sessions.summary(db, session_id))

    async def delete(self, lease: Lease) -> None:
        """Delete a session. Blobs stay, as other sessions may name the same content."""
        await self._writing.submit(lambda db: sessions.delete(db, lease), barrier=True)

    async def put_blob(self, content: bytes) -> str:
        """Store a blob. It is written when this returns, and on disk with the next barrier:
        at the latest with the record that names it, because the log keeps the order.
        """
        return await self._writing.submit(lambda db: blobs.put(db, content))

    async def drop_blobs(self, digests: Sequence[str]) -> None:
        """Remove blobs for good."""
        await self._writing.submit(lambda db: blobs.drop(db, digests), barrier=True)

    async def get_blob(self, digest: str) -> bytes:
        """Return a blob's bytes."""
        return await self._read(lambda db: blobs.get(db, digest))

    async def verify(self) -> list[str]:
        """Check the whole file and return what is wrong with it, in words. Reads every page."""
        return await self._read(sessions.problems)

    async def close(self) -> None:
        """Finish what is queued, within a bounded time, then close. Harmless when repeated."""
        async with self._close_lock:
            ended = await asyncio.gather(
                self._reading.stop(CLOSE_TIMEOUT_S), self._writing.stop(CLOSE_TIMEOUT_S)
            )
            if all(ended):
                # The reader first: the last connection moves the WAL into the file.
                await asyncio.to_thread(self._close_connections)

    def _close_connections(self) -> None:
        schema.disconnect(self._read_connection)
        self._writer.close()

    async def _read(self, run: Callable[[apsw.Connection], T]) -> T:
        return await self._reading.submit(run)

    def _play_reads(self, jobs: Sequence[AnyJob]) -> None:
        for job in jobs:
            try:
                job.perform(self._read_connection)
            except apsw.Error as error:
                job.fail(self._unreadable(error))
            except StoreDamaged as error:
                schema.suspect(self._path, str(error))
                job.fail(error)
            except (StoreError, KeyError) as error:
                job.fail(error)

    def _unreadable(self, error: apsw.Error) -> StoreUnreadable:
        says = f"The store could not be read: {error}."
        unreadable = StoreUnreadable(says)
        if isinstance(error, schema.DAMAGE):
            schema.suspect(self._path, str(error))
            unreadable = StoreDamaged(says)
        unreadable.__cause__ = error
        return unreadable
