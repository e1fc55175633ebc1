"""A file is replaced as a whole or not at all (P1), and evidence names what was there (P6)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.tools import files
from holdfast.tools.evidence import file_evidence
from holdfast.tools.threads import Stop, in_thread

OLD, NEW = b"old content\n", b"the new content, which is longer\n"

# A process of its own, as the limit on file sizes, a stand-in for a full disk, is the process's.
WRITE_UNDER_EVERY_LIMIT = """
import resource, sys
from pathlib import Path
from holdfast.tools.files import write_atomic

path, old, new = Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in range(len(new) + 1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        write_atomic(path, new)
        outcome = "written"
    except OSError as error:
        outcome = "refused"
    expected = new if outcome == "written" else old
    assert path.read_bytes() == expected, (limit, outcome)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], limit
    print(outcome)
"""


def test_p1_a_write_that_fails_at_any_byte_leaves_the_old_file_and_nothing_else(
    workspace: Path,
) -> None:
    path = workspace / "a.txt"
    path.write_bytes(OLD)
    ended = subprocess.run(
        [sys.executable, "-c", WRITE_UNDER_EVERY_LIMIT, path, OLD.decode(), NEW.decode()],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr == ""
    assert ended.stdout.split() == ["refused"] * len(NEW) + ["written"]


def test_a_reader_sees_the_old_or_the_new_file_never_a_part(workspace: Path) -> None:
    path = workspace / "a.txt"
    path.write_bytes(OLD)
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(15):
        files.write_atomic(path, NEW)
        files.write_atomic(path, OLD)
    done.set()
    reader.join()
    assert seen <= {OLD, NEW}


def test_an_interruption_leaves_no_temporary_file(workspace: Path) -> None:
    with pytest.raises(TypeError):
        files.write_atomic(workspace / "a.txt", None)  # type: ignore[arg-type]  # fails inside
    assert list(workspace.iterdir()) == []


def test_a_new_file_has_the_mode_that_the_umask_leaves(workspace: Path) -> None:
    mask = os.umask(0o027)
    try:
        files.write_atomic(workspace / "a.txt", NEW)
    finally:
        os.umask(mask)
    assert (workspace / "a.txt").stat().st_mode & 0o777 == 0o640


async def test_a_cancelled_write_is_over_when_the_cancellation_arrives(workspace: Path) -> None:
    started, may_go_on = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        may_go_on.wait(10)
        files.write_atomic(workspace / "a.txt", NEW)

    call = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(started.wait, 10)
    call.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (workspace / "a.txt").read_bytes() == NEW


async def test_cancelled_work_is_told_to_end() -> None:
    started = threading.Event()
    stop = Stop(timeout_s=60)

    def work() -> str:
        while not stop():
            started.set()
        return "ended early"

    call = asyncio.ensure_future(in_thread(work, stop))
    await asyncio.to_thread(started.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not stop.timed_out


async def test_work_that_takes_too_long_is_told_to_end() -> None:
    stop = Stop(timeout_s=0.0)

    def work() -> str:
        while not stop():
            pass
        return "ended early"

    assert await in_thread(work, stop) == "ended early"
    assert stop.timed_out


def test_p6_evidence_names_the_bytes(workspace: Path) -> None:
    path = workspace / "a.txt"
    assert file_evidence(path) is None
    assert file_evidence(workspace) is None
    path.write_bytes(OLD)
    assert file_evidence(path) == {
        "path": str(path),
        "sha256": hashlib.sha256(OLD).hexdigest(),
        "bytes": len(OLD),
    }


def test_evidence_of_a_huge_file_is_its_size(workspace: Path) -> None:
    path = workspace / "huge"
    with path.open("wb") as file:
        file.truncate(files.FILE_BYTES_MAX + 1)
    evidence = file_evidence(path)
    assert evidence is not None
    assert (evidence["sha256"], evidence["bytes"]) == (None, files.FILE_BYTES_MAX + 1)
