"""How a tool call is shown on its way from written to settled.

Law: a call has one item, whatever happens to it; what the item says of its outcome is what the
model was told (P6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.conversation import activity, casting
from holdfast.conversation.history import Block
from holdfast.session import events as ev
from holdfast.session.items import titles
from holdfast.session.items.shapes import SETTLED, STATES, ToolItem
from holdfast.session.items.state import ItemsState


def begun(state: ItemsState, name: str, **members: Any) -> ToolItem:
    """Return the item of a call whose arguments are still arriving."""
    del state
    return ToolItem(
        tool_use_id="",
        name=name,
        title=titles.writing(name),
        input={},
        state="writing",
        has_diff=False,
        **members,
    )


def requested(
    state: ItemsState, block: Block, *, imported: bool = False, **members: Any
) -> ToolItem:
    """Return the item of a complete call. One from elsewhere is unknown until its result comes."""
    name, given = block.text_of("name"), block.get("input")
    arguments: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    path = titles.path_of(arguments)
    tool_use_id = block.text_of("id")
    state.calls[tool_use_id] = members["id"]
    return ToolItem(
        tool_use_id=tool_use_id,
        name=name,
        title=titles.title(name, arguments, state.folder),
        input=titles.shown_input(given),
        state="unknown" if imported else "requested",
        path=path,
        has_diff=not imported and name in titles.CHANGES and path is not None,
        **members,
    )


def authorised(state: ItemsState, event: ev.ToolAuthorised, _seq: int, _at: int) -> None:
    """Show that a call waits for its turn only."""
    call = _call(state, event.tool_use_id)
    if call is not None and call.state == "asking":
        state.change(call, state="requested", question_id=None)


def asked(state: ItemsState, event: ev.QuestionAsked, _seq: int, _at: int) -> None:
    """Show the question at its call."""
    call = _call(state, event.tool_use_id)
    if call is not None:
        state.questions[event.question_id] = event.tool_use_id
        state.change(call, state="asking", question_id=event.question_id)


def answered(state: ItemsState, event: ev.QuestionAnswered, _seq: int, _at: int) -> None:
    """Take the question away."""
    call = _call(state, state.questions.pop(event.question_id, ""))
    if call is not None:
        state.change(call, state="requested", question_id=None)


def started(state: ItemsState, event: ev.ToolStarted, _seq: int, at_ms: int) -> None:
    """Show that a call runs."""
    call = _call(state, event.tool_use_id)
    if call is not None:
        state.change(call, state="running", started_at=at_ms, question_id=None)


def finished(state: ItemsState, event: ev.ToolFinished, _seq: int, at_ms: int) -> None:
    """Show a call's outcome and the beginning and end of its output."""
    call = _call(state, event.tool_use_id)
    state.calls.pop(event.tool_use_id, None)
    if call is None:
        return
    failed = event.outcome is ev.ToolOutcome.FINISHED and event.is_error
    output, clipped = titles.shown_output(words_of(ev.blocks_of(event.content)))
    state.change(
        call,
        state="failed" if failed else STATES[event.outcome],
        output=output,
        output_clipped=clipped,
        question_id=None,
        ended_at=at_ms,
    )


def drop(state: ItemsState, call: ToolItem, at_ms: int) -> None:
    """Show that a call of a cut or refused answer was never run."""
    state.calls.pop(call.tool_use_id, None)
    if call.state not in SETTLED:
        state.change(call, state="notStarted", question_id=None, ended_at=at_ms)


def server_result(state: ItemsState, block: Block, at_ms: int) -> bool:
    """Show the result of a server's tool at its call. False when there is no such call."""
    return _settle(state, block.text_of("tool_use_id"), casting.as_text(block), False, at_ms)


def imported_result(state: ItemsState, block: Block, **members: Any) -> None:
    """Show the result of a call from elsewhere; one without its call has an item of its own."""
    tool_use_id, said = block.text_of("tool_use_id"), activity.output_of(block)
    failed = block.get("is_error") is True
    if _settle(state, tool_use_id, said, failed, members["at_ms"]):
        return
    output, clipped = titles.shown_output(said)
    state.items.put(
        ToolItem(
            tool_use_id=tool_use_id,
            name="",
            title="Result of a tool call",
            input={},
            state="failed" if failed else "finished",
            has_diff=False,
            output=output,
            output_clipped=clipped,
            **members,
        )
    )


def words_of(blocks: Iterable[Block]) -> str:
    """Return the words of a result."""
    return "\n".join(casting.as_text(block) for block in blocks)


def whole_output(events: Iterable[ev.Event], tool_use_id: str) -> str | None:
    """Return the whole output of a call, "" while it has none; None when there is no such call."""
    found: str | None = None
    for event in events:
        match event:
            case ev.ToolFinished() if event.tool_use_id == tool_use_id:
                found = words_of(ev.blocks_of(event.content))
            case ev.BlockFinished():
                found = _output_in(ev.blocks_of((event.block,)), tool_use_id, found)
            case ev.MessageImported():
                found = _output_in(ev.blocks_of(event.content), tool_use_id, found)
            case _:
                pass
    return found


def _output_in(blocks: Iterable[Block], tool_use_id: str, found: str | None) -> str | None:
    for block in blocks:
        if tool_use_id not in block.raw:
            continue
        if block.text_of("tool_use_id") == tool_use_id:
            result = block.type == "tool_result"
            found = activity.output_of(block) if result else casting.as_text(block)
        elif block.text_of("id") == tool_use_id:
            found = ""
    return found


def _settle(state: ItemsState, tool_use_id: str, said: str, failed: bool, at_ms: int) -> bool:
    call = _call(state, tool_use_id)
    if call is None:
        return False
    state.calls.pop(tool_use_id, None)
    output, clipped = titles.shown_output(said)
    end = "failed" if failed else "finished"
    state.change(call, state=end, output=output, output_clipped=clipped, ended_at=at_ms)
    return True


def _call(state: ItemsState, tool_use_id: str) -> ToolItem | None:
    return state.items.get(state.calls.get(tool_use_id, ""), ToolItem)
