"""Recorded streams, and the smallest HTTP server that can play them badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import attrs
import httpx2

from holdfast.conversation import history
from holdfast.model.port import ModelRequest

MESSAGE_START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 1,
        },
    },
}
MESSAGE_STOP = {"type": "message_stop"}
PING = {"type": "ping"}


def start(index: int, block: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def message_delta(stop_reason: str | None, **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": None, "stop_details": None},
        "usage": usage,
    }


def answer(*events: Mapping[str, Any], stop_reason: str = "end_turn") -> list[dict[str, Any]]:
    """A whole response around the events of its blocks."""
    ends = [message_delta(stop_reason, output_tokens=42), MESSAGE_STOP]
    return [MESSAGE_START, *map(dict, events), *ends]


# Every kind of block that the API streams, with text of more than one byte a character.
RECORDED = answer(
    start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    PING,
    delta(0, "thinking_delta", thinking="Erst lesen, "),
    delta(0, "thinking_delta", thinking="dann handeln – 考える"),
    delta(0, "signature_delta", signature="c2lnbmF0dXJl"),
    stop(0),
    start(1, {"type": "text", "text": ""}),
    delta(1, "text_delta", text="Seetang hält 🪨"),
    delta(1, "citations_delta", citation={"type": "page_location", "cited_text": "a\n\nb"}),
    delta(1, "text_delta", text=" am Felsen.\n\n"),
    stop(1),
    start(2, {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {}}),
    delta(2, "input_json_delta", partial_json=""),
    delta(2, "input_json_delta", partial_json='{"z_path": "näh'),
    delta(2, "input_json_delta", partial_json='e.txt", "a_text": "1\\n2"}'),
    stop(2),
    stop_reason="tool_use",
)
RECORDED_BLOCKS = (
    '{"type":"thinking","thinking":"Erst lesen, dann handeln – 考える","signature":"c2lnbmF0dXJl"}',
    '{"type":"text","text":"Seetang hält 🪨 am Felsen.\\n\\n",'
    '"citations":[{"type":"page_location","cited_text":"a\\n\\nb"}]}',
    '{"type":"tool_use","id":"toolu_1","name":"write",'
    '"input":{"z_path":"nähe.txt","a_text":"1\\n2"}}',
)


def sse(events: Iterable[Mapping[str, Any]]) -> bytes:
    """The bytes of a stream."""
    return b"".join(
        f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n".encode()
        for e in events
    )


def request(*prompts: str, **changes: Any) -> ModelRequest:
    fields: dict[str, Any] = {
        "model": "claude-opus-5-5",
        "system": "Be brief.",
        "tools": (),
        "messages": tuple(history.user(prompt) for prompt in prompts or ("hello",)),
        "max_output_tokens": 1000,
        "first_byte_timeout_s": 10.0,
        "idle_cut_s": 10.0,
    }
    return ModelRequest(**{**fields, **changes})


class Pieces(httpx2.AsyncByteStream):
    """A response body that arrives in given pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@attrs.frozen
class Received:
    """One request as the server saw it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Play = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@attrs.define
class TinyServer:
    """A real HTTP/1.1 server on a loopback port that answers as `play` says.

    `hung_up` is set when a peer closed its connection; `connections` counts them.
    """

    play: Play
    requests: list[Received] = attrs.Factory(list)
    connections: int = 0
    hung_up: asyncio.Event = attrs.Factory(asyncio.Event)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                received = await _read_request(reader)
                self.requests.append(received)
                await self.play(received, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)


def head(status: int = 200, **headers: str) -> bytes:
    """A response head without length: the body ends when the connection does."""
    fields = {"content-type": "text/event-stream", "request-id": "req_1", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}connection: close\r\n\r\n".encode()


def whole(body: bytes, status: int = 200, **headers: str) -> bytes:
    """A complete response whose connection can be used again."""
    fields = {"content-type": "text/event-stream", "request-id": "req_1", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def plays(*parts: bytes, then: str = "stay") -> Play:
    """Send `parts`; then `stay` connected, `close` cleanly, `reset`, or `hang` for ever."""

    async def play(_request: Received, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        match then:
            case "close":
                writer.close()
            case "reset":
                writer.transport.abort()

    return play


@asynccontextmanager
async def serving(play: Play) -> AsyncIterator[TinyServer]:
    async with TinyServer(play) as server:
        yield server
