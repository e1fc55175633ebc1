"""Run many seeds: `python -m simulation --seeds 300`, or replay one: `--seed 7`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

from simulation.simulation import simulate


def main() -> int:
    """Return 0 when every promise held in every run."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed and print its trace")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds (default 200)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--steps", type=int, default=3_000, help="hostile steps a seed")
    parser.add_argument("--seconds", type=float, help="go on with new seeds for so long")
    options = parser.parse_args()
    if options.seed is not None:
        outcome = simulate(options.seed, options.steps)
        last = str(outcome).splitlines()[-2 if outcome.broken else -1]
        print(*outcome.trace, last, f"digest {outcome.digest}", sep="\n")
        return int(outcome.broken is not None)
    return _many(options)


def _many(options: argparse.Namespace) -> int:
    began = time.monotonic()
    seeds = count(options.first)
    if options.seconds is None:
        seeds = islice(seeds, options.seeds)
    steps, runs, kinds, broken = 0, 0, Counter[str](), []
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        while chunk := list(islice(seeds, 4 * workers)):
            for outcome in pool.map(simulate, chunk, [options.steps] * len(chunk)):
                runs, steps = runs + 1, steps + outcome.steps
                kinds.update(outcome.kinds)
                if outcome.broken is not None:
                    broken.append(outcome)
                    print(outcome, flush=True)
            if options.seconds is not None and time.monotonic() - began > options.seconds:
                break
    took = time.monotonic() - began
    print(", ".join(f"{kind} {n}" for kind, n in kinds.most_common()))
    print(
        f"simulate: {runs} seeds, {steps} steps in {took:.0f} s ({steps / took:.0f} steps/s), "
        f"{len(broken)} broken promises"
    )
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
