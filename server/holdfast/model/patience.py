"""A limit for waiting that is fair to a process which did not run (C09).

Law: what has arrived comes before the limit. A process that was stopped finds all of its limits
over when it goes on, and in the same moment all that has arrived meanwhile; so a limit that is over
lets the event loop go round a few times more, which takes no time, and in which that is read.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

ROUNDS: Final = 10
"""More than bytes need from the socket to who waits for them, through TLS and HTTP."""


class Patience:
    """`async with Patience(seconds)`: like `asyncio.timeout`, and can begin anew (`put_off`)."""

    def __init__(self, seconds: float) -> None:
        """Wait for `seconds` from the beginning of the context on."""
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.Handle | None = None

    def put_off(self) -> None:
        """Wait as long again from now on. Only within the context."""
        self._limit.reschedule(None)
        self._arm()

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._arm()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disarm()
        # Raises TimeoutError in the place of the cancellation that is the limit's own.
        await self._limit.__aexit__(kind, error, traceback)

    def _arm(self) -> None:
        self._disarm()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._over, ROUNDS)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self, rounds: int) -> None:
        loop = asyncio.get_running_loop()
        if rounds:
            self._timer = loop.call_soon(self._over, rounds - 1)
            return
        self._timer = None
        self._limit.reschedule(loop.time())
