"""One connection: bytes in, messages to the protocol, and the end of both.

Law: the loop goes on whatever arrives, and ends for one of four reasons: the editor said `exit`,
it is gone (end of input), it does not read any more, or the process was told to stop. What is
broken is answered or logged and costs itself only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast.conversation import encoding
from holdfast.lsp import errors
from holdfast.lsp.framing import BrokenFrame, FrameParser
from holdfast.lsp.large import opening
from holdfast.lsp.outbox import Outbox, Sink
from holdfast.lsp.stdio import Source, open_streams, take_standard_streams

if TYPE_CHECKING:
    from holdfast.lsp.server import HoldfastServer

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S: Final = 10.0
ANSWERS_TIMEOUT_S: Final = 2.0
_decoder: Final = msgspec.json.Decoder()


class Connection:
    """Joins a server to a source and a sink."""

    def __init__(self, server: HoldfastServer, source: Source, sink: Sink) -> None:
        self._protocol = server.protocol
        self._source = source
        self._parser = FrameParser()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.outbox = Outbox(sink, on_overflow=lambda: self.end(1))
        self._protocol.outbox = self.outbox
        self._protocol.on_exit = self.end

    def end(self, exit_code: int) -> None:
        """End the connection, as soon as what is being handled now is done."""
        if not self._ended.done():
            self._ended.set_result(exit_code)

    async def run(self) -> int:
        """Read until the connection ends; return the process's exit code."""
        reading = asyncio.create_task(self._read(), name="read the editor")
        reading.add_done_callback(self._read_all)
        try:
            return await self._ended
        finally:
            reading.cancel()

    def _read_all(self, reading: asyncio.Task[None]) -> None:
        error = None if reading.cancelled() else reading.exception()
        if error is None:
            self.end(0)
        elif not self._ended.done():
            self._ended.set_exception(error)

    async def _read(self) -> None:
        while chunk := await self._source.read():
            for frame in self._parser.feed(chunk):
                if isinstance(frame, BrokenFrame):
                    self._refuse(f"A message cannot be read: {frame.problem}.")
                else:
                    self._take(frame)
                if self._ended.done():
                    return
            # Whatever the chunk held, the answers and the other tasks come first.
            await asyncio.sleep(0)
        in_flight = self._protocol.in_flight()
        if in_flight:  # a script may close its end right after its last request
            await asyncio.wait(in_flight, timeout=ANSWERS_TIMEOUT_S)

    def _take(self, body: bytes) -> None:
        try:
            message = opening(body) or decoded(body)
        except (ValueError, RecursionError):
            self._parser.rejected(body)
            self._refuse("A message is not valid JSON.")
            return
        try:
            self._protocol.receive(message)
        except Exception:  # the last guard: no message may end the connection
            logger.exception("a message could not be handled")

    def _refuse(self, problem: str) -> None:
        logger.warning("%s", problem)
        self._protocol.refuse(None, errors.PARSE_ERROR, problem)


def decoded(body: bytes) -> Any:
    """Return a message. Raises `ValueError` or `RecursionError` when it is no JSON.

    Half a surrogate pair, which some editors send for half a character, becomes U+FFFD.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        return encoding.without_lone_surrogates(json.loads(body))


async def run_stdio(server: HoldfastServer) -> int:
    """Serve one editor on the standard streams and return the process's exit code.

    0 after `shutdown` and `exit`, or when the editor is gone; 1 after `exit` alone, or when the
    editor did not read. All sessions are given back before this returns, bounded in time.
    """
    source, sink = await open_streams(*take_standard_streams())
    connection = Connection(server, source, sink)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
        loop.add_signal_handler(signal.SIGTERM, connection.end, 0)
    try:
        return await connection.run()
    finally:
        await connection.outbox.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await server.close()
        except TimeoutError:
            logger.error("closing took more than %d s; the journal keeps what was done", 10)  # noqa: TRY400
