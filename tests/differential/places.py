"""Where in a request a fault can strike."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeAlias

from differential.histories import Request
from differential.pictures import Json

Chance: TypeAlias = random.Random
Mutation: TypeAlias = Callable[[Request, Chance], bool]


def contents_of(request: Request, *roles: str) -> list[tuple[int, list[Json]]]:
    return [
        (i, message["content"])
        for i, message in enumerate(request.messages)
        if isinstance(message["content"], list) and (not roles or message["role"] in roles)
    ]


def places_of(request: Request, *kinds: str, roles: tuple[str, ...] = ()) -> list[tuple[int, int]]:
    return [
        (i, j)
        for i, content in contents_of(request, *roles)
        for j, block in enumerate(content)
        if not kinds or block.get("type") in kinds
    ]


def any_block(request: Request, chance: Chance, *kinds: str) -> Json | None:
    places = places_of(request, *kinds)
    if not places:
        return None
    i, j = chance.choice(places)
    block: Json = request.messages[i]["content"][j]
    return block


def spell_as_blocks(request: Request) -> None:
    """Spell every content as blocks, so that a fault can strike everywhere."""
    for message in request.messages:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]


def insert(request: Request, chance: Chance, block: Json, *roles: str) -> bool:
    spell_as_blocks(request)
    places = contents_of(request, *roles)
    if not places:
        return False
    content = chance.choice(places)[1]
    content.insert(chance.randint(0, len(content)), block)
    return True


def texts_of(request: Request) -> Iterator[Json]:
    for _, content in contents_of(request):
        for block in content:
            if block.get("type") == "text":
                yield block
            elif block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                yield from (inner for inner in block["content"] if inner.get("type") == "text")
