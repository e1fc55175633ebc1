"""Bugs planted into the core on purpose: a simulation that does not find them proves nothing.

Law: each is one small change of one function, made for the time of one run and taken back. The
core's own code stays untouched on disk. The README says in words what each of them breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from holdfast.agent import compactor
from holdfast.agent.driver import Driver
from holdfast.agent.feed import Feed
from holdfast.conversation import cut_points
from holdfast.journal.store import Durability, LeaseLost, StoreUnavailable
from holdfast.session import compaction, lifecycle, model_calls, tool_calls
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.state import CallState
from holdfast.session.step import Step
from simulation.disk import SimulatedStore

Change = tuple[Any, Any, Callable[[Any], Any]]


@attrs.frozen
class Bug:
    """A change: in `place` the thing called `name` becomes `make(original)`."""

    name: str
    changes: tuple[Change, ...]


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
    return place[key] if isinstance(place, dict) else getattr(place, key)


def _set(place: Any, key: Any, value: Any) -> None:
    if isinstance(place, dict):
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


def _does_nothing(_original: Any) -> Any:
    return lambda *_: None


def _skips_an_event(after: Any) -> Any:
    async def skip(self: Feed, seq: int) -> Any:
        found = await after(self, seq)
        return [found[-1]] if len(found) > 3 else found

    return skip


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
            (compaction, "_cuts", _cuts_anywhere),
            (model_calls, "preflight", lambda _original: lambda _step, **_: None),
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
)

FOUND: Sequence[tuple[int, Bug]] = (
    (0, Bug("a state is shown that is not durable", ((Driver, "is_durable", lambda _: True),))),
)
"""Bugs that the simulation found in the core, planted again, with a seed that finds each."""
