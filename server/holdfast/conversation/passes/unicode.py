"""Lone surrogates become U+FFFD (R5, A23)."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.conversation.history import Block, History, Message
from holdfast.conversation.passes.steps import Context, Log, each_block
from holdfast.conversation.rules.unicode import has_lone_surrogate


def replace_lone_surrogates(history: History, _context: Context, log: Log) -> History:
    """Re-encode the blocks that hold half a surrogate pair."""

    def mend(message: Message, _i: int, block: Block, _j: int) -> Iterable[Block] | None:
        if not has_lone_surrogate(block):
            return None
        log.note("R5", message, "replaced a broken character", "everything else of the block")
        return (Block.of(block.data),)

    return each_block(history, mend)
