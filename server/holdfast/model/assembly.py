"""From raw stream events to stream items: blocks are assembled here and nowhere else.

Law: feeding never raises anything but `ModelFailed`, costs time linear in the bytes fed (S6), and
gives blocks whose key order is the API's own (R70-R74). The grammar is specification §3.3; what is
not in it (unknown events, deltas, block types, repeated events) is kept or passed over, as the
API's versioning policy asks. Pure: no I/O, no clock, no SDK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from holdfast.conversation import encoding
from holdfast.conversation.history import Block
from holdfast.model import classification
from holdfast.model.port import (
    BlockClosed,
    BlockDelta,
    BlockOpened,
    DeltaKind,
    Heartbeat,
    ModelFailed,
    ResponseEnded,
    ResponseOpened,
    StreamItem,
)
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind

_WireIndex: TypeAlias = int | str | None

# The field that holds a tool's arguments when they are no JSON object (A27). A block whose input
# has it was never a complete call and must not be run.
UNPARSED: Final = "_unparsed"

# Delta type -> (its field, the kind it is shown as, the field of the block that it extends).
_TEXTUAL: Final[Mapping[str, tuple[str, DeltaKind, str]]] = {
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "input_json_delta": ("partial_json", "toolInput", "input"),
}

# Some gateways leave out `content_block_start`; these blocks need nothing from it.
_IMPLIED: Final[Mapping[str, Mapping[str, Any]]] = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": ""},
}

_EVENTS: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)

_HEARTBEAT: Final[tuple[StreamItem, ...]] = (Heartbeat(),)
_NOTHING: Final[tuple[StreamItem, ...]] = ()
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HIGH_SURROGATES: Final = ("\ud800", "\udbff")


class _NoObject(ValueError):
    """The data of an event is JSON, but no object."""

    def __str__(self) -> str:
        return "it is no object"


@attrs.define
class _OpenBlock:
    """A block between its start and its stop. `parts` are joined once, at the stop.

    `field` is what the deltas extend; a block of unknown type takes it from its first delta.
    `half` is the first half of a character that a server cut between two deltas.
    """

    index: int
    data: dict[str, Any]
    field: str
    parts: list[str] = attrs.Factory(list)
    half: str = ""


class Assembler:
    """Assembles one response. Feed it events in order, then call `finish` at the end of stream."""

    def __init__(self, request_id: str | None = None, secrets: Sequence[str] = ()) -> None:
        """`request_id` comes from the response's headers; `secrets` are blotted out of errors."""
        self._request_id = request_id
        self._secrets = secrets
        self._open: dict[_WireIndex, _OpenBlock] = {}
        self._next_index = 0
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._stop_details: Mapping[str, Any] | None = None
        self._called_a_tool = False
        self._opened = False
        self._stopped = False
        self._ended = False

    @property
    def opened(self) -> bool:
        """Whether anything of a response was seen."""
        return self._opened

    @property
    def complete(self) -> bool:
        """Whether the answer is whole: `message_stop`, or a stop reason, was seen (§3.4)."""
        return self._stopped or self._stop_reason is not None

    @property
    def ended(self) -> bool:
        """Whether `ResponseEnded` was given out; everything after it is passed over."""
        return self._ended

    @property
    def open_blocks(self) -> tuple[BlockOpened, ...]:
        """The blocks that have begun and are not complete, in order."""
        return tuple(_announcement(block) for block in self._open.values())

    def feed(self, event: str | None, data: str) -> Sequence[StreamItem]:
        """Take in one event of the stream: its name, when it has one, and its data.

        Raises `ModelFailed`: the classified failure of an `error` event, or `UNREADABLE` for data
        of a known event that is no JSON object. After an answer is complete an error changes
        nothing any more (§3.4).
        """
        if self._ended:
            return _NOTHING
        if event == "ping":
            return _HEARTBEAT
        if event == "error":
            return self._error(data)
        try:
            return self._dispatch(event, data)
        except (ValueError, RecursionError) as error:
            if event is not None and event not in _EVENTS:
                return _HEARTBEAT
            if data.strip() in ("", "[DONE]"):
                return _HEARTBEAT
            raise self._unreadable(f"An event of the answer cannot be read: {error}.", data) from (
                error
            )

    def finish(self) -> Sequence[StreamItem]:
        """Say that the stream is over. Raises `ModelFailed` (CUT) when the answer is not whole."""
        if self._ended:
            return _NOTHING
        if self.complete:
            return self._end()
        raise ModelFailed(
            Failure(
                kind=FailureKind.CUT,
                message="The stream ended before the answer was complete.",
                request_id=self._request_id,
                cause=Cause.CUT_STREAM,
            )
        )

    def _dispatch(self, event: str | None, data: str) -> Sequence[StreamItem]:
        payload = encoding.decode(data)
        if not isinstance(payload, dict):
            raise _NoObject
        kind = payload.get("type")
        if kind == "error" or (kind is None and payload.get("error")):
            return self._error(data)
        # A few servers name the event in the SSE field only.
        match kind if isinstance(kind, str) and kind in _EVENTS else event:
            case "content_block_delta":
                return self._block_delta(payload)
            case "content_block_start":
                return self._block_start(payload)
            case "content_block_stop":
                return self._block_stop(payload)
            case "message_start":
                return self._message_start(payload)
            case "message_delta":
                return self._message_delta(payload)
            case "message_stop":
                return self._message_stop()
            case _:
                return _HEARTBEAT

    def _message_start(self, payload: Mapping[str, Any]) -> Sequence[StreamItem]:
        if self._opened:
            return _NOTHING
        message = _mapping(payload.get("message"))
        self._merge_usage(message.get("usage"))
        return self._announce(_string(message.get("id")), _string(message.get("model")))

    def _block_start(self, payload: Mapping[str, Any]) -> Sequence[StreamItem]:
        wire_index = _key(payload.get("index"))
        if wire_index in self._open:
            return _NOTHING
        start = _mapping(payload.get("content_block"))
        return [*self._ensure_opened(), *self._begin(wire_index, start)]

    def _block_delta(self, payload: Mapping[str, Any]) -> Sequence[StreamItem]:
        delta = payload.get("delta")
        if not isinstance(delta, dict):
            return _NOTHING
        kind = delta.get("type")
        wire_index = _key(payload.get("index"))
        block = self._open.get(wire_index)
        if block is None:
            implied = _IMPLIED.get(kind) if isinstance(kind, str) else None
            if implied is None:
                return _NOTHING
            opening = [*self._ensure_opened(), *self._begin(wire_index, implied)]
            return [*opening, *_extend(self._open[wire_index], delta)]
        return _extend(block, delta)

    def _block_stop(self, payload: Mapping[str, Any]) -> Sequence[StreamItem]:
        block = self._open.pop(_key(payload.get("index")), None)
        return _NOTHING if block is None else self._close(block, stopped=True)

    def _message_delta(self, payload: Mapping[str, Any]) -> Sequence[StreamItem]:
        delta = _mapping(payload.get("delta"))
        self._stop_reason = _string(delta.get("stop_reason")) or self._stop_reason
        details = delta.get("stop_details")
        if isinstance(details, dict):
            self._stop_details = encoding.without_lone_surrogates(details)
        self._merge_usage(payload.get("usage"))
        return self._ensure_opened()

    def _message_stop(self) -> Sequence[StreamItem]:
        self._stopped = True
        return [*self._ensure_opened(), *self._end()]

    def _error(self, data: str) -> Sequence[StreamItem]:
        if self.complete:
            return self._end()
        raise ModelFailed(classification.from_event(data, self._request_id, self._secrets))

    def _ensure_opened(self) -> Sequence[StreamItem]:
        """Announce the response when a server sends content without `message_start`."""
        return _NOTHING if self._opened else self._announce("", "")

    def _announce(self, message_id: str, model: str) -> Sequence[StreamItem]:
        self._opened = True
        tokens = sum(
            _count(self._usage.get(field))
            for field in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        )
        return [ResponseOpened(message_id, model, self._request_id, tokens)]

    def _begin(self, wire_index: _WireIndex, start: Mapping[str, Any]) -> Sequence[StreamItem]:
        """Open a block, and show what text its start has already.

        Indices given out are the API's, but never used twice: some gateways number all blocks 0.
        """
        index = wire_index if isinstance(wire_index, int) else self._next_index
        index = max(index, self._next_index)
        self._next_index = index + 1
        block = _OpenBlock(index, dict(start), _field_of(start))
        self._open[wire_index] = block
        text = "" if block.field in ("", "input") else _string(start.get(block.field))
        shown = [_delta_of(block, text)] if text else []
        return [_announcement(block), *shown]

    def _close(self, block: _OpenBlock, *, stopped: bool) -> Sequence[StreamItem]:
        items: list[StreamItem] = []
        if block.half:
            items.append(_delta_of(block, encoding.REPLACEMENT))
            block.parts.append(encoding.REPLACEMENT)
        data = block.data
        if block.field == "input":
            data["input"] = _tool_input(data.get("input"), "".join(block.parts), stopped=stopped)
            self._called_a_tool = self._called_a_tool or data.get("type") == "tool_use"
        elif block.field:
            data[block.field] = _string(data.get(block.field)) + "".join(block.parts)
        try:
            items.append(BlockClosed(block.index, Block.of(data)))
        except (TypeError, ValueError, RecursionError) as error:
            raise self._unreadable(f"A block of the answer cannot be kept: {error}.", "") from error
        return items

    def _end(self) -> Sequence[StreamItem]:
        """End the answer, closing what the server left open.

        A tool call that was never stopped is complete only if its arguments say so.
        """
        items: list[StreamItem] = []
        for block in self._open.values():
            items.extend(self._close(block, stopped=False))
        self._open.clear()
        self._ended = True
        reason = self._stop_reason or ("tool_use" if self._called_a_tool else "end_turn")
        items.append(ResponseEnded(reason, self._stop_details, dict(self._usage)))
        return items

    def _merge_usage(self, usage: Any) -> None:
        """Overwrite: totals are cumulative, absent and null ones keep the earlier value (§3.3)."""
        if isinstance(usage, dict):
            clean = encoding.without_lone_surrogates(usage)
            self._usage.update({key: value for key, value in clean.items() if value is not None})

    def _unreadable(self, message: str, data: str) -> ModelFailed:
        return ModelFailed(
            Failure(
                kind=FailureKind.UNREADABLE,
                message=message,
                status=200,
                request_id=self._request_id,
                raw=classification.excerpt(data, self._secrets),
            )
        )


