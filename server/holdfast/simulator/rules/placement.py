"""Step 7: which message may stand where (R18, R20, R21, R24 to R30).

Law: system placement is reported before everything else about messages, so that a system message
between a `tool_use` and its result answers R24, not R40 (§8).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import (
    SERVER_USES,
    TOOL_CHANGES,
    Account,
    JsonObject,
    Turn,
    content_blocks,
    is_directive,
)

_SYSTEM_BLOCKS: Final = frozenset({"text", "tool_addition", "tool_removal"})


def is_server_result(block: JsonObject) -> bool:
    """Tell whether a block is the result of a server tool, which assistant messages hold."""
    kind = str(block.get("type", ""))
    return kind != "tool_result" and kind.endswith("_tool_result")


def starts_with_compaction(messages: list[JsonObject]) -> bool:
    """Tell whether the history begins with a compaction block (R92)."""
    first = content_blocks(messages[0]) if messages else []
    return bool(first) and first[0].get("type") == "compaction"


def check_placement(
    body: JsonObject, turns: list[Turn], model: ModelSpec, account: Account
) -> None:
    """Check the order of roles. `turns` are the merged turns of the body's messages."""
    messages: list[JsonObject] = body["messages"]
    if not messages:
        raise refuse("R18")
    if (
        messages[0]["role"] == "assistant"
        and not starts_with_compaction(messages)
        and not account.allow_leading_assistant
    ):
        raise refuse("R21")
    if account.endpoint.strict_alternation:
        _check_alternation(messages)
    _check_system_positions(messages, turns)
    _check_system_contents(messages)
    if any(message["role"] == "system" for message in messages):
        if model.system_role == "unknown_role" or not account.endpoint.system_role:
            raise refuse("R28b")
        if model.system_role == "refused":
            raise refuse("R28a")
    _check_tool_changes(body, messages, account.tools_max)


def _check_alternation(messages: list[JsonObject]) -> None:
    for message, following in pairwise(messages):
        if message["role"] == following["role"]:
            raise refuse("R20", role=message["role"])


def _check_system_positions(messages: list[JsonObject], turns: list[Turn]) -> None:
    if messages[0]["role"] == "system" and not is_directive(messages[0]):
        raise refuse("R26")
    for k, turn in enumerate(turns):
        if turn.role == "system" and not (k and _may_precede_system(turns[k - 1])):
            raise refuse("R24", i=turn.first)
    for k, turn in enumerate(turns):
        followed_by_user = k + 1 < len(turns) and turns[k + 1].role != "assistant"
        if turn.role == "system" and followed_by_user:
            raise refuse("R25", i=turn.first)


def _may_precede_system(turn: Turn) -> bool:
    if turn.role == "user":
        return True
    return bool(turn.blocks) and is_server_result(turn.blocks[-1].data)


def _check_system_contents(messages: list[JsonObject]) -> None:
    for i, message in enumerate(messages):
        if message["role"] != "system" or is_directive(message):
            continue
        blocks = content_blocks(message)
        if not blocks:
            raise refuse("R27a", i=i)
        if any(block["type"] not in _SYSTEM_BLOCKS for block in blocks):
            raise refuse("R27b", i=i)


def _check_tool_changes(
    body: JsonObject, messages: list[JsonObject], tools_max: int | None
) -> None:
    """Follow which tools there are from message to message (R30)."""
    kinds = {tool["name"]: _kind(tool) for tool in body.get("tools") or () if "name" in tool}
    available = set(kinds)
    for i, message in enumerate(messages):
        for j, block in enumerate(content_blocks(message)):
            if block["type"] not in TOOL_CHANGES:
                continue
            name = _changed(block["tool"], kinds, i, j)
            if block["type"] == "tool_addition":
                available.add(name)
            else:
                available.discard(name)
        if tools_max is not None and len(available) > tools_max:
            raise refuse("R30c", i=i, n=len(available), max=tools_max)


def _changed(tool: JsonObject, kinds: dict[str, str], i: int, j: int) -> str:
    """Return the name of the tool that a change speaks of, and learn a new definition."""
    definition = tool.get("definition")
    if not isinstance(definition, dict):
        name = str(tool.get("name"))
        if tool.get("type") == "tool_reference" and name not in kinds:
            raise refuse("R30", i=i, j=j, name=name)
        return name
    name = str(definition.get("name"))
    if kinds.get(name, _kind(definition)) != _kind(definition):
        raise refuse("R30b", i=i, j=j, name=name)
    kinds[name] = _kind(definition)
    return name


def _kind(tool: JsonObject) -> str:
    return str(tool.get("type") or "custom")


def unanswered_server_uses(turn: Turn) -> list[str]:
    """Return the ids of a turn's server tool uses that have no result behind them in it (R51)."""
    waiting: dict[str, None] = {}
    for place in turn.blocks:
        if place.type in SERVER_USES:
            waiting[place.data["id"]] = None
        elif is_server_result(place.data):
            waiting.pop(place.data["tool_use_id"], None)
    return list(waiting)
