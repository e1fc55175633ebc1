"""Bugs planted into the core on purpose: a simulation that does not find them proves nothing.

Law: each is one small change of one function, made for the time of one run and taken back. The
core's own code stays untouched on disk. The README says in words what each of them breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from msgspec import structs

from holdfast.agent import compaction as compactor
from holdfast.agent import limits
from holdfast.agent.api import Accepted
from holdfast.agent.compaction.progress import Progress
from holdfast.agent.driver import Driver
from holdfast.agent.feed import Feed
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation import cut_points
from holdfast.journal.store import Durability, LeaseLost, StoreUnavailable
from holdfast.session import (
    compaction,
    failover,
    fold,
    lifecycle,
    lifetimes,
    mending,
    model_calls,
    soundness,
    tool_calls,
)
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.compaction import budget, planning
from holdfast.session.state import CallState, Phase, SessionState
from holdfast.session.step import Step
from simulation.disk import SimulatedStore

Change = tuple[Any, Any, Callable[[Any], Any]]


@attrs.frozen
class Bug:
    """A change: in `place` the thing called `name` becomes `make(original)`.

    `wordy` says that it shows where much is said, and is looked for there first.
    """

    name: str
    changes: tuple[Change, ...]
    wordy: bool = False


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Plant a bug for a while."""
    originals = [(place, key, _get(place, key)) for place, key, _ in bug.changes]
    try:
        for place, key, make in bug.changes:
            _set(place, key, make(_get(place, key)))
        yield
    finally:
        for place, key, original in reversed(originals):
            _set(place, key, original)


def _get(place: Any, key: Any) -> Any:
    return place.get(key) if isinstance(place, dict) else getattr(place, key)


def _set(place: Any, key: Any, value: Any) -> None:
    if isinstance(place, dict):
        if value is None:
            del place[key]
        else:
            place[key] = value
    else:
        setattr(place, key, value)


def _acts_before_it_records(persist: Any) -> Any:
    """What `advance` wants is done before its events are in the journal."""

    async def take(self: Driver, letter: Any) -> None:
        persist_now = self._persist
        wanted: list[inp.Effect] = []
        carry_out = self._carry_out

        async def late(records: Sequence[inp.Recorded], given: inp.Input) -> None:
            if any(isinstance(record.event, ev.RequestStarted) for record in records):
                carry_out(inp.CallModel(self.state.turn.turn_id, 1, "m"))
                wanted.append(inp.CallModel)
            await persist_now(records, given)

        def once(effect: inp.Effect) -> None:
            if type(effect) not in wanted:
                carry_out(effect)

        self._persist, self._carry_out = late, once
        try:
            await persist(self, letter)
        finally:
            del self._persist, self._carry_out

    return take


def _goes_back_in_mid_turn(tick: Any) -> Any:
    def early(step: Step, given: inp.Tick) -> None:
        home, turn = step.env.limits.home, step.state.turn
        if home is not None and turn is not None and turn.attempts and step.state.wait is not None:
            step.emit(
                ev.EndpointSelected(
                    endpoint=home.endpoint, model=step.state.model, reason="returned"
                )
            )
        tick(step, given)

    return early


def _forgets_what_it_left(selected: Any) -> Any:
    def forget(state: SessionState, event: Any, seq: int, at_ms: int) -> None:
        selected(state, event, seq, at_ms)
        if state.turn is not None:
            state.turn.left = []

    return forget


def _asks_for_all(request_of: Any) -> Any:
    def whole(*given: Any) -> Any:
        return attrs.evolve(request_of(*given), max_output_tokens=500)

    return whole


def _runs_before_it_records(persist: Any) -> Any:
    async def early(self: Driver, records: Sequence[inp.Recorded], given: inp.Input) -> None:
        for record in records:
            if isinstance(record.event, ev.ToolStarted):
                call = self.state.calls.get(record.event.tool_use_id)
                if call is not None:
                    self._carry_out(inp.RunTool(call.tool_use_id, call.block))
        await persist(self, records, given)

    return early


def _ignores_a_lost_lease(persist: Any) -> Any:
    async def stubborn(self: Driver, records: Sequence[inp.Recorded], given: inp.Input) -> None:
        try:
            await persist(self, records, given)
        except LeaseLost:
            self.feed.publish(records)

    return stubborn


