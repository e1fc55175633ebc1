"""What is wrong with a transcript of Claude Code, line by line, and how each thing is mended.

Law: nothing is raised but `OSError`, and nothing is written. A finding names a rule of the API's
grammar (R33, A05 ...) or a class of damage (D01 ...) and a line. Its severity is decided by what
the newest Claude Code (2.1.330) makes of the file as it stands:

- error: its request is refused, or it goes on without something that was said;
- warning: it mends that by itself each time (a call without its result, also at the very end of a
  file that was copied in the middle of a session; a blank text in a record of its own beside
  others; a parent that is nowhere in the file; thinking that the API cannot check), or nobody
  can: the beginning of the session is gone;
- information: nothing is wrong.

A file is healthy when it has no error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import attrs

from holdfast.conversation import findings as grammar
from holdfast.conversation.history import ASSISTANT
from holdfast.conversation.rules.blanks import is_blank
from holdfast.transcripts.imported import Note
from holdfast.transcripts.index import Progress
from holdfast.transcripts.opened import Opened, Said, open_transcript
from holdfast.transcripts.rows import Row
from holdfast.transcripts.sparse import Sparse
from holdfast.transcripts.wording import said_of

FORMAT: Final = "claude-code"
MENDED_BY_CLAUDE_CODE: Final = frozenset({"R5", "R22", "R39", "R40", "R71", "R71a", "R71c"})
"""Rules whose breach the newest Claude Code mends by itself, before or after a refusal."""
UNDECIDED: Final = frozenset({"R68"})
"""Rules that depend on what else is in the request, so a file alone cannot break them."""

LINE_RULES: Final = frozenset({"D05", "D06", "D07", "D17"})
"""Damage to a line: it is written anew with what could be read of it."""

KNOWN_TYPES: Final = frozenset(
    {
        "agent-color", "agent-name", "ai-title", "api-request", "api-request-blob",
        "api-request-shape", "assistant", "atis-latch", "attachment", "bridge-session",
        "cost-state", "custom-title", "file-history-snapshot", "last-prompt", "mode",
        "permission-mode", "pr-link", "progress", "queue-operation", "summary", "system", "tag",
        "tools-used", "user",
    }
)  # fmt: skip
"""The types of records that Claude Code is known to write, 1.0 to 2.1. Others are newer (D23)."""

NAME_CHARS: Final = 60
"""How much of a name from the file is quoted."""

LEFT: Final = "is left as it is"
"""What is said of a finding that no repair changes anything about."""
TO_COMPACT: Final = "is left as it is: the session has to be compacted"
UNMENDED: Final = frozenset({LEFT, TO_COMPACT})
"""What is said of findings that stay."""
MENDED: Final = "is mended so that the API takes it"
_TOO_LONG: Final = "was set aside"


class Severity(StrEnum):
    """How bad a finding is; see this module's law."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@attrs.frozen
class Finding:
    """Something about a file. `line` counts from 1 (0: the whole file), `start` and `stop` are
    byte offsets in the file, `related` are other lines that it is about. `repair` says in words
    what a repair does about it.
    """

    rule: str
    severity: Severity
    line: int
    start: int
    stop: int
    message: str
    repair: str
    related: tuple[int, ...] = ()


@attrs.frozen
class Report:
    """What `check` found in a file. `entries` counts its records, `messages` the active branch."""

    path: Path
    format: str
    version: str
    entries: int
    messages: int
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Say whether the newest Claude Code goes on with the whole of it as it stands."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def check(path: Path, *, progress: Progress | None = None) -> Report:
    """Say what is wrong with a file. Raises `OSError` when it cannot be read.

    What `progress` raises is passed on.
    """
    with open_transcript(path, progress=progress) as opened:
        return report_of(opened)


def report_of(opened: Opened, sparse: Sparse | None = None) -> Report:
    """Say what is wrong with a transcript that is open; `sparse` is its branch, when it is there.

    Raises `OSError`.
    """
    found = [finding for part in report_parts(opened, sparse) for finding in part]
    return Report(
        path=opened.path,
        format=FORMAT,
        version=opened.version,
        entries=len(opened.rows),
        messages=len(opened.said),
        findings=tuple(sorted(found, key=lambda finding: (finding.line, finding.rule))),
    )


