"""Signatures of thinking blocks (R71).

Law: thinking without its signature is half a block and is never accepted. Empty thinking text
with a signature is what newer models send, and is whole. Whether a signature is *true* only the
API knows.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Role
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules.flaws import Flaw, findings


def signatures(history: History, profile: Profile) -> Iterable[Finding]:
    """R71: signatures are not empty. (Missing ones are found with the other fields.)"""
    return findings(history, profile, signature_flaws)


def signature_flaws(block: Block, _role: Role, _profile: Profile) -> tuple[Flaw, ...]:
    """Return whether a thinking block carries an empty signature."""
    if block.type == "thinking" and block.get("signature") == "":
        return (Flaw("R71", ": Invalid `signature` in `thinking` block"),)
    if block.type == "redacted_thinking" and block.get("data") == "":
        return (Flaw("R71", ": Invalid `data` in `redacted_thinking` block"),)
    return ()
