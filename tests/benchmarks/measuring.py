"""One benchmark, measured in a process that has measured nothing else.

Law: what one benchmark leaves behind, such as the heap of a session of 100 MB, slows no other one.
"""

from __future__ import annotations

import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from table import Row

PREFIX = "bench_"


def measured(name: str) -> list[Row]:
    """Return the rows of the benchmark `name`, from a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_rows_of, name).result()


def _rows_of(name: str) -> list[Row]:
    found: list[Row] = importlib.import_module(f"{PREFIX}{name}").rows()
    return found
