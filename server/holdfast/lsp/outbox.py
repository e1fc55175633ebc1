"""What goes out to the editor: bounded, and never waited for by the event loop.

Law: `write` returns at once; `drain` waits until the editor has taken most of what was written.
Whatever can wait (events, reports) is only made after a `drain`, so that only answers can pile up;
when those pile up beyond the limit the connection is given up, and memory with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

logger = logging.getLogger(__name__)

HIGH_WATER_BYTES: Final = 256 * 1024
BEHIND_BYTES_MAX: Final = 64 * 1024 * 1024


class Sink(Protocol):
    """Where bytes go. `write` queues, `pending` says how many bytes are queued."""

    def write(self, data: bytes) -> None:
        """Queue bytes; never waits."""
        ...

    def pending(self) -> int:
        """Return how many bytes have not been taken yet."""
        ...

    async def drain(self) -> None:
        """Wait until few bytes are queued, or until nobody will ever take them."""
        ...

    async def close(self, timeout_s: float) -> None:
        """Wait until all is taken, at most so long, then close."""
        ...

    def abort(self) -> None:
        """Close now; what is queued is lost."""
        ...


class Outbox:
    """The one writer of a connection."""

    def __init__(
        self,
        sink: Sink,
        on_overflow: Callable[[], None] = lambda: None,
        behind_bytes_max: int = BEHIND_BYTES_MAX,
    ) -> None:
        self._sink = sink
        self._on_overflow = on_overflow
        self._behind_bytes_max = behind_bytes_max
        self._ends: deque[int] = deque()
        self._written = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing will be sent any more."""
        return self._closed

    @property
    def busy(self) -> bool:
        """Whether the editor is behind, so that what may be left out should be left out."""
        return self._sink.pending() > HIGH_WATER_BYTES

    def write(self, data: bytes) -> None:
        """Queue whole frames. After the end of the connection they are dropped in silence."""
        if self._closed:
            return
        if self._behind() > self._behind_bytes_max:
            logger.error(
                "the editor does not read: %d bytes wait for it, so the connection is closed",
                self._sink.pending(),
            )
            self.abort()
            self._on_overflow()
            return
        self._written += len(data)
        self._ends.append(self._written)
        self._sink.write(data)

    async def drain(self) -> None:
        """Wait until there is room. Returns at once after the end of the connection."""
        if not self._closed:
            await self._sink.drain()
        # Whoever writes in a loop must leave room for others, also when there is always room.
        await asyncio.sleep(0)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Send what is queued, bounded in time, then close. Harmless when it is closed already."""
        if not self._closed:
            self._closed = True
            await self._sink.close(timeout_s)

    def abort(self) -> None:
        """Close now."""
        if not self._closed:
            self._closed = True
            self._sink.abort()

    def _behind(self) -> int:
        """Return how many bytes are queued behind the frame that is being taken.

        That frame itself does not count: one answer may be as large as it must be.
        """
        taken = self._written - self._sink.pending()
        while self._ends and self._ends[0] <= taken:
            self._ends.popleft()
        return self._written - self._ends[0] if self._ends else 0
