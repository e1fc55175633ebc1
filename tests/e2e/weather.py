"""One fault on the way to the API, played to the real server: what is said, and how it goes on.

Law: a row is played as it would be lived. A prompt meets the fault; what a person is told and when
is measured at the editor's end of the wire. Meanwhile another session is stopped in each state that
the fault leads to. Then the fault is cleared, and the time until the turn's answer is measured.
Limits are scaled (`SCALED`), sockets and processes are real.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from e2e.nursery import Nursery
from e2e.server import Server, start
from holdfast.simulator import Script, Simulator
from network.plays import NEW_KEY
from network.stage import Place, Stage

Heals = Literal["itself", "asking", "a new key", "a person", "no harm", "elsewhere"]
"""What makes a turn go on: nothing but the end of the fault, found by a free look or, where none
can see it, by asking; or somebody; or nothing stops it; or what no test can do to a machine.
"""

SCALED: Final[Mapping[str, Any]] = {
    "retry": {"maxDelaySeconds": 0.2, "budgetSeconds": 1.0, "probeMaxSeconds": 0.5},
    "stream": {
        "idleWarnSeconds": 0.3,
        "idleCutSeconds": 0.9,
        "firstByteSeconds": 2.0,
        "progressCutSeconds": 1.5,
    },
}
STOP_S: Final = 0.25
GOES_ON_S: Final = 5.0
"""A look that hangs, a probe interval and the answer, on a machine that is shared."""
AT_ONCE: Final = 8
STOPS: Final = 3
"""How often a stop is measured; the best counts, for the machine of a test is shared."""
PACE_S: Final = 0.35
"""The beat of the places: more than the silence that is told, less than the one that is cut."""

WORDS: Final = "The tide comes in and the kelp sways. "
ANSWER: Final = Script.parse(
    [
        {
            "match": {"last_user_contains": "Continue exactly"},
            "times": None,
            "respond": {"content": [{"type": "text", "text": WORDS}]},
        },
        {
            "times": None,
            "respond": {
                "content": [{"type": "text", "text": WORDS * 4, "chunk": 8}],
                "per_delta_ms": 25,
            },
        },
    ]
)


@dataclass
class Lived:
    """What was measured of one fault. Times in seconds; None for what did not happen.

    `verdicts` are all that a request failed by, each once: its kind, and the cause below it.
    `requests` were sent until the turn was paused or through, `asked_in_pause` while it was paused;
    `looks_in_vain` failed although the fault was gone.
    """

    verdicts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    visible_s: float | None = None
    stops_s: dict[str, float] = field(default_factory=dict)
    was_paused: bool = False
    requests: int = 0
    asked_in_pause: int = 0
    looks_in_vain: int = 0
    goes_on_s: float = 0.0
    answer: str = ""
    next_answer: str = ""


async def live(
    fault: str, heals: Heals, stage: Stage, upstream: Simulator, nursery: Nursery, root: Path
) -> Lived:
    """Play one fault to a server of its own and return what was measured."""
    place = await stage.set(fault, upstream.port, pace_s=PACE_S)
    server = await start(place, root, nursery, place.environment, **SCALED)
    try:
        play = _Play(server, place, root)
        return await (play.calm() if heals == "no harm" else play.stormy(heals))
    finally:
        assert server.client is not None
        await server.client.stop()


class _Play:
    """One server behind one place, and the sessions that meet the fault."""

    def __init__(self, server: Server, place: Place, root: Path) -> None:
        self._server, self._place, self._root = server, place, root
        self._lived = Lived()

    async def calm(self) -> Lived:
        """A fault that only slows down: the turn ends while the fault is there."""
        session, turn = await self._send("one")
        await self._visible(session, turn)
        await self._end(session, turn)
        return self._lived

    async def stormy(self, heals: Heals) -> Lived:
        """A fault that stops the turn: it is paused, looked at, and goes on when it is cleared."""
        lived, server = self._lived, self._server
        session, turn = await self._send("one")
        await self._visible(session, turn)
        await self._paused(session, turn)
        lived.was_paused = True
        lived.requests = self._asked(session)
        if heals in ("itself", "elsewhere"):
            await server.until(lambda: server.of(session, "probeFailed"), "a look at the endpoint")
        if heals == "asking":
            await server.until(lambda: server.of(session, "turnResumed"), "a look at the endpoint")
        lived.asked_in_pause = self._asked(session) - lived.requests
        await self._stop()
        if heals == "elsewhere":
            return lived
        await self._place.clear()
        cleared_at = time.monotonic()
        looks = len(server.of(session, "probeFailed"))
        match heals:
            case "a new key":
                await server.command("credentials.set", apiKey=NEW_KEY)
            case "a person":
                await server.command("turn.retry", sessionId=session)
        await server.ended(session, turn)
        lived.goes_on_s = time.monotonic() - cleared_at
        lived.looks_in_vain = len(server.of(session, "probeFailed")) - looks
        await self._end(session, turn)
        return lived

    async def _send(self, title: str) -> tuple[str, str]:
        """Send a prompt in a new session; return session and turn."""
        workspace = self._root / title
        workspace.mkdir()
        made = await self._server.command(
            "session.create", workspaceUri=workspace.as_uri(), title=title
        )
        session = str(made["sessionId"])
        await self._server.open(session)
        sent = await self._server.command("turn.send", sessionId=session, text="How is the sea?")
        self._sent_at = time.monotonic()
        return session, str(sent["turnId"])

    async def _visible(self, session: str, turn: str) -> None:
        """Wait until a person sees that something is wrong, or the turn is through."""

        def seen() -> str:
            status = self._server.statuses.get(session, {})
            if banner := status.get("banner"):
                return str(banner["text"])
            return "through" if self._has_ended(session, turn) else ""

        said = await self._server.until(seen, "a banner")
        if said != "through" and self._lived.visible_s is None:
            self._lived.visible_s = time.monotonic() - self._sent_at

    async def _paused(self, session: str, turn: str) -> None:
        """Wait for the pause and for the event that it comes from; they take different ways."""
        server = self._server
        await server.until(
            lambda: (
                (
                    server.statuses.get(session, {}).get("phase") == "paused"
                    and server.of(session, "turnPaused")
                )
                or self._has_ended(session, turn)
            ),
            "a pause",
        )
        assert not self._has_ended(session, turn), "the fault stopped nothing"
        status = self._server.statuses[session]
        self._lived.said = [status["message"], status["advice"]]
        for event in self._server.of(session, "requestFailed"):
            failure = event["failure"]
            verdict = "/".join(filter(None, (failure["kind"], failure.get("cause"))))
            if verdict not in self._lived.verdicts:
                self._lived.verdicts.append(verdict)

    async def _stop(self) -> None:
        """Stop a turn of another session in each state that the fault leads to."""
        for state in ("as soon as it shows", "paused"):
            for number in range(STOPS):
                taken_s = await self._stopped(state, f"{state} {number}")
                best = min(taken_s, self._lived.stops_s.get(state, taken_s))
                self._lived.stops_s[state] = best
                if best <= STOP_S:
                    break

    async def _stopped(self, state: str, title: str) -> float:
        session, turn = await self._send(title)
        await self._visible(session, turn)
        if state == "paused":
            await self._paused(session, turn)
        asked_at = time.monotonic()
        await self._server.command("turn.stop", sessionId=session)
        await self._server.ended(session, turn)
        return time.monotonic() - asked_at

    async def _end(self, session: str, turn: str) -> None:
        """Wait for the end of the turn, then have another prompt answered."""
        server, lived = self._server, self._lived
        await server.ended(session, turn)
        lived.answer = await server.last_answer(session)
        if not lived.was_paused:
            lived.requests = self._asked(session)
        sent = await server.command("turn.send", sessionId=session, text="And now?")
        await server.ended(session, sent["turnId"])
        lived.next_answer = await server.last_answer(session)

    def _asked(self, session: str) -> int:
        return len(self._server.of(session, "requestStarted"))

    def _has_ended(self, session: str, turn: str) -> bool:
        return any(e["turnId"] == turn for e in self._server.of(session, "turnEnded"))
