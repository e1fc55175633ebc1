"""Reading a session of Claude Code: `~/.claude/projects/<folder>/<session>.jsonl`.

Law: no writing, no exception for any content; only the file system may fail. What comes out is what
the model would have been shown next, as it stands: repairing it is another step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from holdfast.transcripts import tree
from holdfast.transcripts.bodies import Bodies
from holdfast.transcripts.imported import ImportedHistory
from holdfast.transcripts.index import TranscriptIndex
from holdfast.transcripts.todos import todos_of

FORMAT: Final = "claude-code"


def read(path: Path) -> ImportedHistory:
    """Read a transcript. Raises `OSError` when the file cannot be read, and nothing else."""
    with path.open("rb") as stream:
        return read_stream(stream)


def read_stream(stream: BinaryIO) -> ImportedHistory:
    """Read a transcript from an open binary file that can seek."""
    index = TranscriptIndex.of_stream(stream)
    bodies = Bodies(stream)
    found = tree.branch(index)
    messages = tuple(said.message for said in tree.messages(found.nodes, bodies.blocks))
    return ImportedHistory(
        format=FORMAT,
        versions=tuple(index.about.versions),
        session_id=index.about.session_id,
        title=index.about.title(found.known),
        cwd=index.about.cwd,
        model=found.model,
        messages=messages,
        todos=todos_of(messages, _lists(found, bodies)),
        notes=(*index.notes, *found.notes),
        entries=len(index.rows),
    )


def _lists(found: tree.Branch, bodies: Bodies) -> Iterator[Mapping[str, Any]]:
    """Yield the last record that carries a task list."""
    rows = [row for row in found.known.values() if row.has_todos]
    return (bodies.record(row) for row in rows[-1:])
