"""Cache marks of others are taken out when the API would refuse them (R79-R81, A15, A16)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdfast.conversation.history import Block, History, Message
from holdfast.conversation.passes.steps import Context, Log, each_block
from holdfast.conversation.rules.cache_marks import (
    cache_marks,
    inner_blocks,
    mark_shapes,
    marked_parts,
)


def drop_cache_marks(history: History, context: Context, log: Log) -> History:
    """Take out every mark if any is wrong or there are too many: the sender sets its own."""
    profile = context.profile
    found = (*mark_shapes(history, profile), *cache_marks(history, profile))
    wrong = next(iter(found), None)
    if wrong is None:
        return history

    def mend(message: Message, _i: int, block: Block, _j: int) -> Iterable[Block] | None:
        if next(marked_parts(block), None) is None:
            return None
        log.note(wrong.rule, message, "took out a cache mark", "the whole block")
        return (Block.of(_unmarked(block.data)),)

    return each_block(history, mend)


def _unmarked(data: Any) -> Any:
    plain = {key: value for key, value in data.items() if key != "cache_control"}
    holder, inner = inner_blocks(plain)
    if inner:
        parts = [_unmarked(item) if isinstance(item, dict) else item for item in inner]
        if holder == "content":
            plain["content"] = parts
        else:
            plain["source"] = {**plain["source"], "content": parts}
    return plain
