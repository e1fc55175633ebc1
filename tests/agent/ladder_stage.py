"""The ladder of compaction alone, under a clock that jumps: no session, no socket, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeAlias

import attrs

from holdfast.agent import compaction
from holdfast.agent.api import CompactionProgress
from holdfast.agent.services import AgentSettings, Services
from holdfast.conversation.history import Block, Message, assistant, text, user
from holdfast.conversation.models import profile_of
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.compaction.acceptance import Bar
from holdfast.session.failures import Failure, FailureKind
from model import virtual_time

MODEL = "claude-opus-5-5"
NOTE = "Goal: to know kelp. Done: the questions about it were answered. Nothing is open now."


class VirtualWorld:
    """Time and chance of the event loop."""

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def jitter(self) -> float:
        return 0.0

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_1"

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@attrs.frozen
class Answer:
    """What a model does with one request: it is silent, sends signs of life, then says or fails.

    `pings_s` is how long signs of life come, one a second. A `failure` comes after `after_s`.
    """

    says: str = NOTE
    stop_reason: str = ""
    failure: Failure | None = None
    after_s: float = 1.0
    pings_s: float = 0.0
    calls: str = ""


def failing(kind: FailureKind, after_s: float = 0.1, **fields: Any) -> Answer:
    """Return an answer that is a failure."""
    return Answer(
        failure=Failure(kind=kind, message=f"it failed: {kind}", **fields), after_s=after_s
    )


@attrs.frozen
class Asked:
    """One request as the model saw it."""

    kind: str
    at_s: float
    request: port.ModelRequest

    @property
    def words(self) -> str:
        return "".join(b.text_of("text") for m in self.request.messages for b in m.blocks)


Decide: TypeAlias = Callable[[Asked, int], Answer]


class ScriptedModel:
    """A model whose answers a function decides, from the request and how many came before it.

    `open` is how many connections there are now, `most_open` how many there were at once.
    """

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.asked: list[Asked] = []
        self.open = 0
        self.most_open = 0

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        asked = Asked(_kind_of(request), asyncio.get_running_loop().time(), request)
        answer = self._decide(asked, len(self.asked))
        self.asked.append(asked)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            yield self._items(request, answer)
        finally:
            self.open -= 1

    async def _items(
        self, request: port.ModelRequest, answer: Answer
    ) -> AsyncIterator[port.StreamItem]:
        yield port.ResponseOpened("msg_1", request.model, "req_1", 10)
        for _ in range(int(answer.pings_s)):
            await asyncio.sleep(1.0)
            yield port.Heartbeat()
        await asyncio.sleep(answer.after_s)
        if answer.failure is not None:
            raise port.ModelFailed(answer.failure)
        if answer.calls:
            yield port.BlockOpened(0, "tool_use", answer.calls)
        if request.compaction is None:
            yield port.BlockDelta(0, "text", answer.says)
            yield port.BlockClosed(0, text(answer.says))
        elif answer.says and answer.stop_reason in ("", "compaction"):
            block = {"type": "compaction", "content": answer.says, "signature": "sealed"}
            yield port.BlockClosed(0, Block.of(block))
        usual = "end_turn" if request.compaction is None else "compaction"
        yield port.ResponseEnded(answer.stop_reason or usual, None, {"output_tokens": 5})

    async def count_tokens(self, request: port.ModelRequest) -> int:
        return 10

    async def capabilities(self, model: str) -> port.Capabilities:
        return port.Capabilities(model, 200_000, 32_000, "played", compaction=True)

    async def models(self) -> Sequence[port.Capabilities]:
        return ()

    async def probe(self) -> port.Probe:
        return port.Probe(ok=True)

    async def drop_connections(self) -> None:
        return

    async def close(self) -> None:
        return


class _NoTools:
    definitions: ClassVar[tuple[dict[str, Any], ...]] = ()

    def get(self, name: str) -> None:
        return None


class _Services(Services):
    """Services whose endpoints are scripted, too."""

    others: dict[str, ScriptedModel]

    def model_at(self, endpoint: str) -> port.Model:
        return self.others.get(endpoint, self.model)


@attrs.define
class Walk:
    """One walk down the ladder: what was posted and shown, and what the model was asked."""

    model: ScriptedModel
    others: dict[str, ScriptedModel] = attrs.field(factory=dict)
    seconds: float = 0.0
    posted: list[inp.Input] = attrs.field(factory=list)
    shown: list[CompactionProgress] = attrs.field(factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        return [given for given in self.posted if isinstance(given, kind)]

    @property
    def ready(self) -> inp.CompactionReady:
        """The one result. It comes last."""
        (found,) = self.of(inp.CompactionReady)
        assert self.posted[-1] is found
        return found

    @property
    def fell(self) -> list[tuple[str, str]]:
        """The tries that did not hold: rung and reason."""
        return [(given.rung.value, given.reason) for given in self.of(inp.RungFailed)]

    @property
    def chunks(self) -> dict[str, str]:
        """The summaries of chunks that the journal would hold."""
        return {given.key: given.summary for given in self.of(inp.ChunkReady)}

    def asked(self, kind: str) -> list[Asked]:
        return [asked for asked in self.model.asked if asked.kind == kind]


def history(tokens: int, turns: int = 40) -> tuple[Message, ...]:
    """Return a conversation of about so many tokens, each turn in words of its own."""
    length = int(tokens * 3.5 / turns / 9)
    return tuple(
        message
        for turn in range(turns)
        for message in (
            user(f"question {turn}"),
            assistant("".join(f"w{turn:03}{word:04} " for word in range(length))),
        )
    )


def task(messages: Sequence[Message], **changes: Any) -> compaction.Task:
    """Return what is to be compacted, in a window of 200 000 tokens."""
    fields: dict[str, Any] = {
        "compaction_id": "c_1",
        "previous": "",
        "messages": tuple(messages),
        "instructions": "",
        "model": MODEL,
        "window_tokens": 200_000,
        "output_tokens": 16_000,
        "output_tokens_max": 32_000,
        "input_tokens_max": 100_000,
        "idle_cut_s": 90.0,
        "deadline_s": 600.0,
        "grammar": profile_of(MODEL),
        "bar": Bar(covered_tokens=100_000),
        "on_demand": on_demand_request(messages),
        "failed": {},
        "chunks": {},
    }
    return compaction.Task(**{**fields, **changes})


def on_demand_request(messages: Sequence[Message]) -> port.ModelRequest:
    return port.ModelRequest(
        model=MODEL,
        system="Be brief.",
        tools=(),
        messages=tuple(messages),
        max_output_tokens=16_000,
        compaction="",
    )


def walk(
    given: compaction.Task,
    decide: Decide,
    *,
    first: ev.Rung = ev.Rung.ON_DEMAND,
    method: str = "api",
    cancel_after_s: float | None = None,
    last: CompactionProgress | None = None,
    elsewhere: Mapping[str, Decide] | None = None,
    hurried_at_s: Sequence[float] = (),
    doubted_at_s: Sequence[float] = (),
) -> Walk:
    """Walk down the ladder in virtual time, ended after `cancel_after_s` if it is given.

    `elsewhere` are other endpoints; at `hurried_at_s` somebody says "retry now", at `doubted_at_s`
    the machine wakes.
    """
    model = ScriptedModel(decide)
    others = {name: ScriptedModel(decides) for name, decides in (elsewhere or {}).items()}
    found = Walk(model, others=others)

    async def work() -> None:
        settings = AgentSettings(model=MODEL, compaction_method=method)
        services = _Services(
            store=None, model=model, tools=_NoTools(), world=VirtualWorld(), settings=settings
        )
        services.others = others
        hurry = compaction.Hurry()
        for at_s in hurried_at_s:
            asyncio.get_running_loop().call_later(at_s, hurry.up)
        for at_s in doubted_at_s:
            asyncio.get_running_loop().call_later(at_s, hurry.doubt)
        preparing = asyncio.create_task(
            compaction.prepare(
                given,
                services,
                found.posted.append,
                found.shown.append,
                first=first,
                last=last,
                hurry=hurry,
            )
        )
        await asyncio.wait([preparing], timeout=cancel_after_s)
        if not preparing.done():
            preparing.cancel()
            await asyncio.wait([preparing])
        if not preparing.cancelled():
            preparing.result()
        assert all(m.open == 0 for m in (model, *others.values())), "a connection was left open"

    _, found.seconds = virtual_time.run(work())
    return found


def always(answer: Answer) -> Decide:
    return lambda _asked, _number: answer


def by_kind(**answers: Answer | Sequence[Answer]) -> Decide:
    """Decide by what is asked for: `onDemand`, `summary`, `chunk` or `merge`.

    Of a sequence each answer is given once, the last one for ever.
    """
    left = {k: [a] if isinstance(a, Answer) else list(a) for k, a in answers.items()}

    def decide(asked: Asked, _number: int) -> Answer:
        queue = left.get(asked.kind, [Answer()])
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return decide


def _kind_of(request: port.ModelRequest) -> str:
    if request.compaction is not None:
        return "onDemand"
    marks = {"hand-over note": "summary", "note on one part": "chunk", "join the notes": "merge"}
    return next(kind for mark, kind in marks.items() if mark in request.system)
