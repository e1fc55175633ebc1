"""A campaign of crashes: `python tests/e2e/crash_campaign.py --points 1000 --workers 2`.

Kills as many server processes as asked, in chains of one store each, and prints what phase each
session was in and what became of it. The exit code is 1 when anything was lost or died; its chain
is played again with the seed in the message and `--points 40`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

if __name__ == "__main__" or multiprocessing.current_process().name != "MainProcess":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e.crashes import chain
from e2e.story import Tally, table, total

CHAIN_POINTS = 40


def _played(seed: int, points: int) -> Tally:
    with tempfile.TemporaryDirectory(prefix="holdfast-crashes-") as root:
        return asyncio.run(chain(seed, Path(root), points))


def _report(tally: Tally, began: float, asked: argparse.Namespace) -> dict[str, object]:
    rows: dict[str, dict[str, int]] = {}
    for (phase, outcome), count in sorted(tally.table.items()):
        rows.setdefault(phase, {})[outcome] = count
    return {
        "points": tally.points,
        "asked": asked.points,
        "seed": asked.seed,
        "seconds": round(time.monotonic() - began, 1),
        "phases": rows,
        "failures": tally.failures,
    }


def main() -> int:
    """Play the campaign and return the exit code."""
    parser = argparse.ArgumentParser(description="Kill real servers under load, and compare.")
    parser.add_argument("--points", type=int, default=1000, help="how many servers to kill")
    parser.add_argument("--workers", type=int, default=2, help="chains at the same time")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first chain")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--minutes", type=float, help="begin no new chain after this time")
    asked = parser.parse_args()
    began = time.monotonic()
    sizes = [min(CHAIN_POINTS, asked.points - i) for i in range(0, asked.points, CHAIN_POINTS)]
    tallies: list[Tally] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.workers, mp_context=context) as pool:
        waiting = [pool.submit(_played, asked.seed + i, size) for i, size in enumerate(sizes)]
        for done in as_completed(waiting):
            if done.cancelled():
                continue
            tallies.append(done.result())
            so_far = total(tallies)
            seconds = time.monotonic() - began
            print(f"{so_far.points} of {asked.points} points, {seconds:.0f} s", file=sys.stderr)
            for failure in tallies[-1].failures:
                print(failure, file=sys.stderr)
            if asked.minutes is not None and seconds > asked.minutes * 60:
                for future in waiting:
                    future.cancel()
    tally = total(tallies)
    if asked.json is not None:
        report = _report(tally, began, asked)
        asked.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(tally))
    print(f"{tally.points} servers killed in {time.monotonic() - began:.0f} s")
    for failure in tally.failures:
        print(failure)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
