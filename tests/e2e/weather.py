"""One fault on the way to the API, played to the real server: what is said, and how it goes on.

Law: a row is played as it would be lived. A prompt meets the fault; what a person is told and when
is measured at the editor's end of the wire. Meanwhile another session is stopped in each state that
the fault leads to. Then the fault is cleared, and the time until an answer comes is measured.
Sockets and processes are real; a `Season` says which limits are.
"""

from __future__ import annotations

import asyncio
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

Heals = Literal["itself", "asking", "a new key", "a person", "a restart", "no harm", "elsewhere"]
"""What makes a turn go on: nothing but the end of the fault, found by a free look or, where none
can see it, by asking; or somebody; or a server with another environment; or nothing stops it; or
what no test can do to a machine.
"""


@dataclass(frozen=True)
class Season:
    """The settings of the servers, the beat of the places and how long a step may take.

    The beat is more than the silence that is told, and less than the one that is cut.
    """

    options: Mapping[str, Any]
    pace_s: float
    patience_s: float

    @property
    def script(self) -> Script:
        """What the API answers: for longer than a beat, and shortly where it goes on."""

        def says(words: str) -> dict[str, Any]:
            content = [{"type": "text", "text": words, "chunk": 8}]
            return {"content": content, "per_delta_ms": self.pace_s * 1000 / 14}

        goes_on = {"last_user_contains": "Continue exactly"}
        return Script.parse(
            [
                {"match": goes_on, "times": None, "respond": says(WORDS)},
                {"times": None, "respond": says(WORDS * 4)},
            ]
        )


WORDS: Final = "The tide comes in and the kelp sways. "
SCALED: Final = Season(
    {
        "retry": {"maxDelaySeconds": 0.2, "budgetSeconds": 1.0, "probeMaxSeconds": 0.5},
        "stream": {
            "idleWarnSeconds": 0.3,
            "idleCutSeconds": 0.9,
            "firstByteSeconds": 2.0,
            "progressCutSeconds": 1.5,
        },
    },
    pace_s=0.35,
    patience_s=30.0,
)
DEFAULTS: Final = Season({"retry": {}, "stream": {}, "compaction": {}}, 12.0, 2_700.0)
"""What people have who have set nothing."""

STOP_S: Final = 0.25
GOES_ON_S: Final = 5.0
"""A look that hangs, a probe interval and the answer, on a machine that is shared."""
AT_ONCE: Final = 8
STOPS: Final = 3
"""How often a stop is measured; the best counts, for the machine of a test is shared."""


@dataclass
class Lived:
    """What was measured of one fault. Times in seconds; None for what did not happen.

    `verdicts` are all that a request failed by, each once: its kind, and the cause below it.
    `requests` were sent until the turn was paused or through, `asked_in_pause` while it was paused;
    `looks_in_vain` failed although the fault was gone. When it was cleared, the next look or try
    was announced in `due_s`, and `goes_on_s` later an answer began to come.
    """

    verdicts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    visible_s: float | None = None
    stops_s: dict[str, float] = field(default_factory=dict)
    was_paused: bool = False
    paused_s: float | None = None
    requests: int = 0
    asked_in_pause: int = 0
    looks_in_vain: int = 0
    due_s: float | None = None
    goes_on_s: float | None = None
    answer: str = ""
    next_answer: str = ""


@dataclass(frozen=True)
class Scene:
    """Where a fault is played, and with what."""

    stage: Stage
    upstream: Simulator
    nursery: Nursery
    root: Path
    season: Season

    async def open(self, fault: str, folder: str) -> Play:
        """Set a place with the fault, and start a server behind it."""
        root = self.root / folder.replace(" ", "-")
        root.mkdir()
        place = await self.stage.set(fault, self.upstream.port, pace_s=self.season.pace_s)
        play = Play(self, place, root)
        await play.start()
        return play


async def live(fault: str, heals: Heals, scene: Scene) -> Lived:
    """Play one fault to a server of its own and return what was measured."""
    play = await scene.open(fault, fault)
    try:
        return await (play.calm() if heals == "no harm" else play.stormy(heals))
    finally:
        await play.end()


async def live_shortly(fault: str, heals: Heals, scene: Scene, *, pressed: bool) -> Lived:
    """Clear a fault as soon as it is seen; wait for the turn, or press "Retry now"."""
    play = await scene.open(fault, f"{fault} {'pressed' if pressed else 'short'}")
    try:
        return await play.short(heals, pressed=pressed)
    finally:
        await play.end()


