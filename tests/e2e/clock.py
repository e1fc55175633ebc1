"""A wall clock for one server of a test that can jump: a machine that slept.

Law: it stands in for the system's, which no test may set. While a machine sleeps its wall clock
goes on and its timers do not; so a jump of this clock is, for the process, a sleep of that length.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "HOLDFAST_TEST_CLOCK"
"""Where a process that is to have such a clock finds the file with its advance, in seconds."""


def jump(path: Path, seconds: float) -> None:
    """Be ahead of the system's clock by so much from now on."""
    new = path.with_suffix(".new")
    new.write_text(str(int(seconds)))
    new.replace(path)


def install_for(environment: Mapping[str, str] = os.environ) -> None:
    """Give this process such a clock, for as long as it lives, if its environment names one."""
    if not (name := environment.get(VARIABLE)):
        return
    path, now_ns, now = Path(name), time.time_ns, time.time

    def ahead_s() -> int:
        return int(path.read_text())

    time.time_ns = lambda: now_ns() + ahead_s() * 1_000_000_000
    time.time = lambda: now() + ahead_s()
