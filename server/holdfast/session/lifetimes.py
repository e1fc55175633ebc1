"""How long requests live, and the limit that somebody on the way sets to it (C06).

Law: one early death is weather; two at the same age, at one endpoint, are a limit. An answer that
lives longer proves that there is none (any more). Ages are by a clock that nobody sets. Pure.
"""

from __future__ import annotations

from typing import Final

import attrs

from holdfast.session.causes import Cause
from holdfast.session.failures import Failure

SHORTEST_MS: Final = 3_000
"""What dies younger than this dies of something else."""

SLACK_MS: Final = 500
"""Two ages are the same within this, or within a `SLACK_SHARE`th of the longer one."""
SLACK_SHARE: Final = 20

BELIEVED_MS: Final = 30 * 60_000
"""The next turn after this long asks for whole answers again: the network may be another one."""

TOKENS_MIN: Final = 256
"""No answer is asked for in smaller pieces."""

TOKENS_PER_S: Final = 40.0
"""How fast an answer is taken to arrive of which too little was seen."""

SEEN_MS: Final = 1_000
SEEN_TOKENS: Final = 50
"""An answer that arrived for so long, with so much, says how fast it is."""

SHARE: Final = 0.75
"""So much of the time there is may be planned for: no answer is always as fast as the last."""

_ENDED_BY_OTHERS: Final = frozenset(
    {Cause.CUT_STREAM, Cause.GATEWAY_TIMEOUT, Cause.RESET, Cause.DURATION_CAP}
)


@attrs.frozen
class Lived:
    """How a request lived until it ended. Times in milliseconds, `tokens` estimated.

    The API accepted it after `accepted_ms` (the whole age if it never did); `tokens` of the answer
    arrived, within `speaking_ms`.
    """

    age_ms: int = 0
    accepted_ms: int = 0
    speaking_ms: int = 0
    tokens: int = 0


@attrs.frozen
class DurationCap:
    """Requests die after `after_ms`: one answer is asked for `answer_tokens` at most."""

    after_ms: int
    answer_tokens: int
    learned_at_ms: int = 0


def ended_by_others(failure: Failure) -> bool:
    """Say whether something on the way ended a request, and no limit of our own."""
    return failure.cause in _ENDED_BY_OTHERS


def is_same_age(one_ms: int, other_ms: int) -> bool:
    """Say whether two requests died of one limit, by their ages."""
    longer = max(one_ms, other_ms)
    same = abs(one_ms - other_ms) <= _slack_ms(longer)
    return same and min(one_ms, other_ms) >= SHORTEST_MS


def has_outlived(age_ms: int, other_ms: int) -> bool:
    """Say whether a request has lived clearly longer than another one."""
    return age_ms > other_ms + _slack_ms(other_ms)


def piece_tokens(after_ms: int, lived: Lived, before: DurationCap | None) -> int:
    """Return how much of an answer can be ready before a request dies of age.

    What was asked for `before` was too much.
    """
    left_ms = max(after_ms - min(lived.accepted_ms, lived.age_ms), after_ms // 4)
    speed = TOKENS_PER_S
    if lived.speaking_ms >= SEEN_MS and lived.tokens >= SEEN_TOKENS:
        speed = lived.tokens * 1000 / lived.speaking_ms
    found = int(left_ms / 1000 * speed * SHARE)
    if before is not None:
        found = min(found, before.answer_tokens // 2)
    return max(TOKENS_MIN, found)


def _slack_ms(age_ms: int) -> int:
    return max(SLACK_MS, age_ms // SLACK_SHARE)
