"""Noticing that the machine has slept, or that this process was stopped for a while (C09).

Law: a short wait that took much longer by the wall clock is the sign, whatever the reason: sleep,
SIGSTOP, a debugger, a clock that was set. What follows is harmless when nothing of that was so, and
whatever becomes of it, the watch goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from holdfast.agent.clock import World

LOOK_S: Final = 2.0
"""How often the clock is looked at."""

GAP_MS: Final = 10_000
"""A busy machine may come this much too late, by the wall clock, without having slept."""

WOKE_LIMIT_S: Final = 30.0
"""How long what follows may take before the clock is looked at again."""

_log: Final = logging.getLogger(__name__)


async def watch(world: World, woke: Callable[[], Awaitable[None]]) -> None:
    """Call `woke` each time the machine has slept; runs until it is cancelled."""
    while True:
        before_ms = world.now_ms()
        await world.sleep(LOOK_S)
        gap_ms = world.now_ms() - before_ms - int(LOOK_S * 1000)
        if gap_ms > GAP_MS:
            _log.info("this process did not run for %d s", gap_ms // 1000)
            try:
                async with asyncio.timeout(WOKE_LIMIT_S):
                    await woke()
            except Exception:  # noqa: BLE001 (the one guard of what is called)
                # One failure must not make every later sleep go unnoticed.
                _log.exception("what follows a sleep failed")
