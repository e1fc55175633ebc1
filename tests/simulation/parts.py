"""The scripted parts: a model that answers at random, tools whose effects are counted, the world.

Law: what a part does is drawn from the seed when it is asked. A model stream checks what it was
sent against the journal; a tool checks that its record is durable and that nobody ran it before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Protocol

from holdfast.agent.services import AgentSettings
from holdfast.conversation import tokens
from holdfast.conversation.history import Block, text
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.rules import validate
from holdfast.model import port
from holdfast.session.failures import Failure, FailureKind
from holdfast.tools.port import Question, Todo, ToolContext, ToolOutput
from simulation import summarising, ways
from simulation.compactions import IMPOSSIBLE_TOKENS
from simulation.disk import Disk
from simulation.loop import Process, SimulatedLoop
from simulation.refusing import RefusingApi
from simulation.ways import Ways
from simulation.witness import NONCE, TAKES_BLOCKS

ESTIMATED = 1.15
"""What is only estimated may be too high by so much."""

EPOCH_MS = 1_700_000_000_000
WORDS = ("kelp", "dulse", "laver", "wrack", "carrageen", "agar", "nori", "wakame", "tangle")
SUMMARY = "compaction"
"""How the tasks of compactions are called."""
DEADLY = 40.0
"""So much likelier than elsewhere is a death beside a tool's effect."""
PROBE_TROUBLE_RATE = 0.2
PAUSES_S = (0.0, 0.0, 0.001, 0.02, 0.02, 0.4, 3.0)


class Stage(Protocol):
    """What a part may ask of the simulation."""

    chance: Random
    disk: Disk
    kind: bool
    offset_ms: int
    settings: AgentSettings
    gateway_tokens: int | None
    effects: dict[int, int]
    model_trouble_rate: float
    api: RefusingApi
    ways: Ways

    def outage(self, endpoint: str) -> FailureKind | None: ...
    def window_tokens(self, model: str) -> int: ...
    def overhead_tokens(self, system: str) -> int: ...
    def takes_blocks(self, model: str) -> bool: ...
    def kills(self, process: Process, where: str, odds: float = 1.0) -> bool: ...
    def note(self, kind: str, what: str) -> None: ...
    def complain(self, promise: str, what: str) -> None: ...
    def number(self) -> int: ...


class SimulatedWorld:
    """Time and chance of one process; its wall clock may jump."""

    def __init__(self, stage: Stage, loop: SimulatedLoop) -> None:
        self._stage = stage
        self._loop = loop

    def now_ms(self) -> int:
        return EPOCH_MS + self._stage.offset_ms + int(self._loop.time() * 1000)

    def jitter(self) -> float:
        return self._stage.chance.random()

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._stage.number()}"

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class OpenStream:
    """A stream that is open; found again when somebody says stop."""

    def __init__(self, session_id: str | None, process: Process) -> None:
        self.session_id = session_id
        self.process = process


