"""What a faulty place on the way does to one request, once it has one.

Law: a play answers, or does not, exactly as the fault does that it stands for; whatever of it takes
long ends when the place is left. Nothing is said of a fault but through the socket.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

PROXY_LOGIN: Final = "walrus:kelp"
NEW_KEY: Final = "another-key-that-is-in-no-words"
BODY_BYTES_MAX: Final = 1_000
"""What the proxy that is too small takes: less than any request for an answer has."""

_TLS_HANDSHAKE: Final = b"\x16"
_HTML: Final = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1>{1}</body>"


@dataclass(frozen=True)
class Request:
    """One request as it was sent: head and body in bytes, and what is asked of them."""

    method: str
    target: str
    headers: Mapping[str, str]
    head: bytes
    body: bytes

    @property
    def wants_an_answer(self) -> bool:
        """Tell a request for an answer of the model from a look."""
        return self.method == "POST" and self.target.split("?")[0].endswith("/v1/messages")


@dataclass(frozen=True)
class Wire:
    """The connection of a request, and how to reach what is behind the place.

    `pace_s` is the beat of all that takes time: the gap between two pieces, how long something is
    held back, after how much a connection is cut. `tls` is what a proxy's tunnel leads to, and
    `met` is told of the requests in it. Nothing is sent while there is no `way`.
    """

    reader: StreamReader
    writer: StreamWriter
    upstream: tuple[str, int]
    pace_s: float
    tls: ssl.SSLContext | None
    met: Callable[[Request], None]
    way: asyncio.Event

    async def answer(
        self,
        status: int,
        body: str,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole answer and end the connection."""
        data = body.encode()
        lines = [f"HTTP/1.1 {status} -", f"content-type: {kind}", f"content-length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join([*lines, "connection: close", "", ""]).encode() + data)

    async def send(self, data: bytes) -> None:
        await self.way.wait()
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection by an RST."""
        found = self.writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the other side has ended the connection, however long that takes."""
        while await self.reader.read(1 << 16):
            pass


class NotHttp(Exception):
    """What arrives is no HTTP."""


Play: TypeAlias = Callable[[Request, Wire], Awaitable[None]]


async def read_request(reader: StreamReader) -> Request | None:
    """Read one request. None when the other side is gone before the end of it.

    Raises `NotHttp` for a TLS greeting, as a server for plain HTTP finds it at once.
    """
    try:
        head = await reader.readexactly(1)
        if head == _TLS_HANDSHAKE:
            raise NotHttp
        head += await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Request(method, target, headers, head, body)


async def relay(request: Request, wire: Wire) -> None:
    """Pass the request on and the answer back, piece by piece as it comes."""
    reader, writer = await _sent_on(request, wire)
    try:
        while piece := await reader.read(1 << 16):
            await wire.send(piece)
    finally:
        writer.close()


async def tunnel(request: Request, wire: Wire) -> None:
    """Let a CONNECT through: what comes next is TLS with the host that was asked for."""
    assert wire.tls is not None, "a tunnel leads to a secure place"
    await wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await wire.writer.start_tls(wire.tls)
    inner = await read_request(wire.reader)
    if inner is not None:
        wire.met(inner)
        await relay(inner, wire)


async def _sent_on(request: Request, wire: Wire) -> tuple[StreamReader, StreamWriter]:
    """Open a connection to what is behind the place and send the request, the last one on it."""
    first, _, rest = request.head.partition(b"\r\n")
    method, target, version = first.split(b" ", 2)
    if target.startswith(b"http://"):  # to a proxy the whole address is said
        target = b"/" + target.split(b"/", 3)[3]
    kept = [
        line
        for line in rest.rstrip().split(b"\r\n")
        if not line.lower().startswith((b"connection:", b"proxy-"))
    ]
    head = b"\r\n".join([b" ".join([method, target, version]), *kept, b"connection: close"])
    reader, writer = await asyncio.open_connection(*wire.upstream)
    writer.write(head + b"\r\n\r\n" + request.body)
    await writer.drain()
    return reader, writer


# ---- silences and breaks ----


async def never_answers(_: Request, wire: Wire) -> None:
    await wire.gone()


async def resets(_: Request, wire: Wire) -> None:
    wire.reset()


async def closes(_: Request, wire: Wire) -> None:
    wire.writer.close()


async def half_open(request: Request, wire: Wire) -> None:
    """Pass on the beginning of the answer; then nothing more, and no end."""
    reader, writer = await _sent_on(request, wire)
    try:
        await wire.send(await reader.read(700))
        await wire.gone()
    finally:
        writer.close()


async def drips(request: Request, wire: Wire) -> None:
    """Pass the answer on in small pieces with a pause after each."""
    reader, writer = await _sent_on(request, wire)
    try:
        while piece := await reader.read(96):
            await wire.send(piece)
            await asyncio.sleep(wire.pace_s / 20)
    finally:
        writer.close()


async def holds_back(request: Request, wire: Wire) -> None:
    """Collect the whole answer, and only then pass it on: a proxy that buffers."""
    reader, writer = await _sent_on(request, wire)
    try:
        whole = await reader.read(-1)
    finally:
        writer.close()
    await asyncio.sleep(wire.pace_s)
    await wire.send(whole)


async def cuts(request: Request, wire: Wire) -> None:
    """Pass the answer on for one beat, then end the connection whatever is still to come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wire.pace_s):
            await relay(request, wire)


async def pings(request: Request, wire: Wire) -> None:
    """Accept a request for an answer, then send nothing but signs of life."""
    if not request.wants_an_answer:
        await relay(request, wire)
        return
    await wire.send(
        b"HTTP/1.1 200 -\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        + _event("message_start", {"message": _MESSAGE})
    )
    while True:
        await wire.send(_event("ping", {}))
        await asyncio.sleep(wire.pace_s / 10)


_MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_pings",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 1},
}


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


# ---- answers of what stands between ----


def page(status: int, title: str, words: str = "", **headers: str) -> Play:
    """Answer every request with a page for people."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def play(_: Request, wire: Wire) -> None:
        await wire.answer(status, _HTML.format(title, words), "text/html; charset=utf-8", named)

    return play


async def too_small(request: Request, wire: Wire) -> None:
    """Pass small requests on and refuse large ones, as a proxy with a limit does."""
    if len(request.body) > BODY_BYTES_MAX:
        words = "<hr><center>nginx</center>"
        page_of_413 = _HTML.format("413 Request Entity Too Large", words)
        await wire.answer(413, page_of_413, "text/html")
    else:
        await relay(request, wire)


async def lets_through(request: Request, wire: Wire) -> None:
    """Pass on whatever it is, as a proxy does that works."""
    await (tunnel if request.method == "CONNECT" else relay)(request, wire)


async def asks_for_login(request: Request, wire: Wire) -> None:
    """A proxy that lets through only who says `PROXY_LOGIN`."""
    said = request.headers.get("proxy-authorization", "")
    if said == "Basic " + base64.b64encode(PROXY_LOGIN.encode()).decode():
        await lets_through(request, wire)
        return
    named = {"proxy-authenticate": 'Basic realm="Corporate proxy"'}
    await wire.answer(407, _HTML.format("407", "Proxy login"), "text/html", named)


async def no_event_stream(request: Request, wire: Wire) -> None:
    """Speak something that is no HTTP."""
    await wire.send(b"SSH-2.0-OpenSSH_9.6\r\n")


# ---- answers of the API itself ----


def says(status: int, type_: str, message: str, **headers: str) -> Play:
    """Answer every request with an error in the API's own shape."""
    error = {"type": type_, "message": message}
    body = json.dumps({"type": "error", "error": error, "request_id": "req_stage"})
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def play(_: Request, wire: Wire) -> None:
        await wire.answer(status, body, headers={"request-id": "req_stage", **named})

    return play


async def knows_a_new_key(request: Request, wire: Wire) -> None:
    """The first key was revoked; `NEW_KEY` is good."""
    if request.headers.get("x-api-key") == NEW_KEY:
        await relay(request, wire)
    else:
        await says(401, "authentication_error", "invalid x-api-key")(request, wire)
