"""A damaged session in the real server: how the damage comes in, and what surviving it costs.

Law: what is measured is read from outside - the API's log, the journal's export, the events - and
never from what the server says of itself. A word counts as kept when it is in the next request, or
else in the journal; pictures count by their bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpora.poisoned import OPENING, OPUS, SECRET, Poisoned
from differential.pictures import Json
from e2e.server import Server
from holdfast.simulator import LogEntry, Simulator
from transcripts.transcript_files import Transcript

SENT: Final = "every word, in the next request"
JOURNAL: Final = "every word, in the journal"
ENDS: Final = "beginning and end of the output, in the next request"
LOST: Final = "not every word"

FIRST: Final = "What was the secret word?"
SECOND: Final = "And once more, please."

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_TAKEN_IN: Final = frozenset({"messageImported", "promptAccepted"})
_NO_WORDS: Final = frozenset(
    {"type", "id", "tool_use_id", "signature", "media_type", "cache_control", "role"}
)
_MADE_UP: Final = re.compile(r"toolu_[0-9a-f]{24}")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Survived:
    """What it cost to go on: requests that the API refused, what is left, what was changed."""

    refused: int
    kept: str
    changed: tuple[str, ...]


@dataclass
class Scene:
    """The server with its API, and a workspace for the session that is being played."""

    server: Server
    simulator: Simulator
    root: Path

    @property
    def workspace(self) -> Path:
        found = self.root / "workspace"
        found.mkdir(exist_ok=True)
        return found

    async def imported(self, messages: Sequence[Json], model: str = OPUS) -> str:
        """Bring in a transcript of Claude Code with these messages. The file stays as it is."""
        content = transcript(messages)
        file = self.root / "session.jsonl"
        file.write_bytes(content)
        made = await self.server.command("session.import", uri=file.as_uri())
        assert file.read_bytes() == content, "P8: the transcript was changed"
        if model != OPUS:
            await self.server.command("model.select", sessionId=made["sessionId"], model=model)
        await self.server.open(made["sessionId"])
        return str(made["sessionId"])

    async def created(self, **more: Any) -> str:
        """Make a session in the workspace."""
        made = await self.server.command(
            "session.create", workspaceUri=self.workspace.as_uri(), **more
        )
        await self.server.open(made["sessionId"])
        return str(made["sessionId"])

    async def sent(self, session_id: str, words: str, *media: Json) -> str:
        """Send a prompt and wait until its turn has ended or is paused; return which."""
        content = [{"type": "text", "text": words}, *media]
        turn = await self.server.command("turn.send", sessionId=session_id, content=content)
        return await self.server.settled(session_id, turn["turnId"])

    async def answered(self, session_id: str, words: str, *media: Json) -> None:
        """Send a prompt; it must get its answer."""
        how = await self.sent(session_id, words, *media)
        assert how == "ended", f"P3: the turn is {how}: {self.server.statuses.get(session_id)}"
        assert self.server.of(session_id, "turnEnded")[-1]["reason"] == "completed"

    def paid(self) -> list[LogEntry]:
        """The requests for answers, oldest first."""
        return [entry for entry in self.simulator.log if entry.path == "/v1/messages"]

    def refused(self) -> int:
        """How many requests for answers were refused."""
        return sum((entry.status or 0) >= 400 for entry in self.paid())

    async def goes_on(self, session_id: str) -> None:
        """The next prompt gets its answer and the model knows the beginning; so does one more.

        What the second one costs must be nothing: a repair is made once.
        """
        await self.answered(session_id, FIRST)
        assert SECRET in "".join(strings(self.paid()[-1].body["messages"])), "P1: it is forgotten"
        refused, repairs = self.refused(), len(self.server.of(session_id, "historyRepaired"))
        await self.answered(session_id, SECOND)
        assert self.refused() == refused, "the same damage was refused again"
        assert len(self.server.of(session_id, "historyRepaired")) == repairs, "repaired again"

    async def survived(self, session_id: str, damaged: Sequence[Json]) -> Survived:
        """Measure what became of `damaged`, in the newest request and in the journal."""
        request = self.paid()[-1].body["messages"]
        exported = await self.server.command("session.export", sessionId=session_id, format="jsonl")
        journal = [json.loads(line)["event"] for line in exported["content"].splitlines()]
        wanted = words(damaged)
        kept = LOST
        if _all_in(wanted, journal):
            kept = SENT if _all_in(wanted, request) else JOURNAL
        changed = (*_taken_in(damaged, journal), *_repaired(journal), *_decided(journal))
        if _has_thinking(damaged) and not _has_thinking(request):
            changed = (*changed, "view: no thinking of another conversation is sent")
        return Survived(self.refused(), kept, changed)


def transcript(messages: Sequence[Json]) -> bytes:
    """Write messages as Claude Code writes them."""
    file = Transcript()
    for number, message in enumerate(messages):
        if message["role"] == "user":
            file.user(f"u{number}", message["content"])
        else:
            body = {"id": f"msg_{number}", "model": "claude-x", **message}
            file.add("assistant", f"u{number}", message=body)
    return file.bytes()


def words(messages: Any) -> set[str]:
    """Return all that was said in messages: texts, thoughts, arguments, results, names."""
    return {word for word in strings(messages) if word.strip()}


def strings(value: Any) -> Iterator[str]:
    """Yield the strings of messages that say something, half characters replaced."""
    for found in _strings(value):
        yield _SURROGATE.sub("\ufffd", found)


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list() | tuple():
            for item in value:
                yield from _strings(item)
        case {"type": "image" | "document", "source": dict()}:
            return
        case dict():
            for key, item in value.items():
                if key == "input" and isinstance(item, dict):
                    yield from _strings(list(item))
                if key not in _NO_WORDS:
                    yield from _strings(item)


def _all_in(wanted: set[str], value: Any) -> bool:
    there = list(strings(value))
    exact, text = set(there), "\0".join(there)
    return all(word in exact or word in text for word in wanted)


def _taken_in(damaged: Sequence[Json], journal: Sequence[Json]) -> Iterator[str]:
    """Yield what was made fit before it became history."""
    before = _pictures(damaged)
    after = _pictures([e for e in journal if e["type"] in _TAKEN_IN])
    if fitted := (after - before).total():
        yield f"intake: made {fitted} of {before.total()} pictures fit"
    if lost := before.total() - after.total():
        yield f"intake: said in words what {lost} of {before.total()} pictures was"
    if _SURROGATE.search("".join(_strings(damaged))):
        yield "intake: replaced half a character by the sign for one"


def _repaired(journal: Sequence[Json]) -> Iterator[str]:
    """Yield what the records of repairs in force say, each thing once with how often."""
    undone = {e["repairId"] for e in journal if e["type"] == "repairUndone"}
    repairs = [e for e in journal if e["type"] == "historyRepaired" and e["repairId"] not in undone]
    notes = Counter(
        f"{note['rule']}: {_MADE_UP.sub('toolu_…', note['action'])}"
        for repair in repairs
        for note in repair["notes"]
    )
    for note, count in notes.items():
        yield note if count == 1 else f"{note} ({count} times)"


def _decided(journal: Sequence[Json]) -> Iterator[str]:
    """Yield what else the session or a person did."""
    if any(e["type"] == "compactionCommitted" for e in journal):
        yield "compacted"
    for event in journal:
        if event["type"] == "turnPaused":
            yield f"asked a person: {event['reason']}"


def _pictures(value: Any) -> Counter[tuple[str, str]]:
    match value:
        case {"type": "image" | "document", "source": {"data": str(data), "media_type": kind}}:
            return Counter({(kind, data): 1})
        case dict():
            return sum((_pictures(item) for item in value.values()), Counter())
        case list() | tuple():
            return sum((_pictures(item) for item in value), Counter())
    return Counter()


def _has_thinking(messages: Sequence[Json]) -> bool:
    return any(
        block.get("type") in _THINKING
        for message in messages
        if isinstance(message["content"], list)
        for block in message["content"]
    )


async def import_and_go_on(scene: Scene, case: Poisoned) -> Survived:
    """Play a damaged history that comes in as a transcript."""
    session_id = await scene.imported(case.messages, case.model)
    await scene.goes_on(session_id)
    assert OPENING in "".join(words(case.messages))
    return await scene.survived(session_id, case.messages)
