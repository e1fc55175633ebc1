"""A look at the store from beside: it says who has sessions open, and changes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import attrs
import pytest

from holdfast.journal.glance import look
from holdfast.journal.leases import ProcessIdentity
from holdfast.journal.looks import Standing, StoreLook
from holdfast.journal.sqlite import SqliteStore
from journal.samples import BARRIER, NOW_MS, a_summary, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "holdfast.db"


def everything_in(directory: Path) -> dict[str, bytes]:
    # The memory that processes share about the log holds no content.
    files = [file for file in directory.iterdir() if not file.name.endswith("-shm")]
    return {file.name: file.read_bytes() for file in files}


async def test_a_look_changes_no_byte_while_the_store_is_open_and_when_it_is_not(
    path: Path,
) -> None:
    store = await SqliteStore.open(path)
    lease = await store.create(a_summary(), "owner", NOW_MS)
    await store.append(lease, records(1, 3), BARRIER)
    before = everything_in(path.parent)
    seen = look(path)
    assert everything_in(path.parent) == before
    assert (seen.sessions, seen.problem, seen.locked_s) == (1, "", 0.0)
    assert seen.size_bytes + seen.log_bytes > 0
    await store.append(lease, records(4, 5), BARRIER)
    await store.close()
    before = everything_in(path.parent)
    look(path)
    assert everything_in(path.parent) == before


async def test_where_no_store_is_none_is_made(path: Path) -> None:
    assert look(path) == StoreLook(exists=False)
    assert not path.parent.exists()


async def test_holders_are_told_apart(path: Path) -> None:
    """This process, one that lives, one that is gone, one of another machine."""
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = ProcessIdentity.current()
    holders = {
        Standing.HERE: here,
        Standing.ALIVE: attrs.evolve(here, pid=living.pid, started=None),
        Standing.GONE: attrs.evolve(here, pid=gone.pid, started=None),
        Standing.ELSEWHERE: attrs.evolve(here, host="another.example"),
    }
    try:
        for number, identity in enumerate(holders.values()):
            store = await SqliteStore.open(path, process=identity)
            await store.create(a_summary(f"s{number}"), f"owner {number}", NOW_MS)
            await store.close()
        found = look(path).holders
    finally:
        living.communicate(b"\n")
    assert {each.standing: (each.pid, each.host) for each in found} == {
        standing: (identity.pid, identity.host) for standing, identity in holders.items()
    }
    assert all(each.sessions == 1 and each.silent_s > 0 for each in found)


async def test_a_store_that_somebody_keeps_locked_is_seen_to_be(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.create(a_summary(), "owner", NOW_MS)
    await store.close()
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    seen = look(path, lock_s=0.2)
    assert seen.locked_s > 0
    assert seen.sessions == 1, "what can be read is read all the same"
    other.execute("ROLLBACK")
    other.close()


WRONG: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"no database" * 1000),
    "a folder": lambda path: path.mkdir(),
    "another program's": lambda path: apsw.Connection(str(path)).execute("CREATE TABLE t (x)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_store_is_said_in_words_and_left_alone(what: str, path: Path) -> None:
    path.parent.mkdir()
    WRONG[what](path)
    seen = look(path)
    assert seen.exists
    assert seen.problem
