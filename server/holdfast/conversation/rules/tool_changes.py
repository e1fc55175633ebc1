"""Tools that system messages add and remove (R30).

Law: a reference resolves where it stands: to a tool of the request, or to one that an earlier
system message defined. Which tools the request has is the profile's to say; `None` allows any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import SYSTEM, Block, History
from holdfast.conversation.profile import Profile
from holdfast.conversation.turns import Place, places

CHANGES: Final = frozenset({"tool_addition", "tool_removal"})


def tool_changes(history: History, profile: Profile) -> Iterable[Finding]:
    """R30: every tool that is added or removed is known at that point."""
    for place, name in unresolved_changes(history, profile):
        detail = (
            f"messages.{place.message}.content.{place.block}: tool reference '{name}' does not "
            "resolve at this position"
        )
        yield Finding("R30", place.message, place.block, detail)


def unresolved_changes(history: History, profile: Profile) -> Iterator[tuple[Place, str]]:
    """Yield the changes that name a tool which is not known where they stand, with its name."""
    if profile.tool_names is None:
        return
    known = set(profile.tool_names)
    for number, message in enumerate(history):
        if message.role != SYSTEM:
            continue
        for place in places(message, number):
            if place.value.type in CHANGES:
                name, defined = _tool_of(place.value)
                known.update(defined)
                if name is not None and name not in known:
                    yield place, name


def _tool_of(block: Block) -> tuple[str | None, tuple[str, ...]]:
    """Return the name that a change refers to, and the names that it defines."""
    tool = block.get("tool")
    tool = tool if isinstance(tool, Mapping) else {}
    if tool.get("type") == "tool_reference":
        return _name(tool, "tool_name") or _name(tool, "name") or "", ()
    definition = tool.get("definition")
    defined = _name(definition, "name") if isinstance(definition, Mapping) else None
    return None, (defined,) if defined else ()


def _name(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None