def report_parts(opened: Opened, sparse: Sparse | None = None) -> Iterator[tuple[Finding, ...]]:
    """Yield what is wrong with the lines, then with the chain, then what the grammar says.

    Raises `OSError`.
    """
    yield tuple(_of_lines(opened))
    yield (*_of_chain(opened), *_beginnings(opened), *_remarks(opened))
    yield tuple(_of_grammar(opened, sparse or Sparse(opened))) if opened.said else ()


# -- lines -----------------------------------------------------------------------------------------


def _of_lines(opened: Opened) -> Iterator[Finding]:
    """Yield what is wrong with the file's lines as JSON Lines (D05-D07, D17)."""
    by_line: dict[int, list[Note]] = defaultdict(list)
    for note in opened.notes:
        if note.line:
            by_line[note.line].append(note)
    pieces = Counter(row.line for row in opened.rows)
    for line, notes in by_line.items():
        first = notes[0]
        rule, repaired = _line_damage(opened, first, notes, pieces[line])
        harmless = pieces[line] == 1 and opened.is_plain_json(first)
        yield Finding(
            rule,
            Severity.WARNING if harmless else Severity.ERROR,
            line,
            first.start,
            first.stop,
            "; ".join(note.text for note in notes),
            repaired,
        )


def _line_damage(
    opened: Opened, first: Note, notes: Sequence[Note], pieces: int
) -> tuple[str, str]:
    if any(_TOO_LONG in note.text for note in notes):
        return "D17", "is set aside; the file as it was keeps it"
    if b"\0" in opened.line(first.start, first.stop):
        return "D05", "the zero bytes go; what else stands on the line is kept"
    if any(note.kind == "unread" for note in notes) and first.stop == opened.size and not pieces:
        return "D07", "the torn record is set aside; the file as it was keeps it"
    if pieces > 1:
        return "D06", "each record gets a line of its own"
    if pieces == 1:
        return "D06", "the record on it gets a clean line"
    return "D06", "is set aside; the file as it was keeps it"


# -- the chain -------------------------------------------------------------------------------------


def _of_chain(opened: Opened) -> Iterator[Finding]:
    """Yield the links that are broken, and the compactions that cut off what came before."""
    parents, cut_off_by = opened.parents, opened.cut_off_by
    for row in opened.rows:
        if not row.key or row.key not in parents:
            continue
        if row.key in cut_off_by:
            yield _finding(
                row, "D01", Severity.ERROR,
                "a compaction without its summary hides everything before it",
                "is taken out of the chain, so that what came before is seen again",
            )  # fmt: skip
        parent = parents[row.key]
        if parent is not None and parent != row.parent and not opened.leads_back(row):
            yield _bridged(opened, row, opened.by_key[parent])
        elif row.key != row.uuid and "#" in row.key:
            yield _finding(
                row, "D10", Severity.ERROR,
                "another record with the same id stands earlier in the file; one of them is lost",
                "gets an id of its own",
            )  # fmt: skip


def _bridged(opened: Opened, row: Row, above: Row) -> Finding:
    repaired = f"is taken to follow line {above.line}"
    if row.parent in opened.side_keys:
        what = "it follows a record of a sub-agent, so everything before it is lost on resume"
        return _finding(row, "D04", Severity.ERROR, what, repaired, above)
    if not row.parent:
        what = "it does not say what it follows, so everything before it is lost on resume"
        return _finding(row, "D01", Severity.ERROR, what, repaired, above)
    if row.parent in opened.by_key:
        what = "it follows itself in a ring"
        return _finding(row, "D01", Severity.WARNING, what, repaired, above)
    what = f"it follows a record that is not there ({row.parent})"
    return _finding(row, "D01", Severity.WARNING, what, repaired, above)


