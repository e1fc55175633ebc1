"""One step of the state machine while it is being decided.

Law: `emit` folds at once, so every later question to the state sees it; effects are collected and
carried out by the caller only after the events are durable.
"""

from __future__ import annotations

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.fold import apply
from holdfast.session.state import SessionState


class Step:
    """Collects the events and effects of one decision.

    `body_bytes` is a size that the messages of the request it sends do not exceed; 0 without one.
    """

    def __init__(self, state: SessionState, env: inp.Env) -> None:
        self.state = state
        self.env = env
        self.body_bytes = 0
        self._records: list[inp.Recorded] = []
        self._effects: list[inp.Effect] = []

    def emit(self, event: ev.Event) -> None:
        """Record an event and fold it into the state."""
        record = inp.Recorded(self.state.seq + 1, self.env.now_ms, event)
        apply(self.state, event, record.seq, record.at_ms)
        self._records.append(record)

    def want(self, effect: inp.Effect) -> None:
        """Ask for an effect after the events are durable."""
        self._effects.append(effect)

    def finish(self) -> inp.Advance:
        """Return what was decided."""
        return inp.Advance(tuple(self._records), tuple(self._effects))
