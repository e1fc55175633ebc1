"""What a command leaves in the data directory while it runs, so that a crash does not hide its end.

Law: one private folder a call, made before the command is started and removed when its result is
in the journal. Who looks into one takes it away first: a command that has not begun by then never
does, one that still runs is stopped, so that nothing of a dead server runs on unseen. Looking twice
shows the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from holdfast.tools.output import HeadAndTail

if sys.platform != "win32":
    import fcntl

    from holdfast.tools.run_worker import END, LOCK, OUTPUT

SUPPORTED: Final = sys.platform != "win32"
"""Whether there may be `Traces` here: Windows has neither the locks nor the groups it takes."""

TAKEN: Final = ".taken"
OUTPUT_BYTES_MAX: Final = 8_000
STOP_S: Final = 3.0  # for a command to end when asked; the keeper kills after two seconds
KILL_S: Final = 1.0  # for the system to end what was killed
LOOK_AGAIN_S: Final = 0.02

How: TypeAlias = Literal["ended", "cut", "stopped", "running", "vanished", "nothing"]


@attrs.frozen
class Trace:
    """What a call's folder shows.

    `ended`: by itself, with `exit_code` (negative for a signal). `cut`: it was stopped at its time
    limit or together with the server. `stopped`: it was still running and has been stopped now.
    `running`: it could not be stopped. `vanished`: it had begun and left no end. `nothing`: it is
    not seen to have begun. `pid` leads the command's process group, `output`
    is the end of what it printed, as far as it was kept.
    """

    how: How
    pid: int | None = None
    exit_code: int | None = None
    output: str = ""


class Traces:
    """The folders of all calls, below `root`. All methods block for the disk, seconds at most."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, session_id: str, tool_use_id: str) -> Path:
        """Return where the call's folder is, or would be."""
        return self._session(session_id) / _digest(tool_use_id)

    def look(self, session_id: str, tool_use_id: str) -> Trace:
        """Take the call's folder away, stop what still runs and return what it shows.

        Raises `OSError` when the folder cannot be read.
        """
        return _look(_taken(self.folder(session_id, tool_use_id)))

    def discard(self, session_id: str, tool_use_id: str) -> None:
        """Remove the call's folder, and stop what still runs. Nothing to remove is no error."""
        self.remove(self.folder(session_id, tool_use_id))

    def leftovers(self, session_id: str, keep: Collection[str]) -> Sequence[Path]:
        """Return the session's folders but those of the calls `keep`."""
        kept = {_digest(tool_use_id) for tool_use_id in keep}
        try:
            found = list(self._session(session_id).iterdir())
        except FileNotFoundError:
            return ()
        return [path for path in found if path.name.removesuffix(TAKEN) not in kept]

    def remove(self, folder: Path) -> None:
        """Remove a folder that `folder` or `leftovers` returned, as `discard` does."""
        taken = _taken(folder)
        if taken.exists():
            _look(taken)
            shutil.rmtree(taken)
        with suppress(OSError):  # others of the session are still there
            taken.parent.rmdir()

    def _session(self, session_id: str) -> Path:
        return self._root / _digest(session_id)


def prepare(folder: Path) -> bool:
    """Make a call's folder, for this user only. False when that cannot be done: then the command
    runs without a trace, for a full disk must not keep anyone from running `rm`.
    """
    try:
        folder.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        (folder / LOCK).touch(mode=0o600)
    except OSError:
        return False
    return True


def _digest(name: str) -> str:
    """Return a name that any file system takes, for a name of any form."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _taken(folder: Path) -> Path:
    """Take a folder away under its keeper: one that has not begun finds nothing and ends."""
    if folder.name.endswith(TAKEN):
        return folder
    taken = folder.with_name(folder.name + TAKEN)
    with suppress(FileNotFoundError):
        folder.rename(taken)
    return taken


def _end_of(folder: Path) -> Trace | None:
    """Return the end that the keeper has written, if it has."""
    try:
        end = json.loads((folder / END).read_bytes())
        written = (folder / OUTPUT).read_bytes()
    except FileNotFoundError:
        return None
    kept = HeadAndTail(2 * OUTPUT_BYTES_MAX)
    kept.add(written)
    output = kept.text(OUTPUT_BYTES_MAX) if written.strip() else ""
    return Trace("cut" if end["asked"] else "ended", _pid_of(folder), end["exit"], output)


def _pid_of(folder: Path) -> int | None:
    try:
        written = (folder / LOCK).read_bytes()
    except FileNotFoundError:
        return None
    return int(written) if written.endswith(b"\n") else None


def _look(folder: Path) -> Trace:
    """Return what a folder that was taken away shows; stop the command if it still runs."""
    if _end_of(folder) is None and _is_held(folder):
        return _stop(folder)
    pid = _pid_of(folder)
    return _end_of(folder) or Trace("nothing" if pid is None else "vanished", pid)


def _is_held(folder: Path) -> bool:
    """Say whether the keeper lives. It holds the lock from before the command's start to its
    own end, and no other process can be taken for it.
    """
    try:
        fd = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _stop(folder: Path) -> Trace:
    """End a command that still runs, with all of its group."""
    for how, within_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, KILL_S)):
        deadline = time.monotonic() + within_s
        asked = False
        while _is_held(folder) and time.monotonic() < deadline:
            if not asked and (pid := _pid_of(folder)) is not None:
                with suppress(ProcessLookupError):
                    os.killpg(pid, how)
                asked = True
            time.sleep(LOOK_AGAIN_S)
    pid = _pid_of(folder)
    if _is_held(folder):
        return Trace("running", pid)
    if pid is None:
        return Trace("nothing")  # It saw that its folder was gone, and ended.
    end = _end_of(folder) or Trace("stopped", pid)
    return attrs.evolve(end, how="stopped")
