"""A history that grew by a turn is judged by that turn.

Law: `extends_valid` says yes only where the whole validation would find nothing. A valid history
that ends with the user stays valid with a tail behind it when the tail begins with the assistant,
is valid behind any word of the user, calls by new ids, and holds nothing that reaches back or adds
to a sum: no server tools, media, marks, compactions or changes of tools. Everything else takes the
long way. What is remembered are the histories themselves, so nothing can be out of date.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import attrs

from holdfast.conversation.history import ASSISTANT, USER, History, user
from holdfast.conversation.profile import MESSAGES_MAX, Profile
from holdfast.conversation.rules.media import sums
from holdfast.conversation.rules.traits import Trait, traits

HISTORIES_MAX: Final = 32
"""How many valid histories are remembered: a few for each session at work."""

_BEFORE: Final = user("Go on.")
_OPEN: Final = frozenset({Trait.SERVER_TOOL, Trait.CALLER})
"""What a later message may have to answer, or to run on."""

IsValid: TypeAlias = Callable[[History], bool]


@attrs.define(eq=False)
class _Known:
    """A valid history. `calls` says for each call id in which message it stands, or earlier.

    It is shared with the histories that grew from this one; an id that only they hold has a
    position behind the end of this one.
    """

    history: History
    profile: Profile
    bytes: int
    calls: dict[str, int]


_known: OrderedDict[tuple[int, int, int], _Known] = OrderedDict()


def extends_valid(history: History, profile: Profile, is_valid: IsValid) -> bool:
    """Say whether a history is a valid one, or one and a valid tail. `is_valid` judges the tail."""
    found = _longest(history, profile)
    if found is None:
        return False
    tail = history[len(found.history) :]
    if not tail:
        return True
    grown = found.bytes + sum(sums(message).bytes for message in tail)
    if grown > profile.body_bytes_max or len(history) > MESSAGES_MAX:
        return False
    if tail[0].role != ASSISTANT or any(traits(message).found - {Trait.SYSTEM} for message in tail):
        return False
    ids = tuple(_calls(tail, len(found.history)))
    if any(found.calls.get(tool_id, len(history)) < len(found.history) for tool_id, _ in ids):
        return False
    if not is_valid((_BEFORE, *tail)):
        return False
    for tool_id, position in ids:
        found.calls[tool_id] = min(position, found.calls.get(tool_id, position))
    _keep(_Known(history, profile, grown, found.calls))
    return True


def remember(history: History, profile: Profile) -> None:
    """Remember a history that was found valid, if one can grow from it."""
    if (
        history
        and history[-1].role == USER
        and not any(traits(message).found & _OPEN for message in history)
    ):
        size = sum(sums(message).bytes for message in history)
        _keep(_Known(history, profile, size, dict(_calls(history, 0))))


def _keep(known: _Known) -> None:
    if known.history[-1].role != USER:
        return
    key = (id(known.history[0]), id(known.history[-1]), hash(known.profile))
    _known[key] = known
    _known.move_to_end(key)
    while len(_known) > HISTORIES_MAX:
        _known.popitem(last=False)


def _longest(history: History, profile: Profile) -> _Known | None:
    best: _Known | None = None
    for known in reversed(tuple(_known.values())):
        length = len(known.history)
        if length > len(history) or (best and length <= len(best.history)):
            continue
        # The last message is compared first: most histories differ there.
        if (
            history[length - 1] is known.history[-1]
            and history[:length] == known.history
            and known.profile == profile
        ):
            best = known
    return best


def _calls(messages: History, start: int) -> Iterator[tuple[str, int]]:
    for number, message in enumerate(messages, start):
        for tool_id in traits(message).calls:
            yield tool_id, number
