"""The last means against a refusal that no rule foresaw: a block, or everything, as text.

Law: what the API will not take as a block it takes as words. A call and its result go together,
so a quarantine never makes an orphan. The view changes, the record does not; nothing here is done
by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from holdfast.conversation import casting
from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import ASSISTANT, Block, History, Message, text
from holdfast.conversation.passes.linking import link
from holdfast.conversation.passes.steps import each_block, with_fields
from holdfast.conversation.profile import (
    DEFAULT,
    THINKING_BLOCKS,
    Profile,
    is_server_result,
    is_server_use,
)
from holdfast.conversation.repair import Repaired, repair
from holdfast.conversation.rules.server_tools import server_pairs
from holdfast.conversation.turns import merged

RESULT_LABEL: Final = "Result of the tool call above"
HIDDEN: Final = "hid an answer that was stopped by a filter"
ACTION: Final = "turned a block that the API refused into text"


def quarantine(
    history: History, message: int, block: int | None = None, profile: Profile = DEFAULT
) -> Repaired:
    """Turn the block that a refusal points at (`messages.N.content.M`) into text, and repair.

    Without `block`, all blocks of the message. A result keeps its place and becomes text inside;
    a call takes its result along; thinking is left out. Raises `IndexError` for a position that
    is none.
    """
    wanted = range(len(history[message].blocks)) if block is None else [block]
    positions = {(message, number) for number in wanted}
    if block is not None and not 0 <= block < len(history[message].blocks):
        raise IndexError(f"messages.{message} has no content.{block}")
    followers = _followers(history, positions)

    def mend(_message: Message, index: int, found: Block, position: int) -> Iterable[Block] | None:
        if (index, position) in followers:
            return (text(casting.result_text(found.data, RESULT_LABEL)),)
        return _as_words(found) if (index, position) in positions else None

    step = RepairStep("quarantine", history[message].origin, ACTION, "its words")
    repaired = repair(each_block(history, mend), profile=profile)
    return attrs.evolve(repaired, steps=(step, *repaired.steps))


def hide_answer(history: History, message: int, profile: Profile = DEFAULT) -> Repaired:
    """Hide what the assistant said in a message: an answer that the API's filter stopped (A35).

    Refusals in a history breed refusals. Calls that were made stay, because they had effects, and
    so does what the user said. Raises `IndexError` for a message that is none, `ValueError` for one
    that the assistant did not say.
    """
    if history[message].role != ASSISTANT:
        raise ValueError(f"messages.{message} is not the assistant's")

    def mend(_message: Message, index: int, found: Block, _position: int) -> Iterable[Block] | None:
        is_call = found.type == "tool_use" or is_server_use(found.type)
        return None if index != message or is_call or is_server_result(found.type) else ()

    step = RepairStep("A35", history[message].origin, HIDDEN, "all of it, in the record")
    repaired = repair(each_block(history, mend), profile=profile)
    return attrs.evolve(repaired, steps=(step, *repaired.steps))


def as_plain_text(history: History, profile: Profile = DEFAULT) -> Repaired:
    """Turn a whole history into text messages: no calls, no thinking, no media, no poison.

    Removes every structural cause of a refusal at once; what is lost is structure, not words.
    """

    def mend(_message: Message, _i: int, found: Block, _j: int) -> Iterable[Block] | None:
        if found.type in THINKING_BLOCKS:
            return ()
        return (text(casting.as_text(found)),)

    step = RepairStep("plain text", "", "turned the whole history into text", "all words")
    repaired = repair(each_block(history, mend), profile=profile)
    return attrs.evolve(repaired, steps=(step, *repaired.steps))


def _as_words(block: Block) -> tuple[Block, ...]:
    if block.type in THINKING_BLOCKS:
        return ()
    if block.type == "tool_result":
        parts = [casting.item_text(item) for item in casting.items(block.get("content"))]
        return (with_fields(block, content="\n".join(part for part in parts if part.strip())),)
    return (text(casting.as_text(block)),)


def _followers(history: History, positions: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return where the other halves of quarantined calls stand."""
    found = {
        (call.result.message, call.result.block)
        for call in link(merged(history)).calls
        if call.key in positions and call.result is not None
    }
    for use, answer in server_pairs(history).answers:
        halves = {(use.message, use.block), (answer.message, answer.block)}
        if halves & positions:
            found |= halves - positions
    return found
