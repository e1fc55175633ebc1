"""Compaction: planned, judged and decided without a clock or a model.

Law: compaction changes the view, never the history (P4). It is prepared beside the session and
committed only between two requests and only if what it covers is still a prefix (P5). Each module
has one law; this one only names what the state machine and its helpers use.
"""

from holdfast.session.compaction.blocks import recast, refused
from holdfast.session.compaction.commits import commit_prepared, measured
from holdfast.session.compaction.decisions import (
    asked,
    cancel_blocking,
    cancelled,
    make_room,
    prepare_again,
    start,
    start_in_background,
)
from holdfast.session.compaction.planning import covered, plan
from holdfast.session.compaction.results import chunk_ready, ready, rung_failed

__all__ = [
    "asked",
    "cancel_blocking",
    "cancelled",
    "chunk_ready",
    "commit_prepared",
    "covered",
    "make_room",
    "measured",
    "plan",
    "prepare_again",
    "ready",
    "recast",
    "refused",
    "rung_failed",
    "start",
    "start_in_background",
]
