"""Frames: any chunking gives the same ones, and a broken one costs only itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.lsp.framing import HEADER_BYTES_MAX, BrokenFrame, FrameParser, frame

GOOD = b'{"ok":1}'


def read(chunks: Iterable[bytes], body_bytes_max: int = 1 << 20) -> list[bytes | str]:
    """Read bodies as a connection does: what is no JSON is rejected."""
    parser = FrameParser(body_bytes_max)
    found: list[bytes | str] = []
    for chunk in chunks:
        for item in parser.feed(chunk):
            if isinstance(item, BrokenFrame):
                found.append(item.problem)
                continue
            try:
                json.loads(item)
            except ValueError:
                parser.rejected(item)
                found.append("no JSON")
            else:
                found.append(item)
    return found


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=5), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunking_of_the_bytes_gives_the_same_bodies(
    values: list[object], places: list[int]
) -> None:
    bodies = [json.dumps(value).encode() for value in values]
    assert read(cut(b"".join(map(frame, bodies)), places)) == bodies


@given(
    st.lists(st.sampled_from([frame(GOOD), b"noise", b"\r\n\r\n", b"Content-Length: x\r\n\r\n"])),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_any_chunking_of_broken_bytes_gives_the_same_findings(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    assert read(cut(data, places)) == read([data])


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 8\r\n\r\n",
        b"content-length:8\n\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 8\r\n\r\n",
        b"Content-Length: 8\r\nContent-Type: application/vscode-jsonrpc\r\n\r\n",
        b"CONTENT-LENGTH  :   8   \r\nX-Anything: yes\r\n\r\n",
    ],
)
def test_headers_are_read_as_editors_write_them(header: bytes) -> None:
    assert read([header + GOOD]) == [GOOD]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (b"Content-Type: x\r\n\r\n", "its header has no usable Content-Length"),
        (b"Content-Length: -5\r\n\r\n", "its header has no usable Content-Length"),
        (b"Content-Length: many\r\n\r\n{}", "its header has no usable Content-Length"),
        (b"Content-Length: 2\r\n\r\nno", "no JSON"),
        (b"Content-Length: 5\r\n\r\n" + b'{"a":"short length"}', "no JSON"),
        (b"Content-Length: 40\r\n\r\n" + b'{"a":"long length"}', "no JSON"),
        (b"Content-Length: 99999999\r\n\r\n" + b"x" * 5000, "its 99999999 bytes are more than"),
    ],
)
def test_a_broken_frame_is_reported_once_and_costs_nothing_after_it(
    broken: bytes, says: str
) -> None:
    first, *rest = read([broken + frame(GOOD) + frame(GOOD)])
    assert isinstance(first, str)
    assert first.startswith(says)
    assert rest == [GOOD, GOOD]


def test_a_length_far_beyond_the_limit_holds_no_memory() -> None:
    parser = FrameParser(body_bytes_max=1000)
    list(parser.feed(b"Content-Length: 999999999999\r\n\r\n"))
    for _ in range(100):
        assert list(parser.feed(b"x" * 10_000)) == []
    assert len(parser._buffer) <= HEADER_BYTES_MAX + 10_000
    assert list(parser.feed(frame(GOOD))) == [GOOD]


def test_an_empty_body_is_rejected_and_passed_over() -> None:
    assert read([b"Content-Length: 0\r\n\r\n" + frame(GOOD)]) == ["no JSON", GOOD]


def test_endless_noise_is_reported_once_and_passed_over() -> None:
    noise = [b"x" * 1000] * (HEADER_BYTES_MAX // 300)
    assert read([*noise, frame(GOOD)]) == ["there is no header in it", GOOD]
