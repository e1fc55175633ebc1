"""Every fault on the way to the API at the limits that people have: `make weather`.

Law: it waits, it does not compute. Each fault is played three times, side by side, each to a server
of its own: until its turn is paused, until it is seen, and until it is seen and "Retry now" is
pressed. What was measured replaces the rows of `weather_measured.json` that it is about; a row that
could not be measured stays as it was, and the campaign fails.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from e2e import measured
from e2e.measured import Cleared, Row
from e2e.nursery import Nursery
from e2e.weather import DEFAULTS, Lived, Scene, live, live_shortly
from e2e.weathered import WEATHER
from holdfast.simulator import Simulator
from network.stage import Stage

STAGGER_S: Final = 0.4
"""So much later than the one before each server starts: starting is what computes."""


async def played(fault: str, scene: Scene, place: Iterator[int]) -> Row:
    """Play one fault in its three ways, and return its row."""
    heals = WEATHER[fault].heals

    async def later(play: Callable[[], Awaitable[Lived]]) -> Lived:
        await asyncio.sleep(next(place) * STAGGER_S)
        return await play()

    ways: list[Callable[[], Awaitable[Lived]]] = [lambda: live(fault, heals, scene)]
    if heals in {"itself", "asking"}:
        ways.append(lambda: live_shortly(fault, heals, scene, pressed=False))
    if heals in {"itself", "asking", "a person"}:
        ways.append(lambda: live_shortly(fault, heals, scene, pressed=True))
    whole, *others = await asyncio.gather(*(later(way) for way in ways))
    row = _row(whole)
    if heals in {"itself", "asking"}:
        row = replace(row, short=_cleared(others[0]))
    return replace(row, pressed=_cleared(others[-1])) if others else row


def _row(lived: Lived) -> Row:
    return Row(
        made=time.strftime("%Y-%m-%d", time.gmtime()),
        verdicts=tuple(lived.verdicts),
        visible_s=_rounded(lived.visible_s),
        stop_s=_rounded(max(lived.stops_s.values(), default=None)),
        paused_s=_rounded(lived.paused_s),
        requests=lived.requests,
        asked_in_pause=lived.asked_in_pause,
        paused=_cleared(lived) if lived.goes_on_s is not None else None,
    )


def _cleared(lived: Lived) -> Cleared:
    assert lived.goes_on_s is not None
    return Cleared(_rounded(lived.due_s), round(lived.goes_on_s, 2))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


async def main(faults: list[str]) -> int:
    """Play the faults, keep what was measured, and say what became of each."""
    root = Path(tempfile.mkdtemp(prefix="holdfast-weather-"))
    nursery = await Nursery.open()
    failed = 0
    async with Stage(root) as stage, Simulator(DEFAULTS.script) as upstream:
        scene = Scene(stage, upstream, nursery, root, DEFAULTS)
        numbers = iter(range(1_000))
        begun = time.monotonic()

        async def row(fault: str) -> None:
            nonlocal failed
            try:
                found = await played(fault, scene, numbers)
            except Exception as error:  # noqa: BLE001 (one fault must not end the others)
                failed += 1
                sys.stdout.write(f"{fault}: {error!r}\n")
            else:
                measured.keep_weather(fault, found)
                sys.stdout.write(f"{fault} ({time.monotonic() - begun:.0f} s): {found}\n")
            sys.stdout.flush()

        await asyncio.gather(*(row(fault) for fault in faults))
        refused = [entry for entry in upstream.refusals if entry.rule]
    await nursery.close()
    measured.keep_versions(
        {
            "holdfast": version("holdfast"),
            "python": platform.python_version(),
            "anthropic": version("anthropic"),
            "system": f"{platform.system()} {platform.release().split('-')[0]}",
        }
    )
    sys.stdout.write(f"weather: {len(faults) - failed} rows measured, {failed} not\n")
    sys.stdout.write("".join(f"refused: {entry}\n" for entry in refused))
    return 1 if failed or refused else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="measure faults at the default limits")
    parser.add_argument("only", nargs="*", help="faults of the stage; all without")
    sys.exit(asyncio.run(main(parser.parse_args().only or list(WEATHER))))
