"""`docs/failures.md`: every failure, what is said of it, what is tried and what a person can do.

Law: the page is the two tables of the code, word by word. `make failures` writes it;
`test_explanations.py` compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import POLICIES, TRIED, Policy

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "failures.md"

_INTRODUCTION: Final = """# Failures, and what is said of them

Is it me, my network or the API? A request that fails has a *kind*, which decides what Holdfast does
by itself, and, when the failure shows it, a *cause*, which decides what is said and advised.
Status (`holdfast/status`), banner, notice, message, command line and doctor use these words; no
reason is invented: a failure without a visible cause is told by its kind. Behind a click there are
the status, type, message and request id as the other side wrote them.

A request is retried with growing pauses until `holdfast.retry.budgetSeconds` are over. Then the
turn is paused, and the endpoint is looked at, free of charge, until it answers; the turn goes on by
itself. "Retry now" works at any time, and "Diagnose" examines the way to the API.

This page is made from the tables of the server (`make failures`).
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join((_INTRODUCTION, *_kinds(), "", *_causes(), ""))


def _kinds() -> Iterator[str]:
    yield "## Kinds: what is done\n"
    yield "| Kind | What is said | What is tried | First look when paused | What you can do |"
    yield "| --- | --- | --- | --- | --- |"
    for kind, policy in POLICIES.items():
        tried = TRIED[policy.remedy]
        yield f"| `{kind}` | {policy.says} | {tried} | {_look(policy)} | {policy.advice} |"


def _look(policy: Policy) -> str:
    return "when you say so" if policy.probe_ms is None else f"after {policy.probe_ms // 1000} s"


def _causes() -> Iterator[str]:
    yield "## Causes: what was seen\n"
    yield "| Cause | What is said | What you can do |"
    yield "| --- | --- | --- |"
    for cause, row in CAUSES.items():
        if cause is not Cause.UNKNOWN:
            yield f"| `{cause}` | {row.says} | {row.advice} |"


if __name__ == "__main__":
    sys.stdout.write(page())
