"""What a person sees of long work: compactions, and waits for the model.

Law: every compaction that takes time or was asked for is shown once on every connection that cares
about its session, from its start to its end in the journal; what the journal says decides, statuses
only fill in how far it is. A turn in trouble is one bar from its first wait until it moves again,
not one for each attempt (P7).
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holdfast.agent import compaction_words
from holdfast.agent.api import Batch, CompactionProgress, SessionView, Status
from holdfast.lsp.bars import Bar, Link, Look, Token
from holdfast.session.events import (
    CompactionCommitted,
    CompactionEnd,
    CompactionEnded,
    CompactionPrepared,
    CompactionStarted,
)

if TYPE_CHECKING:
    from holdfast.lsp.port import Supervisor

WAIT_SHOWN_AFTER_S: Final = 0.5
COMPACTION_SHOWN_AFTER_S: Final = 0.1
"""What begins by itself and is over at once (old outputs left out, nothing to remove) is a notice,
not a flashing bar. What a person asked for is always shown."""
END_TIMEOUT_S: Final = 1.0

_ENDS: Final = {
    CompactionEnd.CANCELLED: "Cancelled; nothing was changed.",
    CompactionEnd.SUPERSEDED: "Not needed any more.",
    CompactionEnd.POINTLESS: "Nothing could be made smaller.",
}
_DONE: Final = "Done. The whole history stays readable."
_UNFOLLOWED: Final = "Not followed any more."


class Expected:
    """A client's token, waiting for the compaction that it was given for."""

    def __init__(self, token: Token, bind: Callable[[Expected], None]) -> None:
        self.token = token
        self.taken = False
        self.compaction_id: str | None = None
        self._bind = bind

    def bind(self, compaction_id: str) -> None:
        """Say which compaction it is."""
        self.compaction_id = compaction_id
        self._bind(self)


