"""How prompts become turns, and turns end."""

from __future__ import annotations

from holdfast.conversation.history import USER, Message, text
from holdfast.session import events as ev
from holdfast.session import wording
from holdfast.session.fold import history
from holdfast.session.lifetimes import BELIEVED_MS
from holdfast.session.state import Prompt, SessionState, Turn


def prompt_accepted(state: SessionState, event: ev.PromptAccepted, _seq: int, _at: int) -> None:
    """Queue a prompt, once per id; a held queue is free again."""
    if event.prompt_id in state.prompts:
        return
    state.prompts[event.prompt_id] = event.turn_id
    blocks = ev.blocks_of(event.content)
    state.queue.append(Prompt(event.prompt_id, event.turn_id, blocks, event.mentions))
    state.held = False


def turn_started(state: SessionState, event: ev.TurnStarted, seq: int, at_ms: int) -> None:
    """Move a prompt from the queue into the history; an old limit of ages is no longer believed."""
    if state.cap is not None and not 0 <= at_ms - state.cap.learned_at_ms <= BELIEVED_MS:
        state.cap = None
    prompt = next((p for p in state.queue if p.prompt_id == event.prompt_id), None)
    if prompt is None:
        return
    state.queue.remove(prompt)
    state.held = False
    state.prompt_origins[prompt.prompt_id] = str(seq)
    state.turn = Turn(event.turn_id, prompt.prompt_id)
    history.append(state, Message(USER, prompt.blocks, str(seq)))


def turn_ended(state: SessionState, event: ev.TurnEnded, seq: int, _at: int) -> None:
    """Forget everything about the turn; after a stop the queue is held."""
    if event.reason is ev.TurnEnd.COMPLETED and state.home is None:
        state.returns = 0  # Where one belongs it works again.
    state.turn = state.response = state.pause = state.wait = None
    state.requested = False
    state.calls, state.questions = {}, {}
    if event.reason is ev.TurnEnd.STOPPED:
        state.held = bool(state.queue)
        history.append(state, Message(USER, (text(wording.STOPPED),), str(seq)))
