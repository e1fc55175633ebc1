"""Who may take a lease over, and when (D10, V11)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from holdfast.journal.leases import (
    SILENT_MAX_MS,
    SUSPENDED_MAX_MS,
    Liveness,
    ProcessIdentity,
    is_free,
    liveness,
)
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import LeaseLost, SessionOwnedElsewhere
from journal.samples import BARRIER, NOW_MS, a_summary, records

HERE = ProcessIdentity.current()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield process
        process.kill()


def identity_of(pid: int) -> ProcessIdentity:
    return attrs.evolve(HERE, pid=pid, started=None)


@pytest.mark.parametrize(
    ("state", "silence_ms", "free"),
    [
        (Liveness.GONE, 0, True),
        (Liveness.ALIVE, 0, False),
        (Liveness.ALIVE, SUSPENDED_MAX_MS, False),
        (Liveness.ALIVE, SUSPENDED_MAX_MS + 1, True),
        (Liveness.UNKNOWN, 0, False),
        (Liveness.UNKNOWN, SILENT_MAX_MS, False),
        (Liveness.UNKNOWN, SILENT_MAX_MS + 1, True),
    ],
)
def test_d10_a_lease_is_free_when_its_process_is_gone_or_too_long_silent(
    state: Liveness, silence_ms: int, free: bool
) -> None:
    assert is_free(state, heartbeat_ms=NOW_MS, now_ms=NOW_MS + silence_ms) is free


def test_v11_a_heartbeat_from_the_future_does_not_lock_for_ever() -> None:
    assert is_free(Liveness.UNKNOWN, heartbeat_ms=NOW_MS + 86_400_000, now_ms=NOW_MS)


def test_this_process_is_alive() -> None:
    assert liveness(HERE, HERE) is Liveness.ALIVE


def test_a_process_of_another_host_cannot_be_judged() -> None:
    assert liveness(attrs.evolve(HERE, host="elsewhere"), HERE) is Liveness.UNKNOWN


def test_a_child_is_alive_then_a_zombie_then_gone(child: subprocess.Popen[bytes]) -> None:
    holder = identity_of(child.pid)
    assert liveness(holder, HERE) is Liveness.ALIVE
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but not yet reaped
    assert liveness(holder, HERE) is Liveness.GONE
    child.wait()
    assert liveness(holder, HERE) is Liveness.GONE


def test_a_reused_pid_is_another_process(child: subprocess.Popen[bytes]) -> None:
    before = attrs.evolve(HERE, pid=child.pid)  # the same pid, but it started when we did
    assert liveness(before, HERE) is Liveness.GONE


@pytest.mark.parametrize("pid", [2**31 - 2, 2**40])
def test_a_pid_that_nobody_has_is_gone(pid: int) -> None:
    assert liveness(identity_of(pid), HERE) is Liveness.GONE


async def test_d10_a_dead_servers_session_is_taken_over_at_once(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    path = tmp_path / "holdfast.db"
    theirs = await SqliteStore.open(path, process=identity_of(child.pid))
    ours = await SqliteStore.open(path)
    lost = await theirs.create(a_summary(), "their server", NOW_MS)
    with pytest.raises(SessionOwnedElsewhere) as caught:
        await ours.acquire("s1", "our server", NOW_MS)
    assert (caught.value.pid, caught.value.host) == (child.pid, HERE.host)
    child.kill()
    child.wait()
    lease = await ours.acquire("s1", "our server", NOW_MS)
    await ours.append(lease, records(1, 1), BARRIER)
    with pytest.raises(LeaseLost):
        await theirs.append(lost, records(2, 2), BARRIER)
    assert await theirs.read("s1") == records(1, 1)
    await ours.close()
    await theirs.close()


async def test_d10_a_server_on_another_host_is_believed_for_thirty_seconds(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    theirs = await SqliteStore.open(path, process=attrs.evolve(HERE, host="elsewhere"))
    ours = await SqliteStore.open(path)
    lost = await theirs.create(a_summary(), "their server", NOW_MS)
    await theirs.heartbeat([lost], NOW_MS + 1_000)
    with pytest.raises(SessionOwnedElsewhere, match="elsewhere"):
        await ours.acquire("s1", "our server", NOW_MS + 1_000 + SILENT_MAX_MS)
    lease = await ours.acquire("s1", "our server", NOW_MS + 1_001 + SILENT_MAX_MS)
    assert lease.generation > lost.generation
    with pytest.raises(LeaseLost):
        await theirs.append(lost, records(1, 1), BARRIER)
    await ours.close()
    await theirs.close()
