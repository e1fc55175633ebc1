"""The writer: it never blocks, it is bounded, and nothing in it is reordered or cut.

Law: real pipes and real files; an editor that does not read is one whose end nobody reads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.lsp.outbox import HIGH_WATER_BYTES, Outbox, Sink
from holdfast.lsp.stdio import Source, ThreadSink, ThreadSource, open_streams


class Pipe:
    """A pipe to an editor: what is written to `sink` can be read at `reading_end`."""

    def __init__(self, sink: Sink, reading_end: int) -> None:
        self.sink = sink
        self.reading_end = reading_end

    def read_some(self, size: int = 65536) -> bytes:
        return os.read(self.reading_end, size)

    async def read(self, size: int) -> bytes:
        found = b""
        async with asyncio.timeout(10):
            while len(found) < size:
                found += await asyncio.to_thread(self.read_some, size - len(found))
        return found

    def close_reading_end(self) -> None:
        os.close(self.reading_end)
        self.reading_end = -1


@pytest.fixture(params=["loop", "thread"])
async def pipe(request: pytest.FixtureRequest) -> AsyncIterator[Pipe]:
    out_reading, out_writing = os.pipe()
    in_reading, in_writing = os.pipe()
    if request.param == "loop":
        _, sink = await open_streams(in_reading, out_writing)
    else:
        sink = ThreadSink(out_writing)
    pipe = Pipe(sink, out_reading)
    yield pipe
    os.close(in_writing)
    if pipe.reading_end != -1:
        pipe.close_reading_end()
    sink.abort()


async def test_what_is_written_arrives_in_order_and_whole(pipe: Pipe) -> None:
    outbox = Outbox(pipe.sink)
    sent = b"".join(b"%06d," % n for n in range(100_000))
    for at in range(0, len(sent), 7_000):
        outbox.write(sent[at : at + 7_000])
    assert await pipe.read(len(sent)) == sent


async def test_drain_waits_for_the_reader_and_the_loop_goes_on(pipe: Pipe) -> None:
    """S15: an editor that does not read stops those who write for it, and nobody else."""
    outbox = Outbox(pipe.sink)
    outbox.write(b"x" * (4 * HIGH_WATER_BYTES))
    draining = asyncio.create_task(outbox.drain())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not draining.done()
    assert outbox.busy
    await pipe.read(4 * HIGH_WATER_BYTES)
    async with asyncio.timeout(10):
        await draining
    assert not outbox.busy


async def test_a_reader_that_goes_away_ends_all_waiting(pipe: Pipe) -> None:
    outbox = Outbox(pipe.sink)
    outbox.write(b"x" * (4 * HIGH_WATER_BYTES))
    draining = asyncio.create_task(outbox.drain())
    await asyncio.sleep(0)
    pipe.close_reading_end()
    async with asyncio.timeout(10):
        await draining
        outbox.write(b"to nobody")
        await outbox.close(timeout_s=5)


async def test_answers_that_pile_up_beyond_the_limit_end_the_connection(pipe: Pipe) -> None:
    overflows: list[str] = []
    outbox = Outbox(pipe.sink, lambda: overflows.append("overflow"), behind_bytes_max=1 << 20)
    for _ in range(100):
        outbox.write(b"x" * (1 << 18))
    assert overflows == ["overflow"]
    assert outbox.closed
    assert pipe.sink.pending() < 3 << 20, "memory is bounded"


async def test_one_answer_may_be_as_large_as_it_must_be(pipe: Pipe) -> None:
    overflows: list[str] = []
    outbox = Outbox(pipe.sink, lambda: overflows.append("overflow"), behind_bytes_max=1 << 20)
    outbox.write(b"x" * (8 << 20))
    for _ in range(100):
        outbox.write(b"y" * 1000)
    assert overflows == []
    assert (await pipe.read((8 << 20) + 100_000)).endswith(b"xy" + b"y" * 99_999)


async def test_close_sends_what_is_queued(pipe: Pipe) -> None:
    outbox = Outbox(pipe.sink)
    outbox.write(b"x" * (4 * HIGH_WATER_BYTES))
    reading = asyncio.create_task(pipe.read(4 * HIGH_WATER_BYTES))
    await outbox.close(timeout_s=10)
    assert len(await reading) == 4 * HIGH_WATER_BYTES
    outbox.write(b"too late")
    await outbox.close()


async def test_close_is_bounded_when_nobody_reads(pipe: Pipe) -> None:
    outbox = Outbox(pipe.sink)
    outbox.write(b"x" * (4 * HIGH_WATER_BYTES))
    async with asyncio.timeout(10):
        await outbox.close(timeout_s=0.01)


async def _read_all(source: Source) -> bytes:
    found = b""
    while chunk := await source.read():
        found += chunk
    return found


async def test_files_work_as_standard_streams(tmp_path: Path) -> None:
    """The event loop cannot watch a file, so threads read and write it."""
    sent = os.urandom(1_000_000)
    (tmp_path / "in").write_bytes(sent)
    reading = os.open(tmp_path / "in", os.O_RDONLY)
    writing = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    source, sink = await open_streams(reading, writing)
    assert isinstance(source, ThreadSource)
    assert isinstance(sink, ThreadSink)
    async with asyncio.timeout(10):
        sink.write(await _read_all(source))
        await sink.close(timeout_s=10)
        assert await source.read() == b"", "the end stays the end"
    assert (tmp_path / "out").read_bytes() == sent
