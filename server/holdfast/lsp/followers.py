"""What a connection hears of sessions: one task per session, pulling at the reader's pace.

Law: a connection that opened a session gets every event after the answered number exactly once, in
order, without a gap, however slow it reads: the next batch is only made when the editor has taken
the one before (S15). A connection that created a session or sent to it hears of its questions and
progress only. The end of a connection ends its followers and nothing else (P9).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol

from holdfast.agent.api import Batch, SessionView
from holdfast.agent.errors import AgentError
from holdfast.journal.store import StoreError
from holdfast.lsp.framing import frame

if TYPE_CHECKING:
    from holdfast.lsp.outbox import Outbox
    from holdfast.lsp.port import Supervisor
    from holdfast.lsp.streams import Stream

logger = logging.getLogger(__name__)

REOPEN_AFTER_S: Final = 1.0


class Audience(Protocol):
    """Who is shown what a follower sees. Told in order; may be told the same state twice."""

    def session_seen(self, view: SessionView) -> None:
        """Following of a session begins at this view."""
        ...

    def batch_seen(self, session_id: str, batch: Batch) -> None:
        """Something happened."""
        ...

    def session_ended(self, session_id: str) -> None:
        """The session is not followed any more."""
        ...


async def batches(
    supervisor: Supervisor, session_id: str, since_seq: int
) -> AsyncGenerator[Batch, None]:
    """Yield what the supervisor has after `since_seq`; closing this closes its generator."""
    found = supervisor.follow(session_id, since_seq)
    try:
        async for batch in found:
            yield batch
    finally:
        if isinstance(found, AsyncGenerator):
            await found.aclose()


class Followers:
    """All followers of one connection."""

    def __init__(
        self,
        outbox: Callable[[], Outbox],
        supervisor: Callable[[], Awaitable[Supervisor]],
        audience: tuple[Audience, ...],
        reopen_after_s: float = REOPEN_AFTER_S,
    ) -> None:
        self._outbox = outbox
        self._supervisor = supervisor
        self._audience = audience
        self._reopen_after_s = reopen_after_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        # The newest event that the audience was told of, by session.
        self._told: dict[str, int] = {}
        self._closed = False

    async def watch(self, session_id: str) -> None:
        """Hear of a session's questions and progress from now on, if not so already.

        Raises what `Supervisor.view` raises.
        """
        if session_id in self._tasks or self._closed:
            return
        starting = self._starting.get(session_id)
        if starting is None:
            starting = asyncio.create_task(self._start(session_id), name=f"watch {session_id}")
            self._starting[session_id] = starting
            starting.add_done_callback(lambda done: self._started(session_id, done))
        await asyncio.shield(starting)

    def open(self, view: SessionView, since_seq: int, stream: Stream) -> None:
        """Send what `stream` makes of all events after `since_seq` from now on, in place of what
        was sent so far.
        """
        if not self._closed:
            self._follow(view, since_seq, stream)

    async def end(self, session_id: str) -> None:
        """Stop following a session."""
        task = self._tasks.pop(session_id, None)
        if task is not None:
            await _cancelled(task)
            self._tell_end(session_id)

    async def close(self) -> None:
        """Stop following all sessions."""
        self._closed = True
        sessions, tasks = list(self._tasks), [*self._tasks.values(), *self._starting.values()]
        self._tasks.clear()
        for task in tasks:
            await _cancelled(task)
        for session_id in sessions:
            self._tell_end(session_id)

    def _started(self, session_id: str, done: asyncio.Task[None]) -> None:
        self._starting.pop(session_id, None)
        if not done.cancelled():
            done.exception()  # told to those who still wait for it

    async def _start(self, session_id: str) -> None:
        supervisor = await self._supervisor()
        view = await supervisor.view(session_id)
        if session_id not in self._tasks and not self._closed:
            self._follow(view, view.seq, None)

    def _follow(self, view: SessionView, since_seq: int, stream: Stream | None) -> None:
        session_id = view.session_id
        previous = self._tasks.pop(session_id, None)
        if previous is not None:
            previous.cancel()
        self._told.setdefault(session_id, view.seq)
        for listener in self._audience:
            listener.session_seen(view)
        task = asyncio.create_task(
            self._run(session_id, since_seq, stream), name=f"follow {session_id}"
        )
        self._tasks[session_id] = task
        task.add_done_callback(lambda done: self._done(session_id, done))

    async def _run(self, session_id: str, since_seq: int, stream: Stream | None) -> None:
        """Follow until the connection ends or the session is gone.

        The editor is sent what comes after `since_seq`, the audience what it was not told yet.
        """
        seq = min(since_seq, self._told[session_id])
        while True:
            supervisor = await self._supervisor()
            async with aclosing(batches(supervisor, session_id, seq)) as found:
                async for batch in found:
                    if stream is not None:
                        frames = map(frame, await stream.bodies(batch))
                        self._outbox().write(b"".join(frames))
                    seq = batch.events[-1].seq if batch.events else seq
                    self._tell(session_id, _after(batch, self._told[session_id]))
                    await self._outbox().drain()
            # The session was closed here (another server took it over): follow it from outside.
            await asyncio.sleep(self._reopen_after_s)

    def _tell(self, session_id: str, batch: Batch) -> None:
        if batch.events:
            self._told[session_id] = batch.events[-1].seq
        for listener in self._audience:
            listener.batch_seen(session_id, batch)

    def _tell_end(self, session_id: str) -> None:
        self._told.pop(session_id, None)
        for listener in self._audience:
            listener.session_ended(session_id)

    def _done(self, session_id: str, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._tasks.get(session_id) is not task:
            return
        del self._tasks[session_id]
        error = task.exception()
        if isinstance(error, StoreError | AgentError):
            logger.info("session %s is not followed any more: %s", session_id, error)
        elif error is not None:
            logger.error("following session %s failed", session_id, exc_info=error)
        self._tell_end(session_id)


def _after(batch: Batch, seq: int) -> Batch:
    """Return the part of a batch that comes after `seq`."""
    if not batch.events or batch.events[0].seq > seq:
        return batch
    return Batch(tuple(record for record in batch.events if record.seq > seq), batch.status)


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is over. Its errors have been told already."""
    task.cancel()
    await asyncio.wait([task])
