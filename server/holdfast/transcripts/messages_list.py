"""Reading a plain list of Messages API messages, as agents and scripts keep them.

Law: three spellings of one thing: a JSON array, an object with `messages`, one message a line. A
file that a crash cut off in the middle gives all messages that are whole, and a note about the
rest (D20); no content raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from holdfast.conversation import encoding
from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, Message, from_wire
from holdfast.transcripts.fields import text_field
from holdfast.transcripts.imported import ImportedHistory, Note
from holdfast.transcripts.lines import Found, read_objects, value_at
from holdfast.transcripts.todos import todos_of

FORMAT: Final = "messages"
BYTES_MAX: Final = 512 * 1024 * 1024
"""A larger document is read as far as this; its last messages are then a note."""
TORN_MAX: Final = 1_000
"""Behind so many torn places a document is not searched for whole messages any more."""
HEAD_BYTES: Final = 64 * 1024
"""How much of a file is looked at to tell a document from lines."""
ROLES: Final = frozenset({USER, ASSISTANT, SYSTEM})

_BOM: Final = "\ufeff"
_MESSAGE: Final = re.compile(r'\{\s*"(?:role|content)"\s*:')
_LIST: Final = re.compile(r'\A\s*(?:\[|\{[^\[{]*"messages"\s*:\s*\[)')
_MESSAGES: Final = re.compile(r'"messages"\s*:\s*\[')
_BETWEEN: Final = re.compile(r"[\s,]*")


def recognises(record: Mapping[str, Any]) -> bool:
    """Say whether an object is a message, or holds a list of them."""
    if isinstance(record.get("messages"), list):
        return True
    return text_field(record, "role") in ROLES and "content" in record and "uuid" not in record


def is_document(head: str) -> bool:
    """Say whether a file that begins with these characters is one JSON document of messages."""
    return bool(_LIST.match(head) or (head.startswith("{") and _MESSAGES.search(head)))


def read(path: Path) -> ImportedHistory:
    """Read a list of messages. Raises `OSError` when the file cannot be read, and nothing else."""
    with path.open("rb") as stream:
        return read_stream(stream)


def read_stream(stream: BinaryIO) -> ImportedHistory:
    """Read a list of messages from an open binary file."""
    notes: list[Note] = []
    about: dict[str, Any] = {}
    head = stream.read(HEAD_BYTES).decode(errors="replace").replace("\0", "")
    head = head.removeprefix(_BOM).lstrip()
    stream.seek(0)
    found = [] if _LIST.match(head) else list(_lines(stream, notes, about))
    if not found and head.startswith(("[", "{")):
        stream.seek(0)
        notes.clear()
        found = list(_document(stream, notes, about))
    messages = tuple(_messages(found))
    return ImportedHistory(
        format=FORMAT,
        session_id=text_field(about, "id"),
        title=text_field(about, "title"),
        cwd=text_field(about, "cwd"),
        model=text_field(about, "model"),
        messages=messages,
        todos=todos_of(messages, ()),
        notes=tuple(notes),
        entries=len(found),
    )


def _lines(stream: BinaryIO, notes: list[Note], about: dict[str, Any]) -> Iterator[Found]:
    """Yield the messages of a file that has one object a line."""
    for found in read_objects(stream, notes, is_record=recognises):
        value = found.value
        if isinstance(value.get("messages"), list):
            about.update({key: item for key, item in value.items() if key != "messages"})
            for item in value["messages"]:
                yield from _taken(found, item, notes)
        else:
            yield from _taken(found, value, notes)


def _taken(place: Found, value: Any, notes: list[Note]) -> Iterator[Found]:
    wrapped = value.get("message") if isinstance(value, Mapping) else None
    value = wrapped if isinstance(wrapped, Mapping) and "role" not in value else value
    if isinstance(value, dict) and "role" in value:
        yield Found(place.line, place.start, place.stop, value)
    else:
        notes.append(
            Note("unread", "something that is no message", place.line, place.start, place.stop)
        )


def _document(stream: BinaryIO, notes: list[Note], about: dict[str, Any]) -> Iterator[Found]:
    """Yield the messages of one JSON document, whole or cut off."""
    raw = stream.read(BYTES_MAX)
    if stream.read(1):
        notes.append(Note("unread", f"what lies beyond {BYTES_MAX} bytes was not read"))
    try:
        value = encoding.decode(raw.removeprefix(_BOM.encode()))
    except (ValueError, RecursionError):
        yield from _salvaged(raw, notes)
        return
    if isinstance(value, Mapping):
        about.update({key: item for key, item in value.items() if key != "messages"})
        value = value.get("messages")
    whole = Found(1, 0, len(raw), {})
    for item in value if isinstance(value, list) else ():
        yield from _taken(whole, item, notes)


def _salvaged(raw: bytes, notes: list[Note]) -> Iterator[Found]:
    """Yield the messages that are whole in a document that is not."""
    said = raw.decode(errors="surrogateescape")  # so that bytes can be counted
    begin = _MESSAGES.search(said) if said.lstrip(_BOM + "\0 \r\n\t").startswith("{") else None
    position = begin.end() if begin else said.find("[") + 1
    place = _Place(said)
    torn = 0
    while position < len(said):
        between = _BETWEEN.match(said, position)
        position = between.end() if between else position
        if said[position : position + 1] in {"]", ""}:
            return
        value, end = value_at(said, position) if torn < TORN_MAX else (None, position)
        line, start = place.move_to(position)
        if end == position:
            torn += 1
            following = _MESSAGE.search(said, position + 1) if torn < TORN_MAX else None
            end = following.start() if following else len(said)
            what = f"a torn message: {end - position} characters could not be read"
            notes.append(Note("unread", what, line, start, place.move_to(end)[1]))
        else:
            yield from _taken(Found(line, start, place.move_to(end)[1], {}), value, notes)
        position = end


class _Place:
    """Where a character stands in the file: counted on from the last one that was asked for."""

    def __init__(self, said: str) -> None:
        self._said = said
        self._position = 0
        self._line = 1
        self._bytes = 0

    def move_to(self, position: int) -> tuple[int, int]:
        """Return the line, from 1, and the byte of a character that is not before the last one."""
        passed = self._said[self._position : position]
        self._position = position
        self._line += passed.count("\n")
        self._bytes += len(passed.encode(errors="surrogateescape"))
        return self._line, self._bytes


def _messages(found: list[Found]) -> Iterator[Message]:
    for number, (each, message) in enumerate(
        zip(found, from_wire(item.value for item in found), strict=True)
    ):
        if message.blocks:
            origin = text_field(each.value, "id") or f"message:{number}"
            yield Message(message.role, message.blocks, origin)
