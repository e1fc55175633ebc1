"""Faults of connection and stream: where they come and what they do.

Law: an interruption names what the bytes do, never what a client makes of it; changes of events
are pure functions from a proper stream to an improper one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from holdfast.simulator.events import PING, Event, error_event
from holdfast.simulator.script import Fault


class Break(Enum):
    """How a connection fails before there are headers, or right after them."""

    CLOSE = "the connection is closed"
    RESET = "the connection is reset"
    SILENCE = "nothing is sent"
    HEADERS_ONLY = "headers, then nothing is sent"
    EMPTY_BODY = "headers, then a proper end"


BREAKS: Final[Mapping[str, Break]] = {
    "close-before-headers": Break.CLOSE,
    "reset-before-headers": Break.RESET,
    "headers-never": Break.SILENCE,
    "headers-then-silence": Break.HEADERS_ONLY,
    "empty-body": Break.EMPTY_BODY,
}


class Interruption(Enum):
    """What happens to a stream after some of its events."""

    SILENCE = "nothing more is sent, the connection stays"
    PINGS = "only pings are sent"
    RESET = "the connection is reset"
    CLEAN_END = "the body ends properly, without the rest"
    EOF = "a body without a length ends with the connection"
    CHUNK_CUT = "the connection ends before the last chunk"
    HALF_EVENT = "half of the next event, then the end of the connection"
    BAD_UTF8 = "the next event holds bytes that are no UTF-8, then the stream goes on"
    BAD_JSON = "the next event holds no JSON, then the stream goes on"
    ERROR = "an `error` event ends the stream"


@dataclass(frozen=True, slots=True)
class StreamBreak:
    """An interruption and where it comes: after the first event for which `at` holds.

    Without `at` it comes after a number of events. `error` is the type of the `error` event.
    """

    interruption: Interruption
    at: Callable[[Event], bool] | None = None
    error: str = "overloaded_error"


EVENTS_BEFORE_DEFAULT: Final = 4  # message_start, block start, ping and the first delta
_ERROR_TEXTS: Final = {
    "overloaded_error": "Overloaded",
    "api_error": "Internal server error",
    "rate_limit_error": "Rate limited",
    "timeout_error": "Request timed out",
    "invalid_request_error": "The request is invalid",
    "authentication_error": "invalid x-api-key",
    "permission_error": "Not allowed",
    "billing_error": "Billing error",
    "not_found_error": "Not found",
}


def _is_delta(kind: str) -> Callable[[Event], bool]:
    return lambda event: event.delta_type == kind


def _has_tool_json(event: Event) -> bool:
    return bool(event.data.get("delta", {}).get("partial_json"))


STREAM_BREAKS: Final[Mapping[str, StreamBreak]] = {
    "silence": StreamBreak(Interruption.SILENCE),
    "ping-storm": StreamBreak(Interruption.PINGS),
    "reset": StreamBreak(Interruption.RESET),
    "clean-end": StreamBreak(Interruption.CLEAN_END),
    "eof": StreamBreak(Interruption.EOF),
    "chunk-cut": StreamBreak(Interruption.CHUNK_CUT),
    "half-event": StreamBreak(Interruption.HALF_EVENT),
    "invalid-utf8": StreamBreak(Interruption.BAD_UTF8),
    "invalid-json": StreamBreak(Interruption.BAD_JSON),
    **{
        f"error-event-{kind.removesuffix('_error').replace('_', '-')}": StreamBreak(
            Interruption.ERROR, error=kind
        )
        for kind in _ERROR_TEXTS
    },
    "cut-in-tool-json": StreamBreak(Interruption.EOF, at=_has_tool_json),
    "cut-in-thinking": StreamBreak(Interruption.EOF, at=_is_delta("thinking_delta")),
    "cut-before-signature": StreamBreak(Interruption.EOF),
    "missing-message-stop": StreamBreak(
        Interruption.CLEAN_END, at=lambda event: event.type == "message_delta"
    ),
}


def interruption_index(name: str, fault: Fault, events: Sequence[Event]) -> int:
    """Return after how many events the interruption comes; always before the last one."""
    stream_break = STREAM_BREAKS[name]
    count = EVENTS_BEFORE_DEFAULT if fault.after_events is None else fault.after_events
    if fault.after_events is None:
        if name == "cut-before-signature":
            found = [k for k, event in enumerate(events) if event.delta_type == "signature_delta"]
            count = found[0] if found else count
        elif stream_break.at is not None:
            found = [k + 1 for k, event in enumerate(events) if stream_break.at(event)]
            count = found[0] if found else count
    return max(0, min(count, len(events) - 1))


def stream_error(stream_break: StreamBreak, fault: Fault, request_id: str) -> Event:
    """Return the `error` event of an interruption."""
    kind = fault.type or stream_break.error
    message = fault.message or _ERROR_TEXTS.get(kind, "Error")
    return error_event(kind, message, request_id)


def _duplicated(events: Sequence[Event]) -> list[Event]:
    return [
        copy
        for event in events
        for copy in ((event, event) if event.type == "content_block_start" else (event,))
    ]


def _with_unknown_event(events: Sequence[Event]) -> list[Event]:
    unknown = Event({"type": "weather_report", "forecast": {"text": "rain"}})
    return [events[0], unknown, *events[1:]]


def _with_unknown_delta(events: Sequence[Event]) -> list[Event]:
    changed = []
    for event in events:
        changed.append(event)
        if event.type == "content_block_start":
            delta = {"type": "mood_delta", "mood": "curious"}
            index = event.data["index"]
            changed.append(Event({"type": "content_block_delta", "index": index, "delta": delta}))
    return changed


def _with_unknown_block(events: Sequence[Event]) -> list[Event]:
    """A block of an unknown kind behind all others, before the message ends."""
    index = sum(event.type == "content_block_start" for event in events)
    block = {"type": "hologram", "shape": "cube"}
    extra = [
        Event({"type": "content_block_start", "index": index, "content_block": block}),
        Event({"type": "content_block_stop", "index": index}),
    ]
    end = next(k for k, event in enumerate(events) if event.type == "message_delta")
    return [*events[:end], *extra, *events[end:]]


def _with_two_deltas(events: Sequence[Event]) -> list[Event]:
    """A first `message_delta` without a reason, then the real one: totals are cumulative."""
    changed = []
    for event in events:
        if event.type == "message_delta":
            early = {**event.data, "delta": {**event.data["delta"], "stop_reason": None}}
            changed.append(Event(early))
        changed.append(event)
    return changed


def _without_pings(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event is not PING]


EVENT_CHANGES: Final[Mapping[str, Callable[[Sequence[Event]], list[Event]]]] = {
    "duplicate-event": _duplicated,
    "unknown-event": _with_unknown_event,
    "unknown-delta": _with_unknown_delta,
    "unknown-block": _with_unknown_block,
    "double-message-delta": _with_two_deltas,
    "no-pings": _without_pings,
}
