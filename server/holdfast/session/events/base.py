"""What all events have in common, and how content blocks travel in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

import msgspec

from holdfast.conversation.history import Block

RawBlocks: TypeAlias = tuple[msgspec.Raw, ...]


def tag(name: str) -> str:
    """Return the type's name as it is written in the journal and on the wire."""
    return name[0].lower() + name[1:]


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=tag,
    rename="camel",
    omit_defaults=True,
):
    """Base of all events. `LAZY` events need not be on disk before the next step is taken."""

    VERSION: ClassVar[int] = 1
    LAZY: ClassVar[bool] = False


def raw_blocks(blocks: Iterable[Block]) -> RawBlocks:
    """Wrap blocks for an event; their bytes are spliced, not encoded again."""
    return tuple(msgspec.Raw(block.raw.encode()) for block in blocks)


def blocks_of(content: Iterable[msgspec.Raw]) -> tuple[Block, ...]:
    """Return an event's content as blocks, with the bytes that were stored."""
    return tuple(Block(bytes(raw).decode()) for raw in content)


def block_data(content: Iterable[msgspec.Raw]) -> list[Any]:
    """Return an event's content as plain data."""
    return [dict(block.data) for block in blocks_of(content)]
