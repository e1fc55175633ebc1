"""How far a compaction is, for those who wait for it (P7).

Law: the percentage never goes back, over all rungs; somebody hears of it at least every second,
also while nothing arrives. Each rung has a part of what is left when it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from holdfast.agent.api import CompactionProgress
from holdfast.agent.clock import World
from holdfast.session.events import Rung

BEAT_S: Final = 1.0

_BANDS: Final = {Rung.ON_DEMAND: 0.6, Rung.SUMMARY: 0.75, Rung.CHUNKS: 0.9}
"""How much of what is left a rung may use, so that the next one has something to show."""
_ALMOST: Final = 97


class Progress:
    """Reports how far the compaction is."""

    def __init__(
        self,
        compaction_id: str,
        world: World,
        show: Callable[[CompactionProgress], None],
        last: CompactionProgress | None = None,
    ) -> None:
        """Go on from `last`, when that is of the same compaction."""
        if last is None or last.compaction_id != compaction_id:
            last = CompactionProgress(compaction_id, "", 0, 0)
        self._world = world
        self._show = show
        self._began_ms = world.now_ms() - last.elapsed_ms
        self._low, self._high = 0.0, 0.0
        self._last = last

    @property
    def elapsed_ms(self) -> int:
        """How long the compaction has taken so far."""
        return max(0, self._world.now_ms() - self._began_ms)  # A clock may be set back.

    def enter(self, rung: Rung) -> None:
        """Begin a rung."""
        self._low = self._last.percentage
        self._high = self._low + (_ALMOST - self._low) * _BANDS.get(rung, 1.0)
        self._last = attrs.evolve(
            self._last, rung=rung.value, attempt=1, received_tokens=0, chunk=None, chunks=None
        )

    def report(
        self,
        step: str,
        share: float,
        *,
        attempt: int | None = None,
        retry_at_ms: int | None = None,
        cause: str | None = None,
        received_tokens: int | None = None,
        chunk: int | None = None,
        chunks: int | None = None,
    ) -> None:
        """Show a step; `share` is how much of the rung is done, from 0 to 1."""
        last = self._last
        reached = self._low + (self._high - self._low) * min(max(share, 0.0), 1.0)
        self._last = CompactionProgress(
            compaction_id=last.compaction_id,
            step=step,
            percentage=max(last.percentage, int(reached)),
            elapsed_ms=self.elapsed_ms,
            attempt=last.attempt if attempt is None else attempt,
            retry_at_ms=retry_at_ms,
            cause=cause,
            received_tokens=last.received_tokens if received_tokens is None else received_tokens,
            rung=last.rung,
            chunk=last.chunk if chunk is None else chunk,
            chunks=last.chunks if chunks is None else chunks,
        )
        self._show(self._last)

    async def beat(self) -> None:
        """Show again, for ever, how much time has passed. Ends by being cancelled."""
        while True:
            await self._world.sleep(BEAT_S)
            self._last = attrs.evolve(self._last, elapsed_ms=self.elapsed_ms)
            self._show(self._last)
