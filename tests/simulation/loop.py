"""An event loop with a virtual clock whose callbacks belong to processes that can die or freeze.

Law: nothing here reads a real clock, waits, or starts a thread; with one seed everything happens in
one order. A callback belongs to the process in whose context it was asked for. When the process is
dead the callback is dropped - no `finally`, no goodbye, as after kill -9; while it is frozen the
callback is held back, as after SIGSTOP.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Process:
    """A group of callbacks and tasks that live and die together."""

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.held: list[Entry] = []
        self._loop = loop
        self._context = contextvars.copy_context()
        self._context.run(PROCESS.set, self)

    def run(self, work: Callable[..., T], *args: Any) -> T:
        """Call something as if this process did it."""
        return self._context.copy().run(work, *args)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of this process."""
        return self.run(self._loop.create_task, coroutine)

    def thaw(self) -> None:
        """Let a frozen process go on: what was held back happens now, in order."""
        self.frozen = False
        held, self.held = self.held, []
        self._loop.ready.extend(held)


class Entry:
    """A callback that is due now or at a time."""

    __slots__ = ("_args", "_callback", "_context", "_when", "gone", "process")

    def __init__(
        self,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        when: float,
    ) -> None:
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._when = when
        self.process = self._context.get(PROCESS)
        self.gone = False

    def cancel(self) -> None:
        self.gone = True

    def cancelled(self) -> bool:
        return self.gone

    def when(self) -> float:
        return self._when

    def run(self) -> None:
        self._context.run(self._callback, *self._args)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks one at a time; jumps over every wait."""

    def __init__(self, chance: Random) -> None:
        self.ready: deque[Entry] = deque()
        self.complaints: list[str] = []
        self.jumps = 0
        self._chance = chance
        self._timers: list[tuple[float, int, Entry]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        self._tasks: list[asyncio.Task[Any]] = []
        self._prune_at = 1_000

    # -- what asyncio asks for -------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        entry = Entry(callback, args, context, self._now)
        self.ready.append(entry)
        return entry

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        return self.call_at(self._now + max(0.0, delay), callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        entry = Entry(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._numbers), entry))
        return entry

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: Any = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        """Start a task; without a name it has that of the one that starts it."""
        parent = asyncio.current_task(self)
        if name is None and parent is not None:
            name = parent.get_name()
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > self._prune_at:
            self._tasks = [kept for kept in self._tasks if not kept.done()]
            self._prune_at = 1_000 + 2 * len(self._tasks)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Run a "thread" later in one go: threads of one process share nothing but its death."""
        future = self.create_future()
        delay = self._chance.choice((0.0, 0.0, 0.0005, 0.02))
        self.call_later(delay, _settle, future, func, args)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.complaints.append(f"{context.get('message')}: {error!r}")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    # -- for the simulation ----------------------------------------------------------------------

    def next_entry(self) -> Entry | None:
        """Return what happens next, moving the clock when nothing is due; None when nothing is."""
        while True:
            if self.ready:
                entry = self.ready.popleft()
            else:
                if not self._timers:
                    return None
                when, _, entry = heapq.heappop(self._timers)
                if not entry.gone and when > self._now:
                    self._now = when
                    self.jumps += 1
            if entry.gone:
                continue
            process = entry.process
            if process is not None:
                if process.dead:
                    continue
                if process.frozen:
                    process.held.append(entry)
                    continue
            return entry

    def bury(self) -> None:
        """Close what is left of all tasks, so that nothing is finalised at a random moment."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine = task.get_coro()
                if coroutine is not None and getattr(coroutine, "cr_frame", None) is not None:
                    with contextlib.suppress(RuntimeError):  # It waits even in its last moment.
                        coroutine.close()
        self._tasks.clear()
        self._timers.clear()
        self.ready.clear()


def _settle(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = func(*args)
    except Exception as error:  # noqa: BLE001 (handed to whoever waits)
        if not future.done():
            future.set_exception(error)
    else:
        if not future.done():
            future.set_result(result)
