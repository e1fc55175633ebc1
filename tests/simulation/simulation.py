"""One simulated world: processes that start, die, freeze; a disk; people; and what must hold.

Law: everything is drawn from one seed. First the world is hostile for a number of steps, then it
turns kind, and every session must come to rest by itself and answer a further prompt (P3). The
first broken promise ends the run, with the seed and the last things that happened.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from asyncio import events as asyncio_events
from collections import Counter, deque
from random import Random

import attrs

from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation import tokens
from holdfast.journal.store import LeaseLost, StoreError
from holdfast.session.failures import FailureKind
from holdfast.session.state import Phase
from holdfast.tools.permissions import Answer, Rule
from simulation.disk import Disk, SimulatedStore
from simulation.ledger import RETRY_BUDGET_MS, RETRY_MAX_DELAY_MS
from simulation.loop import Process, SimulatedLoop
from simulation.parts import SimulatedModel, SimulatedTools, SimulatedWorld
from simulation.people import People
from simulation.refusing import RefusingApi
from simulation.watch import Watch
from simulation.ways import Ways

TRACE_LINES = 60
TROUBLES = ("second", "full", "slow", "clock", "freeze", "close", "kill", "power", "outage")
PASSING = (FailureKind.NETWORK, FailureKind.OVERLOADED, FailureKind.RATE_LIMITED)
PACES_S = ((0.0, 0.0, 0.001, 0.02, 0.02, 0.3, 2.0, 9.0), (0.0, 0.02, 0.3, 9.0, 40.0))
"""How long people take for their next deed; the slow ones let the sessions go on by themselves."""
WORDY = 0.4
"""In so many worlds people say much, so that histories fill their windows."""
WINDOWS = {"m": 9_000, "n": 3_500}
"""Of the two models, where no setting says otherwise."""
DEADLY = {Phase.WAITING, Phase.ASKING, Phase.RUNNING_TOOLS}
"""Phases in which a death hurts."""
STUCK_S = 400.0
REST_STEPS_MAX = 60_000
"""So many steps bring any session to rest in a kind world."""
SLACK_S = 30.0
CLEAN_LOG = (
    "tool %s failed",
    "request failed inside the server",
    "session %s could not be recovered",
)
"""Errors that the scripted parts cause on purpose. Any other logged error breaks a promise."""


@attrs.frozen
class Outcome:
    """What a run came to. `digest` is over all that happened, not only over the kept trace."""

    seed: int
    steps: int
    digest: str
    kinds: Counter[str]
    broken: str | None
    trace: tuple[str, ...]

    def __str__(self) -> str:
        if self.broken is None:
            return f"seed {self.seed}: {self.steps} steps, all promises held"
        lines = "\n".join(f"  {line}" for line in self.trace[-TRACE_LINES:])
        return (
            f"{lines}\nseed {self.seed}, step {self.steps}: {self.broken}\n"
            f"replay: make simulate SEED={self.seed}"
        )


class _Services(Services):
    """Services with a model at each endpoint."""

    models: dict[str, SimulatedModel]

    def model_at(self, endpoint: str) -> SimulatedModel:
        return self.models[endpoint]


class Host:
    """One server process with its supervisor."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self.process = Process(simulation.loop, name)
        self.store = SimulatedStore(simulation.disk, self.process, simulation.loop)
        self.model = SimulatedModel(simulation, self.process)
        self.closing = False
        services = _Services(
            store=self.store,
            model=self.model,
            tools=SimulatedTools(simulation, self.process),
            world=SimulatedWorld(simulation, simulation.loop),
            settings=simulation.settings,
        )
        services.models = {
            name: SimulatedModel(simulation, self.process, name, self.model) if name else self.model
            for name in simulation.ways.names
        }
        simulation.tools_tokens = services.overhead_tokens
        self.supervisor: Supervisor = self.process.run(
            lambda: Supervisor(services, owner=name, preload=lambda: None)
        )


