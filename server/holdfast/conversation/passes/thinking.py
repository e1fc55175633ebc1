"""Thinking that cannot be sent leaves the view (R71, R74, A08, A09).

Law: thinking with its signature is never touched by itself, also when its text is empty. Thinking
without one cannot be sent by anybody; it stays in the journal and in the transcript. Where thinking
is bound to what came before it, a hole in its row is refused: then everything up to the end of the
turn with the hole goes too, which is a legal way to shorten the row (R74). Endpoints that do not
take thinking back get none.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.conversation.history import ASSISTANT, Block, History, Message
from holdfast.conversation.passes.steps import Context, Log, each_block
from holdfast.conversation.profile import THINKING_BLOCKS
from holdfast.conversation.turns import is_signed_thinking, merged


def drop_thinking(history: History, context: Context, log: Log) -> History:
    """Leave out half thinking, and the whole thinking that cannot stand without it."""
    if all(b.type not in THINKING_BLOCKS for m in history for b in m.blocks):
        return history
    replayed = context.profile.thinking_replayed
    bound = context.profile.bound_thinking
    hole_end = _end_of_last_hole(history) if replayed and bound else 0

    def mend(message: Message, index: int, block: Block, _j: int) -> Iterable[Block] | None:
        if message.role != ASSISTANT or block.type not in THINKING_BLOCKS:
            return None
        if not replayed:
            log.note("R70", message, "left out thinking: not taken back here", _KEPT)
        elif not is_signed_thinking(block):
            log.note("R71", message, "left out thinking without a signature", _KEPT)
        elif index < hole_end:
            log.note("R74", message, "left out thinking before a hole in its row", _KEPT)
        else:
            return None
        return ()

    return each_block(history, mend)


_KEPT = "in the record only"


def _end_of_last_hole(history: History) -> int:
    """Return the index behind the last assistant turn that holds half thinking; 0 if none does."""
    end = 0
    for turn in merged(history):
        if turn.role == ASSISTANT and any(
            place.value.type in THINKING_BLOCKS and not is_signed_thinking(place.value)
            for place in turn.places
        ):
            end = turn.stop
    return end
