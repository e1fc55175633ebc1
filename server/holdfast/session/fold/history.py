"""How history from elsewhere, repairs and rewinds change the messages."""

from __future__ import annotations

from typing import Final

import attrs

from holdfast.conversation.history import USER, Message, text
from holdfast.session import events as ev
from holdfast.session.origins import first_from, index_of
from holdfast.session.state import SessionState, Switched

COMPACTION: Final = "compaction."
"""How the origin of a summary begins."""

SHRINK: Final = "shrink"
"""The rung of a repair that only makes a request smaller; how often is bounded by the turn."""


def imported(state: SessionState, event: ev.MessageImported, seq: int, _at: int) -> None:
    """Append one message of a foreign history."""
    append(state, Message(event.role, ev.blocks_of(event.content), str(seq)))
    prefix_changed(state)  # Its thinking belongs to another system prompt and other tools.


def repaired(state: SessionState, event: ev.HistoryRepaired, _seq: int, _at: int) -> None:
    """Replace the messages that the repair names; keep what was there."""
    cause, turn = event.cause, state.turn
    if cause is not None:
        state.tried.add((cause.head, cause.rung, cause.place, cause.fragment))
        if turn is not None and turn.examining:
            turn.examining = False
        if turn is not None and turn.failure is not None and cause.rung == SHRINK:
            turn.reshapes += 1
        if turn is not None and turn.refusals:
            turn.repairs.append(event.repair_id)
    state.switches[event.repair_id] = Switched(state.dropping, event.left_out)
    if event.drop_mismatched_thinking is not None:
        state.dropping = event.drop_mismatched_thinking
    state.left_out = (*state.left_out, *event.left_out)
    originals: dict[str, tuple[Message, ...]] = {}
    for edit in event.edits:
        replacement = tuple(
            Message(role, ev.blocks_of(content), edit.origin) for role, content in edit.messages
        )
        originals[edit.origin] = replace(state, edit.origin, replacement)
    state.repairs[event.repair_id] = originals
    state.repair_notes.extend(event.notes)
    if event.edits or event.left_out or cause is None:
        prefix_changed(state)  # Other tools are another prefix, too (R72).


def repair_undone(state: SessionState, event: ev.RepairUndone, _seq: int, _at: int) -> None:
    """Put back what a repair replaced."""
    for origin, originals in state.repairs.pop(event.repair_id, {}).items():
        restore(state, origin, originals)
    before = state.switches.pop(event.repair_id, None)
    if before is not None:
        state.dropping = before.dropping
        state.left_out = tuple(name for name in state.left_out if name not in before.left_out)
    prefix_changed(state)


def rewound(state: SessionState, event: ev.HistoryRewound, _seq: int, _at: int) -> None:
    """Hide a prompt and everything after it, and compactions that cover it."""
    origin = state.prompt_origins.get(event.prompt_id)
    index = None if origin is None else index_of(state.messages, origin)
    if index is None:
        return
    del state.messages[index:]
    kept = {message.origin for message in state.messages}
    state.compactions = [c for c in state.compactions if c.known_origin in kept]
    state.undone = [u for u in state.undone if u.compaction.known_origin in kept]
    state.compaction_tried_at = min(state.compaction_tried_at, len(state.messages))
    state.latch = None
    prefix_changed(state)


def replace(
    state: SessionState, origin: str, replacement: tuple[Message, ...]
) -> tuple[Message, ...]:
    """Replace the run of messages of one record; return what was there.

    The summary of a compaction is a message of the view with an origin of its own.
    """
    start = index_of(state.messages, origin)
    if start is None:
        return _replace_summary(state, origin, replacement)
    end = start
    while end < len(state.messages) and state.messages[end].origin == origin:
        end += 1
    originals = tuple(state.messages[start:end])
    state.messages[start:end] = replacement
    return originals


def restore(state: SessionState, origin: str, originals: tuple[Message, ...]) -> None:
    """Put the messages of a record back, also where a repair has left nothing of them."""
    if index_of(state.messages, origin) is not None or origin.startswith(COMPACTION):
        replace(state, origin, originals)
        return
    index = first_from(state.messages, origin)
    state.messages[index:index] = originals


def _replace_summary(
    state: SessionState, origin: str, replacement: tuple[Message, ...]
) -> tuple[Message, ...]:
    said = "\n".join(b.text_of("text") for m in replacement for b in m.blocks)
    block = next((b for m in replacement for b in m.blocks if b.type == "compaction"), None)
    for place, found in enumerate(state.compactions):
        if found.facts_origin == origin:
            state.compactions[place] = attrs.evolve(found, facts=said)
            return (Message(USER, (text(found.facts),), origin),)
        if found.origin == origin:
            words = said or found.summary
            state.compactions[place] = attrs.evolve(found, summary=words, block=block)
            return (Message(USER, (found.block or text(found.summary),), origin),)
    return ()


def append(state: SessionState, message: Message) -> None:
    """Append a message and remember its tool use ids."""
    state.messages.append(message)
    for block in message.blocks:
        if block.type == "tool_use":
            state.tool_use_ids.add(block.text_of("id"))


def prefix_changed(state: SessionState) -> None:
    """What is sent changes other than by growing: earlier thinking and counts hold no more."""
    state.prefix_version += 1
    state.unbound_origin = state.messages[-1].origin if state.messages else ""
    state.usage = None
