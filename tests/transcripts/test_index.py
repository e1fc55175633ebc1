"""The index: every byte accounted for, no words kept, grown files read where they grew."""

from __future__ import annotations

import gc
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.transcripts import bodies
from holdfast.transcripts.bodies import Bodies
from holdfast.transcripts.imported import Note
from holdfast.transcripts.index import PROGRESS_BYTES, TranscriptIndex
from holdfast.transcripts.lines import read_lines
from holdfast.transcripts.rows import Row
from transcripts.transcript_files import Transcript

CORPUS = Path(__file__).parents[1] / "corpora" / "claude-code"
SMALL = (CORPUS / "vscode-copilot-chat-2.1.33_b3a7bd3c.jsonl").read_bytes()
FILE = Transcript().user("u1", "first ✓").says("a1", "m1", "answer").calls("a2", "m1", "t1")
CONTENT = FILE.result("r1", "t1").user("u2", "second").bytes()
examples = settings(max_examples=60, deadline=None)
pieces = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.integers(0, 12).map(lambda count: b"\0" * count),
        st.sampled_from(CONTENT.splitlines(keepends=True)),
        st.sampled_from([b"\n", b"\r\n", b" ", b"}{", b'{"type":"user","uuid":"u1"}', b"[1]"]),
        st.sampled_from(CONTENT.splitlines()).map(lambda line: line[: len(line) // 2]),
        st.sampled_from(CONTENT.splitlines(keepends=True)).map(
            lambda line: line[: len(line) // 3] + b"\n" + line[len(line) // 3 :]
        ),
    ),
    max_size=12,
).map(b"".join)


def of(content: bytes) -> TranscriptIndex:
    return TranscriptIndex.of_stream(io.BytesIO(content))


def uncovered(index: TranscriptIndex, content: bytes) -> bytes:
    """Return the bytes that are on no row's line and in no note."""
    left = bytearray(content)
    for place in (*index.rows, *index.notes):
        left[place.start : place.stop] = b" " * (place.stop - place.start)
    return bytes(left)


# --- every byte -----------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(pieces)
def test_d05_d06_d07_every_byte_is_on_the_line_of_a_row_or_in_a_note_or_blank(
    content: bytes,
) -> None:
    index = of(content)
    left = uncovered(index, content).decode(errors="replace")
    assert left.replace("\N{ZERO WIDTH NO-BREAK SPACE}", "").strip() == ""
    assert index.size == len(content)


@examples
@given(st.integers(0, len(SMALL)), st.binary(max_size=20), st.integers(0, 30))
def test_v9_every_byte_of_a_damaged_real_file_is_accounted_for(
    at: int, junk: bytes, gone: int
) -> None:
    content = SMALL[:at] + junk + SMALL[at + gone :]
    assert uncovered(of(content), content).strip() == b""


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.jsonl")), ids=lambda path: path.name)
def test_d07_a_real_file_cut_at_each_of_its_last_200_bytes_loses_only_its_last_record(
    path: Path,
) -> None:
    content = path.read_bytes()
    whole = content.rstrip(b"\n").count(b"\n") + 1
    for length in range(len(content) - 200, len(content)):
        index = of(content[:length])
        assert len(index.rows) in (whole - 1, whole)
        assert uncovered(index, content[:length]).strip() == b""


def test_d17_a_line_that_is_too_long_is_set_aside_with_a_note() -> None:
    long, short = b'{"type":"user","x":"' + b"x" * 5000 + b'"}\n', b'{"type":"user"}\n'
    notes: list[Note] = []
    lines = read_lines(io.BytesIO(short + long + short), notes, line_bytes_max=2000)
    assert [(number, raw) for number, _, _, raw in lines] == [(1, short), (3, short)]
    assert [(note.kind, note.line, note.stop - note.start) for note in notes] == [
        ("unread", 2, len(long))
    ]


# --- rows -----------------------------------------------------------------------------------------


def test_a_row_says_where_its_record_stands_and_its_body_is_read_from_there(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.write_bytes(CONTENT)
    index = TranscriptIndex.build(path)
    with bodies.opened(path) as opened:
        for row, line in zip(index.rows, FILE.lines, strict=True):
            assert opened.record(row) == line
            assert json.loads(opened.raw(row)) == line
        assert [block.text_of("text") for block in opened.blocks(index.rows[0])] == ["first ✓"]


def test_records_that_share_a_line_have_one_body_each() -> None:
    lines = CONTENT.splitlines()
    stream = io.BytesIO(lines[0] + lines[1] + b"\0\0" + lines[2])
    index = TranscriptIndex.of_stream(stream)
    assert [row.piece for row in index.rows] == [0, 1, 2]
    assert [Bodies(stream).record(row)["uuid"] for row in index.rows] == ["u1", "a1", "a2"]


def test_the_ids_of_calls_and_of_what_results_answer_are_known_without_bodies() -> None:
    rows = {row.key: row for row in of(CONTENT).rows}
    assert (rows["a2"].calls, rows["a2"].answers) == (("t1",), ())
    assert (rows["r1"].calls, rows["r1"].answers) == ((), ("t1",))


def test_a_row_keeps_nothing_of_the_words_of_its_record() -> None:
    long = Transcript().user("u1", "word " * 100_000).result("r1", "t1", "word " * 100_000)
    for row in of(long.bytes()).rows:
        assert sum(len(str(getattr(row, name))) for name in Row.__struct_fields__) < 500


def test_d12_another_record_under_a_used_id_gets_a_key_of_its_own() -> None:
    file = Transcript().user("u1", "one").user("u1", "two", parent=None)
    file.lines.append(dict(file.lines[0]))
    assert [(row.key, row.twice) for row in of(file.bytes()).rows] == [
        ("u1", False), ("u1#2", False), ("u1", True),
    ]  # fmt: skip


def test_d04_a_sub_agents_record_never_takes_the_key_of_the_main_track() -> None:
    file = Transcript().user("u1", "side", isSidechain=True, parent=None)
    file.user("u1", "main", parent=None)
    assert [row.key for row in of(file.bytes()).rows] == ["u1#1", "u1"]


def test_collection_of_garbage_is_on_again_after_the_pass() -> None:
    assert gc.isenabled()
    of(CONTENT)
    assert gc.isenabled()


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    long = Transcript().user("u1", "x" * (PROGRESS_BYTES + 1)).user("u2", "more").bytes()
    path.write_bytes(long)
    told: list[tuple[int, int]] = []
    TranscriptIndex.build(path, progress=lambda done, size: told.append((done, size)))
    assert told[-1] == (len(long), len(long))
    assert len(told) == 2


# --- files that grow ------------------------------------------------------------------------------


def same(one: TranscriptIndex, other: TranscriptIndex) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("size", "rows", "notes", "about", "edges", "resume")
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "grown.jsonl"
    found.write_bytes(b"")
    return found


@pytest.mark.parametrize("step", [5, 100])
def test_an_index_that_is_extended_is_the_one_that_is_built_anew(path: Path, step: int) -> None:
    lines = CONTENT.splitlines(keepends=True)
    content = CONTENT + lines[1] + b"\0\0\n" + lines[0][:50] + lines[3] + b"no record\n" + lines[2]
    index = TranscriptIndex.build(path)
    for length in range(step, len(content) + step, step):
        path.write_bytes(content[:length])
        index = index.extended()
        assert same(index, TranscriptIndex.build(path))


def check_growth(folder: Path, content: bytes, cuts: list[int]) -> None:
    path = folder / "session.jsonl"
    index: TranscriptIndex | None = None
    for cut in (*sorted(cuts), len(content)):
        path.write_bytes(content[:cut])
        index = index.extended() if index is not None else TranscriptIndex.build(path)
        assert same(index, TranscriptIndex.build(path))


@settings(max_examples=100, deadline=None)
@given(content=pieces, cuts=st.lists(st.integers(0, 4000), max_size=3))
def test_a_damaged_file_that_grows_by_any_steps_is_read_as_if_it_had_always_been_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[int]
) -> None:
    check_growth(tmp_path_factory.mktemp("grown"), content, cuts)


def test_an_index_does_not_change_when_the_file_grows(path: Path) -> None:
    path.write_bytes(CONTENT)
    before = TranscriptIndex.build(path)
    rows = list(before.rows)
    path.write_bytes(CONTENT + CONTENT.splitlines(keepends=True)[0])
    before.extended()
    assert list(before.rows) == rows


def test_a_file_that_was_written_anew_is_read_anew(path: Path) -> None:
    path.write_bytes(CONTENT)
    index = TranscriptIndex.build(path)
    other = Transcript().user("x1", "another session").user("x2", "word " * 1000).bytes()
    path.write_bytes(other)
    assert [row.key for row in index.extended().rows] == ["x1", "x2"]
    path.write_bytes(other[:100])
    assert index.extended().size == 100


def test_a_change_in_the_middle_that_keeps_the_size_is_seen(path: Path) -> None:
    long = Transcript().user("u1", "x" * 9000).user("u2", "same").user("u3", "x" * 9000).bytes()
    path.write_bytes(long)
    index = TranscriptIndex.build(path)
    path.write_bytes(long.replace(b'"uuid": "u2"', b'"uuid": "v2"'))
    os.utime(path, ns=(index.mtime_ns + 1, index.mtime_ns + 1))
    assert [row.key for row in index.extended().rows] == ["u1", "v2", "u3"]


def test_an_index_is_the_same_while_its_file_stays_and_another_when_it_grows(path: Path) -> None:
    path.write_bytes(CONTENT)
    first = TranscriptIndex.build(path)
    assert first.extended() is first
    path.write_bytes(CONTENT + CONTENT.splitlines(keepends=True)[0])
    assert len(first.extended().rows) == len(first.rows) + 1


def test_a_file_that_is_gone_is_an_os_error(path: Path) -> None:
    index = TranscriptIndex.build(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        index.extended()
