"""Cache marks in stored blocks (R79, R80, R81).

Law: marks belong to a request, not to a history; the sender places them. What an imported history
brings is tolerated while the API would, and taken out as a whole when not (A15, A16).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Role
from holdfast.conversation.profile import THINKING_BLOCKS, Profile
from holdfast.conversation.rules.flaws import Flaw, findings

_MARK: Final = "cache_control"


def mark_shapes(history: History, profile: Profile) -> Iterable[Finding]:
    """R8, R81: marks are well-formed, and none is on thinking."""
    return findings(history, profile, mark_flaws)


def mark_flaws(block: Block, _role: Role, _profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with the marks that a block carries, itself and inside."""
    return tuple(flaw for part in marked_parts(block) for flaw in _mark_flaws(part))


def cache_marks(history: History, profile: Profile) -> Iterable[Finding]:
    """R79, R80: at most four marks, long-lived ones first."""
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
    yield from _marked(block.data)


def inner_blocks(data: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the field that holds a block's inner blocks, and them: `content` or its source's."""
    source = data.get("source")
    holder = source if isinstance(source, Mapping) else data
    content = holder.get("content")
    return ("content" if holder is data else "source"), content if isinstance(content, list) else []


def _marked(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in inner_blocks(data)[1]:
        if isinstance(part, dict):
            yield from _marked(part)
    if data.get(_MARK) is not None:
        yield data


def _mark_flaws(part: Mapping[str, Any]) -> Iterator[Flaw]:
    path = f".{part.get('type')}.{_MARK}"
    if part.get("type") in THINKING_BLOCKS:
        yield Flaw("R81", f"{path}: Extra inputs are not permitted")
        return
    mark = part.get(_MARK)
    if not isinstance(mark, Mapping):
        yield Flaw("R81", f"{path}: Input should be a valid dictionary")
        return
    if mark.get("type") != "ephemeral":
        yield Flaw("R81", f"{path}.type: Input should be 'ephemeral'")
    if mark.get("ttl", "5m") not in ("5m", "1h"):
        yield Flaw("R81", f"{path}.ttl: Input should be '5m' or '1h'")
    for name in sorted(mark.keys() - {"type", "ttl"}):
        yield Flaw("R8", f"{path}.{name}: Extra inputs are not permitted")


def _is_long_lived(part: Mapping[str, Any]) -> bool:
    mark = part.get(_MARK)
    return isinstance(mark, Mapping) and mark.get("ttl") == "1h"
