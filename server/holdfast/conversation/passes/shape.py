"""Blocks get a shape that the API can read (R9, R27, R31, R36-R38, R46-R48, A27, A28, A31).

Law: one block at a time, by what it is and whose message it stands in. What can keep its meaning
as a block does; everything else becomes text. A call stays a call, because a turn with signed
thinking must not lose one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from holdfast.conversation import casting
from holdfast.conversation.history import ASSISTANT, USER, Block, History, Message, Role, text
from holdfast.conversation.outcomes import UNPARSED
from holdfast.conversation.passes.fields import tidy
from holdfast.conversation.passes.steps import Context, Log, each_block
from holdfast.conversation.profile import THINKING_BLOCKS, TOOL_NAME, Profile, is_server_use
from holdfast.conversation.rules.ends import is_unsigned
from holdfast.conversation.rules.flaws import Flaw
from holdfast.conversation.rules.matrix import has_user_citations, role_flaws
from holdfast.conversation.rules.pairing import error_flaws
from holdfast.conversation.rules.schema import shape_flaws
from holdfast.conversation.rules.traits import is_plain
from holdfast.conversation.turns import is_signed_thinking

NAME_CHARS_MAX: Final = 64
NAMELESS: Final = "unnamed_tool"
ERROR_NOTE: Final = "[The tool reported an error.]"


def shape_blocks(history: History, context: Context, log: Log) -> History:
    """Mend or cast every block that breaks a rule by itself. Ids are left to the pairing pass."""
    profile = context.profile

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        misplaced = profile.compaction_leads and (index, position) != (0, 0)
        if block.type == "compaction" and misplaced:
            log.note("R92", message, "turned a compaction that is not first into text", "its text")
            return (text(casting.as_text(block)),)
        if block.type == "compaction" and is_unsigned(block, profile):
            log.note("R94", message, "turned a compaction without signature into text", "its text")
            return (text(casting.as_text(block)),)
        flaws = _flaws(block, message.role, profile)
        if not flaws:
            return None
        mended = _mended(block, message.role, profile)
        if mended is not None:
            log.note(flaws[0].rule, message, f"mended a `{block.type}` block", "all of its content")
            return (mended,)
        log.note(flaws[0].rule, message, f"turned a `{block.type}` block into text", "its words")
        return (text(casting.as_text(block)),)

    return each_block(history, mend)


def _flaws(block: Block, role: Role, profile: Profile) -> tuple[Flaw, ...]:
    if block.type in THINKING_BLOCKS and role == ASSISTANT and _leaves(block, profile):
        return ()  # its own pass leaves it out: thinking is never cast
    if is_plain(block, role, profile):
        return ()
    found = shape_flaws(block, role, profile) + role_flaws(block, role, profile)
    found = tuple(flaw for flaw in found if flaw.rule != "R45")
    if block.type == "tool_result" and role == USER:
        found += tuple(f for f in error_flaws(block, role, profile) if "must be text" in f.text)
    return found


def _leaves(thinking: Block, profile: Profile) -> bool:
    return not profile.thinking_replayed or not is_signed_thinking(thinking)


def _mended(block: Block, role: Role, profile: Profile) -> Block | None:
    """Return a block of the same type that passes, or None when it can only be cast."""
    if block.type not in profile.blocks_of(role):
        return None
    block = Block.of(tidy(block.data))
    if block.type == "tool_use" or is_server_use(block.type):
        candidate = Block.of(_call(block.data))
    elif block.type == "tool_result":
        candidate = Block.of(_result(block.data, profile))
    elif role == USER and has_user_citations(block.data):
        candidate = Block.of(_uncited(block.data))
    else:
        candidate = block
    return None if _flaws(candidate, role, profile) else candidate


def _call(data: Mapping[str, Any]) -> dict[str, Any]:
    call = dict(data)
    if call["type"] == "tool_use" and not isinstance(call.get("id"), str):
        call["id"] = ""  # the pairing pass gives it a legal one
    if not is_server_use(call["type"]):
        call["name"] = clean_name(call.get("name"))  # the names of server tools are the API's own
    if not isinstance(call.get("input"), dict):
        call["input"] = {UNPARSED: call["input"]} if "input" in call else {}
    return call


def clean_name(name: Any) -> str:
    """Return a legal tool name, the same for the same input; legal names are left alone (R46)."""
    if isinstance(name, str) and TOOL_NAME.fullmatch(name):
        return name
    given = name if isinstance(name, str) else ""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", given)[:NAME_CHARS_MAX].strip("_") or NAMELESS


def _result(data: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    result = dict(data)
    if not isinstance(result.get("tool_use_id"), str):
        result["tool_use_id"] = ""
    if not isinstance(result.get("is_error", False), bool):
        del result["is_error"]
    content = result.get("content", "")
    if content is None:
        del result["content"]
    elif not isinstance(content, str):
        result["content"] = [_item(item, profile) for item in casting.items(content)]
    if result.get("is_error") is True and not _all_text(result.get("content")):
        del result["is_error"]
        result["content"] = [{"type": "text", "text": ERROR_NOTE}, *result["content"]]
    return result


def _item(item: Any, profile: Profile) -> dict[str, Any]:
    if isinstance(item, dict):
        known = dict(tidy(item))
        probe = Block.of({"type": "tool_result", "tool_use_id": "x", "content": [known]})
        if not shape_flaws(probe, USER, profile):
            return known
    return {"type": "text", "text": casting.item_text(item)}


def _all_text(content: Any) -> bool:
    if not isinstance(content, list):
        return True
    return all(item.get("type") == "text" for item in content)


def _uncited(data: Mapping[str, Any]) -> dict[str, Any]:
    if data.get("type") == "text":
        return {key: value for key, value in data.items() if key != "citations"}
    content = [_uncited(item) if isinstance(item, dict) else item for item in data["content"]]
    return {**data, "content": content}
