"""One walk down the ladder: what it has tried, what it has learned, how long it has left.

Law: whatever does not hold is posted with its reason before anything else is tried. Tries are
counted from the journal on, so that a restart gives no new ones (B02); a wait that would outlast
the deadline is not begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from holdfast.agent.compaction.progress import Progress
from holdfast.agent.compaction.task import Task
from holdfast.agent.services import Services
from holdfast.model.compaction import refused_as_such
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.compaction.acceptance import Unacceptable
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy

ATTEMPTS_MAX: Final = 2
"""Tries of one request: the on-demand one, the single summary, each chunk."""
CHUNK_FAILURES_MAX: Final = 4
"""Tries of chunks that may fail in all, so that n chunks take at most n + 4 requests."""
INPUT_TOKENS_MIN: Final = 4_000
"""No request is made smaller than this because of time limits on the way."""

TIMED_OUT: Final = frozenset({FailureKind.TIMEOUT, FailureKind.STALLED, FailureKind.CUT})
TOO_MUCH: Final = frozenset({FailureKind.TOO_LONG, FailureKind.TOO_LARGE})
_BACKOFF_MAX_S: Final = 20.0


class NoModel(Exception):
    """No rung that needs the model can hold now; the digest is next."""


class Run:
    """What one walk down the ladder shares between its rungs."""

    def __init__(
        self,
        task: Task,
        services: Services,
        post: Callable[[inp.Input], None],
        progress: Progress,
        rung: ev.Rung,
    ) -> None:
        self.task = task
        self.services = services
        self.post = post
        self.progress = progress
        self.rung = rung
        self.input_tokens_max = task.input_tokens_max
        self._failed = dict(task.failed)
        left_s = max(0.0, task.deadline_s - progress.elapsed_ms / 1000)  # Over all its walks.
        self.ends_at = asyncio.get_running_loop().time() + left_s

    def failed(self, rung: ev.Rung) -> int:
        """Return how many tries of a rung did not hold, in this process and before it."""
        return self._failed.get(rung, 0)

    def enter(self, rung: ev.Rung) -> None:
        """Begin a rung."""
        self.rung = rung
        self.progress.enter(rung)

    def fell(
        self, reason: str, detail: str = "", *, input_tokens: int = 0, elapsed_ms: int = 0
    ) -> None:
        """Record that a try of the present rung did not hold."""
        self._failed[self.rung] = self.failed(self.rung) + 1
        self.post(
            inp.RungFailed(
                self.task.compaction_id,
                self.rung,
                self._failed[self.rung],
                reason,
                detail,
                input_tokens,
                elapsed_ms,
            )
        )

    def unacceptable(self, bad: Unacceptable, input_tokens: int, elapsed_ms: int) -> None:
        """Record a summary that did not pass the bar."""
        self.fell(bad.reason, bad.detail, input_tokens=input_tokens, elapsed_ms=elapsed_ms)

    def refused(self, failure: Failure, input_tokens: int, elapsed_ms: int) -> None:
        """Record a request that failed. Raises `NoModel` when no other one would be answered."""
        unsupported = self.rung is ev.Rung.ON_DEMAND and refused_as_such(failure)
        reason = "unsupported" if unsupported else failure.kind.value
        self.fell(reason, failure.message, input_tokens=input_tokens, elapsed_ms=elapsed_ms)
        if failure.kind in TIMED_OUT | TOO_MUCH:
            half = max(INPUT_TOKENS_MIN, input_tokens // 2)
            self.input_tokens_max = min(self.input_tokens_max, half)
        if POLICIES[failure.kind].remedy is Remedy.ASK:
            raise NoModel

    def may_repeat(self, failure: Failure) -> bool:
        """Say whether the same request may be answered when it is sent again."""
        return POLICIES[failure.kind].remedy in {Remedy.RETRY, Remedy.CONTINUE}

    def backoff_s(self, failure: Failure, attempt: int) -> float:
        """Return how long to wait after the failed try `attempt`, in seconds.

        Raises `NoModel` when it is longer than there is time: whoever asks for an hour will not be
        asked again in this compaction.
        """
        base_s = POLICIES[failure.kind].base_ms / 1000 * 2.0 ** (attempt - 1)
        longest_s = min(_BACKOFF_MAX_S, self.services.settings.retry_max_delay_s)
        wait_s = max(min(longest_s, base_s), (failure.retry_after_ms or 0) / 1000)
        if wait_s >= self.ends_at - asyncio.get_running_loop().time():
            raise NoModel
        return wait_s

    async def wait(self, wait_s: float, failure: Failure, attempt: int, share: float) -> None:
        """Wait before the try `attempt`, visibly."""
        world = self.services.world
        self.progress.report(
            "waiting to ask again",
            share,
            attempt=attempt,
            retry_at_ms=world.now_ms() + int(wait_s * 1000),
            cause=failure.message,
        )
        await world.sleep(wait_s)
