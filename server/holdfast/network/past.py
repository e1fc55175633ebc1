"""What a session has met before it is examined, and what that says about the way.

Law: pure. A limit of time is named by the same rule by which a session learns one (`lifetimes`):
two answers have died at the same age, and none has lived longer since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from holdfast.network.reports import Check, State
from holdfast.session.causes import Cause
from holdfast.session.lifetimes import has_outlived, is_same_age

PAST: Final = "past"

_RECENT_MS: Final = 3_600_000


@attrs.frozen
class Past:
    """What is known of a session's answers. Times in milliseconds.

    `died_ms` are the ages of those that somebody on the way ended, newest last, since one has lived
    longer; `learned_ms` is the limit that the session reckons with, 0 without one. `said` is what
    the newest failure was told as, `said_ms_ago` how long ago.
    """

    died_ms: tuple[int, ...] = ()
    learned_ms: int = 0
    said: str = ""
    said_ms_ago: int = 0

    @property
    def cap_ms(self) -> int:
        """The age at which answers are ended; 0 when there is none."""
        same = [age for age in self.died_ms if is_same_age(age, self.died_ms[-1])]
        return min(same) if len(same) > 1 else self.learned_ms


@attrs.frozen
class Life:
    """One answer: how long it lasted, and whether somebody on the way ended it."""

    age_ms: int
    killed: bool


def outlived_by_none(lives: Iterable[Life]) -> tuple[int, ...]:
    """Return the ages at which answers were ended that none since has outlived, oldest first."""
    died: list[int] = []
    for life in lives:
        if life.killed:
            died.append(life.age_ms)
        else:
            died = [age for age in died if not has_outlived(life.age_ms, age)]
    return tuple(died)


def check(past: Past) -> Check | None:
    """Return what is worth saying of a session's past, or nothing."""
    facts = {"endedAfterMs": list(past.died_ms[-5:]), "learnedMs": past.learned_ms}
    capped = past.cap_ms
    if capped:
        says = (
            f"Answers of this session were ended at the same age, about {capped / 1000:.0f} s, "
            "and none has lasted longer since."
        )
        cause = Cause.DURATION_CAP
        return Check(name=PAST, state=State.WARNING, says=says, cause=cause, facts=facts)
    if not past.said or past.said_ms_ago > _RECENT_MS:
        return None
    seconds = past.said_ms_ago // 1000
    when = f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"
    says = f"The newest trouble of this session, {when} ago: {past.said}"
    return Check(name=PAST, state=State.GOOD, says=says, facts=facts)
