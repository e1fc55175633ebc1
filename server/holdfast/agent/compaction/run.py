"""One walk down the ladder: what it has tried, what it has learned, how long it has left.

Law: whatever does not hold is posted with its reason before anything else is tried. Tries are
counted from the journal on, so that a restart gives no new ones (B02); a wait that would outlast
the deadline is not begun. What is asked for in plain words may be asked of the next endpoint of the
person's list when the one before failed: that costs no further tries, and is said with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from holdfast.agent.compaction.hurry import Hurry
from holdfast.agent.compaction.progress import Progress
from holdfast.agent.compaction.task import Task
from holdfast.agent.services import Services
from holdfast.model.compaction import refused_as_such
from holdfast.model.port import Model
from holdfast.session import events as ev
from holdfast.session import failover
from holdfast.session import inputs as inp
from holdfast.session.compaction.acceptance import Unacceptable
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.settings import DEFAULT_ENDPOINT

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
        hurry: Hurry,
    ) -> None:
        self.endpoint = task.endpoint
        self._others = list(task.others)
        self.hurry = hurry
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

    @property
    def model(self) -> Model:
        """The model that is asked now."""
        return self.services.model_at(self.endpoint)

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

    def refused(self, failure: Failure, at: str, input_tokens: int, elapsed_ms: int) -> bool:
        """Record a request that failed at the endpoint `at`; say whether another one is asked now.

        Raises `NoModel` when no other request would be answered.
        """
        unsupported = self.rung is ev.Rung.ON_DEMAND and refused_as_such(failure)
        reason = "unsupported" if unsupported else failure.kind.value
        detail = failure.message
        moved = self._moves(failure, at)
        if moved:
            detail = f"{detail} The endpoint {self.endpoint or DEFAULT_ENDPOINT} is asked next."
        self.fell(reason, detail, input_tokens=input_tokens, elapsed_ms=elapsed_ms)
        if failure.kind in TIMED_OUT | TOO_MUCH:
            half = max(INPUT_TOKENS_MIN, input_tokens // 2)
            self.input_tokens_max = min(self.input_tokens_max, half)
        if POLICIES[failure.kind].remedy is Remedy.ASK and not moved:
            raise NoModel
        return moved

    def _moves(self, failure: Failure, at: str) -> bool:
        """Ask the next endpoint of the list from now on, if this failure is the endpoint's own.

        The API's own compaction is bound to what was sent to this one: it is given up for another
        only when it cannot be had here.
        """
        if at != self.endpoint:
            return True  # Another request has failed there before.
        in_vain = failure.kind in failover.AT_ONCE or self._is_too_late(failure)
        passes = self.may_repeat(failure) and self.rung is not ev.Rung.ON_DEMAND
        if not self._others or not (passes or in_vain):
            return False
        self.endpoint = self._others.pop(0)
        return True

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
        if wait_s >= self._left_s():
            raise NoModel
        return wait_s

    def _is_too_late(self, failure: Failure) -> bool:
        """Say whether the server wants to be asked again when there is no more time."""
        return (failure.retry_after_ms or 0) / 1000 >= self._left_s()

    def _left_s(self) -> float:
        return self.ends_at - asyncio.get_running_loop().time()

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
        await self.hurry.sleep(world, wait_s)
