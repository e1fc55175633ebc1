"""Finding the poisoned part of a sequence by asking about its beginnings.

Law: pure. A beginning is a number of parts; nothing (0) is taken for accepted, everything is known
to be refused. Then there is a place where one more part turns acceptance into refusal, and it is
found with at most ceil(log2 n) questions, whatever the rule behind it is: for a rule that
is about single parts it is the first poisoned one.
"""

from __future__ import annotations

from collections.abc import Generator
from math import ceil, log2


def first_refused(parts: int) -> Generator[int, bool, int]:
    """Ask about beginnings (yields their lengths, is sent whether they are refused).

    Returns the index of the part whose addition is refused. `parts` is at least 1.
    """
    accepted, refused = 0, parts
    while refused - accepted > 1:
        middle = (accepted + refused) // 2
        if (yield middle):
            refused = middle
        else:
            accepted = middle
    return accepted


def questions_max(parts: int) -> int:
    """Return how many questions `first_refused` asks at most."""
    return ceil(log2(parts)) if parts > 1 else 0
