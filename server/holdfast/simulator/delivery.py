"""Sending an answer over a reply: pacing, faults and holds.

Law: every wait here is bounded by `hold_max_s` and ends at once when the client goes or the
simulator stops, because the task that waits is cancelled.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from holdfast.simulator.answers import Answer
from holdfast.simulator.events import PING, Event, events_of
from holdfast.simulator.faults import PACED
from holdfast.simulator.http import Framing, Reply
from holdfast.simulator.interruptions import (
    BREAKS,
    EVENT_CHANGES,
    STREAM_BREAKS,
    Break,
    Interruption,
    interruption_index,
    stream_error,
)
from holdfast.simulator.script import Fault, Respond
from holdfast.simulator.thinking import Ledger

_EVENT_STREAM: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
}
_JSON: Final = {"content-type": "application/json"}
_PING_INTERVAL_MS: Final = 50.0
_DRIP_INTERVAL_MS: Final = 1.0
_BAD_UTF8: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","\xff\xfe\n\n'
_BAD_JSON: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta",,}\n\n'


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sends one answer. `headers` are those of every response of this request."""

    reply: Reply
    headers: Mapping[str, str]
    request_id: str
    ledger: Ledger
    hold_max_s: float

    async def json(self, value: Any, status: int = 200) -> None:
        """Send a JSON body."""
        body = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
        await self.reply.send(status, {**self.headers, **_JSON}, body)

    async def broken(self, fault: Fault) -> None:
        """Break the connection before or right after the headers."""
        match BREAKS[fault.name]:
            case Break.CLOSE:
                self.reply.cut()
            case Break.RESET:
                self.reply.reset()
            case Break.SILENCE:
                await self._hold(fault)
                self.reply.cut()
            case Break.HEADERS_ONLY:
                await self._start(Framing.CHUNKED)
                await self._hold(fault)
                self.reply.cut()
            case Break.EMPTY_BODY:
                await self._start(Framing.CHUNKED)
                await self.reply.finish()

    async def whole(self, answer: Answer, fault: Fault | None) -> None:
        """Send an answer that is not streamed; a stream's break cuts it in the middle."""
        for piece in answer.pieces:
            if piece.signature is not None:
                self.ledger.issued(answer.id, piece.signature)
        if fault is None or fault.name not in STREAM_BREAKS:
            await self.json(answer.message())
            self.ledger.completed(answer.id)
            return
        body = json.dumps(answer.message()).encode()
        headers = {**self.headers, **_JSON, "content-length": str(len(body))}
        await self.reply.start(200, headers, None)
        await self.reply.write(body[: len(body) // 2])
        if STREAM_BREAKS[fault.name].interruption is Interruption.RESET:
            self.reply.reset()
            return
        if STREAM_BREAKS[fault.name].interruption is Interruption.SILENCE:
            await self._hold(fault)
        self.reply.cut()

    async def streamed(self, answer: Answer, respond: Respond, fault: Fault | None) -> None:
        """Send the events of an answer, with the fault that the step names."""
        events = events_of(answer)
        if fault is not None and fault.name in EVENT_CHANGES:
            events = EVENT_CHANGES[fault.name](events)
        breaks = fault if fault is not None and fault.name in STREAM_BREAKS else None
        interruption = STREAM_BREAKS[breaks.name].interruption if breaks else None
        by_close = interruption in (Interruption.EOF, Interruption.HALF_EVENT)
        await self._start(Framing.CLOSE if by_close else Framing.CHUNKED)
        drip_s = None
        if fault is not None and fault.name in PACED:
            drip_s = _seconds(fault.interval_ms, _DRIP_INTERVAL_MS)
        count = interruption_index(breaks.name, breaks, events) if breaks else len(events)
        await self._send(events[:count], answer.id, respond, drip_s)
        if breaks is not None and not await self._interrupt(breaks, events[count:]):
            return
        await self._send(events[count:], answer.id, respond, drip_s)
        await self.reply.finish()

    async def _start(self, framing: Framing) -> None:
        await self.reply.start(200, {**self.headers, **_EVENT_STREAM}, framing)

    async def _send(
        self, events: Sequence[Event], answer_id: str, respond: Respond, drip_s: float | None
    ) -> None:
        for event in events:
            if event.type == "content_block_delta" and respond.per_delta_ms:
                await asyncio.sleep(respond.per_delta_ms / 1000)
            # Remembered before it is sent: what a client may hold is never unknown here.
            if event.signature is not None:
                self.ledger.issued(answer_id, event.signature)
            if event.type == "message_stop":
                self.ledger.completed(answer_id)
            if drip_s is None:
                await self.reply.write(event.encoded())
            else:
                for byte in event.encoded():
                    await self.reply.write(bytes([byte]))
                    await asyncio.sleep(drip_s)

    async def _interrupt(self, fault: Fault, rest: Sequence[Event]) -> bool:
        """Interrupt the stream; tell whether it goes on afterwards."""
        stream_break = STREAM_BREAKS[fault.name]
        match stream_break.interruption:
            case Interruption.BAD_UTF8:
                await self.reply.write(_BAD_UTF8)
                return True
            case Interruption.BAD_JSON:
                await self.reply.write(_BAD_JSON)
                return True
            case Interruption.SILENCE:
                await self._hold(fault)
                self.reply.cut()
            case Interruption.PINGS:
                await self._ping(fault)
                self.reply.cut()
            case Interruption.RESET:
                self.reply.reset()
            case Interruption.CLEAN_END:
                await self.reply.finish()
            case Interruption.EOF | Interruption.CHUNK_CUT:
                self.reply.cut()
            case Interruption.HALF_EVENT:
                half = rest[0].encoded()
                await self.reply.write(half[: len(half) // 2])
                self.reply.cut()
            case Interruption.ERROR:
                event = stream_error(stream_break, fault, self.request_id)
                await self.reply.write(event.encoded())
                await self.reply.finish()
        return False

    async def _hold(self, fault: Fault) -> None:
        await asyncio.sleep(self._hold_s(fault))

    def _hold_s(self, fault: Fault) -> float:
        return min(_seconds(fault.hold_ms, self.hold_max_s * 1000), self.hold_max_s)

    async def _ping(self, fault: Fault) -> None:
        interval_s = _seconds(fault.interval_ms, _PING_INTERVAL_MS)
        try:
            async with asyncio.timeout(self._hold_s(fault)):
                while True:
                    await self.reply.write(PING.encoded())
                    await asyncio.sleep(interval_s)
        except TimeoutError:
            return  # the storm is over


def _seconds(given_ms: float | None, default_ms: float) -> float:
    return (default_ms if given_ms is None else given_ms) / 1000
