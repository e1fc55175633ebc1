"""Compactions in plain words, for statuses, bars, lists and pages.

Law: pure functions of what the agent says of a compaction; every surface says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.agent.api import CompactionProgress, CompactionReport
from holdfast.session.events import Rung

MADE: Final[Mapping[str, str]] = {
    Rung.CLEARED: "old outputs left out",
    Rung.ON_DEMAND: "compacted by the API",
    Rung.SUMMARY: "summary by the model",
    Rung.CHUNKS: "summaries of chunks",
    Rung.DIGEST: "digest without the model",
    Rung.FLOOR: "no summary could be made",
}
"""The rungs of the ladder as a person would call what they make."""

_STATES: Final[Mapping[str, str]] = {
    "running": "under way",
    "committed": "in force",
    "undone": "undone",
    "ended": "not in force",
}


def how_far(progress: CompactionProgress) -> list[str]:
    """Return what is being made, and how much of it is there."""
    making = MADE.get(progress.rung)
    parts = [f"{making}: {progress.step}" if making else progress.step]
    if progress.chunks is not None:
        parts.append(f"chunk {progress.chunk or 0} of {progress.chunks}")
    if progress.received_tokens:
        parts.append(f"about {progress.received_tokens:,} tokens received")
    return parts


def label(report: CompactionReport) -> str:
    """Return what a compaction made and whether that counts, as a line of a list."""
    return f"{MADE.get(report.rung or '', 'nothing made')}, {_STATES[report.state]}"


def sizes(report: CompactionReport) -> str:
    """Return what a compaction changed: tokens before and after, and how long it took."""
    after = report.tokens_measured or report.tokens_after
    parts = [f"{report.tokens_before:,}{'' if after is None else f' → {after:,}'} tokens"]
    if report.duration_ms is not None:
        parts.append(f"{report.duration_ms / 1000:.1f} s")
    return " · ".join(parts)


def reasons(report: CompactionReport) -> str:
    """Return why rungs did not hold, and how it ended; "" when there is nothing to say."""
    tried = [f"{MADE.get(a.rung, a.rung)}: {a.reason}" for a in report.attempts]
    ended = ": ".join(filter(None, (report.outcome, report.detail)))
    return " · ".join([*dict.fromkeys(tried), *([ended] if ended else [])])
