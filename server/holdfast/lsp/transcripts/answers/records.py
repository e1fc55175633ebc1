"""A record as it is told to a person: the few fields that answers speak of.

Law: every field may be missing or of another type; then nothing is said of it. What the file says
is a stranger's: it is shown as words, never as markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.positions import Places
    from holdfast.transcripts.findings import Finding
    from holdfast.transcripts.rows import Row

LABEL_CHARS: Final = 80
_UNREAD: Final = msgspec.Raw()


class Block(msgspec.Struct, gc=False):
    """A block of a message."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    text: str | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None
    input: msgspec.Raw = _UNREAD


class Call(msgspec.Struct, gc=False):
    """A call of a message, its other fields left unread."""

    type: str | None = None
    name: str | None = None
    input: msgspec.Raw = _UNREAD


class Arguments(msgspec.Struct, gc=False):
    """The arguments of a call that say what it is about, the best first, whatever their types."""

    description: msgspec.Raw = _UNREAD
    command: msgspec.Raw = _UNREAD
    file_path: msgspec.Raw = _UNREAD
    path: msgspec.Raw = _UNREAD
    pattern: msgspec.Raw = _UNREAD
    query: msgspec.Raw = _UNREAD
    url: msgspec.Raw = _UNREAD
    prompt: msgspec.Raw = _UNREAD
    subject: msgspec.Raw = _UNREAD


class Usage(msgspec.Struct, gc=False):
    """What a request cost, in tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    @property
    def sent(self) -> int:
        """All tokens of the request, from the cache or not."""
        return (self.input_tokens or 0) + self.from_cache + (self.cache_creation_input_tokens or 0)

    @property
    def from_cache(self) -> int:
        """The tokens that the cache had."""
        return self.cache_read_input_tokens or 0


class Message(msgspec.Struct, gc=False):
    """The message of a record."""

    model: str | None = None
    usage: Usage | None = None
    content: str | list[Block] | None = None

    @property
    def blocks(self) -> list[Block]:
        """The blocks of the message; a plain text is one."""
        if isinstance(self.content, str):
            return [Block(type="text", text=self.content)]
        return self.content or []


class Record(msgspec.Struct, gc=False):
    """A record of a transcript."""

    message: Message = msgspec.field(default_factory=Message)


_WORD: Final = re.compile("[a-z]+ ")
_decode: Final = msgspec.json.Decoder(Record).decode
_arguments: Final = msgspec.json.Decoder(Arguments).decode
_text: Final = msgspec.json.Decoder(str).decode


class Calls(msgspec.Struct, gc=False):
    """The calls of a record, everything else left unread."""

    class Message(msgspec.Struct, gc=False):
        """The message of a record, of which only the calls are wanted."""

        content: list[Call] = []

    message: Message = msgspec.field(default_factory=Message)


_decode_calls: Final = msgspec.json.Decoder(Calls).decode


class Usages(msgspec.Struct, gc=False):
    """The usage of a record, everything else left unread."""

    class Message(msgspec.Struct, gc=False):
        """The message of a record, of which only the usage is wanted."""

        usage: Usage | None = None

    message: Message | None = None


_decode_usage: Final = msgspec.json.Decoder(Usages).decode


def record_of(places: Places, row: Row) -> Record:
    """Read what is told of a record; an empty one when it has fields of other types."""
    try:
        return _decode(places.bodies.raw(row))
    except (ValueError, RecursionError):
        pass  # a damaged line, or one with fields of other types
    try:
        return msgspec.convert(places.bodies.record(row), Record)
    except (ValueError, RecursionError):
        return Record()


def usage_of(places: Places, row: Row) -> Usage | None:
    """Return what the request behind a record cost, if the record says so."""
    try:
        message = _decode_usage(places.bodies.raw(row)).message
    except (ValueError, RecursionError):
        return None
    return message.usage if message is not None else None


def calls_of(places: Places, row: Row) -> list[Call]:
    """Return the calls of a record."""
    try:
        found = _decode_calls(places.bodies.raw(row)).message.content
    except (ValueError, RecursionError):
        found = [
            Call(block.type, block.name, block.input)
            for block in record_of(places, row).message.blocks
        ]
    return [call for call in found if call.type == "tool_use"]


def about(given: msgspec.Raw) -> str:
    """Say in a few words what a call is about; empty when no argument says it."""
    try:
        for argument in msgspec.structs.astuple(_arguments(given)):
            if bytes(argument).startswith(b'"'):
                return label(_text(argument))
    except (ValueError, RecursionError):
        pass  # the arguments are no object
    return ""


def label(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = clean(" ".join(text[: LABEL_CHARS * 4].split()))
    return line if len(line) <= LABEL_CHARS else f"{line[: LABEL_CHARS - 1]}…"


def clean(text: str) -> str:
    """Return a text without lone surrogates, which cannot be sent."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def size(count: int) -> str:
    """Say how many bytes something has."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} KB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def tokens(count: int) -> str:
    """Say how many tokens something has, shortly."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def sentence(finding: Finding) -> str:
    """Say what is wrong, and what a repair does about it."""
    said = clean(finding.message).rstrip(".")
    if _WORD.match(said):  # and no path of the API's, like `messages.5`
        said = said[0].upper() + said[1:]
    return f"{said}. Repair: {clean(finding.repair)}."


def kind(row: Row) -> str:
    """Say what a record is."""
    if row.is_boundary:
        return "Compaction"
    if row.is_summary:
        return "Summary of a compaction"
    if row.left_out:
        return "Error message that the model never said"
    if row.role == "assistant":
        return "Tool call" if row.calls else "Answer"
    if row.is_attachment and row.role:
        return "Prompt, queued while a turn ran"
    if row.role == "user":
        return "Tool result" if row.answers else "Note to the model" if row.is_meta else "Prompt"
    return f"Bookkeeping ({row.type or 'no type'}{f', {row.subtype}' if row.subtype else ''})"
