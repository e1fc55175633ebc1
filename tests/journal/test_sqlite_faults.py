"""A disk that fails at any step loses nothing that was acknowledged (P1, D07, D09)."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import attrs
import pytest

from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Lease, Record, StoreUnavailable, StoreUnreadable, SummaryChange
from journal.disks import FaultyDisk, disk_full, io_error
from journal.samples import BARRIER, LAZY, NOW_MS, a_summary, records

LARGE = b"x" * 20_000


@attrs.define
class Journal:
    """What the scenario was promised, by session, and by blob digest."""

    records: dict[str, list[Record]] = attrs.Factory(dict)
    titles: dict[str, str] = attrs.Factory(dict)
    blobs: list[str] = attrs.Factory(list)


async def play(store: SqliteStore, promised: Journal) -> None:
    """Do everything that writes; note what was acknowledged; stop at the first failure."""
    first = await store.create(a_summary("s1"), "owner", NOW_MS)
    promised.records["s1"] = []
    await append(store, first, promised, 1, 2)
    second = await store.create(a_summary("s2"), "owner", NOW_MS, records(1, 2))
    promised.records["s2"] = records(1, 2)
    promised.blobs.append(await store.put_blob(LARGE))
    await store.append(second, records(3, 3), LAZY)
    promised.records["s2"] += records(3, 3)
    await pipeline(store, first, promised)
    second = await store.acquire("s2", "owner", NOW_MS)
    await store.heartbeat([first, second], NOW_MS)
    await append(store, second, promised, 4, 4, SummaryChange(title="Named"))
    promised.titles["s2"] = "Named"
    await store.release(second)


async def append(
    store: SqliteStore,
    lease: Lease,
    promised: Journal,
    first: int,
    last: int,
    change: SummaryChange | None = None,
) -> None:
    await store.append(lease, records(first, last), BARRIER, change)
    promised.records[lease.session_id] += records(first, last)


async def pipeline(store: SqliteStore, lease: Lease, promised: Journal) -> None:
    """Send four appends before awaiting any. What follows a lost one is lost for its reason."""
    sent = [records(3, 3), records(4, 6), records(7, 7), records(8, 8)]
    outcomes = await asyncio.gather(
        *(store.append(lease, batch, BARRIER) for batch in sent), return_exceptions=True
    )
    kept = list(itertools.takewhile(lambda pair: pair[1] is None, zip(sent, outcomes, strict=True)))
    for batch, _ in kept:
        promised.records[lease.session_id] += batch
    assert {type(outcome) for outcome in outcomes[len(kept) :]} <= {StoreUnavailable}
    if len(kept) < len(sent):
        raise StoreUnavailable("the pipeline was cut")


async def check_exactly(store: SqliteStore, promised: Journal) -> None:
    """What was acknowledged is there, what was refused is not."""
    assert await store.verify() == []
    assert {s.session_id for s in await store.summaries()} == set(promised.records)
    for session_id, expected in promised.records.items():
        assert await store.read(session_id) == expected
    for session_id, title in promised.titles.items():
        assert (await store.summary(session_id)).title == title
    for digest in promised.blobs:
        assert await store.get_blob(digest) == LARGE


async def check_at_least(path: Path, vfs: str, promised: Journal) -> None:
    """What was acknowledged is there; what had no answer yet may follow it."""
    store = await SqliteStore.open(path, vfs=vfs)
    assert await store.verify() == []
    for session_id, expected in promised.records.items():
        found = await store.read(session_id)
        assert found[: len(expected)] == expected
        assert found == records(1, len(found))
    for summary in await store.summaries():
        has_its_beginning = summary.head_seq >= 2
        assert has_its_beginning or summary.session_id == "s1"  # which was created empty
    for digest in promised.blobs:
        assert await store.get_blob(digest) == LARGE
    await store.close()


async def fail_at_step(disk: FaultyDisk, directory: Path) -> bool:
    """Play the scenario on a disk that fails at one step. False when it never came to that."""
    directory.mkdir()
    path = directory / "holdfast.db"
    promised = Journal()
    try:
        store = await SqliteStore.open(path, vfs=disk.name)
    except StoreUnreadable:
        disk.repair()
        store = await SqliteStore.open(path, vfs=disk.name)
    killed = directory / "killed"
    try:
        await play(store, promised)
    except StoreUnavailable:
        with disk.still:
            shutil.copytree(directory, killed, ignore=shutil.ignore_patterns("*-shm"))
    disk.repair()
    if killed.exists():
        await check_at_least(killed / path.name, disk.name, promised)
    await check_exactly(store, promised)
    await go_on(store, promised)
    await store.close()
    again = await SqliteStore.open(path, vfs=disk.name)
    await check_exactly(again, promised)
    await again.close()
    shutil.rmtree(directory)
    return disk.failed


async def go_on(store: SqliteStore, promised: Journal) -> None:
    """Once the cause is gone every session takes the next append."""
    for session_id, expected in promised.records.items():
        lease = await store.acquire(session_id, "owner", NOW_MS)
        head = len(expected)
        await append(store, lease, promised, head + 1, head + 1)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "until repaired"])
@pytest.mark.parametrize("fault", [disk_full, io_error])
async def test_p1_d09_a_disk_that_fails_at_any_step_loses_nothing_acknowledged(
    tmp_path: Path, fault: Callable[[], apsw.Error], lasting: bool
) -> None:
    for nth in itertools.count(1):
        with FaultyDisk(fault, first=nth, lasting=lasting) as disk:
            if not await fail_at_step(disk, tmp_path / str(nth)):
                break
    assert nth > 40  # the scenario is not empty


async def test_d09_a_full_disk_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    with FaultyDisk(disk_full) as disk:
        store = await SqliteStore.open(tmp_path / "holdfast.db", vfs=disk.name)
        lease = await store.create(a_summary(), "owner", NOW_MS)
        await store.append(lease, records(1, 1), BARRIER)
        disk.break_down()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="disk is full"):
                await store.append(lease, records(2, 2), BARRIER)
        assert await store.read("s1") == records(1, 1)
        disk.repair()
        await store.append(lease, records(2, 2), BARRIER)
        assert await store.read("s1") == records(1, 2)
        await store.close()


async def test_p1_an_append_behind_a_lost_one_fails_for_the_same_reason(tmp_path: Path) -> None:
    with FaultyDisk(disk_full) as disk:
        store = await SqliteStore.open(tmp_path / "holdfast.db", vfs=disk.name)
        lease = await store.create(a_summary(), "owner", NOW_MS)
        disk.break_down()
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await store.append(lease, records(1, 2), BARRIER)
        disk.repair()
        for seq in (3, 4):
            with pytest.raises(StoreUnavailable, match="follows one that could not be written"):
                await store.append(lease, records(seq, seq), BARRIER)
        with pytest.raises(ValueError, match="does not follow"):
            await store.append(lease, records(6, 6), BARRIER)
        await store.append(lease, records(1, 1), BARRIER)
        with pytest.raises(ValueError, match="does not follow"):
            await store.append(lease, records(3, 3), BARRIER)
        assert await store.read("s1") == records(1, 1)
        await store.close()
