"""Repairing a transcript of Claude Code, so that it goes on with the whole of it.

Law: a healthy file comes back byte for byte; of any other, the lines that need no change do. The
file itself is only written in place when that is asked for: then it is kept beside, under a name
that Claude Code does not list, and replaced at once. A repaired file has a current time, because
Claude Code deletes by it. What could not be mended is said.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from holdfast.transcripts.edits import Edit, apply, edits_of
from holdfast.transcripts.findings import (
    LINE_RULES,
    Finding,
    Report,
    Severity,
    report_of,
    row_of,
)
from holdfast.transcripts.index import Progress
from holdfast.transcripts.opened import FileChangedError, Opened, Said, open_transcript, part_of
from holdfast.transcripts.plans import Plan, open_calls, plan
from holdfast.transcripts.sparse import Sparse

__all__ = [
    "BACKUP", "Edit", "FileChangedError", "RepairReport", "Repaired", "edits", "repair",
    "repair_opened",
]  # fmt: skip

BACKUP: Final = ".before-repair"
CHAIN_RULES: Final = frozenset({"D01", "D04", "D10"})


@attrs.frozen
class Repaired:
    """One change: the rule it is for, its line in the file as it was, what was done and kept."""

    rule: str
    line: int
    action: str
    kept: str


@attrs.frozen
class RepairReport:
    """What a repair did. `output` and `backup` are None where nothing was written.

    `unrepaired` is what could not be mended: parts of the file that nobody can read, which only the
    file as it was still has, and what the grammar still finds.
    """

    path: Path
    output: Path | None
    backup: Path | None
    repairs: tuple[Repaired, ...]
    unrepaired: tuple[Finding, ...]


def repair(
    path: Path,
    *,
    output: Path | None = None,
    in_place: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RepairReport:
    """Repair a file into another, or in place, or only say what would be done.

    `progress` is told bytes, four times those of the file in all; when it raises, that is passed
    on, and nothing is left behind. Raises `OSError`: `FileExistsError` when the output is there,
    `FileChangedError` when the file was written to meanwhile; `ValueError` when it is not said
    where to.
    """
    if (output is not None) + in_place + dry_run != 1:
        raise ValueError("one of an output, in place and a dry run is wanted")
    if output is not None and output.exists():
        raise FileExistsError(f"{output} is there already; it is not written over")
    with open_transcript(path, progress=part_of(progress, 0, 2)) as opened:
        target = path if in_place else output
        writing = part_of(progress, 1, 2)
        return repair_opened(opened, target, in_place=in_place, progress=writing)


def repair_opened(
    opened: Opened,
    target: Path | None,
    *,
    in_place: bool = False,
    progress: Progress | None = None,
) -> RepairReport:
    """Repair a transcript that is open; see `repair`. Without a target nothing is written."""
    path = opened.path
    sparse = Sparse(opened)
    report = report_of(opened, sparse)
    if report.healthy:
        return _left_as_it_is(path, None if in_place else target)
    made = plan(opened, sparse)
    repairs = tuple(_repairs(sparse, report, made))
    set_aside = tuple(_set_aside(opened, report))
    if target is None:
        return RepairReport(path, None, None, repairs, set_aside)
    changes = edits_of(opened, sparse, made, report.findings)
    if not changes:
        left = tuple(f for f in report.findings if f.severity is Severity.ERROR)
        return _left_as_it_is(path, None if in_place else target, left)
    written = _written(opened, changes, target.parent, part_of(progress, 0, 2))
    try:
        unrepaired = (*set_aside, *_still(opened, written, changes, part_of(progress, 1, 2)))
        backup = _put_in_place(opened, written, target) if in_place else None
        if not in_place:
            _put_there(written, target)
    finally:
        written.unlink(missing_ok=True)
    _sync(target.parent)
    return RepairReport(path, target, backup, repairs, unrepaired)


def edits(
    opened: Opened, report: Report | None = None, sparse: Sparse | None = None
) -> tuple[Edit, ...]:
    """Return what could be changed in a transcript that is open, by its place in the file.

    `repair` makes those that are not `left_alone`. Of a healthy file all are: then they mend what
    it is only warned about. `report` is that of `report_of`, and `sparse` the branch, when they are
    known. Raises `OSError`.
    """
    sparse = sparse or Sparse(opened)
    report = report or report_of(opened, sparse)
    closing = edits_of(opened, sparse, plan(opened, sparse, close=True), report.findings)
    if report.healthy:
        return tuple(attrs.evolve(edit, left_alone=True) for edit in closing)
    open_ids = open_calls(opened)
    if not open_ids:
        return closing
    left = frozenset(_left_open(sparse, open_ids))
    mended = [found for found in report.findings if (found.rule, found.line) not in left]
    made = edits_of(opened, sparse, plan(opened, sparse), mended)
    return _with_more(made, closing)


def _left_open(sparse: Sparse, open_ids: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Yield the rule and the line of the findings that are about calls at the very end alone."""
    for broken in sparse.broken:
        if broken.rule == "R40" and broken.message is not None and open_ids.issuperset(broken.ids):
            yield broken.rule, row_of(sparse.opened.said[broken.message], broken).line


