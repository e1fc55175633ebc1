"""Who speaks first and last, and where system messages stand (R18, R21-R28, R39).

Law: nothing is taken away and no message changes its place. A system message that may not be one
is said by the user, marked as such; a missing first or last word of the user is a fixed sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from holdfast.conversation import casting
from holdfast.conversation.history import (
    ASSISTANT,
    SYSTEM,
    USER,
    Block,
    History,
    Message,
    text,
    user,
)
from holdfast.conversation.passes.steps import Context, Log, with_fields
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules.ends import ends_in_space, final_thinking, last_speaker
from holdfast.conversation.rules.roles import may_lead, placement_flaws
from holdfast.conversation.turns import calls, merged, pending_server_call

LOST_BEGINNING: Final = "[The beginning of this conversation is not part of this request.]"
RESUMED: Final = (
    "[The session was interrupted here and has been resumed. If work is open, go on with it; if "
    "not, wait for the next request.]"
)
NOTHING_SAID: Final = "[Nothing has been said in this conversation yet.]"
SYSTEM_NOTE: Final = "[System note] "


def settle_system(history: History, context: Context, log: Log) -> History:
    """Let the user say, marked, every system message that may not stand where it is."""
    turns = merged(history)
    wrong: dict[int, str] = {}
    for number, turn in enumerate(turns):
        if turn.role != SYSTEM:
            continue
        flaw = next(iter(placement_flaws(history, turns, number)), None)
        rule = flaw[0] if flaw else None if context.profile.system_role_allowed else "R28"
        if rule:
            wrong.update(dict.fromkeys(range(turn.start, turn.stop), rule))
    return _said_by_user(history, wrong, log)


def _said_by_user(history: History, wrong: dict[int, str], log: Log) -> History:
    if not wrong:
        return history
    messages: list[Message] = []
    for index, message in enumerate(history):
        if index in wrong:
            blocks = tuple(text(SYSTEM_NOTE + casting.as_text(block)) for block in message.blocks)
            log.note(wrong[index], message, "let the user say a system message", "its text")
            messages.append(attrs.evolve(message, role=USER, blocks=blocks))
        else:
            messages.append(message)
    return tuple(messages)


def settle_ends(history: History, context: Context, log: Log) -> History:
    """Give a history the first and the last word that it needs."""
    if not history:
        log.note("R18", None, "put a sentence into an empty history", "nothing was there")
        return (user(NOTHING_SAID),)
    if history[0].role == ASSISTANT and not may_lead(history[0], context.profile):
        log.note("R21", history[0], "inserted a first message of the user", "everything")
        history = (user(LOST_BEGINNING), *history)
    return _settled_tail(history, context, log)


def _settled_tail(history: History, context: Context, log: Log) -> History:
    index = last_speaker(history)
    if index is None or history[index].role != ASSISTANT or pending_server_call(history[index]):
        return history
    if _waits_for(history, context.open_ids):
        return history
    if index < len(history) - 1:
        trailing = dict.fromkeys(range(index + 1, len(history)), "R22")
        return _said_by_user(history, trailing, log)
    last = history[index]
    if context.profile.prefill_allowed:
        mended = _as_prefill(history, context.profile, log)
        if mended is not None:
            return history if mended is last else (*history[:-1], mended)
    log.note("R22", last, "appended a last message of the user", "everything")
    return (*history, user(RESUMED))


def _waits_for(history: Sequence[Message], open_ids: frozenset[str]) -> bool:
    if not open_ids:
        return False
    turns = merged(history)
    return any(place.value.text_of("id") in open_ids for place in calls(turns[-1]))


def _as_prefill(history: History, profile: Profile, log: Log) -> Message | None:
    """Return the last assistant message as a legal prefill, or None when it cannot be one."""
    last = history[-1]
    if not last.blocks or final_thinking(history) or profile.leading_thinking_required:
        return None
    if not ends_in_space(last):
        return last
    said: Block = last.blocks[-1]
    log.note("R23", last, "cut the blanks at the end of the last text", "the text")
    trimmed = with_fields(said, text=said.text_of("text").rstrip())
    return attrs.evolve(last, blocks=(*last.blocks[:-1], trimmed))
