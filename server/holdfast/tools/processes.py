"""Child processes that can neither hang the server nor outlive their call.

Law: a child runs in its own process group with no terminal, no secrets and bounded output; when
`run_process` returns or raises, for whatever reason, its whole group is gone. Every wait in here
has a limit: a grandchild that holds the pipe open costs `DRAIN_S`, not the session.

What leaves the group on purpose (a daemon that calls `setsid`) is out of reach.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from holdfast.tools.output import HeadAndTail

DRAIN_S: Final = 0.5  # for output still in the pipe when the child has ended
TERMINATE_S: Final = 2.0  # between asking (SIGTERM) and killing (SIGKILL)
REAP_S: Final = 1.0  # for the system to report a killed child

SECRET_NAMES: Final = frozenset({"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"})
PRIVATE_PREFIX: Final = "HOLDFAST_"


@attrs.frozen
class ProcessEnd:
    """How a child ended. `exit_code` is negative for a signal, None when it could not be reaped.

    `timed_out`: it was stopped at its time limit. `left_running`: it had ended, but processes it
    started were still there and have been stopped.
    """

    exit_code: int | None
    timed_out: bool
    left_running: bool
    duration_s: float


def environment_without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a child may know of our environment (P11). Windows ignores the case of names."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() not in SECRET_NAMES and not name.upper().startswith(PRIVATE_PREFIX)
    }


async def run_process(
    command: str | Sequence[str],
    *,
    folder: Path,
    timeout_s: float,
    kept: HeadAndTail,
    feed: bytes | None = None,
) -> ProcessEnd:
    """Run a shell command (a string) or a program (a sequence) to its end, at most `timeout_s`.

    Standard output and error go to `kept`, together and in order; `feed` is standard input, which
    is empty otherwise. On cancellation the group is stopped before the cancellation is passed on.
    Raises `OSError` when the program cannot be started, `ValueError` for NUL bytes in a command.
    """
    started = time.monotonic()
    transport, child = await _started(command, folder, kept, feed)
    try:
        timed_out = not await _within(child.exited, timeout_s)
        left_running = not timed_out and await _still_there(child)
    finally:
        try:
            await _ask_to_end(child)
        finally:  # also when a second cancellation cuts the polite part short
            child.abandon()
            await _within(child.exited, REAP_S)
    duration_s = time.monotonic() - started
    return ProcessEnd(transport.get_returncode(), timed_out, left_running, duration_s)


class _Child(asyncio.SubprocessProtocol):
    """Takes in what a child writes and notes when it ended and when its output did."""

    def __init__(self, kept: HeadAndTail) -> None:
        self._kept = kept
        self._transport: asyncio.SubprocessTransport | None = None
        self._abandoned = False
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - one pipe only
        self._kept.add(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - as above
        if fd == 1:
            self.drained.set()

    def process_exited(self) -> None:
        self.exited.set()
        if self._abandoned and self._transport is not None:
            self._transport.close()

    def signal(self, how: int) -> bool:
        """Send a signal to the whole group and say whether there was anyone to get it."""
        if self._transport is None:
            return False
        return _signal_group(self._transport.get_pid(), how, self.exited.is_set())

    def abandon(self) -> None:
        """Kill the group and let go of the pipes, at the latest when the child's end is reported.

        Not before, or the transport would reap the child behind the event loop's back.
        """
        self.signal(_KILL)
        self._abandoned = True
        if self.exited.is_set():
            self.process_exited()


_Starting: TypeAlias = "asyncio.Future[tuple[asyncio.SubprocessTransport, _Child]]"


async def _started(
    command: str | Sequence[str], folder: Path, kept: HeadAndTail, feed: bytes | None
) -> tuple[asyncio.SubprocessTransport, _Child]:
    """Start a child, or, when cancelled in the middle of it, leave none behind."""
    starting = asyncio.ensure_future(_start(command, folder, kept, feed))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_abandon_started)
        await asyncio.wait({starting}, timeout=REAP_S)
        if _is_started(starting):
            await _within(starting.result()[1].exited, REAP_S)
        raise


def _abandon_started(starting: _Starting) -> None:
    if _is_started(starting):
        starting.result()[1].abandon()


def _is_started(starting: _Starting) -> bool:
    return starting.done() and not starting.cancelled() and starting.exception() is None


async def _start(
    command: str | Sequence[str], folder: Path, kept: HeadAndTail, feed: bytes | None
) -> tuple[asyncio.SubprocessTransport, _Child]:
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL if feed is None else subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "cwd": folder,
        "env": environment_without_secrets(os.environ),
    }
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        options["start_new_session"] = True
    if isinstance(command, str):  # /bin/sh -c, or cmd.exe /c on Windows
        transport, child = await loop.subprocess_shell(lambda: _Child(kept), command, **options)
    else:
        transport, child = await loop.subprocess_exec(lambda: _Child(kept), *command, **options)
    if feed is not None:
        pipe = transport.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        pipe.write(feed)
        pipe.close()  # after what is buffered has been written
    return transport, child


async def _still_there(child: _Child) -> bool:
    """Say whether the ended child left processes behind, in its group or on its pipe."""
    drained = await _within(child.drained, DRAIN_S)
    return not drained or child.signal(_PROBE)


async def _ask_to_end(child: _Child) -> None:
    """Ask the group to end and give it time.

    The group is taken for gone when the child has ended and nobody holds its output any more.
    """
    if child.signal(_TERMINATE) or not child.exited.is_set():
        deadline = time.monotonic() + TERMINATE_S
        await _within(child.exited, TERMINATE_S)
        await _within(child.drained, max(0.0, deadline - time.monotonic()))


async def _within(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for `event`, `timeout_s` at most, and say whether it came."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()


if sys.platform == "win32":
    _PROBE, _TERMINATE, _KILL = 0, 1, 2

    def _signal_group(pid: int, how: int, ended: bool) -> bool:
        """Kill a process tree. Windows has no signal to ask with, and once the root of the tree
        has ended, its number may be another's.
        """
        if how == _PROBE or ended:
            return False
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - fixed program, numeric argument
                ["taskkill", "/T", "/F", "/PID", str(pid)],  # noqa: S607 - part of Windows
                capture_output=True,
                check=False,
                timeout=REAP_S,
            )
        return True

else:
    _PROBE, _TERMINATE, _KILL = 0, signal.SIGTERM, signal.SIGKILL

    def _signal_group(pid: int, how: int, ended: bool) -> bool:  # noqa: ARG001 - for Windows
        """Send a signal to a child's group.

        The child leads the group, so its number is not given away while a member lives. Once all
        are gone it could be, in theory; a call ends within seconds, long before numbers wrap.
        """
        try:
            os.killpg(pid, how)
        except (ProcessLookupError, PermissionError):  # macOS: a group of zombies only
            return False
        return True