class Play:
    """One server behind one place, and the sessions that meet the fault."""

    def __init__(self, scene: Scene, place: Place, root: Path) -> None:
        self.place = place
        self.lived = Lived()
        self.server = Server()
        self._scene, self._root = scene, root
        self._sent_at = 0.0

    async def start(self) -> None:
        """Start the server with the environment that is now."""
        scene = self._scene
        environment, options = self.place.environment, scene.season.options
        self.server = await start(self.place, self._root, scene.nursery, environment, **options)
        self.server.limit_s = scene.season.patience_s

    async def end(self) -> None:
        """End the server as an editor does."""
        assert self.server.client is not None
        await self.server.client.stop()

    async def calm(self) -> Lived:
        """A fault that only slows down: the turn ends while the fault is there."""
        session, turn = await self.send("one")
        await self.visible(session, turn)
        await self._finish(session, turn)
        return self.lived

    async def stormy(self, heals: Heals) -> Lived:
        """A fault that stops the turn: it is paused, looked at, and goes on when it is cleared."""
        lived = self.lived
        session, turn = await self.send("one")
        async with asyncio.TaskGroup() as stops:
            for state in ("as soon as it shows", "paused"):
                stops.create_task(self._stop_in(state))
            await self.visible(session, turn)
            await self._paused(session, turn)
            lived.said = self._said(session)
            lived.paused_s = time.monotonic() - self._sent_at
            lived.was_paused = True
            lived.requests = self._asked(session)
            if heals in ("itself", "elsewhere"):
                await self._looked_in_vain(session)
            lived.asked_in_pause = self._asked(session) - lived.requests
        lived.verdicts = self.verdicts(session)
        if heals == "elsewhere":
            return lived
        looks = len(self.server.of(session, "probeFailed"))
        await self._clear(session, turn, heals)
        lived.looks_in_vain = len(self.server.of(session, "probeFailed")) - looks
        await self._finish(session, turn)
        return lived

    async def short(self, heals: Heals, *, pressed: bool) -> Lived:
        """A fault that is over as soon as it was seen."""
        session, turn = await self.send("one")
        await self.visible(session, turn)
        self.lived.requests = self._asked(session)
        await self._clear(session, turn, "a person" if pressed and heals != "a new key" else heals)
        await self._finish(session, turn)
        return self.lived

    async def _clear(self, session: str, turn: str, heals: Heals) -> None:
        """Take the fault away and measure until an answer begins to come."""
        answers = len(self.server.of(session, "responseStarted"))
        banner = self.server.statuses[session].get("banner") or {}
        if due := banner.get("due"):
            self.lived.due_s = due / 1000 - time.time()
        await self.place.clear()
        cleared_at = time.monotonic()
        match heals:
            case "a new key":
                await self.server.command("credentials.set", apiKey=NEW_KEY)
            case "a person":
                await self.server.command("turn.retry", sessionId=session)
            case "a restart":
                await self.end()
                await self.start()
                await self.server.open(session)
        await self.server.until(
            lambda: (
                len(self.server.of(session, "responseStarted")) > answers
                or self.has_ended(session, turn)
            ),
            "an answer",
        )
        self.lived.goes_on_s = time.monotonic() - cleared_at

    async def send(self, title: str) -> tuple[str, str]:
        """Send a prompt in a new session; return session and turn."""
        workspace = self._root / title
        workspace.mkdir()
        made = await self.server.command(
            "session.create", workspaceUri=workspace.as_uri(), title=title
        )
        session = str(made["sessionId"])
        await self.server.open(session)
        sent = await self.server.command("turn.send", sessionId=session, text="How is the sea?")
        if not self._sent_at:
            self._sent_at = time.monotonic()
        return session, str(sent["turnId"])

    async def visible(self, session: str, turn: str) -> None:
        """Wait until a person sees that something is wrong, or the turn is through."""

        def seen() -> str:
            status = self.server.statuses.get(session, {})
            if banner := status.get("banner"):
                return str(banner["text"])
            return "through" if self.has_ended(session, turn) else ""

        said = await self.server.until(seen, "a banner")
        if said != "through" and self.lived.visible_s is None:
            self.lived.visible_s = time.monotonic() - self._sent_at

    async def _paused(self, session: str, turn: str) -> None:
        """Wait for the pause and for the event that it comes from; they take different ways."""
        server = self.server
        await server.until(
            lambda: (
                (
                    server.statuses.get(session, {}).get("phase") == "paused"
                    and server.of(session, "turnPaused")
                )
                or self.has_ended(session, turn)
            ),
            "a pause",
        )
        assert not self.has_ended(session, turn), "the fault stopped nothing"

    async def _looked_in_vain(self, session: str) -> None:
        """Wait until a look has failed and the next one is announced."""
        server = self.server

        def looked() -> bool:
            failed = server.of(session, "probeFailed")
            due = (server.statuses[session].get("banner") or {}).get("due")
            return bool(failed) and failed[-1]["retryAtMs"] == due

        await server.until(looked, "a look at the endpoint")

    def _said(self, session: str) -> list[str]:
        status = self.server.statuses[session]
        return [status["message"], status["advice"]]

    def verdicts(self, session: str) -> list[str]:
        """Return by what requests have failed, each once, in order: kind and cause."""
        failures = [event["failure"] for event in self.server.of(session, "requestFailed")]
        found = ("/".join(filter(None, (f["kind"], f.get("cause")))) for f in failures)
        return list(dict.fromkeys(found))

    async def _stop_in(self, state: str) -> None:
        """Stop a turn of another session in one of the states that the fault leads to."""
        for number in range(STOPS):
            taken_s = await self._stopped(state, f"{state} {number}")
            best = min(taken_s, self.lived.stops_s.get(state, taken_s))
            self.lived.stops_s[state] = best
            if best <= STOP_S:
                break

    async def _stopped(self, state: str, title: str) -> float:
        session, turn = await self.send(title)
        server = self.server
        await server.until(lambda: server.statuses.get(session, {}).get("banner"), "a banner")
        if state == "paused":
            await self._paused(session, turn)
        asked_at = time.monotonic()
        await server.command("turn.stop", sessionId=session)
        await server.ended(session, turn)
        return time.monotonic() - asked_at

    async def _finish(self, session: str, turn: str) -> None:
        """Wait for the end of the turn, then have another prompt answered."""
        server, lived = self.server, self.lived
        await server.ended(session, turn)
        lived.answer = await server.last_answer(session)
        if not lived.was_paused:
            lived.requests = self._asked(session)
            lived.verdicts = self.verdicts(session)
        sent = await server.command("turn.send", sessionId=session, text="And now?")
        await server.ended(session, sent["turnId"])
        lived.next_answer = await server.last_answer(session)

    def _asked(self, session: str) -> int:
        return len(self.server.of(session, "requestStarted"))

    def has_ended(self, session: str, turn: str) -> bool:
        """Say whether a turn is through."""
        return any(e["turnId"] == turn for e in self.server.of(session, "turnEnded"))
