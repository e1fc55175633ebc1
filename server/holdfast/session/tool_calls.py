"""Decisions about tool calls: judged, asked, started, settled.

Law: a call is recorded as started before it runs and runs at most once (P6). Calls that change
something run one after another in the order of the message; calls that only read run beside them.
When the last call of a message is settled the next request follows.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import model_calls, wording
from holdfast.session.state import CallState, SessionState, ToolCall
from holdfast.session.step import Step

NAME_CHARS_MAX: Final = 64
UNPARSED: Final = "_unparsed"
"""The key under which arguments are kept that were no JSON object."""
_BAD_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_BAD_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")


def normalised(state: SessionState, event: ev.Event) -> ev.Event:
    """Make a received call fit for replay before it is stored, so its bytes never change later.

    Names that the API would refuse on replay are clipped (R46, A28), ids made unique and clean
    (R44, R45), inputs that are no object are wrapped (R47).
    """
    if not isinstance(event, ev.BlockFinished):
        return event
    block = ev.blocks_of((event.block,))[0]
    if block.type != "tool_use":
        return event
    data = dict(block.data)
    data["name"] = _BAD_NAME.sub("_", block.text_of("name"))[:NAME_CHARS_MAX] or "unnamed"
    data["id"] = _fresh_id(state, block.text_of("id"), event.index)
    if not isinstance(data.get("input"), dict):
        data["input"] = {UNPARSED: data.get("input")}
    if data == block.data:
        return event
    return ev.BlockFinished(index=event.index, block=msgspec.Raw(Block.of(data).raw.encode()))


def _fresh_id(state: SessionState, wanted: str, index: int) -> str:
    clean = _BAD_ID.sub("_", wanted) or f"call_{state.seq}_{index}"
    taken = set(state.tool_use_ids)
    if state.response is not None:
        taken.update(
            block.text_of("id") for i, block in state.response.blocks.items() if i != index
        )
    fresh, n = clean, 2
    while fresh in taken:
        fresh, n = f"{clean}_{n}", n + 1
    return fresh


def begin(step: Step, *, cut_last: bool) -> None:
    """Have the calls of a finished message judged. A call cut at the output limit never runs."""
    calls = list(step.state.calls.values())
    if cut_last:
        _settle(
            step, calls[-1].tool_use_id, ev.ToolOutcome.NOT_STARTED, wording.CUT_AT_OUTPUT_LIMIT
        )
    for call in calls:
        if call.state is CallState.REQUESTED and _is_unparsed(call.block):
            _settle(step, call.tool_use_id, ev.ToolOutcome.NOT_STARTED, wording.UNPARSED_INPUT)
        elif call.state is CallState.REQUESTED:
            step.want(inp.Judge(call.tool_use_id, call.block))
    _go_on(step)


def _is_unparsed(block: Block) -> bool:
    """Say whether the arguments were no JSON object; such a call is never run (A27)."""
    arguments = block.get("input")
    return isinstance(arguments, dict) and list(arguments) == [UNPARSED]


def judged(step: Step, given: inp.Judged) -> None:
    """Act on what the permission rules said about a call."""
    call = step.state.calls.get(given.tool_use_id)
    if call is None or call.state is not CallState.REQUESTED:
        return
    verdict = given.verdict
    match verdict.answer:
        case "allow":
            step.emit(
                ev.ToolAuthorised(
                    tool_use_id=call.tool_use_id, by=verdict.by, mutates=verdict.mutates
                )
            )
        case "deny":
            text_of = verdict.detail or wording.OUTCOME_TEXTS[ev.ToolOutcome.REFUSED]
            _settle(step, call.tool_use_id, ev.ToolOutcome.REFUSED, text_of)
        case "ask":
            step.emit(
                ev.QuestionAsked(
                    question_id=f"{step.env.session_id}:{call.tool_use_id}",
                    tool_use_id=call.tool_use_id,
                    tool=call.name,
                    title=verdict.title,
                    detail=verdict.detail,
                    pattern=verdict.pattern,
                )
            )
    _go_on(step)


def answered(step: Step, given: inp.Answered) -> None:
    """Act on a person's answer; a second answer to one question changes nothing (D24)."""
    question = step.state.questions.get(given.question_id)
    if question is None:
        return
    step.emit(ev.QuestionAnswered(question_id=given.question_id, answer=given.answer))
    if given.answer == "deny":
        _settle(step, question.tool_use_id, ev.ToolOutcome.REFUSED)
    else:
        step.emit(ev.ToolAuthorised(tool_use_id=question.tool_use_id, by="user", mutates=True))
    _go_on(step)


def looked(step: Step, given: inp.Looked) -> None:
    """Start a call that changes something, with the evidence in its record."""
    call = step.state.calls.get(given.tool_use_id)
    if call is not None and call is _next_change(step.state):
        _start(step, call, given.before, traced=given.traced)


