"""When a prepared compaction comes into force, and what it has really brought.

Law: committed only between two requests, only if what it covers is still a prefix, and only if the
view is smaller with it (P5). Facts are those of the moment of the commit, not of when the summary
was written (B13).
"""

from __future__ import annotations

from typing import Final

import attrs

from holdfast.session import events as ev
from holdfast.session import preflight as checks
from holdfast.session import view
from holdfast.session.compaction import budget, facts
from holdfast.session.compaction.endings import end, end_pointless
from holdfast.session.compaction.results import prepared, shown
from holdfast.session.origins import index_of
from holdfast.session.state import Compaction, RunningCompaction
from holdfast.session.step import Step

_NOT_COUNTED: Final = ev.Usage()


def commit_prepared(step: Step) -> None:
    """Bring a prepared summary into force, if no request is under way.

    A signed block also waits for open calls: what is kept behind it must be whole (R95).
    """
    state = step.state
    running = state.compaction
    if running is None or running.summary is None or state.requested:
        return
    if running.block is not None and state.calls:
        return
    is_there = index_of(state.messages, running.started.cut_origin) is not None
    if not is_there or running.prefix_version != state.prefix_version:
        end(step, running, ev.CompactionEnd.SUPERSEDED, "the history it covers was changed")
        return
    if running.rung is not ev.Rung.CLEARED and not _renewed(step, running):
        return
    step.emit(ev.CompactionCommitted(compaction_id=running.started.compaction_id))


def measured(step: Step, compaction_id: str) -> None:
    """Record what the API counted for the first request after a compaction."""
    usage = step.state.usage
    if compaction_id and usage is not None:
        counted = usage.context_tokens - usage.output_tokens
        if counted > 0 and budget.can_be_true(usage, step.env.limits):
            step.emit(ev.CompactionMeasured(compaction_id=compaction_id, tokens=counted))


def _renewed(step: Step, running: RunningCompaction) -> bool:
    """Prepare again with the facts of now; a block that breaks a rule gives way to its text.

    False when the facts have grown so that nothing would be smaller: then the compaction ends.
    """
    state, limits = step.state, step.env.limits
    told = facts.facts(state, running.started.cut_origin)
    offered = Compaction(
        compaction_id=running.started.compaction_id,
        summary=facts.compose(facts.bare(running.summary or ""), told),
        cut_origin=running.started.cut_origin,
        known_origin=state.messages[-1].origin if state.messages else "",
        rung=running.rung or ev.Rung.SUMMARY,
        block=running.block,
        facts=facts.alone(told) if running.block is not None else "",
        cleared=running.cleared,
        model=running.model,
    )
    if offered.block is not None and _breaks(step, offered):
        offered = attrs.evolve(offered, block=None, facts="")
    if (offered.summary, offered.block) == (running.summary, running.block):
        return True
    after = budget.estimated_tokens(state, limits, shown(state, offered))
    if after >= budget.estimated_tokens(state, limits, view.messages(state)):
        end_pointless(step, running)
        return False
    step.emit(prepared(offered, after, _NOT_COUNTED))
    return True


def _breaks(step: Step, offered: Compaction) -> bool:
    """Whether a view with a signed block breaks a rule that the one with its text keeps (B11)."""
    profile = step.env.limits.profile
    as_text = attrs.evolve(offered, block=None, facts="")
    return bool(checks.check(shown(step.state, offered), profile)) and not checks.check(
        shown(step.state, as_text), profile
    )