def _acknowledges_first(take: Any) -> Any:
    async def early(self: Driver, letter: Any) -> None:
        if isinstance(letter.given, inp.Submit):
            self.state.prompts.setdefault(letter.given.prompt_id, letter.given.turn_id)
            letter.succeed()
            del self.state.prompts[letter.given.prompt_id]
        await take(self, letter)

    return early


def _shows_first(persist: Any) -> Any:
    async def early(self: Driver, records: Sequence[inp.Recorded], given: inp.Input) -> None:
        self.feed.publish(records)
        publish, self.feed.publish = self.feed.publish, lambda _records: None
        try:
            await persist(self, records, given)
        finally:
            self.feed.publish = publish

    return early


def _runs_started_calls_again(_recover: Any) -> Any:
    def recover(step: Step) -> None:
        for call in step.state.open_calls():
            if call.state is CallState.STARTED:
                step.want(inp.RunTool(call.tool_use_id, call.block))
            elif call.state is CallState.REQUESTED:
                step.want(inp.Judge(call.tool_use_id, call.block))
        tool_calls._go_on(step)

    return recover


def _takes_a_prompt_twice(_submit: Any) -> Any:
    def submit(step: Step, given: inp.Submit) -> None:
        step.emit(
            ev.PromptAccepted(
                prompt_id=given.prompt_id,
                turn_id=given.turn_id,
                content=ev.raw_blocks(given.blocks),
            )
        )
        model_calls.next_turn(step)

    return submit


def _without_a_timer(decide: Any) -> Any:
    def forget(step: Step, *args: Any) -> None:
        decide(step, *args)
        step._effects = [e for e in step._effects if not isinstance(e, inp.WakeAt)]

    return forget


def _cuts_anywhere(_cuts: Any) -> Any:
    def anywhere(find: Any, history: Any) -> tuple[int, ...]:
        if find is cut_points.cuts_within_turn:
            return tuple(range(len(history) - 1, 0, -1))
        return ()

    return anywhere


def _ends_in_silence(_prepare: Any) -> Any:
    async def silent(*_: Any, **__: Any) -> None:
        return

    return silent


def _accepts_lazily(append: Any) -> Any:
    async def lazily(
        self: Any, lease: Any, records: Any, durability: Durability, change: Any = None
    ) -> None:
        await append(self, lease, records, Durability.LAZY, change)

    return lazily


def _forgets_failures_on_reload(_reload: Any) -> Any:
    async def reload(self: Driver) -> None:
        """Go on with the state in memory although it could not be written."""
        self._store_trouble = None

    return reload


def _swallows_what_was_refused(persist: Any) -> Any:
    async def swallow(self: Driver, records: Sequence[inp.Recorded], given: inp.Input) -> None:
        try:
            await persist(self, records, given)
        except StoreUnavailable:
            self.feed.publish(records)

    return swallow


def _goes_on_at_once(_tick: Any) -> Any:
    def early(step: Step, _given: inp.Tick) -> None:
        """Take every look at the clock for the time that was waited for."""
        if step.state.wait is not None or step.state.pause is not None:
            step.emit(ev.TurnResumed(by="timer"))
            model_calls.request(step)

    return early


def _goes_on_late(tick: Any) -> Any:
    def late(step: Step, given: inp.Tick) -> None:
        due = step.state.wait or step.state.pause
        at_ms = due.retry_at_ms + 60_000 if due and due.retry_at_ms else 0
        if step.env.now_ms < at_ms:
            step.want(inp.WakeAt(at_ms))
        else:
            tick(step, given)

    return late


def _hears_no_retry_after(retry: Any) -> Any:
    def deaf(step: Step, turn: Any, failure: Any, policy: Any) -> None:
        retry(step, turn, structs.replace(failure, retry_after_ms=None), policy)

    return deaf


def _counts_anew(fold_event: Any) -> Any:
    """The fold takes an event for a reason to try as often as at the beginning."""

    def count(state: SessionState, event: Any, seq: int, at_ms: int) -> None:
        if fold_event is not None:
            fold_event(state, event, seq, at_ms)
        if state.turn is not None:
            state.turn.attempts = 0

    return count


def _keeps_the_trouble_in_mind(fold_event: Any) -> Any:
    """The fold counts attempts anew after progress, but not the time that they may take."""

    def strict(state: SessionState, event: Any, seq: int, at_ms: int) -> None:
        since_ms = state.turn.trouble_since_ms if state.turn else None
        fold_event(state, event, seq, at_ms)
        if state.turn is not None:
            state.turn.trouble_since_ms = since_ms

    return strict


