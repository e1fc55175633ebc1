"""Nothing sits still past its time (P7): looked at all the time, not only at the end.

Law: a session whose server lives and whose disk works may be still only for as long as its phase
explains. A wait and a pause with a time are explained until that time; what asks a person is
explained for ever. Stillness under trouble is no fault and starts the count anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from holdfast.agent.supervisor import Supervisor
from holdfast.session.state import Phase, SessionState
from simulation.disk import Disk
from simulation.loop import Process, SimulatedLoop

LOOK_EVERY_S: Final = 1.0
RECOVERED_S: Final = 6.0
"""So long after trouble with the disk a driver may still sleep before it tries again."""
LATE_S: Final = 12.0
"""A timer looks every 5 s; a driver whose write was refused tries again within 5 s."""
MODEL_S: Final = 150.0
"""A model may be silent for 120 s, and everything the simulation plays takes seconds."""


class Host(Protocol):
    """A server, as far as it is watched."""

    process: Process
    supervisor: Supervisor
    closing: bool


class Watch:
    """Counts for how long each session has been still without a reason."""

    def __init__(
        self,
        disk: Disk,
        loop: SimulatedLoop,
        rough_until: Callable[[], float],
        complain: Callable[[str, str], None],
    ) -> None:
        self._disk = disk
        self._loop = loop
        self._rough_until = rough_until
        self._complain = complain
        self._looked_at = 0.0
        self._still: dict[str, tuple[tuple[int, int], float]] = {}

    def look(self, hosts: Iterable[Host], now_ms: int) -> None:
        """Look at all sessions. `now_ms` is the wall clock of the servers."""
        elapsed = self._loop.time() - self._looked_at
        if elapsed < LOOK_EVERY_S:
            return
        self._looked_at = self._loop.time()
        rough = self._loop.time() < self._rough_until() + RECOVERED_S
        owned = {} if rough else dict(_owned(hosts))
        for session_id, file in self._disk.sessions.items():
            limit_s = patience_s(file.witness.state, now_ms)
            lease = file.lease
            if limit_s is None or lease is None or owned.get(session_id) is not file.holder:
                self._still.pop(session_id, None)
                continue
            point = (file.head, lease.generation)
            known, still_s = self._still.get(session_id, (point, 0.0))
            # A jump over a long time is one look: something may just be about to happen.
            still_s = still_s + min(elapsed, 2 * LOOK_EVERY_S) if known == point else 0.0
            self._still[session_id] = (point, still_s)
            if still_s > limit_s:
                phase = file.witness.state.phase
                self._complain("P7", f"{session_id}: still for {still_s:.0f} s while {phase}")


def _owned(hosts: Iterable[Host]) -> Iterable[tuple[str, Process]]:
    for host in hosts:
        if not (host.process.dead or host.process.frozen or host.closing):
            for session_id in host.supervisor._sessions._drivers:
                yield session_id, host.process


def patience_s(state: SessionState, now_ms: int) -> float | None:
    """Return for how many seconds a session may be still now; None when for ever."""
    match state.phase:
        case Phase.WAITING | Phase.PAUSED:
            due = state.wait or state.pause
            if due is None or due.retry_at_ms is None:
                return None
            return None if due.since_ms <= now_ms < due.retry_at_ms else LATE_S
        case Phase.QUEUED:
            return None if state.held else LATE_S
        case Phase.REQUESTING | Phase.STREAMING:
            return MODEL_S
        case Phase.REPAIRING:
            return 2 * MODEL_S
        case Phase.RUNNING_TOOLS | Phase.COMPACTING:
            return 3 * LATE_S
        case Phase.ASKING | Phase.IDLE:
            return None
