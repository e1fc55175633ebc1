"""What a journal promises about retries, answers, stops and text, counted without the core's fold.

Law: the ledger reads events only and keeps its own counts, so that a fold which forgets does not
make its judge forget too. `before` sees an event against what was recorded before it, `after`
against the state that it led to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.conversation.history import Message
from holdfast.session import events as ev
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.session.fold.responses import PROGRESS_CHARS
from holdfast.session.ladder import EXTRA_REQUESTS_MAX
from holdfast.session.origins import index_of
from holdfast.session.state import LOOKING_BACK, SessionState
from simulation.compactions import CompactionLedger
from simulation.ways import WaysLedger

Complain = Callable[[str, str], None]

RETRY_BUDGET_MS: Final = 90_000
RETRY_MAX_DELAY_MS: Final = 60_000
PROBE_MAX_MS: Final = 300_000
"""What the simulated settings say about retries."""

_AT_LIMIT: Final = frozenset({ev.CutCause.OUTPUT_LIMIT, ev.CutCause.WINDOW_FULL, ev.CutCause.PIECE})
_AGAIN: Final = frozenset({Remedy.RETRY, Remedy.CONTINUE})


class Ledger:
    """Attempts, budget, times, questions, held queue and shown text of one session."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self.compactions = CompactionLedger(complain)
        self.ways = WaysLedger(complain)
        self.resuming = 0  # How many people are asking to go on just now.
        self._failures = 0
        self._trouble_since_ms: int | None = None
        self._failure: Failure | None = None
        self._due: tuple[int, int] | None = None
        self._held = False
        self._questions: dict[str, str] = {}
        self._answers: dict[str, str] = {}
        self._authorised: set[str] = set()
        self._texts: dict[int, str] = {}
        self._cut = ""
        self._covered: dict[str, tuple[Message, ...]] = {}
        self._refusals = 0
        self._taken: dict[tuple[str, ...], list[tuple[ev.MessageEdit, ...]]] = {}
        self._replaced: dict[str, dict[str, tuple[Message, ...]]] = {}

    def before(self, event: ev.Event, at_ms: int, state: SessionState, *, live: bool) -> None:
        """Check an event. `live` is whether it happens now and is not read once more."""
        self.ways.before(event, at_ms)
        self._request(event, at_ms)
        self._retry(event, at_ms)
        self._stop(event, state, live)
        self._question(event)
        self._text(event)
        self._compaction(event, state)
        self.compactions.before(event, state)
        self._ladder(event, state)

    def after(self, event: ev.Event, state: SessionState) -> None:
        """Check that what was cut, or taken back, is in the history."""
        if isinstance(event, ev.RepairUndone):
            self._undone(event, state)
        self.compactions.after(event, state)
        if not isinstance(event, ev.ResponseCut) or not self._cut.strip():
            return
        if not any(
            block.type == "text" and block.text_of("text").rstrip() == self._cut.rstrip()
            for message in state.messages[-2:]
            for block in message.blocks
        ):
            self._complain("P1", "the text of a cut answer, which was shown, is lost")

    def may_go_on(self) -> None:
        """Somebody asked to go on and heard of no outcome: what was held back may begin."""
        self._held = False

    # -- attempts and times ----------------------------------------------------------------------

    def _request(self, event: ev.Event, at_ms: int) -> None:
        match event:
            case ev.RequestStarted():
                self._due = None
                if event.attempt != self._failures + 1:
                    self._complain(
                        "P7", f"attempt {event.attempt} follows {self._failures} recorded failures"
                    )
            case ev.RequestFailed():
                self._failures += 1
                self._failure = event.failure
                if self._trouble_since_ms is None:
                    self._trouble_since_ms = at_ms
            case ev.TurnStarted() | ev.ResponseFinished():
                self._progress()
            case ev.EndpointSelected():
                self._progress()
                self._failure = None  # What it asked for, another one asked for.
            case ev.ResponseCut():
                self._cut = "".join(self._texts[index] for index in sorted(self._texts))
                limit = event.cause in _AT_LIMIT and self._cut.strip()
                if limit or len(self._cut.rstrip()) >= PROGRESS_CHARS:
                    self._progress()
            case _:
                pass

    def _progress(self) -> None:
        self._failures, self._trouble_since_ms = 0, None

    def _retry(self, event: ev.Event, at_ms: int) -> None:
        since_ms = at_ms if self._trouble_since_ms is None else self._trouble_since_ms
        match event:
            case ev.RetryScheduled() if event.reason == LOOKING_BACK:
                self._due = (at_ms, at_ms)  # It goes on as soon as something was seen.
            case ev.RetryScheduled():
                self._due = (at_ms, event.retry_at_ms)
                asked_ms = (self._failure and self._failure.retry_after_ms) or 0
                delay_ms = event.retry_at_ms - at_ms
                if not asked_ms <= delay_ms <= max(asked_ms, RETRY_MAX_DELAY_MS):
                    self._complain("P7", f"a retry in {delay_ms} ms; the server said {asked_ms}")
                if event.retry_at_ms - since_ms > RETRY_BUDGET_MS:
                    self._complain("P7", "a retry was scheduled beyond the budget")
            case ev.TurnPaused():
                self._due = None if event.retry_at_ms is None else (at_ms, event.retry_at_ms)
                self._paused(event, at_ms - since_ms)
            case ev.ProbeFailed():
                self._due = (at_ms, event.retry_at_ms)
                asked_ms = event.failure.retry_after_ms or 0
                if not event.retry_at_ms - at_ms <= max(asked_ms, PROBE_MAX_MS):
                    self._complain("P7", f"the next look at the endpoint is at {event.retry_at_ms}")
            case ev.TurnResumed(by="user" | "wake"):
                self._due = None
                self._progress()
            case ev.TurnResumed():
                if self._due is None or self._due[0] <= at_ms < self._due[1]:
                    self._complain("P7", f"a turn went on by its {event.by} before its time")
                self._due = None
            case ev.TurnEnded():
                self._due = None
            case _:
                pass

    def _paused(self, event: ev.TurnPaused, spent_ms: int) -> None:
        """A failure that passes by itself pauses a turn only when its budget is spent."""
        failure = self._failure
        if failure is None or event.reason != failure.kind.value:
            return
        policy = POLICIES[failure.kind]
        longest_ms = max(RETRY_MAX_DELAY_MS, failure.retry_after_ms or 0)
        if policy.remedy in _AGAIN and spent_ms + longest_ms <= RETRY_BUDGET_MS:
            self._complain("P7", f"a turn was given up after {spent_ms} ms without progress")

    # -- refusals --------------------------------------------------------------------------------

    def _ladder(self, event: ev.Event, state: SessionState) -> None:
        """A refusal costs two more requests at most; no rung is taken twice; all can be undone."""
        match event:
            case ev.RequestFailed() if event.failure.kind is FailureKind.INVALID_REQUEST:
                self._refusals += 1
                if self._refusals > 1 + EXTRA_REQUESTS_MAX:
                    self._complain("P3", f"one refusal has cost {self._refusals} requests")
            case ev.TurnStarted() | ev.ResponseFinished():
                self._refusals = 0
            case ev.ResponseCut() if len(self._cut.rstrip()) >= PROGRESS_CHARS:
                self._refusals = 0
            case ev.TurnResumed(by="user"):
                self._refusals = 0
                self._taken.clear()
            case ev.HistoryRepaired():
                self._replaced[event.repair_id] = {
                    edit.origin: _of(edit.origin, state) for edit in event.edits
                }
                if event.cause is not None and event.cause.rung != "shrink":
                    cause = event.cause
                    taken = (cause.head, cause.rung, cause.place, cause.fragment)
                    # The next block of a message moves to the place of one that was withheld.
                    seen = self._taken.setdefault(taken, [])
                    if seen and (not event.edits or event.edits in seen):
                        self._complain("P3", f"a rung was taken twice: {taken}")
                    seen.append(event.edits)
            case _:
                pass

    def _undone(self, event: ev.RepairUndone, state: SessionState) -> None:
        self._taken.clear()  # A person took it back; what is refused again may be mended again.
        for origin, before in self._replaced.pop(event.repair_id, {}).items():
            if before and _of(origin, state) != before:
                self._complain("P4", f"{event.repair_id} was undone, but {origin} is changed still")

    # -- people ----------------------------------------------------------------------------------

    def _stop(self, event: ev.Event, state: SessionState, live: bool) -> None:
        match event:
            case ev.TurnEnded(reason=ev.TurnEnd.STOPPED):
                self._held = bool(state.queue)
            case ev.PromptAccepted():
                self._held = False
            case ev.TurnStarted():
                if self._held and live and not self.resuming:
                    self._complain("P7", f"turn {event.turn_id} began, which a stop held back")
                self._held = False
            case _:
                pass

    def _question(self, event: ev.Event) -> None:
        match event:
            case ev.QuestionAsked():
                self._questions[event.tool_use_id] = event.question_id
            case ev.QuestionAnswered():
                if event.question_id in self._answers:
                    self._complain("P11", f"{event.question_id} was answered twice")
                self._answers[event.question_id] = event.answer
            case ev.ToolAuthorised():
                question = self._questions.get(event.tool_use_id)
                if question and self._answers.get(question) not in {"allow", "allowAlways"}:
                    self._complain("P11", f"{event.tool_use_id} may run, but nobody allowed it")
                self._authorised.add(event.tool_use_id)
            case ev.ToolStarted():
                if event.tool_use_id not in self._authorised:
                    self._complain("P11", f"{event.tool_use_id} started, but it may not run")
            case _:
                pass

    # -- text and compactions --------------------------------------------------------------------

    def _text(self, event: ev.Event) -> None:
        match event:
            case ev.BlockDelta(kind="text"):
                self._texts[event.index] = self._texts.get(event.index, "") + event.text
            case ev.BlockFinished():
                block = ev.blocks_of((event.block,))[0]
                if block.type == "text":
                    self._texts[event.index] = block.text_of("text")
            case ev.RequestStarted() | ev.RequestFailed() | ev.TurnEnded():
                if any(text.strip() for text in self._texts.values()):
                    self._complain("P1", "text of an answer was shown and then forgotten")
                self._texts.clear()
            case ev.ResponseFinished() | ev.ResponseCut():
                self._texts.clear()
            case _:
                pass

    def _compaction(self, event: ev.Event, state: SessionState) -> None:
        match event:
            case ev.CompactionStarted():
                cut = index_of(state.messages, event.cut_origin)
                self._covered[event.compaction_id] = tuple(state.messages[:cut])
                if cut is None:
                    self._complain("P4", f"compaction {event.compaction_id} covers nothing known")
            case ev.CompactionCommitted():
                covered = self._covered.get(event.compaction_id, ())
                if tuple(state.messages[: len(covered)]) != covered:
                    self._complain(
                        "P4", f"compaction {event.compaction_id} stands for what has changed"
                    )
            case _:
                pass


def _of(origin: str, state: SessionState) -> tuple[Message, ...]:
    """Return the messages of a record, as they stand."""
    return tuple(message for message in state.messages if message.origin == origin)
