"""Repairs as records: the difference between a history and its repair, by stored record.

Law: an edit names the record whose messages it replaces, so it stays true when the history grows,
and taking it back needs nothing but the record itself (P4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import Message
from holdfast.conversation.repair import Repaired
from holdfast.session import events as ev


def repair_event(
    repair_id: str, before: Sequence[Message], repaired: Repaired
) -> ev.HistoryRepaired | None:
    """Turn a repair into the event that applies it; None when it changes nothing."""
    edits = edits_of(before, repaired.history)
    if not edits:
        return None
    return ev.HistoryRepaired(repair_id=repair_id, notes=notes_of(repaired.steps), edits=edits)


def notes_of(steps: Iterable[RepairStep]) -> tuple[ev.RepairNote, ...]:
    """Return what a repair did, as it is recorded."""
    return tuple(
        ev.RepairNote(rule=s.rule, origin=s.origin, action=s.action, kept=s.kept) for s in steps
    )


def edits_of(before: Sequence[Message], after: Sequence[Message]) -> tuple[ev.MessageEdit, ...]:
    """Return which records' messages differ, and what they are now.

    Messages that a repair inserted (without an origin) belong to the record before them, at the
    very start to the one after them.
    """
    old = _by_origin(before)
    new = _by_origin(_adopted(after))
    return tuple(
        ev.MessageEdit(
            origin=origin,
            messages=tuple((m.role, ev.raw_blocks(m.blocks)) for m in new.get(origin, ())),
        )
        for origin, messages in old.items()
        if new.get(origin, ()) != messages
    )


def _adopted(history: Sequence[Message]) -> list[Message]:
    adopted: list[Message] = []
    owner = next((m.origin for m in history if m.origin), "")
    for message in history:
        owner = message.origin or owner
        adopted.append(Message(message.role, message.blocks, owner))
    return adopted


def _by_origin(history: Sequence[Message]) -> dict[str, tuple[Message, ...]]:
    groups: dict[str, tuple[Message, ...]] = {}
    for message in history:
        groups[message.origin] = (*groups.get(message.origin, ()), message)
    return groups
