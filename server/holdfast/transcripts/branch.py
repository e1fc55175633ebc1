"""The active branch: which of the recorded messages the model would be shown, and in what order.

Law: one API message is one node, however many lines it was written in; the results of its calls
are one node below it, wherever they hang (D03). A rewind is a fork between nodes; parallel calls
are none. The branch ends at the last thing said, and begins at its root or at the last
compaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import attrs

from holdfast.transcripts.chain import Chain
from holdfast.transcripts.imported import Note
from holdfast.transcripts.records import Record

Name: TypeAlias = tuple[str, str]
"""A node: ("message", message id), ("results", message id or key) or ("record", key)."""


@attrs.define
class Tree:
    """The nodes of a chain, their records in file order, and the parent of each."""

    nodes: dict[Name, list[Record]]
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
    spoken = [record for record in chain.records if record.speaks or record.is_boundary]
    callers = _callers(spoken)
    names: dict[str, Name] = {}
    nodes: dict[Name, list[Record]] = defaultdict(list)
    parents: dict[Name, Name | None] = {}
    for record in spoken:
        caller = _answered(record, callers)
        name = results_of(caller) if caller else _own_name(record)
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


def _own_name(record: Record) -> Name:
    if record.role == "assistant" and record.message_id:
        return "message", record.message_id
    return "record", record.key


def _callers(spoken: Iterable[Record]) -> dict[str, Name]:
    """Return the node that made each call; the first, when an id is used twice."""
    callers: dict[str, Name] = {}
    for record in spoken:
        if record.role != "assistant":
            continue
        for block in _blocks(record):
            tool_id = block.get("id")
            if block.get("type") == "tool_use" and isinstance(tool_id, str):
                callers.setdefault(tool_id, _own_name(record))
    return callers


def _blocks(record: Record) -> Iterator[dict[str, Any]]:
    if isinstance(record.content, list):
        yield from (block for block in record.content if isinstance(block, dict))


def _answered(record: Record, callers: dict[str, Name]) -> Name | None:
    """Return the node whose calls a user's record answers, if it answers any."""
    if record.role != "user":
        return None
    ids = (b.get("tool_use_id") for b in _blocks(record) if b.get("type") == "tool_result")
    return next((callers[i] for i in ids if isinstance(i, str) and i in callers), None)


def _parent(
    name: Name, records: Sequence[Record], chain: Chain, names: dict[str, Name]
) -> Name | None:
    """Return the node above: the first one above any of its records that is not its own."""
    own = {name, results_of(name)}
    for record in records:
        above = chain.spoken_parent(record.key)
        if above is not None and names[above.key] not in own:
            return names[above.key]
    return None


def tip(tree: Tree, chain: Chain, marked: tuple[int, str] | None) -> Name | None:
    """Return the last node of the active branch.

    `marked` is the line and the id of the last record that names a leaf; it counts when nothing was
    said after it. Otherwise it is what was said last, followed down to its own last word.
    """
    spoken = [record for record in chain.records if record.speaks]
    if not spoken:
        return None
    last = max(spoken, key=lambda record: record.line)
    if marked is not None and marked[0] > last.line and marked[1] in chain.by_key:
        leaf = chain.by_key[marked[1]]
        leaf_or_above = leaf if leaf.speaks else chain.spoken_parent(leaf.key)
        if leaf_or_above is not None and leaf_or_above.speaks:
            return tree.names[leaf_or_above.key]
    return _followed_down(tree, tree.names[last.key])


def _followed_down(tree: Tree, name: Name) -> Name:
    """Go down to the leaf that was written last."""
    children = tree.children()
    order = {name: None}
    waiting = [name]
    while waiting:
        below = [child for child in children.get(waiting.pop(), ()) if child not in order]
        order.update(dict.fromkeys(below))
        waiting.extend(below)
    latest = {node: max(record.line for record in tree.nodes[node]) for node in order}
    best: dict[Name, Name] = {}
    for node in reversed(order):  # children come before their parents
        parent = tree.parents[node]
        if node == name or parent is None:
            continue
        if latest[node] > latest[parent] or parent not in best:
            best[parent] = node
        latest[parent] = max(latest[parent], latest[node])
    while name in best:
        name = best[name]
    return name


def path_to(tree: Tree, chain: Chain, leaf: Name, notes: list[Note]) -> list[Name]:
    """Return the nodes from the root, or the last compaction, down to `leaf`."""
    path: list[Name] = []
    seen: set[Name] = set()
    node: Name | None = leaf
    while node is not None and node not in seen:
        seen.add(node)
        boundary = tree.nodes[node][0]
        if not boundary.is_boundary:
            path.append(node)
            node = tree.parents[node]
        elif any(record.is_summary for name in path for record in tree.nodes[name]):
            return _with_preserved(path[::-1], boundary, tree, chain)
        else:
            notes.append(Note("mended", "a compaction without its summary was passed over"))
            node = _above_boundary(boundary, tree, chain) or tree.parents[node]
    return path[::-1]


def _above_boundary(boundary: Record, tree: Tree, chain: Chain) -> Name | None:
    above = boundary.logical_parent
    record = chain.by_key.get(above) if above is not None else None
    if record is not None and not record.speaks and not record.is_boundary:
        record = chain.spoken_parent(record.key)
    return tree.names[record.key] if record is not None else None


def _with_preserved(path: list[Name], boundary: Record, tree: Tree, chain: Chain) -> list[Name]:
    """Hang the messages that a compaction kept verbatim behind its summary."""
    kept: dict[Name, None] = {}
    for key in _preserved_keys(boundary, chain):
        name = tree.names.get(key)
        if name is not None and name not in path:
            kept[name] = None
    summary = next(
        index for index, name in enumerate(path) if any(r.is_summary for r in tree.nodes[name])
    )
    return [*path[: summary + 1], *kept, *path[summary + 1 :]]


def _preserved_keys(boundary: Record, chain: Chain) -> Sequence[str]:
    """Return the ids that a compaction kept, in order."""
    if boundary.preserved or boundary.segment is None:
        return boundary.preserved
    head, key = boundary.segment
    walked: dict[str, None] = {}
    above: str | None = key
    while above is not None and above in chain.by_key and above not in walked:
        walked[above] = None
        if above == head:
            return list(walked)[::-1]
        above = chain.parents[above]
    return ()


def with_answers(tree: Tree, path: Sequence[Name]) -> list[Name]:
    """Add to a path the results and the queued prompts that hang beside it, results first."""
    on_path = set(path)
    beside: dict[Name, list[Name]] = defaultdict(list)
    for name, parent in tree.parents.items():
        if parent is not None and name not in on_path and _was_queued(tree, name):
            beside[parent].append(name)
    complete: list[Name] = []
    held: list[Name] = []
    for position, name in enumerate(path):
        complete.append(name)
        held.extend(beside[name])
        results = results_of(name)
        if name != results and results in tree.nodes:
            if path[position + 1 : position + 2] == [results]:
                continue  # what is held comes behind the results
            complete.append(results)
            held.extend(beside[results])
        complete.extend(held)
        held = []
    return complete


def _was_queued(tree: Tree, name: Name) -> bool:
    return all(record.found.value.get("type") == "attachment" for record in tree.nodes[name])
