"""A check of any transcript: Claude Code's by its own rules, others by what their reader says.

Law: nothing is raised but `OSError`, and nothing is written. What an import mends by itself is a
warning; what could not be read is an error, because an import would be without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdfast.conversation.history import History
from holdfast.conversation.rules import validate
from holdfast.transcripts import findings, formats
from holdfast.transcripts.findings import UNDECIDED, Finding, Report, Severity
from holdfast.transcripts.imported import ImportedHistory
from holdfast.transcripts.sparse import NEXT
from holdfast.transcripts.wording import said_of

_TORN: Final = {"codex": "D06", "messages": "D20"}
_NOTE: Final = "note"


def check(path: Path) -> Report | None:
    """Say what is wrong with a file; None when it is no transcript that we know.

    Raises `OSError` when it cannot be read.
    """
    reader = formats.recognised(path)
    if reader is None or reader is formats.CLAUDE_CODE:
        report = findings.check(path)
        return report if reader is not None or report.messages else None
    read = reader.read(path)
    return Report(
        path=path,
        format=read.format,
        version=next(reversed(read.versions), ""),
        entries=read.entries,
        messages=len(read.messages),
        findings=findings_of(read),
    )


def findings_of(read: ImportedHistory) -> tuple[Finding, ...]:
    """Return what is wrong with a session of a format that is not Claude Code's, by line."""
    found = [*_of_notes(read), *_of_grammar(read.messages)]
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.rule)))


def _of_notes(read: ImportedHistory) -> Iterator[Finding]:
    for note in read.notes:
        unread = note.kind == "unread"
        yield Finding(
            rule=_TORN.get(read.format, "D06") if unread else _NOTE,
            severity=Severity.ERROR if unread else Severity.INFORMATION,
            line=note.line,
            start=note.start,
            stop=note.stop,
            message=note.text,
            repair="is not imported; the file keeps it" if unread else "needs no repair",
        )


def _of_grammar(messages: History) -> Iterator[Finding]:
    for found in validate((*messages, NEXT)):
        if found.rule in UNDECIDED:
            continue
        at = found.message
        origin = messages[at].origin if at is not None and at < len(messages) else ""
        line = origin.removeprefix("line:")
        yield Finding(
            rule=found.rule,
            severity=Severity.WARNING,
            line=int(line) if origin.startswith("line:") else 0,
            start=0,
            stop=0,
            message=said_of(found),
            repair="is mended when it is imported",
        )
