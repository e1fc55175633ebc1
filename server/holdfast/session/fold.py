"""The fold: how each event changes the state.

Law: `apply` is total and deterministic. The same events give the same state, whoever folds them
and how often; an event that its phase does not allow changes nothing and is counted. Nothing is
decided here: what an event means for the wire history is fixed by the event alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from holdfast.conversation.history import ASSISTANT, USER, Block, Message, text
from holdfast.session import events as ev
from holdfast.session import wording
from holdfast.session.phases import ALLOWED
from holdfast.session.state import (
    CallState,
    Compaction,
    Grant,
    OpenResponse,
    Pause,
    Prompt,
    RunningCompaction,
    SessionState,
    ToolCall,
    Turn,
    Wait,
    index_of,
)

PROGRESS_CHARS: Final = 200
"""A cut that left at least this much new text counts as progress and resets the retry budget."""


def fold(events: Iterable[tuple[int, int, ev.Event]]) -> SessionState:
    """Fold `(seq, at_ms, event)` triples into a state."""
    state = SessionState()
    for seq, at_ms, event in events:
        apply(state, event, seq, at_ms)
    return state


def apply(state: SessionState, event: ev.Event, seq: int, at_ms: int) -> None:
    """Change `state` by one event. `seq` is its journal number, `at_ms` its wall-clock time."""
    state.seq = seq
    state.updated_at_ms = at_ms
    allowed = ALLOWED.get(type(event))
    if allowed is not None and state.phase not in allowed:
        state.ignored_events += 1
        return
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(state, event, seq, at_ms)


# -- the session ---------------------------------------------------------------------------------


def _created(state: SessionState, event: ev.SessionCreated, _seq: int, _at: int) -> None:
    state.title = event.title
    state.system = event.system
    state.workspace_uri = event.workspace_uri
    state.model = event.model
    state.parent_id = event.parent_id


def _renamed(state: SessionState, event: ev.SessionRenamed, _seq: int, _at: int) -> None:
    state.title = event.title


def _archived(state: SessionState, event: ev.SessionArchived, _seq: int, _at: int) -> None:
    state.archived = event.archived


def _model(state: SessionState, event: ev.ModelSelected, _seq: int, _at: int) -> None:
    state.model = event.model


# -- history -------------------------------------------------------------------------------------


def _imported(state: SessionState, event: ev.MessageImported, seq: int, _at: int) -> None:
    _append(state, Message(event.role, ev.blocks_of(event.content), str(seq)))


def _repaired(state: SessionState, event: ev.HistoryRepaired, _seq: int, _at: int) -> None:
    originals: dict[str, tuple[Message, ...]] = {}
    for edit in event.edits:
        replacement = tuple(
            Message(role, ev.blocks_of(content), edit.origin) for role, content in edit.messages
        )
        originals[edit.origin] = _replace(state, edit.origin, replacement)
    state.repairs[event.repair_id] = originals
    state.repair_notes.extend(event.notes)
    state.usage = None


def _repair_undone(state: SessionState, event: ev.RepairUndone, _seq: int, _at: int) -> None:
    for origin, originals in state.repairs.pop(event.repair_id, {}).items():
        _replace(state, origin, originals)
    state.usage = None


def _rewound(state: SessionState, event: ev.HistoryRewound, _seq: int, _at: int) -> None:
    origin = state.prompt_origins.get(event.prompt_id)
    index = None if origin is None else index_of(state.messages, origin)
    if index is None:
        return
    del state.messages[index:]
    kept = {message.origin for message in state.messages}
    state.compactions = [c for c in state.compactions if c.known_origin in kept]
    state.usage = None


def _replace(
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


def _append(state: SessionState, message: Message) -> None:
    state.messages.append(message)
    for block in message.blocks:
        if block.type == "tool_use":
            state.tool_use_ids.add(block.text_of("id"))


# -- prompts and turns ---------------------------------------------------------------------------


def _prompt(state: SessionState, event: ev.PromptAccepted, _seq: int, _at: int) -> None:
    if event.prompt_id in state.prompts:
        return
    state.prompts[event.prompt_id] = event.turn_id
    state.queue.append(Prompt(event.prompt_id, event.turn_id, ev.blocks_of(event.content)))
    state.held = False


def _turn_started(state: SessionState, event: ev.TurnStarted, seq: int, _at: int) -> None:
    prompt = next((p for p in state.queue if p.prompt_id == event.prompt_id), None)
    if prompt is None:
        return
    state.queue.remove(prompt)
    state.held = False
    state.prompt_origins[prompt.prompt_id] = str(seq)
    state.turn = Turn(event.turn_id, prompt.prompt_id)
    _append(state, Message(USER, prompt.blocks, str(seq)))


def _turn_ended(state: SessionState, event: ev.TurnEnded, seq: int, _at: int) -> None:
    state.turn = state.response = state.pause = state.wait = None
    state.requested = False
    state.calls, state.questions = {}, {}
    if event.reason is ev.TurnEnd.STOPPED:
        state.held = bool(state.queue)
        _append(state, Message(USER, (text(wording.STOPPED),), str(seq)))


# -- requests and responses ----------------------------------------------------------------------


def _request(state: SessionState, event: ev.RequestStarted, _seq: int, _at: int) -> None:
    del event
    state.wait = None
    state.response = OpenResponse()
    state.requested = True


def _response_started(state: SessionState, event: ev.ResponseStarted, _seq: int, _at: int) -> None:
    response = _response(state)
    response.started = True
    response.message_id = event.message_id


def _block_started(state: SessionState, event: ev.BlockStarted, _seq: int, _at: int) -> None:
    response = _response(state)
    response.started = True
    if event.kind == "tool_use":
        response.names[event.index] = event.name


def _block_delta(state: SessionState, event: ev.BlockDelta, _seq: int, _at: int) -> None:
    response = _response(state)
    response.started = True
    if event.kind == "text":
        response.texts.setdefault(event.index, []).append(event.text)


def _block_finished(state: SessionState, event: ev.BlockFinished, _seq: int, _at: int) -> None:
    response = _response(state)
    response.started = True
    block = ev.blocks_of((event.block,))[0]
    response.blocks[event.index] = block
    if block.type == "text":
        response.texts[event.index] = [block.text_of("text")]


def _response_finished(state: SessionState, event: ev.ResponseFinished, seq: int, _at: int) -> None:
    response = _response(state)
    blocks = kept_blocks(response)
    state.response = None
    state.requested = False
    state.usage = event.usage
    state.total_output_tokens += event.usage.output_tokens
    if state.turn is not None:
        state.turn.attempts, state.turn.trouble_since_ms = 0, None
        state.turn.failure = None
    if event.stop_reason == "refusal" or not blocks:
        # A refused or empty answer stays in the journal; on the wire it would poison (A11, A35).
        state.usage = None
        return
    message = Message(ASSISTANT, blocks, str(seq))
    _append(state, message)
    state.usage_messages = len(state.messages)
    uses = [block for block in blocks if block.type == "tool_use"]
    state.calls_origin = str(seq)
    state.calls = {
        block.text_of("id"): ToolCall(block.text_of("id"), block.text_of("name"), block)
        for block in uses
    }


def kept_blocks(response: OpenResponse) -> tuple[Block, ...]:
    """Return the blocks of a finished response that enter the history.

    Blank text that the model itself wrote is refused on replay (R33), so it never enters: filtered
    here, before the first replay, the bytes on the wire never change (specification §3.5.6).
    A response of thinking alone is no message (R39).
    """
    blocks = tuple(
        block
        for _, block in sorted(response.blocks.items())
        if block.type != "text" or block.text_of("text").strip()
    )
    thinking = {"thinking", "redacted_thinking"}
    return blocks if any(block.type not in thinking for block in blocks) else ()


def _response_cut(state: SessionState, event: ev.ResponseCut, seq: int, _at: int) -> None:
    response = _response(state)
    state.response = None
    state.requested = False
    kept = response.text_so_far().rstrip()
    if not kept.strip():
        return
    if state.turn is not None and len(kept) >= PROGRESS_CHARS:
        state.turn.attempts, state.turn.trouble_since_ms = 0, None
    origin = str(seq)
    _append(state, Message(ASSISTANT, (text(kept),), origin))
    if event.cause is not ev.CutCause.STOPPED:
        _append(state, Message(USER, (text(wording.continuation(response.tool_names())),), origin))


def _request_failed(state: SessionState, event: ev.RequestFailed, _seq: int, at_ms: int) -> None:
    state.response = None
    state.requested = False
    if state.turn is not None:
        state.turn.attempts += 1
        state.turn.failure = event.failure
        if state.turn.trouble_since_ms is None:
            state.turn.trouble_since_ms = at_ms


def _retry(state: SessionState, event: ev.RetryScheduled, _seq: int, _at: int) -> None:
    state.wait = Wait(event.attempt, event.retry_at_ms, event.reason)


def _paused(state: SessionState, event: ev.TurnPaused, _seq: int, _at: int) -> None:
    state.wait = None
    state.pause = Pause(event.reason, event.message, event.advice, event.retry_at_ms)


def _resumed(state: SessionState, event: ev.TurnResumed, _seq: int, _at: int) -> None:
    state.pause = state.wait = None
    if state.turn is not None and event.by == "user":
        state.turn.attempts, state.turn.trouble_since_ms = 0, None


def _response(state: SessionState) -> OpenResponse:
    if state.response is None:
        state.response = OpenResponse()
    return state.response


# -- tools ---------------------------------------------------------------------------------------


def _authorised(state: SessionState, event: ev.ToolAuthorised, _seq: int, _at: int) -> None:
    call = state.calls.get(event.tool_use_id)
    if call is not None and call.state in {CallState.REQUESTED, CallState.ASKED}:
        call.state = CallState.AUTHORISED
        call.mutates = event.mutates


def _asked(state: SessionState, event: ev.QuestionAsked, _seq: int, _at: int) -> None:
    call = state.calls.get(event.tool_use_id)
    if call is not None and call.state is CallState.REQUESTED:
        call.state = CallState.ASKED
        state.questions[event.question_id] = event


def _answered(state: SessionState, event: ev.QuestionAnswered, _seq: int, _at: int) -> None:
    question = state.questions.pop(event.question_id, None)
    if question is None:
        return
    state.answered[event.question_id] = event.answer
    if event.answer == "allowAlways":
        state.grants.append(Grant(question.tool, question.pattern))


def _tool_started(state: SessionState, event: ev.ToolStarted, _seq: int, _at: int) -> None:
    call = state.calls.get(event.tool_use_id)
    if call is not None and call.state is CallState.AUTHORISED:
        call.state = CallState.STARTED


def _tool_finished(state: SessionState, event: ev.ToolFinished, _seq: int, _at: int) -> None:
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


def _todos(state: SessionState, event: ev.TodosUpdated, _seq: int, _at: int) -> None:
    state.todos = event.todos


# -- compaction ----------------------------------------------------------------------------------


def _compaction_started(
    state: SessionState, event: ev.CompactionStarted, _seq: int, _at: int
) -> None:
    state.compaction = RunningCompaction(event)
    state.compaction_tried_at = len(state.messages)
    if event.trigger == "manual":
        state.compaction_held = False
    if event.trigger == "overflow" and state.turn is not None:
        state.turn.reshapes += 1


def _compaction_prepared(
    state: SessionState, event: ev.CompactionPrepared, _seq: int, _at: int
) -> None:
    running = _running(state, event.compaction_id)
    if running is not None:
        running.rung, running.summary = event.rung, event.summary
        running.tokens_after = event.tokens_after


def _compaction_committed(
    state: SessionState, event: ev.CompactionCommitted, _seq: int, _at: int
) -> None:
    running = _running(state, event.compaction_id)
    if running is None or running.summary is None:
        return
    state.compactions.append(
        Compaction(
            event.compaction_id,
            running.summary,
            running.started.cut_origin,
            state.messages[-1].origin if state.messages else "",
        )
    )
    state.compaction = None
    state.usage = None


def _compaction_ended(state: SessionState, event: ev.CompactionEnded, _seq: int, _at: int) -> None:
    if _running(state, event.compaction_id) is not None:
        state.compaction = None
        # After a cancel nothing starts by itself until a person asks for it (B16).
        state.compaction_held = event.outcome is ev.CompactionEnd.CANCELLED


def _compaction_undone(
    state: SessionState, event: ev.CompactionUndone, _seq: int, _at: int
) -> None:
    state.compactions = [c for c in state.compactions if c.compaction_id != event.compaction_id]
    state.compaction_held = True
    state.usage = None


def _running(state: SessionState, compaction_id: str) -> RunningCompaction | None:
    running = state.compaction
    return running if running and running.started.compaction_id == compaction_id else None


_HANDLERS: Final[dict[type[ev.Event], Callable[[SessionState, Any, int, int], None]]] = {
    ev.SessionCreated: _created,
    ev.SessionRenamed: _renamed,
    ev.SessionArchived: _archived,
    ev.ModelSelected: _model,
    ev.MessageImported: _imported,
    ev.HistoryRepaired: _repaired,
    ev.RepairUndone: _repair_undone,
    ev.HistoryRewound: _rewound,
    ev.PromptAccepted: _prompt,
    ev.TurnStarted: _turn_started,
    ev.TurnEnded: _turn_ended,
    ev.RequestStarted: _request,
    ev.ResponseStarted: _response_started,
    ev.BlockStarted: _block_started,
    ev.BlockDelta: _block_delta,
    ev.BlockFinished: _block_finished,
    ev.ResponseFinished: _response_finished,
    ev.ResponseCut: _response_cut,
    ev.RequestFailed: _request_failed,
    ev.RetryScheduled: _retry,
    ev.TurnPaused: _paused,
    ev.TurnResumed: _resumed,
    ev.ToolAuthorised: _authorised,
    ev.QuestionAsked: _asked,
    ev.QuestionAnswered: _answered,
    ev.ToolStarted: _tool_started,
    ev.ToolFinished: _tool_finished,
    ev.TodosUpdated: _todos,
    ev.CompactionStarted: _compaction_started,
    ev.CompactionPrepared: _compaction_prepared,
    ev.CompactionCommitted: _compaction_committed,
    ev.CompactionEnded: _compaction_ended,
    ev.CompactionUndone: _compaction_undone,
}
"""Events without a row (recovery notes, failed rungs, stop requests) are facts for people."""
