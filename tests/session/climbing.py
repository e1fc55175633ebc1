"""Climbing the ladder against an API that is played: every question is answered by a function."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.session.ladder import Answer, Case, Outcome, climb
from holdfast.session.rungs import Sent


def examined(case: Case, answer: Callable[[Sent], Answer]) -> Outcome:
    """Climb to the end; `answer` says what the count of each question is."""
    climbing = climb(case)
    try:
        question = next(climbing)
        while True:
            question = climbing.send(answer(question))
    except StopIteration as done:
        found: Outcome = done.value
        return found
