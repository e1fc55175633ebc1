"""The processes that read transcripts, as the server sees them.

Law: every `ask` ends: with the answer, with an error, or by cancellation, which the process is told
of. Every wait for a process is bounded; one that says nothing for too long is killed, one that dies
is replaced, and what it had been asked is asked again, except for the request under which two have
died. Nothing here reads a transcript or decodes an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

import holdfast
from holdfast.lsp.transcripts import messages as m
from holdfast.tools.processes import environment_without_secrets

logger = logging.getLogger(__name__)

LARGE_BYTES: Final = 8 * 1024 * 1024
"""From here on a document has the second process: whoever looks at a small one does not wait."""
PATIENCE_S: Final = 30.0
PATIENCE_S_PER_BYTE: Final = 0.3e-6
"""How long a process may say nothing: half a minute, and five for a file of 1 GB."""
IDLE_S: Final = 300.0
"""How long a process without work is kept, with its views."""
END_S: Final = 2.0
DEATHS_MAX: Final = 2

# -I and -S keep folders of the workspace and the person's own out of the path; lsprotocol, which
# costs half of a start, is kept from being loaded.
_BOOT: Final = (
    "import sys; sys.modules['lsprotocol.types'] = None; sys.path.extend(sys.argv[1:]); "
    "from holdfast.lsp.transcripts.worker import main; main()"
)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(m.Answer).decode


def command() -> list[str]:
    """Return how a worker is started: by this Python, with what this process was installed with."""
    places = dict.fromkeys(
        str(Path(str(module.__file__)).parent.parent) for module in (holdfast, msgspec, attrs)
    )
    return [sys.executable, "-I", "-S", "-W", "ignore", "-c", _BOOT, *places]


@attrs.frozen
class WorkerRefused(Exception):
    """The worker gave no result; the fields are those of `errors.failed`."""

    kind: str
    message: str
    action: str


def _nothing(_: Any) -> None:
    """Is told and does nothing."""


@attrs.define(eq=False)
class Asked:
    """A request that was sent and has no answer yet."""

    line: bytes
    patience_s: float
    on_progress: Callable[[m.Reached], None]
    on_partial: Callable[[msgspec.Raw], None]
    answer: asyncio.Future[msgspec.Raw]
    deaths: int = 0
    is_stopped: bool = False


class Lane:
    """One process at a time, and what it is asked, in order."""

    def __init__(self, command: Sequence[str], *, patience_s: float, idle_s: float) -> None:
        self._command = command
        self._patience_s = patience_s
        self._idle_s = idle_s
        self._asked: dict[int, Asked] = {}
        self._numbers = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._serving: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self._woken = asyncio.Event()

    @property
    def process_id(self) -> int | None:
        """The process that is running now."""
        return None if self._process is None else self._process.pid

    async def ask(
        self,
        request: m.Request,
        *,
        size: int = 0,
        on_progress: Callable[[m.Reached], None] = _nothing,
        on_partial: Callable[[msgspec.Raw], None] = _nothing,
    ) -> msgspec.Raw:
        """Ask, and return the encoded result. `size`: bytes that may have to be read for it.

        Raises `WorkerRefused`.
        """
        number = next(self._numbers)
        request.id = number
        patience_s = self._patience_s + size * PATIENCE_S_PER_BYTE
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        asked = Asked(_line(request), patience_s, on_progress, on_partial, answer)
        if not self._asked:
            self._heard_at = _now()
        self._asked[number] = asked
        self._send(asked.line)
        try:
            return await answer
        finally:
            self._asked.pop(number, None)
            self._woken.set()
            if not answer.done() or answer.cancelled():
                self._withdraw(number)

    def stop(self, request: m.Request) -> None:
        """Let a request that is being asked end early: with `Cancelled`, or as it ends anyhow.

        Unlike a cancelled `ask`, this says what became of it.
        """
        asked = self._asked.get(request.id)
        if asked is None or asked.answer.done():
            return
        if self._process is None:
            asked.answer.set_exception(_stopped())
        else:
            asked.is_stopped = True
            self._withdraw(request.id)

    async def close(self) -> None:
        """End the process, bounded in time. What was asked is cancelled."""
        for asked in self._asked.values():
            asked.answer.cancel()
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving], timeout=END_S)

    def _withdraw(self, number: int) -> None:
        """Tell the process that nobody waits for an answer any more."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(_line(m.Request(cancel=number)))

    def _send(self, line: bytes) -> None:
        """Give the process a line, if there is one; else a request starts one."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.write(line)
            self._woken.set()
        elif self._asked and (self._serving is None or self._serving.done()):
            self._serving = asyncio.create_task(self._serve(), name="transcripts worker")
            self._serving.add_done_callback(self._served)

    # -- the life of processes -------------------------------------------------------------------

    async def _serve(self) -> None:
        """Run processes, one after the other, until there is nothing to do."""
        while self._asked:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env=environment_without_secrets(os.environ),
                    start_new_session=True,
                )
            except OSError as error:
                logger.error("no process for transcripts: %s", error)  # noqa: TRY400
                self._give_up(_unavailable())
                return
            try:
                await self._serve_with(process)
            finally:
                self._process = None
                await _ended(process)
            self._died()

    def _served(self, serving: asyncio.Task[None]) -> None:
        """Leave nobody waiting, also after a fault of our own."""
        error = None if serving.cancelled() else serving.exception()
        if error is not None:
            logger.error("the processes for transcripts are given up", exc_info=error)
            self._give_up(_unavailable())

    async def _serve_with(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        self._heard_at = _now()
        self._process = process
        process.stdin.writelines([asked.line for asked in self._asked.values()])
        watching = asyncio.create_task(self._watch(process))
        try:
            await self._read(process)
        finally:
            watching.cancel()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Take answers until the process ends."""
        assert process.stdout is not None
        pieces: list[bytes] = []
        while chunk := await process.stdout.read(1 << 18):
            self._heard_at = _now()
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                self._take(b"".join([*pieces, line]))
                pieces = []
            pieces.append(rest)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill a process that says nothing while it should, or that has had nothing to do."""
        while True:
            oldest = next(iter(self._asked.values()), None)
            limit_s = self._idle_s if oldest is None else oldest.patience_s
            left_s = self._heard_at + limit_s - _now()
            if left_s <= 0:
                break
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()
        if self._asked:
            logger.warning("the process for transcripts says nothing for %.0f s: killed", limit_s)
        _kill(process)

    def _take(self, line: bytes) -> None:
        try:
            said = _decode(line)
        except msgspec.DecodeError:
            logger.warning("the process for transcripts wrote %d bytes that are none", len(line))
            return
        asked = self._asked.get(said.id)
        if asked is None or asked.answer.done():
            return
        if said.error is not None:
            asked.answer.set_exception(
                WorkerRefused(said.error.kind, said.error.message, said.error.action)
            )
        elif said.progress is not None:
            asked.on_progress(said.progress)
        elif bytes(said.partial):
            asked.on_partial(said.partial)
        else:
            asked.answer.set_result(said.result)

    def _died(self) -> None:
        """Count the death for the request under which it happened: the oldest."""
        for asked in self._asked.values():
            if asked.is_stopped and not asked.answer.done():
                asked.answer.set_exception(_stopped())
        self._asked = {n: each for n, each in self._asked.items() if not each.answer.done()}
        waiting = list(self._asked.values())
        if not waiting:
            return
        waiting[0].deaths += 1
        logger.warning("the process for transcripts ended under a request")
        if waiting[0].deaths >= DEATHS_MAX:
            waiting[0].answer.set_exception(
                WorkerRefused(
                    "WorkerDied",
                    "The process that reads transcripts ended twice under this request.",
                    "The file is as it was. `holdfast check` in a terminal may say more.",
                )
            )
            self._asked = {n: each for n, each in self._asked.items() if not each.answer.done()}

    def _give_up(self, reason: WorkerRefused) -> None:
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(reason)
        self._asked.clear()


class Workers:
    """The two lanes of a connection: one for what is large."""

    def __init__(
        self,
        program: Sequence[str] | None = None,
        *,
        patience_s: float = PATIENCE_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Start nothing: a process starts with the first request. `program` is its command line."""
        program = command() if program is None else program
        self.small = Lane(program, patience_s=patience_s, idle_s=idle_s)
        self.large = Lane(program, patience_s=patience_s, idle_s=idle_s)

    def lane(self, size: int) -> Lane:
        """Return the lane for a document of so many bytes."""
        return self.large if size > LARGE_BYTES else self.small

    async def close(self) -> None:
        """End both processes, bounded in time."""
        await asyncio.gather(self.small.close(), self.large.close())


def _line(request: m.Request) -> bytes:
    return _encode(request) + b"\n"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let go of a process, whatever it is doing. It only reads, or writes under a passing name."""
    _kill(process)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await process.wait()


def _stopped() -> WorkerRefused:
    return WorkerRefused(m.CANCELLED, "It was stopped.", "Ask again when you want it.")


def _unavailable() -> WorkerRefused:
    return WorkerRefused(
        "WorkerUnavailable",
        "The process that reads transcripts cannot be started.",
        "Close other programs, or restart the server, and try again.",
    )
