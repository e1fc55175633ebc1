"""The budget in bytes: what is made smaller when a request is too large for its endpoint.

Law: pure and deterministic. Pictures and documents go first, the oldest first; then the longest
outputs of tools, from their middle. What the person has said last is never touched, and what is
left says what was there. A history that fits is not touched at all (A25, R7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from holdfast.conversation import casting
from holdfast.conversation.clipping import clip
from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import Block, History, Message
from holdfast.session.rungs import Change, RepairRung, Sent, named_media

NO_LIMIT: Final = 1 << 62

OUTPUT_BYTES: Final = 2_000
"""What is left of an output of a tool that had to be made shorter."""

_FRAME_BYTES: Final = 40
"""More than what is written around the blocks of a message."""
_BYTES_PER_CHAR_MAX: Final = 4


def at_most(messages: Sequence[Message]) -> int:
    """Return a size in bytes that these messages do not exceed, without encoding them."""
    raws = (block.raw for message in messages for block in message.blocks)
    sizes = (len(raw) * (1 if raw.isascii() else _BYTES_PER_CHAR_MAX) + 1 for raw in raws)
    return _FRAME_BYTES * len(messages) + sum(sizes)


def shrunk(sent: Sent, bytes_max: int) -> Change | None:
    """Return what makes a history fit, or None when it does fit or nothing can be made smaller."""
    over = _size(sent.history) - bytes_max
    if over <= 0:
        return None
    history, saved, named = _rewritten(sent.history, over, named_media)
    clipped = 0
    if saved < over:
        history, more, clipped = _rewritten(history, over - saved, _clipped)
        saved += more
    if not saved:
        return None
    done = (
        (named, f"only named {named} of the oldest images and documents", "their names"),
        (clipped, f"shortened {clipped} outputs of tools", "beginning and end"),
    )
    steps = tuple(RepairStep("R7", "", action, kept) for count, action, kept in done if count)
    after = attrs.evolve(sent, history=history)
    return Change(RepairRung.SHRINK, "all", sent, after, steps)


def _size(history: History) -> int:
    return sum(len(message.wire.encode()) + 1 for message in history)


def _rewritten(
    history: History, over: int, rewrite: Callable[[Block], Block]
) -> tuple[History, int, int]:
    """Rewrite blocks, oldest first, until enough is saved; the newest message stays as it is."""
    messages, saved, count = list(history), 0, 0
    for index, message in enumerate(messages[:-1]):
        if saved >= over:
            break
        blocks = []
        for block in message.blocks:
            new = rewrite(block) if saved < over else block
            gain = len(block.raw.encode()) - len(new.raw.encode())
            if gain > 0:
                saved += gain
                count += 1
                blocks.append(new)
            else:
                blocks.append(block)
        messages[index] = attrs.evolve(message, blocks=tuple(blocks))
    return tuple(messages), saved, count


def _clipped(block: Block) -> Block:
    if block.type != "tool_result" or len(block.raw) <= 2 * OUTPUT_BYTES:
        return block
    parts = [casting.item_text(item) for item in casting.items(block.get("content"))]
    return Block.of({**block.data, "content": clip("\n".join(parts), OUTPUT_BYTES)})
