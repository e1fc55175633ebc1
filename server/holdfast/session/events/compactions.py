"""Events about compaction."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from holdfast.session.events.base import Event
from holdfast.session.events.responses import Usage


class Rung(StrEnum):
    """A step of the compaction ladder."""

    SUMMARY = "summary"
    DIGEST = "digest"
    FLOOR = "floor"


class CompactionEnd(StrEnum):
    """How a compaction ended that was not committed."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class CompactionStarted(Event, frozen=True):
    """A compaction of everything before the record `cut_origin` began.

    `blocking` is set when no request fits before it is done. Token counts are estimates.
    """

    compaction_id: str
    trigger: Literal["auto", "manual", "overflow"]
    cut_origin: str
    tokens_before: int
    blocking: bool = False
    instructions: str = ""


class CompactionRungFailed(Event, frozen=True):
    """A rung of the ladder did not hold; the next one is taken."""

    compaction_id: str
    rung: Rung
    attempt: int
    reason: str
    detail: str = ""


class CompactionPrepared(Event, frozen=True):
    """A summary that passed the acceptance bar; it is committed between two requests.

    `usage` is what the API counted for the answer of `model`; nothing for one made without it.
    """

    compaction_id: str
    rung: Rung
    summary: str
    tokens_after: int
    model: str = ""
    usage: Usage = Usage()


class CompactionCommitted(Event, frozen=True):
    """The prepared summary now stands for what it covers. The records stay (P4)."""

    compaction_id: str


class CompactionEnded(Event, frozen=True):
    """A compaction ended without changing the view."""

    compaction_id: str
    outcome: CompactionEnd
    detail: str = ""


class CompactionUndone(Event, frozen=True):
    """A committed compaction was taken back; the view before it is in force again."""

    compaction_id: str
