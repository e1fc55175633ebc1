"""How long silence may last, on a virtual clock (C01, V4): seconds here cost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from holdfast.model.event_stream import EventStream
from holdfast.model.port import ModelFailed
from holdfast.session.failures import FailureKind
from model import virtual_time
from model.canned import PING, RECORDED, sse

Step = bytes | float


class Script(httpx2.AsyncByteStream):
    """A body given as bytes and pauses in seconds."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if isinstance(step, bytes):
                yield step
            else:
                await asyncio.sleep(step)

    async def aclose(self) -> None:
        self.closed = True


async def names_of(
    *steps: Step, consumer_pauses_s: float = 0.0, progress_cut_s: float = 10_000.0
) -> list[str | None]:
    names: list[str | None] = []
    response = httpx2.Response(200, stream=Script(*steps))
    async with EventStream(response, 90.0, (), progress_cut_s=progress_cut_s) as opened:
        async for name, _ in opened.events():
            names.append(name)
            await asyncio.sleep(consumer_pauses_s)
            if name == "message_stop":
                opened.linger()
    return names


NAMES = [event["type"] for event in RECORDED]


@pytest.mark.parametrize("sign_of_life", [sse([PING]), b": still working\n\n", b": ", b"\n"])
def test_any_byte_counts_for_liveness(sign_of_life: bytes) -> None:
    quiet: list[Step] = [80.0, sign_of_life] * 10
    names, passed_s = virtual_time.run(names_of(*quiet, b"\n\n", sse(RECORDED)))
    assert [name for name in names if name != "ping"] == [n for n in NAMES if n != "ping"]
    assert passed_s == pytest.approx(800.0)


@pytest.mark.parametrize("before", [b"", sse(RECORDED[:5]), b"event: mess"])
def test_silence_is_cut_at_its_limit(before: bytes) -> None:
    async def cut() -> FailureKind:
        with pytest.raises(ModelFailed) as failed:
            await names_of(before, 10_000.0, b"never read")
        return failed.value.failure.kind

    assert virtual_time.run(cut()) == (FailureKind.STALLED, 90.0)


def test_a_stream_of_pings_alone_ends_too() -> None:
    """C01: a proxy can keep a dead answer alive; what it sends is not progress."""

    async def pings_only() -> str:
        with pytest.raises(ModelFailed) as failed:
            await names_of(*[30.0, sse([PING])] * 100, progress_cut_s=300.0)
        assert failed.value.failure.kind is FailureKind.STALLED
        return failed.value.failure.message

    words, passed_s = virtual_time.run(pings_only())
    assert words == "The stream lives, but brought nothing of an answer for 330 s."
    assert passed_s == pytest.approx(330.0)


def test_an_answer_that_grows_now_and_then_is_never_taken_for_a_stream_of_pings() -> None:
    async def slow() -> int:
        steps: list[Step] = [80.0, sse([PING]), 80.0, sse(RECORDED[:1])] * 20
        seen = 0
        response = httpx2.Response(200, stream=Script(*steps))
        async with EventStream(response, 90.0, (), progress_cut_s=300.0) as opened:
            async for name, _ in opened.events():
                await asyncio.sleep(1_000.0)  # Who reads slowly is not counted against the stream.
                if name != "ping":
                    opened.progressed()
                    seen += 1
        return seen

    assert virtual_time.run(slow())[0] == 20


def test_a_slow_consumer_is_not_a_silent_server() -> None:
    names, _ = virtual_time.run(names_of(sse(RECORDED), consumer_pauses_s=300.0))
    assert names == NAMES


def test_after_the_answer_nothing_is_waited_for() -> None:
    names, passed_s = virtual_time.run(names_of(sse(RECORDED), 60.0, b"late"))
    assert names == NAMES
    assert passed_s == pytest.approx(0.25)


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    async def refused() -> FailureKind:
        with pytest.raises(ModelFailed) as failed:
            await names_of(b"data: ", *[b"x" * (1 << 20)] * 17)
        return failed.value.failure.kind

    kind, _ = virtual_time.run(refused())
    assert kind is FailureKind.UNREADABLE


def test_many_megabytes_in_events_of_a_normal_size_are_read() -> None:
    piece = sse([{"type": "content_block_delta", "text": "x" * (1 << 20)}])
    names, _ = virtual_time.run(names_of(*[piece] * 20))
    assert len(names) == 20


def test_leaving_the_context_closes_the_response() -> None:
    script = Script(sse(RECORDED), 60.0)

    async def leave() -> None:
        async with EventStream(httpx2.Response(200, stream=script), 90.0, ()) as opened:
            events = opened.events()
            await anext(events)
            await events.aclose()

    virtual_time.run(leave())
    assert script.closed
