"""A thread that owns a database connection and runs jobs in the order in which they came.

Law: the event loop never waits for the disk, and each job's caller gets exactly one outcome. A
caller that is cancelled gives up its outcome, not the job: what was put in is run, so that the
jobs behind it find what they count on.

The queue has no bound of its own: each caller awaits its job, so it is as long as callers are many.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

import apsw

from holdfast.journal.store import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Job(Generic[T]):
    """One call on the connection and the caller who waits for it.

    `barrier` asks for the disk. `on_lost` is told, in the thread, when the store failed the job.
    """

    __slots__ = ("_deliver", "_run", "barrier", "future", "on_lost")

    def __init__(
        self,
        run: Callable[[apsw.Connection], T],
        future: asyncio.Future[T],
        *,
        barrier: bool = False,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._run = run
        self.future: asyncio.Future[T] = future
        self.barrier = barrier
        self.on_lost = on_lost
        self._deliver: Callable[[], None] = self._leave_unanswered

    def perform(self, connection: apsw.Connection) -> None:
        """Run the call and keep its result. Raises what the call raises."""
        result = self._run(connection)
        self._deliver = lambda: self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Let the caller have `error` instead of a result."""
        self._deliver = lambda: self.future.set_exception(error)

    def _leave_unanswered(self) -> None:
        self.future.set_exception(StoreUnavailable("The store stopped before this."))

    def settle(self) -> None:
        """Hand the outcome to the caller, if it still waits. Runs on the event loop."""
        if not self.future.done():
            self._deliver()


AnyJob: TypeAlias = Job[Any]  # results of different types wait in one queue


class JobThread:
    """The thread and its queue.

    `play` runs a group of at most `group_max` jobs and sets the outcome of each. `tidy` is called
    after their callers were woken, for work that nobody waits for; it does not raise.
    """

    def __init__(
        self,
        name: str,
        play: Callable[[Sequence[AnyJob]], None],
        *,
        group_max: int,
        tidy: Callable[[], None] | None = None,
    ) -> None:
        self._play = play
        self._tidy = tidy
        self._group_max = group_max
        self._queue: SimpleQueue[AnyJob | None] = SimpleQueue()
        self._waiting: set[AnyJob] = set()  # touched on the event loop only
        self._closed = False
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # A daemon: a process that ends without `close` is like one that is killed, never stuck.
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(
        self,
        run: Callable[[apsw.Connection], T],
        *,
        barrier: bool = False,
        on_lost: Callable[[], None] | None = None,
    ) -> asyncio.Future[T]:
        """Queue a call and return its result to come. Raises `StoreUnavailable` when closed."""
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        future: asyncio.Future[T] = self._loop.create_future()
        job = Job(run, future, barrier=barrier, on_lost=on_lost)
        self._waiting.add(job)
        self._queue.put(job)
        return future

    async def stop(self, timeout_s: float) -> bool:
        """Refuse new jobs, wait until the queued ones are done, and say whether they are.

        After `timeout_s` the callers who still wait are told; their jobs may yet take effect.
        """
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError:
            self._abandon(timeout_s)
            return False
        return True

    def _abandon(self, timeout_s: float) -> None:
        logger.warning("journal thread did not end", extra={"waiting": len(self._waiting)})
        for job in self._waiting:
            if not job.future.done():
                job.future.set_exception(
                    StoreUnavailable(f"The disk did not answer within {timeout_s:g} s.")
                )
        self._waiting.clear()

    def _serve(self) -> None:
        """Run the thread: take what waits, play it, wake all its callers at once."""
        try:
            while group := self._take():
                try:
                    self._play(group)
                except Exception as error:
                    # A fault of ours must not end the thread: all later callers would hang.
                    logger.exception("journal group failed")
                    for job in group:
                        job.fail(error)
                self._call_loop(self._settle, group)
                if self._tidy is not None:
                    self._tidy()
        finally:
            self._call_loop(self._ended.set)

    def _take(self) -> list[AnyJob]:
        """Wait for a job, then take what came with it. Empty when the thread is to end."""
        group: list[AnyJob] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == self._group_max:
                return group
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group
        if group:
            self._queue.put(None)  # nothing can be behind the end: leave it for the next turn
        return group

    def _settle(self, group: Sequence[AnyJob]) -> None:
        for job in group:
            job.settle()
        self._waiting.difference_update(group)

    def _call_loop(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The event loop is closed, and with it everyone who could have waited.
            logger.info("journal outcome without a listener")
