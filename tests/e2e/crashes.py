"""A chain of crashes: one store, several sessions under load, server after server killed (P1-P9).

Law: all chance comes from the seed; what a kill does to timing is the machine's. After each kill
the next server must show: everything that was shown, as it was shown, without a gap; every prompt
and import that was acknowledged; no call started twice; no request that the strict API refused.
Turns may be killed again before they end, but in the end each of them ends, the next prompt is
answered from the whole history, and no command left its mark twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from e2e.load import SETTINGS, Work, a_work, script_for
from e2e.nursery import Nursery
from e2e.server import LIMIT_S, Server, start
from e2e.story import Dead, Lost, Story, Tally
from holdfast.cli.client import CommandFailed
from holdfast.simulator import Simulator

SESSIONS = 4
EVENTS_MAX = 90
QUIET_S = 0.15
RECOVERY_MAX_S = 0.12
SECOND_KILL = 0.25
COLD_START = 0.05
SETTLE_FIRST = 0.5
GOING_ON = "going on afterwards"
TRANSCRIPTS = Path(__file__).parents[1] / "corpora" / "claude-code"


class Chain:
    """The crashes of one store."""

    def __init__(self, seed: int, root: Path, simulator: Simulator, nursery: Nursery) -> None:
        self.seed = seed
        self.tally = Tally()
        self._root = root
        self._simulator = simulator
        self._nursery = nursery
        self._rng = random.Random(seed)
        self._stories: dict[str, Story] = {}
        self._asked: list[asyncio.Task[None]] = []
        self._imported: set[str] = set()
        self._import_begun = False
        self._import_size: int | None = None
        self._number = 0
        self._looking_at = GOING_ON

    async def play(self, points: int) -> None:
        """Kill `points` servers, then check that everything is there and goes on.

        The first thing that is lost or dead ends the chain; `tally` names its seed and point.
        """
        server = await self._start()
        try:
            await self._settle_in(server)
            while self.tally.points < points:
                if self._rng.random() < SETTLE_FIRST:
                    await self._settle(server)
                self._load(server)
                await self._moment(server)
                await self._kill(server)
                rows = self._rows()
                while self._rng.random() < SECOND_KILL and self.tally.points < points:
                    await self._kill_while_recovering()
                    rows.update(dict.fromkeys(rows, "own recovery"))
                server = await self._start()
                await self._compare(server, rows)
            await self._settle(server)
            await self._check_all(server)
        except (AssertionError, CommandFailed, TimeoutError, Lost, Dead) as error:
            outcome = "lost" if isinstance(error, Lost) else "dead"
            self.tally.table[self._looking_at, outcome] += 1
            where = f"seed {self.seed}, point {self.tally.points}"
            self.tally.failures.append(f"{where}: {outcome}: {error!r}")
        finally:
            assert server.client is not None
            with contextlib.suppress(ProcessLookupError):  # It was killed, the next never came.
                await server.client.kill()

    # -- servers ---------------------------------------------------------------------------------

    async def _start(self) -> Server:
        cold = self._rng.random() < COLD_START
        nursery = None if cold else self._nursery
        return await start(self._simulator, self._root, nursery, **SETTINGS)

    async def _settle_in(self, server: Server) -> None:
        for number in range(SESSIONS):
            workspace = self._root / f"workspace-{number}"
            workspace.mkdir()
            (workspace / "a.txt").write_text("kelp and dulse\n")
            made = await server.command(
                "session.create", workspaceUri=workspace.as_uri(), title=f"session {number}"
            )
            session_id = made["sessionId"]
            self._stories[session_id] = Story(session_id, workspace)
            await server.open(session_id)
            word = "The secret word is dulse."
            sent = await server.command("turn.send", sessionId=session_id, text=word)
            await server.ended(session_id, sent["turnId"])

    async def _kill(self, server: Server) -> None:
        """Kill the server; what had been written into its pipe by then was shown."""
        assert server.client is not None
        await server.client.kill()
        self.tally.points += 1
        await asyncio.gather(*self._asked)
        self._asked.clear()
        for session_id, story in self._stories.items():
            for shown in server.events.get(session_id, []):
                if shown["seq"] > story.head:
                    earlier = story.shown.setdefault(shown["seq"], shown["event"])
                    if earlier != shown["event"]:
                        raise Lost(f"seq {shown['seq']} was shown as two different events")

    async def _kill_while_recovering(self) -> None:
        """Start a server and kill it while it opens the sessions that the last one left."""
        server = await self._start()
        opening = asyncio.gather(
            *(server.open(s.session_id, s.head) for s in self._stories.values()),
            return_exceptions=True,
        )
        await asyncio.sleep(self._rng.uniform(0, RECOVERY_MAX_S))
        await self._kill(server)
        await opening

    # -- load ------------------------------------------------------------------------------------

    def _load(self, server: Server) -> None:
        """Give the sessions something to do, without waiting for any acknowledgement."""
        for story in self._stories.values():
            busy = bool(self._open_turns(server, story))
            if self._rng.random() < (0.25 if busy else 0.85):
                self._number += 1
                work = a_work(self._rng, f"{self.seed}-{self._number}")
                story.works[work.prompt_id] = work
            elif busy and self._rng.random() < 0.1:
                self._ask(server.command("turn.stop", sessionId=story.session_id))
            elif self._rng.random() < 0.6:
                self._ask(server.command("session.compact", sessionId=story.session_id))
        works = [w for s in self._stories.values() for w in s.works.values()]
        self._simulator.script(script_for(works, self._rng))
        for story in self._stories.values():
            for work in story.works.values():
                if work.prompt_id not in story.acknowledged:
                    # Sent again with the same id when the server died before it answered.
                    self._ask(self._send(server, story, work))
        if self._rng.random() < 0.15:
            self._import_begun = True
            self._ask(self._import(server))

    def _ask(self, work: Coroutine[Any, Any, Any]) -> None:
        async def asked() -> None:
            with contextlib.suppress(CommandFailed):  # The server was killed, or has to refuse.
                await work

        self._asked.append(asyncio.create_task(asked()))

    async def _send(self, server: Server, story: Story, work: Work) -> None:
        sent = await server.command(
            "turn.send", sessionId=story.session_id, text=work.text, promptId=work.prompt_id
        )
        assert sent["promptId"] == work.prompt_id
        story.acknowledged.add(work.prompt_id)

    async def _import(self, server: Server) -> None:
        path = self._rng.choice(sorted(TRANSCRIPTS.glob("git-sync-*.jsonl")))
        made = await server.command("session.import", uri=path.as_uri(), title="imported")
        self._imported.add(made["sessionId"])

    async def _moment(self, server: Server) -> None:
        """Wait for the moment of the kill: a number of notifications, then some microseconds."""
        wanted = self._rng.choice((0, 0, *range(1, EVENTS_MAX)))
        delay_s = self._rng.choice((0.0, self._rng.uniform(0, 0.003), self._rng.uniform(0, 0.03)))
        goal = server.count + wanted
        while server.count < goal:
            try:
                async with asyncio.timeout(QUIET_S):
                    await server.changed.wait()
            except TimeoutError:
                break  # All sessions wait for somebody: that is a moment too.
        await asyncio.sleep(delay_s)

    # -- after a kill ----------------------------------------------------------------------------

    def _rows(self) -> dict[str, str]:
        """Return the sessions that the killed server had shown something of or was asked of."""
        rows = {
            story.session_id: "idle"
            for story in self._stories.values()
            if story.shown or story.works
        }
        if self._import_begun:
            rows["import"] = "importing a transcript"
        return rows

    async def _compare(self, server: Server, rows: dict[str, str]) -> None:
        for story in self._stories.values():
            story.left_in = "idle"
            label = rows.get(story.session_id)
            self._looking_at = label or "idle"
            opened = await server.open(story.session_id, story.head)
            events = {e["seq"]: e["event"] for e in opened["events"]}
            story.compare(events, opened["seq"])
            self._looking_at = GOING_ON
            if label is not None:
                recovering = label == "own recovery"
                name = f"{story.left_in}, its recovery killed too" if recovering else story.left_in
                self.tally.table[name, "recovered"] += 1
        if "import" in rows:
            await self._compare_imports(server)
            self.tally.table["importing a transcript", "recovered"] += 1
        refused = self._simulator.refusals
        if refused:
            raise Dead(f"P2: the API refused {[(r.rule, r.message) for r in refused]}")
        self._simulator.clear_log()

    async def _compare_imports(self, server: Server) -> None:
        """An acknowledged import is whole, another is whole or not there; each can be opened."""
        found = await server.command("session.list")
        ours = {s["sessionId"] for s in found["sessions"]} - set(self._stories)
        if gone := self._imported - ours:
            raise Lost(f"P1: acknowledged imports {gone} are gone")
        for session_id in sorted(ours):
            read = await server.command("session.messages", sessionId=session_id)
            size = len(read["messages"])
            if session_id in self._imported and self._import_size is None:
                self._import_size = size
            known = self._import_size is None or size in {0, self._import_size}
            if not known or (session_id in self._imported and not size):
                raise Lost(f"an import has {size} of {self._import_size} messages")
            await server.command("session.delete", sessionId=session_id)
        self._imported.clear()
        self._import_begun = False

    # -- going on --------------------------------------------------------------------------------

    def _open_turns(self, server: Server, story: Story) -> set[str]:
        live = (e["event"] for e in server.events.get(story.session_id, []))
        return story.unfinished(live)

    async def _settle(self, server: Server) -> None:
        """Answer what is asked, lift what is paused, and wait for the end of every turn."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while busy := [
                    story for story in self._stories.values() if self._open_turns(server, story)
                ]:
                    changed = server.changed
                    for story in busy:
                        await self._help(server, story)
                    await changed.wait()
        except TimeoutError:
            raise Dead(f"turns do not end: {server.statuses}") from None

    async def _help(self, server: Server, story: Story) -> None:
        phase = server.statuses.get(story.session_id, {}).get("phase")
        if phase == "asking":
            state = await server.command("session.state", sessionId=story.session_id)
            for question in state["questions"]:
                answer = self._rng.choice(("allow", "deny"))
                with contextlib.suppress(CommandFailed):  # Answered already, in the status's delay.
                    await server.command(
                        "permission.answer", questionId=question["questionId"], answer=answer
                    )
        elif phase in {"paused", "queued"}:
            await server.command("turn.resume", sessionId=story.session_id)

    async def _check_all(self, server: Server) -> None:
        """Whatever happened: the whole journal is in order and the next prompt is answered."""
        self._simulator.script([])  # What is left of the script must not answer this question.
        for story in self._stories.values():
            question = "What was the secret word?"
            sent = await server.command("turn.send", sessionId=story.session_id, text=question)
            await server.ended(story.session_id, sent["turnId"])
            answer = await server.last_answer(story.session_id)
            if "dulse" not in answer:
                raise Lost(f"P3: the history does not know the first prompt any more: {answer}")
            exported = await server.command(
                "session.export", sessionId=story.session_id, format="jsonl"
            )
            lines = [json.loads(line) for line in exported["content"].splitlines()]
            if [line["seq"] for line in lines] != list(range(1, len(lines) + 1)):
                raise Lost("the journal is not one list without gaps")
            marks = story.workspace / "effects.log"
            ran = Counter(marks.read_text().splitlines() if marks.exists() else ())
            if twice := [mark for mark, count in ran.items() if count > 1]:
                raise Lost(f"P6: commands {twice} ran twice")
        if refused := self._simulator.refusals:
            raise Dead(f"P2: the API refused {[(r.rule, r.message) for r in refused]}")


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Run the parent of forked servers."""
    found = await Nursery.open()
    try:
        yield found
    finally:
        await found.close()


async def chain(seed: int, root: Path, points: int) -> Tally:
    """Play one chain in a store of its own under `root`."""
    async with nursery() as servers, Simulator() as simulator:
        played = Chain(seed, root, simulator, servers)
        await played.play(points)
        return played.tally
