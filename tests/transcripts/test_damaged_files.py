"""Reading what crashes leave behind: no exception, every lost byte accounted for (D05-D07)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from transcripts.transcript_files import Transcript, read_bytes, shown

CORPUS = Path(__file__).parents[1] / "corpora" / "claude-code"
SMALL = (CORPUS / "vscode-copilot-chat-2.1.33_b3a7bd3c.jsonl").read_bytes()
FILE = Transcript().user("u1", "first ✓").says("a1", "m1", "answer").user("u2", "second")
CONTENT = FILE.bytes()
LINES = CONTENT.splitlines(keepends=True)
examples = settings(max_examples=60, deadline=None)


def check(content: bytes, expected: list[str], kinds: list[str]) -> None:
    history = read_bytes(content)
    assert shown(history) == expected
    assert [note.kind for note in history.notes] == kinds


ALL = ["user: first ✓", "assistant: answer", "user: second"]


def test_d05_a_run_of_nul_bytes_is_skipped_wherever_it_stands() -> None:
    check(b"\0" * 500 + CONTENT, ALL, ["mended"])
    check(LINES[0] + b"\0" * 500 + b"\n" + LINES[1] + LINES[2], ALL, ["mended"])
    check(LINES[0] + b"\0" * 500 + LINES[1] + LINES[2], ALL, ["mended"])
    check(CONTENT + b"\0" * 500, ALL, ["mended"])


def test_d07_a_torn_last_line_is_left_out_and_its_bytes_are_named() -> None:
    torn = LINES[0] + LINES[1] + LINES[2][:40]
    history = read_bytes(torn)
    assert shown(history) == ALL[:2]
    (note,) = history.notes
    assert (note.kind, note.line, note.start, note.stop) == (
        "unread", 3, len(LINES[0] + LINES[1]), len(torn),
    )  # fmt: skip


def test_d07_a_line_that_fused_with_the_torn_one_before_it_is_read() -> None:
    check(LINES[0] + LINES[1][:70] + LINES[2], ["user: first ✓", "user: second"],
          ["unread", "bridged"])  # fmt: skip


def test_two_records_on_one_line_are_two_records() -> None:
    check(LINES[0].rstrip() + LINES[1] + LINES[2], ALL, ["mended"])


def test_d06_a_malformed_line_in_the_middle_hides_nothing_after_it() -> None:
    check(LINES[0] + b"}{ not json\n" + LINES[1] + b"[1, 2]\n" + LINES[2], ALL,
          ["unread", "unread"])  # fmt: skip


def test_d06_a_record_that_was_broken_over_lines_is_one_record_again() -> None:
    for place in range(1, len(LINES[1]) - 1):
        if LINES[1][place - 1 : place] == b"}":
            continue  # so does a whole record end
        broken = LINES[1][:place] + b"\n" + LINES[1][place:]
        history = read_bytes(LINES[0] + broken + LINES[2])
        assert [words.replace("\n", "") for words in shown(history)] == ALL, place
        (note,) = history.notes
        assert (note.kind, note.line) == ("mended", 2)
        assert (note.start, note.stop) == (len(LINES[0]), len(LINES[0] + broken))


def test_d06_a_record_that_was_wrapped_is_one_record_again() -> None:
    wrapped = b"\n".join(LINES[2][at : at + 20] for at in range(0, len(LINES[2]), 20))
    check(LINES[0] + LINES[1] + wrapped, ALL, ["mended"])


@pytest.mark.parametrize("newline", [b"\r\n", b"\n\n"])
def test_other_line_ends_are_line_ends(newline: bytes) -> None:
    check(CONTENT.replace(b"\n", newline), ALL, [])


def test_a_byte_order_mark_and_a_missing_last_newline_change_nothing() -> None:
    check(b"\xef\xbb\xbf" + CONTENT.rstrip(), ALL, [])


def test_bytes_that_are_no_utf8_cost_one_character() -> None:
    check(CONTENT.replace(b"second", b"sec\xffnd"), [*ALL[:2], "user: sec�nd"], ["mended"])


def test_half_a_surrogate_pair_costs_one_character() -> None:
    check(CONTENT.replace(b"second", rb"sec\ud83dnd"), [*ALL[:2], "user: sec�nd"], [])


def test_a_line_nested_beyond_all_measure_is_left_out() -> None:
    check(LINES[0] + b"[" * 200_000 + b"\n" + LINES[1] + LINES[2], ALL, ["unread"])


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"type": 7},
        {"type": "user"},
        {"type": "user", "uuid": 5, "message": None},
        {"type": "user", "uuid": "x", "message": "words"},
        {"type": "assistant", "uuid": "x", "message": {"content": {"a": 1}, "id": []}},
        {"type": "user", "uuid": "u1", "parentUuid": "u1", "message": {"content": [None, 3]}},
        {"type": "system", "uuid": "x", "subtype": "compact_boundary", "compactMetadata": 3},
        {"type": "attachment", "uuid": "x", "attachment": {"type": "queued_command", "prompt": 3}},
        {"type": "summary", "leafUuid": {}, "summary": []},
        {"type": "last-prompt", "leafUuid": "nobody"},
    ],
)
def test_a_record_with_strange_fields_hides_nothing(line: object) -> None:
    history = read_bytes(CONTENT + json.dumps(line).encode() + b"\n")
    assert {"user: first ✓", "assistant: answer"} <= set(shown(history))


def test_an_empty_file_is_an_empty_history() -> None:
    assert read_bytes(b"").messages == ()


# --- properties -----------------------------------------------------------------------------------


def check_total(content: bytes) -> None:
    history = read_bytes(content)
    assert validate(repair(history.messages).history) == ()
    for note in history.notes:
        assert 0 <= note.start <= note.stop <= len(content)


def test_v9_a_file_cut_at_any_byte_is_read() -> None:
    for length in range(len(CONTENT)):
        check_total(CONTENT[:length])


@examples
@given(st.integers(0, len(SMALL)))
def test_v9_a_real_file_cut_anywhere_keeps_every_whole_line(length: int) -> None:
    kept = SMALL[:length]
    check_total(kept)
    whole = kept[: kept.rfind(b"\n") + 1]
    assert read_bytes(kept).entries >= read_bytes(whole).entries


@examples
@given(st.integers(0, len(SMALL)), st.binary(max_size=20), st.integers(0, 30))
def test_v9_a_real_file_with_bytes_overwritten_is_read(at: int, junk: bytes, gone: int) -> None:
    check_total(SMALL[:at] + junk + SMALL[at + gone :])


@examples
@given(st.integers(0, len(SMALL)), st.integers(1, 300))
def test_d05_nul_bytes_anywhere_lose_no_other_line(at: int, count: int) -> None:
    damaged = read_bytes(SMALL[:at] + b"\0" * count + SMALL[at:])
    assert damaged.entries == read_bytes(SMALL).entries
    assert damaged.messages == read_bytes(SMALL).messages


@examples
@given(st.lists(st.integers(0, SMALL.count(b"\n") - 1), max_size=4))
def test_lines_that_lost_their_newline_are_all_read(at: list[int]) -> None:
    lines = SMALL.splitlines(keepends=True)
    glued = b"".join(x.rstrip(b"\n") if n in at else x for n, x in enumerate(lines))
    assert read_bytes(glued).messages == read_bytes(SMALL).messages


@examples
@given(st.permutations(SMALL.splitlines(keepends=True)))
def test_lines_in_any_order_are_read(lines: list[bytes]) -> None:
    check_total(b"".join(lines))


@examples
@given(st.binary(max_size=300))
def test_any_bytes_are_read(content: bytes) -> None:
    check_total(content)