def _extend(block: _OpenBlock, delta: dict[str, Any]) -> Sequence[StreamItem]:
    """Apply one delta to its block and return what of it can be shown."""
    kind = delta.get("type")
    textual = _TEXTUAL.get(kind) if isinstance(kind, str) else None
    if textual is not None:
        source, shown_as, field = textual
        text = delta.get(source)
        if not isinstance(text, str):
            return _NOTHING
        block.field = block.field or field
        if block.field != field:
            return _NOTHING
        if block.half or not text.isascii():
            text = _whole_characters(block, text)
        if not text:
            return _NOTHING
        block.parts.append(text)
        return [BlockDelta(block.index, shown_as, text)]
    if kind == "signature_delta":
        # The signature replaces, it is never concatenated.
        block.data["signature"] = delta.get("signature")
    elif kind == "citations_delta":
        cited = block.data.get("citations")
        earlier = cited if isinstance(cited, list) else []
        block.data["citations"] = earlier
        earlier.append(delta.get("citation"))
    elif kind == "compaction_delta":
        block.data.update({key: value for key, value in delta.items() if key != "type"})
    return _NOTHING


def _whole_characters(block: _OpenBlock, text: str) -> str:
    """Put characters together that were cut in two between deltas; replace lone halves (A23)."""
    text = block.half + text
    block.half = ""
    if _SURROGATE.search(text) is None:
        return text
    if _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1]:
        text, block.half = text[:-1], text[-1]
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _tool_input(start: Any, received: str, *, stopped: bool) -> dict[str, Any]:
    """Return a tool's arguments as an object, which the API demands (R47), losing nothing (A27).

    `start` is the input of `content_block_start`; a few servers put the whole of it there.
    """
    if not received.strip():
        if isinstance(start, dict) and (start or stopped):
            return start
        if start is None or isinstance(start, dict):
            return {} if stopped else {UNPARSED: ""}
        return {UNPARSED: encoding.encode(start)}
    try:
        parsed = encoding.decode(received)
    except (ValueError, RecursionError):
        return {UNPARSED: received}
    return parsed if isinstance(parsed, dict) else {UNPARSED: received}


def _field_of(start: Mapping[str, Any]) -> str:
    kind = _string(start.get("type"))
    if "input" in start or kind.endswith("tool_use"):
        return "input"
    return kind if kind in {"text", "thinking"} else ""


def _delta_of(block: _OpenBlock, text: str) -> BlockDelta:
    kinds = {field: shown_as for _, shown_as, field in _TEXTUAL.values()}
    return BlockDelta(block.index, kinds[block.field], text)


def _announcement(block: _OpenBlock) -> BlockOpened:
    return BlockOpened(
        block.index, _string(block.data.get("type")), _string(block.data.get("name"))
    )


def _key(index: Any) -> _WireIndex:
    """Return something hashable to know a block by, whatever the server calls its index."""
    return index if isinstance(index, int | str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return encoding.without_lone_surrogates(value) if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
