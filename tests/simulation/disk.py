"""A disk that outlives processes, and the `Store` through which one process uses it.

Law: the contract of `journal/store.py`, with every freedom it leaves. A commit takes effect some
time after it was asked for and some time before its caller hears of it; a kill keeps what was
committed and any prefix of what was under way; a power cut also loses any suffix of the lazy
commits since the last barrier. A write that is refused leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol

import attrs

from holdfast.journal.store import (
    Durability,
    Lease,
    LeaseLost,
    Record,
    SessionOwnedElsewhere,
    SessionSummary,
    SessionUnknown,
    StoreUnavailable,
    SummaryChange,
)
from simulation.loop import Process, SimulatedLoop
from simulation.witness import Witness

SILENT_MAX_MS = 5 * 60_000


class Faults(Protocol):
    """When the disk misbehaves."""

    def delay_s(self) -> float: ...
    def write_fails(self) -> bool: ...
    def read_fails(self) -> bool: ...
    def steals(self) -> bool: ...
    def kills(self, process: Process, where: str) -> bool: ...
    def note(self, kind: str, what: str) -> None: ...
    def complain(self, promise: str, what: str) -> None: ...


class SessionFile:
    """One session on the disk."""

    def __init__(self, summary: SessionSummary, witness: Witness) -> None:
        self.summary = summary
        self.records: list[Record] = []
        self.witness = witness
        self.lease: Lease | None = None
        self.holder: Process | None = None
        self.heartbeat_ms = 0

    @property
    def head(self) -> int:
        return len(self.records)

    def cut(self, head: int) -> None:
        """Lose the records after `head`."""
        del self.records[head:]
        self.summary = attrs.evolve(self.summary, head_seq=head)
        self.witness.rebuild(self.records)


class Disk:
    """What is kept."""

    def __init__(self, chance: Random, faults: Faults) -> None:
        self.sessions: dict[str, SessionFile] = {}
        self.deleted: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.faults = faults
        self.commits = 0
        self._chance = chance
        self._generation = 0
        self._unsynced: list[tuple[str, int]] = []

    def power_cut(self) -> int:
        """Lose a random suffix of what was not synced; return how many commits that is."""
        kept = self._chance.randint(0, len(self._unsynced))
        lost = self._unsynced[kept:]
        heads = dict(reversed(lost))  # The oldest lost commit of each session counts.
        for session_id, head in heads.items():
            if session_id in self.sessions:
                self.sessions[session_id].cut(head)
        self._unsynced.clear()
        return len(lost)

    def sync(self) -> None:
        self._unsynced.clear()

    def unsynced(self, session_id: str) -> Sequence[Record]:
        """Return the records of a session that a power cut now could lose."""
        heads = [head for sid, head in self._unsynced if sid == session_id]
        return self.sessions[session_id].records[min(heads) :] if heads else ()

    def file(self, session_id: str) -> SessionFile:
        found = self.sessions.get(session_id)
        if found is None:
            raise SessionUnknown(session_id)
        return found

    def create(self, summary: SessionSummary, owner: str, process: Process, now_ms: int) -> Lease:
        if summary.session_id in self.sessions:
            raise ValueError(f"There is already a session {summary.session_id!r}.")
        witness = Witness(summary.session_id, self.faults.complain)
        self.sessions[summary.session_id] = SessionFile(summary, witness)
        self.sync()
        return self.take(summary.session_id, owner, process, now_ms)

    def take(self, session_id: str, owner: str, process: Process, now_ms: int) -> Lease:
        file = self.file(session_id)
        holder = file.holder
        if file.lease is not None and file.lease.owner != owner and holder is not None:
            silent = abs(now_ms - file.heartbeat_ms) > SILENT_MAX_MS
            if not (holder.dead or silent or self.faults.steals()):
                raise SessionOwnedElsewhere(session_id, file.lease.owner, 1, holder.name)
            self.faults.note("lease", f"{process.name} takes {session_id} from {holder.name}")
        self._generation += 1
        file.lease = Lease(session_id, owner, self._generation)
        file.holder, file.heartbeat_ms = process, now_ms
        self.sync()
        return file.lease

    def current(self, lease: Lease) -> bool:
        file = self.sessions.get(lease.session_id)
        return (
            file is not None
            and file.lease is not None
            and (file.lease.generation == lease.generation)
        )

    def append(
        self, lease: Lease, records: Sequence[Record], durability: Durability, change: SummaryChange
    ) -> None:
        file = self.file(lease.session_id)
        if not self.current(lease):
            raise LeaseLost(lease.session_id)
        for expected, record in enumerate(records, start=file.head + 1):
            if record.seq != expected:
                raise ValueError(f"record {record.seq} does not follow {expected - 1}")
        before = file.head
        file.records.extend(records)
        known = {k: v for k, v in attrs.asdict(change).items() if v is not None}
        file.summary = attrs.evolve(
            file.summary,
            head_seq=file.head,
            updated_at_ms=records[-1].at_ms if records else file.summary.updated_at_ms,
            **known,
        )
        if durability is Durability.BARRIER:
            self.sync()
        else:
            self._unsynced.append((lease.session_id, before))
        self.commits += 1
        file.witness.see(records)


class SimulatedStore:
    """One process' way to the disk: one writer that commits in order, readers beside it."""

    def __init__(self, disk: Disk, process: Process, loop: SimulatedLoop) -> None:
        self._disk = disk
        self._process = process
        self._loop = loop
        self._faults = disk.faults
        self._jobs: deque[tuple[str, Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._busy = False
        self._lost_tails: dict[int, int] = {}
        self._closed = False

    # -- the writer ------------------------------------------------------------------------------

    def _write(self, what: str, job: Callable[[], Any]) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self._jobs.append((what, job, future))
        if not self._busy:
            self._busy = True
            self._loop.call_later(self._faults.delay_s(), self._commit)
        return future

    def _commit(self) -> None:
        what, job, future = self._jobs.popleft()
        result, error = None, None
        try:
            result = self._run(what, job)
        except Exception as raised:  # noqa: BLE001 (handed to whoever waits)
            error = raised
        if self._faults.kills(self._process, f"between {what} and its answer"):
            return
        self._loop.call_later(self._faults.delay_s(), self._answer, what, future, result, error)
        if self._jobs:
            self._loop.call_later(self._faults.delay_s(), self._commit)
        else:
            self._busy = False

    def _run(self, what: str, job: Callable[[], Any]) -> Any:
        if self._closed or (what != "release" and self._faults.write_fails()):
            raise StoreUnavailable("disk full")
        return job()

    def _answer(
        self, what: str, future: asyncio.Future[Any], result: Any, error: Exception | None
    ) -> None:
        self._faults.note("store", f"{self._process.name} {what}: {error or 'done'}")
        if isinstance(error, ValueError):
            self._faults.complain("P1", f"{what}: {error}")
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def died(self, chance: Random) -> None:
        """Of what was under way when the process died, commit any prefix."""
        for what, job, _ in list(self._jobs)[: chance.randint(0, len(self._jobs))]:
            try:
                job()
            except Exception as error:  # noqa: BLE001 (nobody is there to hear of it)
                self._faults.note("torn", f"{what} failed with its process: {error}")
            else:
                self._faults.note("torn", f"{what} was committed, but never acknowledged")
        self._jobs.clear()

    # -- the port --------------------------------------------------------------------------------

    async def create(
        self,
        summary: SessionSummary,
        owner: str,
        now_ms: int,
        records: Sequence[Record] = (),
    ) -> Lease:
        def create() -> Lease:
            lease = self._disk.create(summary, owner, self._process, now_ms)
            self._disk.append(lease, records, Durability.BARRIER, SummaryChange())
            return lease

        return await self._write(f"create {summary.session_id}", create)

    async def acquire(self, session_id: str, owner: str, now_ms: int) -> Lease:
        return await self._write(
            f"acquire {session_id}",
            lambda: self._disk.take(session_id, owner, self._process, now_ms),
        )

    async def heartbeat(self, leases: Sequence[Lease], now_ms: int) -> list[Lease]:
        return await self._write("heartbeat", lambda: self._beat(leases, now_ms))

    def _beat(self, leases: Sequence[Lease], now_ms: int) -> list[Lease]:
        lost = [lease for lease in leases if not self._disk.current(lease)]
        for lease in leases:
            if lease not in lost:
                self._disk.file(lease.session_id).heartbeat_ms = now_ms
        return lost

    async def release(self, lease: Lease) -> None:
        await self._write("release", lambda: self._give_back(lease))

    def _give_back(self, lease: Lease) -> None:
        if self._disk.current(lease):
            file = self._disk.file(lease.session_id)
            file.lease = file.holder = None

    async def append(
        self,
        lease: Lease,
        records: Sequence[Record],
        durability: Durability,
        change: SummaryChange | None = None,
    ) -> None:
        kept = tuple(records)
        names = kept[0].type if len(kept) == 1 else f"{kept[0].type}..{kept[-1].type}"
        await self._write(
            f"append {lease.session_id} {kept[0].seq}-{kept[-1].seq} {names}",
            lambda: self._append(lease, kept, durability, change or SummaryChange()),
        )

    def _append(
        self, lease: Lease, records: Sequence[Record], durability: Durability, change: SummaryChange
    ) -> None:
        self._disk.append(lease, records, durability, change)

    async def read(
        self, session_id: str, after_seq: int = 0, limit: int | None = None
    ) -> list[Record]:
        await asyncio.sleep(self._faults.delay_s())
        if self._closed or self._faults.read_fails():
            raise StoreUnavailable("cannot read")
        records = self._disk.file(session_id).records[after_seq:]
        return records if limit is None else records[:limit]

    async def summaries(self) -> list[SessionSummary]:
        await asyncio.sleep(self._faults.delay_s())
        if self._faults.read_fails():
            raise StoreUnavailable("cannot read")
        return [file.summary for file in self._disk.sessions.values()]

    async def summary(self, session_id: str) -> SessionSummary:
        await asyncio.sleep(self._faults.delay_s())
        return self._disk.file(session_id).summary

    async def delete(self, lease: Lease) -> None:
        await self._write(f"delete {lease.session_id}", lambda: self._delete(lease))

    def _delete(self, lease: Lease) -> None:
        self._disk.file(lease.session_id)
        if not self._disk.current(lease):
            raise LeaseLost(lease.session_id)
        del self._disk.sessions[lease.session_id]
        self._disk.deleted.add(lease.session_id)
        self._disk.sync()

    async def put_blob(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self._disk.blobs[digest] = content
        return digest

    async def drop_blobs(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._disk.blobs.pop(digest, None)

    async def get_blob(self, digest: str) -> bytes:
        return self._disk.blobs[digest]

    async def close(self) -> None:
        self._closed = True
