"""Every plant examined at the default limit, all side by side: `make doctors`.

Law: what is written was measured. A row that misses its verdict or the limit is printed and fails
the campaign, and nothing is written then. The file names no place of the machine.
"""

from __future__ import annotations

import asyncio
import json
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from holdfast import __version__
from holdfast.network import LIMIT_S, examine
from network import holes
from network.planted import KEY, MODEL, PLANTS, Field, Plant, field
from network.stage import Stage

MEASURED: Final = Path(__file__).with_name("doctors_measured.json")
AT_ONCE: Final = 10
MTU: Final = "a way that drops every packet above 1400 bytes (a network of its own)"


@frozen
class Row:
    """One examination: what was planted, what was found, how long that took."""

    planted: str
    expected: str
    verdict: str
    says: str
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the right cause was named in time."""
        return self.verdict == self.expected and self.seconds <= LIMIT_S


async def measured() -> list[Row]:
    """Examine everything that can be planted here."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def row(plant: Plant, ground: Field) -> Row:
        async with gate:
            found = await examine(await ground.put(plant))
        return Row(plant.says, plant.verdict, found.verdict, found.says, found.ms / 1000)

    with tempfile.TemporaryDirectory() as folder:
        async with Stage(Path(folder)) as stage, field(stage) as ground:
            rows = list(await asyncio.gather(*(row(plant, ground) for plant in PLANTS.values())))
    if holes.namespaces():
        found = await holes.in_a_black_hole(KEY, MODEL)
        rows.append(Row(MTU, "uploadStuck", found["verdict"], found["says"], found["ms"] / 1000))
    return rows


def main() -> int:
    """Measure, print, and write what was measured when all of it holds."""
    rows = asyncio.run(measured())
    for row in sorted(rows, key=lambda row: row.seconds):
        mark = "ok  " if row.holds else "MISS"
        print(f"{mark} {row.seconds:5.1f} s  {row.verdict:18} {row.planted}")
        if not row.holds:
            print(f"       expected {row.expected}: {row.says}")
    missed = [row for row in rows if not row.holds]
    if missed:
        print(f"doctors: {len(missed)} of {len(rows)} plants were missed", file=sys.stderr)
        return 1
    MEASURED.write_text(json.dumps(_written(rows), indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"doctors: {len(rows)} plants were named, each within {LIMIT_S:g} s")
    return 0


def _written(rows: list[Row]) -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": {"holdfast": __version__, "python": platform.python_version()},
        "system": platform.system(),
        "limitSeconds": LIMIT_S,
        "rows": [{**asdict(row), "seconds": round(row.seconds, 1)} for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
