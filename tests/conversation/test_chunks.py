"""Chunks of a long text: a partition, stable under growth, each under its size (P5, B01, B03)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.chunks import SIZES, Chunk, halves, partition, pieces_of, size_under

sizes = st.sampled_from(SIZES[2:])
words = st.text(alphabet="ab ä€🪨\n", max_size=12)
items = st.lists(
    st.builds(lambda text, times: text * times, words, st.integers(0, 6_000)), max_size=8
)


def texts(chunks: Sequence[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


@settings(max_examples=60, deadline=None)
@given(items, sizes)
def test_chunks_are_the_whole_text_in_order_and_each_under_its_size(
    given_items: list[str], size: int
) -> None:
    pieces = pieces_of(given_items)
    chunks = partition(pieces, size)
    assert "".join(texts(chunks)) == "".join(pieces)
    assert all(0 < chunk.tokens <= size for chunk in chunks)


@settings(max_examples=60, deadline=None)
@given(items, items, sizes)
def test_a_text_that_grows_at_its_end_keeps_all_chunks_but_the_last(
    before: list[str], added: list[str], size: int
) -> None:
    old = partition(pieces_of(before), size)
    new = partition(pieces_of([*before, *added]), size)
    assert new[: max(len(old) - 1, 0)] == old[:-1]
    if old:
        assert "".join(texts(new[len(old) - 1 :])).startswith(old[-1].text)


@settings(max_examples=60, deadline=None)
@given(items, sizes, st.data())
def test_smaller_chunks_go_into_the_larger_ones_that_were_done(
    given_items: list[str], size: int, data: st.DataObject
) -> None:
    pieces = pieces_of(given_items)
    larger = texts(partition(pieces, SIZES[0]))
    done = set(data.draw(st.lists(st.sampled_from(larger))) if larger else [])
    chunks = texts(partition(pieces, size, done.__contains__))
    assert done <= set(chunks)
    assert "".join(chunks) == "".join(larger)


@settings(max_examples=40, deadline=None)
@given(items)
def test_halves_are_the_chunk_and_smaller_until_there_is_nothing_smaller(
    given_items: list[str],
) -> None:
    for chunk in partition(pieces_of(given_items), SIZES[0]):
        parts = halves(chunk)
        assert "".join(texts(parts)) == chunk.text
        assert len(parts) > 1 or parts == (chunk,)
        assert len(parts) > 1 or chunk.tokens <= SIZES[-1]


def test_a_long_message_is_cut_after_a_line() -> None:
    line = "x" * 99 + "\n"
    first, *_ = partition(pieces_of([line * 200]), SIZES[-1])
    assert first.text.endswith("\n")
    assert first.tokens <= SIZES[-1]


def test_the_size_is_the_largest_that_is_allowed() -> None:
    assert size_under(1_000_000) == SIZES[0]
    assert size_under(SIZES[2]) == SIZES[2]
    assert size_under(SIZES[2] - 1) == SIZES[3]
    assert size_under(1) == SIZES[-1]
