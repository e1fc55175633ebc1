"""Time and chance as a port, so that a simulation can own both."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from typing import Protocol


class World(Protocol):
    """Where time, chance and identifiers come from."""

    def now_ms(self) -> int:
        """Return wall-clock time in milliseconds."""
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def new_id(self, prefix: str) -> str:
        """Return an identifier that nobody has had before."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemWorld:
    """The real clock and the system's randomness."""

    def now_ms(self) -> int:
        """Return wall-clock time in milliseconds."""
        return time.time_ns() // 1_000_000

    def jitter(self) -> float:
        """Return a number in [0, 1); spreads retries, guards nothing."""
        return random.random()  # noqa: S311 (not for secrets)

    def new_id(self, prefix: str) -> str:
        """Return a random identifier of 64 bits."""
        return f"{prefix}_{secrets.token_hex(8)}"

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)
