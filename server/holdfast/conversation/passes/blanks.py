"""Blank text and empty messages leave the view (R27, R32-R35, R48, A11, A12).

Law: what has no visible character says nothing and goes. What would change the meaning of its
neighbours by going, a user's message between two of the assistant's, becomes a placeholder:
joining two assistant messages could displace thinking (A08). A result that must not be empty says
so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from holdfast.conversation.history import ASSISTANT, USER, Block, History, Message, text
from holdfast.conversation.passes.steps import Context, Log, each_block, with_fields
from holdfast.conversation.rules.blanks import blank_flaws, is_blank

NO_OUTPUT: Final = "(no output)"
NO_CONTENT: Final = "(no content)"


def drop_blanks(history: History, context: Context, log: Log) -> History:
    """Drop blank texts, fill empty error results, then drop the messages that are empty."""

    def mend(message: Message, _i: int, block: Block, _j: int) -> Iterable[Block] | None:
        if block.type == "tool_result":
            return _mended_result(message, block, log)
        if block.type == "compaction" and is_blank(block.get("content")):
            log.note(
                "R96", message, "marked an empty compaction as a failed one", "nothing was there"
            )
            return (with_fields(block, content=None),)
        if not blank_flaws(block, message.role, context.profile):
            return None
        log.note("R33", message, "dropped blank text", "nothing was there")
        return ()

    return _drop_empty(each_block(history, mend), log)


def _mended_result(message: Message, block: Block, log: Log) -> Iterable[Block] | None:
    content = block.get("content")
    kept: Any = content
    if isinstance(content, list):
        kept = [item for item in content if not _is_blank_text(item)]
    nothing = kept is None or kept == [] or is_blank(kept)
    if nothing and block.get("is_error") is True:
        log.note("R48", message, "said of an empty error result that it is empty", "the error")
        return (with_fields(block, content=NO_OUTPUT),)
    if isinstance(content, list) and len(kept) < len(content):
        log.note("R33", message, "dropped blank text from a result", "the rest of the result")
        return (with_fields(block, content=kept),)
    return None


def _is_blank_text(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "text" and is_blank(item.get("text"))


def _drop_empty(history: History, log: Log) -> History:
    if all(message.blocks for message in history):
        return history
    kept: list[Message] = []
    gap: Message | None = None
    for message in history:
        if not message.blocks:
            if message.role != ASSISTANT and gap is None:
                gap = message
            rule = {USER: "R34", ASSISTANT: "R35"}.get(message.role, "R27")
            log.note(rule, message, "dropped an empty message", "nothing was there")
            continue
        if gap is not None and message.role == ASSISTANT and kept and kept[-1].role == ASSISTANT:
            kept.append(attrs.evolve(gap, role=USER, blocks=(text(NO_CONTENT),)))
            log.note("R34", gap, "kept two assistant messages apart", "both messages")
        gap = None
        kept.append(message)
    return tuple(kept)
