"""Reading a session of Claude Code: `~/.claude/projects/<folder>/<session>.jsonl`.

Law: one streaming pass, no writing, no exception for any content; only the file system may fail.
What comes out is what the model would have been shown next, as it stands: repairing it is another
step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from holdfast.conversation.history import (
    ASSISTANT,
    USER,
    Block,
    Message,
    blocks_from_content,
)
from holdfast.transcripts import branch, chain
from holdfast.transcripts.imported import ImportedHistory, Note
from holdfast.transcripts.lines import Found, read_objects
from holdfast.transcripts.records import Record, record, text_field
from holdfast.transcripts.todos import todos_of

FORMAT: Final = "claude-code"


@attrs.define
class _About:
    """What the bookkeeping of a file says about its session."""

    versions: dict[str, None] = attrs.field(factory=dict)
    session_id: str = ""
    cwd: str = ""
    titles: dict[str, str] = attrs.field(factory=dict)
    summaries: list[tuple[str, str]] = attrs.field(factory=list)
    leaf: tuple[int, str] | None = None
    entries: int = 0

    def take(self, found: Found) -> None:
        """Note what one entry says."""
        value = found.value
        self.entries += 1
        if version := text_field(value, "version"):
            self.versions[version] = None
        self.session_id = text_field(value, "sessionId") or self.session_id
        self.cwd = text_field(value, "cwd") or self.cwd
        for kind, name in (("custom-title", "customTitle"), ("ai-title", "aiTitle")):
            if value.get("type") == kind and text_field(value, name):
                self.titles[kind] = text_field(value, name)
        if value.get("type") == "summary" and text_field(value, "summary"):
            self.summaries.append((text_field(value, "leafUuid"), text_field(value, "summary")))
        if value.get("type") == "last-prompt" and text_field(value, "leafUuid"):
            self.leaf = (found.line, text_field(value, "leafUuid"))

    def title(self, known: Mapping[str, Record]) -> str:
        """Return the name of the session: a person's, the program's, or an old summary."""
        own = [summary for leaf, summary in self.summaries if leaf in known]
        named = self.titles.get("custom-title") or self.titles.get("ai-title")
        return named or (own[-1] if own else "")


def read(path: Path) -> ImportedHistory:
    """Read a transcript. Raises `OSError` when the file cannot be read, and nothing else."""
    with path.open("rb") as stream:
        return read_stream(stream)


def read_stream(stream: BinaryIO) -> ImportedHistory:
    """Read a transcript from an open binary file."""
    notes: list[Note] = []
    about = _About()
    records: list[Record] = []
    for found in read_objects(stream, notes):
        about.take(found)
        link = record(found)
        if link is not None:
            records.append(link)
    linked = chain.build(records, notes)
    active = _active(linked, about.leaf, notes)
    messages = tuple(_messages(active))
    return ImportedHistory(
        format=FORMAT,
        versions=tuple(about.versions),
        session_id=about.session_id,
        title=about.title(linked.by_key),
        cwd=about.cwd,
        model=_model(active),
        messages=messages,
        todos=todos_of(messages, (r.found.value for r in linked.records)),
        notes=tuple(notes),
        entries=about.entries,
    )


def _active(
    linked: chain.Chain, leaf: tuple[int, str] | None, notes: list[Note]
) -> list[tuple[branch.Name, list[Record]]]:
    """Return the nodes of the active branch with their records, in the order they were said."""
    left_out = sum(record.left_out for record in linked.records)
    if left_out:
        notes.append(Note("left out", f"{left_out} error messages that the model never said"))
    tree = branch.grow(linked)
    tip = branch.tip(tree, linked, leaf)
    if tip is None:
        return []
    path = branch.with_answers(tree, branch.path_to(tree, linked, tip, notes))
    return [(name, tree.nodes[name]) for name in path]


def _messages(active: Iterable[tuple[branch.Name, list[Record]]]) -> Iterator[Message]:
    for name, records in active:
        if name[0] == "message":
            blocks = tuple(_joined(records))
            if blocks:
                yield Message(ASSISTANT, blocks, records[0].key)
            continue
        for each in records:
            blocks = blocks_from_content(each.content)
            if blocks:
                yield Message(ASSISTANT if each.role == ASSISTANT else USER, blocks, each.key)


def _joined(pieces: Sequence[Record]) -> Iterator[Block]:
    """Join the pieces of one API message; a piece that stands twice is one piece."""
    if all(piece.block_index is not None for piece in pieces):
        pieces = sorted(pieces, key=lambda piece: piece.block_index or 0)
    seen: set[Block] = set()
    for piece in pieces:
        for block in blocks_from_content(piece.content):
            if block not in seen or block.type == "text":
                yield block
            seen.add(block)


def _model(active: Sequence[tuple[branch.Name, list[Record]]]) -> str:
    models = (each.model for _, records in reversed(active) for each in reversed(records))
    return next(filter(None, models), "")
