"""Events about compaction."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from holdfast.session.events.base import Event
from holdfast.session.events.responses import Usage


class Rung(StrEnum):
    """A step of the compaction ladder, from the mildest change to the last resort.

    Old outputs left out; the API's own signed compaction; one summary by a model; one of summaries
    of chunks; a digest without a model; a sentence that says where the history is.
    """

    CLEARED = "cleared"
    ON_DEMAND = "onDemand"
    SUMMARY = "summary"
    CHUNKS = "chunks"
    DIGEST = "digest"
    FLOOR = "floor"


class CompactionEnd(StrEnum):
    """How a compaction ended that was not committed."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    POINTLESS = "pointless"


class CompactionStarted(Event, frozen=True):
    """A compaction of everything before the record `cut_origin` began.

    `blocking` is set when no request fits before it is done. Token counts are estimates. `model` is
    the session's at that time.
    """

    compaction_id: str
    trigger: Literal["auto", "manual", "overflow"]
    cut_origin: str
    tokens_before: int
    blocking: bool = False
    instructions: str = ""
    model: str = ""


class CompactionRungFailed(Event, frozen=True):
    """A try of a rung did not hold; it is tried again, or the next one is taken.

    `input_tokens` is the estimated size of what the model was asked, `elapsed_ms` how long it was
    waited for: from these it is learned what a gateway lets through (C06).
    """

    compaction_id: str
    rung: Rung
    attempt: int
    reason: str
    detail: str = ""
    input_tokens: int = 0
    elapsed_ms: int = 0


class CompactionChunkSummarised(Event, frozen=True):
    """A chunk of the history was summarised; every later try uses it again (P5).

    `key` is the hash of everything that the summary depends on: the chunk's text and what was asked
    for. `number` counts from 1 to `count`.
    """

    compaction_id: str
    key: str
    number: int
    count: int
    summary: str
    model: str = ""
    usage: Usage = Usage()
    elapsed_ms: int = 0


class CompactionPrepared(Event, frozen=True):
    """A summary that passed the acceptance bar; it is committed between two requests.

    `usage` is what the API counted for the answer of `model`; nothing for one made without it.
    `summary` is the whole text that stands for what is covered; empty when nothing is but that
    outputs are left out. `block` is the signed block (raw JSON) that is sent instead of it to the
    model that made it, with `facts` after it. `cleared` are the calls whose results the view shows
    shortened, each with the bytes it keeps.
    """

    compaction_id: str
    rung: Rung
    summary: str
    tokens_after: int
    model: str = ""
    usage: Usage = Usage()
    block: str | None = None
    facts: str = ""
    cleared: tuple[tuple[str, int], ...] = ()
    elapsed_ms: int = 0


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


class CompactionRedone(Event, frozen=True):
    """A compaction that had been taken back is in force again."""

    compaction_id: str


class CompactionRecast(Event, frozen=True):
    """The signed block of a compaction cannot be sent any more; its text stands in for it.

    `reason` is a stable word: `model` (the one that answers next takes no such block) or `refused`.
    """

    compaction_id: str
    reason: str
    detail: str = ""


class CompactionMeasured(Event, frozen=True):
    """What the API counted for the first request after a compaction, in tokens (B04, B10)."""

    compaction_id: str
    tokens: int
