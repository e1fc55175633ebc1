"""What a repair changes in a transcript, record by record, decided before anything is written.

Law: a record that no rule complains of is not in the plan. The chain is changed where Claude Code
would lose something on it, and where a record comes or goes; nothing leaves but what says nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

import attrs

from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import ASSISTANT, Block, History, Message
from holdfast.transcripts.opened import Opened, Said
from holdfast.transcripts.rows import Row
from holdfast.transcripts.sparse import NEXT, Sparse

_NAMESPACE: Final = uuid.UUID("5d5c8f0e-5f3a-5c8e-9a37-0b8f4f1d9e21")
_ENVELOPE: Final = (
    "isSidechain", "userType", "entrypoint", "cwd", "sessionId", "version", "gitBranch", "slug",
    "timestamp",
)  # fmt: skip
"""The fields that a record which is put in shares with the one beside it."""


_OF_THE_WHOLE: Final = frozenset({"R7", "R60", "R62", "R71", "R74"})
"""Rules about sums, or about what all messages before hold: what is done for them goes together."""


@attrs.define
class Plan:
    """The changes to a file, by the key of a record.

    `contents` are new blocks of a message, `parents` new parents (ids; None: a root), `ids` new
    ids, `removed` are records that go; `put_in` are new records, by the byte offset of the file
    that they are put in at. `ties` name two changed records, or a tool id that a change is about,
    that need each other. `beside` says of a new record which one it stands beside.
    """

    contents: dict[str, tuple[Block, ...]] = attrs.field(factory=dict)
    parents: dict[str, str | None] = attrs.field(factory=dict)
    ids: dict[str, str] = attrs.field(factory=dict)
    removed: set[str] = attrs.field(factory=set)
    put_in: dict[int, list[dict[str, Any]]] = attrs.field(factory=lambda: defaultdict(list))
    beside: dict[str, Row] = attrs.field(factory=dict)
    ties: list[tuple[str, str]] = attrs.field(factory=list)
    steps: list[RepairStep] = attrs.field(factory=list)

    def rewrites(self, key: str) -> bool:
        """Say whether what a record says changes, or goes."""
        return key in self.contents or key in self.removed

    @property
    def touched(self) -> frozenset[str]:
        """The records that change."""
        return frozenset().union(self.contents, self.removed, self.parents, self.ids)


def plan(opened: Opened, sparse: Sparse, *, close: bool = False) -> Plan:
    """Decide what changes; with `close` also that calls at the very end get a result.

    Raises `OSError` when the file cannot be read any more.
    """
    made = Plan()
    hangs = dict(opened.parents)
    made.removed.update(opened.cut_off_by)
    hangs.update(opened.cut_off_by)
    rows = opened.by_key.items() if opened.side_keys else ()
    kept = frozenset(key for key, row in rows if opened.leads_back(row))
    _string(opened, made, hangs)
    if opened.said:
        _mend_messages(sparse, made, hangs, frozenset() if close else open_calls(opened))
    _name(opened, made, hangs)
    _hang(opened, made, hangs, kept)
    return made


def _string(opened: Opened, made: Plan, hangs: dict[str, str | None]) -> None:
    """Hang results whose calls were lost above what was said next, which may not follow them.

    Results of known calls are found wherever they hang.
    """
    called = {tool_id for said in opened.said for row in said.rows for tool_id in row.calls}
    strays: list[str] = []
    for said in opened.said:
        row = said.rows[0]
        if row.answers and called.isdisjoint(row.answers):
            strays.append(row.key)
        elif strays and not row.is_attachment:
            below = _first(said, hangs).key
            for key in strays:
                if key not in _above(below, hangs):
                    hangs[key], hangs[below] = hangs[below], key
                    made.ties.append((key, below))
            strays = []


def _above(key: str, hangs: Mapping[str, str | None]) -> set[str]:
    """Return the records above one."""
    found: set[str] = set()
    above = hangs.get(key)
    while above is not None and above not in found:
        found.add(above)
        above = hangs.get(above)
    return found


# -- messages --------------------------------------------------------------------------------------


def _mend_messages(
    sparse: Sparse, made: Plan, hangs: dict[str, str | None], open_ids: frozenset[str]
) -> None:
    mended = sparse.mended(open_ids)
    made.steps.extend(mended.steps)
    after = {message.origin: message for message in mended.history if message.origin}
    for number, said in enumerate(sparse.opened.said):
        message = after.get(said.message.origin)
        _replace(said, sparse.message(number), message.blocks if message else (), made)
    _put_in(sparse.opened, mended.history, made, hangs)
    _tie_what_counts_together(sparse, made)


def _tie_what_counts_together(sparse: Sparse, made: Plan) -> None:
    for step in made.steps:
        number = sparse.number(step.origin)
        if step.rule in _OF_THE_WHOLE and number is not None:
            for row in sparse.opened.said[number].rows:
                if made.rewrites(row.key):
                    made.ties.append((row.key, "sums"))


def open_calls(opened: Opened) -> frozenset[str]:
    """Return the calls at the very end that have no result yet; Claude Code gives them one."""
    answered: set[str] = set()
    called: set[str] = set()
    is_calling = False
    for message in (said.message for said in reversed(opened.said)):
        if message.role != ASSISTANT and is_calling:
            break
        is_calling = message.role == ASSISTANT
        called.update(b.text_of("id") for b in message.blocks if b.type == "tool_use")
        answered.update(b.text_of("tool_use_id") for b in message.blocks if b.type == "tool_result")
    return frozenset(called - answered)


def _replace(said: Said, old: Message, blocks: Sequence[Block], made: Plan) -> None:
    """Give the blocks of a mended message to the records that its old blocks stand in."""
    if tuple(blocks) == old.blocks:
        return
    shares: dict[str, list[Block]] = {row.key: [] for row in said.sources}
    for key, share in _shared_out(said, old.blocks, blocks):
        shares[key].extend(share)
    for key, share in shares.items():
        own = [b for b, row in zip(old.blocks, said.sources, strict=True) if row.key == key]
        if not share:
            made.removed.add(key)
        elif share != own:
            made.contents[key] = tuple(share)
        made.ties.extend((key, tool_id) for tool_id in _tool_ids(set(own) ^ set(share)))


def _tool_ids(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield from filter(None, (block.text_of("id"), block.text_of("tool_use_id")))


def _shared_out(
    said: Said, old: Sequence[Block], blocks: Sequence[Block]
) -> Iterator[tuple[str, Sequence[Block]]]:
    matcher = SequenceMatcher(None, [b.raw for b in old], [b.raw for b in blocks], autojunk=False)
    for kind, start, stop, new_start, new_stop in matcher.get_opcodes():
        if kind == "equal" or stop - start == new_stop - new_start:
            for row, block in zip(
                said.sources[start:stop], blocks[new_start:new_stop], strict=True
            ):
                yield row.key, [block]
        else:
            at = min(start, len(said.sources) - 1) if kind != "insert" else max(start - 1, 0)
            yield said.sources[at].key, blocks[new_start:new_stop]


def _put_in(opened: Opened, history: History, made: Plan, hangs: dict[str, str | None]) -> None:
    """Make records of the messages that a repair inserted, and hang what follows on them."""
    numbers = {said.message.origin: number for number, said in enumerate(opened.said)}
    before: Said | None = None
    gone: list[str] = []  # the records of the messages that went since then
    new: list[str] = []
    behind = 0
    for message in (*_without_next(history), None):
        number = len(opened.said) if message is None else numbers.get(message.origin)
        if number is not None:
            gone = [row.key for said in opened.said[behind:number] for row in said.rows]
            made.ties.extend((new[-1], key) for key in gone if new and key in made.removed)
        if message is None:
            return
        if number is not None:
            before, behind = opened.said[number], number + 1
            if new:
                below = _first(before, hangs).key
                hangs[below] = new[-1]
                made.ties.append((below, new[-1]))
            new = []
            continue
        beside = max(before.rows, key=_line) if before else min(opened.said[0].rows, key=_line)
        above = new[-1] if new else (beside.key if before else None)
        record = _record(opened, message, beside, above or "")
        key = str(record["uuid"])
        made.ties.extend((key, other) for other in (*new[-1:], *_tool_ids(message.blocks)))
        hangs[key] = above
        made.put_in[beside.stop if before else beside.start].append(record)
        made.beside[key] = beside
        new.append(key)


def _without_next(history: History) -> Iterator[Message]:
    """Yield the messages, and what was put in front of the next prompt without the prompt."""
    for message in history:
        if message.origin != NEXT.origin:
            yield message
        elif len(message.blocks) > len(NEXT.blocks):
            yield attrs.evolve(message, blocks=message.blocks[: -len(NEXT.blocks)], origin="")


def _line(row: Row) -> int:
    return row.line


def _first(said: Said, hangs: Mapping[str, str | None]) -> Row:
    """Return the record of a message that hangs on none of the others."""
    own = {row.key for row in said.rows}
    return next((row for row in said.rows if hangs.get(row.key) not in own), said.rows[0])


def _record(opened: Opened, message: Message, beside: Row, above: str) -> dict[str, Any]:
    neighbour: dict[str, Any] = opened.record(beside)
    envelope: dict[str, Any] = {name: neighbour[name] for name in _ENVELOPE if name in neighbour}
    said = {"role": message.role, "content": [dict(block.data) for block in message.blocks]}
    return {
        "parentUuid": None,
        "type": message.role,
        "message": said,
        "uuid": _made_id(f"{opened.path.name} {above} {message.wire}"),
        **envelope,
    }


# -- ids and links ---------------------------------------------------------------------------------


def _name(opened: Opened, made: Plan, hangs: Mapping[str, str | None]) -> None:
    """Give an id to records that share one, and to those that have none and are followed."""
    followed = set(hangs.values())
    for key in hangs:
        row = opened.by_key.get(key)
        if row is not None and key != row.uuid and (row.uuid or key in followed):
            made.ids[key] = _made_id(f"{opened.path.name} {key}")


def _hang(
    opened: Opened, made: Plan, hangs: Mapping[str, str | None], kept: frozenset[str]
) -> None:
    """Write the links that are not what the file says."""

    def id_above(key: str) -> tuple[str | None, list[str]]:
        """Return the id of what a record follows, and the changed records that it depends on."""
        above = hangs.get(key)
        walked: list[str] = []
        while above in made.removed and above not in walked:
            walked.append(above)
            above = hangs.get(above)
        if above in made.ids:
            walked.append(above)
        return made.ids.get(above, above) if above is not None else None, walked

    put_in = {record["uuid"]: record for records in made.put_in.values() for record in records}
    for key, follows in hangs.items():
        above, walked = id_above(key)
        row = opened.by_key.get(key)
        if row is None:
            put_in[key]["parentUuid"] = above
        elif key in kept and follows == opened.parents[key]:
            continue
        elif above != row.parent and (above is not None or follows in made.removed):
            made.parents[key] = above
            if row.parent in made.removed:
                walked.append(row.parent)
        else:
            continue
        made.ties.extend((key, each) for each in walked)


def _made_id(seed: str) -> str:
    """Return an id that is the same each time a file is repaired."""
    return str(uuid.uuid5(_NAMESPACE, seed))
