"""How prompts are shown: queued, sent, hidden by a rewind.

Law: every word that a person sent is in an item. Files that were mentioned are named, not repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from holdfast.conversation import casting
from holdfast.conversation.history import Block
from holdfast.session import events as ev
from holdfast.session.items import compactions, notices
from holdfast.session.items.shapes import PromptItem, ToolItem
from holdfast.session.items.state import ItemsState

_ENDS: Final = {"running": "unknown", "writing": "notStarted"}


def accepted(state: ItemsState, event: ev.PromptAccepted, seq: int, at_ms: int) -> None:
    """Show a prompt as queued; its turn may begin in the same step."""
    if event.prompt_id in state.prompts:
        return
    state.prompts[event.prompt_id] = str(seq)
    blocks = ev.blocks_of(event.content)
    item = prompt_item(
        blocks[: len(blocks) - len(event.mentions)],
        event.mentions,
        id=str(seq),
        seq=seq,
        at_ms=at_ms,
        turn_id=event.turn_id,
        prompt_id=event.prompt_id,
        state="queued",
    )
    state.items.put(item)


def turn_started(state: ItemsState, event: ev.TurnStarted, _seq: int, _at: int) -> None:
    """Show a prompt as sent."""
    state.turn_id, state.prompt_id = event.turn_id, event.prompt_id
    state.trouble = None
    item = state.items.get(state.prompts.get(event.prompt_id, ""), PromptItem)
    if item is not None:
        state.change(item, state="sent")


def turn_ended(state: ItemsState, event: ev.TurnEnded, seq: int, at_ms: int) -> None:
    """Close what is open, and say why a turn ended other than by itself."""
    if event.reason is ev.TurnEnd.REFUSED:
        notices.refused(state, seq, at_ms)
    notices.turn_over(state)
    for item_id in list(state.calls.values()):
        call = state.items.get(item_id, ToolItem)
        if call is not None and call.turn_id == event.turn_id:
            end = _ENDS.get(call.state, "notStarted")
            state.change(call, state=end, question_id=None, ended_at=at_ms)
    state.calls.clear()
    state.questions.clear()
    if event.reason is ev.TurnEnd.STOPPED:
        notices.put(state, seq, at_ms, "stopped", "info", "You stopped this turn.")
    state.turn_id = state.prompt_id = None


def rewound(state: ItemsState, event: ev.HistoryRewound, seq: int, at_ms: int) -> None:
    """Remove a prompt and everything after it; what is queued stays."""
    item = state.items.get(state.prompts.get(event.prompt_id, ""), PromptItem)
    if item is None:
        return
    state.items.remove_from(item.id)
    notices.forget_removed(state)
    compactions.forget_removed(state)
    words = "The conversation was rewound. What came after is hidden, not deleted."
    notices.put(state, seq, at_ms, "rewound", "info", words)


def prompt_item(
    blocks: Iterable[Block], mentions: tuple[str, ...] = (), **members: Any
) -> PromptItem:
    """Return a prompt as an item: what was said, and the names of the files that came with it."""
    texts: list[str] = []
    images: list[dict[str, str]] = []
    for block in blocks:
        if block.type == "image":
            images.append({"mediaType": _media_type(block)})
        else:
            texts.append(casting.as_text(block))
    return PromptItem(text="\n\n".join(texts), images=tuple(images), mentions=mentions, **members)


def _media_type(block: Block) -> str:
    source = block.get("source")
    found = source.get("media_type") if isinstance(source, dict) else None
    return found if isinstance(found, str) else "image"
