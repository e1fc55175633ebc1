"""S7: what a durable append costs, beside a plain file in the same directory.

The floor is the least that any durable log can do: append 400 bytes to an open file and
`fdatasync` it, in the same thread, just before each of ours. Ours is awaited from the event loop
and includes the lease check, the head and the hop to the writing thread and back.

A store's WAL grows until its first checkpoint and is then written over from its start; a sync of
a growing file costs more. Both phases are shown: the goal is judged on the lasting one.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from table import Row, print_table

from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Durability, Lease, Record, SessionSummary
from holdfast.journal.writer import CHECKPOINT_PAGES

ROUNDS = 9
PAIRS = 60
SESSIONS = 16
APPENDS_TOGETHER = 25
APPENDS_ALONE = 100
PAYLOAD = b"x" * 400


class Session:
    """One session of the store under test, which appends one event at a time."""

    def __init__(self, store: SqliteStore, lease: Lease) -> None:
        self.store, self.lease, self.seq = store, lease, 0

    @classmethod
    async def create(cls, store: SqliteStore, name: str) -> Session:
        summary = SessionSummary(name, "", None, None, "idle", 0, 0, 0)
        return cls(store, await store.create(summary, "benchmark", 0))

    async def append(self, times: int = 1) -> None:
        for _ in range(times):
            self.seq += 1
            record = Record(self.seq, self.seq, "event", 1, PAYLOAD)
            await self.store.append(self.lease, [record], Durability.BARRIER)


class Floor:
    """A plain file, synced after each append."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def append(self) -> None:
        os.write(self.descriptor, PAYLOAD)
        os.fdatasync(self.descriptor)


async def pairs(session: Session, floor: Floor) -> tuple[float, float]:
    """Return the median microseconds of an append: ours and the floor's, taken in turn."""
    ours, floors = [], []
    for _ in range(PAIRS):
        start = time.perf_counter()
        floor.append()
        middle = time.perf_counter()
        await session.append()
        floors.append(middle - start)
        ours.append(time.perf_counter() - middle)
    return statistics.median(ours) * 1e6, statistics.median(floors) * 1e6


async def events_per_second(sessions: list[Session], appends: int) -> float:
    """Return the rate of all sessions appending at once, each awaiting its own appends."""
    start = time.perf_counter()
    await asyncio.gather(*(session.append(appends) for session in sessions))
    return len(sessions) * appends / (time.perf_counter() - start)


def durable_append_row(what: str, measured: list[tuple[float, float]]) -> Row:
    ratio = statistics.median(ours / floor for ours, floor in measured)
    ours, floor = (statistics.median(side) for side in zip(*measured, strict=True))
    return Row("S7", what, ours, floor, "us", ratio, "at most 2.0x", ratio <= 2.0)


async def measure(directory: Path) -> list[Row]:
    store = await SqliteStore.open(directory / "holdfast.db")
    floor = Floor(directory / "floor")
    session = await Session.create(store, "alone")
    growing = [await pairs(session, floor) for _ in range(2)]
    await session.append(CHECKPOINT_PAGES // 2)
    lasting = [await pairs(session, floor) for _ in range(ROUNDS)]
    sessions = [await Session.create(store, f"s{number}") for number in range(SESSIONS)]
    rates = [
        (
            await events_per_second(sessions, APPENDS_TOGETHER),
            await events_per_second([session], APPENDS_ALONE),
        )
        for _ in range(ROUNDS)
    ]
    await store.close()
    os.close(floor.descriptor)
    together, alone = (statistics.median(side) for side in zip(*rates, strict=True))
    gain = statistics.median(many / one for many, one in rates)
    return [
        durable_append_row("awaited append / append + fdatasync", lasting),
        durable_append_row("the same, while a new WAL grows", growing)._replace(
            target="(for the record)", ok=True
        ),
        Row(
            "S7",
            f"{SESSIONS} sessions together / one session",
            together,
            alone,
            "events/s",
            gain,
            "at least 6x",
            gain >= 6,
        ),
    ]


def rows() -> list[Row]:
    """Measure S7 in the current directory's file system."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as directory:
        return asyncio.run(measure(Path(directory)))


if __name__ == "__main__":
    print_table(rows())
