"""Answers: from a script's items to the blocks of one message.

Law: an answer keeps the invariants at the end of specification §8: unique ids, indices from zero,
cumulative usage, signed thinking, `caller` on every call, `stop_details` null unless refused.
This module is pure: ids and signatures come from what it is given.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from holdfast.simulator import thinking, tokens
from holdfast.simulator.rules.request import JsonObject
from holdfast.simulator.script import (
    BlockItem,
    Item,
    RedactedThinkingItem,
    Respond,
    ServerToolUseItem,
    TextItem,
    ThinkingItem,
    ToolUseItem,
)
from holdfast.simulator.thinking import Seal, Signer
from holdfast.simulator.validation import Accepted

_DIRECT: Final = {"type": "direct"}


class Identifiers:
    """Makes ids that no other simulator makes, or, with a seed, the same ones each time."""

    def __init__(self, seed: str | None = None) -> None:
        self._seed = secrets.token_hex(16) if seed is None else seed
        self._count = 0

    def make(self, prefix: str) -> str:
        """Return the next id, such as `toolu_01…`."""
        self._count += 1
        unique = hashlib.sha256(f"{self._seed}:{self._count}".encode()).hexdigest()[:22]
        return f"{prefix}_01{unique}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One content block: whole, as it starts in a stream, and the deltas between.

    `signature` is set for thinking of both kinds.
    """

    block: JsonObject
    start: JsonObject
    deltas: tuple[JsonObject, ...] = ()
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One message of the model, complete."""

    id: str
    model: str
    pieces: tuple[Piece, ...]
    stop_reason: str
    stop_details: JsonObject | None
    stop_sequence: str | None
    usage: JsonObject
    transformations: list[JsonObject] = field(default_factory=list)

    def message(self) -> JsonObject:
        """Return the message object of a response that is not streamed (§3.1)."""
        return {
            **self.opening(),
            "content": [piece.block for piece in self.pieces],
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
            "usage": self.usage,
        }

    def opening(self) -> JsonObject:
        """Return the message as `message_start` shows it: without content and stop reason."""
        opening: JsonObject = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            "diagnostics": None,
            "usage": {**self.usage, "output_tokens": 1},
        }
        if self.transformations:
            opening["input_transformations"] = self.transformations
        return opening


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes answers to accepted requests."""

    identifiers: Identifiers
    signer: Signer

    def compose(self, respond: Respond, accepted: Accepted, input_usage: JsonObject) -> Answer:
        """Return the answer that `respond` describes, cut where the request allows no more.

        `input_usage` holds the numbers of the prompt. A request for compaction gets one signed
        block made of the text items; with any other end than its own it gets nothing (§6,
        "failure").
        """
        message_id = self.identifiers.make("msg")
        items = self._allowed(respond.content, accepted)
        stop_reason = respond.stop_reason
        compacts = accepted.body.get("compaction") is not None
        if compacts:
            stop_reason = stop_reason or _compaction_end(items, accepted)
            pieces = self._compaction(items, accepted) if stop_reason == "compaction" else []
        else:
            items, cut = clip(items, accepted)
            pieces = self._pieces(items, accepted, message_id)
            stop_reason = cut or stop_reason or _stop_reason(items)
        return Answer(
            id=message_id,
            model=accepted.model.id,
            pieces=tuple(pieces),
            stop_reason=stop_reason,
            stop_details=respond.stop_details or _stop_details(stop_reason),
            stop_sequence=respond.stop_sequence,
            usage=_usage(pieces, input_usage, respond.usage, compacts=compacts),
            transformations=accepted.readable.transformations,
        )

    def _allowed(self, content: Sequence[Item], accepted: Accepted) -> list[Item]:
        """Fit thinking to the request: none while it is off, always some in manual mode (R68)."""
        thoughts = (ThinkingItem, RedactedThinkingItem)
        if accepted.thinking == "disabled":
            return [item for item in content if not isinstance(item, thoughts)]
        if accepted.thinking == "enabled" and content and not isinstance(content[0], thoughts):
            return [ThinkingItem(text="Let me think about it."), *content]
        return list(content)

    def _pieces(self, items: Sequence[Item], accepted: Accepted, message_id: str) -> list[Piece]:
        pieces: list[Piece] = []
        previous = accepted.readable.previous_for(accepted.model)
        order = 0
        for item in items:
            if isinstance(item, (ThinkingItem, RedactedThinkingItem)):
                text = self._shown(item, accepted)
                seal = Seal(
                    kind="thinking" if isinstance(item, ThinkingItem) else "redacted_thinking",
                    model=accepted.model.id,
                    text=thinking.digest(text),
                    prefix=accepted.prefix,
                    previous=previous,
                    response=message_id,
                    order=order,
                    omitted=not text,
                    organization=accepted.organization,
                )
                signature = self.signer.sign(seal)
                previous, order = thinking.digest(signature), order + 1
                pieces.append(_thought(item, text, signature))
            else:
                pieces.append(self._piece(item))
        return pieces

    def _shown(self, item: ThinkingItem | RedactedThinkingItem, accepted: Accepted) -> str:
        display = (accepted.body.get("thinking") or {}).get("display")
        if isinstance(item, RedactedThinkingItem) or display == "omitted":
            return ""
        return item.text

    def _piece(self, item: TextItem | ToolUseItem | ServerToolUseItem | BlockItem) -> Piece:
        match item:
            case TextItem():
                deltas = tuple(
                    {"type": "text_delta", "text": part}
                    for part in pieces_of(item.text, item.chunk)
                )
                block = {"type": "text", "text": item.text}
                return Piece(block, {"type": "text", "text": ""}, deltas)
            case ToolUseItem():
                return self._call("tool_use", "toolu", item.id, item.name, item)
            case ServerToolUseItem():
                call = ToolUseItem(name=item.name, input=item.input)
                return self._call("server_tool_use", "srvtoolu", item.id, item.name, call)
            case BlockItem():
                return Piece(item.block, item.block)

    def _call(self, kind: str, prefix: str, given: str, name: str, item: ToolUseItem) -> Piece:
        identifier = given or self.identifiers.make(prefix)
        head = {"type": kind, "id": identifier, "name": name}
        raw = item.raw_input if item.raw_input is not None else _input_json(item.input)
        parts = ["", *pieces_of(raw, item.chunk)]
        deltas = tuple({"type": "input_json_delta", "partial_json": part} for part in parts)
        whole = {**head, "input": item.input, "caller": _DIRECT}
        return Piece(whole, {**head, "input": {}, "caller": _DIRECT}, deltas)

    def _compaction(self, items: Sequence[Item], accepted: Accepted) -> list[Piece]:
        summary = _summary(items)
        seal = Seal(
            kind="compaction",
            model=accepted.model.id,
            text=thinking.digest(summary),
            prefix=accepted.whole,
            root=accepted.root,
        )
        signature = self.signer.sign(seal)
        block = {"type": "compaction", "content": summary, "signature": signature}
        return [Piece(block, block)]


