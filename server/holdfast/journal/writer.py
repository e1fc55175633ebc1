"""The one writer of a store: group commit, and what is done when a commit fails.

Law: what waits together is committed together. A group with a barrier in it is on disk when its
callers wake (`synchronous=FULL`: one fdatasync of the WAL, which also covers everything written
before); a group without one is written but not synced. A member that is refused leaves no trace
and does not touch its neighbours; a group whose commit fails leaves no trace at all.

After a failed commit the WAL cannot be trusted to reach the disk, even if a later sync succeeds:
the kernel reports a write-back error once and then takes the pages for clean. Nothing more is
promised until the connection was opened anew and a checkpoint has copied the whole WAL into the
database file, synced that and cut the WAL off. This also removes what the failed commit left.
The reader's connection stays open meanwhile, so SQLite does not recover the WAL from the file,
which would bring a commit back that was reported as failed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import apsw

from holdfast.journal.jobs import AnyJob
from holdfast.journal.schema import DAMAGE, disconnect
from holdfast.journal.store import StoreDamaged, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

# What waits together is committed together, up to this many jobs: no caller waits for ever.
GROUP_MAX: Final = 512

# The WAL is moved into the database file when it has this many pages (4 KB each), and is then
# written over from its start, which is cheaper to sync than a file that grows.
CHECKPOINT_PAGES: Final = 1_000


class Writer:
    """Plays groups of jobs on the write connection. Used by one thread at a time."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        reopen: Callable[[], apsw.Connection],
        on_damage: Callable[[Exception], None],
    ) -> None:
        """`on_damage` hears of each error that says the file itself is damaged."""
        self._reopen = reopen
        self._on_damage = on_damage
        self._suspect = False
        self._syncs = True
        self._wal_pages = 0
        self._connection = connection
        self._adopt(connection)

    def play(self, jobs: Sequence[AnyJob]) -> None:
        """Run all jobs in one transaction and set the outcome of each. Never raises."""
        if not self._begin(jobs):
            return
        error = self._perform(jobs)
        if error is None:
            self._commit(jobs)
            return
        rolled_back_by_sqlite = not self._connection.in_transaction
        self._roll_back()
        if rolled_back_by_sqlite:  # disk full, I/O error: it would be the same for each
            self._suspect = True
            self._lose_all(jobs, error)
        elif len(jobs) == 1:
            self._answer(jobs[0], error)
        else:
            for job in jobs:
                self.play((job,))

    def tidy(self) -> None:
        """Do what nobody waits for: heal after a failure, move a long WAL into the file."""
        try:
            if self._suspect:
                self._heal()
            elif self._wal_pages >= CHECKPOINT_PAGES:
                self._checkpoint()
        except (apsw.Error, StoreError) as error:
            # Nothing is lost: the WAL has it all. The next group tries to heal first.
            logger.warning("journal checkpoint failed", extra={"error": str(error)})

    def close(self) -> None:
        """Close the connection; the last one moves the WAL into the file."""
        disconnect(self._connection)

    def _begin(self, jobs: Sequence[AnyJob]) -> bool:
        try:
            if self._suspect:
                self._heal()
            self._set_durability(barrier=any(job.barrier for job in jobs))
            self._connection.execute("BEGIN IMMEDIATE")
        except (apsw.Error, StoreError) as error:
            self._lose_all(jobs, error)
            return False
        return True

    def _perform(self, jobs: Sequence[AnyJob]) -> Exception | None:
        """Run the jobs up to the first that fails halfway, and return its error.

        A job that raises before it has changed anything is only refused: its neighbours go on.
        """
        connection = self._connection
        for job in jobs:
            changes = connection.total_changes()
            try:
                job.perform(connection)
            except Exception as error:  # noqa: BLE001  # it is handed to the job's caller
                if not connection.in_transaction or connection.total_changes() != changes:
                    return error
                self._answer(job, error)
        return None

    def _commit(self, jobs: Sequence[AnyJob]) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            self._suspect = True
            self._roll_back()
            self._lose_all(jobs, error)

    def _set_durability(self, *, barrier: bool) -> None:
        """Choose whether the next commit syncs. SQLite allows no change within a transaction."""
        if barrier != self._syncs:
            self._connection.pragma("synchronous", "FULL" if barrier else "NORMAL")
            self._syncs = barrier

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as error:
            self._suspect = True  # the connection is closed first, which also rolls back
            logger.warning("journal rollback failed", extra={"error": str(error)})

    def _heal(self) -> None:
        """Make the store trustworthy again, or raise and stay suspect."""
        disconnect(self._connection)
        self._adopt(self._reopen())
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._suspect = False
        logger.info("journal works again")

    def _checkpoint(self) -> None:
        """Move the WAL into the file. Waits for nobody: readers only make it incomplete."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return  # another process is at it
        except apsw.IOError:
            self._suspect = True  # it may be a sync of the WAL: as bad as one in a commit
            raise

    def _adopt(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._syncs = True  # as `schema.connect` leaves it
        self._wal_pages = 0
        connection.set_wal_hook(self._note_wal_pages)

    def _note_wal_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _lose_all(self, jobs: Sequence[AnyJob], error: Exception) -> None:
        logger.warning("journal write failed", extra={"error": str(error), "jobs": len(jobs)})
        for job in jobs:
            self._lose(job, error)

    def _answer(self, job: AnyJob, error: Exception) -> None:
        """Give a job the error that it raised."""
        if isinstance(error, apsw.Error):
            self._lose(job, error)
            return
        if isinstance(error, StoreDamaged):
            self._on_damage(error)
        job.fail(error)

    def _lose(self, job: AnyJob, error: Exception) -> None:
        """Tell a job's caller that the store, not the caller, is at fault."""
        if isinstance(error, DAMAGE):
            self._on_damage(error)
        job.fail(_unavailable(error))
        if job.on_lost is not None:
            job.on_lost()


def _unavailable(error: Exception) -> StoreUnavailable:
    action = StoreUnavailable.action
    match error:
        case apsw.FullError():
            says = "The disk is full"
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            says = "The store cannot be written"
        case apsw.BusyError() | apsw.LockedError():
            says = "Another process keeps the store busy"
        case apsw.CorruptError() | apsw.NotADBError():
            says, action = "The store is damaged", StoreDamaged.action
        case _:
            says = "The store could not be written"
    unavailable = StoreUnavailable(f"{says}: {error}.")
    unavailable.action = action
    unavailable.__cause__ = error
    return unavailable
