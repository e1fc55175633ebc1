"""Merged turns: how the API sees a history.

Law: consecutive messages of one role are one turn (R20). Rules about pairs and order speak of
turns; positions always speak of the messages as they are sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs

from holdfast.conversation.history import ASSISTANT, Block, History, Message, Role


class Place(NamedTuple):
    """A block and where it stands: `message` and `block` are zero-based indices."""

    message: int
    block: int
    value: Block


@attrs.frozen
class Turn:
    """A maximal run of messages of one role: `history[start:stop]`."""

    role: Role
    start: int
    stop: int
    places: tuple[Place, ...]


def places(message: Message, index: int) -> Iterator[Place]:
    """Yield the blocks of `message`, which stands at `index`, with their positions."""
    for number, block in enumerate(message.blocks):
        yield Place(index, number, block)


def merged(history: Sequence[Message]) -> tuple[Turn, ...]:
    """Return the turns of a history, in order. Every message belongs to exactly one turn."""
    found: list[Turn] = []
    start = 0
    while start < len(history):
        role = history[start].role
        stop = start + 1
        while stop < len(history) and history[stop].role == role:
            stop += 1
        blocks = tuple(place for i in range(start, stop) for place in places(history[i], i))
        found.append(Turn(role, start, stop, blocks))
        start = stop
    return tuple(found)


def calls(turn: Turn) -> tuple[Place, ...]:
    """Return the client tool calls of an assistant turn; other turns have none."""
    if turn.role != ASSISTANT:
        return ()
    return tuple(place for place in turn.places if place.value.type == "tool_use")


def leading_results(turn: Turn) -> tuple[Place, ...]:
    """Return the maximal leading run of `tool_result` blocks, across message borders (R40)."""
    for number, place in enumerate(turn.places):
        if place.value.type != "tool_result":
            return turn.places[:number]
    return turn.places


def has_signed_thinking(turn: Turn) -> bool:
    """Say whether a turn holds thinking that the API would check (R70-R74)."""
    return any(is_signed_thinking(place.value) for place in turn.places)


def is_signed_thinking(block: Block) -> bool:
    """Say whether a block is complete thinking. Empty text with a signature is complete."""
    if block.type == "redacted_thinking":
        return bool(block.text_of("data"))
    return (
        block.type == "thinking"
        and bool(block.text_of("signature"))
        and isinstance(block.get("thinking"), str)
    )


def pending_server_call(message: Message) -> bool:
    """Say whether a message ends in a call that the API is still to run (`pause_turn`, R53)."""
    if message.role != ASSISTANT or not message.blocks:
        return False
    kind = message.blocks[-1].type
    return kind != "tool_use" and kind.endswith("_tool_use")


def joined(history: History) -> History:
    """Return a history in which turns alternate: messages of one role in a row are one (R20).

    A joined message has the origin of its first; nothing is left out and nothing is moved.
    """
    found: list[Message] = []
    for message in history:
        if found and found[-1].role == message.role:
            found[-1] = attrs.evolve(found[-1], blocks=(*found[-1].blocks, *message.blocks))
        else:
            found.append(message)
    return history if len(found) == len(history) else tuple(found)


def place_before_joining(
    history: History, message: int, block: int | None
) -> tuple[int, int | None] | None:
    """Return where a place of `joined(history)` stands in the history itself.

    None when it stands nowhere, or when a turn of more messages than one is meant as a whole.
    """
    turns = merged(history)
    if message >= len(turns):
        return None
    turn = turns[message]
    if block is None or block >= len(turn.places):
        return (turn.start, None) if turn.stop - turn.start == 1 else None
    found = turn.places[block]
    return found.message, found.block
