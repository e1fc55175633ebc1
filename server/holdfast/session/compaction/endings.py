"""How a compaction ends that does not come into force.

Law: every end is a record with its reason; what removes nothing says what there is (B23, P12).
"""

from __future__ import annotations

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.compaction import floor
from holdfast.session.state import NO_ROOM, RunningCompaction, SessionState
from holdfast.session.step import Step


def end(step: Step, running: RunningCompaction, outcome: ev.CompactionEnd, detail: str) -> None:
    """Stop preparing and say why."""
    step.want(inp.AbortCompaction())
    step.emit(
        ev.CompactionEnded(
            compaction_id=running.started.compaction_id, outcome=outcome, detail=detail
        )
    )


def end_pointless(step: Step, running: RunningCompaction) -> None:
    """Stop because it would remove nothing; automatic ones are held until something changes."""
    end(step, running, ev.CompactionEnd.POINTLESS, floor.analysis(step.state, step.env.limits))


def pause_for_room(step: Step) -> None:
    """Pause a turn whose request does not fit, and say what fills the window."""
    step.emit(
        ev.TurnPaused(
            reason=NO_ROOM,
            message="The request does not fit the model's window, and nothing more can be left out "
            f"of it. {floor.analysis(step.state, step.env.limits)}",
            advice="Choose a model with a larger window or shorten the prompt. Resume the turn to "
            "send it all the same.",
        )
    )


def running_of(state: SessionState, compaction_id: str) -> RunningCompaction | None:
    """Return the compaction under way if it is this one."""
    running = state.compaction
    return running if running and running.started.compaction_id == compaction_id else None
