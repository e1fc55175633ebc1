"""One entry of a Claude Code transcript, reduced to what a reader needs.

Law: every field of the file is optional and may have any type. Unknown types with an id are links
of the chain, unknown types without one are nothing; neither is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from holdfast.transcripts.lines import Found

SYNTHETIC_MODEL: Final = "<synthetic>"


@attrs.frozen(eq=False)
class Record:
    """A link of the chain: a message (`role` is set), a boundary, or something to look through."""

    found: Found
    key: str
    parent: str | None
    rooted: bool
    role: str = ""
    content: Any = None
    message_id: str = ""
    sidechain: bool = False
    left_out: bool = False
    is_summary: bool = False
    is_boundary: bool = False
    logical_parent: str | None = None
    preserved: tuple[str, ...] = ()
    segment: tuple[str, str] | None = None
    model: str = ""
    block_index: int | None = None

    @property
    def line(self) -> int:
        """The line of the file, from 1."""
        return self.found.line

    @property
    def speaks(self) -> bool:
        """Say whether the record is part of what the model saw."""
        return bool(self.role) and not self.left_out


def text_field(value: Mapping[str, Any], name: str) -> str:
    """Return a field when it is a string, else ""."""
    field = value.get(name)
    return field if isinstance(field, str) else ""


def mapping_field(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field when it is an object, else an empty one."""
    field = value.get(name)
    return field if isinstance(field, Mapping) else {}


def record(found: Found) -> Record | None:
    """Return an entry as a link of the chain, or None when it is bookkeeping."""
    value = found.value
    kind = text_field(value, "type")
    said = kind in {"user", "assistant"}
    key = text_field(value, "uuid")
    if not key and not said:
        return None
    parent = text_field(value, "parentUuid") or None
    link = Record(
        found=found,
        key=key or f"line:{found.line}",
        parent=parent,
        rooted=parent is None and "parentUuid" in value,
        sidechain=value.get("isSidechain") is True,
    )
    if said:
        return _message(link, value, kind)
    if kind == "attachment":
        return _attachment(link, mapping_field(value, "attachment"))
    if kind == "system" and value.get("subtype") == "compact_boundary":
        return _boundary(link, value)
    return link


def _message(link: Record, value: Mapping[str, Any], kind: str) -> Record:
    message = mapping_field(value, "message")
    model = text_field(message, "model")
    index = value.get("apiBlockIndex")
    return attrs.evolve(
        link,
        role=kind,
        content=message.get("content") if message else value.get("message"),
        message_id=text_field(message, "id") if kind == "assistant" else "",
        left_out=value.get("isApiErrorMessage") is True or model == SYNTHETIC_MODEL,
        is_summary=value.get("isCompactSummary") is True,
        model=model if model != SYNTHETIC_MODEL else "",
        block_index=index if isinstance(index, int) else None,
    )


def _attachment(link: Record, attachment: Mapping[str, Any]) -> Record:
    """A prompt typed while a turn ran is the user's own words; other attachments are context."""
    prompt = attachment.get("prompt")
    if attachment.get("type") != "queued_command" or not prompt:
        return link
    return attrs.evolve(link, role="user", content=prompt)


def _boundary(link: Record, value: Mapping[str, Any]) -> Record:
    """A compaction keeps messages by their ids, or by the ends of a stretch of the chain."""
    metadata = mapping_field(value, "compactMetadata")
    uuids = mapping_field(metadata, "preservedMessages").get("uuids")
    segment = mapping_field(metadata, "preservedSegment")
    head, tail = text_field(segment, "headUuid"), text_field(segment, "tailUuid")
    return attrs.evolve(
        link,
        is_boundary=True,
        logical_parent=text_field(value, "logicalParentUuid") or None,
        preserved=tuple(u for u in uuids if isinstance(u, str)) if isinstance(uuids, list) else (),
        segment=(head, tail) if head and tail else None,
    )
