"""The keeper of one command of `run`, a program of its own that outlives a killed server.

Law: what is asked for comes whole from standard input or nothing is run. The command runs at most
once, and only while the keeper holds the lock in the call's folder; its end is in the folder,
written whole, before anything else is told. To the server the keeper looks like the command: same
output, same exit status. Without a server it goes on to the end or the time limit, and takes what
the command left behind with it. Only the standard library is imported: it starts fast.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import selectors
import signal
import sys
import time
from typing import Any, Final

LOCK: Final = "lock"
END: Final = "end.json"
OUTPUT: Final = "output"

OUTPUT_BYTES_KEPT: Final = 8_000
CHUNK_BYTES: Final = 64 * 1024
DRAIN_S: Final = 0.5  # for output still in the pipe when the command has ended
TERMINATE_S: Final = 2.0  # between asking (SIGTERM) and killing (SIGKILL)
LEFTOVERS_S: Final = 0.2  # the same, for what a command left behind it
CANNOT_START: Final = 126  # as shells say it


class Folder:
    """The call's folder, held open: it may be renamed by whoever looks after a crash."""

    def __init__(self, path: str) -> None:
        """Open it. Raises `FileNotFoundError` when it was taken away."""
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._path = path

    def lock(self) -> bool:
        """Take the lock for the life of this process and leave its number; False when the folder
        was taken away: then nobody waits for the command any more and it must not run.
        """
        fd = os.open(LOCK, os.O_RDWR, dir_fd=self._fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            there = os.stat(os.path.join(self._path, LOCK))  # noqa: PTH116, PTH118 - starts fast
        except FileNotFoundError:
            return False
        if there.st_ino != os.fstat(fd).st_ino:
            return False
        os.write(fd, b"%d\n" % os.getpid())
        return True

    def write_end(self, status: int | None, output: bytes, *, asked: bool) -> None:
        """Leave how the command ended, and whether it was asked to. On a full disk there is no
        trace, and no other harm.
        """
        try:
            self._write(OUTPUT, output)
            self._write(END + ".new", json.dumps({"exit": status, "asked": asked}).encode())
            os.replace(END + ".new", END, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError:
            return

    def _write(self, name: str, data: bytes) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=self._fd)
        with os.fdopen(fd, "wb") as file:
            file.write(data)


class Keeper:
    """One command on its way: its output goes to the server and, the end of it, to the folder."""

    def __init__(self, folder: Folder, command: bytes, limit_s: float, server: int) -> None:
        """Start the command for the process `server`. Raises `OSError` when it cannot start."""
        self._folder = folder
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._unsent = b""
        self._tail = b""
        self._status: int | None = None
        self._drained = False
        self._closes_at = float("inf")
        self._ends_at = time.monotonic() + limit_s
        self._kills_at = float("inf")
        self._output, theirs = os.pipe()
        self._woken, waking = os.pipe()
        for fd in (1, waking, self._woken):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        self._pid = os.posix_spawn(
            "/bin/sh",
            [b"/bin/sh", b"-c", command],
            os.environb,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs, 1),
                (os.POSIX_SPAWN_DUP2, theirs, 2),
            ],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
        os.close(theirs)

    def keep(self) -> int:
        """Stay until the command has ended; return its exit status, negative for a signal."""
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._output, selectors.EVENT_READ)
        while self._status is None or not self._drained:
            self._step()
        self._write_end()
        while self._unsent:
            self._step()
        if os.getppid() != self._server:
            _end_group()  # Nobody else is there to do it.
        return self._status

    def _write_end(self) -> None:
        asked = self._kills_at != float("inf")
        self._folder.write_end(self._status, self._tail, asked=asked)

    def _step(self) -> None:
        due = min(self._closes_at, self._ends_at, self._kills_at)
        timeout = None if due == float("inf") else max(0.0, due - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.fd == self._woken:
                os.read(self._woken, CHUNK_BYTES)
            elif key.fd == self._output:
                self._take()
            else:
                self._send()
        self._reap()
        self._mind_the_time(time.monotonic())

    def _take(self) -> None:
        chunk = os.read(self._output, CHUNK_BYTES)
        if not chunk:
            self._close_output()
            return
        self._tail = (self._tail + chunk)[-OUTPUT_BYTES_KEPT:]
        self._unsent = chunk
        self._selector.unregister(self._output)  # No more than the server takes.
        self._selector.register(1, selectors.EVENT_WRITE)

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[os.write(1, self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""  # The server is gone. What comes now is for the folder only.
        if not self._unsent:
            self._selector.unregister(1)
            if not self._drained:
                self._selector.register(self._output, selectors.EVENT_READ)

    def _reap(self) -> None:
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
                self._closes_at = time.monotonic() + DRAIN_S

    def _mind_the_time(self, now: float) -> None:
        if now >= self._closes_at:
            self._close_output()
        if now >= self._ends_at:
            self._ends_at = float("inf")
            os.killpg(0, signal.SIGTERM)
        if now >= self._kills_at:
            self._write_end()
            os.killpg(0, signal.SIGKILL)

    def _close_output(self) -> None:
        self._drained = True
        self._closes_at = float("inf")
        if self._output in self._selector.get_map():
            self._selector.unregister(self._output)

    def _asked_to_end(self, *_: object) -> None:
        """The whole group was asked; give it the time it always has."""
        self._kills_at = min(self._kills_at, time.monotonic() + TERMINATE_S)


def _end_group() -> None:
    """End what the command left behind, and this process with it."""
    os.killpg(0, signal.SIGTERM)
    time.sleep(LEFTOVERS_S)
    os.killpg(0, signal.SIGKILL)


def _end_like(status: int) -> None:
    """End as the command has ended."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def main() -> None:
    """Run what standard input asks for."""
    try:
        request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    except ValueError:
        return  # The server died before it had said all of it.
    try:
        folder = Folder(request["folder"])
        if not folder.lock():
            return
    except FileNotFoundError:
        return
    try:
        command = request["command"].encode()
        keeper = Keeper(folder, command, request["limit_s"], request["server"])
    except OSError as error:
        folder.write_end(CANNOT_START, b"", asked=False)
        sys.stdout.write(f"The command cannot be started: {error.strerror}.\n")
        sys.stdout.flush()
        os._exit(CANNOT_START)
    _end_like(keeper.keep())


if __name__ == "__main__":
    main()
