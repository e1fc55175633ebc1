"""How an answer is shown while it arrives, when it is complete, and when it is cut.

Law: every word of the assistant's is in an item from the moment it is in the journal (P1). The id
of a block's item is the number of its request and its place in the answer.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.conversation import casting
from holdfast.conversation.history import Block
from holdfast.conversation.profile import is_server_result, is_server_use
from holdfast.session import events as ev
from holdfast.session.items import notices, tools
from holdfast.session.items.shapes import TextItem, ThinkingItem, ToolItem
from holdfast.session.items.state import ItemsState, OpenBlock, OpenResponse

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_LIMITS: Final = {
    ev.CutCause.OUTPUT_LIMIT: "The answer reached the output limit; it is continued below.",
    ev.CutCause.WINDOW_FULL: (
        "The model's window was full; the conversation is compacted and the answer continued."
    ),
}
_SAID_ELSEWHERE: Final = frozenset({"end_turn", "tool_use", "stop_sequence", "refusal"})


def request_started(state: ItemsState, event: ev.RequestStarted, seq: int, at_ms: int) -> None:
    """Expect an answer."""
    close(state, "cut", at_ms)
    state.response = OpenResponse(str(seq), event.model)
    state.turn_id = event.turn_id


def response_started(state: ItemsState, event: ev.ResponseStarted, seq: int, _at: int) -> None:
    """Know who answers."""
    _open(state, seq).model = event.model


def block_started(state: ItemsState, event: ev.BlockStarted, seq: int, at_ms: int) -> None:
    """Show that the model thinks or writes a call; text is shown when there is some."""
    response = _open(state, seq)
    block = response.blocks.setdefault(event.index, OpenBlock(event.kind, at_ms, event.name))
    if event.kind in _THINKING and not block.shown:
        _show(state, event.index, seq, "")
    elif event.kind == "tool_use" and not block.shown:
        block.shown = True
        _something_came(state)
        state.items.put(tools.begun(state, event.name, **_members(state, event.index, seq)))


def block_delta(state: ItemsState, event: ev.BlockDelta, seq: int, at_ms: int) -> None:
    """Show more text. Of a call only the finished arguments are shown."""
    response = _open(state, seq)
    kind = "tool_use" if event.kind == "toolInput" else event.kind
    block = response.blocks.setdefault(event.index, OpenBlock(kind, at_ms))
    if event.kind == "toolInput" or not event.text:
        return
    if block.shown:
        if block.kind == event.kind:
            state.items.append(_item_id(response, event.index), event.text)
        return
    block.blank += event.text
    if event.kind == "thinking" or block.blank.strip():
        block.kind = event.kind
        _show(state, event.index, seq, block.blank)


def block_finished(state: ItemsState, event: ev.BlockFinished, seq: int, at_ms: int) -> None:
    """Show a complete block."""
    response = _open(state, seq)
    content = ev.blocks_of((event.block,))[0]
    block = response.blocks.setdefault(event.index, OpenBlock(content.type, at_ms))
    kind = content.type
    if kind == "text" and not (block.shown or content.text_of("text").strip()):
        return
    if is_server_result(kind) and tools.server_result(state, content, at_ms):
        return
    members = _members(state, event.index, seq)
    _something_came(state)
    block.kind, block.shown = kind, True
    if kind in _THINKING:
        elapsed = max(at_ms - block.began_ms, 0)
        text = content.text_of("thinking")
        state.items.put(ThinkingItem(text=text, state="done", elapsed_ms=elapsed, **members))
    elif kind == "tool_use" or is_server_use(kind):
        state.items.put(tools.requested(state, content, **members))
    else:
        text = casting.as_text(content)
        state.items.put(TextItem(text=text, state="done", model=response.model, **members))


def response_finished(state: ItemsState, event: ev.ResponseFinished, seq: int, at_ms: int) -> None:
    """Close the answer; say so when it was refused, cut at a limit, or empty."""
    response = _open(state, seq)
    close(state, "done", at_ms, refused=event.stop_reason == "refusal")
    detail = "\n".join(filter(None, (f"stop_reason: {event.stop_reason}", event.detail)))
    if event.stop_reason == "refusal":
        words = notices.DECLINED
        state.refused = notices.put(state, seq, at_ms, "refused", "warning", words, detail)
    elif event.stop_reason not in _SAID_ELSEWHERE:
        words = "The answer ended early: it reached a limit."
        notices.put(state, seq, at_ms, "cut", "warning", words, detail)
    elif not response.anything:
        words = "The model's answer was empty."
        notices.put(state, seq, at_ms, "cut", "warning", words, detail)


def response_cut(state: ItemsState, event: ev.ResponseCut, seq: int, at_ms: int) -> None:
    """Mark what was arriving as cut; failures, stops and restarts have notices of their own."""
    close(state, "done" if event.cause is ev.CutCause.PIECE else "cut", at_ms)
    if event.cause in _LIMITS:
        notices.put(state, seq, at_ms, "cut", "info", _LIMITS[event.cause], event.detail)


def close(state: ItemsState, end: str, at_ms: int, *, refused: bool = False) -> None:
    """End the open response. Calls of an answer that does not count are never run."""
    response, state.response = state.response, None
    if response is None:
        return
    for index, block in response.blocks.items():
        item_id = _item_id(response, index)
        words = state.items.get(item_id, TextItem) or state.items.get(item_id, ThinkingItem)
        if words is not None and words.state == "streaming":
            thinking = isinstance(words, ThinkingItem)
            elapsed = {"elapsed_ms": max(at_ms - block.began_ms, 0)} if thinking else {}
            state.change(words, state=end, **elapsed)
        call = state.items.get(item_id, ToolItem)
        if call is not None and (call.state == "writing" or end == "cut" or refused):
            tools.drop(state, call, at_ms)


def _open(state: ItemsState, seq: int) -> OpenResponse:
    if state.response is None:
        state.response = OpenResponse(str(seq), "")
    return state.response


def _item_id(response: OpenResponse, index: int) -> str:
    return f"{response.key}.{index}"


def _members(state: ItemsState, index: int, seq: int) -> dict[str, Any]:
    """Return the common members of a block's item: those of its beginning, when it is shown."""
    response = _open(state, seq)
    block = response.blocks[index]
    block.seq = block.seq or seq
    return {
        "id": _item_id(response, index),
        "seq": block.seq,
        "at_ms": block.began_ms,
        "turn_id": state.turn_id,
    }


def _show(state: ItemsState, index: int, seq: int, text: str) -> None:
    response = _open(state, seq)
    block = response.blocks[index]
    block.shown = True
    _something_came(state)
    members = _members(state, index, seq)
    if block.kind in _THINKING:
        state.items.put(ThinkingItem(text=text, state="streaming", **members))
    else:
        state.items.put(TextItem(text=text, state="streaming", model=response.model, **members))


def _something_came(state: ItemsState) -> None:
    if state.response is not None:
        state.response.anything = True
    notices.trouble_over(state)


def assistant_items(state: ItemsState, block: Block, **members: Any) -> None:
    """Show one block of an assistant message from elsewhere."""
    kind = block.type
    if kind in _THINKING:
        text = block.text_of("thinking")
        if text.strip():
            state.items.put(ThinkingItem(text=text, state="done", **members))
    elif kind == "tool_use" or is_server_use(kind):
        state.items.put(tools.requested(state, block, imported=True, **members))
    elif not (is_server_result(kind) and tools.server_result(state, block, members["at_ms"])):
        text = casting.as_text(block)
        if text.strip():
            state.items.put(TextItem(text=text, state="done", **members))
