"""How a session itself changes: its name, its place, its model."""

from __future__ import annotations

import attrs

from holdfast.session import events as ev
from holdfast.session.failures import UNSEEN
from holdfast.session.state import Calibration, Home, SessionState


def created(state: SessionState, event: ev.SessionCreated, _seq: int, _at: int) -> None:
    """Take name, place, model and system prompt."""
    state.title = event.title
    state.system = event.system
    state.workspace_uri = event.workspace_uri
    state.model = event.model
    state.parent_id = event.parent_id


def renamed(state: SessionState, event: ev.SessionRenamed, _seq: int, _at: int) -> None:
    """Take the new title."""
    state.title = event.title


def archived(state: SessionState, event: ev.SessionArchived, _seq: int, _at: int) -> None:
    """Hide or show the session."""
    state.archived = event.archived


def model_selected(state: SessionState, event: ev.ModelSelected, _seq: int, _at: int) -> None:
    """Use another model from now on: what was found out about sizes was the other one's."""
    _answered_by(state, event.model)


def endpoint_selected(
    state: SessionState, event: ev.EndpointSelected, _seq: int, at_ms: int
) -> None:
    """Have another endpoint answer: its limits are not known yet, and its trouble begins anew."""
    turn = state.turn
    match event.reason:
        case "failover":
            _remember_home(state, at_ms)
        case "returned":
            state.home, state.returns = None, state.returns + 1
        case _:
            state.home, state.returns = None, 0
    if turn is not None:
        turn.attempts, turn.refusals, turn.trouble_since_ms = 0, 0, None
        turn.left = [*turn.left, state.endpoint] if event.reason == "failover" else []
    state.endpoint = event.endpoint
    state.learned.clear()
    state.body_bytes_max = state.cap = None
    state.died_ms = 0
    _answered_by(state, event.model)


def _remember_home(state: SessionState, at_ms: int) -> None:
    """Know where to go back to, unless the reason for leaving is none that a free look can see."""
    turn = state.turn
    failure = turn.failure if turn is not None else None
    if state.home is not None:
        state.home = attrs.evolve(state.home, left_ms=at_ms)
    elif failure is not None and failure.kind not in UNSEEN:
        state.home = Home(state.endpoint, at_ms)


def _answered_by(state: SessionState, model: str | None) -> None:
    state.model = model
    state.latch = None
    state.compaction_tried_at = 0
    state.calibration = Calibration()
    state.compactions = [attrs.evolve(c, measured=None) for c in state.compactions]
