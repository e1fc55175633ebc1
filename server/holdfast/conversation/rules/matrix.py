"""Which block may stand in whose message (R36, R37), and citations (R38).

Law: calls and thinking are the assistant's, results and media are the user's, text is everybody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, Block, History, Role
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules.flaws import Flaw, findings


def system_blocks(history: History, profile: Profile) -> Iterable[Finding]:
    """R27: system messages hold text, and changes of tools."""
    return findings(history, profile, system_flaws)


def system_flaws(block: Block, role: Role, profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with a block that stands in a system message."""
    return role_flaws(block, role, profile) if role == SYSTEM else ()


def block_roles(history: History, profile: Profile) -> Iterable[Finding]:
    """R36, R37, R38: every block stands in a message of a role that may hold it."""
    return findings(history, profile, conversation_flaws)


def conversation_flaws(block: Block, role: Role, profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with a block that stands in a message of the user or the assistant."""
    return () if role == SYSTEM else role_flaws(block, role, profile)


def role_flaws(block: Block, role: Role, profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with a block in a message of `role`. Unknown types are R31, not here."""
    kind = block.type
    if kind in profile.blocks_of(role):
        if role == USER and has_user_citations(block.data):
            return (Flaw("R38", ": citations are not allowed in user messages"),)
        return ()
    if kind not in profile.known_blocks:
        return ()
    return (_misplaced(kind, role, profile),)


def _misplaced(kind: str, role: Role, profile: Profile) -> Flaw:
    if role == SYSTEM:
        text = ": role 'system' supports text, tool_addition, and tool_removal blocks only"
        return Flaw("R27", text, "message")
    if role == ASSISTANT and kind == "document":
        return Flaw("R37", ": `document` blocks may only be in `user` messages")
    homes = [home for home in (USER, ASSISTANT, SYSTEM) if kind in profile.blocks_of(home)]
    if kind in {"thinking", "redacted_thinking"}:
        return Flaw("R36", f": `{kind}` blocks may only be in `{homes[0]}` messages")
    return Flaw("R36", f": `{kind}` blocks can only be in `{homes[0]}` messages", "message")


def has_user_citations(data: Mapping[str, Any]) -> bool:
    """Say whether a block of a user message cites, itself or in a search result (R38)."""
    return any(_cites(part) for part in _citing_parts(data))


def _citing_parts(data: Mapping[str, Any]) -> Iterator[Any]:
    if data.get("type") == "text":
        yield data
    content = data.get("content")
    if data.get("type") == "search_result" and isinstance(content, list):
        yield from content


def _cites(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and bool(part.get("citations"))
