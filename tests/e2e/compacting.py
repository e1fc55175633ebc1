"""Sessions that must be compacted while compaction fails, in the real server: how they are made and
what must hold for each (B01 to B23).

Law: what holds is read from outside - the API's log, the journal's export, the files that tools
left - and never from what the server says of itself. Whatever fails is a step of the API's script.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from corpora.poisoned import OPENING, SECRET
from differential.pictures import Json
from e2e.damage import Scene, strings
from e2e.nursery import Nursery
from e2e.server import start
from holdfast.simulator import LogEntry, Script, Simulator

WINDOW_TOKENS: Final = 24_000
"""Small, so that a handful of prompts fills it; what is sent besides messages takes a tenth."""
LARGE_TOKENS: Final = 60_000
"""Large enough for a history of several chunks."""

QUESTION: Final = "What was the secret word?"
MEANWHILE: Final = "Meanwhile: what is two and two?"
ANSWERED: Final = f"You said: {MEANWHILE}"

ON_DEMAND: Final = {"has_compaction": True}
"""The API's own compaction is asked for."""
BY_MODEL: Final = {"has_tools": False}
"""A summary of plain text is asked for, of everything or of a chunk; a session has tools."""

NOTE: Final = (
    "Goal: keep the garden notes. Decisions: none. Done: the person said that the secret word is "
    f"{SECRET}, and every note was taken. Files: garden.txt was read. Open items: none. "
    "Where the work stands now: the notes are complete and the person may ask for more."
)
"""A summary that a model could write."""

ENDS: Final = ("compactionCommitted", "compactionEnded")
RUNGS_TRIED_MAX: Final = {"onDemand": 2, "summary": 2}
"""Tries of a rung in one compaction, restarts included."""


def step(match: Mapping[str, Any], times: int | None = None, **more: Any) -> Json:
    """A step of the API's part, for ever unless `times` says how often."""
    return {"match": dict(match), "times": times, **more}


def fails(name: str, *matches: Mapping[str, Any], **fault: Any) -> list[Json]:
    """Every request for a compaction meets a fault, or those that `matches` mean."""
    meant = matches or (ON_DEMAND, BY_MODEL)
    return [step(match, fault={"name": name, **fault}, label=name) for match in meant]


def fails_at_once(*matches: Mapping[str, Any]) -> list[Json]:
    """Every request for a compaction is refused, so that it is not tried again."""
    return fails("bad-request", *matches)


def says(text: str, match: Mapping[str, Any], **more: Any) -> Json:
    """The model answers with this text."""
    return step(match, respond={"content": [{"type": "text", "text": text}], **more})


def says_slowly(text: str, match: Mapping[str, Any], per_delta_ms: int = 80) -> Json:
    """The model answers with this text, a line or two at a time."""
    content = [{"type": "text", "text": text, "chunk": 120}]
    return step(match, respond={"content": content, "per_delta_ms": per_delta_ms})


def calls(words: str, name: str, *given: Mapping[str, Any]) -> Json:
    """The model calls a tool, once for each of the arguments, when a person says these words."""
    content = [{"type": "tool_use", "name": name, "input": dict(one)} for one in given]
    return step({"last_user_contains": words, "has_tools": True}, 1, respond={"content": content})


