"""The event stream of one answer, by the grammar of specification §3.3.

Law: `message_start block* message_delta message_stop`, indices contiguous from zero, one `ping`
after the first block has started; every event's name is its data's `type`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.simulator.answers import Answer, Piece
from holdfast.simulator.rules.request import JsonObject


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `signature` is set on the stop of a thinking block."""

    data: JsonObject
    signature: str | None = None

    @property
    def type(self) -> str:
        """The event's name."""
        return str(self.data["type"])

    @property
    def delta_type(self) -> str | None:
        """The type of the delta that a `content_block_delta` carries."""
        delta = self.data.get("delta")
        return delta.get("type") if isinstance(delta, dict) else None

    def encoded(self) -> bytes:
        """Return the event's bytes. Lone surrogates stay escaped, so that this never fails."""
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        try:
            data = text.encode()
        except UnicodeEncodeError:
            data = json.dumps(self.data, separators=(",", ":")).encode()
        return b"event: %b\ndata: %b\n\n" % (self.type.encode(), data)


PING = Event({"type": "ping"})


def events_of(answer: Answer) -> list[Event]:
    """Return all events of an answer, in order."""
    events = [Event({"type": "message_start", "message": answer.opening()})]
    for index, piece in enumerate(answer.pieces):
        block = _block_events(index, piece)
        if index == 0:
            block.insert(1, PING)
        events.extend(block)
    if not answer.pieces:
        events.append(PING)
    delta = {
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details,
        "container": None,
    }
    usage = {key: value for key, value in answer.usage.items() if key in _DELTA_USAGE}
    events.append(Event({"type": "message_delta", "delta": delta, "usage": usage}))
    events.append(Event({"type": "message_stop"}))
    return events


_DELTA_USAGE = frozenset(
    {
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
        "server_tool_use",
        "iterations",
    }
)


def _block_events(index: int, piece: Piece) -> list[Event]:
    start = {"type": "content_block_start", "index": index, "content_block": piece.start}
    stop = {"type": "content_block_stop", "index": index}
    deltas: Sequence[JsonObject] = piece.deltas
    return [
        Event(start),
        *(Event({"type": "content_block_delta", "index": index, "delta": d}) for d in deltas),
        Event(stop, piece.signature),
    ]


def error_event(error_type: str, message: str, request_id: str) -> Event:
    """Return the `error` event that ends a stream after HTTP 200."""
    error = {"type": error_type, "message": message}
    return Event({"type": "error", "error": error, "request_id": request_id})
