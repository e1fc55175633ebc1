"""A session's state in the words of its readers: status, view, readable messages.

Law: pure functions of the state; nothing here changes or waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

from holdfast.agent import compaction_words, costs
from holdfast.agent.api import (
    CompactionProgress,
    OpenQuestion,
    ReadableMessage,
    SessionView,
    Status,
)
from holdfast.agent.services import AgentSettings
from holdfast.conversation.history import ASSISTANT, Block, Message
from holdfast.session import banners
from holdfast.session.banners import STORAGE, Banner
from holdfast.session.failures import explain, told
from holdfast.session.inputs import Limits
from holdfast.session.state import Phase, SessionState
from holdfast.settings import DEFAULT_ENDPOINT

_CALL_LINE_CHARS: Final = 200


def status_of(
    session_id: str,
    state: SessionState,
    *,
    silent_ms: int = 0,
    idle_warn_ms: int = 8_000,
    cut_at_ms: int | None = None,
    progress: CompactionProgress | None = None,
    store_trouble: str | None = None,
    read_only: str | None = None,
) -> Status:
    """Return what a session is doing, why, and when that changes.

    `cut_at_ms` is when an open stream is cut if it stays silent.
    """
    phase = state.phase
    if store_trouble is not None:
        return _without_store(session_id, store_trouble)
    turn = state.turn
    failure = turn.failure if turn else None
    is_silent = phase in {Phase.REQUESTING, Phase.STREAMING} and silent_ms >= idle_warn_ms
    cut_ms = cut_at_ms if is_silent and phase is Phase.STREAMING else None
    progress = progress if state.compaction is not None else None
    again = is_sent_again(state)
    seen = failure if again or (failure and failure.kind.value == _reason(state)) else None
    common: dict[str, Any] = {
        "session_id": session_id,
        "cause": seen.cause.value if seen is not None and seen.cause is not None else None,
        "tried": explain(seen).tried if seen is not None else None,
        "trouble_at_ms": turn.trouble_since_ms if turn is not None else None,
        "phase": phase.value,
        "progress": progress,
        "silent_ms": silent_ms if is_silent else None,
        "read_only": read_only,
        "label": banners.label(
            phase,
            silent=is_silent,
            percentage=progress.percentage if progress else None,
            read_only=read_only is not None,
            again=again,
        ),
        "banner": banners.read_only(read_only)
        if read_only is not None
        else _banner(session_id, state, progress, cut_ms, is_silent=is_silent),
    }
    if state.pause is not None:
        pause = state.pause
        return Status(
            **common,
            reason=pause.reason,
            message=pause.message,
            advice=pause.advice,
            attempt=turn.attempts if turn is not None and turn.attempts else None,
            retry_at_ms=pause.retry_at_ms,
        )
    if state.wait is not None:
        return Status(
            **common,
            reason=state.wait.reason,
            message=told(failure) if failure else None,
            advice=explain(failure).advice if failure else None,
            attempt=state.wait.attempt,
            retry_at_ms=state.wait.retry_at_ms,
        )
    return Status(
        **common,
        message=told(seen) if seen else None,
        advice=explain(seen).advice if seen else None,
        attempt=turn.attempts + 1 if turn and turn.attempts else None,
        retry_at_ms=cut_ms,
    )


def is_sent_again(state: SessionState) -> bool:
    """Say whether a request that has failed is under way, and nothing has come of it yet."""
    turn = state.turn
    if turn is None or turn.failure is None or state.phase is not Phase.REQUESTING:
        return False
    return turn.attempts > 0


def _reason(state: SessionState) -> str | None:
    held = state.pause or state.wait
    return held.reason if held is not None else None


def _without_store(session_id: str, trouble: str) -> Status:
    says = "The session store cannot be written."
    advice = "Free some disk space; the turn then goes on by itself."
    banner = banners.paused(session_id, reason=STORAGE, message=says, advice=advice)
    return Status(
        session_id,
        Phase.PAUSED.value,
        reason=STORAGE,
        message=f"{says} ({trouble})",
        advice=advice,
        label=banners.label(Phase.PAUSED, silent=False, percentage=None, read_only=False),
        banner=attrs.evolve(banner, raw=trouble),
    )


def _banner(
    session_id: str,
    state: SessionState,
    progress: CompactionProgress | None,
    cut_ms: int | None,
    *,
    is_silent: bool,
) -> Banner | None:
    """Return what holds the session up; what needs a person most goes first."""
    failure = state.turn.failure if state.turn else None
    since = state.turn.trouble_since_ms if state.turn else None
    pause, wait = state.pause, state.wait
    if pause is not None:
        return banners.paused(
            session_id,
            reason=pause.reason,
            message=pause.message,
            advice=pause.advice,
            due=pause.retry_at_ms,
            failure=failure,
            probe=pause.probe,
            attempts=state.turn.attempts if state.turn else 0,
            since=since,
        )
    if wait is not None:
        return banners.waiting(
            session_id,
            reason=wait.reason,
            attempt=wait.attempt,
            due=wait.retry_at_ms,
            failure=failure,
            since=since,
        )
    if failure is not None and state.turn is not None and is_sent_again(state):
        attempt = state.turn.attempts + 1
        return banners.again(session_id, attempt=attempt, failure=failure, since=since)
    if progress is not None:
        return banners.compacting(
            session_id,
            step=", ".join(compaction_words.how_far(progress)),
            percentage=progress.percentage,
            attempt=progress.attempt,
            cause=progress.cause,
            due=progress.retry_at_ms,
        )
    if state.phase is Phase.REPAIRING:
        return banners.repairing(session_id, failure)
    if state.phase is Phase.COMPACTING:
        return banners.compacting(session_id)
    return banners.silent(session_id, cut_ms) if is_silent else None


def view_of(
    session_id: str,
    state: SessionState,
    status: Status,
    settings: AgentSettings,
    context_tokens: int,
    limits: Limits | None = None,
) -> SessionView:
    """Return a session as a person would want to know it. Its next request has `context_tokens`.

    `limits` are those of its requests; None when another server owns it and they are not known.
    """
    window_tokens = limits.window_tokens if limits is not None else 0
    return SessionView(
        session_id=session_id,
        title=state.title,
        workspace_uri=state.workspace_uri,
        model=state.model or settings.model,
        endpoint=state.endpoint or DEFAULT_ENDPOINT,
        phase=status.phase,
        seq=state.seq,
        archived=state.archived,
        updated_at_ms=state.updated_at_ms,
        status=status,
        context_tokens=context_tokens,
        window_tokens=window_tokens,
        output_tokens=state.total_output_tokens,
        usage=costs.usage_of(state, context_tokens, window_tokens, settings.prices),
        questions=questions_of(session_id, state),
        todos=tuple({"text": t.text, "status": t.status} for t in state.todos),
        queue=tuple(
            {"promptId": p.prompt_id, "turnId": p.turn_id, "text": text_of(p.said)}
            for p in state.queue
        ),
        compactions=tuple(c.compaction_id for c in state.compactions),
        compaction_rung=state.in_force.rung.value if state.in_force is not None else None,
        undone_compactions=tuple(u.compaction.compaction_id for u in state.undone),
        repairs=tuple(state.repairs),
    )


def questions_of(session_id: str, state: SessionState) -> tuple[OpenQuestion, ...]:
    """Return the permission questions that wait for an answer."""
    return tuple(
        OpenQuestion(
            question_id=q.question_id,
            session_id=session_id,
            tool_use_id=q.tool_use_id,
            tool=q.tool,
            title=q.title,
            detail=q.detail,
            pattern=q.pattern,
        )
        for q in state.questions.values()
    )


def readable(state: SessionState) -> list[ReadableMessage]:
    """Return the whole history, the part of an answer that has arrived included (P1)."""
    messages = [readable_message(message) for message in state.messages]
    if state.response is not None and (partial := state.response.text_so_far()):
        messages.append(
            ReadableMessage(ASSISTANT, "partial", partial, ({"type": "text", "text": partial},))
        )
    return messages


def readable_message(message: Message) -> ReadableMessage:
    """Return one message for people."""
    return ReadableMessage(
        message.role,
        message.origin,
        text_of(message.blocks),
        tuple(dict(block.data) for block in message.blocks),
    )


def text_of(blocks: Iterable[Block]) -> str:
    """Return blocks as plain text: words as they are, calls and results as one line each."""
    return "\n".join(line for block in blocks if (line := _line(block)))


def _line(block: Block) -> str:
    match block.type:
        case "text":
            return block.text_of("text")
        case "tool_use":
            arguments = str(block.get("input"))[:_CALL_LINE_CHARS]
            return f"[call {block.text_of('name')}: {arguments}]"
        case "tool_result":
            mark = "failed" if block.get("is_error") else "result"
            return f"[{mark}: {_result_text(block.get('content'))}]"
        case "thinking" | "redacted_thinking":
            return ""
        case other:
            return f"[{other or 'unknown block'}]"


def _result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    return "\n".join(
        str(item.get("text") or f"[{item.get('type')}]")
        for item in content
        if isinstance(item, dict)
    )
