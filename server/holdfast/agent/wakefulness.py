"""Noticing that the machine has slept, or that this process was stopped for a while (C09).

Law: a short wait that took much longer by the wall clock is the sign, whatever the reason: sleep,
SIGSTOP, a debugger, a clock that was set. What follows is harmless when nothing of that was so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from holdfast.agent.clock import World

LOOK_S: Final = 2.0
"""How often the clock is looked at."""

GAP_MS: Final = 10_000
"""A busy machine may come this much too late, by the wall clock, without having slept."""

_log: Final = logging.getLogger(__name__)


async def watch(world: World, woke: Callable[[], Awaitable[None]]) -> None:
    """Call `woke` each time the machine has slept; runs until it is cancelled."""
    while True:
        before_ms = world.now_ms()
        await world.sleep(LOOK_S)
        gap_ms = world.now_ms() - before_ms - int(LOOK_S * 1000)
        if gap_ms > GAP_MS:
            _log.info("this process did not run for %d s", gap_ms // 1000)
            await woke()
