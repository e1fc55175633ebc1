"""What a repair changes in a transcript, record by record, decided before anything is written.

Law: a record that no rule complains of is not in the plan. The chain is changed where Claude Code
would lose something on it, and where a record comes or goes; nothing leaves but what says nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

import attrs

from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import ASSISTANT, Block, History, Message
from holdfast.conversation.media import media_of
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.media import fitting
from holdfast.transcripts.findings import NEXT, PROFILE
from holdfast.transcripts.opened import Opened, Said
from holdfast.transcripts.rows import Row

_NEXT: Final = attrs.evolve(NEXT, origin="the next prompt")
_NAMESPACE: Final = uuid.UUID("5d5c8f0e-5f3a-5c8e-9a37-0b8f4f1d9e21")
_ENVELOPE: Final = (
    "isSidechain", "userType", "entrypoint", "cwd", "sessionId", "version", "gitBranch", "slug",
    "timestamp",
)  # fmt: skip
"""The fields that a record which is put in shares with the one beside it."""


@attrs.define
class Plan:
    """The changes to a file, by the key of a record.

    `contents` are new blocks of a message, `parents` new parents (ids; None: a root), `ids` new
    ids, `removed` are records that go; `put_in` are new records, each behind a line of the file.
    """

    contents: dict[str, tuple[Block, ...]] = attrs.field(factory=dict)
    parents: dict[str, str | None] = attrs.field(factory=dict)
    ids: dict[str, str] = attrs.field(factory=dict)
    removed: set[str] = attrs.field(factory=set)
    put_in: dict[int, list[dict[str, Any]]] = attrs.field(factory=lambda: defaultdict(list))
    steps: list[RepairStep] = attrs.field(factory=list)

    def touches(self, key: str) -> bool:
        """Say whether a record changes."""
        return key in self.contents or key in self.parents or key in self.ids or key in self.removed


def plan(opened: Opened) -> Plan:
    """Decide what changes. Raises `OSError` when the file cannot be read any more."""
    made = Plan()
    hangs = dict(opened.parents)
    made.removed.update(opened.cut_off_by)
    hangs.update(opened.cut_off_by)
    kept = frozenset(key for key in hangs if opened.leads_back(opened.by_key[key]))
    if opened.said:
        _mend_messages(opened, made, hangs)
    _name(opened, made, hangs)
    _hang(opened, made, hangs, kept)
    return made


# -- messages --------------------------------------------------------------------------------------


def _mend_messages(opened: Opened, made: Plan, hangs: dict[str, str | None]) -> None:
    history = _with_fitting_media(opened.history, made)
    mended = repair((*history, _NEXT), profile=PROFILE, open_ids=_open_calls(opened.history))
    made.steps.extend(mended.steps)
    after: dict[str, Message] = {m.origin: m for m in mended.history if m.origin}
    for said in opened.said:
        message = after.get(said.message.origin)
        _replace(said, message.blocks if message else (), made)
    _put_in(opened, mended.history, made, hangs)


def _with_fitting_media(history: History, made: Plan) -> History:
    """Make pictures small that the API would refuse, rather than lose them."""
    refused = {
        f.message for f in validate(history, PROFILE) if f.rule.startswith(("R59", "R60", "R61"))
    }
    messages: list[Message] = []
    for number, message in enumerate(history):
        if number not in refused:
            messages.append(message)
            continue
        blocks = [fitted for block in message.blocks for fitted in _fitted(block)]
        action = "made the pictures such that the API takes them"
        made.steps.append(RepairStep("R61", message.origin, action, "the pictures"))
        messages.append(attrs.evolve(message, blocks=tuple(blocks)))
    return tuple(messages)


def _fitted(block: Block) -> tuple[Block, ...]:
    return fitting.fit(block) if next(media_of(block), None) is not None else (block,)


def _open_calls(history: History) -> frozenset[str]:
    """Return the calls at the very end that have no result yet; Claude Code gives them one."""
    answered: set[str] = set()
    called: set[str] = set()
    is_calling = False
    for message in reversed(history):
        if message.role != ASSISTANT and is_calling:
            break
        is_calling = message.role == ASSISTANT
        called.update(b.text_of("id") for b in message.blocks if b.type == "tool_use")
        answered.update(b.text_of("tool_use_id") for b in message.blocks if b.type == "tool_result")
    return frozenset(called - answered)


def _replace(said: Said, blocks: Sequence[Block], made: Plan) -> None:
    """Give the blocks of a mended message to the records that its old blocks stand in."""
    if tuple(blocks) == said.message.blocks:
        return
    shares: dict[str, list[Block]] = {row.key: [] for row in said.sources}
    for key, share in _shared_out(said, blocks):
        shares[key].extend(share)
    for key, share in shares.items():
        own = [
            b for b, row in zip(said.message.blocks, said.sources, strict=True) if row.key == key
        ]
        if not share:
            made.removed.add(key)
        elif share != own:
            made.contents[key] = tuple(share)


def _shared_out(said: Said, blocks: Sequence[Block]) -> Iterator[tuple[str, Sequence[Block]]]:
    old = [block.raw for block in said.message.blocks]
    matcher = SequenceMatcher(None, old, [block.raw for block in blocks], autojunk=False)
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
    by_origin = {said.message.origin: said for said in opened.said}
    before: Said | None = None
    new: str | None = None
    for message in history:
        said = by_origin.get(message.origin)
        if said is not None:
            if new is not None:
                hangs[_first(said, hangs).key] = new
            before, new = said, None
        elif message.origin != _NEXT.origin:
            beside = max(before.rows, key=_line) if before else min(opened.said[0].rows, key=_line)
            above = new or (beside.key if before else None)
            record = _record(opened, message, beside, above or "")
            new = record["uuid"]
            hangs[new] = above
            made.put_in[beside.line if before else beside.line - 1].append(record)


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

    def id_above(key: str) -> str | None:
        above = hangs.get(key)
        walked: set[str] = set()
        while above in made.removed and above not in walked:
            walked.add(above)
            above = hangs.get(above)
        return made.ids.get(above, above) if above is not None else None

    put_in = {record["uuid"]: record for records in made.put_in.values() for record in records}
    for key, follows in hangs.items():
        above = id_above(key)
        row = opened.by_key.get(key)
        if row is None:
            put_in[key]["parentUuid"] = above
        elif key in kept and follows == opened.parents[key]:
            continue
        elif above != row.parent and (above is not None or follows in made.removed):
            made.parents[key] = above


def _made_id(seed: str) -> str:
    """Return an id that is the same each time a file is repaired."""
    return str(uuid.uuid5(_NAMESPACE, seed))
