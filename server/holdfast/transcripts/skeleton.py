"""Skeletons: blocks with their long strings shortened, so that rules can be tried without bodies.

Law: a skeleton breaks the rules that its block breaks, but those about bytes, and keeps the others:
blankness, ids, names, types, fields, what a medium's header says. The size of the whole block, and
the length of every medium's encoding, are kept beside it.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.conversation import encoding
from holdfast.conversation.history import Block
from holdfast.conversation.media import media_of
from holdfast.conversation.rules.unicode import has_lone_surrogate
from holdfast.transcripts import stand_ins

SHORT_CHARS: Final = 32
"""The longest string that is kept as it is."""
HEAD_CHARS: Final = 16
TAIL_CHARS: Final = 12
DEPTH_MAX: Final = 40
"""How deep a block is looked into; no rule looks as deep."""
IDENTITIES: Final = frozenset(
    {
        "id", "name", "server_name", "tool_id", "tool_name", "tool_use_id", "toolset_name", "type",
        "media_type", "ttl",
    }
)  # fmt: skip
"""Fields that rules compare, match or quote. They are kept whole."""

_GAP: Final = "..."
"""What stands for the middle of a string: visible, and no part of an id or of base64."""


def shortened(text: str) -> str:
    """Return a text of at most `SHORT_CHARS` that is blank, or ends in a blank, as the long one."""
    if len(text) <= SHORT_CHARS:
        return text
    if text.isspace():
        return text[:2]
    return f"{text[:HEAD_CHARS]}{_GAP}{text[-TAIL_CHARS:]}"


class Skeleton(Block):
    """A block whose long strings are shortened.

    `size` counts the bytes of the whole block, `media` are the encoded lengths of its base64 media
    in order. Two skeletons are equal when their whole blocks are, as far as a hash can tell.
    """

    __slots__ = ("_whole", "media", "size")

    def __init__(self, whole: Block) -> None:
        """Shorten a block."""
        data = None if has_lone_surrogate(whole) else encoding.decode(whole.raw)
        if isinstance(data, dict):
            _shorten_fields(data, 0)
            super().__init__(encoding.encode(data))
        else:
            super().__init__(whole.raw)
        encoded = (medium.encoded for medium in media_of(whole))
        self.media = tuple(len(text) for text in encoded if text is not None)
        self.size = len(whole.raw.encode(errors="surrogatepass"))
        self._whole = hash(whole.raw)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Skeleton):
            return NotImplemented
        return (self.raw, self._whole, self.size) == (other.raw, other._whole, other.size)

    def __hash__(self) -> int:
        return self._whole


def skeleton_of(block: Block) -> Skeleton:
    """Return the skeleton of a block."""
    return Skeleton(block)


def _shorten_fields(holder: dict[str, Any], depth: int) -> None:
    for name, value in holder.items():
        if isinstance(value, str):
            if name == "data" and holder.get("type") == "base64":
                continue  # a stand-in
            if name not in IDENTITIES:
                holder[name] = shortened(value)
        elif not isinstance(value, (dict, list)) or name == "type":
            continue
        elif name == "input" and isinstance(value, dict):
            _shorten_input(value)
        elif depth >= DEPTH_MAX:
            holder[name] = type(value)()
        elif isinstance(value, list):
            _shorten_items(value, depth + 1)
        else:
            _put_stand_in(value, document=holder.get("type") == "document")
            _shorten_fields(value, depth + 1)


def _shorten_items(items: list[Any], depth: int) -> None:
    for place, item in enumerate(items):
        if isinstance(item, str):
            items[place] = shortened(item)
        elif isinstance(item, (dict, list)) and depth >= DEPTH_MAX:
            items[place] = type(item)()
        elif isinstance(item, dict):
            _shorten_fields(item, depth + 1)
        elif isinstance(item, list):
            _shorten_items(item, depth + 1)


def _shorten_input(given: dict[str, Any]) -> None:
    """Leave the fields of a call's arguments and the beginnings of their texts: labels, no more."""
    for name, value in given.items():
        if isinstance(value, str):
            given[name] = shortened(value)
        elif isinstance(value, (dict, list)):
            given[name] = type(value)()


def _put_stand_in(source: dict[str, Any], *, document: bool) -> None:
    """Put a small medium where a large one is."""
    encoded = source.get("data")
    if source.get("type") == "base64" and isinstance(encoded, str):
        source["data"] = stand_ins.stand_in(encoded, document=document)
