"""Carrying out what the state machine wishes: requests, calls, timers, compactions.

Law: nothing in here decides or writes; whatever is begun answers with an input, also when it fails
by a fault of our own, and can be ended at any moment. There is at most one of a kind under way: a
request, a compaction, a timer, and one task for each call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, Protocol

from holdfast.agent import approvals, compaction, diffs, examiner, looks, requests
from holdfast.agent.api import CompactionProgress
from holdfast.agent.limits import model_request, request_of
from holdfast.agent.mailbox import Letter, Mailbox
from holdfast.agent.services import Services
from holdfast.conversation.history import text
from holdfast.model.port import Capabilities, Heartbeat, StreamItem
from holdfast.session import failover
from holdfast.session import inputs as inp
from holdfast.session.events import Rung
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.ladder import Outcome, Verdict
from holdfast.session.state import SessionState

WAKE_LOOK_S: Final = 5.0
DOUBT_S: Final = 20.0
MAILBOX_HIGH: Final = 256

SLEPT: Final = Failure(
    kind=FailureKind.STALLED,
    message="Nothing was heard of the answer since the machine slept or the server was stopped.",
)

_log: Final = logging.getLogger(__name__)


class Owner(Protocol):
    """What effects need of the owner of the session."""

    @property
    def session_id(self) -> str:
        """The session."""
        ...

    @property
    def state(self) -> SessionState:
        """The state as it is now; another object after a reload."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the session's model can do, as far as it is known."""
        ...

    def show_progress(self, progress: CompactionProgress) -> None:
        """Show how far a compaction has come."""
        ...


