"""`holdfast check` and `holdfast repair`: what is wrong with transcripts, and mending it.

Law: `check` never writes (P8). A file that cannot be read is one line on stderr and hides no other.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from holdfast.cli import tables
from holdfast.conversation import encoding
from holdfast.transcripts import foreign, formats, plain, repairing
from holdfast.transcripts.findings import Finding, Report, Severity
from holdfast.transcripts.repairing import RepairReport

SHOWN_MAX: Final = 5
"""How many findings of one rule people are shown; `--json` has them all."""
NAMES_MAX: Final = 4
"""How many names of a long list people are shown."""
NAMES: Final = {
    formats.CLAUDE_CODE.format: "Claude Code",
    formats.CODEX.format: "Codex",
    formats.MESSAGES.format: "list of messages",
}


def check(paths: Sequence[Path], *, as_json: bool) -> int:
    """Print what is wrong with each file; 0 healthy, 1 findings, 2 when one cannot be read."""
    reports: list[Report] = []
    unreadable = False
    for path in paths:
        files = _files(path)
        if not files:
            _complain(f"There is no .jsonl file below {path}. Name a file, or another folder.")
            unreadable = True
        for each in files:
            try:
                report = foreign.check(each)
            except OSError as error:
                _complain(f"{each}: {error.strerror or error}. Check the path and its permissions.")
                unreadable = True
                continue
            if report is None:
                _complain(tables.unknown(each))
                unreadable = True
                continue
            reports.append(report)
            if not as_json:
                print(_shown(report) + "\n")
    if as_json:
        print(encoding.encode([plain.report(report) for report in reports]))
    elif ill := [report for report in reports if not report.healthy]:
        print(_advice(ill))
    if unreadable:
        return 2
    return 0 if all(report.healthy for report in reports) else 1


def repair(path: Path, *, output: Path | None, in_place: bool, dry_run: bool, as_json: bool) -> int:
    """Repair a file and print what was done; 0 healthy or repaired, 2 cannot."""
    reader = formats.reader_of(path)
    if reader is not formats.CLAUDE_CODE:
        _complain(
            f"{path}: only transcripts of Claude Code are repaired, and this is a "
            f"{NAMES[reader.format]} file. `holdfast import` takes it in and mends what needs it."
        )
        return 2
    try:
        done = repairing.repair(path, output=output, in_place=in_place, dry_run=dry_run)
    except FileExistsError:
        _complain(f"{output} is there already. Choose another --output, or remove it first.")
        return 2
    if as_json:
        print(encoding.encode(plain.repaired(done)))
    else:
        print(_shown_repair(done, dry_run=dry_run))
    return 0


def _files(path: Path) -> list[Path]:
    """Return the transcripts below a folder, or the file itself."""
    return sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]


def _complain(what: str) -> None:
    print(f"holdfast: {what}", file=sys.stderr)


# -- for people ------------------------------------------------------------------------------------


def _shown(report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    verdict = "healthy" if report.healthy else tables.counted(errors, "error")
    if warnings:
        verdict += f", {tables.counted(warnings, 'warning')}"
    facts = (
        tables.clean(f"{NAMES.get(report.format, report.format)} {report.version}"),
        tables.counted(report.entries, "entry", "entries"),
        tables.counted(report.messages, "message"),
        verdict,
    )
    return "\n".join([str(report.path), f"  {' · '.join(facts)}", *_lines(report.findings)])


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    digits = max((len(str(finding.line)) for finding in findings), default=1)
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.rule] += 1
        if shown[finding.rule] > SHOWN_MAX:
            continue
        place = f"line {finding.line:>{digits}}" if finding.line else " " * (digits + 5)
        label = f"  {place}  {finding.rule:<4} {_MARKS[finding.severity]} "
        yield tables.entry(label, _brief(finding.message), f"→ {finding.repair}")
    for rule, count in shown.items():
        if count > SHOWN_MAX:
            yield f"  … and {tables.counted(count - SHOWN_MAX, 'more', 'more')} of {rule}"


def _brief(message: str) -> str:
    """Return the API's sentence with the names of a long list left out (R31 lists every tag)."""

    def shortened(found: re.Match[str]) -> str:
        names = found[0].split(", ")
        return f"{', '.join(names[:NAMES_MAX])} and {len(names) - NAMES_MAX} more"

    return _LONG_LIST.sub(shortened, message)


_LONG_LIST: Final = re.compile(rf"'[^' ]+'(?:, '[^' ]+'){{{NAMES_MAX + 1},}}")
_MARKS: Final = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.INFORMATION: "·"}


def _advice(ill: Sequence[Report]) -> str:
    path = ill[0].path
    if ill[0].format == formats.CLAUDE_CODE.format:
        return f"To repair into a copy: holdfast repair {path} --output {path.stem}-repaired.jsonl"
    return f"To go on with what can be read: holdfast import {path}"


def _shown_repair(done: RepairReport, *, dry_run: bool) -> str:
    if not done.repairs and not done.unrepaired:
        copied = f" The copy is {done.output}." if done.output not in (None, done.path) else ""
        return f"{done.path} is healthy: nothing to repair.{copied}"
    would = "would be made" if dry_run else "made"
    lines = [f"{done.path}: {tables.counted(len(done.repairs), 'repair')} {would}"]
    digits = max((len(str(each.line)) for each in done.repairs), default=1)
    for each in sorted(done.repairs, key=lambda repaired: repaired.line):
        place = f"line {each.line:>{digits}}" if each.line else " " * (digits + 5)
        kept = (f"kept: {each.kept}",) if each.kept else ()
        lines.append(tables.entry(f"  {place}  {each.rule:<4} ", each.action, *kept))
    if done.unrepaired:
        lines += ["Not repaired:", *_lines(done.unrepaired)]
    if done.output is not None:
        lines.append(f"Written to {done.output}.")
    if done.backup is not None:
        lines.append(f"The file as it was is {done.backup}.")
    return "\n".join(lines)
