"""Amazon's binary event stream: whatever becomes of its bytes, no event is made up (P7)."""

from __future__ import annotations

import json
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.clouds.wire import amazon_events
from holdfast.model.port import ModelFailed
from holdfast.session.failures import FailureKind
from model import cloud_fronts as fronts
from model.canned import RECORDED, Pieces

DATA = [json.dumps(event, ensure_ascii=False) for event in RECORDED]
EVENTS = [(json.loads(data)["type"], data) for data in DATA]
FRAMES = [fronts.chunk_of(data) for data in DATA]
WHOLE = b"".join(FRAMES)
ENDS = list(accumulate(len(frame) for frame in FRAMES))


async def decoded(*pieces: bytes) -> tuple[list[tuple[str | None, str]], ModelFailed | None]:
    found = []
    try:
        async for event in amazon_events(Pieces(pieces)):
            found.append(event)  # noqa: PERF401 -- what came before a failure counts
    except ModelFailed as failed:
        return found, failed
    return found, None


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
@settings(max_examples=25, deadline=None)
async def test_any_chunking_of_the_bytes_gives_the_same_events(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[a:b] for a, b in pairwise(places)]
    assert await decoded(*pieces) == (EVENTS, None)


@given(st.integers(0, len(WHOLE)))
@settings(max_examples=25, deadline=None)
async def test_a_stream_that_ends_anywhere_gives_the_events_that_were_whole(end: int) -> None:
    found, failed = await decoded(WHOLE[:end])
    assert failed is None
    assert found == EVENTS[: sum(ended <= end for ended in ENDS)]


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(max_examples=50, deadline=None)
async def test_a_byte_that_was_changed_on_the_way_never_changes_an_event(
    place: int, bits: int
) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= bits
    found, failed = await decoded(bytes(damaged))
    assert found == EVENTS[: len(found)]
    assert failed is not None
    assert failed.failure.kind is FailureKind.UNREADABLE


@given(st.binary(min_size=16, max_size=200))
@settings(max_examples=25, deadline=None)
async def test_bytes_of_somebody_else_are_no_events(foreign: bytes) -> None:
    found, _ = await decoded(foreign)
    assert found == []
