"""The law of outputs (A22, A23): clean, bounded, never blank, and honest about what is missing."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.tools.output import HeadAndTail, clip, failed, one_line, safe, succeeded
from holdfast.tools.port import ToolContext
from tools.toolkit import check_output, text_of

MARKER = re.compile(r"\n\[… (\d+) bytes left out …\]\n")
any_text = st.text(st.characters(exclude_categories=()), max_size=400)
limits = st.integers(1, 600)


def context_of(bytes_max: int) -> ToolContext:
    return ToolContext(workspace=Path(), output_bytes_max=bytes_max)


@given(any_text, limits)
@settings(max_examples=300, deadline=None)
def test_a22_a23_every_output_is_valid_bounded_and_not_blank(text: str, bytes_max: int) -> None:
    check_output(succeeded(text, context_of(bytes_max), text), context_of(bytes_max))
    check_output(failed(text, context_of(bytes_max)), context_of(bytes_max))


@given(any_text)
@settings(max_examples=200, deadline=None)
def test_safe_text_stays_as_it_is(text: str) -> None:
    assert safe(safe(text)) == safe(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1))
@settings(max_examples=100, deadline=None)
def test_ordinary_text_that_fits_is_not_changed(text: str) -> None:
    if text.strip():
        assert text_of(succeeded(text, context_of(10_000), "")) == text


@given(st.text(alphabet="aé→😀\n", min_size=1), st.integers(60, 300))
@settings(max_examples=300, deadline=None)
def test_p12_the_marker_counts_exactly_the_bytes_that_are_missing(text: str, limit: int) -> None:
    text = text * 20
    clipped = clip(text, limit)
    if len(text.encode()) <= limit:
        assert clipped == text or not text.strip()
        return
    (marker,) = MARKER.finditer(clipped)
    head, tail = clipped[: marker.start()], clipped[marker.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head.encode()) + len(tail.encode()) + int(marker[1]) == len(text.encode())


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=8), st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_a_stream_reads_the_same_however_it_is_cut_into_chunks(
    data: bytes, cuts: list[int], limit: int
) -> None:
    whole, pieces = HeadAndTail(limit), HeadAndTail(limit)
    whole.add(data)
    for start, end in pairwise(sorted([0, *cuts, len(data)])):
        pieces.add(data[start:end])
    assert pieces.text(limit) == whole.text(limit)
    assert len(whole.text(limit).encode()) <= limit


def test_a_long_stream_keeps_its_first_and_its_last_lines() -> None:
    kept = HeadAndTail(400)
    for number in range(100_000):
        kept.add(f"{number}\n".encode())
    lines = kept.text(400).splitlines()
    assert lines[:2] == ["0", "1"]
    assert lines[-1] == "99999"
    assert sum("bytes left out" in line for line in lines) == 1


@given(st.integers(0, 6))
def test_a23_a_cut_through_a_character_leaves_no_broken_half(shift: int) -> None:
    kept = HeadAndTail(60)
    kept.add(b"x" * shift + "😀".encode() * 100)
    assert "\N{REPLACEMENT CHARACTER}" not in kept.text(200)


def test_terminal_colours_are_removed_and_controls_made_visible() -> None:
    kept = HeadAndTail(200)
    kept.add(b"\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 nul\0 10%\r20%\r\n")
    assert kept.text(200) == "red bell␇ nul␀ 10%\n20%\n"


def test_a_summary_is_one_bounded_line() -> None:
    assert one_line("a\nb\tc") == "a b c"
    assert len(one_line("x" * 1000)) == 120
