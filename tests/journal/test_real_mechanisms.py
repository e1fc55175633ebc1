"""What disks and systems really do: limits, torn logs, suspended owners (P1, D07, D09, D10)."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from holdfast.journal.leases import SUSPENDED_MAX_MS
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Record, SessionOwnedElsewhere, StoreUnreadable
from journal.disks import Disk, FaultyDisk, disk_full, io_error
from journal.samples import BARRIER, LAZY, NOW_MS, a_record, a_summary, json_of, records

TESTS = Path(__file__).parent.parent
WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096


@attrs.define
class Child:
    """See `process_child`."""

    process: subprocess.Popen[str]

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        self.say(line)
        return self.answer()


@contextmanager
def child(path: Path) -> Iterator[Child]:
    with subprocess.Popen(
        [sys.executable, "-m", "journal.process_child", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


async def test_d09_a_disk_without_room_refuses_and_goes_on_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    """The system's own limit on file sizes: a write is cut short, the next one fails."""
    path = tmp_path / "holdfast.db"
    with child(path) as server:
        assert server.ask(f"acquire {NOW_MS}") == "ok"
        acknowledged = 0
        for limit in (100_000, 201_001, 305_500):  # also in the middle of a frame
            assert server.ask(f"limit {limit}") == "ok"
            while (answer := server.ask("append")) == "ok":
                acknowledged += 1
            assert answer.startswith("StoreUnavailable")
            assert server.ask("limit 0") == "ok"
            assert server.ask("append") == "ok", "the same append, once there is room"
            acknowledged += 1
        server.process.kill()
    store = await SqliteStore.open(path)
    found = await store.read("s1")
    assert [record.seq for record in found] == list(range(1, acknowledged + 1))
    assert acknowledged > 30
    assert await store.verify() == []
    await store.close()


async def test_d10_a_server_suspended_for_five_minutes_wakes_up_without_its_session(
    tmp_path: Path,
) -> None:
    path = tmp_path / "holdfast.db"
    with child(path) as sleeper:
        assert sleeper.ask(f"acquire {NOW_MS}") == "ok"
        assert sleeper.ask("append") == "ok"
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, sleeper.process.pid, os.WSTOPPED | os.WNOWAIT)
        sleeper.say("append")  # what it will do first when it wakes up
        store = await SqliteStore.open(path)
        with pytest.raises(SessionOwnedElsewhere):
            await store.acquire("s1", "heir", NOW_MS + SUSPENDED_MAX_MS)
        lease = await store.acquire("s1", "heir", NOW_MS + SUSPENDED_MAX_MS + 1)
        (first,) = await store.read("s1")
        await store.append(lease, records(2, 3), BARRIER)
        os.kill(sleeper.process.pid, signal.SIGCONT)
        assert sleeper.answer().startswith("LeaseLost")
        assert sleeper.ask("append").startswith("LeaseLost")
        assert await store.read("s1") == [first, *records(2, 3)]
        await store.append(lease, records(4, 4), BARRIER)
        await store.close()


@attrs.frozen
class Killed:
    """The files of a killed server, and how long its log was after each acknowledged append."""

    database: bytes
    log: bytes
    ends: list[int]
    sent: list[Record]

    def place(self, directory: Path, log: bytes, shared_memory: bytes | None = None) -> Path:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        path = directory / "holdfast.db"
        path.write_bytes(self.database)
        Path(f"{path}-wal").write_bytes(log)
        if shared_memory is not None:
            Path(f"{path}-shm").write_bytes(shared_memory)
        return path


@pytest.fixture
def disk() -> Iterator[Disk]:
    with Disk() as disk:
        yield disk


@pytest.fixture
async def killed(tmp_path: Path, disk: Disk) -> Killed:
    path = tmp_path / "live" / "holdfast.db"
    store = await SqliteStore.open(path, vfs=disk.name)
    lease = await store.create(a_summary(), "owner", NOW_MS)
    await store.close()
    store = await SqliteStore.open(path, vfs=disk.name)
    lease = await store.acquire("s1", "owner", NOW_MS)
    sent, ends = [], []
    for seq, size in enumerate((20, 3000, 9000, 20, 500), start=1):
        sent.append(a_record(seq, json_of(size)))
        await store.append(lease, sent[-1:], LAZY if seq % 2 else BARRIER)
        ends.append(Path(f"{path}-wal").stat().st_size)
    files = Killed(path.read_bytes(), Path(f"{path}-wal").read_bytes(), ends, sent)
    await store.close()
    return files