def _thought(item: ThinkingItem | RedactedThinkingItem, text: str, signature: str) -> Piece:
    if isinstance(item, RedactedThinkingItem):
        block = {"type": "redacted_thinking", "data": signature}
        return Piece(block, block, (), signature)
    parts = [{"type": "thinking_delta", "thinking": part} for part in pieces_of(text, item.chunk)]
    deltas = (*parts, {"type": "signature_delta", "signature": signature})
    block = {"type": "thinking", "thinking": text, "signature": signature}
    return Piece(block, {"type": "thinking", "thinking": "", "signature": ""}, deltas, signature)


def pieces_of(text: str, size: int) -> list[str]:
    """Cut a text into pieces of `size` characters, at least one each."""
    step = max(size, 1)
    return [text[at : at + step] for at in range(0, len(text), step)]


def _input_json(value: JsonObject) -> str:
    """Return a tool's input as the model writes it; no input at all is no text (§3.3)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""


def _stop_reason(items: Sequence[Item]) -> str:
    return "tool_use" if any(isinstance(item, ToolUseItem) for item in items) else "end_turn"


def _summary(items: Sequence[Item]) -> str:
    return "\n\n".join(item.text for item in items if isinstance(item, TextItem))


def _compaction_end(items: Sequence[Item], accepted: Accepted) -> str:
    """Return how a compaction ends: a call ends it, and so does a summary that does not fit."""
    if any(isinstance(item, ToolUseItem) for item in items):
        return "tool_use"
    summary = _summary(items)
    if not summary.strip():
        return "end_turn"
    _, cut = clip([TextItem(text=summary)], accepted)
    return cut or "compaction"


def _stop_details(stop_reason: str) -> JsonObject | None:
    if stop_reason != "refusal":
        return None
    return {"type": "refusal", "category": None, "explanation": None}


def clip(items: Sequence[Item], accepted: Accepted) -> tuple[list[Item], str | None]:
    """Cut items to what the request allows; return them and the stop reason of the cut, if any.

    The room is `max_tokens` or what is left of the window, whichever is less (R90).
    """
    cap = int(accepted.body.get("max_tokens", accepted.model.output_tokens_max))
    room = max(accepted.window_tokens - accepted.input_tokens, 1)
    reason = "max_tokens" if cap <= room else "model_context_window_exceeded"
    if cap == 0:
        return [], "max_tokens"
    left = int(min(cap, room) * tokens.BYTES_PER_TOKEN)
    kept: list[Item] = []
    for item in items:
        length = _length(item)
        if length > left:
            part = _shortened(item, left)
            return [*kept, *([part] if part is not None else [])], reason
        left -= length
        kept.append(item)
    return kept, None


def _length(item: Item) -> int:
    match item:
        case TextItem() | ThinkingItem():
            return len(item.text.encode("utf-8", "surrogatepass"))
        case ToolUseItem():
            raw = item.raw_input if item.raw_input is not None else _input_json(item.input)
            return len(item.name) + len(raw.encode("utf-8", "surrogatepass"))
        case RedactedThinkingItem() | ServerToolUseItem() | BlockItem():
            return 0


def _shortened(item: Item, length: int) -> Item | None:
    """Return the beginning of an item that does not fit, or None when nothing of it does."""
    match item:
        case TextItem():
            text = _first_bytes(item.text, length)
            return TextItem(text=text, chunk=item.chunk) if text else None
        case ThinkingItem():
            return ThinkingItem(text=_first_bytes(item.text, length), chunk=item.chunk)
        case ToolUseItem():
            room = length - len(item.name)
            raw = item.raw_input if item.raw_input is not None else _input_json(item.input)
            if room <= 0:
                return None
            cut = _first_bytes(raw, room)
            return ToolUseItem(name=item.name, id=item.id, raw_input=cut, chunk=item.chunk)
        case _:
            return item


def _first_bytes(text: str, count: int) -> str:
    encoded = text.encode("utf-8", "surrogatepass")[:count]
    return encoded.decode("utf-8", "ignore")


def _usage(
    pieces: Sequence[Piece], input_usage: JsonObject, overrides: JsonObject, *, compacts: bool
) -> JsonObject:
    thoughts = sum(tokens.of_text(p.block.get("thinking", "")) for p in pieces if p.signature)
    # At least one, even for an empty answer (§5.2).
    output = max(1, thoughts + sum(_output_tokens(p.block) for p in pieces if not p.signature))
    usage: dict[str, Any] = {
        **input_usage,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": thoughts},
        "server_tool_use": None,
        "service_tier": "standard",
    }
    if compacts:
        # The top level excludes compaction: its numbers stand in an iteration of their own.
        usage["iterations"] = [{"type": "compaction", **input_usage, "output_tokens": output}]
        usage.update(dict.fromkeys(_INPUT_COUNTS, 0), output_tokens=0)
    return {**usage, **overrides}


_INPUT_COUNTS: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


def _output_tokens(block: JsonObject) -> int:
    return tokens.of_text(json.dumps(block, ensure_ascii=False))