class Simulation:
    """A world that is ruled by a seed."""

    def __init__(self, seed: int, steps: int) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.loop = SimulatedLoop(self.chance)
        self.disk = Disk(self.chance, self)
        self.kind = False
        self.offset_ms = 0
        self.troubles = 0
        self.troubled_at = -1.0
        self.effects: dict[int, int] = {}
        self.ways = Ways(seed)
        self.people = People(self)
        self.steps = 0
        self.kinds: Counter[str] = Counter()
        self.broken: str | None = None
        self.wordy = is_wordy(seed)
        self.gateway_tokens = Random(f"{seed} gateway").choice((None, 4_500, 4_500))
        self.settings = self._settings()
        self.tools_tokens = 0
        self.watch = Watch(self.disk, self.loop, self.rough_until, self.complain)
        self._digest = hashlib.sha256()
        self._steps_max = steps
        self._number = 0
        self._hosts: dict[str, Host] = {}
        self._trace: deque[tuple[float, str, str]] = deque(maxlen=400)
        self._full_until = self._slow_until = -1.0
        self._crash_rate = self.chance.choice((0.0, 0.0005, 0.002))
        self._write_fault_rate = self.chance.choice((0.0, 0.005, 0.02))
        self._outage = FailureKind.NETWORK, -1.0
        self._pace_s = self.chance.choice(PACES_S)
        self.api = RefusingApi(seed, self)
        self._compacts = Random(f"{seed} compacts").choice(("m", "n", ""))
        self.model_trouble_rate = self.chance.choice((0.3, 0.5, 0.8))

    def _settings(self) -> AgentSettings:
        chance = self.chance
        windows = (9_000, 16_000, 16_000) if self.wordy else (3_000, 6_000, 200_000, None)
        everything = (Rule("*", "*", Answer.ALLOW),)
        rules = ((), (Rule("change", "a", Answer.ALLOW),), everything, everything)
        deny = (Rule("*", "secret", Answer.DENY),)
        return AgentSettings(
            model="m",
            context_window_tokens=chance.choice(windows),
            compaction_method=chance.choice(("api", "api", "summary", "local")),
            max_output_tokens=500,
            retry_budget_s=RETRY_BUDGET_MS / 1000,
            retry_max_delay_s=RETRY_MAX_DELAY_MS / 1000,
            permissions=chance.choice(rules) + chance.choice(((), deny)),
            **self.ways.settings,
        )

    # -- what the parts ask ----------------------------------------------------------------------

    def window_tokens(self, model: str) -> int:
        """Return the window of a model, which the API keeps to."""
        return self.settings.context_window_tokens or WINDOWS[model]

    def overhead_tokens(self, system: str) -> int:
        """Return what a request holds besides its messages."""
        return self.tools_tokens + tokens.estimate_text(system)

    def takes_blocks(self, model: str) -> bool:
        """Say whether a model compacts on demand."""
        return model == self._compacts

    def number(self) -> int:
        self._number += 1
        return self._number

    def note(self, kind: str, what: str) -> None:
        """Count a step and remember it."""
        self.steps += 1
        self.kinds[kind] += 1
        self._trace.append((self.loop.time(), kind, what))
        self._digest.update(f"{self.loop.time()!r} {kind} {what}\n".encode())

    def complain(self, promise: str, what: str) -> None:
        if self.broken is None:
            self.broken = f"{promise}: {what}"

    def delay_s(self) -> float:
        if not self.kind and self.loop.time() < self._slow_until:
            return self.chance.choice((0.01, 0.3, 2.0))
        return self.chance.choice((0.0, 0.0, 0.0005, 0.002))

    def write_fails(self) -> bool:
        full = self.loop.time() < self._full_until
        fails = not self.kind and self.chance.random() < (0.9 if full else self._write_fault_rate)
        if fails:
            self._troubled()
        return fails

    def read_fails(self) -> bool:
        full = self.loop.time() < self._full_until
        fails = not self.kind and self.chance.random() < (0.5 if full else 0.003)
        if fails:
            self._troubled()
        return fails

    def _troubled(self) -> None:
        self.troubles += 1
        self.troubled_at = self.loop.time()

    def outage(self, endpoint: str) -> FailureKind | None:
        """Return how every request to an endpoint fails just now."""
        kind, until = self._outage
        over = self.kind or self.loop.time() >= until or not self.ways.is_down(endpoint)
        return None if over else kind

    def rough_until(self) -> float:
        """Return the time until which the disk is slow or full."""
        return max(self._full_until, self._slow_until)

    def steals(self) -> bool:
        return not self.kind and self.chance.random() < 0.05

    def kills(self, process: Process, where: str, odds: float = 1.0) -> bool:
        """Perhaps kill a process here; its caller must not go on then."""
        if process.dead:
            return True
        if self.kind or self.chance.random() >= self._crash_rate * odds:
            return False
        self.kill(process, where)
        return True

    # -- processes -------------------------------------------------------------------------------

    def host(self) -> Host | None:
        """Return a server that somebody could reach."""
        alive = [h for h in self._hosts.values() if not h.process.dead and not h.closing]
        return self.chance.choice(alive) if alive else None

    def start(self, slot: str) -> Host:
        """Start a server; like an editor would, it may have what died in mid-turn go on."""
        old = self._hosts.get(slot)
        if old is not None and not old.process.dead:
            return old
        host = self._hosts[slot] = Host(self, f"{slot}{self.number()}")
        self.note("start", host.process.name)
        if self.kind or self.chance.random() < 0.6:
            uris = ["file:///no/such/place"]
            self.people.begin(host, "recover", lambda: host.supervisor.recover(uris))
        for _ in range(2):
            self.people.attach(host)
        return host

    def kill(self, process: Process, where: str) -> None:
        """Kill -9."""
        process.dead = True
        self._troubled()
        self.note("kill", f"{process.name} {where}")
        host = next(h for h in self._hosts.values() if h.process is process)
        host.store.died(self.chance)
        self.people.gone(process)
        for follower in self.people.followers:
            file = self.disk.sessions.get(follower.session_id)
            if file is not None and follower.cursor > file.head:
                self.complain(
                    "P1",
                    f"{follower.session_id}: shown up to {follower.cursor}, kept up to {file.head}",
                )
        if not self.kind and process.name.startswith("a"):
            self.loop.call_later(self.chance.choice((0.0, 0.0, 0.5, 20.0)), self.start, "a")

    def _power_cut(self) -> None:
        for host in list(self._hosts.values()):
            if not host.process.dead:
                self.kill(host.process, "power cut")
        lost = self.disk.power_cut()
        self.people.power_cut()
        self.note("power", f"{lost} lazy commits are gone")
        for missing in self.people.missing():
            self.complain("P1", f"after the power cut {missing}")

    async def _close(self, host: Host) -> None:
        await host.supervisor.close()
        host.process.dead = True
        self.people.gone(host.process)
        self.note("closed", host.process.name)
        if not self.kind and host.process.name.startswith("a"):
            self.loop.call_later(self.chance.choice((0.0, 3.0)), self.start, "a")

    # -- what happens ----------------------------------------------------------------------------

    def _act(self) -> None:
        """Let people do something, or let something go wrong; then again some time later."""
        if self.kind:
            return
        host = self.host()
        roll = self.chance.random()
        if host is not None and roll < 0.80:
            self.people.act(host)
        elif host is not None and roll < 0.90:
            self.people.attach(host)
        else:
            self._trouble(host)
        self._compare()
        delay = self.chance.choice(self._pace_s)
        self.loop.call_later(delay, self._act)

    def _trouble(self, host: Host | None) -> None:
        chance, now = self.chance, self.loop.time()
        self._troubled()
        # Death comes when it hurts: half of all trouble meets a session that waits for something.
        fatal = ("kill",) * len(TROUBLES) if self._is_waited_for() else ()
        match chance.choice((*TROUBLES, *fatal)):
            case "second":
                self.start("b")
            case "full":
                self._full_until = now + chance.choice((0.1, 2.0, 30.0))
                self.note("fault", "the disk is full")
            case "slow":
                self._slow_until = now + chance.choice((0.1, 5.0))
                self.note("fault", "the disk is slow")
            case "clock":
                jump = chance.choice((-600_000, -1_000, 1_000, 600_000))
                self.offset_ms += jump
                self.note("fault", f"the clock jumps by {jump} ms")
            case "freeze" if host is not None and not host.process.frozen:
                host.process.frozen = True
                self.note("fault", f"{host.process.name} is stopped")
                self.loop.call_later(chance.choice((0.5, 20.0, 400.0)), self._thaw, host.process)
            case "close" if host is not None and not host.process.frozen:
                host.closing = True
                self.note("close", host.process.name)
                host.process.spawn(self._close(host))
            case "kill" if host is not None and chance.random() < 0.5:
                self.kill(host.process, "by somebody")
            case "outage":
                self._outage = chance.choice(PASSING), now + chance.choice((30.0, 300.0))
                self.ways.fails_somewhere()
                self.note("fault", f"the model is gone: {self._outage[0]}")
            case "power" if chance.random() < 0.3:
                self._power_cut()
            case _:
                pass

    def _is_waited_for(self) -> bool:
        states = (file.witness.state for file in self.disk.sessions.values())
        return any(state.phase in DEADLY or state.compaction is not None for state in states)

    def _thaw(self, process: Process) -> None:
        self._troubled()
        if process.frozen and not process.dead:
            self.note("fault", f"{process.name} goes on")
            process.thaw()

    def _compare(self, *, strictly: bool = False) -> None:
        """The journal alone gives the state, wherever both stand at the same event."""
        for host in self._hosts.values():
            if host.process.dead:
                continue
            for session_id, driver in host.supervisor._sessions._drivers.items():
                file = self.disk.sessions.get(session_id)
                if file is None or file.holder is not host.process:
                    continue
                state, known = driver.state, file.witness.state
                if strictly and state.seq != known.seq:
                    self.complain("fold", f"{session_id}: at {state.seq}, journal {known.seq}")
                if state.seq == known.seq and state != known:
                    self.complain("fold", f"{session_id}: the journal gives another state")

    # -- running ---------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Play to the end or to the first broken promise."""
        logger = logging.getLogger("holdfast")
        before = logger.propagate, logger.level
        handler = _Ear(self)
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.ERROR)
        asyncio_events._set_running_loop(self.loop)
        try:
            self._play()
            handler.over = True
            self.loop.bury()
        finally:
            asyncio_events._set_running_loop(None)
            logger.removeHandler(handler)
            logger.propagate = before[0]
            logger.setLevel(before[1])
        trace = tuple(f"{at:10.3f} {kind:<8} {what}" for at, kind, what in self._trace)
        steps, digest = self.steps + self.loop.jumps, self._digest.hexdigest()
        return Outcome(self.seed, steps, digest, self.kinds, self.broken, trace)

    def _play(self) -> None:
        self.start("a")
        self.loop.call_soon(self._act)
        while self.steps < self._steps_max and self.broken is None:
            self._once()
        if self.broken is None:
            self._settle()

    def _once(self) -> None:
        entry = self.loop.next_entry()
        if entry is None:
            self.complain("P7", "nothing is scheduled: the world stands still")
            return
        if entry.process is not None and self.kills(entry.process, "between two instructions"):
            return
        try:
            entry.run()
        except Exception as error:  # noqa: BLE001 (a callback must not raise)
            self.complain("P3", f"a callback raised {error!r}")
        if self.loop.complaints:
            self.complain("P3", self.loop.complaints[0])
        self.watch.look(self._hosts.values(), SimulatedWorld(self, self.loop).now_ms())

    # -- the kind world --------------------------------------------------------------------------

    def _settle(self) -> None:
        """Let the world be kind: one healthy server, people who answer, a model that speaks."""
        self.kind = True
        self.note("kind", "the world turns kind")
        if self.chance.random() < 0.3:
            self.offset_ms += 600_000  # The machine slept; timers did not notice.
        for host in list(self._hosts.values()):
            if not host.process.dead:
                host.process.thaw()
                if host.process.name.startswith("b") and not host.closing:
                    host.closing = True
                    host.process.spawn(self._close(host))
        self._pass(SLACK_S)
        host = self.start("a")
        for session_id in list(self.disk.sessions):
            if self.broken is None:
                rest = host.process.spawn(self._rest(host, session_id))
                self._until(rest)
        if self.broken is None:
            self._pass(SLACK_S)
        if self.broken is None:
            self._compare(strictly=True)
            self._check_end()

    def _pass(self, seconds: float) -> None:
        over: list[bool] = []
        self.loop.call_later(seconds, over.append, True)
        while not over and self.broken is None:
            self._once()

    def _until(self, task: asyncio.Task[None]) -> None:
        for _ in range(REST_STEPS_MAX):
            if task.done() or self.broken is not None:
                break
            self._once()
        else:
            self.complain("P7", f"{REST_STEPS_MAX} steps did not bring a session to rest")
            return
        if task.done() and task.exception() is not None:
            self.complain("P3", f"a session cannot be used any more: {task.exception()!r}")

    async def _rest(self, host: Host, session_id: str) -> None:
        """Bring a session to rest as a patient person would, then ask for one thing more."""
        prompt_id = f"p_{self.number()}"
        for _ in range(6):
            try:
                await self._reach(host, session_id)
                await self._calm(host, session_id)
                turn_id = await self.people.send(host, session_id, prompt_id)
                await self._calm(host, session_id)
            except LeaseLost:
                await asyncio.sleep(10)  # Another server took it while it was closing down.
                continue
            if turn_id not in self.disk.sessions[session_id].witness.ended:
                self.complain("P3", f"{session_id}: the last prompt was not answered")
            return
        self.complain("P3", f"{session_id}: its lease is lost again and again")

    async def _reach(self, host: Host, session_id: str) -> None:
        for _ in range(60):
            try:
                await host.supervisor._sessions.owned(session_id)
            except StoreError:
                await asyncio.sleep(10)
            else:
                return
        self.complain("P3", f"{session_id}: cannot be opened again")

    async def _calm(self, host: Host, session_id: str) -> None:
        supervisor, changed_at, seq = host.supervisor, self.loop.time(), -1
        resumed: str | None = None
        while self.broken is None:
            view = await supervisor.view(session_id)
            state = self.disk.sessions[session_id].witness.state
            if view.phase == "idle" and state.compaction is None:
                return
            if view.seq != seq:
                seq, changed_at, resumed = view.seq, self.loop.time(), None
            due_ms = view.status.retry_at_ms
            if due_ms is not None and due_ms > SimulatedWorld(self, self.loop).now_ms():
                changed_at = self.loop.time()  # Nothing need happen before the time that is shown.
            await asyncio.sleep(1)
            # The watchdog of a stream does not go by the wall clock, which may have jumped.
            limit_s = STUCK_S if due_ms is None or view.phase == "streaming" else SLACK_S
            if self.loop.time() - changed_at > limit_s:
                self.complain("P7", f"{session_id}: nothing happens while {view.phase}")
            elif view.questions:
                await supervisor.answer(view.questions[0].question_id, "allow")
            elif view.phase in {"paused", "queued"} and due_ms is None and resumed is None:
                resumed = await self.people.resume(host, session_id)

    def _check_end(self) -> None:
        for process, name in self.people.waiting.values():
            if not process.dead:
                self.complain("P7", f"nobody answered: {name}")
        for session_id, file in self.disk.sessions.items():
            witness = file.witness
            if witness.compactions_open:
                self.complain("P5", f"{session_id}: a compaction never ended")
            if witness.started - witness.ended:
                self.complain("P7", f"{session_id}: a turn never ended")
        for missing in self.people.missing():
            self.complain("P1", missing)
        for (session_id, prompt_id), turn_id in self.people.acknowledged.items():
            file = self.disk.sessions.get(session_id)
            if file is not None and turn_id not in file.witness.ended:
                self.complain("P3", f"{session_id}: prompt {prompt_id} was never answered")


class _Ear(logging.Handler):
    """Hears errors that the core logs; none but the scripted ones may occur."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(logging.ERROR)
        self.over = False
        self._simulation = simulation

    def emit(self, record: logging.LogRecord) -> None:
        if not self.over and not str(record.msg).startswith(CLEAN_LOG):
            error = record.exc_info[1] if record.exc_info else None
            self._simulation.complain("P3", f"{record.getMessage()}: {error!r}")


def is_wordy(seed: int) -> bool:
    """Say whether people say much in this world, so that histories fill their windows."""
    return Random(f"{seed} words").random() < WORDY


def simulate(seed: int, steps: int = 3_000) -> Outcome:
    """Run one seed."""
    return Simulation(seed, steps).run()