def _takes_over_the_turn_id(submit: Any) -> Any:
    def take_over(step: Step, given: inp.Submit) -> None:
        turn = step.state.turn
        if turn is not None and step.state.phase is Phase.PAUSED:
            given = attrs.evolve(given, turn_id=turn.turn_id)
        submit(step, given)

    return take_over


def _takes_silence_for_a_yes(recover: Any) -> Any:
    def trusting(step: Step) -> None:
        for question in list(step.state.questions.values()):
            step.emit(
                ev.ToolAuthorised(tool_use_id=question.tool_use_id, by="restart", mutates=True)
            )
        recover(step)

    return trusting


def _records_every_answer(answered: Any) -> Any:
    def every(step: Step, given: inp.Answered) -> None:
        if given.question_id in step.state.answered and step.state.calls:
            step.emit(ev.QuestionAnswered(question_id=given.question_id, answer=given.answer))
        answered(step, given)

    return every


def _stops_lazily(append: Any) -> Any:
    async def lazily(
        self: Any, lease: Any, records: Any, durability: Durability, change: Any = None
    ) -> None:
        if any(record.type == "stopRequested" for record in records):
            durability = Durability.LAZY
        await append(self, lease, records, durability, change)

    return lazily


def _starts_what_is_held(restarted: Any) -> Any:
    def start(step: Step, given: inp.Restarted) -> None:
        restarted(step, given)
        model_calls.next_turn(step, held_too=True)

    return start


def _commits_over_anything(commit: Any) -> Any:
    def blindly(step: Step) -> None:
        running = step.state.compaction
        if running is not None and running.summary is not None and not step.state.requested:
            compaction_id = running.started.compaction_id
            step.emit(ev.CompactionCommitted(compaction_id=compaction_id))

    return blindly


def _drops_an_undo(note: Any) -> Any:
    def drop(step: Step, given: inp.Note) -> None:
        undone = any(isinstance(event, ev.CompactionUndone) for event in given.events)
        if not undone or step.state.turn is None:
            note(step, given)

    return drop


def _loses_the_text(cut: Any) -> Any:
    def lose(state: SessionState, event: Any, seq: int, at_ms: int) -> None:
        if state.response is not None and event.cause is not ev.CutCause.STOPPED:
            state.response.texts.clear()
        cut(state, event, seq, at_ms)

    return lose


def _takes_rungs_again(restarted: Any) -> Any:
    """A new owner begins the ladder anew where the last one had left it."""

    def again(step: Step, given: inp.Restarted) -> None:
        state = step.state
        if state.turn is not None and state.turn.repairs:
            head, rung, place, fragment = max(state.tried)
            cause = ev.RepairCause(rung=rung, head=head, place=place, fragment=fragment)
            repair_id = f"r_{state.seq + 1}"
            step.emit(ev.HistoryRepaired(repair_id=repair_id, notes=(), edits=(), cause=cause))
        restarted(step, given)

    return again


def _forgets_after_a_restart(examine: Any) -> Any:
    def forget(step: Step) -> None:
        records = step.finish().records
        if not any(isinstance(record.event, ev.SessionRecovered) for record in records):
            examine(step)

    return forget


def _asks_for_ever(refused: Any) -> Any:
    def again(step: Step) -> None:
        turn = step.state.turn
        if turn is not None and turn.examining:
            turn.refusals = 1
        refused(step)

    return again


def _keeps_what_was_undone(_undone: Any) -> Any:
    def keep(state: SessionState, event: Any, _seq: int, _at: int) -> None:
        state.repairs.pop(event.repair_id, None)

    return keep


def _is_not_counted(_fold_event: Any) -> Any:
    return lambda _state, _event, _seq, _at_ms: None


def _goes_on_after_a_cancel(cancel: Any) -> Any:
    """A cancelled compaction is recorded as over, and its task is left alone."""

    def leave(step: Step, given: inp.CancelCompaction) -> None:
        cancel(step, given)
        step._effects = [e for e in step._effects if not isinstance(e, inp.AbortCompaction)]

    return leave


def _insists_after_a_cancel(fold_event: Any) -> Any:
    def insist(state: SessionState, event: Any, seq: int, at_ms: int) -> None:
        fold_event(state, event, seq, at_ms)
        state.compaction_held = False

    return insist


