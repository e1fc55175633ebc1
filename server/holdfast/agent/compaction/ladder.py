"""The ladder of a compaction, from the mildest change to the last resort.

Law: `CompactionReady` is posted exactly once, `RungFailed` before it for each try that did not
hold; cancellation posts nothing. The steps that need a model have one deadline together, and what
they finished by then stays in the journal; the digest needs neither model nor time (P5).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from holdfast.agent.api import CompactionProgress
from holdfast.agent.compaction import chunked, single
from holdfast.agent.compaction.hurry import Hurry
from holdfast.agent.compaction.progress import Progress
from holdfast.agent.compaction.run import NoModel, Run
from holdfast.agent.compaction.task import Task
from holdfast.agent.services import Services
from holdfast.conversation import digest
from holdfast.session import events as ev
from holdfast.session import inputs as inp

_log: Final = logging.getLogger(__name__)

FLOOR: Final = (
    "No summary of the earlier part of this conversation could be made. It is kept in full: "
    "`recall_search` finds, and `recall_read` shows, what was said."
)
"""The last rung: what stands for the past when even the digest cannot be made."""

Rungs = tuple[tuple[ev.Rung, Callable[[Run], Awaitable[inp.CompactionReady | None]]], ...]
_BY_MODEL: Final[Rungs] = (
    (ev.Rung.ON_DEMAND, single.on_demand),
    (ev.Rung.SUMMARY, single.summary),
    (ev.Rung.CHUNKS, chunked.summaries),
)
_ORDER: Final = tuple(ev.Rung)
_METHODS: Final = {
    "api": ev.Rung.ON_DEMAND,
    "summary": ev.Rung.SUMMARY,
    "local": ev.Rung.DIGEST,
}
"""The rung that each setting of `compaction.method` begins at."""


async def prepare(
    task: Task,
    services: Services,
    post: Callable[[inp.Input], None],
    show: Callable[[CompactionProgress], None],
    *,
    first: ev.Rung,
    last: CompactionProgress | None = None,
    hurry: Hurry | None = None,
) -> None:
    """Go down the ladder from `first` or what the settings begin at, whichever is lower.

    `last` is what was shown last, if this compaction had gone down some of it before: its time
    counts. `hurry` ends its waits.
    """
    progress = Progress(task.compaction_id, services.world, show, last)
    begin = max(first, _METHODS[services.settings.compaction_method], key=_ORDER.index)
    async with _beating(progress):
        run = Run(task, services, post, progress, begin, hurry or Hurry())
        ready = await _by_model(run, begin)
        if ready is None:
            ready = await _without_model(run, begin)
        progress.report("bringing the summary into force", 1.0)
        post(ready)


async def _by_model(run: Run, begin: ev.Rung) -> inp.CompactionReady | None:
    """Try the rungs that need a model; None when none held, or there is no time for one."""
    rungs = [work for rung, work in _BY_MODEL if _ORDER.index(rung) >= _ORDER.index(begin)]
    if not rungs or not run.task.messages:
        return None
    try:
        async with asyncio.timeout_at(run.ends_at):
            for work in rungs:
                ready = await work(run)
                if ready is not None:
                    return ready
    except NoModel:
        return None
    except TimeoutError:
        words = f"no summary within {run.task.deadline_s:g} seconds"
        run.fell("deadline", words, elapsed_ms=run.progress.elapsed_ms)
    except Exception as error:  # noqa: BLE001 (a fault of our own must not skip the digest)
        _log.exception("compaction failed inside the server")
        run.fell("internal", repr(error))
    return None


async def _without_model(run: Run, begin: ev.Rung) -> inp.CompactionReady:
    """Make the digest; the floor stands when even that is asked for no more."""
    task = run.task
    if begin is ev.Rung.FLOOR:
        return inp.CompactionReady(task.compaction_id, ev.Rung.FLOOR, FLOOR)
    run.enter(ev.Rung.DIGEST)
    run.progress.report("making a digest without the model", 0.5)
    began_ms = run.services.world.now_ms()
    text = await asyncio.to_thread(
        digest.digest, task.messages, task.digest_tokens, previous=task.previous
    )
    elapsed_ms = run.services.world.now_ms() - began_ms
    return inp.CompactionReady(task.compaction_id, ev.Rung.DIGEST, text, elapsed_ms=elapsed_ms)


@contextlib.asynccontextmanager
async def _beating(progress: Progress) -> AsyncIterator[None]:
    """Have progress shown every second meanwhile."""
    beat = asyncio.create_task(progress.beat(), name="progress of a compaction")
    try:
        yield
    finally:
        beat.cancel()
        await asyncio.wait([beat])
