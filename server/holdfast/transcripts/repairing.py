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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs

from holdfast.conversation import encoding
from holdfast.conversation.history import Block
from holdfast.transcripts.findings import Finding, Report, Severity, check, report_of
from holdfast.transcripts.opened import Opened, open_transcript
from holdfast.transcripts.plans import Plan, plan
from holdfast.transcripts.rows import Row

BACKUP: Final = ".before-repair"
_LINE_RULES: Final = frozenset({"D05", "D06", "D07", "D17"})
_CHAIN_RULES: Final = frozenset({"D01", "D04", "D10"})


class FileChangedError(OSError):
    """The file was written to while it was being repaired; its session may still be running."""


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
    path: Path, *, output: Path | None = None, in_place: bool = False, dry_run: bool = False
) -> RepairReport:
    """Repair a file into another, or in place, or only say what would be done.

    Raises `OSError`: `FileExistsError` when the output is there, `FileChangedError` when the file
    was written to meanwhile; `ValueError` when it is not said where to.
    """
    if (output is not None) + in_place + dry_run != 1:
        raise ValueError("one of an output, in place and a dry run is wanted")
    if output is not None and output.exists():
        raise FileExistsError(f"{output} is there already; it is not written over")
    with open_transcript(path) as opened:
        return repair_opened(opened, path if in_place else output, in_place=in_place)


def repair_opened(opened: Opened, target: Path | None, *, in_place: bool = False) -> RepairReport:
    """Repair a transcript that is open; see `repair`. Without a target nothing is written."""
    path = opened.path
    report = report_of(opened)
    if report.healthy:
        return _left_as_it_is(path, None if in_place else target)
    made = plan(opened)
    repairs = tuple(_repairs(opened, report, made))
    set_aside = tuple(_set_aside(opened, report))
    if target is None:
        return RepairReport(path, None, None, repairs, set_aside)
    written = _written(opened, report, made, target.parent)
    try:
        left = (f for f in check(written).findings if f.severity is Severity.ERROR)
        unrepaired = (*set_aside, *left)
        backup = _put_in_place(opened, written, target) if in_place else None
        if not in_place:
            _put_there(written, target)
    finally:
        written.unlink(missing_ok=True)
    _sync(target.parent)
    return RepairReport(path, target, backup, repairs, unrepaired)


def _left_as_it_is(path: Path, output: Path | None) -> RepairReport:
    if output is not None:
        with path.open("rb") as source, output.open("xb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    return RepairReport(path, output, None, (), ())


# -- what is said ----------------------------------------------------------------------------------


def _repairs(opened: Opened, report: Report, made: Plan) -> Iterator[Repaired]:
    for finding in report.findings:
        if finding.rule in _LINE_RULES | _CHAIN_RULES:
            yield Repaired(finding.rule, finding.line, finding.repair, "what can be read")
    for step in made.steps:
        row = opened.by_key.get(step.origin)
        yield Repaired(step.rule, row.line if row else 0, step.action, step.kept)


def _set_aside(opened: Opened, report: Report) -> Iterator[Finding]:
    """Yield the lines of which something could not be read."""
    unread = {note.line for note in opened.notes if note.kind == "unread"}
    for finding in report.findings:
        if finding.rule in _LINE_RULES and finding.line in unread:
            yield finding


# -- writing ---------------------------------------------------------------------------------------


def _written(opened: Opened, report: Report, made: Plan, folder: Path) -> Path:
    """Write the repaired file under a passing name, all the way to the disk."""
    handle, name = tempfile.mkstemp(prefix=".repair-", dir=folder)
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as target, opened.path.open("rb") as source:
            shutil.copymode(opened.path, written)
            damaged = {f.line for f in report.findings if f.rule in _LINE_RULES}
            _Writer(opened, made, damaged, target).run(source)
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return written


@attrs.define
class _Writer:
    """Goes over the lines of a file once and writes them as the plan has them."""

    opened: Opened
    made: Plan
    damaged: set[int]
    target: BinaryIO
    ended: bool = True

    def run(self, source: BinaryIO) -> None:
        """Write all lines; each but the last ends as a line does."""
        by_line: dict[int, list[Row]] = defaultdict(list)
        for row in self.opened.rows:
            by_line[row.line].append(row)
        self._put_in(0)
        for number, raw in enumerate(source, 1):
            rows = by_line.get(number, [])
            changed = number in self.damaged or any(self.made.touches(row.key) for row in rows)
            if not changed:
                self._write(raw)
            else:
                for row in rows:
                    self._write_row(row)
            self._put_in(number)

    def _put_in(self, number: int) -> None:
        for record in self.made.put_in.get(number, ()):
            self._write(_line_of(record))

    def _write_row(self, row: Row) -> None:
        if row.key not in self.made.removed:
            self._write(_line_of(self._edited(row)))

    def _edited(self, row: Row) -> dict[str, Any]:
        value = dict(self.opened.record(row))
        if row.key in self.made.ids:
            value["uuid"] = self.made.ids[row.key]
        if row.key in self.made.parents:
            value["parentUuid"] = self.made.parents[row.key]
        if row.key in self.made.contents:
            _set_content(value, self.made.contents[row.key], row.role)
        return value

    def _write(self, raw: bytes) -> None:
        if not self.ended:
            self.target.write(b"\n")
        self.target.write(raw)
        self.ended = raw.endswith(b"\n")


def _set_content(value: dict[str, Any], blocks: tuple[Block, ...], role: str) -> None:
    content = [dict(block.data) for block in blocks]
    if value.get("type") == "attachment":
        value["attachment"] = {**_object(value.get("attachment")), "prompt": content}
    else:
        message = _object(value.get("message"))
        value["message"] = {**message, "content": content} if message else {
            "role": role, "content": content
        }  # fmt: skip


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _line_of(record: Mapping[str, Any]) -> bytes:
    return encoding.encode(record).encode() + b"\n"


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
