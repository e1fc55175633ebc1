"""How history from elsewhere, repairs and rewinds change the messages."""

from __future__ import annotations

from holdfast.conversation.history import Message
from holdfast.session import events as ev
from holdfast.session.state import SessionState, index_of


def imported(state: SessionState, event: ev.MessageImported, seq: int, _at: int) -> None:
    """Append one message of a foreign history."""
    append(state, Message(event.role, ev.blocks_of(event.content), str(seq)))
    prefix_changed(state)  # Its thinking belongs to another system prompt and other tools.


def repaired(state: SessionState, event: ev.HistoryRepaired, _seq: int, _at: int) -> None:
    """Replace the messages that the repair names; keep what was there."""
    originals: dict[str, tuple[Message, ...]] = {}
    for edit in event.edits:
        replacement = tuple(
            Message(role, ev.blocks_of(content), edit.origin) for role, content in edit.messages
        )
        originals[edit.origin] = replace(state, edit.origin, replacement)
    state.repairs[event.repair_id] = originals
    state.repair_notes.extend(event.notes)
    prefix_changed(state)


def repair_undone(state: SessionState, event: ev.RepairUndone, _seq: int, _at: int) -> None:
    """Put back what a repair replaced."""
    for origin, originals in state.repairs.pop(event.repair_id, {}).items():
        replace(state, origin, originals)
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
    prefix_changed(state)


def replace(
    state: SessionState, origin: str, replacement: tuple[Message, ...]
) -> tuple[Message, ...]:
    """Replace the run of messages of one record; return what was there."""
    start = index_of(state.messages, origin)
    if start is None:
        return ()
    end = start
    while end < len(state.messages) and state.messages[end].origin == origin:
        end += 1
    originals = tuple(state.messages[start:end])
    state.messages[start:end] = replacement
    return originals


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