class SessionProgress:
    """The bars of one session on one connection."""

    def __init__(self, session_id: str, progress: Progress) -> None:
        self.session_id = session_id
        self._progress = progress
        self._compactions: dict[str, list[Bar]] = {}
        self._over: dict[str, str] = {}
        self._made: dict[str, str] = {}
        self._latest: dict[str, tuple[CompactionProgress, int]] = {}
        self._wait: Bar | None = None
        self._status = Status(session_id, "idle")
        self._status_at_ms = 0
        self.expected: list[Expected] = []

    def bars(self) -> Iterator[Bar]:
        """Yield all bars that have not been told to end."""
        yield from itertools.chain.from_iterable(self._compactions.values())
        if self._wait is not None:
            yield self._wait

    def seen(self, view: SessionView) -> None:
        """Begin with a session as it is."""
        self._over |= dict.fromkeys(view.compactions, _DONE)
        self.status(view.status)

    def batch(self, batch: Batch) -> None:
        """Take what has happened."""
        for record in batch.events:
            match record.event:
                case CompactionStarted(compaction_id=started, trigger=trigger):
                    self._begin(started, asked=trigger == "manual")
                case CompactionPrepared(compaction_id=made, rung=rung, tokens_after=tokens):
                    self._made[made] = (
                        f"Made: {compaction_words.MADE[rung]}, about {tokens:,} tokens in all. "
                    )
                case CompactionCommitted(compaction_id=done):
                    self._end(done, f"{self._made.pop(done, '')}{_DONE}")
                case CompactionEnded(compaction_id=done, outcome=outcome, detail=detail):
                    more = f" {detail}" if outcome is CompactionEnd.POINTLESS and detail else ""
                    self._end(done, f"{_ENDS[outcome]}{more}")
                case _:
                    pass
        if batch.status is not None:
            self.status(batch.status)

    def status(self, status: Status) -> None:
        """Take how things are."""
        self._status, self._status_at_ms = status, self._progress.now_ms()
        if status.progress is not None:
            self._latest[status.progress.compaction_id] = (status.progress, self._status_at_ms)
            self._begin(status.progress.compaction_id)
            for bar in self._compactions.get(status.progress.compaction_id, ()):
                bar.update()
        if not self._in_trouble(status):
            self._end_wait("It goes on.")
        elif self._wait is not None:
            self._wait.update()
        elif self._progress.supported and self._progress.waits:
            self._wait = self._progress.bar(
                "Holdfast: waiting for the model",
                self._wait_look,
                lambda supervisor: supervisor.stop(self.session_id),
                delay_s=WAIT_SHOWN_AFTER_S,
            )

    def bound(self, expected: Expected) -> None:
        """Give a client's token to a compaction that is known by now."""
        if expected.taken or expected.compaction_id is None:
            return
        if expected.compaction_id in self._over:
            over = self._over[expected.compaction_id]
            self._take(expected, expected.compaction_id).end(over)
        elif expected.compaction_id in self._compactions:
            bar = self._take(expected, expected.compaction_id)
            self._compactions[expected.compaction_id].append(bar)

    def end(self) -> None:
        """End all bars."""
        for compaction_id in list(self._compactions):
            self._end(compaction_id, _UNFOLLOWED)
        self._end_wait(_UNFOLLOWED)

    def _begin(self, compaction_id: str, *, asked: bool = False) -> None:
        if compaction_id in self._compactions or compaction_id in self._over:
            return
        wanted = [e for e in self.expected if e.compaction_id in (None, compaction_id)]
        bars = [self._take(expected, compaction_id) for expected in wanted]
        if not bars and self._progress.supported:
            delay_s = 0.0 if asked else COMPACTION_SHOWN_AFTER_S
            bars.append(self._compaction_bar(compaction_id, None, delay_s))
        self._compactions[compaction_id] = bars

    def _take(self, expected: Expected, compaction_id: str) -> Bar:
        expected.taken = True
        self.expected = [other for other in self.expected if other is not expected]
        return self._compaction_bar(compaction_id, expected.token)

    def _compaction_bar(self, compaction_id: str, token: Token | None, delay_s: float = 0.0) -> Bar:
        return self._progress.bar(
            "Holdfast: compacting the conversation",
            lambda: self._compaction_look(compaction_id),
            lambda supervisor: supervisor.cancel_compaction(self.session_id),
            token=token,
            delay_s=delay_s,
        )

    def _end(self, compaction_id: str, message: str) -> None:
        self._over[compaction_id] = message
        self._latest.pop(compaction_id, None)
        self._made.pop(compaction_id, None)
        waiting = [e for e in self.expected if e.compaction_id == compaction_id]
        late = [self._take(expected, compaction_id) for expected in waiting]
        for bar in (*self._compactions.pop(compaction_id, ()), *late):
            bar.end(message)

    def _end_wait(self, message: str) -> None:
        if self._wait is not None:
            self._wait.end(message)
            self._wait = None

    def _in_trouble(self, status: Status) -> bool:
        if status.read_only is not None:
            return False
        again = self._wait is not None and status.phase == "requesting" and status.attempt
        return status.phase == "waiting" or status.silent_ms is not None or bool(again)

    def _compaction_look(self, compaction_id: str) -> Look:
        if compaction_id not in self._latest:
            return Look("starting", 0)
        progress, seen_at_ms = self._latest[compaction_id]
        now_ms = self._progress.now_ms()
        parts = compaction_words.how_far(progress)
        parts.append(f"{(progress.elapsed_ms + now_ms - seen_at_ms) // 1000} s")
        if progress.attempt > 1:
            parts.append(f"attempt {progress.attempt}")
        if progress.cause:
            parts.append(progress.cause)
        parts += _next_try(progress.retry_at_ms, now_ms)
        return Look(" · ".join(parts), progress.percentage)

    def _wait_look(self) -> Look:
        status, now_ms = self._status, self._progress.now_ms()
        parts = [status.message or status.reason or "no answer yet"]
        if status.attempt is not None:
            parts.append(f"attempt {status.attempt}")
        if status.trouble_at_ms is not None:
            parts.append(f"for {max(0, now_ms - status.trouble_at_ms) // 1000} s")
        if status.silent_ms is not None:
            silent_s = (status.silent_ms + now_ms - self._status_at_ms) // 1000
            parts.append(f"silent for {silent_s} s")
        return Look(" · ".join([*parts, *_next_try(status.retry_at_ms, now_ms)]))


