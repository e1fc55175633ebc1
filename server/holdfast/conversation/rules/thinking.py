"""Signatures of thinking blocks (R71) and the thinking that must lead a turn (R68).

Law: thinking without its signature is half a block and is never accepted. Empty thinking text
with a signature is what newer models send, and is whole. Whether a signature is *true* only the
API knows.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, SYSTEM, Block, History, Role
from holdfast.conversation.profile import THINKING_BLOCKS, Profile
from holdfast.conversation.rules.flaws import Flaw, findings
from holdfast.conversation.turns import merged


def signatures(history: History, profile: Profile) -> Iterable[Finding]:
    """R71: signatures are not empty."""
    return findings(history, profile, signature_flaws)


def signature_flaws(block: Block, _role: Role, _profile: Profile) -> tuple[Flaw, ...]:
    """Return whether a thinking block carries an empty signature."""
    if block.type == "thinking" and block.get("signature") == "":
        return (Flaw("R71", ": Invalid `signature` in `thinking` block"),)
    if block.type == "redacted_thinking" and block.get("data") == "":
        return (Flaw("R71", ": Invalid `data` in `redacted_thinking` block"),)
    return ()


def leading_thinking(history: History, profile: Profile) -> Iterable[Finding]:
    """R68: with manual thinking, the turn in a tool loop starts with thinking.

    No history is at fault here, and no repair can invent thinking: the sender leaves manual
    thinking off until the loop is closed (A10).
    """
    if not profile.leading_thinking_required:
        return
    turns = [turn for turn in merged(history) if turn.role != SYSTEM]
    if turns and turns[-1].role != ASSISTANT:
        in_loop = any(place.value.type == "tool_result" for place in turns[-1].places)
        turns = turns[:-1] if in_loop else []
    first = turns[-1].places[0] if turns and turns[-1].places else None
    if first is None or first.value.type in THINKING_BLOCKS:
        return
    detail = (
        f"messages.{first.message}.content.{first.block}.type: Expected `thinking` or "
        f"`redacted_thinking`, but found `{first.value.type}`. When `thinking` is enabled, a final "
        "`assistant` message must start with a thinking block (preceeding the lastmost set of "
        "`tool_use` and `tool_result` blocks)."
    )
    yield Finding("R68", first.message, first.block, detail)
