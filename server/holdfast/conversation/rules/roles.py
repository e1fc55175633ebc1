"""Who may speak when: the first message (R18, R21), taking turns (R20), system messages (R24-R28).

Law: a history starts with the user (or with a compaction block), and a system message stands
between a user's message and an assistant's. Consecutive messages of one role are legal (R20),
except behind endpoints that are only compatible.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
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


def alternation(history: History, profile: Profile) -> Iterable[Finding]:
    """R20: where turns must alternate, no two messages of one role stand in a row."""
    if not profile.strict_alternation:
        return
    for number in range(1, len(history)):
        role = history[number].role
        if role == history[number - 1].role:
            detail = (
                'messages: roles must alternate between "user" and "assistant", but found multiple '
                f'"{role}" roles in a row'
            )
            yield Finding("R20", number, None, detail)


def may_lead(message: Message, profile: Profile) -> bool:
    """Say whether an assistant message may open a history (R21)."""
    if profile.leading_assistant_allowed:
        return True
    return (
        bool(message.blocks)
        and message.blocks[0].type == "compaction"
        and "compaction" in profile.assistant_blocks
    )


def system_after(history: History, _profile: Profile) -> Iterable[Finding]:
    """R24, R26: the user, or a result of the API's, stands before a system message."""
    return _placed(history, {"R26", "R24"})


def system_before(history: History, _profile: Profile) -> Iterable[Finding]:
    """R25: the assistant, or nothing, stands behind a system message."""
    return _placed(history, {"R25"})


def system_contents(history: History, _profile: Profile) -> Iterable[Finding]:
    """R27: a system message says something."""
    for index, message in enumerate(history):
        if message.role == SYSTEM and not message.blocks:
            detail = f"messages.{index}: system content must contain at least one block"
            yield Finding("R27", index, None, detail)


def system_role(history: History, profile: Profile) -> Iterable[Finding]:
    """R28: the model takes system messages at all."""
    if profile.system_role_allowed:
        return
    for index, message in enumerate(history):
        if message.role == SYSTEM:
            yield Finding("R28", index, None, "role 'system' is not supported on this model")


def _placed(history: History, rules: Container[str]) -> Iterator[Finding]:
    if all(message.role != SYSTEM for message in history):
        return
    turns = merged(history)
    for number, turn in enumerate(turns):
        if turn.role == SYSTEM:
            for rule, detail in placement_flaws(history, turns, number):
                if rule in rules:
                    yield Finding(rule, turn.start, None, detail + _DIRECTIVE)


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
