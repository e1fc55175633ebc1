"""The turn's phases as tables: which event may happen where, and what a restart does.

Law: an event that its row does not allow changes nothing. Each phase has exactly one continuation
after a restart, and it is in `RESTART`. The diagram in docs/architecture.md is drawn from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from holdfast.session import events as ev
from holdfast.session.state import TURN_PHASES, Phase, SessionState

_MODEL_PHASES: Final = frozenset({Phase.REQUESTING, Phase.STREAMING})
_TOOL_PHASES: Final = frozenset({Phase.RUNNING_TOOLS, Phase.ASKING})

ALLOWED: Final[Mapping[type[ev.Event], frozenset[Phase]]] = {
    ev.TurnStarted: frozenset({Phase.QUEUED}),
    ev.TurnEnded: TURN_PHASES,
    ev.StopRequested: TURN_PHASES,
    ev.RequestStarted: frozenset({Phase.REQUESTING}),
    ev.ResponseStarted: _MODEL_PHASES,
    ev.BlockStarted: _MODEL_PHASES,
    ev.BlockDelta: _MODEL_PHASES,
    ev.BlockFinished: _MODEL_PHASES,
    ev.ResponseFinished: _MODEL_PHASES,
    ev.ResponseCut: _MODEL_PHASES,
    ev.RequestFailed: frozenset({Phase.REQUESTING}),
    ev.RetryScheduled: frozenset({Phase.REQUESTING, Phase.REPAIRING}),
    ev.TurnPaused: TURN_PHASES - {Phase.STREAMING},
    ev.ProbeFailed: frozenset({Phase.PAUSED}),
    ev.TurnResumed: frozenset({Phase.PAUSED, Phase.WAITING}),
    ev.ToolAuthorised: _TOOL_PHASES,
    ev.QuestionAsked: _TOOL_PHASES,
    ev.QuestionAnswered: _TOOL_PHASES,
    ev.ToolStarted: _TOOL_PHASES,
    ev.ToolFinished: _TOOL_PHASES | {Phase.PAUSED},
}
"""Turn events by the phases in which they may happen. Events that are no rows may happen in all."""


class Restart(StrEnum):
    """What the new owner of a session does with a turn that its last owner left in a phase."""

    NOTHING = "nothing to do"
    START_NEXT = "the next prompt of the queue starts its turn, unless the queue is held"
    DIGEST_AGAIN = "the local digest is made again; it is deterministic"
    SEND_AGAIN = "nothing arrived and nothing ran: the same request is sent again"
    CONTINUE = "what arrived is kept as text, open calls are dropped, the turn goes on from there"
    ASK_AGAIN = "the question stays open; started calls become 'outcome unknown'"
    EXAMINE_AGAIN = "the refused request is examined again; what was taken is not taken twice"
    SETTLE = "started calls become 'outcome unknown', the others are judged anew, never re-run"
    WAIT_ON = "the timer is set again to the same moment"


RESTART: Final[Mapping[Phase, Restart]] = {
    Phase.IDLE: Restart.NOTHING,
    Phase.QUEUED: Restart.START_NEXT,
    Phase.COMPACTING: Restart.DIGEST_AGAIN,
    Phase.REQUESTING: Restart.SEND_AGAIN,
    Phase.STREAMING: Restart.CONTINUE,
    Phase.ASKING: Restart.ASK_AGAIN,
    Phase.RUNNING_TOOLS: Restart.SETTLE,
    Phase.REPAIRING: Restart.EXAMINE_AGAIN,
    Phase.WAITING: Restart.WAIT_ON,
    Phase.PAUSED: Restart.WAIT_ON,
}


def is_interrupted(state: SessionState) -> bool:
    """Say whether a restart would let a turn go on by itself.

    With the setting `continueInterrupted` "ask" such a turn is paused instead, whatever its row in
    `RESTART` says, until a person resumes it. A pause that only a person can end stays as it is.
    """
    if state.pause is not None:
        return state.pause.retry_at_ms is not None
    return state.turn is not None
