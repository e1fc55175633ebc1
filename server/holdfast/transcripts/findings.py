"""What is wrong with a transcript of Claude Code, line by line, and how each thing is mended.

Law: nothing is raised but `OSError`, and nothing is written. A finding names a rule of the API's
grammar (R33, A05 ...) or a class of damage (D01 ...) and a line. Its severity is decided by what
the newest Claude Code (2.1.330) makes of the file as it stands:

- error: its request is refused, or it goes on without something that was said;
- warning: it mends that by itself each time (a call without its result, also at the very end of a
  file that was copied in the middle of a session; a blank text in a record of its own beside
  others; a parent that is nowhere in the file; thinking that the API cannot check);
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
from holdfast.conversation.history import ASSISTANT, Message, user
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.conversation.rules.blanks import is_blank
from holdfast.transcripts.imported import Note
from holdfast.transcripts.opened import Opened, Said, open_transcript
from holdfast.transcripts.rows import Row

FORMAT: Final = "claude-code"
NEXT: Final = user("The next prompt.")
"""A session goes on with a prompt, so how a history ends is judged with one behind it."""

MENDED_BY_CLAUDE_CODE: Final = frozenset({"R5", "R22", "R39", "R40", "R71", "R71a", "R71c"})
"""Rules whose breach the newest Claude Code mends by itself, before or after a refusal."""
PROFILE: Final = attrs.evolve(ANY_TOOLS, image_bytes_max=5 * 1024 * 1024)
"""Claude Code sends no image with more base64 than this, though the API takes more (R61)."""
UNDECIDED: Final = frozenset({"R68"})
"""Rules that depend on what else is in the request, so a file alone cannot break them."""

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


def check(path: Path) -> Report:
    """Say what is wrong with a file. Raises `OSError` when it cannot be read."""
    with open_transcript(path) as opened:
        return report_of(opened)


def report_of(opened: Opened) -> Report:
    """Say what is wrong with a transcript that is open."""
    found = [*_of_lines(opened), *_of_chain(opened), *_of_grammar(opened)]
    return Report(
        path=opened.path,
        format=FORMAT,
        version=opened.version,
        entries=len(opened.rows),
        messages=len(opened.said),
        findings=tuple(sorted(found, key=lambda finding: (finding.line, finding.rule))),
    )


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
    raw = opened.line(first.start, first.stop)
    if any(_TOO_LONG in note.text for note in notes):
        return "D17", "is set aside; the file as it was keeps it"
    if b"\0" in raw:
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
    for row in opened.rows:
        if not row.key or row.key not in opened.parents:
            continue
        if row.key in opened.cut_off_by:
            yield _finding(
                row, "D01", Severity.ERROR,
                "a compaction without its summary hides everything before it",
                "is taken out of the chain, so that what came before is seen again",
            )  # fmt: skip
        parent = opened.parents[row.key]
        if parent is not None and parent != row.parent and not opened.leads_back(row):
            yield _bridged(opened, row, opened.by_key[parent])
        elif row.key != row.uuid and "#" in row.key:
            yield _finding(
                row, "D10", Severity.WARNING,
                "another record with the same id stands earlier in the file",
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
    what = f"it follows a record that is not there ({row.parent})"
    return _finding(row, "D01", Severity.WARNING, what, repaired, above)


def _finding(
    row: Row, rule: str, severity: Severity, message: str, repaired: str, *related: Row
) -> Finding:
    lines = tuple(each.line for each in related)
    return Finding(rule, severity, row.line, row.start, row.stop, message, repaired, lines)


# -- the grammar -----------------------------------------------------------------------------------


def _of_grammar(opened: Opened) -> Iterator[Finding]:
    """Yield what the API, or Claude Code itself, finds wrong with the active branch."""
    if not opened.said:
        return
    history = (*opened.history, NEXT)
    broken = [finding for finding in validate(history, PROFILE) if finding.rule not in UNDECIDED]
    actions = _actions(history) if broken else {}
    for finding in broken:
        said = opened.said[min(finding.message or 0, len(opened.said) - 1)]
        row = _row_of(said, finding)
        action = actions.get((finding.rule, said.message.origin), MENDED)
        yield _finding(row, finding.rule, _severity(said, finding, row), finding.detail, action)


def _actions(history: tuple[Message, ...]) -> Mapping[tuple[str, str], str]:
    """Return what a repair does about a rule at a message."""
    return {
        (step.rule, step.origin): step.action
        for step in reversed(repair(history, profile=PROFILE).steps)
    }


def _row_of(said: Said, finding: grammar.Finding) -> Row:
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
