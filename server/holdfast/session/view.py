"""The request view: what of a session is sent to the model.

Law: a pure function of the state, append-only between compactions. A message once accepted by the
API keeps its bytes; only a compaction, a repair or a rewind changes what came before, and each of
those is a record.
"""

from __future__ import annotations

from typing import Final

import attrs

from holdfast.conversation import tokens
from holdfast.conversation.history import USER, History, Message, text
from holdfast.session.state import Compaction, SessionState, index_of

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})


def messages(state: SessionState) -> History:
    """Return the messages of the next request."""
    compaction = state.in_force
    cut = cut_index(state, compaction) if compaction else 0
    bound = max(cut, _last_index_of(state, state.unbound_origin) + 1)
    old = (without_thinking(message) for message in state.messages[cut:bound])
    tail = (*(m for m in old if m.blocks), *state.messages[bound:])
    if compaction is None:
        return tail
    return (Message(USER, (text(compaction.summary),), compaction.origin), *tail)


def cut_index(state: SessionState, compaction: Compaction) -> int:
    """Return the index of the first message that the compaction keeps verbatim."""
    if not compaction.cut_origin:
        return _last_index_of(state, compaction.known_origin) + 1
    found = index_of(state.messages, compaction.cut_origin)
    return len(state.messages) if found is None else found


def without_thinking(message: Message) -> Message:
    """Leave out thinking that was bound to a prefix which is no longer sent (R72, R74)."""
    kept = tuple(block for block in message.blocks if block.type not in _THINKING)
    return message if len(kept) == len(message.blocks) else attrs.evolve(message, blocks=kept)


def context_tokens(state: SessionState) -> int:
    """Estimate the tokens of the next request's messages.

    The API's own count of the last response when there is one, plus a local estimate of what came
    since; otherwise a local estimate of everything. It is an estimate either way (P12).
    """
    if state.usage is None:
        return tokens.estimate(messages(state))
    since = state.messages[state.usage_messages :]
    return state.usage.context_tokens + tokens.estimate(tuple(since))


def _last_index_of(state: SessionState, origin: str) -> int:
    if not origin:
        return -1
    for index in range(len(state.messages) - 1, -1, -1):
        if state.messages[index].origin == origin:
            return index
    return -1
