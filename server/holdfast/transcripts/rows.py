"""Rows: what is remembered of one record of a Claude Code transcript.

Law: every field of the file is optional and may have any type; what has another type counts as not
there. A row holds nothing that grows with the words of its record. Unknown types with an id are
links of the chain, unknown types without one are nothing; neither is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holdfast.conversation.history import ASSISTANT, USER
from holdfast.transcripts.fields import mapping_field, text_field, text_or_none

SYNTHETIC_MODEL: Final = "<synthetic>"
SAID: Final = frozenset({USER, ASSISTANT})
BOUNDARY: Final = "compact_boundary"


class BlockEntry(msgspec.Struct, gc=False):
    """A block of a message, as far as a row needs it."""

    type: str | None = None
    id: str | None = None
    tool_use_id: str | None = None


class MessageEntry(msgspec.Struct, gc=False):
    """The `message` of a record, as far as a row needs it."""

    id: str | None = None
    model: str | None = None
    content: str | list[BlockEntry] | None = None


class AttachmentEntry(msgspec.Struct, gc=False):
    """The `attachment` of a record. Only queued prompts carry the user's words."""

    type: str | None = None
    prompt: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Entry(msgspec.Struct, gc=False, rename={"parent": "parentUuid", "session_id": "sessionId"}):
    """A record as it stands in the file, bodies that no row needs left unread."""

    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    parent: str | msgspec.UnsetType | None = msgspec.UNSET
    session_id: str | None = None
    timestamp: str | None = None
    version: str | None = None
    cwd: str | None = None
    message: MessageEntry | None = None
    attachment: AttachmentEntry | None = None
    isSidechain: bool | None = None  # noqa: N815 - the file's own names
    isApiErrorMessage: bool | None = None  # noqa: N815
    isCompactSummary: bool | None = None  # noqa: N815
    isMeta: bool | None = None  # noqa: N815
    apiBlockIndex: int | None = None  # noqa: N815
    logicalParentUuid: str | None = None  # noqa: N815
    compactMetadata: Any = None  # noqa: N815
    customTitle: str | None = None  # noqa: N815
    aiTitle: str | None = None  # noqa: N815
    summary: str | None = None
    leafUuid: str | None = None  # noqa: N815
    todos: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Boundary(msgspec.Struct, frozen=True, gc=False):
    """What a compaction kept: messages by their ids, or by the ends of a stretch of the chain."""

    logical_parent: str | None
    preserved: tuple[str, ...]
    segment: tuple[str, str] | None


class Row(msgspec.Struct, gc=False):
    """A record of the file: where it stands, what it is, and what hangs it into the tree.

    `line` counts from 1; `start` and `stop` are the byte offsets of its line, `piece` its place
    among the records of that line. `key` is the record's own id, made unique, or `line:<n>`; it is
    empty for bookkeeping. `twice` says that the same record stands earlier in the file, `trackless`
    that it does not say whether it is a sub-agent's.
    `tool_ids` are the ids of its calls, or those that its results answer.
    """

    line: int
    start: int
    stop: int
    piece: int
    type: str
    key: str
    uuid: str
    parent: str
    session_id: str
    timestamp: str
    rooted: bool
    sidechain: bool
    subtype: str = ""
    role: str = ""
    message_id: str = ""
    model: str = ""
    left_out: bool = False
    is_summary: bool = False
    is_meta: bool = False
    twice: bool = False
    trackless: bool = False
    has_todos: bool = False
    block_index: int | None = None
    boundary: Boundary | None = None
    tool_ids: tuple[str, ...] = ()

    @property
    def speaks(self) -> bool:
        """Say whether the record is part of what the model saw."""
        return bool(self.role) and not self.left_out

    @property
    def calls(self) -> tuple[str, ...]:
        """The ids of its `tool_use` blocks."""
        return self.tool_ids if self.role == ASSISTANT else ()

    @property
    def answers(self) -> tuple[str, ...]:
        """The ids that its `tool_result` blocks answer."""
        return self.tool_ids if self.role == USER else ()

    @property
    def is_boundary(self) -> bool:
        """Say whether a compaction begins a new tree here."""
        return self.boundary is not None

    @property
    def is_attachment(self) -> bool:
        """Say whether it is context that was put beside a prompt; with a role, a queued prompt."""
        return self.type == "attachment"

    @property
    def logical_parent(self) -> str | None:
        """The last record before a compaction."""
        return self.boundary.logical_parent if self.boundary else None

    @property
    def preserved(self) -> tuple[str, ...]:
        """The ids that a compaction kept, in order."""
        return self.boundary.preserved if self.boundary else ()

    @property
    def segment(self) -> tuple[str, str] | None:
        """The first and the last id of the stretch that a compaction kept."""
        return self.boundary.segment if self.boundary else None


class Names(dict[str | None, str]):
    """Strings that many rows share, each kept once; no string is the empty one."""

    def __init__(self) -> None:
        super().__init__({None: "", "": ""})

    def __missing__(self, name: str) -> str:
        self[name] = name
        return name


