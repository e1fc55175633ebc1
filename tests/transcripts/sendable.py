"""Whether the simulator takes a history that was read from a transcript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from differential.comparison import refusal_of
from differential.histories import Request
from holdfast.conversation.history import History, Message, to_wire, user
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.repair import repair

NEXT: Final = user("And now?")
TOO_LONG: Final = "R89"
"""A long session is no damaged one: Claude Code compacts it."""


def refused(history: History) -> str:
    """Return why the simulator refuses a history with a prompt behind it; empty: it does not.

    Calls at the very end get a result first, as Claude Code gives them one. Signatures of real
    sessions are none of the simulator's, so thinking is left out.
    """
    sent = repair((*history, NEXT), profile=ANY_TOOLS).history
    messages = [m for m in to_wire(tuple(map(_unthinking, sent))) if m["content"]]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(_tools(sent))]
    refusal = refusal_of(Request("claude-sonnet-4-5", messages, tools=tools))
    return "" if refusal is None or refusal.rule == TOO_LONG else str(refusal)


def _tools(history: History) -> Iterator[str]:
    blocks = [block for message in history for block in message.blocks]
    calls = {block.text_of("name") for block in blocks if block.type == "tool_use"}
    parts = [block.get("content") for block in blocks if block.type == "tool_result"]
    items = [item for content in parts if isinstance(content, list) for item in content]
    yield from calls | {item["tool_name"] for item in items if item["type"] == "tool_reference"}


def _unthinking(message: Message) -> Message:
    kept = tuple(block for block in message.blocks if "thinking" not in block.type)
    return Message(message.role, kept, message.origin)
