"""How tool calls and questions go from requested to settled."""

from __future__ import annotations

from typing import Any

from holdfast.conversation.history import USER, Block, Message
from holdfast.session import events as ev
from holdfast.session.state import CallState, Grant, SessionState


def authorised(state: SessionState, event: ev.ToolAuthorised, _seq: int, _at: int) -> None:
    """Let a call run."""
    call = state.calls.get(event.tool_use_id)
    if call is not None and call.state in {CallState.REQUESTED, CallState.ASKED}:
        call.state = CallState.AUTHORISED
        call.mutates = event.mutates


def asked(state: SessionState, event: ev.QuestionAsked, _seq: int, _at: int) -> None:
    """Open a question about a call."""
    call = state.calls.get(event.tool_use_id)
    if call is not None and call.state is CallState.REQUESTED:
        call.state = CallState.ASKED
        state.questions[event.question_id] = event


def answered(state: SessionState, event: ev.QuestionAnswered, _seq: int, _at: int) -> None:
    """Close a question; remember "allow always"."""
    question = state.questions.pop(event.question_id, None)
    if question is None:
        return
    state.answered[event.question_id] = event.answer
    if event.answer == "allowAlways":
        state.grants.append(Grant(question.tool, question.pattern))


def tool_started(state: SessionState, event: ev.ToolStarted, _seq: int, _at: int) -> None:
    """Mark a call as running (write-ahead)."""
    call = state.calls.get(event.tool_use_id)
    if call is not None and call.state is CallState.AUTHORISED:
        call.state = CallState.STARTED
        call.before = event.before
        call.traced = event.traced


def tool_finished(state: SessionState, event: ev.ToolFinished, _seq: int, _at: int) -> None:
    """Settle a call; the last one of a message brings all results into the history."""
    call = state.calls.get(event.tool_use_id)
    if call is None or call.state is CallState.SETTLED:
        return
    call.state = CallState.SETTLED
    call.outcome = event.outcome
    call.result = result_block(event)
    for question_id in [
        q for q, asked in state.questions.items() if asked.tool_use_id == call.tool_use_id
    ]:
        del state.questions[question_id]
    if not state.open_calls():
        results = tuple(c.result for c in state.calls.values() if c.result is not None)
        state.messages.append(Message(USER, results, f"{state.calls_origin}.results"))
        state.calls = {}


def result_block(event: ev.ToolFinished) -> Block:
    """Build the `tool_result` of a finished call. Error results hold text only (R48)."""
    content = ev.block_data(event.content)
    if event.is_error:
        content = [block for block in content if block.get("type") == "text"]
    data: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": event.tool_use_id,
        "content": content or [{"type": "text", "text": "(no output)"}],
    }
    if event.is_error:
        data["is_error"] = True
    return Block.of(data)


def todos(state: SessionState, event: ev.TodosUpdated, _seq: int, _at: int) -> None:
    """Take the new task list."""
    state.todos = event.todos
