"""Measure all goals, or those of the modules named, and print one table (`make bench`).

Law: every `bench_*.py` beside this file has a function `rows()`, and is measured by being there.
The exit code is 1 when a goal is missed, 2 when a name is unknown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from measuring import PREFIX, measured
from table import Row, print_table


def main(names: Sequence[str]) -> int:
    """Measure the benchmarks called `names`, such as `journal`; without names, all of them."""
    known = sorted(path.stem.removeprefix(PREFIX) for path in _here().glob(f"{PREFIX}*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"No benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or known:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows += measured(name)
    print_table(rows)
    return 0 if all(row.ok for row in rows) else 1


def _here() -> Path:
    return Path(__file__).parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