def _with_more(made: Sequence[Edit], closing: Sequence[Edit]) -> tuple[Edit, ...]:
    """Add the groups of edits that touch nothing of the first ones."""
    taken = {(edit.start, edit.stop) for edit in made}
    clashing = {edit.group for edit in closing if (edit.start, edit.stop) in taken}
    first = 1 + max((edit.group for edit in made), default=-1)
    more = (
        attrs.evolve(edit, group=first + edit.group, left_alone=True)
        for edit in closing
        if edit.group not in clashing
    )
    return tuple(sorted((*made, *more), key=lambda edit: (edit.start, edit.stop)))


def _left_as_it_is(
    path: Path, output: Path | None, unrepaired: tuple[Finding, ...] = ()
) -> RepairReport:
    if output is not None:
        with path.open("rb") as source, output.open("xb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    return RepairReport(path, output, None, (), unrepaired)


# -- what is said ----------------------------------------------------------------------------------


def _repairs(sparse: Sparse, report: Report, made: Plan) -> Iterator[Repaired]:
    for finding in report.findings:
        in_chain = finding.rule in CHAIN_RULES and finding.severity is not Severity.INFORMATION
        if finding.rule in LINE_RULES or in_chain:
            yield Repaired(finding.rule, finding.line, finding.repair, "what can be read")
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    for broken in sparse.broken:
        if broken.message is not None and broken.message < len(sparse.opened.said):
            line = row_of(sparse.opened.said[broken.message], broken).line
            found[broken.rule, broken.message].append(line)
    for step in made.steps:
        number = sparse.number(step.origin)
        line = 0
        if number is not None:
            lines = found[step.rule, number]
            line = lines.pop(0) if lines else _changed_line(sparse.opened.said[number], made)
        yield Repaired(step.rule, line, step.action, step.kept)


def _changed_line(said: Said, made: Plan) -> int:
    """Return the line of the first record of a message that changes, or of its first."""
    changed = (row.line for row in said.rows if made.rewrites(row.key))
    return next(changed, said.rows[0].line)


def _set_aside(opened: Opened, report: Report) -> Iterator[Finding]:
    """Yield the lines of which something could not be read."""
    unread = {note.line for note in opened.notes if note.kind == "unread"}
    for finding in report.findings:
        if finding.rule in LINE_RULES and finding.line in unread:
            yield finding


def _still(
    opened: Opened, written: Path, changes: Sequence[Edit], progress: Progress | None
) -> Iterator[Finding]:
    """Read what was written, and yield the errors that are left."""
    index = opened.index.rewritten(written, changes[0].start, progress=part_of(progress, 0, 2))
    with open_transcript(written, index=index, progress=progress) as again:
        for finding in report_of(again).findings:
            if finding.severity is Severity.ERROR:
                yield finding


# -- writing ---------------------------------------------------------------------------------------


def _written(
    opened: Opened, changes: Sequence[Edit], folder: Path, progress: Progress | None
) -> Path:
    """Write the repaired file under a passing name, all the way to the disk."""
    handle, name = tempfile.mkstemp(prefix=".repair-", dir=folder)
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as target, opened.path.open("rb") as source:
            shutil.copymode(opened.path, written)
            apply(changes, source, target, opened.size, progress)
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return written


def _put_there(written: Path, target: Path) -> None:
    """Give the repaired file its name. Raises `FileExistsError` when there is a file by now."""
    try:
        os.link(written, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        _made(target)
        written.replace(target)


def _put_in_place(opened: Opened, written: Path, target: Path) -> Path:
    """Keep the file as it was beside itself, then let the repaired one take its name."""
    if not opened.index.is_current():
        raise FileChangedError(f"{target} was written to meanwhile; end its session, then repair")
    backup = _kept_beside(target)
    written.replace(target)
    return backup


def _kept_beside(path: Path) -> Path:
    number = 0
    while True:
        backup = path.with_name(f"{path.name}{BACKUP}{f'-{number}' if number else ''}")
        try:
            shutil.copy2(path, _made(backup))
        except FileExistsError:
            number += 1
        else:
            return backup


def _made(path: Path) -> Path:
    """Make an empty file. Raises `FileExistsError`."""
    path.touch(exist_ok=False)
    return path


def _sync(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
