"""The port of a session store, its records and its errors.

Law: one writer per session, fenced by the lease's generation in every write; sequence numbers of a
session are contiguous from 1; nothing is ever updated or deleted but by `delete`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import attrs


class Durability(StrEnum):
    """`BARRIER`: on disk when the append returns (survives power loss). `LAZY`: written when the
    append returns (survives a killed process), synced with the next barrier.
    """

    BARRIER = "barrier"
    LAZY = "lazy"


@attrs.frozen
class Record:
    """One journal record. `payload` is canonical JSON of the event; `at_ms` is wall-clock time."""

    seq: int
    at_ms: int
    type: str
    version: int
    payload: bytes


@attrs.frozen
class SessionSummary:
    """What a list of sessions shows, without reading their journals."""

    session_id: str
    title: str
    workspace_uri: str | None
    model: str | None
    phase: str
    created_at_ms: int
    updated_at_ms: int
    head_seq: int
    archived: bool = False


@attrs.frozen
class SummaryChange:
    """The parts of a summary that an append changes with it, in the same transaction."""

    title: str | None = None
    model: str | None = None
    phase: str | None = None
    archived: bool | None = None


@attrs.frozen
class Lease:
    """The right to write to one session. `generation` grows with every change of owner."""

    session_id: str
    owner: str
    generation: int


class StoreError(Exception):
    """Base of what a store raises. `action` is the next step for a person."""

    action: str = "Look at the log for details."


class SessionUnknown(StoreError):
    """There is no session with this id."""

    action = "List the sessions with holdfast.session.list."

    def __init__(self, session_id: str) -> None:
        super().__init__(f"There is no session {session_id!r} in this store.")
        self.session_id = session_id


class SessionOwnedElsewhere(StoreError):
    """Another live server holds the session's lease."""

    action = "Close the other editor, or fork the session to go on here."

    def __init__(self, session_id: str, owner: str, pid: int, host: str) -> None:
        super().__init__(
            f"Session {session_id!r} is open in another server (process {pid} on {host})."
        )
        self.session_id, self.owner, self.pid, self.host = session_id, owner, pid, host


class LeaseLost(StoreError):
    """The lease's generation is no longer the current one: a newer owner took over."""

    action = "Open the session again."

    def __init__(self, session_id: str) -> None:
        super().__init__(f"This server no longer owns session {session_id!r}.")
        self.session_id = session_id


class StoreTooNew(StoreError):
    """The database was written by a newer version of Holdfast."""

    action = "Update Holdfast, or choose another data directory (HOLDFAST_DATA_DIR)."

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"The store {path} has format {found}; this version knows formats up to {known}."
        )


class StoreUnreadable(StoreError):
    """The database cannot be opened or read as one."""

    action = (
        "Nothing was changed. Check the file's permissions and disk, or choose another data "
        "directory (HOLDFAST_DATA_DIR)."
    )


class StoreDamaged(StoreUnreadable):
    """The file's content is not what a store holds. `ours`: its header says that it is a store."""

    action = (
        "Start Holdfast again: it then sets the damaged file aside and carries over everything "
        "that can be read."
    )

    def __init__(self, message: str, *, ours: bool = True) -> None:
        super().__init__(message)
        self.ours = ours


class StoreBusy(StoreUnreadable):
    """Other processes have the store open or locked, so that it cannot be opened or mended."""

    action = "Close the other editors and servers that use this store, then start again."


class StoreUnavailable(StoreError):
    """A write failed (disk full, I/O error, read-only); nothing of it is in the journal."""

    action = "Free some disk space or make the data directory writable; the turn then goes on."


class Store(Protocol):
    """A durable store of sessions. All methods may be called from one event loop, concurrently."""

    async def create(
        self,
        summary: SessionSummary,
        owner: str,
        now_ms: int,
        records: Sequence[Record] = (),
    ) -> Lease:
        """Create a session that begins with `records`, on disk when this returns; take its lease.

        The session, its records and the lease come into being together or not at all: no list
        ever shows a session without its beginning. Raises `StoreUnavailable`, and `ValueError`
        when the id is taken or the records' seqs do not count from 1.
        """
        ...

    async def acquire(self, session_id: str, owner: str, now_ms: int) -> Lease:
        """Take the lease; the generation grows. A lease is free when it was released, when its
        process is gone from this host, or when its heartbeat is too old.

        Raises `SessionUnknown`, `SessionOwnedElsewhere`, `StoreUnavailable`.
        """
        ...

    async def heartbeat(self, leases: Sequence[Lease], now_ms: int) -> list[Lease]:
        """Say that the owners live. Returns the leases that were lost meanwhile.

        Raises `StoreUnavailable`.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease back. Harmless when it is lost already."""
        ...

    async def append(
        self,
        lease: Lease,
        records: Sequence[Record],
        durability: Durability,
        change: SummaryChange | None = None,
    ) -> None:
        """Append records, whose seqs must follow the head. All or nothing.

        Appends of one session take effect in the order of the calls, also when they are not
        awaited in between. Raises `LeaseLost`, `StoreUnavailable`, `SessionUnknown`, and
        `ValueError` when a seq does not follow the head.
        """
        ...

    async def read(
        self, session_id: str, after_seq: int = 0, limit: int | None = None
    ) -> list[Record]:
        """Return records with `seq > after_seq`, in order. Raises `SessionUnknown`."""
        ...

    async def summaries(self) -> list[SessionSummary]:
        """Return all sessions, newest first."""
        ...

    async def summary(self, session_id: str) -> SessionSummary:
        """Return one session's summary. Raises `SessionUnknown`."""
        ...

    async def delete(self, lease: Lease) -> None:
        """Delete a session with all its records. Raises `LeaseLost`, `SessionUnknown`."""
        ...

    async def put_blob(self, content: bytes) -> str:
        """Store bytes under their SHA-256 (hex) and return it. The same bytes are stored once."""
        ...

    async def get_blob(self, digest: str) -> bytes:
        """Return a blob's bytes. Raises `KeyError`."""
        ...

    async def drop_blobs(self, digests: Sequence[str]) -> None:
        """Remove blobs for good; those that are not there are passed over."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then close. Later calls raise `StoreUnavailable`."""
        ...
