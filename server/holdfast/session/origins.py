"""Where the messages of a record stand in a history.

Law: a record is looked for by its name, never by a position; where a repair has left nothing of it,
its place is still known, for records are numbered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.conversation.history import Message


def index_of(messages: Iterable[Message], origin: str) -> int | None:
    """Return the index of the first message that comes from the record `origin`."""
    return next((i for i, message in enumerate(messages) if message.origin == origin), None)


def last_index_of(messages: Sequence[Message], origin: str) -> int:
    """Return the index of the last message that comes from the record `origin`, or -1."""
    if not origin:
        return -1
    indices = range(len(messages) - 1, -1, -1)
    return next((index for index in indices if messages[index].origin == origin), -1)


def standing(origin: str) -> tuple[int, str]:
    """Return where a record stands: by its number, results after the calls they answer."""
    number, _, part = origin.partition(".")
    return (int(number) if number.isdigit() else 0), part


def first_from(messages: Sequence[Message], origin: str) -> int:
    """Return the index of the first message that comes from the record `origin`, or, where a repair
    has left nothing of that one, from a later record.
    """
    found = index_of(messages, origin)
    if found is not None:
        return found
    place = standing(origin)
    later = (i for i, message in enumerate(messages) if standing(message.origin) > place)
    return next(later, len(messages))


def end_of(messages: Sequence[Message], origin: str) -> int:
    """Return the index behind the last message of the record `origin`, or, where nothing is left of
    that one, of an earlier record; 0 without an origin.
    """
    if not origin:
        return 0
    found = last_index_of(messages, origin)
    return found + 1 if found >= 0 else first_from(messages, origin)