def row(entry: Entry, names: Names, line: int, start: int, stop: int, piece: int) -> Row:
    """Return the row of a record that stands on a line, as one of its pieces."""
    kind = entry.type or ""
    said = kind in SAID
    uuid = names[entry.uuid]
    parent = entry.parent
    made = Row(
        line,
        start,
        stop,
        piece,
        names[kind],
        uuid or (_nameless(line, piece) if said else ""),
        uuid,
        names[parent] if parent else "",
        names[entry.session_id],
        entry.timestamp or "",
        parent is None,
        entry.isSidechain is True,
    )
    if entry.isSidechain is None:
        made.trackless = True
    if entry.subtype:
        made.subtype = names[entry.subtype]
    if said:
        _add_message(made, entry, names)
    elif uuid and kind == "attachment":
        _add_prompt(made, entry.attachment)
    elif uuid and kind == "system" and entry.subtype == BOUNDARY:
        made.boundary = _boundary(entry)
    if made.key and isinstance(entry.todos, msgspec.Raw):
        made.has_todos = bytes(entry.todos).startswith(b"[")
    return made


def _nameless(line: int, piece: int) -> str:
    return f"line:{line}.{piece}" if piece else f"line:{line}"


def _add_message(made: Row, entry: Entry, names: Names) -> None:
    made.role = made.type
    message = entry.message or _NO_MESSAGE
    model, content = message.model, message.content
    wanted = "tool_result"
    if made.role == ASSISTANT:
        wanted = "tool_use"
        made.message_id = names[message.id]
    if model == SYNTHETIC_MODEL or entry.isApiErrorMessage:
        made.left_out = True
    if model and model != SYNTHETIC_MODEL:
        made.model = names[model]
    if entry.isCompactSummary:
        made.is_summary = not _is_blank(content)
    if entry.isMeta:
        made.is_meta = True
    made.block_index = entry.apiBlockIndex
    if isinstance(content, list):
        found = [block for block in content if block.type == wanted]
        if found:
            ids = [b.id if wanted == "tool_use" else b.tool_use_id for b in found]
            made.tool_ids = tuple([tool_id for tool_id in ids if tool_id is not None])


def _is_blank(content: str | list[BlockEntry] | None) -> bool:
    return not content or (isinstance(content, str) and content.isspace())


def _add_prompt(made: Row, attachment: AttachmentEntry | None) -> None:
    """A prompt typed while a turn ran is the user's own words; other attachments are context."""
    if attachment is None or attachment.type != "queued_command":
        return
    if isinstance(attachment.prompt, msgspec.Raw) and bytes(attachment.prompt) not in _NO_PROMPT:
        made.role = USER


def _boundary(entry: Entry) -> Boundary:
    metadata = entry.compactMetadata if isinstance(entry.compactMetadata, Mapping) else {}
    uuids = mapping_field(metadata, "preservedMessages").get("uuids")
    segment = mapping_field(metadata, "preservedSegment")
    head, tail = text_field(segment, "headUuid"), text_field(segment, "tailUuid")
    return Boundary(
        entry.logicalParentUuid or None,
        tuple(u for u in uuids if isinstance(u, str)) if isinstance(uuids, list) else (),
        (head, tail) if head and tail else None,
    )


def entry_of(record: Mapping[str, Any]) -> Entry:
    """Read a record whose fields may have any type."""
    attachment = mapping_field(record, "attachment")
    message = mapping_field(record, "message")
    prompted = bool(attachment.get("prompt"))
    made = Entry(
        message=MessageEntry(
            text_or_none(message, "id"), text_or_none(message, "model"), _block_entries(message)
        ),
        attachment=AttachmentEntry(
            text_or_none(attachment, "type"), msgspec.Raw(b"1" if prompted else b"null")
        ),
        compactMetadata=record.get("compactMetadata"),
    )
    parent = record.get("parentUuid", 0)
    if parent is None or isinstance(parent, str):
        made.parent = parent
    for name in _TEXTS:
        setattr(made, name, text_field(record, _FILE_NAMES.get(name, name)))
    for name in _FLAGS:
        setattr(made, name, record.get(name) is True)
    if not isinstance(record.get("isSidechain"), bool):
        made.isSidechain = None
    index = record.get("apiBlockIndex")
    made.apiBlockIndex = index if isinstance(index, int) else None
    if isinstance(record.get("todos"), list):
        made.todos = msgspec.Raw(b"[]")
    return made


def _block_entries(message: Mapping[str, Any]) -> str | list[BlockEntry]:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return [
        BlockEntry(*(text_or_none(item, name) for name in ("type", "id", "tool_use_id")))
        for item in (content if isinstance(content, list) else ())
        if isinstance(item, Mapping)
    ]


def content_of(record: Mapping[str, Any]) -> Any:
    """Return what a message, or a prompt that was queued, says: a string, blocks, or anything."""
    if record.get("type") == "attachment":
        return mapping_field(record, "attachment").get("prompt")
    message = record.get("message")
    return message.get("content") if isinstance(message, Mapping) else message


_NO_MESSAGE: Final = MessageEntry()
_NO_PROMPT: Final = frozenset({b"null", b'""', b"[]", b"{}", b"0", b"false"})
_FILE_NAMES: Final = {"session_id": "sessionId"}
_TEXTS: Final = (
    "type", "subtype", "uuid", "session_id", "timestamp", "version", "cwd", "logicalParentUuid",
    "customTitle", "aiTitle", "summary", "leafUuid",
)  # fmt: skip
_FLAGS: Final = ("isSidechain", "isApiErrorMessage", "isCompactSummary", "isMeta")