def _takes_what_is_larger(_ready: Any) -> Any:
    def take(step: Step, given: inp.CompactionReady) -> None:
        running = step.state.compaction
        if running is None or running.summary is not None:
            return
        step.emit(
            ev.CompactionPrepared(
                compaction_id=given.compaction_id,
                rung=given.rung,
                summary=given.summary * 40,
                tokens_after=0,
            )
        )

    return take


def _begins_at_nothing(enter: Any) -> Any:
    def anew(self: Progress, rung: ev.Rung) -> None:
        self._last = attrs.evolve(self._last, percentage=0)
        enter(self, rung)

    return anew


def _does_nothing(_original: Any) -> Any:
    return lambda *_: None


def _skips_an_event(after: Any) -> Any:
    async def skip(self: Feed, seq: int) -> Any:
        found = await after(self, seq)
        return [found[-1]] if len(found) > 3 else found

    return skip


def _sends_what_is_known_at_once(send: Any) -> Any:
    async def known(
        self: Supervisor, session_id: str, content: Any, prompt_id: str | None, *rest: Any
    ) -> Any:
        driver = await self._sessions.owned(session_id)
        if prompt_id in driver.state.prompts:
            return Accepted(driver.state.prompts[prompt_id], prompt_id, driver.feed.head, False)
        return await send(self, session_id, content, prompt_id, *rest)

    return known


def _acknowledges_any_answer(answer: Any) -> Any:
    async def any_answer(self: Supervisor, question_id: str, given: Any) -> None:
        driver = await self._sessions.settled(question_id.partition(":")[0])
        if question_id in driver.state.questions:
            await driver.ask(inp.Answered(question_id, given))
        else:
            await answer(self, question_id, given)

    return any_answer