def _beginnings(opened: Opened) -> Iterator[Finding]:
    """Yield a first record that follows one which is gone (D12), and other beginnings (D01)."""
    roots = [row for key, row in opened.by_key.items() if opened.parents[key] is None]
    for row in roots[:1]:
        if row.parent:
            yield _finding(
                row, "D12", Severity.WARNING,
                f"the session began before this: what it follows is not there ({row.parent})",
                LEFT,
            )  # fmt: skip
    for row in roots[1:]:
        if not row.is_boundary and row.key not in opened.cut_off_by:
            yield _finding(
                row, "D01", Severity.INFORMATION,
                "another beginning: what stands above it is on another branch",
                LEFT,
            )  # fmt: skip


def _remarks(opened: Opened) -> Iterator[Finding]:
    """Yield what is worth knowing: records of several sessions (D13), types not known (D23)."""
    firsts: dict[str, Row] = {}
    unknown: dict[str, list[Row]] = defaultdict(list)
    for row in opened.rows:
        if row.session_id:
            firsts.setdefault(row.session_id, row)
        if row.type not in KNOWN_TYPES:
            unknown[row.type].append(row)
    for row in tuple(firsts.values())[1:2]:
        what = f"records of {len(firsts)} sessions stand in this file"
        yield _finding(row, "D13", Severity.INFORMATION, what, LEFT)
    for kind, rows in unknown.items():
        what = f"{len(rows)} of type {kind[:NAME_CHARS]!r}" if kind else f"{len(rows)} without one"
        what = f"records of a type that is not known here: {what}"
        yield _finding(rows[0], "D23", Severity.INFORMATION, what, LEFT)


def _finding(
    row: Row, rule: str, severity: Severity, message: str, repaired: str, *related: Row
) -> Finding:
    lines = tuple(each.line for each in related)
    return Finding(rule, severity, row.line, row.start, row.stop, message, repaired, lines)


# -- the grammar -----------------------------------------------------------------------------------


def _of_grammar(opened: Opened, sparse: Sparse) -> Iterator[Finding]:
    """Yield what the API, or Claude Code itself, finds wrong with the active branch."""
    broken = [finding for finding in sparse.broken if finding.rule not in UNDECIDED]
    left = frozenset() if sparse.has_too_large_media else frozenset({"R7"})
    actions = _actions(sparse) if any(finding.rule not in left for finding in broken) else {}
    for finding in broken:
        number = min(finding.message or 0, len(opened.said) - 1)
        said = opened.said[number]
        row = row_of(said, finding)
        action = actions.get((finding.rule, said.message.origin), MENDED)
        action = TO_COMPACT if finding.rule in left else action
        yield _finding(row, finding.rule, _severity(said, finding, row), said_of(finding), action)


def _actions(sparse: Sparse) -> Mapping[tuple[str, str], str]:
    """Return what a repair does about a rule at a message."""
    return {(step.rule, step.origin): step.action for step in reversed(sparse.mended().steps)}


def row_of(said: Said, finding: grammar.Finding) -> Row:
    """Return the record that a finding about a message is about."""
    if finding.block is None or finding.block >= len(said.sources):
        return said.rows[0]
    return said.sources[finding.block]


def _severity(said: Said, finding: grammar.Finding, row: Row) -> Severity:
    if finding.severity is grammar.Severity.WARNING or finding.rule in MENDED_BY_CLAUDE_CODE:
        return Severity.WARNING
    if finding.rule == "R33":
        return Severity.WARNING if _drops_blank(said, row) else Severity.ERROR
    return Severity.ERROR


def _drops_blank(said: Said, row: Row) -> bool:
    """Say whether Claude Code drops a blank text by itself.

    It does so in a record of its own when the assistant said it, and beside other words when a
    person did.
    """
    pairs = zip(said.message.blocks, said.sources, strict=True)
    own = [block for block, source in pairs if source is row]
    blank = all(block.type == "text" and is_blank(block.get("text")) for block in own)
    return blank == (said.message.role == ASSISTANT)