def looked_again(step: Step, given: inp.LookedAgain) -> None:
    """Say of a call with unknown outcome what its file shows. Never a guess (P6)."""
    call = step.state.calls.get(given.tool_use_id)
    if call is None or call.state is not CallState.STARTED or call.before is None:
        return
    words = wording.unknown_with_evidence(call.before, given.after)
    _settle(step, call.tool_use_id, ev.ToolOutcome.UNKNOWN, words)
    _go_on(step)


def trace_found(step: Step, given: inp.TraceFound) -> None:
    """Say of an interrupted command what it has left. One that ended has its result (P6)."""
    call = step.state.calls.get(given.tool_use_id)
    if call is None or call.state is not CallState.STARTED or not call.traced:
        return
    found = given.evidence
    if found is None:
        _settle(step, call.tool_use_id, ev.ToolOutcome.UNKNOWN)
    else:
        ended = found.found == "ended"
        words = wording.command_after_a_crash(found, given.output)
        _finish(
            step,
            ev.ToolFinished(
                tool_use_id=call.tool_use_id,
                outcome=ev.ToolOutcome.FINISHED if ended else ev.ToolOutcome.UNKNOWN,
                content=ev.raw_blocks((text(words),)),
                is_error=not ended or found.exit_code != 0,
                summary=wording.command_after_a_crash_in_short(found),
                command=found,
            ),
        )
    _go_on(step)


def ran(step: Step, given: inp.Ran) -> None:
    """Record a call's result. Results of calls that were settled meanwhile are dropped."""
    call = step.state.calls.get(given.tool_use_id)
    if call is None or call.state is not CallState.STARTED:
        return
    if given.todos is not None:
        step.emit(ev.TodosUpdated(todos=given.todos))
    _finish(
        step,
        ev.ToolFinished(
            tool_use_id=given.tool_use_id,
            outcome=given.outcome,
            content=ev.raw_blocks(given.content),
            is_error=given.is_error,
            summary=given.summary,
        ),
    )
    _go_on(step)


def recover(step: Step) -> None:
    """After a restart: started calls have an unknown outcome, the others are judged anew (C10)."""
    settle_started(step)
    take_up(step)


def settle_started(step: Step) -> None:
    """After a restart, find out what became of the calls that had started."""
    for call in step.state.open_calls():
        match call.state:
            case CallState.STARTED if call.before is not None:
                step.want(inp.LookAfter(call.tool_use_id, call.before.path))
            case CallState.STARTED if call.traced:
                step.want(inp.LookForTrace(call.tool_use_id))
            case CallState.STARTED:
                _settle(step, call.tool_use_id, ev.ToolOutcome.UNKNOWN)
            case _:
                pass


def take_up(step: Step) -> None:
    """After a restart, judge the calls anew that had not started, and go on."""
    for call in step.state.open_calls():
        if call.state is CallState.REQUESTED:
            step.want(inp.Judge(call.tool_use_id, call.block))
    _go_on(step)


def settle_open(step: Step, *, started: ev.ToolOutcome) -> None:
    """Give every open call a result: `started` for those that ran, NOT_STARTED for the others."""
    for call in step.state.open_calls():
        ran_already = call.state is CallState.STARTED
        _settle(step, call.tool_use_id, started if ran_already else ev.ToolOutcome.NOT_STARTED)


def _settle(step: Step, tool_use_id: str, outcome: ev.ToolOutcome, words: str = "") -> None:
    block = text(words or wording.OUTCOME_TEXTS[outcome])
    _finish(
        step,
        ev.ToolFinished(
            tool_use_id=tool_use_id,
            outcome=outcome,
            content=ev.raw_blocks((block,)),
            is_error=True,
        ),
    )


def _finish(step: Step, finished: ev.ToolFinished) -> None:
    """Record a result. What the call has left is evidence until then, and rubbish from then on."""
    call = step.state.calls.get(finished.tool_use_id)
    traced = call is not None and call.traced
    step.emit(finished)
    if traced:
        step.want(inp.DropTrace(finished.tool_use_id))


def _go_on(step: Step) -> None:
    """Start what may start; send the next request when nothing is open.

    A call that changes something is looked at first: what its file is now goes into its record.
    """
    state = step.state
    if state.turn is None or state.pause is not None:
        return
    for call in list(state.calls.values()):
        if call.state is CallState.AUTHORISED and not call.mutates:
            _start(step, call, None, traced=False)
    following = _next_change(state)
    if following is not None:
        step.want(inp.LookBefore(following.tool_use_id, following.block))
    if not state.calls:
        model_calls.request(step)


def _next_change(state: SessionState) -> ToolCall | None:
    """Return the next call that may change something; None while another one is running."""
    changes = [call for call in state.calls.values() if call.mutates]
    if any(call.state is CallState.STARTED for call in changes):
        return None
    return next((call for call in changes if call.state is CallState.AUTHORISED), None)


def _start(step: Step, call: ToolCall, before: ev.FileEvidence | None, *, traced: bool) -> None:
    step.emit(
        ev.ToolStarted(
            tool_use_id=call.tool_use_id,
            name=call.name,
            mutates=call.mutates,
            before=before,
            traced=traced,
        )
    )
    step.want(inp.RunTool(call.tool_use_id, call.block))
