"""S10: what it costs to repair a transcript of 100 MB into a copy that is synced to the disk.

CPU against a parse of each line of the same file before it was damaged; memory, the peak of a
process of its own, against the size of the file. Six damages, spread over the file: glued records,
zero bytes, an unknown field, a call whose arguments are a string, a lost call, a torn last line.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench_transcripts import FILE_BYTES, USUAL, parsed, peak, transcript
from table import Row, print_table

from holdfast.transcripts.repairing import repair

ROUNDS: Final = 7
CPU_MAX: Final = 3.0
MEMORY_MAX: Final = 0.4
RULES: Final = {"D01", "D05", "D06", "D07", "R8", "R42", "R47"}


def damaged(lines: Sequence[bytes]) -> bytes:
    """Return a session with a few damages."""
    left = list(lines)
    left[len(left) // 3] = left[len(left) // 3].rstrip(b"\n")
    left[len(left) // 2] = bytes(500) + left[len(left) // 2]
    call = _last(left, "tool_use", len(left))
    _change(left, call, input="ls -l")
    result = _last(left, "tool_result", call - 10)
    _change(left, result, duration_s=3)
    del left[_last(left, "tool_use", result - 10)]
    return b"".join(left) + left[0][:200]


def _last(lines: Sequence[bytes], kind: str, before: int) -> int:
    """Return the last record before a place that holds such a block."""
    return next(n for n in reversed(range(before)) if f'"type":"{kind}"'.encode() in lines[n])


def _change(lines: list[bytes], number: int, **fields: Any) -> None:
    record = json.loads(lines[number])
    record["message"]["content"][0] |= fields
    lines[number] = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def repaired(path: Path) -> None:
    """Repair a session into a copy, which goes again."""
    output = path.with_name("repaired.jsonl")
    done = repair(path, output=output)
    assert {each.rule for each in done.repairs} == RULES
    assert {each.rule for each in done.unrepaired} == {"D07"}
    output.unlink()


def cpu(path: Path, whole: Path) -> Row:
    """Measure seconds of CPU."""
    costs: dict[str, list[float]] = {"ours": [], "parse": []}
    for _ in range(ROUNDS):
        gc.collect()
        start = time.process_time()
        parsed(whole)
        costs["parse"].append(time.process_time() - start)
        start = time.process_time()
        repaired(path)
        costs["ours"].append(time.process_time() - start)
    ours, floor = statistics.median(costs["ours"]), statistics.median(costs["parse"])
    ratio = ours / floor
    what = "repair 100 MB into a synced copy / parse each line"
    return Row("S10", what, ours, floor, "s CPU", ratio, f"at most {CPU_MAX}x", ratio <= CPU_MAX)


def memory(path: Path) -> Row:
    """Measure by how much a process grows that repairs the file, in MB."""
    answer = subprocess.run(
        [sys.executable, __file__, str(path)], capture_output=True, check=True, text=True
    )
    grown, size = float(answer.stdout) / 1e6, path.stat().st_size / 1e6
    ratio = grown / size
    what = "peak memory of the repair / the file"
    return Row("S10", what, grown, size, "MB", ratio, f"at most {MEMORY_MAX}x", ratio <= MEMORY_MAX)


def growth(path: Path) -> int:
    """Return the bytes by which repairing a file makes this process grow at its peak."""
    gc.collect()
    before = peak()
    repaired(path)
    return peak() - before


def rows() -> list[Row]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        whole, path = Path(folder, "whole.jsonl"), Path(folder, "session.jsonl")
        lines = list(transcript(FILE_BYTES, USUAL))
        whole.write_bytes(b"".join(lines))
        path.write_bytes(damaged(lines))
        del lines
        return [cpu(path, whole), memory(path)]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(str(growth(Path(sys.argv[1]))))
    else:
        print_table(rows())
