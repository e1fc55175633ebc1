"""How a response grows, ends, is cut, and what a failure leaves behind."""

from __future__ import annotations

from typing import Final

import attrs

from holdfast.conversation import tokens
from holdfast.conversation.casting import as_text
from holdfast.conversation.history import ASSISTANT, USER, Block, Message, text
from holdfast.conversation.profile import is_server_use
from holdfast.session import events as ev
from holdfast.session import refusals, wording
from holdfast.session.failures import FailureKind
from holdfast.session.fold import history
from holdfast.session.lifetimes import DurationCap, ended_by_others, has_outlived
from holdfast.session.state import (
    NO_ROOM,
    Calibration,
    Learned,
    OpenResponse,
    Pause,
    SessionState,
    ToolCall,
    Turn,
    Wait,
)

CALIBRATION_TOKENS: Final = 50_000
"""About so much of the newest history says how far estimates are off."""

PLAUSIBLE: Final = 4
"""A count that is further off an estimate than by this factor says nothing (B05)."""

PROGRESS_CHARS: Final = 200
"""A cut that left at least this much new text counts as progress and resets the retry budget."""


def request(state: SessionState, event: ev.RequestStarted, _seq: int, _at: int) -> None:
    """Expect a response."""
    state.wait = None
    state.response = OpenResponse(prefix_version=state.prefix_version, model=event.model)
    state.requested = True


def response_started(state: SessionState, event: ev.ResponseStarted, _seq: int, _at: int) -> None:
    """Know that the API accepted the request."""
    response = _open_response(state)
    response.started = True
    response.message_id = event.message_id


def block_started(state: SessionState, event: ev.BlockStarted, _seq: int, _at: int) -> None:
    """Know what is arriving."""
    response = _open_response(state)
    response.started = True
    if event.kind == "tool_use":
        response.names[event.index] = event.name


def block_delta(state: SessionState, event: ev.BlockDelta, _seq: int, _at: int) -> None:
    """Keep text that arrives."""
    response = _open_response(state)
    response.started = True
    if event.kind == "text":
        response.texts.setdefault(event.index, []).append(event.text)


def block_finished(state: SessionState, event: ev.BlockFinished, _seq: int, _at: int) -> None:
    """Keep a complete block."""
    response = _open_response(state)
    response.started = True
    block = ev.blocks_of((event.block,))[0]
    response.blocks[event.index] = block
    if block.type == "text":
        response.texts[event.index] = [block.text_of("text")]


def response_finished(state: SessionState, event: ev.ResponseFinished, seq: int, _at: int) -> None:
    """Make the response part of the history and open its calls."""
    response = _open_response(state)
    _lived(state, event.age_ms)
    blocks = kept_blocks(response)
    state.response = None
    state.requested = False
    before, state.usage = state.usage, event.usage
    known = before if state.usage_model == response.model else None
    state.usage_model, state.unmeasured = response.model, ""
    state.total_output_tokens += event.usage.output_tokens
    spend(state, response.model, event.usage)
    if state.turn is not None:
        _progress(state.turn)
        state.turn.failure = state.turn.answer_tokens = None
        state.turn.pieces = 0
    if event.stop_reason == "refusal" or not blocks:
        # A refused or empty answer stays in the journal; on the wire it would poison (A11, A35).
        state.usage = None
        return
    message = Message(ASSISTANT, blocks, str(seq))
    history.append(state, message)
    if response.prefix_version != state.prefix_version:
        history.prefix_changed(state)  # It was made from a prefix that is no longer sent.
    elif known is not None:
        state.calibration = _calibrated(state, event.usage.context_tokens - known.context_tokens)
    state.usage_messages = len(state.messages)
    uses = [block for block in blocks if block.type == "tool_use"]
    state.calls_origin = str(seq)
    state.calls = {
        block.text_of("id"): ToolCall(block.text_of("id"), block.text_of("name"), block)
        for block in uses
    }


