"""The grammar against the simulator: `python -m differential --histories 100000`.

Prints how often each rule was named and how often they differed with a known reason; with
`--replay n`, history n and both verdicts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from differential.campaign import EXPLAINED, Outcome, history, run
from differential.comparison import compare
from differential.histories import SEED_STRIDE

CHUNK = 500


def main() -> int:
    """Return 0 when there was no difference without an explanation."""
    parser = argparse.ArgumentParser(prog="differential", description=__doc__)
    parser.add_argument("--histories", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--replay", type=int, help="show this history")
    options = parser.parse_args()
    if options.replay is not None:
        return replay(options.replay)
    began = time.monotonic()
    first = options.seed * SEED_STRIDE
    last = first + options.histories
    chunks = [range(at, min(at + CHUNK, last)) for at in range(first, last, CHUNK)]
    outcome = Outcome()
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        for part in pool.map(run, chunks):
            outcome.add(part)
    show(outcome, time.monotonic() - began)
    return int(bool(outcome.unexplained))


def show(outcome: Outcome, took_s: float) -> None:
    """Print the table of rules and the differences."""
    for rule, count in sorted(outcome.refused.items(), key=lambda item: (-item[1], item[0])):
        print(f"{rule:>8} {count:>7}")
    for name, count in outcome.explained.most_common():
        print(f"explained, {name}: {count}. {EXPLAINED[name].reason}")
    for difference in outcome.unexplained[:50]:
        print(difference)
    print(
        f"differential: {outcome.histories} histories, {len(outcome.refused) - 1} rules, "
        f"{len(outcome.mutations) - 1} kinds of faults in {took_s:.0f} s, "
        f"{sum(outcome.explained.values())} differences explained, "
        f"{len(outcome.unexplained)} not"
    )


def replay(number: int) -> int:
    """Print one history and what both say of it."""
    name, request = history(number)
    print(name, request.model, sorted(request.betas))
    print(json.dumps(request.messages, indent=1))
    print(compare(request))
    return 0


if __name__ == "__main__":
    sys.exit(main())
