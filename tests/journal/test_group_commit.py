"""What waits together is committed together, and nobody waits for more than that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import attrs
import pytest

from holdfast.journal.jobs import AnyJob, JobThread
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Lease, StoreUnavailable
from holdfast.journal.writer import CHECKPOINT_PAGES
from journal.disks import FaultyDisk, SyncGate, disk_full, io_error
from journal.samples import BARRIER, LAZY, NOW_MS, a_record, a_summary, json_of, records

SESSIONS = 16


@pytest.fixture
def gate() -> Iterator[SyncGate]:
    with SyncGate() as gate:
        yield gate


@pytest.fixture
async def store(tmp_path: Path, gate: SyncGate) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "holdfast.db", vfs=gate.name)
    yield store
    await store.close()


@pytest.fixture
async def leases(store: SqliteStore) -> list[Lease]:
    return [await store.create(a_summary(f"s{n}"), "owner", NOW_MS) for n in range(SESSIONS)]


async def start(call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin a call and let it come as far as the queue."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    return task


async def reached(gate: SyncGate) -> None:
    assert await asyncio.to_thread(gate.reached.wait, 30)


async def test_p1_a_barrier_costs_one_sync_and_a_lazy_append_none(
    store: SqliteStore, gate: SyncGate, leases: list[Lease]
) -> None:
    syncs = []
    for seq, durability in enumerate([BARRIER, LAZY, LAZY, BARRIER, LAZY, BARRIER], start=1):
        before = gate.syncs
        await store.append(leases[0], [a_record(seq)], durability)
        syncs.append(gate.syncs - before)
    assert syncs == [1, 0, 0, 1, 0, 1]


async def test_s7_sixteen_barriers_that_wait_together_share_one_sync(
    store: SqliteStore, gate: SyncGate, leases: list[Lease]
) -> None:
    before = gate.syncs
    with gate.holding():
        first = await start(store.append(leases[0], records(1, 1), BARRIER))
        await reached(gate)
        others = [await start(store.append(lease, records(1, 1), BARRIER)) for lease in leases[1:]]
    await asyncio.gather(first, *others)
    assert gate.syncs - before == 2


async def test_a_lazy_append_waits_no_longer_than_its_group_and_is_synced_with_it(
    store: SqliteStore, gate: SyncGate, leases: list[Lease]
) -> None:
    with gate.holding():
        first = await start(store.append(leases[0], records(1, 1), BARRIER))
        await reached(gate)
        before = gate.syncs
        lazy = await start(store.append(leases[1], records(1, 1), LAZY))
        barrier = await start(store.append(leases[2], records(1, 1), BARRIER))
    await asyncio.gather(first, lazy, barrier)
    assert gate.syncs - before == 1


async def test_a_read_does_not_wait_for_a_write_and_sees_what_was_acknowledged(
    store: SqliteStore, gate: SyncGate, leases: list[Lease]
) -> None:
    await store.append(leases[0], records(1, 1), BARRIER)
    with gate.holding():
        append = await start(store.append(leases[0], records(2, 2), BARRIER))
        await reached(gate)
        assert await store.read("s0") == records(1, 1)
        assert (await store.summary("s0")).head_seq == 1
        assert not append.done()
    await append
    assert await store.read("s0") == records(1, 2)


async def test_a_member_that_fails_halfway_leaves_no_trace_and_spares_its_neighbours(
    store: SqliteStore, gate: SyncGate, leases: list[Lease]
) -> None:
    unencodable = [a_record(1), attrs.evolve(a_record(2), type="\ud800")]
    with gate.holding():
        first = await start(store.append(leases[0], records(1, 1), BARRIER))
        await reached(gate)
        group = [
            await start(store.append(leases[1], records(1, 1), BARRIER)),
            await start(store.append(leases[2], unencodable, BARRIER)),
            await start(store.append(leases[2], records(1, 1), BARRIER)),
            await start(store.append(leases[3], records(1, 1), LAZY)),
        ]
    outcomes = await asyncio.gather(first, *group, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        type(None),
        UnicodeEncodeError,
        type(None),
        type(None),
    ]
    for session_id in ("s0", "s1", "s2", "s3"):
        assert await store.read(session_id) == records(1, 1)


async def test_a_cancelled_member_is_written_and_the_queue_goes_on(
    store: SqliteStore, gate: SyncGate, leases: list[Lease]
) -> None:
    with gate.holding():
        first = await start(store.append(leases[0], records(1, 1), BARRIER))
        await reached(gate)
        cancelled = await start(store.append(leases[0], records(2, 3), BARRIER))
        after = await start(store.append(leases[0], records(4, 4), BARRIER))
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    await asyncio.gather(first, after)
    assert await store.read("s0") == records(1, 4)


async def test_the_log_is_moved_into_the_file_after_the_answer_and_does_not_grow_for_ever(
    store: SqliteStore, tmp_path: Path, leases: list[Lease]
) -> None:
    pages = 0
    for seq in range(1, 51):
        await store.append(leases[0], [a_record(seq, json_of(100 * 4096))], LAZY)
        pages += 100
    log = tmp_path / "holdfast.db-wal"
    assert pages > 4 * CHECKPOINT_PAGES
    assert log.stat().st_size < 2 * CHECKPOINT_PAGES * 4096
    assert len(await store.read("s0")) == 50


@pytest.mark.parametrize("fault", [disk_full, io_error])
async def test_p1_a_failed_checkpoint_fails_no_append_that_was_acknowledged(
    tmp_path: Path, fault: Callable[[], apsw.Error]
) -> None:
    with FaultyDisk(fault, suffix=".db") as disk:
        store = await SqliteStore.open(tmp_path / "holdfast.db", vfs=disk.name)
        lease = await store.create(a_summary(), "owner", NOW_MS)
        disk.break_down()
        written = 0
        with suppress(StoreUnavailable):  # after an I/O error nothing more is promised
            for seq in range(1, 31):
                await store.append(lease, [a_record(seq, json_of(100 * 4096))], LAZY)
                written = seq
        assert disk.failed
        assert written == 30 or fault is io_error
        assert len(await store.read("s1")) == written
        disk.repair()
        await store.append(lease, [a_record(written + 1)], BARRIER)
        assert await store.verify() == []
        await store.close()


async def test_closing_does_not_wait_for_ever_for_a_disk_that_never_answers() -> None:
    stuck = threading.Event()

    def play(jobs: list[AnyJob]) -> None:
        assert stuck.wait(timeout=30)

    thread = JobThread("stuck", play, group_max=1)

    def unused(_: apsw.Connection) -> None:
        return None

    waiting = [thread.submit(unused) for _ in range(3)]
    assert await thread.stop(timeout_s=0.01) is False
    for outcome in waiting:
        with pytest.raises(StoreUnavailable, match="did not answer"):
            await outcome
    with pytest.raises(StoreUnavailable, match="closed"):
        thread.submit(unused)
    stuck.set()
    assert await thread.stop(timeout_s=30) is True
