"""Fields that the API would refuse leave a block; what the block says stays (R8, R9).

Law: only what nobody reads goes: the notes that clients keep in blocks, and options whose value is
of another type. A block that needs nothing is returned as the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.conversation.profile import KNOWN_FIELDS, SOURCES, is_bookkeeping
from holdfast.conversation.rules.fields import wrong_options


def tidy(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a block, and the blocks inside it, without fields that are refused."""
    kind = data.get("type")
    if not isinstance(kind, str):
        return data
    unwanted = _unwanted(data, kind)
    changed: dict[str, Any] = {}
    source, content = data.get("source"), data.get("content")
    if kind in SOURCES and isinstance(source, dict):
        changed["source"] = _tidy_source(source, kind)
    if kind in {"tool_result", "search_result", "mcp_tool_result"} and isinstance(content, list):
        changed["content"] = _tidy_parts(content)
    changed = {key: value for key, value in changed.items() if value is not data[key]}
    if not unwanted and not changed:
        return data
    return {key: changed.get(key, value) for key, value in data.items() if key not in unwanted}


def _unwanted(data: Mapping[str, Any], kind: str) -> set[str]:
    known = KNOWN_FIELDS.get(kind)
    unwanted = {name for name, value in data.items() if is_bookkeeping(kind, name, value)}
    if known is not None:
        unwanted |= data.keys() - known - {"type"}
    if kind != "compaction":  # its fields are signed: a wrong one spoils the block
        unwanted.update(wrong_options(data, kind))
    return unwanted


def _tidy_source(source: dict[str, Any], kind: str) -> dict[str, Any]:
    form = source.get("type")
    if not isinstance(form, str) or form not in SOURCES[kind]:
        return source
    known = {"type", "content" if form == "content" else "", *SOURCES[kind][form]}
    tidied = source
    if not known.issuperset(source):
        tidied = {key: value for key, value in source.items() if key in known}
    if form == "content" and isinstance(tidied.get("content"), list):
        parts = _tidy_parts(tidied["content"])
        if parts is not tidied["content"]:
            tidied = {**tidied, "content": parts}
    return tidied


def _tidy_parts(parts: list[Any]) -> list[Any]:
    tidied = [tidy(part) if isinstance(part, dict) else part for part in parts]
    same = all(new is old for new, old in zip(tidied, parts, strict=True))
    return parts if same else tidied
