"""A small notation for histories, so that tests read as what they are about.

`user: list / use t1: ls / result t1: a.txt` is three blocks in three messages. Blocks of one role
in a row share a message unless a part begins with `+`. `think:` takes a signature, `search` and
`found` are the halves of a server call, `␣` is a blank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conversation.strategies import server_result, server_use, thinking, tool_use
from holdfast.conversation.history import (
    ASSISTANT,
    SYSTEM,
    USER,
    Block,
    History,
    Message,
    Role,
    text,
    tool_result,
)
from holdfast.conversation.outcomes import SENTENCES
from holdfast.conversation.passes.ends import LOST_BEGINNING, NOTHING_SAID, RESUMED

_ROLES: Mapping[str, Role] = {
    "user": USER, "result": USER, "error": USER, "system": SYSTEM, "assistant": ASSISTANT,
    "use": ASSISTANT, "think": ASSISTANT, "search": ASSISTANT, "found": ASSISTANT,
}  # fmt: skip
_MAKERS: Mapping[str, Callable[[str, str], Block]] = {
    "use": tool_use,
    "result": tool_result,
    "error": lambda tool_id, words: tool_result(tool_id, words, is_error=True),
    "think": lambda _id, signature: thinking("", signature),
    "search": lambda tool_id, _: server_use(tool_id),
    "found": lambda tool_id, _: server_result(tool_id),
}
NICKNAMES: Mapping[str, str] = {
    RESUMED: "[resumed]",
    LOST_BEGINNING: "[beginning lost]",
    NOTHING_SAID: "[nothing said]",
    **{sentence: f"[{outcome.value}]" for outcome, sentence in SENTENCES.items()},
}


def parse(notation: str) -> History:
    messages: list[Message] = []
    for part in filter(None, notation.split(" / ")):
        apart = part.startswith("+ ")
        head, _, words = part.removeprefix("+ ").partition(": ")
        kind, _, tool_id = head.removesuffix(":").partition(" ")
        words = words.replace("␣", " ")
        block = _MAKERS.get(kind, lambda _id, words: text(words))(tool_id, words)
        role = _ROLES[kind]
        if messages and messages[-1].role == role and not apart:
            messages[-1] = Message(role, (*messages[-1].blocks, block))
        else:
            messages.append(Message(role, (block,)))
    return tuple(messages)


def render(history: History) -> str:
    parts: list[str] = []
    for index, message in enumerate(history):
        apart = index > 0 and history[index - 1].role == message.role
        for position, block in enumerate(message.blocks):
            parts.append(("+ " if apart and not position else "") + _part(message, block))
    return " / ".join(parts)


def _part(message: Message, block: Block) -> str:
    data = block.data
    if block.type == "text":
        return f"{message.role}: {NICKNAMES.get(data['text'], data['text'])}"
    if block.type == "tool_use":
        return f"use {data['id']}: {data['name']}"
    if block.type == "tool_result":
        kind = "error" if data.get("is_error") else "result"
        return f"{kind} {data['tool_use_id']}: {NICKNAMES.get(data['content'], data['content'])}"
    if block.type == "thinking":
        return f"think: {data['signature']}"
    return f"search {data['id']}" if "id" in data else f"found {data['tool_use_id']}"
