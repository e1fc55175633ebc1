"""What a barrier acknowledged survives power loss (P1, D08)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Lease, Record, StoreUnavailable
from journal.disks import RecordingDisk
from journal.samples import BARRIER, LAZY, NOW_MS, a_record, a_summary, json_of

# Long enough for the log to be moved into the database file and written over from its start.
APPENDS = 90
SEEDS = range(30)


@attrs.define
class Run:
    """What was sent to each session, and what was promised after how many steps of the disk."""

    sent: dict[str, list[Record]] = attrs.Factory(dict)
    promises: list[tuple[int, dict[str, int]]] = attrs.Factory(list)

    def promised_after(self, steps: int) -> Mapping[str, int]:
        """The newest promise that was made before that step."""
        made = [promise for at, promise in self.promises if at <= steps]
        return made[-1] if made else {}


async def play(disk: RecordingDisk, path: Path, chance: random.Random) -> Run:
    """Append to two sessions. A barrier promises all records that were acknowledged before it."""
    run = Run()
    acknowledged: dict[str, int] = {}
    store = await SqliteStore.open(path, vfs=disk.name)
    leases: list[Lease] = []
    for session_id in ("s1", "s2"):
        leases.append(await store.create(a_summary(session_id), "owner", NOW_MS))
        run.sent[session_id], acknowledged[session_id] = [], 0
        run.promises.append((len(disk.steps), dict(acknowledged)))
    for _ in range(APPENDS):
        lease = chance.choice(leases)
        durability = chance.choice([BARRIER, LAZY, LAZY])
        seq = acknowledged[lease.session_id] + 1
        record = a_record(seq, json_of(chance.choice([400, 65_536])))
        run.sent[lease.session_id][seq - 1 :] = [record]
        try:
            await store.append(lease, [record], durability)
        except StoreUnavailable:
            continue
        acknowledged[lease.session_id] = seq
        if durability is BARRIER:
            run.promises.append((len(disk.steps), dict(acknowledged)))
    await store.close()
    return run


async def check_after_power_loss(path: Path, run: Run, promised: Mapping[str, int]) -> None:
    store = await SqliteStore.open(path)
    assert await store.verify() == []
    assert {s.session_id for s in await store.summaries()} >= set(promised)
    for session_id, count in promised.items():
        found = await store.read(session_id)
        assert found == run.sent[session_id][: len(found)]
        assert len(found) >= count
    await store.close()


@pytest.mark.parametrize("failing_sync", [None, 8], ids=["sound disk", "a sync fails once"])
async def test_p1_d08_power_loss_at_any_step_keeps_what_a_barrier_acknowledged(
    tmp_path: Path, failing_sync: int | None
) -> None:
    with RecordingDisk(failing_sync) as disk:
        run = await play(disk, tmp_path / "live" / "holdfast.db", random.Random(1))
    assert any(s.operation == "sync" and s.path == "holdfast.db" for s in disk.steps[:-40])
    for seed in SEEDS:
        chance = random.Random(seed)
        steps = chance.randrange(run.promises[0][0], len(disk.steps) + 1)
        disk.lose_power(steps, tmp_path / "after", chance)
        await check_after_power_loss(
            tmp_path / "after" / "holdfast.db", run, run.promised_after(steps)
        )
