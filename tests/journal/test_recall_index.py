"""The index of a session's past is derived: it may be lost, broken or late."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import stat
from collections.abc import Mapping
from pathlib import Path

import apsw
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.journal.recall import SqliteIndex
from holdfast.journal.search import TERMS_MAX, SearchUnavailable, terms_of
from journal.disks import FaultyDisk, disk_full, io_error

SESSION = "s_1"
TALK = {
    2: "the secret word is dulse",
    5: "[called run]\ncommand: make check_all.sh",
    9: "Zürich and the sea",
    14: "nothing of note, but the sea again and the secret",
}


@attrs.frozen
class Pages:
    """A past of plain texts. Counts what is read of it."""

    texts: Mapping[int, str]
    read: list[int] = attrs.Factory(list)

    @property
    def digests(self) -> Mapping[int, bytes]:
        return {
            n: hashlib.sha256(t.encode(errors="replace")).digest() for n, t in self.texts.items()
        }

    def text_of(self, entry: int) -> str:
        self.read.append(entry)
        return self.texts[entry]


async def found(
    index: SqliteIndex, texts: Mapping[int, str], query: str, limit: int = 9
) -> set[int]:
    return set(await index.search(SESSION, Pages(texts), terms_of(query), limit))


def the_file(folder: Path) -> Path:
    (file,) = folder.glob("*.db")
    return file


# -- what is found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "entries"),
    [
        ("dulse", {2}),
        ("DULSE", {2}),
        ("zurich", {9}),
        ("check_all.sh", {5}),
        ('"the sea"', {9, 14}),
        ("chec", {5}),
        ("dulse zürich", {2, 9}),
        ("unsaid", set()),
        ("", set()),
    ],
)
async def test_entries_are_found_by_words_phrases_and_beginnings(
    tmp_path: Path, query: str, entries: set[int]
) -> None:
    assert await found(SqliteIndex(tmp_path), TALK, query) == entries


async def test_entries_with_all_words_come_first_and_no_more_than_wanted(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    assert (await index.search(SESSION, Pages(TALK), ("sea", "secret"), 9))[0] == 14
    assert await index.search(SESSION, Pages(TALK), ("sea", "secret"), 1) == [14]


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_text_is_an_error_of_the_query(
    tmp_path_factory: pytest.TempPathFactory, query: str
) -> None:
    asyncio.run(found(SqliteIndex(tmp_path_factory.getbasetemp() / "any"), TALK, query))


@pytest.mark.parametrize(
    "query",
    [
        '"', '""', "'", "*", "a*", "^a", "a AND", "NOT", "NEAR(a b, 2)", "text: a", "{text} : a",
        "a - b", "+", "(", ")", "a\x00b", "\\", "%", "--", ";DROP TABLE words", "🜏", "a" * 999,
        " ".join(str(n) for n in range(500)),
    ],
)  # fmt: skip
async def test_words_of_the_query_language_are_only_words(tmp_path: Path, query: str) -> None:
    assert len(terms_of(query)) <= TERMS_MAX
    await found(SqliteIndex(tmp_path), TALK, query)


words = st.text(st.characters(categories=("Ll", "Lu", "Nd")), min_size=1, max_size=8)
changes = st.lists(
    st.dictionaries(st.integers(1, 12), st.lists(words, min_size=1, max_size=4), max_size=8),
    min_size=1,
    max_size=4,
)


@given(changes)
@settings(max_examples=25, deadline=None)
def test_whatever_the_past_becomes_exactly_its_words_are_found(
    tmp_path_factory: pytest.TempPathFactory, pasts: list[dict[int, list[str]]]
) -> None:
    """It grows, is rewound, is repaired: each is another past for the same index."""

    async def check() -> None:
        index = SqliteIndex(tmp_path_factory.mktemp("pasts"))
        for past in pasts:
            texts = {entry: " ".join(said) for entry, said in past.items()}
            for entry, said in past.items():
                assert entry in await found(index, texts, said[0], limit=50)
            assert await found(index, texts, "unsaidanywhere") == set()
            everything = " ".join(word for said in past.values() for word in said[:3])
            assert await found(index, texts, everything, limit=50) <= set(texts)

    asyncio.run(check())


async def test_only_what_is_new_or_changed_is_read(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    await found(index, TALK, "sea")
    later = Pages({**TALK, 9: "Bern and the lake", 20: "more of it"})
    assert await index.search(SESSION, later, ("lake",), 9) == [9]
    assert sorted(later.read) == [9, 20]
    rewound = Pages({2: TALK[2]})
    assert await index.search(SESSION, rewound, ("sea",), 9) == []
    assert rewound.read == []


# -- where it lies -------------------------------------------------------------------------------


async def test_p11_the_files_are_private_and_hold_no_text(tmp_path: Path) -> None:
    await found(SqliteIndex(tmp_path / "recall"), TALK, "dulse")
    file = the_file(tmp_path / "recall")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert b"secret word is" not in file.read_bytes()


async def test_a_session_that_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    await found(index, TALK, "dulse")
    await index.search("s_2", Pages(TALK), ("dulse",), 9)
    await index.forget(SESSION)
    assert len(list(tmp_path.glob("*.db*"))) == 1
    await index.forget(SESSION)
    assert await found(index, TALK, "dulse") == {2}


async def test_two_servers_with_one_folder_do_not_break_it(tmp_path: Path) -> None:
    here, there = SqliteIndex(tmp_path), SqliteIndex(tmp_path)
    for size in range(1, 12):
        texts = {n: f"word{n} of all" for n in range(size)}
        both = await asyncio.gather(
            found(here, texts, "all", 50),
            found(there, texts, "all", 50),
            found(here, texts, f"word{size - 1}"),
        )
        assert both == [set(texts), set(texts), {size - 1}]


async def test_a_search_that_is_given_up_leaves_a_usable_index(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    giving_up = asyncio.create_task(found(index, dict.fromkeys(range(500), "sea " * 200), "sea"))
    await asyncio.sleep(0)
    giving_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving_up
    assert await found(index, TALK, "dulse") == {2}


# -- damage --------------------------------------------------------------------------------------


async def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    texts = {n: f"word{n} " + "filler " * 300 for n in range(40)}
    await found(index, texts, "word1")
    file = the_file(tmp_path)
    sound = file.read_bytes()
    chance = random.Random(6)
    broken = [
        b"junk", b"", b"junk" * 5_000, sound[: len(sound) // 2], sound[:100] + bytes(len(sound)),
        b"SQLite format 3\x00" + b"\xff" * 9_000,
    ]  # fmt: skip
    for _ in range(20):
        page = bytearray(sound)
        start = chance.randrange(len(page) - 5_000)
        page[start : start + 5_000] = chance.randbytes(5_000)
        broken.append(bytes(page))
    for content in broken:
        file.write_bytes(content)
        assert 7 in await found(index, texts, "word7")


async def test_an_index_of_another_format_is_made_anew(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    await found(index, TALK, "dulse")
    other = apsw.Connection(str(the_file(tmp_path)))
    other.pragma("user_version", 99)
    other.close()
    assert await found(index, TALK, "dulse") == {2}


@pytest.mark.parametrize("fault", [disk_full, io_error])
async def test_d09_whichever_operation_fails_it_is_said_in_words_and_mended(
    tmp_path: Path, fault: type[Exception]
) -> None:
    for nth in range(1, 200):
        with FaultyDisk(fault, first=nth) as disk:
            index = SqliteIndex(tmp_path / f"{nth}", vfs=disk.name)
            with contextlib.suppress(SearchUnavailable):  # anything else would end the test
                assert await found(index, TALK, "dulse") == {2}
            failed = disk.failed
            disk.repair()
            assert await found(index, {**TALK, 30: "dulse again"}, "dulse") == {2, 30}
            if not failed:
                break
    assert nth > 10
    assert not failed


async def test_d09_a_full_disk_is_named(tmp_path: Path) -> None:
    with (
        FaultyDisk(disk_full, first=1) as disk,
        pytest.raises(SearchUnavailable, match="The disk is full, so the search index"),
    ):
        await found(SqliteIndex(tmp_path, vfs=disk.name), TALK, "dulse")
