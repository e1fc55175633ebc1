"""A plan as changes to the bytes of a file, in groups that can be made each by itself.

Law: all edits of a plan, applied at once, are the repaired file; they do not overlap. Edits that
need each other share a group: a record that is put in and the one that is hung on it, both halves
of a call whose id changes. A group by itself leaves a file that is no worse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, TypeAlias

import attrs

from holdfast.conversation import encoding
from holdfast.conversation import findings as grammar
from holdfast.conversation.history import Block
from holdfast.transcripts.findings import LINE_RULES, UNMENDED, Finding, row_of
from holdfast.transcripts.index import PROGRESS_BYTES, Progress
from holdfast.transcripts.opened import Opened
from holdfast.transcripts.plans import Plan
from holdfast.transcripts.rows import Row
from holdfast.transcripts.sparse import Sparse

CHUNK_BYTES: Final = 1024 * 1024

Mends: TypeAlias = tuple[tuple[str, int], ...]
"""The rules and the lines of findings."""


@attrs.frozen
class Edit:
    """The bytes of the file from `start` to `stop` become `text`; at one place, it is put in.

    `line` is that of the first byte, or the one behind which something is put in. `rules` are those
    of the findings that the group mends, `mends` the rule and the line of each. `left_alone` says
    that a repair of the file does without: Claude Code mends it by itself.
    """

    start: int
    stop: int
    text: bytes
    line: int
    group: int
    mends: Mends = ()
    left_alone: bool = False

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules of the findings that the group mends, each once."""
        return tuple(dict.fromkeys(rule for rule, _ in self.mends))


class _Ties:
    """What belongs together: a forest of names, each tree a group."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, name: str) -> str:
        """Return what stands for the group of a name."""
        while (above := self._above.get(name, name)) != name:
            self._above[name] = self._above.get(above, above)
            name = above
        return name

    def tie(self, one: str, other: str) -> None:
        """Make one group of two."""
        self._above[self.root(one)] = self.root(other)


@attrs.frozen
class _Change:
    """An edit before its group has a number; `names` are what it changes."""

    start: int
    stop: int
    text: bytes
    line: int
    names: tuple[str, ...]


def edits_of(
    opened: Opened, sparse: Sparse, made: Plan, findings: Sequence[Finding]
) -> tuple[Edit, ...]:
    """Return the edits of a plan, by their places. `findings` are those of the whole file.

    Raises `OSError`.
    """
    changes = sorted(
        (*_of_records(opened, made, findings), *_put_in(made)),
        key=lambda change: (change.start, change.stop),
    )
    ties = _Ties()
    for one, other in made.ties:
        ties.tie(one, other)
    for change in changes:
        for name in change.names[1:]:
            ties.tie(change.names[0], name)
    _tie_the_end(opened, changes, ties)
    mends = _mends(opened, sparse, made, findings, ties)
    numbers: dict[str, int] = {}
    found: list[Edit] = []
    for change in changes:
        root = ties.root(change.names[0])
        group = numbers.setdefault(root, len(numbers))
        of_group = tuple(mends[root])
        found.append(
            Edit(change.start, change.stop, change.text, change.line, group, mends=of_group)
        )
    return tuple(found)


def _of_records(opened: Opened, made: Plan, findings: Iterable[Finding]) -> Iterator[_Change]:
    """Yield the lines that are written anew, or go."""
    spans = {f.line: (f.start, f.stop) for f in findings if f.rule in LINE_RULES}
    touched = made.touched
    for row in opened.rows:
        if row.key in touched:
            spans[row.line] = row.start, row.stop
    by_line: dict[int, list[Row]] = defaultdict(list)
    for row in opened.rows if spans else ():
        if row.line in spans:
            by_line[row.line].append(row)
    for line, (start, stop) in spans.items():
        rows = by_line[line]
        kept = (row for row in rows if row.key not in made.removed)
        text = b"".join(_line_of(_edited(opened, made, row)) for row in kept)
        names = (row.key for row in rows if row.key in touched)
        yield _Change(start, stop, text, line, (_line_name(line), *names))


def _line_name(line: int) -> str:
    return f"line {line}"


def _put_in(made: Plan) -> Iterator[_Change]:
    for offset, records in made.put_in.items():
        for record in records:
            name = record["uuid"]
            yield _Change(offset, offset, _line_of(record), made.beside[name].line, (name,))


def _tie_the_end(opened: Opened, changes: list[_Change], ties: _Ties) -> None:
    """Begin a line for what is put in behind a last line without an end."""
    if not opened.size or opened.line(opened.size - 1, opened.size) == b"\n":
        return
    last: _Change | None = None
    for number, change in enumerate(changes):
        if change.stop != opened.size:
            continue
        if last is not None:
            ties.tie(last.names[0], change.names[0])
        elif change.start == change.stop:
            changes[number] = attrs.evolve(change, text=b"\n" + change.text)
        last = change


def _mends(
    opened: Opened, sparse: Sparse, made: Plan, findings: Iterable[Finding], ties: _Ties
) -> Mapping[str, list[tuple[str, int]]]:
    """Return the rule and the line of each finding that a group mends, by what stands for it."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    grammatical: dict[tuple[str, int], str] = {}
    for broken in sparse.broken if opened.said else ():
        said = opened.said[min(broken.message or 0, len(opened.said) - 1)]
        row = row_of(said, broken)
        grammatical[broken.rule, row.line] = _mender(sparse, made, broken, row)
    by_line: dict[int, str] = {}
    touched = made.touched
    for row in opened.rows:
        if row.key in touched:
            by_line.setdefault(row.line, row.key)
    for finding in findings:
        if finding.repair in UNMENDED:
            continue
        place = finding.rule, finding.line
        name = grammatical.get(place, by_line.get(finding.line, _line_name(finding.line)))
        found[ties.root(name)].append(place)
    return found


