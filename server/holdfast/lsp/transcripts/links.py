"""Who speaks of whom in a transcript: results of calls, records of the ones they follow.

Law: a few bytes are kept for a name, not the name: hashes in order, and the rows say whether it is
theirs. Where an id is used twice (A05, D10) a result answers the last call before it, and an id of
a record is that of the first.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.transcripts.rows import Row


class Lookup:
    """The places of names, in the order of the file; and now and then one of another name."""

    def __init__(self, names: Iterable[tuple[str, int]]) -> None:
        """Take names and their places."""
        hashes, places = array("q"), array("q")
        for name, place in names:
            hashes.append(hash(name))
            places.append(place)
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
        self._hashes = array("q", map(hashes.__getitem__, order))
        self._places = array("q", map(places.__getitem__, order))

    def places(self, name: str) -> Iterator[int]:
        """Yield where a name may stand."""
        wanted = hash(name)
        at = bisect_left(self._hashes, wanted)
        while at < len(self._hashes) and self._hashes[at] == wanted:
            yield self._places[at]
            at += 1


class Links:
    """The links between the rows of a file, each kind looked through when it is first asked for."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Take the rows of a file."""
        self._rows = rows

    def warm(self) -> None:
        """Look through all kinds of links."""
        _ = self._tools, self._uuids, self._parents

    def record(self, uuid: str) -> Row | None:
        """Return the record with an id."""
        return next((row for row in self._found(self._uuids, uuid) if row.uuid == uuid), None)

    def followers(self, uuid: str) -> Iterator[Row]:
        """Yield the records that follow one, or begin behind one that a compaction cut off."""
        for row in self._found(self._parents, uuid):
            if uuid in (row.parent, row.logical_parent):
                yield row

    def call(self, tool_id: str, line: int) -> Row | None:
        """Return the record whose call a result on a line (from 1) answers."""
        calls = [row for row in self._found(self._tools, tool_id) if tool_id in row.calls]
        earlier = [row for row in calls if row.line <= line]
        return earlier[-1] if earlier else next(iter(calls), None)

    def results(self, tool_id: str, call: Row) -> Iterator[Row]:
        """Yield the records that answer a call."""
        for row in self._found(self._tools, tool_id):
            if tool_id in row.answers and _is_same(self.call(tool_id, row.line), call):
                yield row

    def _found(self, lookup: Lookup, name: str) -> Iterator[Row]:
        return (self._rows[place] for place in lookup.places(name))

    @cached_property
    def _tools(self) -> Lookup:
        rows = enumerate(self._rows)
        return Lookup(
            (tool_id, place)
            for place, row in rows
            if row.tool_ids
            for tool_id in dict.fromkeys(row.tool_ids)
        )

    @cached_property
    def _uuids(self) -> Lookup:
        return Lookup((row.uuid, place) for place, row in enumerate(self._rows) if row.uuid)

    @cached_property
    def _parents(self) -> Lookup:
        return Lookup(self._named_parents())

    def _named_parents(self) -> Iterator[tuple[str, int]]:
        for place, row in enumerate(self._rows):
            if row.parent:
                yield row.parent, place
            if row.boundary is not None and row.boundary.logical_parent not in (None, row.parent):
                yield row.boundary.logical_parent or "", place


def _is_same(one: Row | None, other: Row) -> bool:
    return one is not None and (one.start, one.piece) == (other.start, other.piece)
