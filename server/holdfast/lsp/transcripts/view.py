"""A view: what is kept of one transcript while it is open in an editor.

Law: a view is of one state of the file, or of one text; `is_current` tells when another is wanted.
It keeps the index, the findings and what would mend them; of what was said it keeps nothing but the
outline's labels.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import attrs

from holdfast.lsp.transcripts.answers import ANSWERS
from holdfast.lsp.transcripts.answers.records import sentence
from holdfast.lsp.transcripts.links import Links
from holdfast.lsp.transcripts.positions import UTF_16, Json, Places, Source, lone_returns
from holdfast.transcripts import codex, findings, foreign, formats, messages_list
from holdfast.transcripts.findings import Finding, Report, Severity
from holdfast.transcripts.formats import HEAD_BYTES
from holdfast.transcripts.index import Progress, TranscriptIndex
from holdfast.transcripts.lines import read_lines
from holdfast.transcripts.opened import open_transcript
from holdfast.transcripts.repairing import Edit, edits
from holdfast.transcripts.sparse import Sparse

if TYPE_CHECKING:
    import msgspec

    from holdfast.transcripts.imported import ImportedHistory

NAME: Final = "holdfast"
"""Whose the diagnostics are."""
KEPT_BYTES_MAX: Final = 16_000_000
"""The most new text of edits that a view keeps; behind that only the whole file is repaired."""
OF_A_RULE_MAX: Final = 500
"""How many findings of one rule get a diagnostic each."""
_SEVERITIES: Final = {Severity.ERROR: 1, Severity.WARNING: 2, Severity.INFORMATION: 3}
_FOREIGN: Final[Mapping[str, Callable[[BinaryIO], ImportedHistory]]] = {
    codex.FORMAT: codex.read_stream,
    messages_list.FORMAT: messages_list.read_stream,
}


class View:
    """One state of a transcript: of a file (`of_path`), or of a text that is not saved (`of_text`).

    `reported` are the findings with their diagnostics, as far as they were looked for, and no more
    than `OF_A_RULE_MAX` of one rule; `counts` counts them all. `edits` are what would mend them,
    by place, and `groups` the same in groups that can be made by themselves; `group_of` says which
    of them mends a rule at a line.
    """

    def __init__(
        self, path: Path, source: Source, format_: str, progress: Progress | None = None
    ) -> None:
        """Take a source; `of_path` and `of_text` make one."""
        self.path = path
        self.source = source
        self.is_settled = False
        self.reported: list[tuple[Finding, Json]] = []
        self.counts: Counter[Severity] = Counter()
        self.edits: Sequence[Edit] = ()
        self.groups: dict[int, list[Edit]] = defaultdict(list)
        self.group_of: dict[tuple[str, int], int] = {}
        self.made: dict[tuple[str, str], msgspec.Raw] = {}
        self.format = format_
        self.links = Links(source.index.rows)
        self._said_for: tuple[str, str] | None = None
        self._of_rule: Counter[str] = Counter()
        self._by_line: dict[int, list[Finding]] = defaultdict(list)
        self._progress = progress

    @classmethod
    def of_path(
        cls, path: Path, *, known: View | None = None, progress: Progress | None = None
    ) -> View:
        """Read a file, or of a file that has grown since it was `known` what is new.

        `known` itself when nothing changed. Raises `OSError`, and what `progress` raises.
        """
        if known is None or known.source.data is not None or known.path != path:
            known = None
        elif known.is_current():
            return known
        with path.open("rb") as stream:
            format_ = _format(stream)
        if format_ in _FOREIGN:
            index = _without_records(path)
        elif known is None or known.format != format_:
            index = TranscriptIndex.build(path, progress=progress)
        else:
            index = known.source.index.extended(progress=progress)
        with path.open("rb") as stream:
            return cls(path, Source(index, None, lone_returns(stream)), format_, progress)

    @classmethod
    def of_text(cls, path: Path, text: str, *, progress: Progress | None = None) -> View:
        """Read a text that is not saved. A lone surrogate in it counts as a question mark."""
        data = text.encode(errors="replace")
        stream = io.BytesIO(data)
        format_ = _format(stream)
        stream.seek(0)
        returns = lone_returns(stream)
        index = TranscriptIndex.of_stream(io.BytesIO() if format_ in _FOREIGN else stream)
        source = Source(attrs.evolve(index, path=path), data, returns)
        return cls(path, source, format_, progress)

    @property
    def is_healthy(self) -> bool:
        """Say whether nothing that was found is an error."""
        return not self.counts[Severity.ERROR]

    @property
    def is_repairable(self) -> bool:
        """Say whether it is of a format that we mend."""
        return self.format not in _FOREIGN

    def is_current(self) -> bool:
        """Say whether the file is still as it was read; a text always is. Raises `OSError`."""
        index = self.source.index
        if self.source.data is not None:
            return True
        if self.format in _FOREIGN:
            return _stamp(self.path) == (index.size, index.mtime_ns)
        return index.is_current()

    def findings_on(self, line: int) -> Sequence[Finding]:
        """Return what was found on a line of the editor, from 0."""
        return self._by_line.get(line, ())

    def reported_between(self, first: int, last: int) -> Sequence[tuple[Finding, Json]]:
        """Return what was found on some lines of the editor, both ends included."""
        return [
            (finding, diagnostic)
            for finding, diagnostic in self.reported
            if first <= diagnostic["range"]["end"]["line"]
            and diagnostic["range"]["start"]["line"] <= last
        ]

    def diagnostics(self, uri: str = "", encoding: str = UTF_16) -> Iterator[list[Json]]:
        """Yield the diagnostics found so far: of the lines, then of the chain, then all.

        To be run to its end: what code actions offer is found behind the last part. `uri` is the
        document as the editor calls it. Raises `OSError`, and what the view's progress raises.
        """
        uri = uri or self.path.as_uri()
        if self.is_settled and self._said_for == (uri, encoding):
            yield self._diagnostics()
            return
        self.is_settled, self._said_for = False, (uri, encoding)
        self.reported, self.counts, self._of_rule = [], Counter(), Counter()
        self.edits, self.groups, self.group_of = (), defaultdict(list), {}
        self._by_line.clear()
        with self.source.opened(encoding) as places:
            for part in self._parts():
                self.counts.update(finding.severity for finding in part)
                for finding, range_ in self._placed(self._told(part), places):
                    diagnostic = _diagnostic(finding, range_, places, uri)
                    self.reported.append((finding, diagnostic))
                    self._by_line[diagnostic["range"]["start"]["line"]].append(finding)
                yield self._diagnostics()
        self.is_settled = True

    def _told(self, part: Sequence[Finding]) -> Sequence[Finding]:
        """Return the findings that get a diagnostic: of each rule not more than a person reads."""
        told: list[Finding] = []
        for finding in part:
            self._of_rule[finding.rule] += 1
            if self._of_rule[finding.rule] <= OF_A_RULE_MAX:
                told.append(finding)
        return told

    def _diagnostics(self) -> list[Json]:
        more = [
            _more(rule, count - OF_A_RULE_MAX)
            for rule, count in self._of_rule.items()
            if count > OF_A_RULE_MAX
        ]
        return [*(diagnostic for _, diagnostic in self.reported), *more]

    def settle(self, uri: str = "", encoding: str = UTF_16) -> None:
        """Look for everything that is wrong, unless that was done. Raises `OSError`."""
        if not self.is_settled:
            for _ in self.diagnostics(uri, encoding):
                pass

    def warm(self, encoding: str = UTF_16) -> None:
        """Make ahead what the first answers would wait for: outline and links. Raises `OSError`."""
        self.links.warm()
        params = {"encoding": encoding}
        for method in ("textDocument/documentSymbol", "textDocument/foldingRange"):
            self.answer(method, params)

    def answer(self, method: str, params: Json) -> Any:
        """Answer a request about the document: the values of LSP, to be written by `msgspec.json`.

        `params` are LSP's, with `encoding` (of positions, UTF-16 when it is not there) and what
        the answers say added. Raises `KeyError` for a method that is none of `ANSWERS`, `OSError`.
        """
        return ANSWERS[method](self, params)

    def _parts(self) -> Iterator[Sequence[Finding]]:
        """Yield what is wrong, part by part, and decide behind the last what would mend it."""
        if self.format in _FOREIGN:
            with self._bytes() as stream:
                read = _FOREIGN[self.format](stream)
            yield foreign.findings_of(read)
            return
        found: list[Finding] = []
        with open_transcript(
            self.path, index=self.source.index, data=self.source.data, progress=self._progress
        ) as opened:
            sparse = Sparse(opened)
            for part in findings.report_parts(opened, sparse):
                found.extend(part)
                yield part
            if found:
                entries, said = len(opened.rows), len(opened.said)
                report = Report(
                    self.path, findings.FORMAT, opened.version, entries, said, tuple(found)
                )
                self._keep(edits(opened, report, sparse))

    def _keep(self, found: Sequence[Edit]) -> None:
        """Keep edits, unless they are too many."""
        if sum(len(edit.text) for edit in found) > KEPT_BYTES_MAX:
            return
        self.edits = found
        for edit in found:
            self.groups[edit.group].append(edit)
            for mended in edit.mends:
                self.group_of.setdefault(mended, edit.group)

    def _placed(self, part: Sequence[Finding], places: Places) -> Iterator[tuple[Finding, Json]]:
        """Yield findings and their ranges; of another format only the lines are known."""
        if self.format not in _FOREIGN:
            for finding in part:
                yield finding, places.words(finding.start, finding.stop)
            return
        wanted = {finding.line: places.span(0, 0) for finding in part}
        with self._bytes() as stream:
            for number, start, _, raw in read_lines(stream, []) if part else ():
                if number in wanted:
                    wanted[number] = places.range_of_bytes(number, start, raw)
        for finding in part:
            yield finding, wanted[finding.line]

    def _bytes(self) -> BinaryIO:
        data = self.source.data
        return self.path.open("rb") if data is None else io.BytesIO(data)


def _format(stream: BinaryIO) -> str:
    """Return the format of an open file; what nobody knows is taken for Claude Code's."""
    stream.seek(0)
    reader = formats.sniff(stream.read(HEAD_BYTES))
    return reader.format if reader else findings.FORMAT


def _without_records(path: Path) -> TranscriptIndex:
    """Return an index for a file of another format, of which no record is to be shown."""
    size, mtime_ns = _stamp(path)
    empty = TranscriptIndex.of_stream(io.BytesIO())
    return attrs.evolve(empty, path=path, size=size, mtime_ns=mtime_ns)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _more(rule: str, count: int) -> Json:
    start = {"line": 0, "character": 0}
    return {
        "range": {"start": start, "end": start},
        "severity": _SEVERITIES[Severity.INFORMATION],
        "code": rule,
        "source": NAME,
        "message": f"{count} more findings of {rule} are not shown, but repaired with the others.",
    }


def _diagnostic(finding: Finding, range_: Json, places: Places, uri: str) -> Json:
    made: Json = {
        "range": range_,
        "severity": _SEVERITIES[finding.severity],
        "code": finding.rule,
        "source": NAME,
        "message": sentence(finding),
    }
    if finding.related:
        made["relatedInformation"] = [
            {"location": {"uri": uri, "range": each}, "message": f"line {line}"}
            for line in finding.related
            for each in places.range_of_line(line)
        ]
    return made