def _mender(sparse: Sparse, made: Plan, broken: grammar.Finding, row: Row) -> str:
    """Return one of the changes that mend a finding of the grammar; empty when none does."""
    if made.rewrites(row.key):
        return row.key
    if broken.ids:
        tied = {name for pair in made.ties for name in pair}
        return next((tool_id for tool_id in broken.ids if tool_id in tied), "")
    number = min(broken.message or 0, len(sparse.opened.said) - 1)
    for each in sparse.opened.said[number].rows:
        if made.rewrites(each.key):
            return each.key
    return _nearest(made, row, in_front=broken.rule == "R21")


def _nearest(made: Plan, row: Row, *, in_front: bool) -> str:
    """Return the record that is put in first behind a row, or last in front of it; or nothing."""
    places = sorted(made.put_in)
    if in_front:
        found = [place for place in places if place <= row.start][-1:]
    else:
        found = [place for place in places if place >= row.stop][:1]
    return next((str(made.put_in[place][0]["uuid"]) for place in found), "")


# -- records ---------------------------------------------------------------------------------------


def _edited(opened: Opened, made: Plan, row: Row) -> dict[str, Any]:
    value = dict(opened.record(row))
    if row.key in made.ids:
        value["uuid"] = made.ids[row.key]
    if row.key in made.parents:
        value["parentUuid"] = made.parents[row.key]
    if row.key in made.contents:
        _set_content(value, made.contents[row.key], row.role)
    return value


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


# -- applying --------------------------------------------------------------------------------------


def apply(
    edits: Iterable[Edit],
    source: BinaryIO,
    target: BinaryIO,
    size: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write a file as its edits have it, everything else byte for byte. Raises `OSError`.

    `progress` is told bytes of the file, of `size`; what it raises is passed on.
    """
    source.seek(0)
    position = 0
    for edit in edits:
        _copy(source, target, edit.start - position, position, size, progress)
        target.write(edit.text)
        source.seek(edit.stop)
        position = edit.stop
    _copy(source, target, None, position, size, progress)


def _copy(
    source: BinaryIO,
    target: BinaryIO,
    count: int | None,
    position: int,
    size: int,
    progress: Progress | None,
) -> None:
    """Copy some bytes, or all that are left."""
    copied = told = 0
    while count is None or copied < count:
        chunk = source.read(CHUNK_BYTES if count is None else min(CHUNK_BYTES, count - copied))
        if not chunk:
            return
        target.write(chunk)
        copied += len(chunk)
        if progress is not None and copied - told >= PROGRESS_BYTES:
            told = copied
            progress(min(position + copied, size), size)
