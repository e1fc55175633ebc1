"""Servers that do not run for five minutes, in every moment of a turn: `make suspended`.

Law: the time is real and the settings are those that people have who have set nothing; and each
moment once more as a night of eight hours, for which only the wall clock moves. All are played side
by side; what was measured replaces the rows of `measured.json` that it is about.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from e2e import measured
from e2e.measured import Stopped
from e2e.nursery import Nursery
from e2e.suspended import MOMENTS, Woken, suspend
from e2e.weather import DEFAULTS

STOPPED_S: Final = 300.0
ASLEEP_S: Final = 8 * 3_600.0
BREATH_S: Final = 1.5
"""How long a server really does not run for which a night passes."""


def _row(woken: Woken, stopped_s: float) -> Stopped:
    return Stopped(
        made=time.strftime("%Y-%m-%d", time.gmtime()),
        stopped_s=stopped_s,
        goes_on_s=round(woken.goes_on_s, 2),
        ended_s=round(woken.ended_s, 2),
        requests=woken.requests,
        commands=sum(woken.marks.values()),
    )


async def main(moments: list[str], stopped_s: float) -> int:
    """Play the moments, keep what was measured, and say what became of each."""
    root = Path(tempfile.mkdtemp(prefix="holdfast-suspended-"))
    nursery = await Nursery.open()
    failed = 0

    async def row(name: str, *, asleep: bool) -> None:
        nonlocal failed
        folder = root / f"{name} {asleep}".replace(" ", "-").replace(",", "")
        real_s, sleep_s = (BREATH_S, ASLEEP_S) if asleep else (stopped_s, 0.0)
        try:
            woken = await suspend(
                MOMENTS[name], real_s, nursery, folder, DEFAULTS.options, asleep_s=sleep_s
            )
        except Exception as error:  # noqa: BLE001 (one moment must not end the others)
            failed += 1
            sys.stdout.write(f"{name}: {error!r}\n")
        else:
            measured.keep_stopped(name, _row(woken, sleep_s or real_s), asleep=asleep)
            sys.stdout.write(f"{name}: {woken}\n")
        sys.stdout.flush()

    plays = [(name, asleep) for name in moments for asleep in (False, True)]
    plays = [(name, asleep) for name, asleep in plays if not (asleep and MOMENTS[name].others)]
    await asyncio.gather(*(row(name, asleep=asleep) for name, asleep in plays))
    await nursery.close()
    sys.stdout.write(f"suspended: {len(plays) - failed} rows measured, {failed} not\n")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="stop servers and have them go on")
    parser.add_argument("only", nargs="*", help="moments; all without")
    parser.add_argument("--seconds", type=float, default=STOPPED_S)
    asked = parser.parse_args()
    sys.exit(asyncio.run(main(asked.only or list(MOMENTS), asked.seconds)))