class Progress:
    """All bars of one connection. `supported`: the client takes bars it did not ask for.

    `waits`: a turn in trouble has one; not where the client shows statuses, which say it better.
    """

    def __init__(
        self, link: Link, connection_id: str, supervisor: Callable[[], Awaitable[Supervisor]]
    ) -> None:
        self.supported = False
        self.waits = True
        self._link = link
        self._connection_id = connection_id
        self._supervisor = supervisor
        self._sessions: dict[str, SessionProgress] = {}
        self._bars: dict[Token, Bar] = {}
        self._numbers = itertools.count(1)

    @staticmethod
    def now_ms() -> int:
        """Return wall-clock time, which retry times are given in."""
        return time.time_ns() // 1_000_000

    def session_seen(self, view: SessionView) -> None:
        """See `followers.Audience`."""
        self._session(view.session_id).seen(view)

    def batch_seen(self, session_id: str, batch: Batch) -> None:
        """See `followers.Audience`."""
        self._session(session_id).batch(batch)

    def session_ended(self, session_id: str) -> None:
        """See `followers.Audience`."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.end()

    @contextmanager
    def expecting(self, session_id: str, token: Token | None) -> Iterator[Expected]:
        """The next compaction of a session reports on `token`, unless the block raises.

        Bind it to the compaction's id inside the block. Without a token nothing is expected.
        """
        session = self._session(session_id)
        expected = Expected(token if token is not None else "", session.bound)
        expected.taken = token is None
        if token is not None:
            session.expected.append(expected)
        try:
            yield expected
        except BaseException:
            session.expected = [other for other in session.expected if other is not expected]
            raise

    async def close(self) -> None:
        """Let all bars that were told to end say so, bounded in time."""
        tasks = [bar.task for bar in self._bars.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=END_TIMEOUT_S)
            for task in late:
                task.cancel()

    async def cancel(self, token: Token) -> None:
        """Do what the bar's stop button stands for. Unknown tokens are over already."""
        bar = self._bars.get(token)
        if bar is not None:
            await bar.cancel()

    def bar(
        self,
        title: str,
        look: Callable[[], Look],
        on_cancel: Callable[[Supervisor], Awaitable[object]],
        *,
        token: Token | None = None,
        delay_s: float = 0.0,
    ) -> Bar:
        """Start a bar, on the client's token if there is one."""

        async def cancel() -> None:
            await on_cancel(await self._supervisor())

        return self.work(title, look, cancel, token=token, delay_s=delay_s)

    def work(
        self,
        title: str,
        look: Callable[[], Look],
        on_cancel: Callable[[], Awaitable[None]],
        *,
        token: Token | None,
        delay_s: float,
    ) -> Bar:
        """Start a bar that no session needs; one with the client's token is shown at once."""
        own = f"holdfast-{self._connection_id}-{next(self._numbers)}"
        bar = Bar(
            self._link,
            token if token is not None else own,
            title,
            look,
            on_cancel=on_cancel,
            create=token is None,
            delay_s=0.0 if token is not None else delay_s,
        )
        self._bars[bar.token] = bar
        bar.task.add_done_callback(lambda _: self._bars.pop(bar.token, None))
        return bar

    def _session(self, session_id: str) -> SessionProgress:
        return self._sessions.setdefault(session_id, SessionProgress(session_id, self))


def _next_try(retry_at_ms: int | None, now_ms: int) -> list[str]:
    if retry_at_ms is None:
        return []
    return [f"next try in {max(0, math.ceil((retry_at_ms - now_ms) / 1000))} s"]
