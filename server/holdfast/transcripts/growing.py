"""The tree of what was said: which records are one message, and which message follows which.

Law: one API message is one node, however many lines it was written in; the results of its calls
are one node below it, wherever they hang (D03), as long as nothing else was said in between.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final, Literal, TypeAlias

import attrs

from holdfast.conversation.history import ASSISTANT
from holdfast.transcripts.chain import Chain
from holdfast.transcripts.rows import Row

ABOVE_MAX: Final = 200
"""How many records above a result its call is looked for: what is far away is no neighbour."""

Name: TypeAlias = tuple[Literal["message", "results", "record"], str]
"""A node: ("message", message id), ("results", message id or key) or ("record", key)."""


@attrs.define
class Tree:
    """The nodes of a chain, their records in file order, and the parent of each."""

    nodes: dict[Name, list[Row]]
    parents: dict[Name, Name | None]
    names: dict[str, Name]

    def children(self) -> dict[Name, list[Name]]:
        """Return the children of each node, in file order."""
        found: dict[Name, list[Name]] = defaultdict(list)
        for name, parent in self.parents.items():
            if parent is not None:
                found[parent].append(name)
        return found


def grow(chain: Chain) -> Tree:
    """Build the tree of nodes."""
    spoken = [record for record in chain.records if record.boundary or record.speaks]
    callers = _callers(spoken)
    names: dict[str, Name] = {}
    nodes: dict[Name, list[Row]] = defaultdict(list)
    parents: dict[Name, Name | None] = {}
    for record in spoken:
        caller = _answered(record, callers, chain) if record.tool_ids else None
        calls = nodes.get(caller) if caller else None
        if not calls or not _hangs_on(calls, record, chain, names):
            caller = None  # It stays where it stands; repair brings calls and results together.
        name = results_of(caller) if caller else _own_name(record, chain)
        names[record.key] = name
        nodes[name].append(record)
        if caller:
            parents[name] = caller
    for name, records in nodes.items():
        if name not in parents:
            parents[name] = _parent(name, records, chain, names)
    return Tree(dict(nodes), parents, names)


def results_of(name: Name) -> Name:
    """Return the name of the node that holds the results of a node's calls."""
    return "results", name[1]


def _own_name(record: Row, chain: Chain) -> Name:
    if record.role == ASSISTANT:
        message_id = chain.pieces.get(record.key, record.message_id)
        if message_id:
            return "message", message_id
    return "record", record.key


def _callers(spoken: Iterable[Row]) -> dict[str, list[Row]]:
    """Return who made each call, in file order; several when an id is used again (A05)."""
    callers: dict[str, list[Row]] = {}
    for record in spoken:
        if record.tool_ids and record.role == ASSISTANT:
            for tool_id in record.tool_ids:
                callers.setdefault(tool_id, []).append(record)
    return callers


def _answered(record: Row, callers: Mapping[str, Sequence[Row]], chain: Chain) -> Name | None:
    """Return the node whose calls a user's record answers, if it answers any.

    Of several nodes it is the last one: behind that one, all of the calls were made.
    """
    known = [tool_id for tool_id in record.answers if tool_id in callers]
    found = {_nearest(tool_id, callers[tool_id], record, chain): tool_id for tool_id in known}
    if len(found) < 2:
        return next(iter(found), None)
    return max(found, key=lambda name: _last_line(name, callers[found[name]], chain))


def _last_line(name: Name, made: Iterable[Row], chain: Chain) -> int:
    """Return where a node made a call last."""
    return max(record.line for record in made if _own_name(record, chain) == name)


def _nearest(tool_id: str, made: Sequence[Row], result: Row, chain: Chain) -> Name:
    """Return which call of one id a result answers: the nearest above it in the chain (A05).

    Where none is above it, the last one that was written before it.
    """
    first = _own_name(made[0], chain)
    if all(_own_name(record, chain) == first for record in islice(made, 1, None)):
        return first
    for above in _records_above(result, chain):
        if tool_id in above.calls:
            return _own_name(above, chain)
    earlier = bisect_left(made, result.line, key=attrgetter("line"))
    return _own_name(made[max(earlier - 1, 0)], chain)


def _parent(
    name: Name, records: Sequence[Row], chain: Chain, names: dict[str, Name]
) -> Name | None:
    """Return the node above: the first one above any of its records that is not its own."""
    own = (name, results_of(name))
    for record in records:
        nearest = chain.spoken_parent(record.key)
        if nearest is not None and names[nearest.key] not in own:
            return names[nearest.key]
        above = (names[above.key] for above in _records_above(record, chain))
        found = next((name for name in above if name not in own), None)
        if found is not None:
            return found
    return None


def _hangs_on(calls: Sequence[Row], result: Row, chain: Chain, names: Mapping[str, Name]) -> bool:
    """Say whether nothing else was said between calls and a result.

    Other results of theirs, wherever they stand in the file, and prompts that were queued
    meanwhile, are nothing else.
    """
    caller = names[calls[0].key]
    nearest = chain.spoken_parent(result.key)
    if nearest is not None and names.get(nearest.key) == caller:
        return True
    something_else = False
    for above in _records_above(result, chain):
        name = names.get(above.key) or _own_name(above, chain)
        if name == caller:
            return not something_else
        beside = name == results_of(caller) or was_queued([above]) or _answers(above, calls)
        something_else = something_else or not beside
    return True  # The link is broken: it hangs on nothing else either.


def _answers(result: Row, calls: Sequence[Row]) -> bool:
    return any(tool_id in row.calls for row in calls for tool_id in result.answers)


def was_queued(records: Sequence[Row]) -> bool:
    """Say whether a node is a prompt that was queued while a turn ran."""
    return all(record.is_attachment for record in records)


def _records_above(record: Row, chain: Chain) -> Iterator[Row]:
    """Yield what was said above a record, the nearest first, as far as `ABOVE_MAX` records."""
    walked: set[str] = set()
    above = chain.spoken_parent(record.key)
    while above is not None and above.key not in walked and len(walked) < ABOVE_MAX:
        yield above
        walked.add(above.key)
        above = chain.spoken_parent(above.key)