class SimulatedModel:
    """Answers at random, in any of the ways the port allows."""

    def __init__(
        self,
        stage: Stage,
        process: Process,
        endpoint: str = "",
        first: SimulatedModel | None = None,
    ) -> None:
        self._stage = stage
        self._process = process
        self._endpoint = endpoint
        self.open: set[OpenStream] = set() if first is None else first.open

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        work, session_id = _task()
        mark = f"note {self._stage.number()}"
        self._check(work, session_id, request, mark)
        opened = OpenStream(None if work == SUMMARY else session_id, self._process)
        self.open.add(opened)
        try:
            yield self._items(request, work, session_id, mark)
        finally:
            self.open.discard(opened)

    def _check(self, work: str, session_id: str, request: port.ModelRequest, mark: str) -> None:
        file = self._stage.disk.sessions.get(session_id)
        if file is not None and file.holder is self._process:
            if work == SUMMARY:
                text = summarising.text_of(request)
                rung, now_s = summarising.rung_of(request), asyncio.get_running_loop().time()
                file.witness.check_compaction(rung, text, mark, now_s)
            else:
                file.witness.check_request(request.messages, self._grammar(request.model))
                ways.check(file.witness, self._endpoint, request, self._stage.complain)
                self._check_size(session_id, request)
        self._stage.note("model", f"{self._process.name} {session_id} {work}")

    def _check_size(self, session_id: str, request: port.ModelRequest) -> None:
        """P2: nothing is sent above a window that a setting says; what a model says comes later.

        The API decides in two cases: a person insists, or no compaction helps, and the estimate may
        be what is too high.
        """
        size, window = self._size(request), self._stage.settings.context_window_tokens
        state = self._stage.disk.sessions[session_id].witness.state
        if state.turn is not None and state.turn.insisted:
            return
        most = ESTIMATED if state.latch is not None else 1
        if window is not None and size > window * most:
            self._stage.complain("P2", f"{session_id}: {size} tokens were sent to {window}")

    def _too_long(self, request: port.ModelRequest) -> Failure | None:
        size, window = self._size(request), self._stage.window_tokens(request.model)
        if size <= window:
            return None
        words = f"prompt is too long: {size} tokens > {window} maximum"
        return Failure(kind=FailureKind.TOO_LONG, message=words, status=400)

    def _grammar(self, model: str) -> Profile:
        """Only a model that compacts on demand takes signed compactions (R31)."""
        first = TAKES_BLOCKS if self._stage.takes_blocks(model) else DEFAULT
        return self._stage.ways.grammar(self._endpoint, model, first)

    def _size(self, request: port.ModelRequest) -> int:
        """Count as the core estimates, so that it can know what this API will say."""
        return tokens.estimate(request.messages) + self._stage.overhead_tokens(request.system)

    async def _items(
        self, request: port.ModelRequest, work: str, session_id: str, mark: str
    ) -> AsyncIterator[port.StreamItem]:
        stage, chance = self._stage, self._stage.chance
        began_s = asyncio.get_running_loop().time()
        if (kind := stage.outage(self._endpoint)) is not None:
            stage.note("fault", f"{self._process.name} model fault: {kind}")
            raise port.ModelFailed(Failure(kind=kind, message="an outage"))
        if work == SUMMARY:
            takes_blocks = stage.takes_blocks(request.model)
            if self._size(request) > (stage.gateway_tokens or self._size(request)):
                cut = Failure(kind=FailureKind.TIMEOUT, message="504 Gateway Time-out", status=504)
                raise port.ModelFailed(cut)
            plan = summarising.Summariser(stage, takes_blocks).answer(request, mark)
        else:
            refused = self._too_long(request) or stage.api.sent(session_id, request)
            if refused is not None:
                raise port.ModelFailed(refused)
            plan = self._turn(chance, self._size(request))
            if request.max_output_tokens < stage.settings.max_output_tokens:
                plan = ways.shortened(plan, request.max_output_tokens)
        fault_at = chance.randint(0, len(plan) + 1) if self._troubled(chance, work) else None
        for n, item in enumerate(plan):
            pause = 0.0 if stage.kind else chance.choice(PAUSES_S)
            await self._while_it_lives(began_s, pause)
            if n == fault_at:
                stage.note("fault", f"{self._process.name} model fault at item {n}")
                if await self._fault(chance, request, began_s, begun=n > 0):
                    return
            if stage.kills(self._process, "while an answer arrives"):
                await asyncio.sleep(1)
            stage.note("item", f"{self._process.name} {type(item).__name__}")
            yield item

    async def _while_it_lives(self, began_s: float, seconds: float) -> None:
        """Wait, unless something on the way ends the answer before, at an age of its own."""
        age_s = None if self._stage.kind else self._stage.ways.age_s(self._endpoint)
        left_s = seconds if age_s is None else age_s + began_s - asyncio.get_running_loop().time()
        await asyncio.sleep(min(seconds, max(0.0, left_s)))
        if left_s < seconds:
            self._stage.note("fault", f"{self._process.name} an answer dies at {age_s} s")
            raise port.ModelFailed(ways.DIED)

    def _troubled(self, chance: Random, work: str) -> bool:
        """Requests for compactions fare better, or none would ever be seen to the end."""
        rate = self._stage.model_trouble_rate * (0.4 if work == SUMMARY else 1.0)
        return not self._stage.kind and chance.random() < rate

    async def _fault(
        self, chance: Random, request: port.ModelRequest, began_s: float, *, begun: bool
    ) -> bool:
        """Fail in one of the ways a model can; True when the stream just ends.

        A stream that has `begun` is watched for silence, one that has not for its first byte.
        """
        match chance.choice(("kind", "kind", "kind", "end", "silence", "hang", "bug")):
            case "end":
                return True
            case "silence":
                await self._while_it_lives(began_s, request.idle_cut_s)
                raise port.ModelFailed(Failure(kind=FailureKind.STALLED, message="silence"))
            case "hang":
                limit_s = request.idle_cut_s if begun else request.first_byte_timeout_s
                await self._while_it_lives(began_s, limit_s)
                raise port.ModelFailed(Failure(kind=FailureKind.TIMEOUT, message="no answer"))
            case "bug":
                raise RuntimeError("a fault of our own")
            case _:
                kind = chance.choice(list(FailureKind))
                after = chance.choice((None, None, 0, 700, 90_000))
                raise port.ModelFailed(Failure(kind=kind, message="no", retry_after_ms=after))

    # -- answers ---------------------------------------------------------------------------------

    def _opened(self) -> port.ResponseOpened:
        return port.ResponseOpened(f"msg_{self._stage.number()}", "m", "req", 10)

    def _turn(self, chance: Random, size: int) -> list[port.StreamItem]:
        items: list[port.StreamItem] = [self._opened()]
        if self._stage.kind:
            items += said(0, "All is well.")
            usage = {"input_tokens": size, "output_tokens": 5}
            items.append(port.ResponseEnded("end_turn", None, usage))
            return items
        index, calls = 0, 0
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 5))):
            match chance.choice(("text", "text", "think", "blank", "call", "call", "ping")):
                case "text":
                    items += said(index, words(chance, chance.choice((2, 20, 120))))
                case "blank":
                    items += said(index, "\n\n")
                case "think":
                    thought = {"type": "thinking", "thinking": "", "signature": "c2ln"}
                    items += [
                        port.BlockOpened(index, "thinking"),
                        port.BlockDelta(index, "thinking", "hm"),
                        port.BlockClosed(index, Block.of(thought)),
                    ]
                case "ping":
                    items.append(port.Heartbeat())
                    continue
                case _:
                    items += self._call(chance, index)
                    calls += 1
            index += 1
        stop = "tool_use" if calls else "end_turn"
        if chance.random() < 0.12:
            stop = chance.choice(
                ("max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "odd")
            )
        said_blocks = [item.block for item in items if isinstance(item, port.BlockClosed)]
        output = sum(tokens.estimate_block(block) for block in said_blocks)
        lies = (0, IMPOSSIBLE_TOKENS) if chance.random() < 0.1 else (size,)
        usage = {"input_tokens": chance.choice(lies), "output_tokens": output}
        items.append(port.ResponseEnded(stop, None, usage))
        return items

    def _call(self, chance: Random, index: int) -> list[port.StreamItem]:
        name = chance.choice(("look", "look", "change", "change", "todo", "none", "bad name!"))
        nonce = self._stage.number()
        wanted = chance.choice((f"toolu_{nonce}",) * 6 + ("toolu_same", "bad id!", ""))
        arguments: Any = {NONCE: nonce, "place": chance.choice(("a", "b", "secret"))}
        if chance.random() < 0.05:
            arguments = chance.choice(([], "text", None, {}))
        block = Block.of({"type": "tool_use", "id": wanted, "name": name, "input": arguments})
        return [
            port.BlockOpened(index, "tool_use", name),
            port.BlockDelta(index, "toolInput", "{"),
            port.BlockClosed(index, block),
        ]

    async def count_tokens(self, request: port.ModelRequest) -> int:
        stage, (_, session_id) = self._stage, _task()
        await asyncio.sleep(0.01)
        if findings := validate(request.messages, self._grammar(request.model)):
            stage.complain("P2", f"an invalid history was counted: {findings[0]}")
        if (kind := stage.outage(self._endpoint)) is not None:
            raise port.ModelFailed(Failure(kind=kind, message="an outage"))
        refused = stage.api.counted(session_id, request)
        if refused is not None:
            raise port.ModelFailed(refused)
        if stage.kills(self._process, "while a request is counted"):
            await asyncio.sleep(1)
        return 10

    async def capabilities(self, model: str) -> port.Capabilities:
        await asyncio.sleep(0.01)
        window = self._stage.window_tokens(model)
        takes_blocks = self._stage.takes_blocks(model)
        return port.Capabilities(model, window, 32_000, "played", compaction=takes_blocks)

    async def models(self) -> Sequence[port.Capabilities]:
        if not self._stage.kind and self._stage.chance.random() < 0.3:
            raise port.ModelFailed(Failure(kind=FailureKind.NETWORK, message="offline"))
        return (await self.capabilities("m"), await self.capabilities("n"))

    async def probe(self) -> port.Probe:
        """Tell of an outage; in a hostile world a healthy endpoint may seem silent too."""
        await asyncio.sleep(0.01)
        stage = self._stage
        kind = stage.outage(self._endpoint)
        if kind is None and not stage.kind and stage.chance.random() < PROBE_TROUBLE_RATE:
            kind = FailureKind.TIMEOUT
        if kind is None:
            return port.Probe(ok=True, latency_ms=10)
        stage.note("fault", f"{self._process.name} probe: {kind}")
        return port.Probe(ok=False, failure=Failure(kind=kind, message="an outage"))

    async def drop_connections(self) -> None:
        self._stage.note("model", f"{self._process.name} drops its connections")

    async def close(self) -> None:
        return


def _task() -> tuple[str, str]:
    """Return what the running task does, and for which session."""
    task = asyncio.current_task()
    words = task.get_name().split() if task else []
    assert len(words) == 3, f"nobody knows whose task this is: {words}"
    return words[0], words[1]


def words(chance: Random, count: int) -> str:
    """Return some words."""
    return " ".join(chance.choices(WORDS, k=max(1, count))) + " "


def said(index: int, what: str) -> list[port.StreamItem]:
    """Return the items of a text block, its text in two parts."""
    half = len(what) // 2
    return [
        port.BlockOpened(index, "text"),
        port.BlockDelta(index, "text", what[:half]),
        port.BlockDelta(index, "text", what[half:]),
        port.BlockClosed(index, text(what)),
    ]


class SimulatedTool:
    """A tool whose effect is a number that must never be counted twice."""

    def __init__(self, name: str, mutates: bool, stage: Stage, process: Process) -> None:
        self.name = name
        self.mutates = mutates
        self._stage = stage
        self._process = process

    @property
    def definition(self) -> Mapping[str, Any]:
        return {"name": self.name, "description": "x", "input_schema": {"type": "object"}}

    def target(self, arguments: Mapping[str, Any], context: ToolContext | None = None) -> str:
        place = arguments.get("place")
        return place if isinstance(place, str) else ""

    def question(self, arguments: Mapping[str, Any], context: ToolContext) -> Question:
        return Question("May I?", "detail", self.target(arguments) or "*")

    def changes(self, arguments: Mapping[str, Any], context: ToolContext) -> Path | None:
        place = self.target(arguments)
        return Path("/no/such/place") / place if self.mutates and place in {"a", "b"} else None

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        stage, chance = self._stage, self._stage.chance
        nonce = arguments.get(NONCE)
        if isinstance(nonce, int):
            self._check(nonce)
        stage.note("tool", f"{self._process.name} {self.name} {nonce} runs")
        await self._pause("before a tool's effect")
        if isinstance(nonce, int):
            stage.effects[nonce] = stage.effects.get(nonce, 0) + 1
            if stage.effects[nonce] > 1:
                stage.complain("P6", f"the effect of call {nonce} took place twice")
        await self._pause("after a tool's effect")
        match chance.choice(("ok", "ok", "ok", "error", "bug")):
            case "bug" if not stage.kind:
                raise RuntimeError("the tool broke its contract")
            case "error":
                return ToolOutput((text("no"),), is_error=True)
            case _:
                todos = (Todo("t", "pending"),) if self.name == "todo" else None
                return ToolOutput((text(f"result {nonce}"),), todos=todos)

    async def _pause(self, where: str) -> None:
        chance = self._stage.chance
        try:
            await asyncio.sleep(0 if self._stage.kind else chance.choice(PAUSES_S))
        except asyncio.CancelledError:
            await asyncio.sleep(chance.choice((0.0, 0.1)))  # It puts its house in order.
            raise
        if self._stage.kills(self._process, where, DEADLY):
            await asyncio.sleep(1)

    def _check(self, nonce: int) -> None:
        known = any(
            nonce in file.witness.tools_started for file in self._stage.disk.sessions.values()
        )
        if not known:
            self._stage.complain("P6", f"call {nonce} runs before its record is durable")


class SimulatedTools:
    """The tools of one process."""

    def __init__(self, stage: Stage, process: Process) -> None:
        self._tools = {
            name: SimulatedTool(name, mutates, stage, process)
            for name, mutates in (("look", False), ("change", True), ("todo", False))
        }
        self.definitions = [tool.definition for tool in self._tools.values()]

    def get(self, name: str) -> SimulatedTool | None:
        return self._tools.get(name)
