"""The table that every benchmark prints: goal, what, ours, floor, ratio, verdict.

Law: a row compares two things measured in one run, interleaved, as the median of at least seven
rounds. The absolute figures are there to be doubted; the ratio and its target are the statement.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One goal's figures.

    `ours` and `floor` are in `unit`; `what` names both sides. `target` is the goal in words, such
    as "at most 2.0x", and `ok` says whether `ratio` meets it.
    """

    goal: str
    what: str
    ours: float
    floor: float
    unit: str
    ratio: float
    target: str
    ok: bool


def print_table(rows: Sequence[Row]) -> None:
    """Print rows as aligned columns."""
    heads = ("goal", "what", "ours", "floor", "ratio", "target", "verdict")
    cells = [
        (
            row.goal,
            row.what,
            f"{row.ours:,.4g} {row.unit}",
            f"{row.floor:,.4g} {row.unit}",
            f"{row.ratio:.2f}x",
            row.target,
            "ok" if row.ok else "MISSED",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (heads, *cells)) for column in range(len(heads))]
    for line in (heads, tuple("-" * width for width in widths), *cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