def _calibrated(state: SessionState, counted: int) -> Calibration:
    """Compare what was counted for the messages since the last count with what is estimated.

    Only what came since is looked at, so the cost does not grow with the history. Older comparisons
    fade.
    """
    old = state.calibration
    estimated = tokens.estimate(state.messages[state.usage_messages :])
    if not estimated / PLAUSIBLE <= counted <= estimated * PLAUSIBLE or not estimated:
        return old
    if old.estimated > CALIBRATION_TOKENS:
        old = Calibration(old.counted // 2, old.estimated // 2)
    return Calibration(old.counted + counted, old.estimated + estimated)


def spend(state: SessionState, model: str, usage: ev.Usage) -> None:
    """Add what the API counted for one answer."""
    state.spent[model] = state.spent.get(model, ev.Usage()).plus(usage)


def kept_blocks(response: OpenResponse) -> tuple[Block, ...]:
    """Return the blocks of a finished response that enter the history.

    Blank text that the model itself wrote is refused on replay (R33), so it never enters: filtered
    here, before the first replay, the bytes on the wire never change (specification §3.5.6).
    A call of a server tool without its result has no one to carry it out and is kept as text (R51).
    A response of thinking alone is no message (R39).
    """
    received = [block for _, block in sorted(response.blocks.items())]
    answered = {block.text_of("tool_use_id") for block in received}
    blocks = tuple(
        text(as_text(block))
        if is_server_use(block.type) and block.text_of("id") not in answered
        else block
        for block in received
        if block.type != "text" or block.text_of("text").strip()
    )
    thinking = {"thinking", "redacted_thinking"}
    return blocks if any(block.type not in thinking for block in blocks) else ()


def response_cut(state: SessionState, event: ev.ResponseCut, seq: int, _at: int) -> None:
    """Keep the text that arrived, and ask to go on unless a person stopped it."""
    response = _open_response(state)
    state.response = None
    state.requested = False
    kept = response.text_so_far().rstrip()
    at_limit = event.cause in {ev.CutCause.OUTPUT_LIMIT, ev.CutCause.WINDOW_FULL}
    is_piece = event.cause is ev.CutCause.PIECE
    _lived(state, event.age_ms)
    if state.turn is not None and (at_limit or is_piece):
        state.turn.continuations += at_limit
        state.turn.pieces = state.turn.pieces + 1 if is_piece else 0
    if not kept.strip():
        return
    if state.turn is not None and (at_limit or is_piece or len(kept) >= PROGRESS_CHARS):
        _progress(state.turn)
    origin = str(seq)
    history.append(state, Message(ASSISTANT, (text(kept),), origin))
    if event.cause is not ev.CutCause.STOPPED:
        go_on = wording.continuation(response.tool_names(), event.cause)
        history.append(state, Message(USER, (text(go_on),), origin))


def request_failed(state: SessionState, event: ev.RequestFailed, _seq: int, at_ms: int) -> None:
    """Count the failure since the last progress; learn what it says about limits."""
    model = state.response.model if state.response else state.model or ""
    state.response = None
    state.requested = False
    taught = refusals.lesson(event.failure, event.body_bytes, event.context_tokens)
    learned = _learn(state, model, taught)
    _lived(state, event.age_ms)
    if event.age_ms and ended_by_others(event.failure):
        state.died_ms = event.age_ms
    turn = state.turn
    if turn is None:
        return
    turn.attempts += 1
    turn.failure = event.failure
    if turn.trouble_since_ms is None:
        turn.trouble_since_ms = at_ms
    room = taught.answer_tokens
    if room is not None and (turn.answer_tokens is None or room < turn.answer_tokens):
        turn.answer_tokens = room
        turn.reshapes += 1
    if event.failure.kind is FailureKind.INVALID_REQUEST:
        turn.refusals += 1
        turn.examining = not learned


def cap_learned(state: SessionState, event: ev.DurationCapLearned, _seq: int, at_ms: int) -> None:
    """Know at which age requests die, and how much of an answer is ready before."""
    state.cap = DurationCap(event.after_ms, event.answer_tokens, at_ms)


def _lived(state: SessionState, age_ms: int) -> None:
    """Forget limits of age that a request has outlived."""
    if state.cap is not None and has_outlived(age_ms, state.cap.after_ms):
        state.cap = None
    if state.died_ms and has_outlived(age_ms, state.died_ms):
        state.died_ms = 0


def _learn(state: SessionState, model: str, taught: refusals.Lesson) -> bool:
    """Keep what was named, the smallest limits; say whether the request is another one now."""
    known = state.learned.get(model, Learned())
    new = attrs.evolve(
        known,
        window_tokens=_smaller(known.window_tokens, taught.window_tokens),
        output_tokens=_smaller(known.output_tokens, taught.output_tokens),
        no_cache_marks=known.no_cache_marks or taught.no_cache_marks,
        turns_joined=known.turns_joined or taught.turns_joined,
    )
    if new != known:
        state.learned[model] = new
    state.body_bytes_max = _smaller(state.body_bytes_max, taught.body_bytes)
    form = ("output_tokens", "no_cache_marks", "turns_joined")
    return any(getattr(new, name) != getattr(known, name) for name in form)


def _smaller(known: int | None, said: int | None) -> int | None:
    return said if known is None else known if said is None else min(known, said)


def _progress(turn: Turn) -> None:
    turn.attempts, turn.trouble_since_ms, turn.probes = 0, None, 0
    turn.refusals = 0
    turn.insisted = False
    turn.repairs.clear()


def retry(state: SessionState, event: ev.RetryScheduled, _seq: int, at_ms: int) -> None:
    """Wait for a known moment."""
    if state.turn is not None:
        state.turn.examining = False
    state.wait = Wait(event.attempt, event.retry_at_ms, event.reason, at_ms)


def paused(state: SessionState, event: ev.TurnPaused, _seq: int, at_ms: int) -> None:
    """Wait for the cause to go away."""
    state.wait = None
    if state.turn is not None:
        state.turn.examining = False
    state.pause = Pause(event.reason, event.message, event.advice, event.retry_at_ms, at_ms)


def probe_failed(state: SessionState, event: ev.ProbeFailed, _seq: int, at_ms: int) -> None:
    """Wait on, until the next look."""
    if state.turn is not None:
        state.turn.probes += 1
    if state.pause is not None:
        state.pause = attrs.evolve(
            state.pause, retry_at_ms=event.retry_at_ms, since_ms=at_ms, probe=event.failure
        )


def resumed(state: SessionState, event: ev.TurnResumed, _seq: int, _at: int) -> None:
    """Go on; a person also resets the budget, and time that was slept through is not counted."""
    no_room = state.pause is not None and state.pause.reason == NO_ROOM
    state.pause = state.wait = None
    turn = state.turn
    if turn is None:
        return
    match event.by:
        case "user":
            _progress(turn)
            turn.insisted = no_room
            state.tried.clear()  # Whoever asks again wants all of it tried again.
            if turn.failure is not None and turn.failure.kind is FailureKind.TOO_LARGE:
                state.body_bytes_max = None
        case "wake":
            turn.attempts, turn.trouble_since_ms, turn.probes = 0, None, 0
        case "probe":
            turn.probes += 1
        case "timer":
            pass


def _open_response(state: SessionState) -> OpenResponse:
    if state.response is None:
        state.response = OpenResponse()
    return state.response
