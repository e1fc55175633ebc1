"""Nothing is empty: text blocks (R32, R33), user messages (R34), assistant messages (R35).

Law: every text block has a visible character and every message has a block. Models write blank text
themselves (A12), so this holds for what they said too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, USER, Block, History, Role
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules.flaws import Flaw, findings


def empty_messages(history: History, _profile: Profile) -> Iterable[Finding]:
    """R34, R35: a message of the user or the assistant has content."""
    for number, message in enumerate(history):
        if message.blocks:
            continue
        if message.role == USER:
            detail = f"messages.{number}: user messages must have non-empty content"
            yield Finding("R34", number, None, detail)
        elif message.role == ASSISTANT:
            detail = (
                f"messages.{number}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
            yield Finding("R35", number, None, detail)


def blank_texts(history: History, profile: Profile) -> Iterable[Finding]:
    """R32, R33, R81: text blocks have text, also those inside a tool result."""
    return findings(history, profile, blank_flaws)


def blank_flaws(block: Block, _role: Role, _profile: Profile) -> tuple[Flaw, ...]:
    """Return whether a block is, or holds, empty or blank text."""
    return tuple(_blank_flaws(block.data))


def _blank_flaws(data: Mapping[str, Any]) -> Iterator[Flaw]:
    if data.get("type") == "text" and is_blank(data.get("text")):
        if data.get("text") == "" and data.get("cache_control") is not None:
            text = ".text.cache_control: cache_control cannot be set for empty text blocks"
            yield Flaw("R81", text)
        elif data.get("text") == "":
            yield Flaw("R32", ": text content blocks must be non-empty", "history")
        else:
            yield Flaw("R33", ": text content blocks must contain non-whitespace text", "history")
    content = data.get("content")
    if data.get("type") == "tool_result" and isinstance(content, list):
        for item in content:
            if isinstance(item, dict):
                yield from _blank_flaws(item)


def is_blank(value: Any) -> bool:
    """Say whether a value is text without a visible character."""
    return isinstance(value, str) and not value.strip()
