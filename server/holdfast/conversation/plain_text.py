"""A history as plain text, for whoever is to summarise it.

Law: no blocks, no thinking, no media, only words: whatever poisons a history cannot poison its
summary (B07). The same history always gives the same text, and a message that comes later changes
nothing of those before it. Under a limit, long results shrink first, then long texts, then messages
in the middle go; the beginning and the end stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from holdfast.conversation import casting, encoding
from holdfast.conversation.clipping import clip, clip_line
from holdfast.conversation.history import ASSISTANT, SYSTEM, Block, Message
from holdfast.conversation.profile import is_server_result, is_server_use
from holdfast.conversation.tokens import BYTES_PER_TOKEN

_SPEAKERS: Final = {ASSISTANT: "Assistant", SYSTEM: "System"}
_MAIN_ARGUMENTS: Final = (
    "command", "cmd", "file_path", "path", "notebook_path", "pattern", "query", "url",
    "description", "prompt",
)  # fmt: skip
_BEGINNING_SHARE: Final = 0.25


@attrs.frozen
class ItemLimits:
    """How long one item may be, in bytes."""

    text: int
    call: int
    result: int


DEFAULT_LIMITS: Final = ItemLimits(text=24_000, call=2_000, result=4_000)
TIGHTER: Final = (
    DEFAULT_LIMITS,
    ItemLimits(text=24_000, call=1_000, result=1_200),
    ItemLimits(text=12_000, call=400, result=400),
    ItemLimits(text=3_000, call=200, result=150),
)
"""Tried in this order before messages are left out."""


def render(
    history: Sequence[Message],
    *,
    max_tokens: int | None = None,
    limits: ItemLimits = DEFAULT_LIMITS,
) -> str:
    """Return a history as text of at most `max_tokens` estimated tokens."""
    if max_tokens is None:
        return "\n\n".join(filter(None, render_each(history, limits)))
    bytes_max = int(max_tokens * BYTES_PER_TOKEN)
    items: list[str] = []
    for level in (limits, *(tight for tight in TIGHTER if tight.result < limits.result)):
        items = [item for item in render_each(history, level) if item]
        if _joined_size(items) <= bytes_max:
            return "\n\n".join(items)
    return _without_middle(items, bytes_max)


def render_each(history: Sequence[Message], limits: ItemLimits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Return each message as text, "" for one that has nothing to show.

    A message's text depends on itself and on the calls before it, whose names its results tell: so
    texts of a growing history stay, and what was made of them can be used again.
    """
    names: dict[str, str] = {}
    rendered = []
    for message in history:
        names.update(
            (block.text_of("id"), block.text_of("name"))
            for block in message.blocks
            if block.type == "tool_use"
        )
        rendered.append(_message(message, limits, names))
    return tuple(rendered)


def _message(message: Message, limits: ItemLimits, names: Mapping[str, str]) -> str:
    lines = [_block(block, limits, names) for block in message.blocks]
    shown = [line for line in lines if line.strip()]
    if not shown:
        return ""
    if all(block.type == "tool_result" for block in message.blocks):
        return "\n".join(shown)
    return f"{_SPEAKERS.get(message.role, 'User')}: " + "\n".join(shown)


def _block(block: Block, limits: ItemLimits, names: Mapping[str, str]) -> str:
    kind = block.type
    if kind == "text":
        return clip(casting.as_text(block), limits.text)
    if kind in {"thinking", "redacted_thinking"}:
        return ""
    if kind == "tool_use" or is_server_use(kind):
        return call_line(block, limits.call)
    if kind == "tool_result":
        name = names.get(block.text_of("tool_use_id"), "")
        label = f"result of {name}" if name else "result"
        return clip(casting.result_text(block.data, label), limits.result)
    limit = limits.result if is_server_result(kind) else limits.text
    return clip(casting.as_text(block), limit)


def call_line(block: Block, bytes_max: int) -> str:
    """Return a call as a person would say it: `[called run: make test]`."""
    given = block.get("input")
    name = block.text_of("name") or "a tool without a name"
    return f"[called {name}: {clip_line(_arguments(given), bytes_max)}]"


def _arguments(given: Any) -> str:
    if not isinstance(given, Mapping):
        return encoding.encode(given)
    main = next((key for key in _MAIN_ARGUMENTS if isinstance(given.get(key), str)), None)
    if main is None:
        return encoding.encode(given)
    rest = {key: value for key, value in given.items() if key != main}
    return f"{given[main]} {encoding.encode(rest)}" if rest else str(given[main])


def _joined_size(items: Sequence[str]) -> int:
    return sum(len(item.encode(errors="replace")) + 2 for item in items)


def _without_middle(items: Sequence[str], bytes_max: int) -> str:
    note = f"[… {len(items)} messages in all; those in the middle are left out here …]"
    room = bytes_max - len(note.encode()) - 4
    if room <= 0:
        return clip(note, bytes_max)
    beginning = _fitting(items, int(room * _BEGINNING_SHARE))
    rest = items[len(beginning) :]
    end = _fitting(rest[::-1], room - _joined_size(beginning))[::-1]
    if not end and rest:
        end = [clip(rest[-1], room - _joined_size(beginning))]
    return "\n\n".join([*beginning, note, *end])


def _fitting(items: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for item in items:
        room -= len(item.encode(errors="replace")) + 2
        if room < 0:
            break
        kept.append(item)
    return kept
