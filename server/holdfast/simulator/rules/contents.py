"""Step 8: what a message may hold, message by message (R32 to R38, R58, R81, A31).

Law: no empty message, no empty or blank text, and every kind of block only in its own role. An
empty text that carries a cache mark is reported for the mark, as the API does (R81, A15).
"""

from __future__ import annotations

from typing import Final

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.media import MediaBudget, check_media
from holdfast.simulator.rules.placement import is_server_result
from holdfast.simulator.rules.request import (
    SERVER_USES,
    THINKING_TYPES,
    TOOL_CHANGES,
    VERSION_CURRENT,
    Account,
    Envelope,
    JsonObject,
    Located,
    content_blocks,
    located_blocks,
    nested_blocks,
)
from holdfast.simulator.rules.tool_definitions import tool_names

_USER_ONLY: Final = frozenset({"tool_result", "image", "search_result", "container_upload"})
_ASSISTANT_ONLY: Final = frozenset({"tool_use", "mcp_tool_listing", "fallback"}) | SERVER_USES


def check_contents(
    body: JsonObject, envelope: Envelope, account: Account, media: MediaBudget
) -> None:
    """Check each message in order: emptiness, texts, roles of blocks, references, media."""
    messages: list[JsonObject] = body["messages"]
    named = frozenset(tool_names(body.get("tools") or []))
    for i, message in enumerate(messages):
        role = message["role"]
        if role == "system":
            _check_texts(located_blocks(i, message))
            continue
        is_last = i == len(messages) - 1
        _check_not_empty(i, message, account, is_last=is_last)
        blocks = located_blocks(i, message)
        _check_texts(blocks)
        for place in blocks:
            _check_role(place, role, envelope)
        for place in blocks:
            _check_references(place, named)
            check_media(place, media)


def _check_not_empty(i: int, message: JsonObject, account: Account, *, is_last: bool) -> None:
    if content_blocks(message):
        return
    if message["role"] == "user":
        raise refuse("R34", i=i)
    if not is_last and not account.allow_empty_assistant:
        raise refuse("R35", i=i)


def _check_texts(blocks: list[Located]) -> None:
    for place in blocks:
        if place.type == "text":
            _check_text(place.data, f"{place.path}.text")
        elif place.type == "tool_result":
            for k, inner in enumerate(nested_blocks(place.data)):
                if inner["type"] == "text":
                    _check_text(inner, f"{place.path}.tool_result.content.{k}.text")


def _check_text(block: JsonObject, path: str) -> None:
    if not block["text"]:
        if block.get("cache_control"):
            raise refuse("R81", path=path)
        raise refuse("R32")
    if not block["text"].strip():
        raise refuse("R33")


def _check_references(place: Located, named: frozenset[str]) -> None:
    """A result may only refer to tools of this request (A31)."""
    for inner in nested_blocks(place.data):
        if inner["type"] == "tool_reference" and inner["tool_name"] not in named:
            raise refuse("A31", name=inner["tool_name"])


def _check_role(place: Located, role: str, envelope: Envelope) -> None:
    kind = place.type
    if kind in TOOL_CHANGES:
        raise refuse("R36d", i=place.message, type=kind)
    if role == "user":
        if kind in THINKING_TYPES:
            raise refuse("R36c", i=place.message, j=place.index, type=kind)
        if kind in _ASSISTANT_ONLY or is_server_result(place.data):
            raise refuse("R36a", i=place.message, type=kind)
        if envelope.version == VERSION_CURRENT and _has_citations(place.data):
            raise refuse("R38", i=place.message, j=place.index)
    else:
        if kind in _USER_ONLY:
            raise refuse("R36b", i=place.message, type=kind)
        if kind == "document" and envelope.version == VERSION_CURRENT:
            raise refuse("R37", i=place.message, j=place.index)


def _has_citations(block: JsonObject) -> bool:
    if block["type"] == "text":
        return bool(block.get("citations"))
    inside = nested_blocks(block) if block["type"] == "search_result" else []
    return any(item.get("citations") for item in inside)
