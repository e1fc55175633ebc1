"""Half thinking leaves the view (R71, A09).

Law: thinking with its signature is never touched, also when its text is empty. Thinking without one
cannot be sent by anybody; it stays in the journal and in the transcript.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.conversation.history import Block, History, Message
from holdfast.conversation.passes.steps import Context, Log, each_block
from holdfast.conversation.turns import is_signed_thinking

THINKING = frozenset({"thinking", "redacted_thinking"})


def drop_half_thinking(history: History, _context: Context, log: Log) -> History:
    """Leave out thinking blocks that lack their signature or data."""

    def mend(message: Message, _i: int, block: Block, _j: int) -> Iterable[Block] | None:
        if block.type not in THINKING or is_signed_thinking(block):
            return None
        log.note("R71", message, "left out thinking without a signature", "in the record only")
        return ()

    return each_block(history, mend)
