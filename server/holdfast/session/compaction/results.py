"""What becomes of what was prepared: accepted, made to fit, or left for the next rung.

Law: a result is judged by the view that it would make, not by itself. What a model made must make
the view smaller and fit; what was made without one is the last word, and if even that removes
nothing the compaction ends and says so (B23). Nothing falls straight to the digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from holdfast.conversation.history import Message
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.compaction import budget, clearing, facts, planning
from holdfast.session.compaction.endings import end_pointless, running_of
from holdfast.session.failures import FailureKind
from holdfast.session.pausing import pause
from holdfast.session.state import Compaction, RunningCompaction, SessionState
from holdfast.session.step import Step

NEXT: Final[Mapping[ev.Rung, ev.Rung]] = {
    ev.Rung.ON_DEMAND: ev.Rung.SUMMARY,
    ev.Rung.SUMMARY: ev.Rung.CHUNKS,
    ev.Rung.CHUNKS: ev.Rung.DIGEST,
}
"""Where what a model made falls to when it does not hold."""


def rung_failed(step: Step, given: inp.RungFailed) -> None:
    """Record why a rung did not hold."""
    if running_of(step.state, given.compaction_id) is not None:
        step.emit(
            ev.CompactionRungFailed(
                compaction_id=given.compaction_id,
                rung=given.rung,
                attempt=given.attempt,
                reason=given.reason,
                detail=given.detail,
                input_tokens=given.input_tokens,
                elapsed_ms=given.elapsed_ms,
            )
        )


def chunk_ready(step: Step, given: inp.ChunkReady) -> None:
    """Record the summary of a chunk; one that is known already changes nothing."""
    running = running_of(step.state, given.compaction_id)
    if running is not None and given.key not in step.state.chunks:
        step.emit(
            ev.CompactionChunkSummarised(
                compaction_id=given.compaction_id,
                key=given.key,
                number=given.number,
                count=given.count,
                summary=given.summary,
                model=given.model,
                usage=given.usage,
                elapsed_ms=given.elapsed_ms,
            )
        )


def ready(step: Step, given: inp.CompactionReady) -> None:
    """Take a result; one that does not hold falls down the ladder."""
    state = step.state
    running = running_of(state, given.compaction_id)
    if running is None or running.summary is not None:
        return
    limits = step.env.limits
    hard = budget.marks(limits).hard
    offered = _fitted(state, _offered(state, running, given), limits)
    after = budget.estimated_tokens(state, limits, shown(state, offered))
    before = budget.estimated_tokens(state, limits, view.messages(state))
    below = NEXT.get(given.rung)
    if below is not None and (after >= before or after > hard):
        reason = "notSmaller" if after >= before else "overBudget"
        attempt = running.failed.get(given.rung, 0) + 1
        rung_failed(
            step,
            inp.RungFailed(
                given.compaction_id,
                given.rung,
                attempt,
                reason,
                f"{after} tokens instead of {before}",
            ),
        )
        step.want(inp.PrepareCompaction(given.compaction_id, below))
        return
    if after >= before:
        _pointless(step, running)
        return
    step.emit(prepared(offered, after, given.usage, given.elapsed_ms))


def prepared(
    offered: Compaction, tokens_after: int, usage: ev.Usage, elapsed_ms: int = 0
) -> ev.CompactionPrepared:
    """Return the record of a compaction that can be committed."""
    return ev.CompactionPrepared(
        compaction_id=offered.compaction_id,
        rung=offered.rung,
        summary=offered.summary,
        tokens_after=tokens_after,
        model=offered.model,
        usage=usage,
        block=None if offered.block is None else offered.block.raw,
        facts=offered.facts,
        cleared=tuple(sorted(offered.cleared.items())),
        elapsed_ms=elapsed_ms,
    )


def _offered(
    state: SessionState, running: RunningCompaction, given: inp.CompactionReady
) -> Compaction:
    """Return the compaction as it would come into force."""
    told = facts.facts(state, running.started.cut_origin)
    offered = Compaction(
        compaction_id=given.compaction_id,
        summary=facts.compose(given.summary, told),
        cut_origin=running.started.cut_origin,
        known_origin=state.messages[-1].origin if state.messages else "",
        rung=given.rung,
        block=given.block,
        facts=facts.alone(told) if given.block is not None else "",
        cleared=state.in_force.cleared if state.in_force else {},
        model=given.model,
    )
    if planning.on_demand(state, running.started) is None:
        return attrs.evolve(offered, block=None, facts="")
    return offered


def _fitted(state: SessionState, offered: Compaction, limits: inp.Limits) -> Compaction:
    """Shorten the largest outputs that are kept when the view would not fit otherwise (B04).

    What follows a signed block must stay as it was, so there the text takes its place.
    """
    messages = shown(state, offered)
    found = budget.marks(limits)
    after = budget.estimated_tokens(state, limits, messages)
    if after <= found.hard:
        return offered
    over = int((after - found.target) / budget.ratio(state)) + 1
    more = clearing.newest(messages, over).cleared
    if not more:
        return offered
    cleared = clearing.merged(offered.cleared, more)
    return attrs.evolve(offered, cleared=cleared, block=None, facts="")


def shown(state: SessionState, offered: Compaction) -> tuple[Message, ...]:
    """Return the view as it would be if a compaction came into force now."""
    signed = offered.block is not None
    head = state.messages[-1].origin if state.messages else ""
    return view.of(state, offered, state.unbound_origin if signed else head)


def _pointless(step: Step, running: RunningCompaction) -> None:
    """End what removes nothing. A turn that was refused for its size shows the API's own words;
    one whose answer ended at the window goes on, a bounded number of times.
    """
    end_pointless(step, running)
    failure = step.state.turn.failure if step.state.turn is not None else None
    if running.started.trigger != "overflow" or failure is None:
        return
    if failure.kind in {FailureKind.TOO_LONG, FailureKind.TOO_LARGE}:
        pause(step, failure, None)
