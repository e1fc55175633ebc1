"""The active branch: which of the recorded messages the model would be shown, and in what order.

Law: a rewind is a fork between the nodes of the tree; parallel calls are none. The branch ends at
the last thing said, and begins at its root or at the last compaction. No body
is looked at: rows are enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

import attrs

from holdfast.conversation.history import ASSISTANT, USER, Block, History, Message, Role
from holdfast.transcripts import chain as chains
from holdfast.transcripts.bodies import Blocks, Bodies
from holdfast.transcripts.chain import Chain
from holdfast.transcripts.growing import Name, Tree, grow, results_of, was_queued
from holdfast.transcripts.imported import Note
from holdfast.transcripts.index import TranscriptIndex, gc_paused
from holdfast.transcripts.rows import Row
from holdfast.transcripts.skeleton import skeleton_of


@attrs.frozen
class Node:
    """A node of the active branch: an API message, the results of its calls, or one record."""

    kind: Literal["message", "results", "record"]
    role: Role
    rows: tuple[Row, ...]


@attrs.frozen
class Branch:
    """The active branch, and what was bridged, mended or left out to find it.

    `chain` is what the branch was found in.
    """

    nodes: tuple[Node, ...]
    notes: tuple[Note, ...]
    chain: Chain

    @property
    def known(self) -> Mapping[str, Row]:
        """The records of the main track by key."""
        return self.chain.by_key

    @property
    def model(self) -> str:
        """The model that spoke last; empty when none did."""
        models = (row.model for node in reversed(self.nodes) for row in reversed(node.rows))
        return next(filter(None, models), "")


@attrs.frozen
class Said:
    """One message of the branch, and where each of its blocks stands: row and place in the row."""

    message: Message
    places: tuple[tuple[Row, int], ...]


def active(index: TranscriptIndex) -> Sequence[Node]:
    """Return the nodes of the active branch in the order in which they were said."""
    return branch(index).nodes


def branch(index: TranscriptIndex) -> Branch:
    """Find the active branch of a transcript."""
    with gc_paused():
        return _branch(index)


def _branch(index: TranscriptIndex) -> Branch:
    notes: list[Note] = []
    chain = chains.build(index.rows, notes)
    left_out = sum(row.left_out for row in chain.records)
    if left_out:
        notes.append(Note("left out", f"{left_out} error messages that the model never said"))
    tree = grow(chain)
    leaf = tip(tree, chain, index.about.leaf)
    path = [] if leaf is None else with_answers(tree, chain, path_to(tree, chain, leaf, notes))
    return Branch(tuple(_node(name, tree.nodes[name]) for name in path), tuple(notes), chain)


def skeleton_history(nodes: Iterable[Node], bodies: Bodies) -> History:
    """Return the messages of some nodes, their long strings shortened.

    One record's words are in memory at a time.
    """

    def skeletons(row: Row) -> tuple[Block, ...]:
        return tuple(map(skeleton_of, bodies.blocks(row)))

    return tuple(said.message for said in messages(nodes, skeletons))


def messages(nodes: Iterable[Node], blocks_of: Blocks) -> Iterator[Said]:
    """Yield what was said, message by message, with the blocks that `blocks_of` finds for a row.

    The origin of a message is the key of its first row. A node that holds no block says nothing.
    """
    for node in nodes:
        if node.kind == "message":
            yield from _said(ASSISTANT, node.rows, tuple(_joined(node.rows, blocks_of)))
            continue
        for row in node.rows:
            yield from _said(_role(row), (row,), tuple(_placed((row,), blocks_of)))


def _said(
    role: Role, rows: Sequence[Row], found: Sequence[tuple[Block, Row, int]]
) -> Iterator[Said]:
    if found:
        message = Message(role, tuple(block for block, _, _ in found), rows[0].key)
        yield Said(message, tuple((row, place) for _, row, place in found))


def _placed(rows: Sequence[Row], blocks_of: Blocks) -> Iterator[tuple[Block, Row, int]]:
    for row in rows:
        for place, block in enumerate(blocks_of(row)):
            yield block, row, place


def _joined(pieces: Sequence[Row], blocks_of: Blocks) -> Iterator[tuple[Block, Row, int]]:
    """Join the pieces of one API message; a piece that stands twice is one piece."""
    if len(pieces) > 1 and all(piece.block_index is not None for piece in pieces):
        pieces = sorted(pieces, key=lambda piece: piece.block_index or 0)
    seen: set[Block] = set()
    for block, row, place in _placed(pieces, blocks_of):
        if block not in seen or block.type == "text":
            yield block, row, place
        seen.add(block)


def _node(name: Name, rows: Sequence[Row]) -> Node:
    return Node(name[0], _role(rows[0]), tuple(rows))


def _role(row: Row) -> Role:
    return ASSISTANT if row.role == ASSISTANT else USER


def tip(tree: Tree, chain: Chain, marked: tuple[int, str] | None) -> Name | None:
    """Return the last node of the active branch.

    `marked` is the line and the id of the last record that names a leaf; it counts when nothing was
    said after it. Otherwise it is what was said last, followed down to its own last word.
    """
    spoken = [record for record in chain.records if record.speaks]
    if not spoken:
        return None
    last = max(spoken, key=lambda record: record.line)
    if marked is not None and marked[0] > chain.said_until and marked[1] in chain.by_key:
        leaf = chain.by_key[marked[1]]
        leaf_or_above = leaf if leaf.speaks else chain.spoken_parent(leaf.key)
        if leaf_or_above is not None and leaf_or_above.speaks:
            return tree.names[leaf_or_above.key]
    return _followed_down(tree, tree.names[last.key])


def _followed_down(tree: Tree, name: Name) -> Name:
    """Go down to the leaf that was written last."""
    if name not in tree.parents.values():
        return name
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


def _above_boundary(boundary: Row, tree: Tree, chain: Chain) -> Name | None:
    """Return what a compaction without its summary follows: what it names, if that came before.

    Else what was said last before it.
    """
    record = chain.by_key.get(boundary.logical_parent or "")
    if record is not None and _place(record) < _place(boundary):
        if not record.speaks and not record.is_boundary:
            record = chain.spoken_parent(record.key)
        return tree.names[record.key] if record is not None else None
    before = (each for each in chain.records if _place(each) < _place(boundary))
    spoken = [each for each in before if each.speaks or each.is_boundary]
    return tree.names[spoken[-1].key] if spoken else None


def _place(row: Row) -> tuple[int, int]:
    return row.line, row.piece


def _with_preserved(path: list[Name], boundary: Row, tree: Tree, chain: Chain) -> list[Name]:
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


def _preserved_keys(boundary: Row, chain: Chain) -> Sequence[str]:
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


def with_answers(tree: Tree, chain: Chain, path: Sequence[Name]) -> list[Name]:
    """Add to a path what hangs beside it and belongs to it, results first.

    These are results, prompts that were queued, what was said between pieces of one message, and
    results whose calls were lost.
    """
    on_path = set(path)
    between = _between_pieces(tree, chain, path)
    neighbours = on_path.union(map(results_of, path))
    strays = _strays(tree, chain, on_path, neighbours)
    beside: dict[Name, list[Name]] = defaultdict(list)
    for name, parent in tree.parents.items():
        if name in on_path:
            continue
        if name in strays:
            beside[strays[name]].append(name)
        elif parent in neighbours and (name in between or was_queued(tree.nodes[name])):
            beside[parent].append(name)
    complete: list[Name] = []
    held: list[Name] = []
    for name in path:
        complete.append(name)
        held.extend(beside[name])
        results = results_of(name)
        if name != results and results in tree.nodes:
            if results in on_path:
                continue  # what is held comes behind the results
            complete.append(results)
            held.extend(beside[results])
        complete.extend(held)
        held = []
    return complete


def _between_pieces(tree: Tree, chain: Chain, path: Sequence[Name]) -> set[Name]:
    """Return the nodes, but for results of calls, that a piece of a message hangs on directly."""
    above = (
        chain.spoken_parent(row.key)
        for name in path
        if len(tree.nodes[name]) > 1
        for row in tree.nodes[name]
    )
    names = {tree.names[row.key] for row in above if row is not None}
    return {name for name in names if name[0] != "results"}


def _strays(
    tree: Tree, chain: Chain, on_path: AbstractSet[Name], neighbours: AbstractSet[Name]
) -> dict[Name, Name]:
    """Return the results beside a path whose calls are nowhere, and what each hangs below.

    Nothing but others of them hangs on them: they are the other results of parallel calls.
    """
    called = {tool_id for record in chain.records for tool_id in record.calls}
    found: dict[Name, Name] = {}
    for name, parent in tree.parents.items():
        if name[0] == "record" and parent is not None and name not in on_path:
            above = found.get(parent, parent)
            answers = tree.nodes[name][0].answers
            if answers and above in neighbours and called.isdisjoint(answers):
                found[name] = above
    followed = {parent for name, parent in tree.parents.items() if found and name not in found}
    return {name: above for name, above in found.items() if name not in followed}
