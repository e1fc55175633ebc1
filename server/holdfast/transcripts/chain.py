"""The chain of a transcript: which record follows which.

Law: no record is lost to a broken link. A parent that is missing, or on a sub-agent's track, is
replaced by the record before it in the file, and said so (D01, D04). Records that say nothing are
looked through, never stumbled over (D02).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from holdfast.transcripts.imported import Note, NoteKind
from holdfast.transcripts.records import Record


@attrs.define
class Chain:
    """The records of the main track in file order, and the parent of each."""

    records: tuple[Record, ...]
    by_key: dict[str, Record]
    parents: dict[str, str | None]
    spoken: dict[str, str | None] = attrs.field(factory=dict)

    def spoken_parent(self, key: str) -> Record | None:
        """Return the nearest record above `key` that speaks or is a compaction boundary."""
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
        return record.speaks or record.is_boundary


def build(records: Iterable[Record], notes: list[Note]) -> Chain:
    """Link the records of the main track; a file of a sub-agent only has that track."""
    everything = list(records)
    main = [record for record in everything if not record.sidechain]
    if not any(record.speaks for record in main):
        main = everything
    elif left_out := len(everything) - len(main):
        notes.append(Note("left out", f"{left_out} records of sub-agents"))
    unique = _unique(main, notes)
    by_key = {record.key: record for record in unique}
    return Chain(tuple(unique), by_key, _parents(unique, by_key, notes))


def _unique(records: Sequence[Record], notes: list[Note]) -> list[Record]:
    """Drop records that stand twice; give another key to other content under a used one."""
    seen: dict[str, Record] = {}
    for record in records:
        first = seen.get(record.key)
        if first is None:
            seen[record.key] = record
        elif first.found.value == record.found.value:
            notes.append(_note(record, "left out", "a record that stands twice"))
        else:
            key = f"{record.key}#{record.line}"
            seen[key] = attrs.evolve(record, key=key)
            notes.append(_note(record, "mended", "another record with the same id"))
    return list(seen.values())


def _parents(
    records: Sequence[Record], by_key: dict[str, Record], notes: list[Note]
) -> dict[str, str | None]:
    parents: dict[str, str | None] = {}
    previous: Record | None = None
    for record in records:
        own = record.found.value.get("uuid")
        known = record.parent in by_key and record.parent != own
        if known or record.rooted or previous is None:
            parents[record.key] = record.parent if known else None
        else:
            parents[record.key] = previous.key
            notes.append(
                _note(record, "bridged", "its parent is missing; taken to follow the line before")
            )
        previous = record
    return parents


def _note(record: Record, kind: NoteKind, text: str) -> Note:
    found = record.found
    return Note(kind, text, found.line, found.start, found.stop)