BUGS: Sequence[Bug] = (
    Bug("a request is sent before its record", ((Driver, "_take", _acts_before_it_records),)),
    Bug("a tool runs before its record", ((Driver, "_persist", _runs_before_it_records),)),
    Bug("a lost lease is ignored", ((Driver, "_persist", _ignores_a_lost_lease),)),
    Bug("a prompt is acknowledged before its commit", ((Driver, "_take", _acknowledges_first),)),
    Bug("an event is shown before its commit", ((Driver, "_persist", _shows_first),)),
    Bug(
        "a restart runs a started call again", ((tool_calls, "recover", _runs_started_calls_again),)
    ),
    Bug("stop leaves the request open", ((Driver, "_abort_request", _does_nothing),)),
    Bug(
        "a prompt id is taken twice",
        ((lifecycle._DECISIONS, inp.Submit, _takes_a_prompt_twice),),
    ),
    Bug(
        "a restart forgets the timer",
        ((lifecycle._DECISIONS, inp.Restarted, _without_a_timer),),
    ),
    Bug(
        "a compaction cuts between call and result, and nobody looks",
        (
            (planning, "_cuts", _cuts_anywhere),
            (soundness, "ensure", lambda _original: lambda _step, **_: None),
        ),
    ),
    Bug("a compaction ends in silence", ((compactor, "prepare", _ends_in_silence),)),
    Bug("prompts are appended lazily", ((SimulatedStore, "append", _accepts_lazily),)),
    Bug(
        "what the store refused stays in memory",
        ((Driver, "_reload", _forgets_failures_on_reload),),
    ),
    Bug("a refused write counts as done", ((Driver, "_persist", _swallows_what_was_refused),)),
    Bug("a follower misses events", ((Feed, "_after", _skips_an_event),)),
    Bug(
        "the timer of a retry is never set",
        ((lifecycle._DECISIONS, inp.Failed, _without_a_timer),),
    ),
    Bug("a retry comes before its time", ((lifecycle._DECISIONS, inp.Tick, _goes_on_at_once),)),
    Bug("a retry comes late", ((lifecycle._DECISIONS, inp.Tick, _goes_on_late),)),
    Bug(
        "the server's retry-after is not heard",
        ((model_calls, "_retry", _hears_no_retry_after),),
    ),
    Bug(
        "a restart counts attempts anew",
        ((fold._HANDLERS, ev.SessionRecovered, _counts_anew),),
    ),
    Bug(
        "progress does not reset the budget",
        ((fold._HANDLERS, ev.ResponseFinished, _keeps_the_trouble_in_mind),),
    ),
    Bug(
        "a prompt takes over the id of the turn that it supersedes",
        ((lifecycle._DECISIONS, inp.Submit, _takes_over_the_turn_id),),
    ),
    Bug(
        "a restart takes an open question for a yes",
        ((tool_calls, "recover", _takes_silence_for_a_yes),),
    ),
    Bug(
        "a question is answered twice",
        ((lifecycle._DECISIONS, inp.Answered, _records_every_answer),),
    ),
    Bug("a power cut forgets a stop", ((SimulatedStore, "append", _stops_lazily),)),
    Bug(
        "a restart starts what a stop held back",
        ((lifecycle._DECISIONS, inp.Restarted, _starts_what_is_held),),
    ),
    Bug(
        "a compaction is committed over a history that has changed",
        ((compaction, "commit_prepared", _commits_over_anything),),
        wordy=True,
    ),
    Bug(
        "an undo during a turn is acknowledged and dropped",
        ((lifecycle._DECISIONS, inp.Note, _drops_an_undo),),
    ),
    Bug(
        "a restart takes a rung of the ladder again",
        ((lifecycle._DECISIONS, inp.Restarted, _takes_rungs_again),),
    ),
    Bug("one refusal is paid for again and again", ((mending, "refused", _asks_for_ever),)),
    Bug(
        "a repair is undone in name only",
        ((fold._HANDLERS, ev.RepairUndone, _keeps_what_was_undone),),
    ),
    Bug("a restart forgets an examination", ((mending, "examine", _forgets_after_a_restart),)),
    Bug(
        "a restart forgets how often a summary was asked for",
        ((fold._HANDLERS, ev.CompactionRungFailed, _is_not_counted),),
        wordy=True,
    ),
    Bug(
        "finished chunks are not kept",
        ((fold._HANDLERS, ev.CompactionChunkSummarised, _is_not_counted),),
        wordy=True,
    ),
    Bug(
        "an undone compaction stays in force",
        ((fold._HANDLERS, ev.CompactionUndone, _is_not_counted),),
        wordy=True,
    ),
    Bug(
        "a compaction is redone in name only",
        ((fold._HANDLERS, ev.CompactionRedone, _is_not_counted),),
        wordy=True,
    ),
    Bug(
        "a summary that is larger than the history is taken",
        ((lifecycle._DECISIONS, inp.CompactionReady, _takes_what_is_larger),),
        wordy=True,
    ),
    Bug(
        "a cancelled compaction goes on asking the model",
        ((lifecycle._DECISIONS, inp.CancelCompaction, _goes_on_after_a_cancel),),
        wordy=True,
    ),
    Bug(
        "a cancelled compaction begins again by itself",
        ((fold._HANDLERS, ev.CompactionEnded, _insists_after_a_cancel),),
        wordy=True,
    ),
    Bug(
        "a request is sent though it does not fit",
        ((compaction, "make_room", lambda _original: lambda _step: False),),
        wordy=True,
    ),
    Bug(
        "a count that cannot be is believed",
        ((budget, "IMPOSSIBLE", lambda _original: 1e9),),
    ),
    Bug("progress of a compaction goes back", ((Progress, "enter", _begins_at_nothing),)),
    Bug(
        "the text of a cut answer is lost",
        ((fold._HANDLERS, ev.ResponseCut, _loses_the_text),),
    ),
)

WAYS: Sequence[Bug] = (
    Bug(
        "a session goes back to its endpoint in the middle of a turn",
        ((lifecycle._DECISIONS, inp.Tick, _goes_back_in_mid_turn),),
    ),
    Bug(
        "a turn goes to an endpoint that it has left",
        ((fold._HANDLERS, ev.EndpointSelected, _forgets_what_it_left),),
    ),
    Bug("a turn waits long for a look", ((failover, "LOOK_MS", lambda _original: 60_000),)),
    Bug(
        "two deaths at different ages are a limit",
        ((lifetimes, "is_same_age", lambda _original: lambda _one, _other: True),),
    ),
    Bug(
        "a known limit of ages is not kept to",
        ((limits, "request_of", _asks_for_all),),
    ),
)
"""Bugs that show where there is another endpoint, or something on the way."""

FOUND: Sequence[Bug] = (
    Bug("a state is shown that is not durable", ((Driver, "is_durable", lambda _: True),)),
    Bug(
        "a prompt that is known is acknowledged though it is not durable yet",
        ((Supervisor, "send", _sends_what_is_known_at_once),),
    ),
    Bug(
        "two answers to one question are both acknowledged",
        ((Supervisor, "answer", _acknowledges_any_answer),),
    ),
)
"""Bugs that the simulation found in the core, planted again."""