def padded(words: str, tokens: int) -> str:
    """Return a prompt of about so many tokens that begins with these words."""
    return words + "\n" + ("seaweed " * (tokens * 7 // 16)).strip()


@dataclass
class Compacting(Scene):
    """A server whose API has a small window, and the session that is played there."""

    session_id: str = ""
    nursery: Nursery | None = None
    options: dict[str, Any] = field(default_factory=dict)
    turns: list[str] = field(default_factory=list)

    # -- what people do --------------------------------------------------------------------------

    async def begun(self, *steps: Json, **more: Any) -> None:
        """Begin a session in which the secret word was said; then the API plays `steps`."""
        self.session_id = await self.created(**more)
        await self.say(OPENING)
        self.plays(*steps)

    async def filled(self, *steps: Json, prompts: int = 8, tokens: int = 1_500) -> None:
        """Begin a session and say something long a few times, below the soft mark."""
        await self.begun(*steps)
        await self.grow(prompts, tokens)

    async def grow(self, prompts: int, tokens: int, words: str = "Take a note of this") -> None:
        """Say something long a few times; each must be answered."""
        for _ in range(prompts):
            await self.say(padded(f"{words} ({len(self.turns)}).", tokens))

    def plays(self, *steps: Json) -> None:
        """Let the API play these steps from now on."""
        self.simulator.script(Script.parse(list(steps)))

    async def say(self, words: str) -> None:
        """Send a prompt; it must get its answer."""
        await self.answered(self.session_id, words)
        self.turns.append(words)

    async def send(self, words: str) -> str:
        """Send a prompt and return its turn at once."""
        sent = await self.command("turn.send", text=words)
        return str(sent["turnId"])

    async def command(self, name: str, **arguments: Any) -> Any:
        """Execute a command about the session."""
        return await self.server.command(name, sessionId=self.session_id, **arguments)

    async def compact(self, **arguments: Any) -> str:
        """Ask for a compaction; return its id as soon as it runs."""
        return str((await self.command("session.compact", **arguments))["compactionId"])

    # -- what happens ----------------------------------------------------------------------------

    def events(self, *kinds: str) -> list[Json]:
        """Return the events that were shown, of these types or all, oldest first."""
        return [
            event
            for event in (e["event"] for e in self.server.events.get(self.session_id, ()))
            if not kinds or event["type"] in kinds
        ]

    async def until(self, kind: str, holds: Callable[[Json], bool] = lambda _: True) -> Json:
        """Wait for an event of this type that fulfils a condition."""
        found: Json = await self.server.until(
            lambda: next((event for event in self.events(kind) if holds(event)), None), kind
        )
        return found

    async def ended(self, compaction_id: str) -> str:
        """Wait until a compaction is over; return how: the rung that holds, or its outcome."""

        def over() -> Json | None:
            ends = (e for e in self.events(*ENDS) if e["compactionId"] == compaction_id)
            return next(ends, None)

        end = await self.server.until(over, f"the end of {compaction_id}")
        return self.rung(compaction_id) if "outcome" not in end else str(end["outcome"])

    def rung(self, compaction_id: str) -> str:
        """Return the rung that a prepared compaction came to."""
        prepared = self.events("compactionPrepared")
        return next(str(e["rung"]) for e in prepared if e["compactionId"] == compaction_id)

    def failed(self, compaction_id: str) -> list[Json]:
        """Return the tries of a compaction that did not hold."""
        tries = self.events("compactionRungFailed")
        return [event for event in tries if event["compactionId"] == compaction_id]

    def asked(self) -> list[LogEntry]:
        """Return the requests for compactions, oldest first."""
        return [entry for entry in self.paid() if is_for_compaction(entry)]

    def refused_itself(self) -> int:
        """Return how many requests of the session itself were refused or broken off."""
        return sum((e.status or 500) >= 400 for e in self.paid() if not is_for_compaction(e))

    async def until_asked(self, holds: Callable[[LogEntry], bool]) -> None:
        """Wait until a request for a compaction fulfils a condition."""
        await self.simulator.wait_until(
            lambda log: any(e.body and is_for_compaction(e) and holds(e) for e in log)
        )

    def sent_last(self) -> Json:
        """Return the body of the newest request of the session itself."""
        return dict(next(e.body for e in reversed(self.paid()) if not is_for_compaction(e)))

    # -- what must hold --------------------------------------------------------------------------

    async def answers_meanwhile(self, compaction_id: str) -> None:
        """A prompt is answered while this compaction is under way."""
        assert not self.is_over(compaction_id)
        await self.say(MEANWHILE)
        assert await self.server.last_answer(self.session_id) == ANSWERED
        assert not self.is_over(compaction_id), "it was answered only afterwards"

    def is_over(self, compaction_id: str) -> bool:
        """Tell whether a compaction has ended, as far as was shown."""
        return any(e["compactionId"] == compaction_id for e in self.events(*ENDS))

    async def goes_on(self, *, refused: int = 0) -> None:
        """The fault is gone: the next prompt is answered as ever, and nothing was lost or twice."""
        self.plays()
        await self.say("And what now?")
        answer = await self.server.last_answer(self.session_id)
        assert answer.startswith("You said: "), answer
        await self.remembers()
        assert len(self.simulator.refusals) == refused, self.simulator.refusals
        await self.is_sound()

    async def remembers(self, *facts: str) -> None:
        """The model can tell the secret word and these facts: from its view, or by recall."""
        await self.say(QUESTION)
        for fact in (SECRET, *facts):
            if fact not in "".join(strings(self.sent_last()["messages"])):
                await self._recalls(fact)

    async def _recalls(self, fact: str) -> None:
        self.plays(calls("Look it up", "recall_search", {"query": fact}))
        await self.say(f"Look it up, please ({len(self.turns)}).")
        result = json.dumps(self.sent_last()["messages"][-1])
        assert fact in result, f"P4: {fact!r} is neither in the view nor recalled"
        self.plays()

    async def is_sound(self) -> None:
        """Nothing ran twice; every compaction ended once, after a bounded number of tries."""
        journal = await self.journal()
        starts = Counter(e["toolUseId"] for e in journal if e["type"] == "toolStarted")
        assert max(starts.values(), default=0) <= 1, "P6: run twice"
        begun = [e["compactionId"] for e in journal if e["type"] == "compactionStarted"]
        over = Counter(e["compactionId"] for e in journal if e["type"] in ENDS)
        assert set(over.values()) <= {1}, "P5: it ended twice"
        assert set(begun[:-1]) <= set(over), "P5: it never ended"
        tried = Counter(
            (e["compactionId"], e["rung"]) for e in journal if e["type"] == "compactionRungFailed"
        )
        for (_, rung), count in tried.items():
            assert count <= RUNGS_TRIED_MAX.get(rung, count), "B02: tried too often"
        assert not any(e["type"] == "historyRepaired" for e in journal)

    async def journal(self) -> list[Json]:
        """Return all events of the session's journal."""
        exported = await self.command("session.export", format="jsonl")
        return [json.loads(line)["event"] for line in exported["content"].splitlines()]

    async def diagnosed(self, compaction_id: str, *words: str) -> Json:
        """Return the diagnosis of a compaction; the words of the API are in its attempts (P12)."""
        found = await self.command("session.compactions")
        [one] = [c for c in found["compactions"] if c["compactionId"] == compaction_id]
        said = "\n".join(f"{a['reason']} {a['detail']}" for a in one["attempts"])
        assert all(word in said for word in words), said
        return dict(one)

    # -- processes -------------------------------------------------------------------------------

    async def killed(self) -> None:
        """Kill the server and start another one, which opens the session."""
        assert self.server.client is not None
        await self.server.client.kill()
        before = self.server
        self.server = await start(self.simulator, self.root, self.nursery, **self.options)
        await self.server.open(self.session_id)
        shown = [e["event"] for e in before.events[self.session_id]]
        assert self.events()[: len(shown)] == shown, "P1: shown, and now otherwise"


def is_for_compaction(entry: LogEntry) -> bool:
    """Tell whether a request asks for a compaction or a summary."""
    body = entry.body or {"tools": "not read yet"}
    return body.get("compaction") is not None or not body.get("tools")


def texts(messages: Sequence[Json]) -> str:
    """Return all that messages say, as one text."""
    return "\n".join(strings(list(messages)))


@asynccontextmanager
async def compacting(
    nursery: Nursery, root: Path, *, window_tokens: int | None = WINDOW_TOKENS, **options: Any
) -> AsyncIterator[Compacting]:
    """A strict API with this window, and a server that knows it. `options` are settings."""
    options = {"compaction": {"deadlineSeconds": 3}, **options}
    async with Simulator(window_tokens=window_tokens) as simulator:
        server = await start(simulator, root, nursery, **options)
        scene = Compacting(server, simulator, root, nursery=nursery, options=options)
        try:
            yield scene
        finally:
            assert scene.server.client is not None
            await scene.server.client.stop()
