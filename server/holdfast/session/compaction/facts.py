"""Facts: what stands in every compacted view verbatim, rendered from state (B13, B21).

Law: no fact is left to prose. Tasks, the last request and whether it was answered, open calls and
questions, permissions and the workspace are read from the journal's state when a compaction comes
into force. What is done is marked as done, so that no old request reads as a new one. Standing
instructions are the system prompt, which no compaction touches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast.conversation.casting import as_text, call_line
from holdfast.conversation.clipping import clip, clip_line
from holdfast.session.origins import index_of
from holdfast.session.state import CallState, SessionState

GOAL_BYTES: Final = 12_000
TASK_BYTES: Final = 600
TASKS_BYTES: Final = 24_000
LINE_BYTES: Final = 400

_FRAME: Final = (
    "[Earlier parts of this conversation were compacted into the summary below. Requests "
    "named in it are done unless it says otherwise. All of it is kept: `recall_search` finds, and "
    "`recall_read` shows, what was said.]"
)
_SIGNED_FRAME: Final = (
    "[Earlier parts of this conversation were compacted. What follows is the state of the session "
    "at that moment, not a request. `recall_search` finds, and `recall_read` shows, what was said.]"
)
_OPEN: Final = "<summary>\n"
_CLOSE: Final = "\n</summary>"
_DONE: Final = "completed"
_CALL_STATES: Final = {
    CallState.REQUESTED: "not started",
    CallState.ASKED: "not started, a person is asked",
    CallState.AUTHORISED: "allowed, not started",
    CallState.STARTED: "running",
}


def facts(state: SessionState, cut_origin: str = "") -> tuple[str, ...]:
    """Return what stands in every compacted view, one part each.

    A request that stands in what is kept from the record `cut_origin` on is not said twice.
    """
    parts = (
        ("goal", _goal(state, cut_origin)),
        ("tasks", _tasks(state)),
        ("running", _calls(state)),
        ("questions", _questions(state)),
        ("permissions", [f"- {g.tool} {g.pattern}: allowed".strip() for g in state.grants]),
    )
    found = [f"<{name}>\n" + "\n".join(lines) + f"\n</{name}>" for name, lines in parts if lines]
    if state.workspace_uri:
        found.append(f"<workspace>{state.workspace_uri}</workspace>")
    return tuple(found)


def compose(summary: str, told: Iterable[str]) -> str:
    """Return the text that stands for the compacted part: the summary, and the facts."""
    return "\n".join((_FRAME, f"{_OPEN}{summary.strip()}{_CLOSE}", *told))


def alone(told: Iterable[str]) -> str:
    """Return the facts as they stand behind a signed block."""
    return "\n".join((_SIGNED_FRAME, *told))


def bare(composed: str) -> str:
    """Return the summary of a composed text, without frame and facts; others as they are."""
    begin, end = composed.find(_OPEN), composed.rfind(_CLOSE)
    return composed[begin + len(_OPEN) : end] if 0 <= begin < end else composed


def _goal(state: SessionState, cut_origin: str) -> list[str]:
    """The last request of the person, whole as far as that is possible, and where it stands."""
    prompts = {origin: prompt for prompt, origin in state.prompt_origins.items()}
    cut = index_of(state.messages, cut_origin) if cut_origin else None
    covered = state.messages if cut is None else state.messages[:cut]
    kept = () if cut is None else state.messages[cut:]
    if any(message.origin in prompts for message in kept):
        return []
    newest = next((m for m in reversed(covered) if m.origin in prompts), None)
    if newest is None:
        return []
    said = "\n".join(as_text(block) for block in newest.blocks)
    busy = state.turn is not None and state.turn.prompt_id == prompts[newest.origin]
    status = "is being worked on" if busy else "is over: it was answered or stopped"
    return [f"The person's last request, which {status}:", clip(said, GOAL_BYTES)]


def _tasks(state: SessionState) -> list[str]:
    """The task list; when it is too long, what is done goes first."""
    lines = [
        (todo.status == _DONE, clip_line(f"- [{todo.status}] {todo.text}", TASK_BYTES))
        for todo in state.todos
    ]
    room = TASKS_BYTES - sum(len(line.encode()) for done, line in lines if not done)
    kept: list[str] = []
    for done, line in reversed(lines):
        room -= len(line.encode()) if done else 0
        if not done or room >= 0:
            kept.append(line)
    return kept[::-1]


def _calls(state: SessionState) -> list[str]:
    return [
        clip_line(f"- {_CALL_STATES[call.state]}: {call_line(call.block)}", LINE_BYTES)
        for call in state.open_calls()
    ]


def _questions(state: SessionState) -> list[str]:
    asked = state.questions.values()
    return [clip_line(f"- {one.title} {one.detail}", LINE_BYTES) for one in asked]
