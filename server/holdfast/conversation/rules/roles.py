"""Who may speak when: the first message (R18, R21) and system messages (R24-R28).

Law: a history starts with the user (or with a compaction block), and a system message stands
between a user's message and an assistant's. Consecutive messages of one role are legal (R20).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, History, Message
from holdfast.conversation.profile import Profile, is_server_result
from holdfast.conversation.turns import Turn, merged

_DIRECTIVE: Final = (
    "; the directive-only form (content: [] with output_config) is accepted at any position"
)


def first_message(history: History, profile: Profile) -> Iterable[Finding]:
    """R18, R21: there is a message, and the first is the user's or a compaction."""
    if not history:
        yield Finding("R18", None, None, "messages: at least one message is required")
    elif history[0].role == ASSISTANT and not may_lead(history[0], profile):
        detail = 'messages: first message must use the "user" role'
        yield Finding("R21", 0, None, detail)


def may_lead(message: Message, profile: Profile) -> bool:
    """Say whether an assistant message may open a history (R21)."""
    if profile.leading_assistant_allowed:
        return True
    return (
        bool(message.blocks)
        and message.blocks[0].type == "compaction"
        and "compaction" in profile.assistant_blocks
    )


def system_messages(history: History, profile: Profile) -> Iterable[Finding]:
    """R26, R24, R25, R27, R28: where system messages may stand, and if at all."""
    if all(message.role != SYSTEM for message in history):
        return
    turns = merged(history)
    for number, turn in enumerate(turns):
        if turn.role != SYSTEM:
            continue
        for rule, detail in placement_flaws(history, turns, number):
            yield Finding(rule, turn.start, None, detail + _DIRECTIVE)
        for index in range(turn.start, turn.stop):
            if not history[index].blocks:
                detail = f"messages.{index}: system content must contain at least one block"
                yield Finding("R27", index, None, detail)
        if not profile.system_role_allowed:
            yield Finding("R28", turn.start, None, "role 'system' is not supported on this model")


def placement_flaws(
    history: History, turns: tuple[Turn, ...], number: int
) -> Iterable[tuple[str, str]]:
    """Yield rule and text for each reason why the system turn `number` is out of place."""
    turn = turns[number]
    if number == 0:
        yield (
            "R26",
            "messages.0: use the top-level 'system' parameter for the initial system prompt",
        )
    elif not _may_precede_system(history[turn.start - 1]):
        yield (
            "R24",
            f"messages.{turn.start}: role 'system' must follow a 'user' message or an 'assistant' "
            "message ending in a server tool result",
        )
    if number + 1 < len(turns) and turns[number + 1].role != ASSISTANT:
        yield (
            "R25",
            f"messages.{turn.start}: role 'system' must precede an 'assistant' message or end "
            "the array",
        )


def _may_precede_system(message: Message) -> bool:
    if message.role == USER:
        return True
    return bool(message.blocks) and is_server_result(message.blocks[-1].type)
