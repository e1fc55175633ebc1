"""The shape of blocks: tags (R31), fields (R8, R9), ids (R45), names (R46), inputs (R47).

Law: this is what the API checks before it looks at roles and pairs. Every rule here speaks of one
block and of the blocks inside it. Unknown fields are refused in blocks whose fields are settled;
in those that every answer holds only what cannot be the API's own is, because it may add some and
expects them back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Role
from holdfast.conversation.profile import (
    FIELDS,
    KNOWN_FIELDS,
    MESSAGES_MAX,
    PART_BLOCKS,
    SERVER_TOOL_ID,
    SERVER_TOOLS,
    TOOL_ID,
    TOOL_NAME,
    Profile,
    is_bookkeeping,
    is_server_result,
    is_server_use,
)
from holdfast.conversation.rules.fields import optional_flaws, required_flaws, source_flaws
from holdfast.conversation.rules.flaws import Flaw, findings, quoted


def message_count(history: History, _profile: Profile) -> Iterable[Finding]:
    """R19: at most 100 000 messages."""
    if len(history) > MESSAGES_MAX:
        detail = f"messages: List should have at most {MESSAGES_MAX} items after validation"
        yield Finding("R19", None, None, detail)


def block_shapes(history: History, profile: Profile) -> Iterable[Finding]:
    """R8, R9, R31, R45-R47, R59, R71, A31: blocks have known tags and well-formed fields."""
    return findings(history, profile, shape_flaws)


def shape_flaws(block: Block, _role: Role, profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with the shape of one block."""
    return tuple(_shape_flaws(block.data, profile.known_blocks, profile, ""))


def _shape_flaws(
    data: Mapping[str, Any], known: frozenset[str], profile: Profile, path: str
) -> Iterator[Flaw]:
    kind = data.get("type")
    if "type" not in data:
        yield Flaw("R9", f"{path}.type: Field required")
        return
    if not isinstance(kind, str) or kind not in known:
        yield Flaw(
            "R31",
            f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected "
            f"tags: {quoted(known)}",
        )
        return
    path = f"{path}.{kind}"
    yield from required_flaws(data, FIELDS.get(kind, ()), path)
    yield from optional_flaws(data, kind, path)
    yield from _inner_flaws(data, kind, profile, path)
    if kind == "tool_use" or is_server_use(kind):
        yield from _call_flaws(data, kind, path)
    elif kind == "tool_result":
        yield from _result_flaws(data, path)
    elif is_server_result(kind):
        yield from _server_result_flaws(data, kind, path)
    elif kind == "tool_reference":
        yield from _reference_flaws(data, profile, path)
    yield from _extra_flaws(data, kind, path)


def _extra_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    known = KNOWN_FIELDS.get(kind)
    for name, value in data.items():
        unknown = known is not None and name != "type" and name not in known
        if unknown or is_bookkeeping(kind, name, value):
            yield Flaw("R8", f"{path}.{name}: Extra inputs are not permitted")


def _inner_flaws(data: Mapping[str, Any], kind: str, profile: Profile, path: str) -> Iterator[Flaw]:
    """Look at the blocks inside a block."""
    if kind in {"image", "document"} and isinstance(data.get("source"), dict):
        source = data["source"]
        yield from source_flaws(source, kind, f"{path}.source")
        if kind == "document" and source.get("type") == "content":
            inner = f"{path}.source.content.content"
            yield from _parts_flaws(source, PART_BLOCKS[kind], profile, inner)
    elif kind == "tool_result":
        yield from _parts_flaws(data, profile.result_blocks, profile, f"{path}.content")
    elif kind in PART_BLOCKS and "content" in data:
        yield from _parts_flaws(data, PART_BLOCKS[kind], profile, f"{path}.content")


def _parts_flaws(
    holder: Mapping[str, Any], known: frozenset[str], profile: Profile, path: str
) -> Iterator[Flaw]:
    content = holder.get("content", "")
    if not isinstance(content, list):
        if not isinstance(content, str):
            yield Flaw("R9", f"{path}: Input should be a valid string")
        return
    for number, item in enumerate(content):
        if isinstance(item, dict):
            yield from _shape_flaws(item, known, profile, f"{path}.{number}")
        else:
            yield Flaw("R9", f"{path}.{number}: Input should be a valid dictionary")


def _call_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    tool_id, name = data.get("id"), data.get("name")
    pattern = SERVER_TOOL_ID if kind == "server_tool_use" else TOOL_ID
    if isinstance(tool_id, str) and not pattern.fullmatch(tool_id):
        text = f"{path}.id: String should match pattern '^{pattern.pattern}$'"
        yield Flaw("R45", text, ids=(tool_id,))
    if isinstance(name, str) and kind == "server_tool_use" and name not in SERVER_TOOLS:
        yield Flaw("R46", f"{path}.name: Input should be {quoted(SERVER_TOOLS)}")
    elif isinstance(name, str) and (flaw := _name_flaw(name, kind)):
        yield Flaw("R46", f"{path}.name: {flaw}")
    if "input" not in data:
        yield Flaw("R9", f"{path}.input: Field required")
    elif not isinstance(data["input"], dict):
        yield Flaw("R47", f"{path}.input: Input should be a valid dictionary")


def _name_flaw(name: str, kind: str) -> str:
    """Return what is wrong with the name of a call; other servers' tools have any characters."""
    if not name:
        return "String should have at least 1 character"
    if len(name) > 200:
        return "String should have at most 200 characters"
    if kind != "tool_use" or TOOL_NAME.fullmatch(name):
        return ""
    return f"String should match pattern '^{TOOL_NAME.pattern}$'"


def _result_flaws(data: Mapping[str, Any], path: str) -> Iterator[Flaw]:
    yield from _id_flaws(data, TOOL_ID, path)
    if not isinstance(data.get("is_error", False), bool):
        yield Flaw("R9", f"{path}.is_error: Input should be a valid boolean")


def _server_result_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    yield from required_flaws(data, (("tool_use_id", str),), path)
    mcp = kind == "mcp_tool_result"
    yield from _id_flaws(data, TOOL_ID if mcp else SERVER_TOOL_ID, path)
    if mcp and not isinstance(data.get("is_error", False), bool):
        yield Flaw("R9", f"{path}.is_error: Input should be a valid boolean")
    if not mcp and "content" not in data:
        yield Flaw("R9", f"{path}.content: Field required")


def _id_flaws(data: Mapping[str, Any], pattern: re.Pattern[str], path: str) -> Iterator[Flaw]:
    tool_id = data.get("tool_use_id")
    if isinstance(tool_id, str) and not pattern.fullmatch(tool_id):
        text = f"{path}.tool_use_id: String should match pattern '^{pattern.pattern}$'"
        yield Flaw("R45", text, ids=(tool_id,))


def _reference_flaws(data: Mapping[str, Any], profile: Profile, path: str) -> Iterator[Flaw]:
    name = data.get("tool_name")
    if isinstance(name, str) and profile.tool_names is not None and name not in profile.tool_names:
        # The path is that of the item, without its tag.
        where = path.removesuffix(".tool_reference")
        yield Flaw("A31", f"{where}: Tool reference '{name}' not found in available tools")