async def check_prefix(path: Path, killed: Killed, at_least: int, vfs: str) -> None:
    store = await SqliteStore.open(path, vfs=vfs)
    assert store.recovered is None, "a torn log is no damage"
    found = await store.read("s1")
    assert found == killed.sent[: len(found)]
    assert len(found) >= at_least
    assert (await store.summary("s1")).head_seq == len(found)
    await store.close()


def cuts(log: bytes) -> list[int]:
    """Every sector of the log, and every byte of the last frame's header and of its first bytes."""
    last = len(log) - PAGE - FRAME_HEADER
    return [*range(0, len(log), 512), *range(last, last + FRAME_HEADER + 8), len(log) - 1]


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(lambda log, cut: b"", id="cut off"),
        pytest.param(lambda log, cut: bytes(len(log) - cut), id="zeroes"),
        pytest.param(lambda log, cut: random.Random(cut).randbytes(len(log) - cut), id="noise"),
    ],
)
async def test_d07_a_log_torn_at_any_place_gives_the_records_before_it(
    tmp_path: Path, killed: Killed, disk: Disk, tail: Callable[[bytes, int], bytes]
) -> None:
    for cut in cuts(killed.log):
        path = killed.place(tmp_path / "after", killed.log[:cut] + tail(killed.log, cut))
        before = sum(end <= cut for end in killed.ends)
        await check_prefix(path, killed, before, disk.name)


@pytest.mark.parametrize("shared_memory", [None, b"", bytes(32_768), b"\xa5" * 32_768])
async def test_d07_the_shared_memory_file_may_be_missing_or_hold_anything(
    tmp_path: Path, killed: Killed, disk: Disk, shared_memory: bytes | None
) -> None:
    path = killed.place(tmp_path / "after", killed.log, shared_memory)
    await check_prefix(path, killed, len(killed.sent), disk.name)


async def test_d07_a_database_emptied_under_its_log_loses_nothing_that_the_log_holds(
    tmp_path: Path, disk: Disk
) -> None:
    live = tmp_path / "live" / "holdfast.db"
    store = await SqliteStore.open(live, vfs=disk.name)
    lease = await store.create(a_summary(), "owner", NOW_MS)
    await store.append(lease, records(1, 50), BARRIER)
    files = Killed(b"", Path(f"{live}-wal").read_bytes(), [], records(1, 50))
    await store.close()
    path = files.place(tmp_path / "after", files.log)
    store = await SqliteStore.open(path, vfs=disk.name)
    assert store.recovered is not None
    assert await store.read("s1") == records(1, 50)
    await store.close()


@pytest.mark.parametrize("fault", [disk_full, io_error])
async def test_v7_a_disk_that_fails_at_any_step_of_a_salvage_costs_a_second_try_and_no_record(
    tmp_path: Path, killed: Killed, fault: Callable[[], Exception]
) -> None:
    log = killed.log
    for nth in itertools.count(1):
        path = killed.place(tmp_path / "after", log)
        path.write_bytes(bytes(512) + killed.database[512:])
        with FaultyDisk(fault, first=nth, lasting=False) as disk:
            try:
                store = await SqliteStore.open(path, vfs=disk.name)
            except StoreUnreadable:
                store = await SqliteStore.open(path, vfs=disk.name)
            assert await store.read("s1") == killed.sent
            await store.close()
            kept = [f for f in path.parent.iterdir() if ".damaged-" in f.name]
            assert len(kept) == 2, "the file and its log, once"
            if not disk.failed:
                break
    assert nth > 15


class Film(Disk):
    """Keeps the files as they are before each operation: what a kill at that moment leaves."""

    def __init__(self, directory: Path, frames: Path) -> None:
        super().__init__()
        self.directory, self.frames, self.count = directory, frames, 0

    def before(self, operation: str, path: str, data: bytes = b"", offset: int = 0) -> None:
        self.count += 1
        ignored = shutil.ignore_patterns("*-shm")
        shutil.copytree(self.directory, self.frames / str(self.count), ignore=ignored)


async def test_p1_a_server_killed_at_any_step_of_a_salvage_loses_nothing(
    tmp_path: Path, killed: Killed, disk: Disk
) -> None:
    path = killed.place(tmp_path / "after", killed.log)
    damaged = bytes(512) + killed.database[512:]
    path.write_bytes(damaged)
    with Film(path.parent, tmp_path / "frames") as film:
        await (await SqliteStore.open(path, vfs=film.name)).close()
        assert film.count > 15
        for frame in film.frames.iterdir():
            store = await SqliteStore.open(frame / path.name, vfs=disk.name)
            assert await store.read("s1") == killed.sent
            await store.close()
            kept = [file for file in frame.iterdir() if file.name.endswith("Z")]
            assert damaged in [file.read_bytes() for file in kept]
