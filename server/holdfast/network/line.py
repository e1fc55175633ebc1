"""The quality of the line: how long a connection takes, and how many are lost.

Law: a probe opens a connection and hangs up; nothing is sent on it, so it costs nobody anything.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from typing import Final

from holdfast.network.path import Attempt, attempt
from holdfast.network.reports import Check, State
from holdfast.network.subjects import Address

LINE: Final = "line"
LOSSY: Final = "packetsLost"
PROBES: Final = 10

# A lost first packet is sent again after a second (RFC 6298): a probe that took this much longer
# than the others has lost one.
_RESENT_MS: Final = 900.0
_BAD: Final = 3
_SLOW_MS: Final = 1_000.0


async def line(address: Address, port: int, limit_s: float) -> Check:
    """Probe an address ten times, spread over a twentieth of the limit."""

    async def probe(number: int) -> Attempt:
        await asyncio.sleep(number * limit_s / (20 * PROBES))
        return await attempt(address, port, limit_s * 0.15)

    return judged(await asyncio.gather(*map(probe, range(PROBES))))


def judged(tries: Sequence[Attempt]) -> Check:
    """Judge the probes. Pure."""
    times = [each.ms for each in tries if each.outcome == "connected"]
    if not times:
        return Check(name=LINE, state=State.BAD, says="No probe arrived.", cause=LOSSY)
    usual = statistics.median(times)
    resent = sum(took > min(times) + _RESENT_MS for took in times)
    lost = len(tries) - len(times) + resent
    facts = {
        "probes": len(tries),
        "lost": lost,
        "medianMs": round(usual, 1),
        "worstMs": round(max(times), 1),
    }
    says = f"A connection takes {usual:.0f} ms; of {len(tries)} probes {lost or 'none'} got lost."
    state, cause = State.GOOD, ""
    if lost:
        state, cause = (State.BAD if lost >= _BAD else State.WARNING), LOSSY
    elif usual > _SLOW_MS:
        state = State.WARNING
    return Check(name=LINE, state=state, says=says, cause=cause, facts=facts)
