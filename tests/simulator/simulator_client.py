"""A client that sees the bytes: what arrived, and how the connection ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from simulator.simulator_bodies import KEY_HEADERS, Json


@dataclass
class Answered:
    """One response as it arrived.

    `ended` is `complete` (by length or last chunk), `closed` (end of file where the framing
    allows it), `cut` (end of file too early) or `reset`.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: str = "complete"

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Json]:
        """The data of all whole events. Raises when one is no JSON or has another name."""
        return parse_events(self.body)


def parse_events(stream: bytes) -> list[Json]:
    """Parse whole server-sent events; what follows the last blank line is no event."""
    *whole, _ = stream.split(b"\n\n")
    events = []
    for block in whole:
        name, data = block.split(b"\n")
        value = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        events.append(value)
    return events


def assembled(events: list[Json]) -> list[Json]:
    """Assemble the blocks of a stream, as specification §3.3 says; demand contiguous indices."""
    blocks: list[Json] = []
    partial: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append(dict(event["content_block"]))
            case "content_block_delta":
                assert event["index"] == len(blocks) - 1
                _apply(blocks[-1], event["delta"], partial, event["index"])
            case "content_block_stop":
                assert event["index"] == len(blocks) - 1
                if event["index"] in partial:
                    raw = partial[event["index"]]
                    blocks[-1]["input"] = json.loads(raw) if raw else {}
    return blocks


def _apply(block: Json, delta: Json, partial: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            partial[index] = partial.get(index, "") + delta["partial_json"]


class Connection:
    """One connection, which can serve several requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(
        self, value: Any, path: str = "/v1/messages", method: str = "POST", **headers: str
    ) -> None:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        sent = {**KEY_HEADERS, "content-length": str(len(raw)), **headers}
        head = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items() if v)]
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + raw)
        await self.writer.drain()

    async def receive(self) -> Answered:
        """Read one response to its end, whatever that is."""
        answered = Answered()
        try:
            await self._read(answered)
        except asyncio.IncompleteReadError as error:
            answered.body += error.partial
            answered.ended = "cut"
        except ConnectionResetError:
            answered.ended = "reset"
        return answered

    async def _read(self, answered: Answered) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        answered.status = int(head[0].split(" ")[1])
        answered.headers = dict(line.split(": ", 1) for line in head[1:] if line)
        if "content-length" in answered.headers:
            length = int(answered.headers["content-length"])
            answered.body = await self.reader.readexactly(length)
        elif answered.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                answered.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            answered.body = await self.reader.read()
            answered.ended = "closed"

    async def ask(self, value: Any, *args: Any, **headers: str) -> Answered:
        await self.send(value, *args, **headers)
        return await self.receive()


@contextlib.asynccontextmanager
async def connected(base_url: str) -> AsyncIterator[Connection]:
    """Connect to a simulator."""
    address = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(base_url: str, value: Any, *args: Any, **headers: str) -> Answered:
    """Send one request on a connection of its own."""
    async with connected(base_url) as connection:
        return await connection.ask(value, *args, **headers)
