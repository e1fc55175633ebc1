"""The process's standard streams as a source and a sink that never block the event loop.

Law: stdin and stdout belong to the protocol. They are moved to private descriptors at the start;
descriptor 0 then is empty and descriptor 1 is stderr, so that neither a stray `print` nor a child
process can break a frame. Pipes and sockets are read and written by the loop itself; whatever else
(files, and all streams on Windows) by one thread for each direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import threading
from collections import deque
from typing import Final, Protocol

from holdfast.lsp.outbox import HIGH_WATER_BYTES, Sink

CHUNK_BYTES: Final = 256 * 1024


class Source(Protocol):
    """Where bytes come from."""

    async def read(self) -> bytes:
        """Return some bytes, or `b""` at the end."""
        ...


def take_standard_streams() -> tuple[int, int]:
    """Move stdin and stdout to private descriptors and return those."""
    private_in, private_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without a stderr
        os.dup2(nothing, 1)
    os.close(nothing)
    return private_in, private_out


async def open_streams(read_fd: int, write_fd: int) -> tuple[Source, Sink]:
    """Return a source and a sink for two descriptors, which they own from now on."""
    source: Source = await _pipe_source(read_fd) if _watchable(read_fd) else ThreadSource(read_fd)
    sink: Sink = await _pipe_sink(write_fd) if _watchable(write_fd) else ThreadSink(write_fd)
    return source, sink


def _watchable(fd: int) -> bool:
    """Tell whether the event loop can wait for a descriptor."""
    mode = os.fstat(fd).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd))


class PipeSource:
    """A pipe, read by the event loop."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self) -> bytes:
        """Return some bytes, or `b""` at the end."""
        try:
            return await self._reader.read(CHUNK_BYTES)
        except OSError:  # the other end was reset: the same as an end
            return b""


class PipeSink(asyncio.Protocol):
    """A pipe, written by the event loop."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()

    def attach(self, transport: asyncio.WriteTransport) -> None:
        """Take the transport that this protocol belongs to."""
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def pause_writing(self) -> None:
        """The buffer is above the high mark."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The buffer is below the low mark."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The reading end is closed, or we closed ours."""
        self._room.set()
        self._gone.set()

    def write(self, data: bytes) -> None:
        """Queue bytes; they go out at once when there is room."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pending(self) -> int:
        """Return how many bytes the other end has not taken."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def drain(self) -> None:
        """Wait until the buffer is below its low mark, or the other end is gone."""
        await self._room.wait()

    async def close(self, timeout_s: float) -> None:
        """Send what is queued, then close."""
        if self._transport is None:
            return
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._gone.wait()
        self.abort()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None and not self._gone.is_set():
            self._transport.abort()


async def _pipe_source(fd: int) -> PipeSource:
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    pipe = os.fdopen(fd, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return PipeSource(reader)


async def _pipe_sink(fd: int) -> PipeSink:
    pipe = os.fdopen(fd, "wb", buffering=0)
    loop = asyncio.get_running_loop()
    transport, sink = await loop.connect_write_pipe(PipeSink, pipe)
    sink.attach(transport)
    return sink


class ThreadSource:
    """A descriptor that the event loop cannot watch, read by a thread, one chunk ahead."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._free = threading.Semaphore(2)
        self._ended = False
        threading.Thread(target=self._run, name="holdfast-stdin", daemon=True).start()

    async def read(self) -> bytes:
        """Return some bytes, or `b""` at the end."""
        if self._ended:
            return b""
        chunk = await self._chunks.get()
        self._free.release()
        self._ended = not chunk
        return chunk

    def _run(self) -> None:
        chunk = b"-"
        while chunk:
            self._free.acquire()
            try:
                chunk = os.read(self._fd, CHUNK_BYTES)
            except OSError:
                chunk = b""
            try:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed: nobody reads any more
                break
        os.close(self._fd)


class ThreadSink:
    """A descriptor that the event loop cannot watch, written by a thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes] = deque()
        self._pending = 0
        self._closing = False
        self._broken = False
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._room.set()
        self._done = asyncio.Event()
        threading.Thread(target=self._run, name="holdfast-stdout", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        with self._changed:
            if self._closing or self._broken:
                return
            self._queue.append(data)
            self._pending += len(data)
            if self._pending > HIGH_WATER_BYTES:
                self._room.clear()
            self._changed.notify()

    def pending(self) -> int:
        """Return how many bytes have not been written."""
        return self._pending

    async def drain(self) -> None:
        """Wait until few bytes are queued, or writing failed."""
        await self._room.wait()

    async def close(self, timeout_s: float) -> None:
        """Write what is queued, bounded in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._done.wait()

    def abort(self) -> None:
        """Forget what is queued."""
        with self._changed:
            self._closing = True
            self._queue.clear()
            self._pending = 0
            self._changed.notify()
        self._room.set()

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                self._write_all(data)
            except OSError:  # the other end is gone; the source will see its end
                with self._changed:
                    self._broken = True
                    self._queue.clear()
                    self._pending = 0
                break
            with self._changed:
                self._pending = max(0, self._pending - len(data))
            if self._pending < HIGH_WATER_BYTES // 4:
                self._tell(self._room)
        os.close(self._fd)
        self._tell(self._room, self._done)

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return self._queue.popleft() if self._queue else None

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def _tell(self, *events: asyncio.Event) -> None:
        # A loop that is closed has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            for event in events:
                self._loop.call_soon_threadsafe(event.set)
