"""The owner of one session: one task, one mailbox, the only one that appends.

Law: take an input, decide, make it durable, show it, act - in this order, always. An acknowledged
input is on disk. Nothing in here waits without a limit: the model, the tools and the compactor run
beside the mailbox and answer through it; a store that cannot be written is tried again, visibly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from holdfast.agent import approvals, compactor, requests
from holdfast.agent.api import CompactionProgress, Status
from holdfast.agent.feed import Feed
from holdfast.agent.limits import env_of, model_request
from holdfast.agent.mailbox import Letter, Mailbox
from holdfast.agent.reading import status_of
from holdfast.agent.services import Services
from holdfast.agent.summaries import summary_change
from holdfast.conversation.history import text
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
from holdfast.session import inputs as inp
from holdfast.session.events import Rung
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.fold import fold
from holdfast.session.lifecycle import advance
from holdfast.session.state import Phase, SessionState

STORE_RETRY_FIRST_S: Final = 0.25
STORE_RETRY_MAX_S: Final = 5.0
WAKE_LOOK_S: Final = 5.0
MAILBOX_HIGH: Final = 256
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
        on_lost: Callable[[str], None],
    ) -> None:
        self.session_id = session_id
        self.lease = lease
        self.state = state
        self.capabilities = from_table(state.model or services.settings.model)
        self._services = services
        self._on_lost = on_lost
        self._mailbox = Mailbox()
        self._request_no = 0
        self._model: asyncio.Task[None] | None = None
        self._compaction: asyncio.Task[None] | None = None
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._last_sign_ms = services.world.now_ms()
        self._progress: CompactionProgress | None = None
        self._store_trouble: str | None = None
        self._phase_written = ""
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closed = False
        self.feed = Feed(session_id, services.store, state.seq, self.status())
        self._owner = asyncio.create_task(self._run(), name=f"session {session_id}")
        self._owner.add_done_callback(self._owner_ended)
        self._ticker = asyncio.create_task(self._tick(), name=f"status {session_id}")
        self._learning: asyncio.Task[None] | None = None
        self.learn_capabilities()

    # -- for the supervisor ----------------------------------------------------------------------

    async def ask(self, given: inp.Input) -> None:
        """Hand over an input and return when it is durable.

        Raises `StoreUnavailable` or `LeaseLost`; then nothing of it happened.
        """
        if self._closed:
            raise LeaseLost(self.session_id)
        if self._store_trouble is not None and isinstance(given, _PEOPLES):
            raise StoreUnavailable(self._store_trouble)
        if isinstance(given, inp.Stop):
            self._abort_request()  # Stop works on local state at once, whatever is queued (P7).
        await self._mailbox.send(given)

    def post(self, given: inp.Input) -> None:
        """Hand over an input without waiting."""
        self._mailbox.post(given)

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
            silent_ms=now - self._last_sign_ms,
            idle_warn_ms=int(self._services.settings.idle_warn_s * 1000),
            progress=self._progress,
            store_trouble=self._store_trouble,
        )

    def learn_capabilities(self) -> None:
        """Ask the endpoint what the session's model can do; until it answers the table counts."""
        model = self.state.model or self._services.settings.model
        self.capabilities = from_table(model)
        self._end(self._learning)
        self._learning = asyncio.create_task(self._learn(model))

    async def _learn(self, model: str) -> None:
        self.capabilities = await self._services.model.capabilities(model)

    async def close(self) -> None:
        """Stop working on the session and give it back. The turn goes on at the next opening."""
        self._closed = True
        self._owner.cancel()
        self._ticker.cancel()
        tasks = self._abort_all()
        await asyncio.wait({self._owner, self._ticker, *tasks}, timeout=CLOSE_GRACE_S)
        self._mailbox.refuse(LeaseLost(self.session_id))
        self.feed.close()
        await self._services.store.release(self.lease)

    # -- the owner task --------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            letter = await self._mailbox.next()
            if letter.request_no is not None and letter.request_no != self._request_no:
                continue  # From a request that was aborted meanwhile.
            try:
                await self._serve(letter)
            except (LeaseLost, SessionUnknown) as lost:
                letter.fail(lost)
                _log.warning("session %s: another server took over", self.session_id)
                self._lose()
                return

    async def _serve(self, letter: Letter) -> None:
        """Take one input; what could not be written did not happen. Raises when the session has
        gone to another owner, or has gone for good.
        """
        try:
            await self._take(letter)
        except (LeaseLost, SessionUnknown):
            raise
        except StoreUnavailable as error:
            letter.fail(error)
            await self._reload()
        except Exception as error:  # noqa: BLE001 (one guard per input)
            _log.exception("session %s: an input could not be taken", self.session_id)
            letter.fail(error)
            await self._reload()

    async def _take(self, letter: Letter) -> None:
        env = env_of(self.session_id, self._services, self.capabilities)
        self._quiet.clear()
        try:
            step = advance(self.state, letter.given, env)
            await self._persist(step.records, letter.given)
        finally:
            self._quiet.set()
        letter.succeed()
        for effect in step.effects:
            try:
                self._carry_out(effect)
            except Exception as error:  # noqa: BLE001 (an effect that cannot begin has failed)
                self._effect_failed(effect, error)
        if self.state.compaction is None:
            self._progress = None
        self.feed.publish_status(self.status())

    async def _persist(self, records: Sequence[inp.Recorded], given: inp.Input) -> None:
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
                if isinstance(given, _PEOPLES):
                    raise
                self._quiet.set()
                # What the world told us cannot be asked for again: keep it and try until it is in.
                _log.warning("session %s: the store refuses: %s", self.session_id, error)
                self._store_trouble = str(error)
                self._mailbox.refuse(error, _PEOPLES)
                self.feed.publish_status(self.status())
                await self._services.world.sleep(delay_s)
                delay_s = min(delay_s * 2, STORE_RETRY_MAX_S)
            else:
                break
        self._store_trouble = None
        if change is not None and change.phase is not None:
            self._phase_written = change.phase
        self.feed.publish(records)

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

    # -- effects ---------------------------------------------------------------------------------

    def _carry_out(self, effect: inp.Effect) -> None:
        match effect:
            case inp.CallModel():
                self._call_model(effect)
            case inp.AbortModel():
                self._abort_request()
            case inp.Judge():
                self._start_call(effect.tool_use_id, self._judge(effect))
            case inp.LookBefore():
                self._start_call(effect.tool_use_id, self._look_before(effect))
            case inp.LookAfter():
                self._start_call(effect.tool_use_id, self._look_after(effect))
            case inp.RunTool():
                self._start_call(effect.tool_use_id, self._run_tool(effect))
            case inp.KillTools():
                for call in self._calls.values():
                    self._end(call)
                self._calls.clear()
            case inp.WakeAt():
                self._end(self._timer)
                self._timer = asyncio.create_task(self._wake(effect.at_ms))
            case inp.PrepareCompaction():
                self._end(self._compaction)
                self._compaction = asyncio.create_task(self._prepare(effect))
            case inp.AbortCompaction():
                self._end(self._compaction)
                self._compaction = None

    def _call_model(self, effect: inp.CallModel) -> None:
        self._abort_request()
        number = self._request_no
        self._last_sign_ms = self._services.world.now_ms()
        request = model_request(self._services, self.state, self.capabilities, effect.model)
        self._model = asyncio.create_task(
            requests.run_request(
                self._services.model,
                request,
                lambda given: self._mailbox.post(given, number),
                self._sign_of_life,
                self._room,
            ),
            name=f"request {self.session_id} {effect.attempt}",
        )

    def _abort_request(self) -> None:
        self._request_no += 1  # Whatever the old request still posts is dropped.
        self._end(self._model)
        self._model = None

    def _start_call(self, tool_use_id: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"call {tool_use_id}")
        self._calls[tool_use_id] = task
        task.add_done_callback(lambda done: self._forget_call(tool_use_id, done))

    def _forget_call(self, tool_use_id: str, done: asyncio.Task[None]) -> None:
        if self._calls.get(tool_use_id) is done:
            del self._calls[tool_use_id]

    async def _judge(self, effect: inp.Judge) -> None:
        verdict = await asyncio.to_thread(approvals.judge, self._services, self.state, effect.block)
        self.post(inp.Judged(effect.tool_use_id, verdict))

    async def _look_before(self, effect: inp.LookBefore) -> None:
        try:
            before = await asyncio.to_thread(
                approvals.evidence_before, self._services, self.state, effect.block
            )
        except Exception as error:  # noqa: BLE001 (a change without evidence is still recorded)
            self._effect_failed(effect, error)
        else:
            self.post(inp.Looked(effect.tool_use_id, before))

    async def _look_after(self, effect: inp.LookAfter) -> None:
        try:
            after = await asyncio.to_thread(approvals.evidence_of, Path(effect.path))
        except Exception as error:  # noqa: BLE001 (an unknown outcome is still told)
            self._effect_failed(effect, error)
        else:
            self.post(inp.LookedAgain(effect.tool_use_id, after))

    async def _run_tool(self, effect: inp.RunTool) -> None:
        context = approvals.context_of(self._services, self.state)
        self.post(await approvals.run(self._services, context, effect.tool_use_id, effect.block))

    async def _wake(self, at_ms: int) -> None:
        """Post a `Tick` at a wall-clock time or soon; one that comes too early sets us again.

        So a clock that jumps and a machine that sleeps are seen, whichever way the clock went.
        """
        world = self._services.world
        await world.sleep(min(max(0, at_ms - world.now_ms()) / 1000, WAKE_LOOK_S))
        self.post(inp.Tick())

    async def _prepare(self, effect: inp.PrepareCompaction) -> None:
        running = self.state.compaction
        if running is None:
            return
        try:
            task = compactor.Task.of(self.state, running.started, self._services, self.capabilities)
            await compactor.prepare(
                task, self._services, self.post, self._show_progress, digest_only=effect.digest_only
            )
        except Exception as error:  # noqa: BLE001 (a compaction always ends, P5)
            self._effect_failed(effect, error)

    def _effect_failed(self, effect: inp.Effect, error: Exception) -> None:
        """Say what became of an effect that a fault of our own ended; no wait is left open."""
        _log.error("session %s: %s failed", self.session_id, type(effect), exc_info=error)
        words = f"Holdfast failed: {error!r}"
        match effect:
            case inp.CallModel():
                self.post(inp.Failed(Failure(kind=FailureKind.INTERNAL, message=words)))
            case inp.Judge():
                verdict = inp.Verdict("deny", "fault", detail=f"[Not run. {words}]")
                self.post(inp.Judged(effect.tool_use_id, verdict))
            case inp.LookBefore():
                self.post(inp.Looked(effect.tool_use_id, None))
            case inp.LookAfter():
                self.post(inp.LookedAgain(effect.tool_use_id, None))
            case inp.RunTool():
                self.post(inp.Ran(effect.tool_use_id, (text(words),), is_error=True))
            case inp.PrepareCompaction(compaction_id=compaction_id):
                self.post(inp.CompactionReady(compaction_id, Rung.FLOOR, compactor.FLOOR))
            case _:
                pass

    def _show_progress(self, progress: CompactionProgress) -> None:
        self._progress = progress
        self.feed.publish_status(self.status())

    def _sign_of_life(self) -> None:
        self._last_sign_ms = self._services.world.now_ms()

    async def _room(self) -> None:
        while len(self._mailbox) > MAILBOX_HIGH:
            await self._services.world.sleep(0.01)

    async def _tick(self) -> None:
        """Show the passing of time once a second while something is waited for."""
        while True:
            await self._services.world.sleep(1.0)
            if self.state.phase not in {Phase.IDLE, Phase.QUEUED} or self.state.compaction:
                self.feed.publish_status(self.status())

    # -- ends ------------------------------------------------------------------------------------

    def _end(self, task: asyncio.Task[None] | None) -> None:
        """Cancel a task without waiting for it; it is kept until it has cleaned up."""
        if task is None or task.done():
            return
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _abort_all(self) -> set[asyncio.Task[None]]:
        self._request_no += 1
        others = (self._compaction, self._timer, self._learning)
        for task in (self._model, *others, *self._calls.values()):
            self._end(task)
        return set(self._ending)

    def _owner_ended(self, owner: asyncio.Task[None]) -> None:
        if not owner.cancelled() and (error := owner.exception()) is not None:
            _log.critical("session %s: its owner died", self.session_id, exc_info=error)
            self._lose()

    def _lose(self) -> None:
        self._closed = True
        self._abort_all()
        self._ticker.cancel()
        self._mailbox.refuse(LeaseLost(self.session_id))
        self.feed.close()
        self._on_lost(self.session_id)
