"""HTTP/1.1 on asyncio streams, with a door to every way of breaking it.

Law: a handler has full power over the bytes and the end of one response (chunked, sized or ended
by the close of the connection, cut, reset), and it is cancelled as soon as the client is gone.
An ordinary HTTP library repairs or hides exactly what this server is there to show.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

_HEAD_BYTES_MAX: Final = 64 * 1024
# Bodies beyond this are not even read: the answer is given and the connection closed.
BODY_BYTES_READ_MAX: Final = 64 * 1024 * 1024
_BODY_TIMEOUT_S: Final = 60.0
_DISCARD_TIMEOUT_S: Final = 5.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class MalformedRequest(Exception):
    """Bytes that are no HTTP request."""


class BodyTooLarge(Exception):
    """A body that is too large to be read at all."""


class BodyTooSlow(Exception):
    """A body that did not arrive in time."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case; `path` has no query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


class Framing(Enum):
    """How the end of a response's body is known."""

    CHUNKED = "chunked"
    CLOSE = "close"


Handler = Callable[[Request, "Reply"], Coroutine[Any, Any, None]]
# Answers a request that could not be read; it may only send a status.
Refuser = Callable[[Exception, "Reply"], Awaitable[None]]


class _Protocol(asyncio.StreamReaderProtocol):
    """The stream protocol, plus an event for the moment in which the client is gone."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
    ) -> None:
        super().__init__(reader, connected)
        self.gone = asyncio.Event()

    def eof_received(self) -> bool:
        self.gone.set()
        super().eof_received()
        return True  # the last answer may still be written

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


@dataclass(slots=True)
class Reply:
    """The response to one request, as a handler writes it.

    `keep_alive` turns false as soon as the connection cannot serve another request.
    """

    writer: asyncio.StreamWriter
    keep_alive: bool = True
    status: int | None = None
    _framing: Framing | None = field(default=None)

    async def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole response with its length."""
        await self.start(status, {**headers, "content-length": str(len(body))}, None)
        self.writer.write(body)
        await self.writer.drain()

    async def start(self, status: int, headers: Mapping[str, str], framing: Framing | None) -> None:
        """Send status line and headers. `framing` is None when a length is among the headers."""
        self.status = status
        self._framing = framing
        extra = {}
        if framing is Framing.CHUNKED:
            extra["transfer-encoding"] = "chunked"
        if framing is Framing.CLOSE:
            self.keep_alive = False
        extra["connection"] = "keep-alive" if self.keep_alive else "close"
        lines = [f"HTTP/1.1 {status} {_reason(status)}"]
        lines += [f"{name}: {value}" for name, value in {**headers, **extra}.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        await self.writer.drain()

    async def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if not data:
            return  # an empty chunk would end the body
        if self._framing is Framing.CHUNKED:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.writer.write(data)
        await self.writer.drain()

    async def finish(self) -> None:
        """End the body as its framing demands."""
        if self._framing is Framing.CHUNKED:
            self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()

    def cut(self) -> None:
        """Close the connection without ending the body: the client sees an end of file."""
        self.keep_alive = False
        self.writer.close()

    def reset(self) -> None:
        """Reset the connection: the client sees ECONNRESET, pending bytes may be lost."""
        self.keep_alive = False
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.writer.transport.abort()


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"  # 529 has no registered phrase


class HttpServer:
    """Serves `handler` on one address. Stopping closes every connection at once."""

    def __init__(self, handler: Handler, refuser: Refuser) -> None:
        self._handler = handler
        self._refuser = refuser
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises `OSError` when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, host, port)
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address[1]

    async def stop(self) -> None:
        """Stop listening and cancel what is being answered."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = asyncio.StreamReader(limit=_HEAD_BYTES_MAX)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(
                self._serve(reader, writer, protocol.gone), name="simulator connection"
            )
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        protocol = _Protocol(reader, connected)
        return protocol

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> None:
        try:
            while await self._serve_one(reader, writer, gone):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away between or inside requests: nobody is left to be told
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def _serve_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> bool:
        """Serve the next request; tell whether the connection can take another one."""
        reply = Reply(writer)
        try:
            request = await _read_request(reader, writer)
        except (MalformedRequest, BodyTooLarge, BodyTooSlow) as error:
            reply.keep_alive = False
            await self._refuser(error, reply)
            await _discard(reader)
            return False
        if request is None:
            return False
        reply.keep_alive = request.headers.get("connection", "").lower() != "close"
        await _while_connected(self._handler(request, reply), gone)
        return reply.keep_alive and not gone.is_set()


async def _while_connected(work: Coroutine[Any, Any, None], gone: asyncio.Event) -> None:
    """Run `work` to its end, or cancel it when the client is gone."""
    task = asyncio.ensure_future(work)
    departure = asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait({task, departure}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        departure.cancel()
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _discard(reader: asyncio.StreamReader) -> None:
    """Read away what is still being sent: closing over unread bytes would reset the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_TIMEOUT_S):
            while await reader.read(_HEAD_BYTES_MAX):
                pass


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    except asyncio.LimitOverrunError as error:
        raise MalformedRequest("the header is too long") from error
    method, target, headers = _parse_head(head)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body = await _read_body(reader, headers)
    except TimeoutError as error:
        raise BodyTooSlow from error
    path, _, query = target.partition("?")
    return Request(method, path, dict(parse_qsl(query)), headers, body)


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = lines[0].split(" ")
    except ValueError as error:
        raise MalformedRequest("the request line is not HTTP") from error
    headers: dict[str, str] = {}
    for line in filter(None, lines[1:]):
        name, colon, value = line.partition(":")
        if not colon:
            raise MalformedRequest("a header has no colon")
        key, value = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return method, target, headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    try:
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise MalformedRequest("content-length is no number") from error
    if length < 0:
        raise MalformedRequest("content-length is negative")
    if length > BODY_BYTES_READ_MAX:
        raise BodyTooLarge
    return await reader.readexactly(length)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = bytearray()
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise MalformedRequest("a chunk has no size") from error
        if size < 0:
            raise MalformedRequest("a chunk has a negative size")
        if len(pieces) + size > BODY_BYTES_READ_MAX:
            raise BodyTooLarge
        data = await reader.readexactly(size + 2)
        if size == 0:
            return bytes(pieces)  # trailers are not in use here
        pieces += data[:-2]
