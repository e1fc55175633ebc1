"""A server that does not run for a while, in the middle of whatever it does (C09).

Law: the server is stopped by SIGSTOP. Either its clocks go on, as with a debugger, or, as with a
machine that sleeps, only its wall clock does (`clock.py`). Meanwhile the world does what it does:
answers end, connections are lost, commands finish. Then the server goes on (SIGCONT), and nobody
says or presses anything.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from differential.pictures import Json
from e2e import clock
from e2e.compacting import BY_MODEL, ENDS, NOTE, ON_DEMAND, fails_at_once, padded, says_slowly
from e2e.nursery import Nursery
from e2e.server import Server, start
from holdfast.simulator import Script, Simulator
from network.stage import Place, Stage

SETTLE_S: Final = 0.5
"""So long after the stop the world begins to change."""

WORDS: Final = "The tide comes in and the kelp sways. "


@dataclass(frozen=True)
class Moment:
    """One moment of a turn: what the API does, and the event that says that it has come.

    `asked` requests must have arrived by then. `before` is done to the way to the API at first,
    `meanwhile` is done to the way to the API while the server does not run, and `others` says that
    another server opens the session then. `answers` is said by the person afterwards. `requests`
    for answers are made at most, from the prompt to the end of its turn.
    """

    says: str
    script: Sequence[Json]
    until: str
    meanwhile: Callable[[Place], Awaitable[None]] | None = None
    before: Callable[[Place], Awaitable[None]] | None = None
    asked: int = 0
    prompts: int = 0
    compacts: bool = False
    answers: bool = False
    others: bool = False
    requests: int = 1
    commands: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


def _answers(words: str, *content: Json, per_delta_ms: int = 0, **match: Any) -> Json:
    said = {"content": [{"type": "text", "text": words, "chunk": 8}, *content]}
    return {"match": match, "times": None, "respond": {**said, "per_delta_ms": per_delta_ms}}


def _runs(command: str) -> list[Json]:
    call = {"type": "tool_use", "name": "run", "input": {"command": command, "timeout_s": 60}}
    return [
        _answers("Nothing more.", last_user_contains="And now?"),
        _answers("It has run.", has_tool_results=True),
        _answers("I begin with a command. ", call),
    ]


_STREAMS: Final = [
    _answers("And the rest of it.", last_user_contains="Continue exactly"),
    _answers(WORDS * 8, per_delta_ms=120),
]
_SUMMARISES: Final = [
    *fails_at_once(ON_DEMAND),
    says_slowly(f"{NOTE} " * 8, BY_MODEL, per_delta_ms=200),
    _answers("It is noted."),
]
_MARK: Final = "echo ran >> effects.log; sleep {}; echo the-end"
_OVERLOADED: Final = [
    {"times": 2, "fault": {"name": "overloaded"}},
    _answers(WORDS),
]


async def _lost(place: Place) -> None:
    """Lose all connections without a word, as a NAT does, and be there for new ones."""
    await place.become("black hole")
    await place.become("healthy")


async def _restarted(place: Place) -> None:
    """End all connections, as a gateway does that is started anew."""
    await place.become("refused")
    await place.become("healthy")


async def _gone(place: Place) -> None:
    await place.become("refused")


async def _back(place: Place) -> None:
    await place.become("healthy")


async def _silent(place: Place) -> None:
    await place.become("never answers")


_PATIENT: Final = {"permissions": [{"tool": "*", "pattern": "*", "answer": "ask"}]}

MOMENTS: Final[Mapping[str, Moment]] = {
    "streaming": Moment("the answer arrives, and goes on arriving", _STREAMS, "blockDelta"),
    "streaming, then ended": Moment(
        "the answer arrives, and the other end closes the connection",
        _STREAMS,
        "blockDelta",
        _restarted,
        requests=2,
    ),
    "streaming, then lost": Moment(
        "the answer arrives, and the connection is lost without a word",
        _STREAMS,
        "blockDelta",
        _lost,
        requests=2,
    ),
    "waiting for an answer, then lost": Moment(
        "the request is sent, and the connection is lost without a word",
        _STREAMS,
        "requestStarted",
        _lost,
        _silent,
        asked=1,
        requests=2,
    ),
    "between two tries": Moment(
        "the next try is waited for", _OVERLOADED, "retryScheduled", requests=3
    ),
    "between two tries, then it clears": Moment(
        "nothing listens, and soon something does",
        _STREAMS,
        "retryScheduled",
        _back,
        _gone,
        requests=3,
    ),
    "paused, then it clears": Moment(
        "nothing has listened for long, and soon something does",
        _STREAMS,
        "turnPaused",
        _back,
        _gone,
        requests=3,
        options={"retry": {"budgetSeconds": 1, "maxDelaySeconds": 0.2}},
    ),
    "in a command that ends": Moment(
        "a command runs, and is through before the server is",
        _runs(_MARK.format(1)),
        "toolStarted",
        requests=2,
        commands=1,
    ),
    "in a question": Moment(
        "a person is asked, and answers afterwards",
        _runs(_MARK.format(0)),
        "questionAsked",
        answers=True,
        requests=2,
        commands=1,
        options=_PATIENT,
    ),
    "compacting": Moment(
        "a summary arrives",
        _SUMMARISES,
        "compactionStarted",
        asked=1,
        prompts=6,
        compacts=True,
        options={"compaction": {"method": "summary"}},
    ),
    "compacting, then lost": Moment(
        "a summary arrives, and the connection is lost without a word",
        _SUMMARISES,
        "compactionStarted",
        _lost,
        asked=1,
        prompts=6,
        compacts=True,
        requests=2,
        options={"compaction": {"method": "summary"}},
    ),
    "streaming, then taken over": Moment(
        "another server opens the session and goes on with it",
        _STREAMS,
        "blockDelta",
        others=True,
        requests=2,
    ),
}


@dataclass
class Woken:
    """What was measured of one moment, in seconds, and what had happened in all.

    `goes_on_s` is how long after SIGCONT something of the session was recorded, `ended_s` how long
    until its turn, or the compaction, was over, or the server knew that it had lost the session.
    """

    goes_on_s: float = 0.0
    ended_s: float = 0.0
    requests: int = 0
    marks: Mapping[str, int] = field(default_factory=dict)
    tool_output: str = ""
    answer: str = ""
    next_answer: str = ""
    ended: str = ""
    refused: int = 0


async def suspend(
    moment: Moment,
    stopped_s: float,
    nursery: Nursery,
    root: Path,
    options: Mapping[str, Any],
    *,
    asleep_s: float = 0,
) -> Woken:
    """Stop a server in this moment for so long, and return what became of its session.

    Its wall clock jumps by `asleep_s` meanwhile. Raises `AssertionError` for what was shown and is
    not in the journal.
    """
    root.mkdir()
    ahead = root / "clock"
    clock.jump(ahead, 0)
    async with Simulator(Script.parse(list(moment.script))) as api, Stage(root) as stage:
        place = await stage.set("healthy", api.port)
        environment = {clock.VARIABLE: str(ahead)}
        server = await start(place, root, nursery, environment, **{**options, **moment.options})
        server.limit_s = 300.0
        try:
            play = _Suspended(moment, server, place, root)
            return await play.through(
                lambda: clock.jump(ahead, asleep_s), stopped_s, nursery, options
            )
        finally:
            assert server.client is not None
            await server.client.stop()


class _Suspended:
    """One server, one session, one moment."""

    def __init__(self, moment: Moment, server: Server, place: Place, root: Path) -> None:
        self._moment, self._server, self._place, self._root = moment, server, place, root
        self._woken = Woken()
        self._session = ""

    async def through(
        self,
        sleep: Callable[[], None],
        stopped_s: float,
        nursery: Nursery,
        options: Mapping[str, Any],
    ) -> Woken:
        """Bring the moment about, stop, wait, go on, and see."""
        moment, server, woken = self._moment, self._server, self._woken
        workspace = self._root / "workspace"
        workspace.mkdir()
        made = await server.command("session.create", workspaceUri=workspace.as_uri(), title="s")
        self._session = str(made["sessionId"])
        await server.open(self._session)
        for number in range(moment.prompts):
            await server.ended(self._session, await self._send(padded(f"Note {number}.", 1_500)))
        before = self._place.requests
        if moment.before is not None:
            await moment.before(self._place)
        what = await (self._compact() if moment.compacts else self._send("How is the sea?"))
        await server.until(lambda: server.of(self._session, moment.until), moment.until)
        async with asyncio.timeout(server.limit_s):
            while self._place.requests < before + moment.asked:
                await asyncio.sleep(0.01)
        shown = await self._stopped(sleep, stopped_s, nursery, options)
        if moment.others:
            return woken
        continued_at = time.monotonic()
        if moment.answers:
            question = server.of(self._session, "questionAsked")[-1]["questionId"]
            await server.command("permission.answer", questionId=question, answer="allow")
        events = server.events[self._session]
        await server.until(lambda: len(events) > shown, "something that goes on")
        woken.goes_on_s = time.monotonic() - continued_at
        await server.until(lambda: self._is_over(what), "the end")
        woken.ended_s = time.monotonic() - continued_at
        woken.requests = self._place.requests - before
        await self._look_around(server, workspace)
        return woken

    async def _send(self, words: str) -> str:
        sent = await self._server.command("turn.send", sessionId=self._session, text=words)
        return str(sent["turnId"])

    async def _compact(self) -> str:
        asked = await self._server.command("session.compact", sessionId=self._session)
        return str(asked["compactionId"])

    async def _stopped(
        self,
        sleep: Callable[[], None],
        stopped_s: float,
        nursery: Nursery,
        options: Mapping[str, Any],
    ) -> int:
        """Stop the server for so long; return how many events it had shown."""
        moment, server = self._moment, self._server
        assert server.client is not None
        process = server.client._process
        process.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        try:
            await asyncio.sleep(SETTLE_S)  # Real time is what this is about.
            shown = len(server.events[self._session])
            if moment.meanwhile is not None:
                await moment.meanwhile(self._place)
            sleep()
            await asyncio.sleep(stopped_s - (time.monotonic() - stopped_at))
            if moment.others:
                await self._taken_over(nursery, options, process)
        finally:
            process.send_signal(signal.SIGCONT)
        return shown

    async def _taken_over(self, nursery: Nursery, options: Mapping[str, Any], process: Any) -> None:
        """Have a second server go on with the session; then wake the first, which must let go."""
        first, session, woken = self._server, self._session, self._woken
        turn = first.of(session, "turnStarted")[-1]["turnId"]
        second = await start(self._place, self._root, nursery, **options)
        second.limit_s = first.limit_s
        try:
            began_at = time.monotonic()
            await second.open(session)
            events = second.events[session]
            shown = len(events)
            await second.until(lambda: len(events) > shown, "something that goes on")
            woken.goes_on_s = time.monotonic() - began_at
            await second.ended(session, turn)
            process.send_signal(signal.SIGCONT)
            woken_at = time.monotonic()
            await first.until(
                lambda: first.statuses[session].get("readOnly"), "that it has lost the session"
            )
            woken.ended_s = time.monotonic() - woken_at
            woken.requests = self._place.requests
            await self._look_around(second, self._root / "workspace")
            await check_kept(first, second, session)
        finally:
            assert second.client is not None
            await second.client.stop()

    def _is_over(self, what: str) -> bool:
        server, session = self._server, self._session
        if self._moment.compacts:
            ends = [server.of(session, kind) for kind in ENDS]
            return any(event["compactionId"] == what for one in ends for event in one)
        return any(event["turnId"] == what for event in server.of(session, "turnEnded"))

    async def _look_around(self, server: Server, workspace: Path) -> None:
        """Note what there is afterwards, and that a further prompt is answered."""
        session, woken = self._session, self._woken
        woken.answer = await server.last_answer(session)
        outputs = [event["content"] for event in server.of(session, "toolFinished")]
        woken.tool_output = json.dumps(outputs)
        ends = server.of(session, "turnEnded")
        woken.ended = str(ends[-1]["reason"]) if ends else ""
        marks = workspace / "effects.log"
        woken.marks = Counter(marks.read_text().splitlines() if marks.exists() else ())
        sent = await server.command("turn.send", sessionId=session, text="And now?")
        await server.ended(session, sent["turnId"])
        woken.next_answer = await server.last_answer(session)
        await check_kept(server, server, session)


async def check_kept(before: Server, after: Server, session_id: str) -> None:
    """What the one server showed is in the journal that the other one has."""
    exported = await after.command("session.export", sessionId=session_id, format="jsonl")
    lines = [json.loads(line) for line in exported["content"].splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    journal = {line["seq"]: line["event"] for line in lines}
    for shown in before.events[session_id]:
        assert journal[shown["seq"]] == shown["event"], "P1: shown, and now otherwise"
