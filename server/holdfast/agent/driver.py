"""The owner of one session: one task, one mailbox, the only one that appends.

Law: take an input, decide, make it durable, show it, act - in this order, always. An acknowledged
input is on disk. Nothing in here waits without a limit: what acts (`effects`) runs beside the
mailbox and answers through it; a store that cannot be written is tried again, visibly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from holdfast.agent.api import CompactionProgress, Status
from holdfast.agent.effects import Effects
from holdfast.agent.feed import Feed
from holdfast.agent.limits import env_of, model_of
from holdfast.agent.mailbox import Letter, Mailbox
from holdfast.agent.reading import status_of
from holdfast.agent.services import Services
from holdfast.agent.summaries import summary_change
from holdfast.journal import codec
from holdfast.journal.store import (
    Durability,
    Lease,
    LeaseLost,
    SessionUnknown,
    StoreError,
    StoreUnavailable,
)
from holdfast.model.capabilities import from_table
from holdfast.model.port import Capabilities
from holdfast.session import inputs as inp
from holdfast.session.compaction import budget
from holdfast.session.events import EndpointSelected
from holdfast.session.fold import fold
from holdfast.session.lifecycle import advance
from holdfast.session.state import Phase, SessionState

STORE_RETRY_FIRST_S: Final = 0.25
STORE_RETRY_MAX_S: Final = 5.0
CLOSE_GRACE_S: Final = 5.0

_log: Final = logging.getLogger(__name__)

_PEOPLES: Final = (inp.Submit, inp.Note, inp.CompactAsked, inp.Answered, inp.Resume)
"""Inputs whose sender waits for the answer and can try again: refused when the store is."""


class Driver:
    """Owns one session while this process holds its lease."""

    def __init__(
        self,
        *,
        session_id: str,
        lease: Lease,
        state: SessionState,
        services: Services,
        on_lost: Callable[[Driver], None],
    ) -> None:
        self.session_id = session_id
        self.lease = lease
        self.state = state
        self.capabilities = _by_table(services, state)
        self._services = services
        self._on_lost = on_lost
        self._mailbox = Mailbox()
        self._effects = Effects(self, services, self._mailbox)
        self._progress: CompactionProgress | None = None
        self._store_trouble: str | None = None
        self._phase_written = ""
        self._measured: tuple[SessionState, int, inp.Limits, int] | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closed = False
        self.feed = Feed(
            session_id, services.store, state.seq, self.status(), services.overview.touch
        )
        self._learning: asyncio.Task[None] | None = None
        self._owner = asyncio.create_task(self._run(), name=f"session {session_id}")
        self._owner.add_done_callback(self._owner_ended)
        self._ticker = asyncio.create_task(self._tick(), name=f"status {session_id}")
        self.learn_capabilities()

    # -- for the supervisor ----------------------------------------------------------------------

    async def ask(self, given: inp.Input) -> None:
        """Hand over an input and return when it is durable.

        Raises `StoreUnavailable` or `LeaseLost`; then nothing of it happened, unless it is a stop:
        that works at once, is answered at once, and is recorded as soon as it can be.
        """
        if self._closed:
            raise LeaseLost(self.session_id)
        if self._store_trouble is not None and isinstance(given, _PEOPLES):
            raise StoreUnavailable(self._store_trouble)
        if isinstance(given, inp.Stop):
            self._abort_request()  # Stop works on local state at once, whatever is queued (P7).
            if self._store_trouble is not None:
                self._effects.end_calls()
                self.post(given)
                raise _stopped_unrecorded(self._store_trouble)
        await self._mailbox.send(given)

    def post(self, given: inp.Input) -> None:
        """Hand over an input without waiting."""
        self._mailbox.post(given)

    def woke(self) -> None:
        """The machine has slept: doubt the request under way, and wait for nothing else longer."""
        self._effects.doubt_request()
        self._effects.doubt_compaction()
        self.post(inp.Woke())

    async def retry(self) -> None:
        """Try again now: what waits, or a request of which nothing is heard. Raises like `ask`."""
        self._effects.hurry()
        silent = self.status().silent_ms is not None
        await self.ask(inp.Resume(give_up=silent))

    async def quiet(self) -> None:
        """Return when all that the state says is in the journal, or the store is in trouble."""
        while not self._quiet.is_set():  # Cleared again before we woke: the next step has begun.
            await self._quiet.wait()

    @property
    def is_durable(self) -> bool:
        """Whether all that the state says is in the journal."""
        return self.state.seq == self.feed.head

    def status(self) -> Status:
        """Return what the session is doing now."""
        now = self._services.world.now_ms()
        return status_of(
            self.session_id,
            self.state,
            silent_ms=now - self._effects.last_sign_ms,
            idle_warn_ms=int(self._services.settings.idle_warn_s * 1000),
            cut_at_ms=self._effects.cut_at_ms(),
            progress=self._progress,
            store_trouble=self._store_trouble,
        )

    def context_tokens(self, limits: inp.Limits) -> int:
        """Return the tokens of the next request; counted once until something happens."""
        known = self._measured
        now = (self.state, self.state.seq, limits)
        if known is None or known[0] is not now[0] or known[1:3] != now[1:]:
            self._measured = known = (*now, budget.context_tokens(self.state, limits))
        return known[3]

    def learn_capabilities(self) -> None:
        """Ask the endpoint what the session's model can do; until it answers the table counts."""
        state = self.state
        self.capabilities = _by_table(self._services, state)
        if self._learning is not None:
            self._learning.cancel()
        wanted = model_of(self._services, state)
        self._learning = asyncio.create_task(self._learn(wanted, state.endpoint))

    async def _learn(self, model: str, endpoint: str) -> None:
        self.capabilities = await self._services.model_at(endpoint).capabilities(model)

    async def close(self) -> None:
        """Stop working on the session and give it back. The turn goes on at the next opening."""
        self._closed = True
        self._owner.cancel()
        tasks = self._end_all()
        await asyncio.wait({self._owner, self._ticker, *tasks}, timeout=CLOSE_GRACE_S)
        self._mailbox.refuse(LeaseLost(self.session_id))
        self.feed.close()
        await self._services.store.release(self.lease)

    # -- the owner task --------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._effects.sweep()
        while True:
            letter = await self._mailbox.next()
            if self._effects.is_stale(letter):
                continue
            try:
                await self._serve(letter)
            except (LeaseLost, SessionUnknown) as lost:
                letter.fail(lost)
                _log.warning("session %s: another server took over", self.session_id)
                self.lose()
                return

    async def _serve(self, letter: Letter) -> None:
        """Take one input; what could not be written did not happen. Raises when the session has
        gone to another owner, or has gone for good.
        """
        try:
            await self._take(letter)
        except (LeaseLost, SessionUnknown):
            raise
        except asyncio.CancelledError:  # The driver ends; whoever waits must not wait for ever.
            letter.fail(LeaseLost(self.session_id))
            raise
        except StoreUnavailable as error:
            letter.fail(error)
            await self._reload()
        except Exception as error:  # noqa: BLE001 (one guard per input)
            _log.exception("session %s: an input could not be taken", self.session_id)
            letter.fail(error)
            await self._reload()

    async def _take(self, letter: Letter) -> None:
        env = env_of(self.session_id, self._services, self.state, self.capabilities)
        self._quiet.clear()
        try:
            step = advance(self.state, letter.given, env)
            await self._persist(step.records, letter)
        finally:
            self._quiet.set()
        letter.succeed()
        if any(isinstance(record.event, EndpointSelected) for record in step.records):
            self.learn_capabilities()
        for effect in step.effects:
            self._carry_out(effect)
        if self.state.compaction is None:
            self._progress = None
        self.feed.publish_status(self.status())

    async def _persist(self, records: Sequence[inp.Recorded], letter: Letter) -> None:
        if not records:
            return
        lazy = all(record.event.LAZY for record in records)
        durability = Durability.LAZY if lazy else Durability.BARRIER
        encoded = [codec.encode(record) for record in records]
        change = summary_change(records, self.state.phase, self._phase_written)
        delay_s = STORE_RETRY_FIRST_S
        while True:
            try:
                await self._services.store.append(self.lease, encoded, durability, change)
            except StoreUnavailable as error:
                if isinstance(letter.given, _PEOPLES):
                    raise
                self._quiet.set()
                # What the world told us cannot be asked for again: keep it and try until it is in.
                _log.warning("session %s: the store refuses: %s", self.session_id, error)
                self._store_trouble = str(error)
                self._mailbox.refuse(error, _PEOPLES)
                self._answer_stops(letter, self._store_trouble)
                self.feed.publish_status(self.status())
                await self._services.world.sleep(delay_s)
                delay_s = min(delay_s * 2, STORE_RETRY_MAX_S)
            else:
                break
        self._store_trouble = None
        if change is not None and change.phase is not None:
            self._phase_written = change.phase
        self.feed.publish(records, [len(record.payload) for record in encoded])

    def _answer_stops(self, letter: Letter, trouble: str) -> None:
        """Have stops work while the store refuses them: whoever stops does not wait for a disk."""
        error = _stopped_unrecorded(trouble)
        stopped = self._mailbox.tell(error, inp.Stop)
        if isinstance(letter.given, inp.Stop):
            letter.fail(error)
            stopped = True
        if stopped:
            self._effects.end_calls()

    async def _reload(self) -> None:
        """Fold the journal anew: what could not be written did not happen."""
        delay_s = STORE_RETRY_FIRST_S
        while True:
            try:
                records = await self._services.store.read(self.session_id)
            except SessionUnknown:
                raise
            except StoreError as error:
                self._store_trouble = str(error)
                self._mailbox.refuse(error, _PEOPLES)
                self.feed.publish_status(self.status())
                await self._services.world.sleep(delay_s)
                delay_s = min(delay_s * 2, STORE_RETRY_MAX_S)
            else:
                break
        self._store_trouble = None
        decoded = [codec.decode(record) for record in records]
        self.state = fold((r.seq, r.at_ms, r.event) for r in decoded)
        self.feed.publish_status(self.status())

    def _carry_out(self, effect: inp.Effect) -> None:
        """Have an effect begin. One that cannot begin has failed, and its failure is the input."""
        if isinstance(effect, inp.CallModel | inp.AbortModel | inp.Examine):
            self._abort_request()  # There is never more than one.
        try:
            self._effects.begin(effect)
        except Exception as error:  # noqa: BLE001 (one guard per effect)
            self._effects.failed(effect, error)

    def _abort_request(self) -> None:
        self._effects.end_request()

    def show_progress(self, progress: CompactionProgress) -> None:
        """Show how far the compaction has come."""
        self._progress = progress
        self.feed.publish_status(self.status())

    async def _tick(self) -> None:
        """Show the passing of time once a second while something is waited for."""
        while True:
            await self._services.world.sleep(self._tick_s())
            if self.state.phase not in {Phase.IDLE, Phase.QUEUED} or self.state.compaction:
                self.feed.publish_status(self.status())

    def _tick_s(self) -> float:
        """Return how long until the status is shown again: when silence is told, to the moment."""
        world, warn_s = self._services.world, self._services.settings.idle_warn_s
        until_told_s = warn_s - (world.now_ms() - self._effects.last_sign_ms) / 1000
        return min(1.0, until_told_s + 0.01) if until_told_s > 0 else 1.0

    # -- ends ------------------------------------------------------------------------------------

    def _end_all(self) -> set[asyncio.Task[None]]:
        self._ticker.cancel()
        ending = self._effects.end_all()
        if self._learning is not None and self._learning.cancel():
            ending.add(self._learning)
        return ending

    def _owner_ended(self, owner: asyncio.Task[None]) -> None:
        if not owner.cancelled() and (error := owner.exception()) is not None:
            _log.critical("session %s: its owner died", self.session_id, exc_info=error)
            self.lose()

    def lose(self) -> None:
        """End without a word to the journal: another owner has the session. Harmless twice."""
        if self._closed:
            return
        self._closed = True
        self._owner.cancel()
        self._end_all()
        self._mailbox.refuse(LeaseLost(self.session_id))
        self.feed.close()
        self._on_lost(self)


def _by_table(services: Services, state: SessionState) -> Capabilities:
    """Return what the session's model can do where it is asked for, without asking."""
    return from_table(services.settings.there(state.endpoint, model_of(services, state)))


def _stopped_unrecorded(trouble: str) -> StoreUnavailable:
    words = "The turn is stopped, which is recorded as soon as the session store can be written"
    return StoreUnavailable(f"{words} ({trouble}).")
