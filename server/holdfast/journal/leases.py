"""Leases: who may write to a session, and when another may take over.

Law: at most one lease of a session is current, and only a current generation can write. Taking a
lease over is therefore always safe for the journal; the rules below only decide when it is fair.
A lease is free when nobody holds it, when its holder's process is gone, or when its holder has
been silent for too long. Silence is measured both ways, because clocks also jump back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final

import apsw
import attrs

from holdfast.journal.schema import rows, unknown_session
from holdfast.journal.store import Lease, SessionOwnedElsewhere, StoreDamaged

# A holder that cannot be looked at (another machine) is believed for this long.
SILENT_MAX_MS: Final = 30_000
# A living process may be suspended for a while (a closed laptop lid); then others may go on.
SUSPENDED_MAX_MS: Final = 5 * 60_000

_PROC: Final = Path("/proc")


class Liveness(Enum):
    """What can be known about the process that holds a lease."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


@attrs.frozen
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same pid.

    `started` is the boot and the tick in which the process began; None where the system does not
    tell.
    """

    pid: int
    host: str
    started: str | None

    @classmethod
    def current(cls) -> ProcessIdentity:
        """Describe this process."""
        pid = os.getpid()
        status = _process_status(pid)
        return cls(pid, socket.gethostname(), status.started if status else None)


@attrs.frozen
class _ProcessStatus:
    started: str
    ended: bool


def liveness(holder: ProcessIdentity, here: ProcessIdentity) -> Liveness:
    """Say whether `holder` still runs, as far as this process can see."""
    if holder.host != here.host or os.name != "posix":
        # On Windows signal 0 is not a question: it interrupts the other process.
        return Liveness.UNKNOWN
    try:
        os.kill(holder.pid, 0)
    except (ProcessLookupError, OverflowError):
        return Liveness.GONE
    except PermissionError:
        pass  # it lives and belongs to another user
    status = _process_status(holder.pid)
    if status is None:
        return Liveness.ALIVE
    reused = holder.started is not None and holder.started != status.started
    return Liveness.GONE if reused or status.ended else Liveness.ALIVE


def is_free(state: Liveness, heartbeat_ms: int, now_ms: int) -> bool:
    """Whether a lease that another owner holds may be taken over."""
    silence_ms = abs(now_ms - heartbeat_ms)
    if state is Liveness.ALIVE:
        return silence_ms > SUSPENDED_MAX_MS
    return state is Liveness.GONE or silence_ms > SILENT_MAX_MS


def take(
    connection: apsw.Connection, session_id: str, owner: str, process: ProcessIdentity, now_ms: int
) -> Lease:
    """Take a session's lease inside the caller's transaction.

    Raises `SessionUnknown` and `SessionOwnedElsewhere`.
    """
    found = rows(
        connection,
        """SELECT session_key, owner, pid, host, started, heartbeat_ms
           FROM sessions LEFT JOIN leases USING (session_key) WHERE session_id = ?""",
        (session_id,),
    )
    if not found:
        raise unknown_session(connection, session_id)
    session_key, holder, pid, host, started, heartbeat_ms = found[0]
    if holder is not None and holder != owner:
        if not isinstance(pid, int) or not isinstance(heartbeat_ms, int):
            raise StoreDamaged(f"The lease of session {session_id!r} is not what was written.")
        state = liveness(ProcessIdentity(pid, host, started), process)
        if not is_free(state, heartbeat_ms, now_ms):
            raise SessionOwnedElsewhere(session_id, holder, pid, host)
    connection.execute("DELETE FROM leases WHERE session_key = ?", (session_key,))
    connection.execute(
        """INSERT INTO leases (session_key, owner, pid, host, started, heartbeat_ms)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (session_key, owner, process.pid, process.host, process.started, now_ms),
    )
    return Lease(session_id, owner, connection.last_insert_rowid())


def beat(connection: apsw.Connection, leases: Sequence[Lease], now_ms: int) -> list[Lease]:
    """Refresh the leases that are still current; return the others."""
    lost = []
    for lease in leases:
        connection.execute(
            "UPDATE leases SET heartbeat_ms = ? WHERE generation = ?", (now_ms, lease.generation)
        )
        if not connection.changes():
            lost.append(lease)
    return lost


def give_back(connection: apsw.Connection, lease: Lease) -> None:
    """End a lease, if it is still the current one."""
    connection.execute("DELETE FROM leases WHERE generation = ?", (lease.generation,))


def _process_status(pid: int) -> _ProcessStatus | None:
    """Read a process's start from Linux' /proc; None where that cannot be done."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The second field, the command in parentheses, may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return _ProcessStatus(started=f"{boot}:{fields[19]}", ended=fields[0] in "ZX")
