"""Cache marks in stored blocks (R79, R80, R81).

Law: marks belong to a request, not to a history; the sender places them. What an imported history
brings is tolerated while the API would, and taken out as a whole when not (A15, A16).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules.blanks import is_blank

_MARK = "cache_control"


def cache_marks(history: History, profile: Profile) -> Iterable[Finding]:
    """R79, R80, R81: at most four marks, long-lived ones first, none on thinking or blanks."""
    marked = [
        (number, position, part)
        for number, message in enumerate(history)
        for position, block in enumerate(message.blocks)
        for part in marked_parts(block)
    ]
    if not marked:
        return
    if len(marked) > profile.cache_marks_max:
        detail = (
            f"A maximum of {profile.cache_marks_max} blocks with cache_control may be provided. "
            f"Found {len(marked)}."
        )
        yield Finding("R79", None, None, detail)
    short_lived = False
    for number, position, part in marked:
        path = f"messages.{number}.content.{position}.{part.get('type')}.cache_control"
        if text := _misplaced(part):
            yield Finding("R81", number, position, f"{path}: {text}")
        if _is_long_lived(part) and short_lived:
            detail = (
                f"{path}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
            yield Finding("R80", number, position, detail)
        short_lived = short_lived or not _is_long_lived(part)


def marked_parts(block: Block) -> Iterator[Mapping[str, Any]]:
    """Yield a block and the blocks inside it that carry a mark, inner ones first (R80)."""
    content = block.get("content")
    if isinstance(content, list):
        yield from (p for p in content if isinstance(p, dict) and p.get(_MARK) is not None)
    if block.get(_MARK) is not None:
        yield block.data


def _misplaced(part: Mapping[str, Any]) -> str:
    if part.get("type") in {"thinking", "redacted_thinking"}:
        return "Extra inputs are not permitted"
    if part.get("type") == "text" and is_blank(part.get("text")):
        return "cache_control cannot be set for empty text blocks"
    mark = part.get(_MARK)
    if not isinstance(mark, Mapping) or mark.get("type") != "ephemeral":
        return "Input tag does not match any of the expected tags: 'ephemeral'"
    return ""


def _is_long_lived(part: Mapping[str, Any]) -> bool:
    mark = part.get(_MARK)
    return isinstance(mark, Mapping) and mark.get("ttl") == "1h"
