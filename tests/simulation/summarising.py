"""What the simulated model answers when it is asked for a compaction: by itself, as a summary, in
chunks; well, badly or not at all.

Law: every request is held against the journal first (`CompactionLedger.asks`); every answer holds a
mark of its own, so that it is known again in the journal.
"""

from __future__ import annotations

from random import Random
from typing import Final, Protocol

from holdfast.conversation.history import Block
from holdfast.model import port
from holdfast.session.events import Rung
from holdfast.session.failures import Failure, FailureKind

NO_SUMMARY: Final = ("", "\n\n", "I cannot help with that.", "note " * 12_000)
"""What comes instead of a summary: nothing, blank text, a refusal in words, more than there was."""
UNSUPPORTED: Final = "compaction: this model does not support compaction"
_OF_A_SUMMARY: Final = "hand-over note"


class Stage(Protocol):
    """What is asked of the simulation."""

    chance: Random
    kind: bool

    def number(self) -> int: ...


def rung_of(request: port.ModelRequest) -> Rung:
    """Return which rung a request for a compaction belongs to."""
    if request.compaction is not None:
        return Rung.ON_DEMAND
    return Rung.SUMMARY if _OF_A_SUMMARY in request.system else Rung.CHUNKS


def text_of(request: port.ModelRequest) -> str:
    """Return all that a request asks about, to know it again."""
    blocks = [block.raw for message in request.messages for block in message.blocks]
    return "\n".join((request.system, *blocks))


class Summariser:
    """Plans answers to requests for compactions."""

    def __init__(self, stage: Stage, takes_blocks: bool) -> None:
        self._stage = stage
        self._takes_blocks = takes_blocks

    def answer(self, request: port.ModelRequest, mark: str) -> list[port.StreamItem]:
        """Return the items of an answer that holds `mark`. Raises `ModelFailed`."""
        chance, kind = self._stage.chance, self._stage.kind
        opened = port.ResponseOpened(f"msg_{self._stage.number()}", request.model, "req", 10)
        if request.compaction is not None and not self._takes_blocks:
            refused = Failure(kind=FailureKind.INVALID_REQUEST, message=UNSUPPORTED, status=400)
            raise port.ModelFailed(refused)
        said = f"{mark} kept the notes. " + "Goal: seaweed. Open items: none. " * 3
        stop = "end_turn" if request.compaction is None else "compaction"
        if not kind and chance.random() < 0.3:
            said = chance.choice(NO_SUMMARY)
            stop = chance.choice((stop, stop, "refusal", "max_tokens", "tool_use"))
        if request.compaction is not None:
            return [opened, *_block(said), _ended(stop, said)]
        items: list[port.StreamItem] = [opened]
        if not kind and chance.random() < 0.1:
            items.append(port.BlockOpened(0, "tool_use", "look"))
        third = len(said) // 3 + 1
        parts = [said[start : start + third] for start in range(0, len(said), third)]
        return [*items, *(port.BlockDelta(0, "text", part) for part in parts), _ended(stop, said)]


def _block(said: str) -> list[port.StreamItem]:
    """Return the signed block, whole as it comes; none for an empty summary (§6, "failure")."""
    if not said:
        return []
    block = Block.of({"type": "compaction", "content": said, "signature": "c2lnbmVk"})
    return [port.BlockOpened(0, "compaction"), port.BlockClosed(0, block)]


def _ended(stop: str, said: str) -> port.ResponseEnded:
    return port.ResponseEnded(stop, None, {"output_tokens": len(said) // 4 + 1})
