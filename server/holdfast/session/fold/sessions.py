"""How a session itself changes: its name, its place, its model."""

from __future__ import annotations

import attrs

from holdfast.session import events as ev
from holdfast.session.state import Calibration, SessionState


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
    state.model = event.model
    state.latch = None
    state.compaction_tried_at = 0
    state.calibration = Calibration()
    state.compactions = [attrs.evolve(c, measured=None) for c in state.compactions]
