"""The rungs of one request: the API's own compaction, and one summary of plain text.

Law: the first sends exactly what the session had sent, so that the block that comes back is bound
to it; the second sends words only (B07). A rung that does not hold returns None and has said why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import attrs

from holdfast.agent.compaction import asking, prompts
from holdfast.agent.compaction.run import ATTEMPTS_MAX, TIMED_OUT, Run
from holdfast.conversation import plain_text, tokens
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import preflight
from holdfast.session.compaction import acceptance
from holdfast.session.compaction.acceptance import Unacceptable
from holdfast.session.failures import Failure

QUICK_MS: Final = 15_000
"""A request that was cut sooner than this was not cut for taking long."""
ITEM_LIMITS: Final = (plain_text.DEFAULT_LIMITS, plain_text.TIGHTER[1])
"""How much of each call and result a summariser may be shown: the most that fits."""
FRAME_TOKENS: Final = 1_000
"""Prompt and headings around what is to be summarised."""
_HALF_WAY_TOKENS: Final = 1_500
"""An answer of this length is shown as half done."""


async def on_demand(run: Run) -> inp.CompactionReady | None:
    """Have the API compact (specification §6). None when it does not apply or did not hold."""
    task = run.task
    base = task.on_demand
    if base is None:
        return None
    findings = await asyncio.to_thread(preflight.check, base.messages, task.grammar)
    if findings:
        return None  # What breaks a rule is not sent; words can always be (B07).
    run.enter(ev.Rung.ON_DEMAND)

    def request(fault: str) -> port.ModelRequest:
        more = base.max_output_tokens * (2 if fault == "max_tokens" else 1)
        return attrs.evolve(
            base,
            compaction=prompts.on_demand(task.instructions, fault),
            max_output_tokens=min(more, task.output_tokens_max),
        )

    return await _tried(run, request, "the API is compacting the conversation")


async def summary(run: Run) -> inp.CompactionReady | None:
    """Have one summary written, if the text of everything fits into one request (B03)."""
    task = run.task
    transcript = await asyncio.to_thread(_transcript, run)
    if transcript is None:
        return None
    run.enter(ev.Rung.SUMMARY)
    room = prompts.words_for(task.summary_tokens)

    def request(fault: str) -> port.ModelRequest:
        words = prompts.summary(transcript, task.previous, task.instructions, room, fault)
        return asking.plain_request(task, prompts.SUMMARY, words)

    return await _tried(run, request, "asking the model for a summary")


async def _tried(
    run: Run, request: Callable[[str], port.ModelRequest], step: str
) -> inp.CompactionReady | None:
    """Send a request until it holds, at most `ATTEMPTS_MAX` times over all restarts."""
    world, fault = run.services.world, ""
    while (attempt := run.failed(run.rung) + 1) <= ATTEMPTS_MAX:
        run.progress.report(step, 0.05, attempt=attempt)
        asked = request(fault)
        size, began_ms, at = asking.input_tokens(asked), world.now_ms(), run.endpoint
        try:
            said = await asking.ask(asked, run.model, run.hurry, _arriving(run))
            acceptance.check(said.text, said.stop_reason, run.task.bar)
        except Unacceptable as bad:
            fault = bad.reason
            run.unacceptable(bad, size, world.now_ms() - began_ms)
        except port.ModelFailed as failed:
            elapsed_ms = world.now_ms() - began_ms
            moved = run.refused(failed.failure, at, size, elapsed_ms)
            if moved and run.rung is ev.Rung.ON_DEMAND:
                return None
            if moved:
                continue
            if attempt == ATTEMPTS_MAX or not _worth_repeating(run, failed.failure, elapsed_ms):
                return None
            wait_s = run.backoff_s(failed.failure, attempt)
            await run.wait(wait_s, failed.failure, attempt + 1, 0.05)
        else:
            return inp.CompactionReady(
                run.task.compaction_id,
                run.rung,
                said.text,
                run.task.model,
                said.usage,
                said.block if run.rung is ev.Rung.ON_DEMAND else None,
                world.now_ms() - began_ms,
            )
    return None


def _worth_repeating(run: Run, failure: Failure, elapsed_ms: int) -> bool:
    """Say whether the same request may hold: not if it took too long, nor if it was too much."""
    slow = failure.kind in TIMED_OUT and elapsed_ms >= QUICK_MS
    return run.may_repeat(failure) and not slow


def _arriving(run: Run) -> Callable[[int], None]:
    def received(count: int) -> None:
        share = count / (count + _HALF_WAY_TOKENS)
        run.progress.report("the summary is arriving", share, received_tokens=count)

    return received


def _transcript(run: Run) -> str | None:
    """Return the text of everything, if it fits without leaving a message out."""
    task = run.task
    room = run.input_tokens_max - FRAME_TOKENS - tokens.estimate_text(task.previous)
    for level in ITEM_LIMITS:
        text = plain_text.render(task.messages, limits=level)
        if tokens.estimate_text(text) <= room:
            return text
    return None
