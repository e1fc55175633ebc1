"""The chain of a transcript: which record follows which.

Law: no record is lost to a broken link. A parent that is missing, or on a sub-agent's track, is
replaced by the record before it in the file, and said so (D01, D04). Records that say nothing are
looked through, never stumbled over (D02).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from holdfast.transcripts.imported import Note, NoteKind
from holdfast.transcripts.rows import Row


@attrs.define
class Chain:
    """The rows of the main track in file order, and the parent of each by key."""

    records: tuple[Row, ...]
    by_key: dict[str, Row]
    parents: dict[str, str | None]
    spoken: dict[str, str | None] = attrs.field(factory=dict)

    def spoken_parent(self, key: str) -> Row | None:
        """Return the nearest record above `key` that speaks or is a compaction boundary."""
        above = self.parents.get(key)
        if above is None:
            return None
        if self._stops(above):
            return self.by_key[above]
        if key not in self.spoken:
            self._walk_up(key)
        found = self.spoken[key]
        return self.by_key[found] if found is not None else None

    def _walk_up(self, key: str) -> None:
        walked = {key: None}
        found = self.parents.get(key)
        while found is not None and not self._stops(found):
            if found in self.spoken or found in walked:
                found = self.spoken.get(found)  # nothing, for a ring of records that say nothing
                break
            walked[found] = None
            found = self.parents.get(found)
        self.spoken.update(dict.fromkeys(walked, found))

    def _stops(self, key: str) -> bool:
        record = self.by_key[key]
        return bool(record.role and not record.left_out) or record.boundary is not None


def build(rows: Iterable[Row], notes: list[Note]) -> Chain:
    """Link the records of the main track; a file of a sub-agent only has that track."""
    everything = [row for row in rows if row.key]
    main = [record for record in everything if not record.sidechain]
    if not any(record.speaks for record in main):
        main = everything
    elif left_out := len(everything) - len(main):
        notes.append(Note("left out", f"{left_out} records of sub-agents"))
    unique = _unique(main, notes)
    by_key = {record.key: record for record in unique}
    return Chain(tuple(unique), by_key, _parents(unique, by_key, notes))


def _unique(records: Sequence[Row], notes: list[Note]) -> list[Row]:
    """Drop records that stand twice, and say which of them share an id."""
    unique: list[Row] = []
    for record in records:
        if record.twice:
            notes.append(_note(record, "left out", "a record that stands twice"))
            continue
        if record.uuid and record.key != record.uuid:
            notes.append(_note(record, "mended", "another record with the same id"))
        unique.append(record)
    return unique


def _parents(
    records: Sequence[Row], by_key: dict[str, Row], notes: list[Note]
) -> dict[str, str | None]:
    parents: dict[str, str | None] = {}
    previous: Row | None = None
    for record in records:
        known = record.parent in by_key and record.parent != record.uuid
        if known or record.rooted or previous is None:
            parents[record.key] = record.parent if known else None
        else:
            parents[record.key] = previous.key
            notes.append(
                _note(record, "bridged", "its parent is missing; taken to follow the line before")
            )
        previous = record
    return parents


def _note(record: Row, kind: NoteKind, text: str) -> Note:
    return Note(kind, text, record.line, record.start, record.stop)
