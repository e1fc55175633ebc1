"""What a journal promises about compactions, counted without the core's fold.

Law: tries and finished chunks count from the journal alone, so that a restart which forgets them is
seen; a view is compared with what it was when the compaction was made. Sizes are those of the
simulated API, which counts exactly as the core estimates: what is too long could have been known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from holdfast.conversation import tokens
from holdfast.conversation.history import Message
from holdfast.session import events as ev
from holdfast.session import view
from holdfast.session.state import SessionState

Complain = Callable[[str, str], None]

TRIES_MAX: Final = {ev.Rung.ON_DEMAND: 2, ev.Rung.SUMMARY: 2, ev.Rung.CHUNKS: 4}
"""How many tries of a rung may fail in one compaction, restarts included (B02)."""
HEARD_S: Final = 4.5
"""So long after it was written, on a slow disk, the compactor hears that it is over."""
IMPOSSIBLE_TOKENS: Final = 1_000_000
"""A count of this many is a lie of the simulated API (B05)."""

_OTHER_VIEW: Final = (
    ev.HistoryRepaired,
    ev.RepairUndone,
    ev.HistoryRewound,
    ev.CompactionCommitted,
    ev.CompactionUndone,
    ev.CompactionRedone,
    ev.CompactionRecast,
)
"""Events that change a view other than by growing."""


class CompactionLedger:
    """Tries, chunks and views of the compactions of one session."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._running: ev.CompactionStarted | None = None
        self._late_since_s: float | None = None
        self._failed: Counter[ev.Rung] = Counter()
        self._finished: set[str] = set()
        self._asked: dict[str, str] = {}
        self._cancelled = self._unasked = False
        self._tried_at: tuple[int, int, int] | None = None
        self._acts = 0
        self._changes = 0
        self._before: dict[str, tuple[int, tuple[Message, ...]]] = {}
        self._size_before = 0
        self._undone: dict[str, tuple[int, tuple[Message, ...]]] = {}
        self._expected: tuple[str, tuple[Message, ...]] | None = None

    # -- requests --------------------------------------------------------------------------------

    def asks(self, rung: ev.Rung, text: str, mark: str, now_s: float) -> None:
        """A model is asked for `text`; its answer will hold `mark`."""
        if self._running is None:
            if self._late_since_s is None:
                self._late_since_s = now_s
            if now_s - self._late_since_s > HEARD_S:
                self._complain("P5", f"a model is asked ({rung}) for a compaction that is over")
            return
        if self._failed[rung] >= TRIES_MAX[rung]:
            self._complain("P5", f"{rung} is tried again after {self._failed[rung]} failures")
        if text in self._finished:
            self._complain("P5", "a chunk that was summarised is asked for again")
        self._asked[mark] = text

    # -- events ----------------------------------------------------------------------------------

    def before(self, event: ev.Event, state: SessionState) -> None:
        """Check an event against what was recorded before it."""
        self._begun_unasked(event)
        match event:
            case ev.CompactionStarted():
                self._started(event, state)
            case ev.CompactionRungFailed():
                self._failed[event.rung] += 1
            case ev.CompactionChunkSummarised():
                self._finished.update(
                    text for mark, text in self._asked.items() if mark in event.summary
                )
            case ev.CompactionCommitted():
                self._before[event.compaction_id] = self._changes, _shown(state)
                self._size_before = tokens.estimate(view.messages(state))
            case ev.CompactionUndone():
                self._undoing(event, state)
            case ev.CompactionRedone():
                self._redoing(event)
            case ev.ModelSelected() | ev.TurnResumed(by="user"):
                self._acts += 1
            case ev.CompactionEnded():
                self._cancelled = event.outcome is ev.CompactionEnd.CANCELLED
            case _:
                pass
        if isinstance(event, _OTHER_VIEW):
            self._changes += 1

    def _begun_unasked(self, event: ev.Event) -> None:
        """After a cancel nothing begins by itself; that nothing could be removed may be said."""
        unasked, self._unasked = self._unasked, False
        said = isinstance(event, ev.CompactionEnded) and event.outcome is ev.CompactionEnd.POINTLESS
        if unasked and not said:
            self._complain("P7", "a compaction begins by itself after one was cancelled")

    def after(self, event: ev.Event, state: SessionState) -> None:
        """Check the view that an event has led to."""
        if self._expected is not None:
            promise, expected = self._expected
            self._expected = None
            if _shown(state)[: len(expected)] != expected:
                self._complain("P4", promise)
        if isinstance(event, ev.CompactionCommitted):
            changes, before = self._before[event.compaction_id]
            self._before[event.compaction_id] = changes + 1, before
            after = tokens.estimate(view.messages(state))
            if after > self._size_before:
                self._complain("P5", f"compaction {event.compaction_id} made nothing smaller")

        if isinstance(event, ev.CompactionCommitted | ev.CompactionEnded):
            self._running = None

    def _started(self, event: ev.CompactionStarted, state: SessionState) -> None:
        if self._running is not None:
            self._complain("P5", "a compaction begins beside another one")
        self._running, self._late_since_s = event, None
        self._failed.clear()
        if event.tokens_before >= IMPOSSIBLE_TOKENS:
            self._complain("P12", f"{event.tokens_before} tokens are no reason to compact")
        at = (len(state.messages), self._changes, self._acts)
        if event.trigger == "auto" and not event.blocking:
            self._unasked = self._cancelled
            if at == self._tried_at:
                self._complain("P5", "a compaction begins though nothing has changed since")
        if event.trigger == "manual":
            self._cancelled = False
        self._tried_at = at

    def _undoing(self, event: ev.CompactionUndone, state: SessionState) -> None:
        if state.in_force is None or state.in_force.compaction_id != event.compaction_id:
            return  # Two people took it back at once.
        known = self._before.pop(event.compaction_id, None)
        self._undone[event.compaction_id] = self._changes + 1, _shown(state)
        if known is not None and known[0] == self._changes:
            self._expected = f"undoing {event.compaction_id} leaves another view", known[1]

    def _redoing(self, event: ev.CompactionRedone) -> None:
        known = self._undone.pop(event.compaction_id, None)
        if known is not None and known[0] == self._changes:
            self._expected = f"redoing {event.compaction_id} leaves another view", known[1]


def _shown(state: SessionState) -> tuple[Message, ...]:
    """Return the view without thinking, which is left out where it is bound elsewhere (R72)."""
    bare = (view.without_thinking(message) for message in view.messages(state))
    return tuple(message for message in bare if message.blocks)
