"""What a person's "retry now", and a machine that has slept, change about a compaction under way.

Law: a wait ends at its time or when it is hurried, whichever is first. A request that is doubted
ends when nothing is heard of it within `DOUBT_S`, whatever other limits it has: connections seldom
outlive a sleep, and a dead one looks like a silent one (C09).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.agent.clock import World

DOUBT_S: Final = 20.0


class Hurry:
    """Waits that can be ended, and requests that can be doubted, from outside."""

    def __init__(self) -> None:
        self._now = asyncio.Event()
        self._requests: set[asyncio.Timeout] = set()

    def up(self) -> None:
        """End all waits under way; what is waited for after that is waited for anew."""
        self._now.set()
        self._now = asyncio.Event()

    def doubt(self) -> None:
        """Doubt all requests under way until something is heard of them."""
        at = asyncio.get_running_loop().time() + DOUBT_S
        for limit in self._requests:
            if not limit.expired():
                limit.reschedule(at)

    @contextmanager
    def doubting(self, limit: asyncio.Timeout) -> Iterator[Callable[[], None]]:
        """Doubt a request, whose `limit` has been entered, when asked to. Yields what is to be
        called for all that is heard of it.
        """
        self._requests.add(limit)
        try:
            yield lambda: limit.reschedule(None)
        finally:
            self._requests.discard(limit)

    async def sleep(self, world: World, seconds: float) -> None:
        """Wait, unless somebody hurries."""
        sleeping = asyncio.create_task(world.sleep(seconds))
        hurried = asyncio.create_task(self._now.wait())
        try:
            await asyncio.wait({sleeping, hurried}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            hurried.cancel()