class Effects:
    """What is under way for one session. Answers go to its mailbox."""

    def __init__(self, owner: Owner, services: Services, mailbox: Mailbox) -> None:
        self.last_sign_ms = services.world.now_ms()
        self.last_heard_ms = self.last_sign_ms
        self._heard = 0
        self._owner = owner
        self._services = services
        self._mailbox = mailbox
        self._request_no = 0
        self._model: asyncio.Task[None] | None = None
        self._compaction: asyncio.Task[None] | None = None
        self._shown: CompactionProgress | None = None
        self._hurry = compaction.Hurry()
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self._doubt: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._cleaning: set[asyncio.Task[None]] = set()

    def begin(self, effect: inp.Effect) -> None:
        """Begin an effect and return. A request is begun after `end_request` only."""
        match effect:
            case inp.CallModel():
                self._call_model(effect)
            case inp.Examine():
                self._examine(effect)
            case inp.AbortModel():
                pass  # The owner has called `end_request`, as it does before each request.
            case inp.Judge():
                self._start_call(effect.tool_use_id, self._judge(effect))
            case inp.LookBefore():
                self._start_call(effect.tool_use_id, self._look_before(effect))
            case inp.LookAfter():
                self._start_call(effect.tool_use_id, self._look_after(effect))
            case inp.LookForTrace():
                self._start_call(effect.tool_use_id, self._look_for_trace(effect))
            case inp.DropTrace():
                self._clean(self._drop_trace(effect))
            case inp.RunTool():
                self._start_call(effect.tool_use_id, self._run_tool(effect))
            case inp.KillTools():
                self.end_calls()
            case inp.WakeAt():
                self._end(self._timer)
                self._timer = asyncio.create_task(self._wake(effect.at_ms))
            case inp.Probe():
                self._end(self._probe)
                name = f"probe {self._owner.session_id} {effect.since_ms}"
                self._probe = asyncio.create_task(self._look(effect), name=name)
            case inp.LookBack():
                self._end(self._probe)
                name = f"probe {self._owner.session_id} {effect.since_ms}"
                self._probe = asyncio.create_task(self._look_back(effect), name=name)
            case inp.PrepareCompaction():
                self._end(self._compaction)
                self._compaction = asyncio.create_task(
                    self._prepare(effect),
                    name=f"compaction {self._owner.session_id} {effect.compaction_id}",
                )
            case inp.AbortCompaction():
                self._end(self._compaction)
                self._compaction = None

    def failed(self, effect: inp.Effect, error: Exception) -> None:
        """Say what became of an effect that a fault of our own ended; no wait is left open."""
        _log.error("session %s: %s failed", self._owner.session_id, type(effect), exc_info=error)
        words = f"Holdfast failed: {error!r}"
        match effect:
            case inp.CallModel():
                self._mailbox.post(inp.Failed(Failure(kind=FailureKind.INTERNAL, message=words)))
            case inp.Examine():
                outcome = Outcome(Verdict.GIVEN_UP)
                self._mailbox.post(
                    inp.Examined(effect.turn_id, effect.prefix_version, effect.case, outcome)
                )
            case inp.Probe(since_ms=since_ms):
                # The request itself will say what is wrong.
                self._mailbox.post(inp.Probed(since_ms))
            case inp.LookBack(since_ms=since_ms):
                self._mailbox.post(inp.LookedBack(since_ms, answers=False))
            case inp.Judge():
                verdict = inp.Verdict("deny", "fault", detail=f"[Not run. {words}]")
                self._mailbox.post(inp.Judged(effect.tool_use_id, verdict))
            case inp.LookBefore():
                self._mailbox.post(inp.Looked(effect.tool_use_id, None))
            case inp.LookAfter():
                self._mailbox.post(inp.LookedAgain(effect.tool_use_id, None))
            case inp.LookForTrace():
                self._mailbox.post(inp.TraceFound(effect.tool_use_id, None))
            case inp.RunTool():
                self._mailbox.post(inp.Ran(effect.tool_use_id, (text(words),), is_error=True))
            case inp.PrepareCompaction(compaction_id=compaction_id):
                self._mailbox.post(inp.CompactionReady(compaction_id, Rung.FLOOR, compaction.FLOOR))
            case _:
                pass

    async def sweep(self) -> None:
        """Have traces removed that a dead server left although their results are in the journal.
        Called before anything is begun.
        """
        traces = self._services.traces
        if traces is None:
            return
        open_calls = [call.tool_use_id for call in self._owner.state.open_calls()]
        session_id = self._owner.session_id
        try:
            found = await asyncio.to_thread(traces.leftovers, session_id, open_calls)
        except OSError:
            _log.warning("session %s: its traces cannot be listed", session_id, exc_info=True)
            return
        for folder in found:
            self._clean(asyncio.to_thread(traces.remove, folder))

    def end_request(self) -> None:
        """Close the request under way; whatever it still posts is stale."""
        self._request_no += 1
        self._end(self._model)
        self._model = None

    def doubt_request(self) -> None:
        """Give up the request under way unless something of it is heard within `DOUBT_S`."""
        if self._owner.state.requested:
            self._end(self._doubt)
            name = f"doubt {self._owner.session_id} {self._request_no}"
            self._doubt = asyncio.create_task(self._give_up_if_silent(), name=name)

    async def _give_up_if_silent(self) -> None:
        """Connections seldom outlive a sleep, and a dead one looks like a silent one (C09)."""
        number, heard, request = self._request_no, self._heard, self._model
        await self._services.world.sleep(DOUBT_S)
        silent = self._request_no == number and self._heard == heard
        if silent and request is not None and not request.done():
            self._mailbox.post(inp.Failed(SLEPT), number)
            self._end(request)

    def hurry(self) -> None:
        """Have a compaction that waits ask again now."""
        self._hurry.up()

    def doubt_compaction(self) -> None:
        """Have a compaction wait for nothing that the machine may have slept through."""
        self._hurry.up()
        self._hurry.doubt()

    def end_calls(self) -> None:
        """Stop all running calls; none of them posts anything any more."""
        for call in self._calls.values():
            self._end(call)
        self._calls.clear()

    def cut_at_ms(self) -> int:
        """Return when the stream under way is cut if it goes on as it is: silent, or alive without
        anything of an answer.
        """
        settings, now_ms = self._services.settings, self._services.world.now_ms()
        barren_ms = self.last_sign_ms + int(settings.progress_cut_s * 1000)
        heard_s = (now_ms - self.last_heard_ms) / 1000
        if self.last_heard_ms > self.last_sign_ms and heard_s < settings.idle_warn_s:
            return barren_ms
        return min(self.last_heard_ms + int(settings.idle_cut_s * 1000), barren_ms)

    def is_stale(self, letter: Letter) -> bool:
        """Say whether a letter comes from a request that was ended meanwhile."""
        return letter.request_no is not None and letter.request_no != self._request_no

    def end_all(self) -> set[asyncio.Task[None]]:
        """End everything under way and return the tasks that are still cleaning up."""
        self.end_request()
        for task in (
            self._compaction,
            self._timer,
            self._probe,
            self._doubt,
            *self._calls.values(),
        ):
            self._end(task)
        return self._ending | self._cleaning

    def _call_model(self, effect: inp.CallModel) -> None:
        number = self._request_no
        self.last_sign_ms = self.last_heard_ms = self._services.world.now_ms()
        request = model_request(
            self._services, self._owner.state, self._owner.capabilities, effect.model
        )
        credentials = self._services.credentials_at(self._owner.state.endpoint)
        version = credentials.version

        def post(given: inp.Input) -> None:
            self._mailbox.post(given, number)
            if isinstance(given, inp.Failed):
                requests.log_failure(self._owner.session_id, given.failure)
            if isinstance(given, inp.Failed) and credentials.version != version:
                # The client gave others while these were being refused: try with the new ones.
                self._mailbox.post(inp.Resume(paused_for=FailureKind.AUTHENTICATION.value))

        self._model = asyncio.create_task(
            requests.run_request(
                self._services.model_at(self._owner.state.endpoint),
                request,
                post,
                self._note_item,
                self._room,
            ),
            name=f"request {self._owner.session_id} {effect.attempt}",
        )

    def _examine(self, effect: inp.Examine) -> None:
        """Find out what a refused request needs. It takes the request's place: there is one."""
        number, owner = self._request_no, self._owner
        self.last_sign_ms = self._services.world.now_ms()

        async def work() -> None:
            try:
                found = await examiner.examine(
                    effect,
                    self._services.model_at(owner.state.endpoint),
                    self._services.world,
                    lambda sent: request_of(
                        sent, self._services, owner.state, owner.capabilities, effect.model
                    ),
                )
            except Exception as error:  # noqa: BLE001 (an examination always ends, P7)
                self.failed(effect, error)
            else:
                self._mailbox.post(found, number)

        name = f"examination {owner.session_id} {effect.turn_id}"
        self._model = asyncio.create_task(work(), name=name)

    def _start_call(self, tool_use_id: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"call {tool_use_id}")
        self._calls[tool_use_id] = task
        task.add_done_callback(lambda done: self._forget_call(tool_use_id, done))

    def _forget_call(self, tool_use_id: str, done: asyncio.Task[None]) -> None:
        if self._calls.get(tool_use_id) is done:
            del self._calls[tool_use_id]

    def _clean(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something removed. What cannot be removed now is swept at the next opening."""
        task = asyncio.create_task(work, name=f"cleaning {self._owner.session_id}")
        self._cleaning.add(task)
        task.add_done_callback(self._cleaned)

    def _cleaned(self, done: asyncio.Task[None]) -> None:
        self._cleaning.discard(done)
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.warning("session %s: a trace stays", self._owner.session_id, exc_info=error)

    async def _judge(self, effect: inp.Judge) -> None:
        verdict = await asyncio.to_thread(
            approvals.judge, self._services, self._owner.state, effect.block
        )
        self._mailbox.post(inp.Judged(effect.tool_use_id, verdict))

    async def _look_before(self, effect: inp.LookBefore) -> None:
        try:
            before = await asyncio.to_thread(
                approvals.evidence_before, self._services, self._owner.state, effect.block
            )
            if before is not None:
                context = approvals.context_of(self._services, self._owner.state)
                before = await diffs.keep(
                    self._services.store,
                    self._owner.session_id,
                    effect.tool_use_id,
                    before,
                    context,
                )
        except Exception as error:  # noqa: BLE001 (a change without evidence is still recorded)
            self.failed(effect, error)
        else:
            traced = approvals.leaves_trace(self._services, effect.block)
            self._mailbox.post(inp.Looked(effect.tool_use_id, before, traced))

    async def _look_after(self, effect: inp.LookAfter) -> None:
        try:
            after = await asyncio.to_thread(approvals.evidence_of, Path(effect.path))
        except Exception as error:  # noqa: BLE001 (an unknown outcome is still told)
            self.failed(effect, error)
        else:
            self._mailbox.post(inp.LookedAgain(effect.tool_use_id, after))

    async def _look_for_trace(self, effect: inp.LookForTrace) -> None:
        try:
            found = await asyncio.to_thread(
                approvals.trace_of, self._services, self._owner.session_id, effect.tool_use_id
            )
        except Exception as error:  # noqa: BLE001 (an unknown outcome is still told)
            self.failed(effect, error)
        else:
            self._mailbox.post(found)

    async def _drop_trace(self, effect: inp.DropTrace) -> None:
        traces = self._services.traces
        if traces is not None:
            await asyncio.to_thread(traces.discard, self._owner.session_id, effect.tool_use_id)

    async def _run_tool(self, effect: inp.RunTool) -> None:
        owner, traces, trace = self._owner, self._services.traces, None
        call = owner.state.calls.get(effect.tool_use_id)
        if traces is not None and call is not None and call.traced:
            trace = traces.folder(owner.session_id, effect.tool_use_id)
        context = approvals.context_of(self._services, owner.state, trace, owner.session_id)
        self._mailbox.post(
            await approvals.run(self._services, context, effect.tool_use_id, effect.block)
        )

    async def _wake(self, at_ms: int) -> None:
        """Post a `Tick` at a wall-clock time or soon; one that comes too early sets us again.

        So a clock that jumps and a machine that sleeps are seen, whichever way the clock went.
        """
        world = self._services.world
        await world.sleep(min(max(0, at_ms - world.now_ms()) / 1000, WAKE_LOOK_S))
        self._mailbox.post(inp.Tick())

    async def _look(self, effect: inp.Probe) -> None:
        """Look whether the endpoint answers, and say so. A look that hangs has found silence."""
        limit_s = min(looks.LOOK_LIMIT_S, self._services.settings.first_byte_s)
        try:
            failure = await looks.look(self._services.model_at(self._owner.state.endpoint), limit_s)
        except Exception as error:  # noqa: BLE001 (a look always ends, P7)
            self.failed(effect, error)
        else:
            self._mailbox.post(inp.Probed(effect.since_ms, failure))

    async def _look_back(self, effect: inp.LookBack) -> None:
        """Look whether the endpoint that was left answers again, no longer than the turn waits."""
        try:
            model = self._services.model_at(effect.endpoint)
            found = await looks.answers(model, failover.LOOK_MS / 1000)
        except Exception as error:  # noqa: BLE001 (a look always ends, P7)
            self.failed(effect, error)
        else:
            self._mailbox.post(inp.LookedBack(effect.since_ms, found))

    async def _prepare(self, effect: inp.PrepareCompaction) -> None:
        owner = self._owner
        running = owner.state.compaction
        if running is None:
            return
        try:
            task = compaction.Task.of(
                self._owner.state, running.started, self._services, self._owner.capabilities
            )
            await compaction.prepare(
                task,
                self._services,
                self._mailbox.post,
                self._show_progress,
                first=effect.first,
                last=self._shown,
                hurry=self._hurry,
            )
        except Exception as error:  # noqa: BLE001 (a compaction always ends, P5)
            self.failed(effect, error)

    def _show_progress(self, progress: CompactionProgress) -> None:
        self._shown = progress
        self._owner.show_progress(progress)

    def _note_item(self, item: StreamItem) -> None:
        """Know that the connection lives; what is no heartbeat is a sign of life of the answer."""
        self._heard += 1
        self.last_heard_ms = self._services.world.now_ms()
        if not isinstance(item, Heartbeat):
            self.last_sign_ms = self.last_heard_ms

    async def _room(self) -> None:
        while len(self._mailbox) > MAILBOX_HIGH:
            await self._services.world.sleep(0.01)

    def _end(self, task: asyncio.Task[None] | None) -> None:
        """Cancel a task without waiting for it; it is kept until it has cleaned up."""
        if task is None or task.done():
            return
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
