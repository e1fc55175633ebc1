"""The scripted parts: a model that answers at random, tools whose effects are counted, the world.

Law: what a part does is drawn from the seed when it is asked. A model stream checks what it was
sent against the journal; a tool checks that its record is durable and that nobody ran it before.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Protocol

from holdfast.conversation.history import Block, text
from holdfast.conversation.rules import validate
from holdfast.model import port
from holdfast.session.failures import Failure, FailureKind
from holdfast.tools.port import Question, Todo, ToolContext, ToolOutput
from simulation.disk import Disk
from simulation.loop import Process, SimulatedLoop
from simulation.refusing import RefusingApi
from simulation.witness import NONCE

EPOCH_MS = 1_700_000_000_000
WORDS = ("kelp", "dulse", "laver", "wrack", "carrageen", "agar", "nori", "wakame", "tangle")
PAUSES_S = (0.0, 0.0, 0.001, 0.02, 0.02, 0.4, 3.0)


class Stage(Protocol):
    """What a part may ask of the simulation."""

    chance: Random
    disk: Disk
    kind: bool
    offset_ms: int
    effects: dict[int, int]
    model_trouble_rate: float
    api: RefusingApi

    def outage(self) -> FailureKind | None: ...
    def kills(self, process: Process, where: str) -> bool: ...
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

    def __init__(self, stage: Stage, process: Process) -> None:
        self._stage = stage
        self._process = process
        self._ids = itertools.count(1)
        self.open: set[OpenStream] = set()

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        session_id = self._session_of_task()
        self._check(session_id, request)
        opened = OpenStream(session_id, self._process)
        self.open.add(opened)
        try:
            yield self._items(request, session_id)
        finally:
            self.open.discard(opened)

    def _session_of_task(self) -> str | None:
        task = asyncio.current_task()
        words = task.get_name().split() if task else []
        return words[1] if len(words) == 3 and words[0] in {"request", "examination"} else None

    def _check(self, session_id: str | None, request: port.ModelRequest) -> None:
        file = self._stage.disk.sessions.get(session_id) if session_id else None
        if file is not None and file.holder is self._process:
            file.witness.check_request(request.messages)
        self._stage.note("model", f"{self._process.name} {session_id or 'summary'} request")

    async def _items(
        self, request: port.ModelRequest, session_id: str | None
    ) -> AsyncIterator[port.StreamItem]:
        stage, chance = self._stage, self._stage.chance
        if (kind := stage.outage()) is not None:
            stage.note("fault", f"{self._process.name} model fault: {kind}")
            raise port.ModelFailed(Failure(kind=kind, message="an outage"))
        refused = stage.api.sent(session_id, request) if session_id is not None else None
        if refused is not None:
            raise port.ModelFailed(refused)
        plan = self._turn(chance) if session_id is not None else self._summary(chance)
        fault_at = chance.randint(0, len(plan) + 1) if self._troubled(chance) else None
        for n, item in enumerate(plan):
            pause = 0.0 if stage.kind else chance.choice(PAUSES_S)
            await asyncio.sleep(pause)
            if n == fault_at:
                stage.note("fault", f"{self._process.name} model fault at item {n}")
                if await self._fault(chance, request, begun=n > 0):
                    return
            if stage.kills(self._process, "while an answer arrives"):
                await asyncio.sleep(1)
            stage.note("item", f"{self._process.name} {type(item).__name__}")
            yield item

    def _troubled(self, chance: Random) -> bool:
        return not self._stage.kind and chance.random() < self._stage.model_trouble_rate

    async def _fault(self, chance: Random, request: port.ModelRequest, *, begun: bool) -> bool:
        """Fail in one of the ways a model can; True when the stream just ends.

        A stream that has `begun` is watched for silence, one that has not for its first byte.
        """
        match chance.choice(("kind", "kind", "kind", "end", "silence", "hang", "bug")):
            case "end":
                return True
            case "silence":
                await asyncio.sleep(request.idle_cut_s)
                raise port.ModelFailed(Failure(kind=FailureKind.STALLED, message="silence"))
            case "hang":
                await asyncio.sleep(request.idle_cut_s if begun else request.first_byte_timeout_s)
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

    def _summary(self, chance: Random) -> list[port.StreamItem]:
        size = 30 if self._stage.kind else chance.choice((3, 30, 30, 30, 2_000))
        items: list[port.StreamItem] = [self._opened()]
        if not self._stage.kind and chance.random() < 0.1:
            items.append(port.BlockOpened(0, "tool_use", "look"))
        items += [port.BlockDelta(0, "text", words(chance, size // 3)) for _ in range(3)]
        stops = ("end_turn",) if self._stage.kind else ("end_turn", "end_turn", "refusal")
        stop = chance.choice(stops)
        items.append(port.ResponseEnded(stop, None, {"output_tokens": size}))
        return items

    def _turn(self, chance: Random) -> list[port.StreamItem]:
        items: list[port.StreamItem] = [self._opened()]
        if self._stage.kind:
            items += said(0, "All is well.")
            items.append(port.ResponseEnded("end_turn", None, {"output_tokens": 5}))
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
        usage = {"input_tokens": chance.choice((0, 100, 1_500)), "output_tokens": 40}
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
        stage, session_id = self._stage, self._session_of_task()
        await asyncio.sleep(0.01)
        if findings := validate(request.messages):
            stage.complain("P2", f"an invalid history was counted: {findings[0]}")
        if (kind := stage.outage()) is not None:
            raise port.ModelFailed(Failure(kind=kind, message="an outage"))
        refused = stage.api.counted(session_id, request) if session_id is not None else None
        if refused is not None:
            raise port.ModelFailed(refused)
        if stage.kills(self._process, "while a request is counted"):
            await asyncio.sleep(1)
        return 10

    async def capabilities(self, model: str) -> port.Capabilities:
        await asyncio.sleep(0.01)
        return port.Capabilities(model, 200_000, 32_000, "played")

    async def models(self) -> Sequence[port.Capabilities]:
        if not self._stage.kind and self._stage.chance.random() < 0.3:
            raise port.ModelFailed(Failure(kind=FailureKind.NETWORK, message="offline"))
        return (await self.capabilities("m"), await self.capabilities("n"))

    async def close(self) -> None:
        return


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
        if self._stage.kills(self._process, where):
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
