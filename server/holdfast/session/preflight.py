"""The check before a request, and the repair that follows when it fails.

Law: the same rules that the sender checks are what the repair mends, so one repair is enough. A
history at rest may end with the assistant: what will be sent is that history and a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.conversation import repair as repairs
from holdfast.conversation import rules
from holdfast.conversation.findings import Finding, RepairStep
from holdfast.conversation.history import ASSISTANT, History, Message, user
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.session import events as ev
from holdfast.session.edits import repair_event

_NEXT: Final = user("The next prompt.", origin="next prompt")


def check(
    messages: Sequence[Message], profile: Profile = DEFAULT, *, sending: bool = False
) -> tuple[Finding, ...]:
    """Return what the API would refuse about these messages followed by a prompt.

    When they are being sent as they are, no prompt follows.
    """
    at_rest = not sending and bool(messages) and messages[-1].role == ASSISTANT
    return rules.validate((*messages, _NEXT) if at_rest else tuple(messages), profile)


def mend(
    messages: Sequence[Message],
    repair_id: str,
    profile: Profile = DEFAULT,
    *,
    sending: bool = False,
) -> tuple[ev.HistoryRepaired | None, tuple[RepairStep, ...]]:
    """Return the record that repairs a history, or None when nothing is broken."""
    history: History = tuple(messages)
    at_rest = not sending and bool(messages) and messages[-1].role == ASSISTANT
    if at_rest and not _has_calls(messages[-1]):
        history = (*history, _NEXT)  # A finished answer needs no last word of ours.
    repaired = repairs.repair(history, profile=profile)
    return repair_event(repair_id, history, repaired), repaired.steps


def _has_calls(message: Message) -> bool:
    return any(block.type == "tool_use" for block in message.blocks)
