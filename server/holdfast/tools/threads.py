"""Blocking work beside the event loop, bounded and cancellable.

Law: when `in_thread` returns or raises, its work has ended or has been told to end; a cancelled
write is waited for, so that nothing changes on disk after the cancellation was reported.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

HOUSE_IN_ORDER_S: Final = 5.0


class Stop:
    """Asked by loops in a thread: end now? True after a cancellation or when time is up."""

    def __init__(self, timeout_s: float) -> None:
        self._cancelled = threading.Event()
        self._deadline = time.monotonic() + timeout_s
        self.timed_out = False

    def __call__(self) -> bool:
        """Say whether to end now."""
        if time.monotonic() > self._deadline:
            self.timed_out = True
        return self.timed_out or self._cancelled.is_set()

    def cancel(self) -> None:
        """Tell the work to end at its next question."""
        self._cancelled.set()


async def in_thread(work: Callable[[], T], stop: Stop | None = None) -> T:
    """Run `work` in a thread and return what it returns.

    On cancellation `stop` is set and the work is waited for, `HOUSE_IN_ORDER_S` at most.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if stop is not None:
            stop.cancel()
        await asyncio.wait({running}, timeout=HOUSE_IN_ORDER_S)
        if running.done() and not running.cancelled():
            running.exception()  # taken note of: the cancellation is what the caller hears
        raise
