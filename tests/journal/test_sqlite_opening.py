"""Opening is safe: nothing is changed that is not a healthy store of a known format (P8, P11)."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.journal.schema import FORMAT, require_sound_sqlite
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import StoreError, StoreTooNew, StoreUnreadable
from journal.samples import BARRIER, NOW_MS, a_record, a_summary, records

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "holdfast.db"


def everything_in(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.is_file()}


async def make_store(path: Path) -> None:
    store = await SqliteStore.open(path)
    lease = await store.create(a_summary(), "owner", NOW_MS)
    await store.append(lease, records(1, 3), BARRIER)
    await store.close()


async def check_refused(path: Path, error: type[StoreError], says: str) -> None:
    """Opening fails with a sentence, and every file in the directory is as it was."""
    before = everything_in(path.parent)
    with pytest.raises(error, match=says):
        await SqliteStore.open(path)
    assert everything_in(path.parent) == before


def change(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


@pytest.mark.survives("D21")
async def test_p8_opening_and_closing_a_healthy_store_changes_no_byte(path: Path) -> None:
    await make_store(path)
    before = everything_in(path.parent)
    store = await SqliteStore.open(path)
    assert await store.read("s1") == records(1, 3)
    assert await store.verify() == []
    await store.close()
    assert everything_in(path.parent) == before
    assert list(before) == ["holdfast.db"]


async def test_p11_files_are_private_and_so_is_the_directory(path: Path) -> None:
    umask = os.umask(0)
    try:
        store = await SqliteStore.open(path)
        await store.create(a_summary(), "owner", NOW_MS)
    finally:
        os.umask(umask)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"holdfast.db": 0o600, "holdfast.db-wal": 0o600, "holdfast.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await store.close()


async def test_p11_a_store_restored_with_wider_permissions_is_made_private(path: Path) -> None:
    await make_store(path)
    path.chmod(0o644)
    await (await SqliteStore.open(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_p11_a_deleted_session_is_gone_from_the_file(path: Path) -> None:
    store = await SqliteStore.open(path)
    lease = await store.create(a_summary(), "owner", NOW_MS)
    secrets = [a_record(seq, b'{"secret":"%d"}' % (seq * 111_111)) for seq in range(1, 400)]
    await store.append(lease, secrets, BARRIER)
    await store.close()
    assert b"secret" in path.read_bytes()
    store = await SqliteStore.open(path)
    await store.delete(await store.acquire("s1", "owner", NOW_MS))
    await store.close()
    assert b"secret" not in path.read_bytes()


async def test_d23_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    await make_store(path)
    change(path, f"PRAGMA user_version = {FORMAT + 1}")
    await check_refused(path, StoreTooNew, f"has format {FORMAT + 1}")


async def test_d23_a_newer_format_that_only_the_log_tells_is_refused(
    path: Path, tmp_path: Path
) -> None:
    await make_store(path)
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version = {FORMAT + 7}")
    killed = tmp_path / "killed" / path.name
    killed.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(str(path) + suffix, str(killed) + suffix)
    connection.close()
    before = everything_in(killed.parent)
    with pytest.raises(StoreTooNew):
        await SqliteStore.open(killed)
    after = everything_in(killed.parent)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("format_number", [0, -1])
async def test_d23_a_format_that_never_existed_is_refused(path: Path, format_number: int) -> None:
    await make_store(path)
    change(path, f"PRAGMA user_version = {format_number}")
    await check_refused(path, StoreUnreadable, "never existed")


@pytest.mark.parametrize("application_id", [0, 0x0F05_5112])
@pytest.mark.survives("D21")
async def test_p8_another_programs_database_is_refused(path: Path, application_id: int) -> None:
    path.parent.mkdir()
    change(path, "CREATE TABLE theirs (x)")
    change(path, f"PRAGMA application_id = {application_id}")
    await check_refused(path, StoreUnreadable, "another program")


@settings(max_examples=50, deadline=None)
@given(
    st.binary(min_size=1, max_size=300).filter(any)
    | st.binary().map(lambda b: b"SQLite format 3\0" + b)
)
def test_p8_a_file_that_is_no_database_is_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "holdfast.db"
        path.write_bytes(content)
        asyncio.run(check_refused(path, StoreUnreadable, "not a Holdfast store|cannot be opened"))


async def test_p8_a_directory_in_the_stores_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreUnreadable, match="is not a file"):
        await SqliteStore.open(path)


async def test_p8_a_file_in_the_directorys_place_is_refused(path: Path) -> None:
    path.parent.write_text("notes")
    with pytest.raises(StoreUnreadable, match="cannot be opened"):
        await SqliteStore.open(path)
    assert path.parent.read_text() == "notes"


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of its own, with the rights of an ordinary user even when the tests are root."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        if os.geteuid() != 0:
            yield Path(directory)
            return
        os.setresuid(65_534, 65_534, 0)
        try:
            yield Path(directory)
        finally:
            os.setresuid(0, 0, 0)


async def test_v11_a_directory_that_cannot_be_written_is_refused(unprivileged: Path) -> None:
    directory = unprivileged / "data"
    directory.mkdir(mode=0o500)
    with pytest.raises(StoreUnreadable, match="cannot be opened"):
        await SqliteStore.open(directory / "holdfast.db")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "says"),
    [
        (0o400, 0o700, "cannot be read and written"),
        (0o000, 0o700, "cannot be read and written"),
        (0o600, 0o500, "directory .* cannot be written"),
    ],
)
async def test_v11_a_store_that_cannot_be_written_is_refused_and_left_alone(
    unprivileged: Path, file_mode: int, directory_mode: int, says: str
) -> None:
    path = unprivileged / "data" / "holdfast.db"
    await make_store(path)
    before = path.read_bytes()
    path.chmod(file_mode)
    path.parent.chmod(directory_mode)
    with pytest.raises(StoreUnreadable, match=says):
        await SqliteStore.open(path)
    path.parent.chmod(0o700)
    path.chmod(0o600)
    assert everything_in(path.parent) == {path.name: before}


async def test_p1_a_store_whose_creation_was_cut_off_is_created(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    await make_store(path)
    assert list(everything_in(path.parent)) == ["holdfast.db"]


@pytest.mark.survives("D22")
async def test_v7_a_damaged_page_is_reported_and_other_sessions_go_on(path: Path) -> None:
    store = await SqliteStore.open(path)
    for session_id in ("s1", "s2"):
        lease = await store.create(a_summary(session_id), "owner", NOW_MS)
        await store.append(lease, records(1, 300), BARRIER)
    await store.close()
    content = path.read_bytes()
    pages = [content[start : start + 4096] for start in range(0, len(content), 4096)]
    leaf_of_s1 = next(i for i, page in enumerate(pages) if page[0] == 13 and b'{"n":7}' in page)
    pages[leaf_of_s1] = b"\xff" * 4096
    path.write_bytes(b"".join(pages))
    store = await SqliteStore.open(path)
    assert await store.verify() != []
    with pytest.raises(StoreUnreadable, match="could not be read"):
        await store.read("s1")
    assert await store.read("s2") == records(1, 300)
    lease = await store.acquire("s2", "owner", NOW_MS)
    await store.append(lease, records(301, 301), BARRIER)
    assert await store.read("s2") == records(1, 301)
    await store.close()


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.17"])
def test_an_sqlite_that_can_corrupt_its_files_is_refused(version: str) -> None:
    with pytest.raises(StoreUnreadable, match="can corrupt"):
        require_sound_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_a_sound_sqlite_is_accepted(version: str) -> None:
    require_sound_sqlite(version)


async def test_d23_a_store_of_every_released_format_is_read_and_continued(tmp_path: Path) -> None:
    for golden in sorted(GOLDEN.glob("format-*.db")):
        path = shutil.copy(golden, tmp_path)
        store = await SqliteStore.open(Path(path))
        assert [s.session_id for s in await store.summaries()] == ["s1"]
        assert await store.read("s1") == records(1, 3)
        lease = await store.acquire("s1", "another owner", NOW_MS + 10 * 60_000)
        await store.append(lease, records(4, 4), BARRIER)
        assert await store.verify() == []
        await store.close()
    assert (GOLDEN / f"format-{FORMAT}.db").exists()
