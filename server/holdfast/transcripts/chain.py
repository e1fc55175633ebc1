"""The chain of a transcript: which record follows which.

Law: no record is lost to a broken link, and no walk up the chain goes on for ever. A parent that is
missing, on a sub-agent's track, or below its own child is replaced by the record before it in the
file, and said so (D01, D04). So is none at all, where what follows could not have begun a session:
a prompt can, as a person goes back to the beginning. Records that say nothing are looked through,
never stumbled over (D02).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from holdfast.conversation.history import ASSISTANT
from holdfast.transcripts.imported import Note, NoteKind
from holdfast.transcripts.rows import Row

BETWEEN_MAX: Final = 20
"""How many records may have lost the id of their message between two that have it."""


@attrs.define
class Chain:
    """The rows of the main track in file order, and the parent of each by key.

    `said_until` is the last line on which something is said, be it for a second time. `pieces` are
    the records of the assistant that lost the id of their message, with that id.
    """

    records: tuple[Row, ...]
    by_key: dict[str, Row]
    parents: dict[str, str | None]
    said_until: int
    spoken: dict[str, str | None] = attrs.field(factory=dict)
    pieces: dict[str, str] = attrs.field(factory=dict)

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
        walked = [key]
        found = self.parents.get(key)
        while found is not None and not self._stops(found):
            if found in self.spoken:
                found = self.spoken[found]
                break
            walked.append(found)
            found = self.parents.get(found)
        self.spoken.update(dict.fromkeys(walked, found))

    def _stops(self, key: str) -> bool:
        record = self.by_key[key]
        return bool(record.role and not record.left_out) or record.boundary is not None


def build(rows: Iterable[Row], notes: list[Note]) -> Chain:
    """Link the records of the main track; a file of a sub-agent only has that track."""
    everything = [row for row in rows if row.key]
    main = [record for record in everything if not record.sidechain]
    if _are_strays(main, everything):
        main = everything
    elif left_out := len(everything) - len(main):
        notes.append(Note("left out", f"{left_out} records of sub-agents"))
    unique = _unique(main, notes)
    by_key = {record.key: record for record in unique}
    said_until = max((record.line for record in main if record.speaks), default=0)
    made = Chain(tuple(unique), by_key, _parents(unique, by_key, notes), said_until)
    made.pieces.update(_lost_pieces(made))
    return made


def _are_strays(main: Sequence[Row], everything: Sequence[Row]) -> bool:
    """Say whether a file is a sub-agent's, and `main` what does not say whose record it is."""
    speaking = [record for record in main if record.speaks]
    if not all(record.trackless for record in speaking):
        return False
    return 2 * len(speaking) <= sum(record.speaks for record in everything)


def _lost_pieces(chain: Chain) -> Iterator[tuple[str, str]]:
    """Yield the records between two pieces of a message that share an id with no other record.

    The assistant says nothing else there, so they are pieces of it that lost its id.
    """
    spoken = [record for record in chain.records if record.role == ASSISTANT]
    counts = Counter(record.message_id for record in spoken if record.message_id)
    begun: set[str] = set()
    for record in spoken:
        if counts[record.message_id] < 2:
            continue
        if record.message_id not in begun:
            begun.add(record.message_id)
            continue
        between: list[str] = []
        above = chain.spoken_parent(record.key)
        while above is not None and above.message_id != record.message_id:
            lost = above.role == ASSISTANT and counts[above.message_id] < 2
            if len(between) == BETWEEN_MAX or not (lost or above.answers):
                break
            if lost:
                between.append(above.key)
            above = chain.spoken_parent(above.key)
        else:
            if above is not None:
                yield from ((key, record.message_id) for key in between)


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
    """Return what each record follows, in file order; each break that was bridged gets a note."""
    parents: dict[str, str | None] = {}
    before: dict[str, str] = {}
    rooted: list[Row] = []
    points_ahead = has_root = False
    previous: Row | None = None
    for record in records:
        if previous is not None:
            before[record.key] = previous.key
        if record.parent in by_key and record.parent != record.uuid:
            parents[record.key] = record.parent
            points_ahead = points_ahead or record.parent not in parents
        elif record.rooted or previous is None:
            parents[record.key] = None
            if has_root and not record.is_boundary:
                rooted.append(record)
            has_root = True
        else:
            parents[record.key] = previous.key
            notes.append(
                _note(record, "bridged", "its parent is missing; taken to follow the line before")
            )
        previous = record
    if rooted:
        _bridge(_no_beginnings(records, parents, rooted), before, parents, notes, _NO_BEGINNING)
    while points_ahead and (ahead := _ahead_in_rings(records, parents)):
        _bridge(ahead, before, parents, notes, _RING)
    return parents


SYSTEM: Final = "system"
_NO_BEGINNING: Final = "it follows nothing, and is no beginning; taken to follow the line before"
_RING: Final = "its parents lead back to itself; taken to follow the line before"


def _bridge(
    broken: Iterable[Row],
    before: Mapping[str, str],
    parents: dict[str, str | None],
    notes: list[Note],
    text: str,
) -> None:
    for record in broken:
        parents[record.key] = before.get(record.key)
        notes.append(_note(record, "bridged", text))


def _no_beginnings(
    records: Sequence[Row], parents: Mapping[str, str | None], rooted: Sequence[Row]
) -> list[Row]:
    """Return the roots that begin no session.

    The program's own remarks do not, nor do the assistant and the results of tools, or what stands
    above these and says nothing.
    """
    found = {root.key: root for root in rooted if root.type == SYSTEM or _answers(root)}
    silent = {root.key: root for root in rooted if root.key not in found and not root.role}
    for record in records:
        root = silent.get(parents[record.key] or "")
        if root is None:
            continue
        if not record.role:
            silent[record.key] = root
        elif root.key in silent:
            if _answers(record):
                found[root.key] = root
            del silent[root.key]
    return list(found.values())


def _answers(record: Row) -> bool:
    return record.role == ASSISTANT or bool(record.answers)


def _ahead_in_rings(records: Sequence[Row], parents: Mapping[str, str | None]) -> list[Row]:
    """Return the records of rings that follow one further on in the file.

    Each ring has at least one. What stands before a record in the file can be taken as its parent
    without making another such link, so bridging them ends.
    """
    places = {record.key: place for place, record in enumerate(records)}
    walk_of: dict[str, str] = {}
    found: list[Row] = []
    for record in records:
        key: str | None = record.key
        while key is not None and key not in walk_of:
            walk_of[key] = record.key
            key = parents[key]
        if key is None or walk_of[key] != record.key:
            continue
        found.extend(
            records[places[each]]
            for each in _ring_through(key, parents)
            if places[parents[each] or ""] > places[each]
        )
    return found


def _ring_through(key: str, parents: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the records of a ring, from one of them up to itself."""
    above: str | None = key
    while above is not None:
        yield above
        above = parents[above]
        if above == key:
            return


def _note(record: Row, kind: NoteKind, text: str) -> Note:
    return Note(kind, text, record.line, record.start, record.stop)
