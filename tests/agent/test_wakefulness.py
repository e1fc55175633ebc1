"""Noticing that the machine has slept (C09, P7): whatever else goes wrong."""

from __future__ import annotations

import asyncio
import logging

import pytest

from holdfast.agent import wakefulness
from holdfast.agent.clock import SystemWorld


class Jumpy(SystemWorld):
    """A world whose every wait takes as long by the wall clock as its list says, then for ever."""

    def __init__(self, *took_ms: int) -> None:
        self._took_ms = list(took_ms)
        self._now_ms = 1_000

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        if not self._took_ms:
            await asyncio.Event().wait()
        self._now_ms += self._took_ms.pop(0)
        await asyncio.sleep(0)


ON_TIME = int(wakefulness.LOOK_S * 1000)
SLEPT = ON_TIME + wakefulness.GAP_MS + 1


async def seen(world: Jumpy, *raising: type[BaseException]) -> int:
    """Return how often the watch woke somebody; the first of them raise."""
    woken = 0
    due = list(raising)
    over = asyncio.Event()

    async def woke() -> None:
        nonlocal woken
        woken += 1
        if due:
            raise due.pop(0)("the pool is broken")
        over.set()

    watching = asyncio.create_task(wakefulness.watch(world, woke))
    waiting = asyncio.create_task(over.wait())
    await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    assert not watching.done(), "the watch has ended"
    for task in (watching, waiting):
        task.cancel()
    await asyncio.wait({watching, waiting})
    return woken


async def test_C09_a_wait_that_took_much_longer_by_the_wall_clock_is_a_sleep() -> None:
    assert await seen(Jumpy(ON_TIME, ON_TIME + wakefulness.GAP_MS, SLEPT)) == 1


async def test_P7_the_watch_goes_on_when_what_it_calls_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        assert await seen(Jumpy(SLEPT, ON_TIME, SLEPT, SLEPT), RuntimeError, OSError) == 3
    assert len(caplog.records) == 2, "and each failure is in the log"


async def test_a_clock_that_is_set_back_wakes_nobody() -> None:
    world = Jumpy(-3_600_000, ON_TIME, SLEPT)
    assert await seen(world) == 1
