"""What every repair pass gets and gives.

Law: a pass is a pure function of a history and its context; it returns the same object when it has
nothing to do, never touches what no rule complains of, and says each thing it did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import attrs

from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import Block, History, Message
from holdfast.conversation.outcomes import Outcome
from holdfast.conversation.profile import DEFAULT, Profile


@attrs.frozen
class Context:
    """What the passes know besides the history. `outcomes` and `open_ids` are keyed by call id."""

    profile: Profile = DEFAULT
    outcomes: Mapping[str, Outcome] = attrs.field(factory=dict)
    open_ids: frozenset[str] = frozenset()


@attrs.define
class Log:
    """The steps taken so far."""

    steps: list[RepairStep] = attrs.field(factory=list)

    def note(self, rule: str, message: Message | None, action: str, kept: str) -> None:
        """Record one change to a message, or to the history when `message` is None."""
        self.steps.append(RepairStep(rule, message.origin if message else "", action, kept))


Pass: TypeAlias = Callable[[History, Context, Log], History]
Mend: TypeAlias = Callable[[Message, int, Block, int], Iterable[Block] | None]


def each_block(history: History, mend: Mend) -> History:
    """Let `mend` replace blocks. It gets message, index, block and position; None leaves it be."""
    messages = [_mended(message, index, mend) for index, message in enumerate(history)]
    same = all(new is old for new, old in zip(messages, history, strict=True))
    return history if same else tuple(messages)


def _mended(message: Message, index: int, mend: Mend) -> Message:
    blocks: list[Block] = []
    changed = False
    for position, block in enumerate(message.blocks):
        replacement = mend(message, index, block, position)
        if replacement is None:
            blocks.append(block)
        else:
            changed = True
            blocks.extend(replacement)
    return attrs.evolve(message, blocks=tuple(blocks)) if changed else message


def with_fields(block: Block, **fields: object) -> Block:
    """Return a block with some fields replaced and the others, and their order, as they were."""
    return Block.of({**block.data, **fields})


def without_fields(block: Block, *names: str) -> Block:
    """Return a block without some fields."""
    return Block.of({key: value for key, value in block.data.items() if key not in names})


def derived_id(original: str, count: int, taken: Iterable[str], prefix: str = "toolu_") -> str:
    """Return a legal id made from an illegal or repeated one.

    It depends on the id, on how often it came before (`count`) and on the ids `taken` by earlier
    calls only, so it stays the same while the history grows.
    """
    salt = 0
    while True:
        seed = f"{original}\0{count}\0{salt}".encode(errors="surrogatepass")
        made = prefix + hashlib.sha256(seed).hexdigest()[:24]
        if made not in taken:
            return made
        salt += 1
