"""What became of a tool call whose result is missing, in words that never change.

Law: a synthetic result says what is known and no more. It is deterministic, so the same
interruption gives the same bytes in every later request (P6, P12).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from holdfast.conversation.history import Block, tool_result

UNPARSED: Final = "_unparsed"
"""The one key of an input that was not a JSON object; its value is what was received (A27)."""


class Outcome(StrEnum):
    """How far a call came. Histories of others do not say, so `UNKNOWN` is the default."""

    NOT_STARTED = "not_started"
    UNKNOWN = "unknown"
    OUTPUT_LOST = "output_lost"
    BAD_INPUT = "bad_input"


SENTENCES: Final[Mapping[Outcome, str]] = {
    Outcome.NOT_STARTED: (
        "[This call was not started: the session was interrupted before it could run. "
        "Nothing was done.]"
    ),
    Outcome.UNKNOWN: (
        "[The session was interrupted before the result of this call was recorded. It may have "
        "run, in part or in full: its outcome is unknown. Check the present state before you rely "
        "on it or call it again.]"
    ),
    Outcome.OUTPUT_LOST: (
        "[This call ran to its end, but its output was lost. What it did has been done; check the "
        "present state before you call it again.]"
    ),
    Outcome.BAD_INPUT: (
        "[This call was not run: its arguments were not a JSON object. Nothing was done.]"
    ),
}


def is_unparsed(call: Block) -> bool:
    """Say whether a call's arguments could not be read, so that it cannot have run."""
    given = call.get("input")
    return isinstance(given, dict) and set(given) == {UNPARSED}


def synthetic_result(call: Block, outcome: Outcome | None) -> Block:
    """Return the result that stands for a missing one. `outcome` is `None` when nobody knows."""
    if outcome is None:
        outcome = Outcome.BAD_INPUT if is_unparsed(call) else Outcome.UNKNOWN
    return tool_result(call.text_of("id"), SENTENCES[outcome], is_error=True)
