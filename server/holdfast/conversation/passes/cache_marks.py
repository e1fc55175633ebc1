"""Cache marks of others are taken out when the API would refuse them (R79-R81, A15, A16)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdfast.conversation.history import Block, History, Message
from holdfast.conversation.passes.steps import Context, Log, each_block
from holdfast.conversation.rules.cache_marks import cache_marks, marked_parts


def drop_cache_marks(history: History, context: Context, log: Log) -> History:
    """Take out every mark if any is wrong or there are too many: the sender sets its own."""
    wrong = next(iter(cache_marks(history, context.profile)), None)
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
    if isinstance(plain.get("content"), list):
        plain["content"] = [
            {k: v for k, v in item.items() if k != "cache_control"}
            if isinstance(item, dict)
            else item
            for item in plain["content"]
        ]
    return plain
