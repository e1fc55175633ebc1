"""The shape of blocks: tags (R31), fields (R8, R9), ids (R45), names (R46), inputs (R47).

Law: this is what the API checks before it looks at roles and pairs. Every rule here speaks of one
block. Unknown fields are refused in blocks that clients write; in blocks that only the API writes
they are left alone, because it may add some and expects them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Role
from holdfast.conversation.profile import (
    FIELDS,
    KNOWN_FIELDS,
    MEDIA_TYPES,
    MESSAGES_MAX,
    SERVER_TOOL_ID,
    SOURCES,
    TOOL_ID,
    TOOL_NAME,
    Profile,
    is_server_result,
    is_server_use,
)
from holdfast.conversation.rules.flaws import Flaw, findings, quoted

_EXPECTED: Final[Mapping[type, str]] = {str: "string", list: "list", dict: "dictionary"}


def message_count(history: History, _profile: Profile) -> Iterable[Finding]:
    """R19: at most 100 000 messages."""
    if len(history) > MESSAGES_MAX:
        detail = f"messages: List should have at most {MESSAGES_MAX} items after validation"
        yield Finding("R19", None, None, detail)


def block_shapes(history: History, profile: Profile) -> Iterable[Finding]:
    """R8, R9, R31, R45-R47, R59, R71: every block has a known tag and well-formed fields."""
    return findings(history, profile, shape_flaws)


def shape_flaws(block: Block, _role: Role, profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with the shape of one block."""
    return tuple(_shape_flaws(block.data, profile.known_blocks, profile, ""))


def _shape_flaws(
    data: Mapping[str, Any], known: frozenset[str], profile: Profile, path: str
) -> Iterator[Flaw]:
    kind = data.get("type")
    if kind is None:
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
    yield from _field_flaws(data, kind, path)
    if kind in SOURCES and isinstance(data.get("source"), dict):
        yield from _source_flaws(data["source"], kind, path)
    if kind == "tool_use" or is_server_use(kind):
        yield from _call_flaws(data, kind, path)
    elif kind == "tool_result":
        yield from _result_flaws(data, profile, path)
    elif is_server_result(kind):
        yield from _required(data, "tool_use_id", str, path)
        if "content" not in data:
            yield Flaw("R9", f"{path}.content: Field required")
    yield from _extra_flaws(data, kind, path)


def _field_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    for name, wanted in FIELDS.get(kind, ()):
        yield from _required(data, name, wanted, path)


def _extra_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    if kind in KNOWN_FIELDS:
        for name in data:
            if name != "type" and name not in KNOWN_FIELDS[kind]:
                yield Flaw("R8", f"{path}.{name}: Extra inputs are not permitted")


def _source_flaws(source: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    path = f"{path}.source"
    form = source.get("type")
    if form is None:
        yield Flaw("R9", f"{path}.type: Field required")
        return
    if not isinstance(form, str) or form not in SOURCES[kind]:
        yield Flaw(
            "R31",
            f"{path}: Input tag '{form}' found using 'type' does not match any of the expected "
            f"tags: {quoted(SOURCES[kind])}",
        )
        return
    path = f"{path}.{form}"
    for name in SOURCES[kind][form]:
        yield from _required(source, name, str, path)
    allowed = MEDIA_TYPES.get((kind, form))
    media_type = source.get("media_type")
    if allowed and isinstance(media_type, str) and media_type not in allowed:
        yield Flaw("R59", f"{path}.media_type: Input should be {quoted(allowed)}")


def _required(data: Mapping[str, Any], name: str, wanted: type, path: str) -> Iterator[Flaw]:
    rule = "R71" if name == "signature" else "R9"
    if name not in data:
        yield Flaw(rule, f"{path}.{name}: Field required")
    elif not isinstance(data[name], wanted):
        yield Flaw(rule, f"{path}.{name}: Input should be a valid {_EXPECTED[wanted]}")


def _call_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    tool_id, name = data.get("id"), data.get("name")
    pattern = SERVER_TOOL_ID if kind == "server_tool_use" else TOOL_ID
    if isinstance(tool_id, str) and not pattern.fullmatch(tool_id):
        text = f"{path}.id: String should match pattern '^{pattern.pattern}$'"
        yield Flaw("R45", text, ids=(tool_id,))
    if isinstance(name, str) and not TOOL_NAME.fullmatch(name):
        yield Flaw("R46", f"{path}.name: {_name_flaw(name)}")
    if "input" not in data:
        yield Flaw("R47", f"{path}.input: Field required")
    elif not isinstance(data["input"], dict):
        yield Flaw("R47", f"{path}.input: Input should be a valid dictionary")


def _name_flaw(name: str) -> str:
    if not name:
        return "String should have at least 1 character"
    if len(name) > 200:
        return "String should have at most 200 characters"
    return f"String should match pattern '^{TOOL_NAME.pattern}$'"


def _result_flaws(data: Mapping[str, Any], profile: Profile, path: str) -> Iterator[Flaw]:
    tool_id, content = data.get("tool_use_id"), data.get("content", "")
    if isinstance(tool_id, str) and not TOOL_ID.fullmatch(tool_id):
        text = f"{path}.tool_use_id: String should match pattern '^{TOOL_ID.pattern}$'"
        yield Flaw("R45", text, ids=(tool_id,))
    if not isinstance(data.get("is_error", False), bool):
        yield Flaw("R9", f"{path}.is_error: Input should be a valid boolean")
    if isinstance(content, list):
        for number, item in enumerate(content):
            yield from _item_flaws(item, profile, f"{path}.content.{number}")
    elif not isinstance(content, str):
        yield Flaw("R9", f"{path}.content: Input should be a valid string")


def _item_flaws(item: Any, profile: Profile, path: str) -> Iterator[Flaw]:
    if not isinstance(item, dict):
        yield Flaw("R9", f"{path}: Input should be a valid dictionary")
        return
    yield from _shape_flaws(item, profile.result_blocks, profile, path)
    name = item.get("tool_name")
    if (
        item.get("type") == "tool_reference"
        and isinstance(name, str)
        and profile.tool_names is not None
        and name not in profile.tool_names
    ):
        yield Flaw("A31", f"{path}: Tool reference '{name}' not found in available tools")
