"""A killed process loses nothing that it was told is written (P1, V6, D11)."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.journal.sqlite import SqliteStore
from journal.samples import a_summary

TESTS = Path(__file__).parent.parent
KILLS = 10


def start(path: Path, mode: str, argument: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "journal.crash_child", str(path), mode, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    )


def kill_after(path: Path, seed: int) -> dict[str, int]:
    """Let a process append, kill it after a seeded number of acknowledgements.

    Returns the acknowledged head of each session: also what it said while it was being killed.
    """
    acknowledged: dict[str, int] = {}
    with start(path, "append", str(seed)) as process:
        assert process.stdout is not None
        left = random.Random(seed).randint(1, 100)
        for line in process.stdout:
            session_id, head = line.split()
            acknowledged[session_id] = int(head)
            left -= 1
            if left == 0:
                process.kill()
    return acknowledged


async def check(path: Path, acknowledged: dict[str, int]) -> None:
    store = await SqliteStore.open(path)
    assert await store.verify() == []
    for session_id, head in acknowledged.items():
        seqs = [record.seq for record in await store.read(session_id)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) >= head
        assert (await store.summary(session_id)).head_seq == len(seqs)
    await store.close()


@pytest.mark.survives("D27")
async def test_p1_v6_a_killed_process_loses_nothing_acknowledged_and_its_successor_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "holdfast.db"
    for seed in range(KILLS):
        acknowledged = await asyncio.to_thread(kill_after, path, seed)
        assert acknowledged
        await check(path, acknowledged)


async def test_d11_eight_processes_create_the_store_and_their_sessions_at_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data" / "holdfast.db"
    names = [f"s{number}" for number in range(8)]
    processes = [start(path, "create", name) for name in names]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 8
    store = await SqliteStore.open(path)
    assert {s.session_id for s in await store.summaries()} == set(names)
    assert await store.summary("s0") == a_summary("s0")
    await store.close()
