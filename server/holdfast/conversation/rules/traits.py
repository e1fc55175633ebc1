"""What a message holds, in short: which rules can have anything to say about it.

Law: a trait is a fact about one message, found once. A rule that needs a trait finds nothing in a
history whose messages all lack it, so most rules cost most histories one look at a set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final

import attrs

from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, Block, History, Message, Role
from holdfast.conversation.media import media_of
from holdfast.conversation.profile import (
    TOOL_ID,
    TOOL_NAME,
    Profile,
    is_server_result,
    is_server_use,
)
from holdfast.conversation.rules.cache_marks import marked_parts
from holdfast.conversation.rules.unicode import has_lone_surrogate

MESSAGES_MAX: Final = 8192
"""Messages whose traits are remembered: a few long sessions' worth."""

_DIRECT: Final = {"type": "direct"}


class Trait(StrEnum):
    """What a message can hold that some rules are about."""

    SYSTEM = "system"
    TOOL_CHANGE = "tool change"
    SERVER_TOOL = "server tool"
    CALLER = "caller"
    TOOLSET = "toolset"
    MEDIA = "media"
    COMPACTION = "compaction"
    MARK = "cache mark"
    REFERENCE = "tool reference"


@attrs.frozen
class Traits:
    """The traits of one message.

    `calls` are the ids of its client calls, `results` those of the results that it begins with.
    `late_result` says that another result comes after something else, `only_results` that there is
    nothing else.
    """

    found: frozenset[Trait]
    calls: tuple[str, ...]
    results: tuple[str, ...]
    late_result: bool
    only_results: bool


@lru_cache(maxsize=MESSAGES_MAX)
def traits(message: Message) -> Traits:
    """Return what a message holds; remembered for long histories."""
    found = {trait for block in message.blocks for trait in _of_block(block)}
    if message.role == SYSTEM:
        found.add(Trait.SYSTEM)
    calls = tuple(b.text_of("id") for b in message.blocks if b.type == "tool_use")
    is_result = [block.type == "tool_result" for block in message.blocks]
    leading = is_result.index(False) if False in is_result else len(is_result)
    results = tuple(block.text_of("tool_use_id") for block in message.blocks[:leading])
    return Traits(
        frozenset(found), calls, results, any(is_result[leading:]), leading == len(is_result)
    )


def is_paired(history: History) -> bool:
    """Say whether every client call is answered once, by what comes first after it (R40-R44).

    A quick look at the traits of each message. Of a history that is not paired, the rules say why.
    """
    waiting: set[str] = set()
    seen: set[str] = set()
    at_once = False
    before: Role | None = None
    for message in history:
        found = traits(message)
        if message.role == ASSISTANT:
            if (waiting and before != ASSISTANT) or not seen.isdisjoint(found.calls):
                return False
            waiting.update(found.calls)
            seen.update(found.calls)
            at_once = True
            if len(found.calls) > 1 and len(set(found.calls)) < len(found.calls):
                return False
        elif message.role == USER:
            if found.late_result or (found.results and not at_once):
                return False
            for tool_id in found.results:
                if tool_id not in waiting:
                    return False
                waiting.remove(tool_id)
            at_once = at_once and found.only_results
        else:
            at_once = False
        before = message.role
    return not waiting


def _of_block(block: Block) -> Iterator[Trait]:
    kind, data = block.type, block.data
    if kind in ("tool_addition", "tool_removal"):
        yield Trait.TOOL_CHANGE
    elif kind == "compaction":
        yield Trait.COMPACTION
    elif is_server_use(kind) or is_server_result(kind):
        yield Trait.SERVER_TOOL
    if data.get("caller", _DIRECT) != _DIRECT:
        yield Trait.CALLER
    if "toolset_name" in data:
        yield Trait.TOOLSET
    nested = isinstance(data.get("content"), list) or "source" in data
    if nested and next(media_of(block), None) is not None:
        yield Trait.MEDIA
    if nested and '"tool_reference"' in block.raw:
        yield Trait.REFERENCE
    if (nested or "cache_control" in data) and next(marked_parts(block), None) is not None:
        yield Trait.MARK


def is_plain(block: Block, role: Role, profile: Profile) -> bool:
    """Say whether a block is of a common kind with nothing unusual in it.

    A short way to what the rules about single blocks say of most blocks: they find nothing in a
    plain one. Of others this says nothing.
    """
    data, kind = block.data, block.type
    if kind not in profile.blocks_of(role) or has_lone_surrogate(block):
        return False
    if kind == "text":
        return data.keys() == {"type", "text"} and _says_something(data["text"])
    if kind == "tool_result" and role == USER:
        return (
            data.keys() == {"type", "tool_use_id", "content"}
            and _says_something(data["content"])
            and _fits(TOOL_ID, data["tool_use_id"])
        )
    if kind == "tool_use" and role == ASSISTANT:
        return (
            data.keys() - {"caller"} == {"type", "id", "name", "input"}
            and data.get("caller", _DIRECT) == _DIRECT
            and isinstance(data["input"], dict)
            and _fits(TOOL_ID, data["id"])
            and _fits(TOOL_NAME, data["name"])
        )
    return False


def _says_something(value: object) -> bool:
    return isinstance(value, str) and bool(value) and not value.isspace()


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
