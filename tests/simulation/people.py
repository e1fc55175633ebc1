"""People and editors: they type, stop, answer late, come back, and remember what they were shown.

Law: what a person was told is checked at the moment of telling: an acknowledged prompt, answer or
compaction is in the journal, a view shows nothing that is not, and a follower sees every event
once, in order, and only after its commit. A person's memory outlives every process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any, Protocol

from holdfast.agent.api import Status
from holdfast.agent.driver import STORE_RETRY_MAX_S
from holdfast.agent.errors import AgentError
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation.history import text
from holdfast.journal import codec
from holdfast.journal.store import StoreError
from holdfast.model.port import ModelFailed
from simulation.disk import Disk, SessionFile
from simulation.loop import Process, SimulatedLoop
from simulation.parts import SimulatedModel, words
from simulation.ways import Ways

EXPECTED = (AgentError, StoreError, ModelFailed)
STOP_MAX_S = 0.25
RETRY_S = STORE_RETRY_MAX_S + 0.5
"""When a full disk has room again, what waits for it is written within this time."""
CALM_S = 1.0
"""A write that failed this shortly before a stop may still be tried again before it."""


class Host(Protocol):
    """A running server, as people reach it."""

    process: Process
    supervisor: Supervisor
    model: SimulatedModel


class Stage(Protocol):
    """What people may ask of the simulation."""

    chance: Random
    disk: Disk
    loop: SimulatedLoop
    troubles: int
    troubled_at: float
    wordy: bool
    ways: Ways

    def note(self, kind: str, what: str) -> None: ...
    def complain(self, promise: str, what: str) -> None: ...
    def number(self) -> int: ...
    def rough_until(self) -> float: ...


class Follower:
    """An editor that shows one session and knows up to where it has."""

    def __init__(self, session_id: str, stage: Stage) -> None:
        self.session_id = session_id
        self.cursor = 0
        self.host: Host | None = None
        self._stage = stage
        self._done: dict[str, int] = {}

    async def follow(self, host: Host) -> None:
        """Show what comes, until the session or the server ends."""
        self._done.clear()
        try:
            async for batch in host.supervisor.follow(self.session_id, self.cursor):
                for recorded in batch.events:
                    self._see(recorded)
                if batch.status is not None:
                    self._look(batch.status)
        except EXPECTED as error:
            self._stage.note("follower", f"{self.session_id}: {error!r}")
        if self.host is host:
            self.host = None

    def _see(self, recorded: Any) -> None:
        complain, file = self._stage.complain, self._stage.disk.sessions.get(self.session_id)
        if recorded.seq != self.cursor + 1:
            complain("P1", f"{self.session_id}: event {recorded.seq} shown after {self.cursor}")
        if file is not None:
            if recorded.seq > file.head:
                complain("P1", f"{self.session_id}: event {recorded.seq} shown before its commit")
            elif codec.encode(recorded) != file.records[recorded.seq - 1]:
                complain("P1", f"{self.session_id}: event {recorded.seq} is another in the journal")
        self.cursor = recorded.seq

    def _look(self, status: Status) -> None:
        if status.phase == "paused" and not (status.reason and status.advice):
            self._stage.complain("P7", f"{self.session_id}: a pause without reason or advice")
        if status.phase == "waiting" and status.retry_at_ms is None:
            self._stage.complain("P7", f"{self.session_id}: a wait without a time")
        if (progress := status.progress) is not None:
            if progress.percentage < self._done.get(progress.compaction_id, 0):
                self._stage.complain("P7", f"{self.session_id}: a compaction goes back")
            self._done[progress.compaction_id] = progress.percentage


class People:
    """Everybody who uses the sessions."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.prompts: dict[tuple[str, str], str] = {}
        self.acknowledged: dict[tuple[str, str], str] = {}
        self.stopped: dict[tuple[str, str], None] = {}
        self.waiting: dict[int, tuple[Process, str]] = {}
        self.followers: list[Follower] = []
        self._deeds: list[tuple[int, Callable[[Host, SessionFile, str], Awaitable[object]]]] = [
            (30, self._send), (8, self._send_again), (10, self._stop), (8, self._resume),
            (16, self._answer), (5, self._compact), (3, self._cancel), (5, self._undo),
            (3, self._redo), (3, self._rewind), (2, self._fork), (3, self._repair),
            (2, self._rename), (2, self._select), (8, self._view), (4, self._messages),
            (1, self._export), (1, self._delete), (2, self._list),
        ]  # fmt: skip
        if stage.ways.has_other:
            self._deeds.append((6, self._retry))

    def act(self, host: Host) -> None:
        """Let somebody do something."""
        chance, sessions = self._stage.chance, self._stage.disk.sessions
        most = 1 if self._stage.wordy else 4
        if not sessions or (len(sessions) < most and chance.random() < 0.05):
            self.begin(host, "create", lambda: self._create(host))
            return
        session_id = chance.choice(list(sessions))
        deed = chance.choices([d for _, d in self._deeds], [w for w, _ in self._deeds])[0]
        file = sessions[session_id]
        name = f"{deed.__name__[1:]} {session_id}"
        self.begin(host, name, lambda: deed(host, file, session_id))

    def begin(self, host: Host, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Start a call and remember that somebody waits for it."""
        number = self._stage.number()
        self.waiting[number] = (host.process, name)
        self._stage.note("person", f"{host.process.name} {name}")
        host.process.spawn(self._call(number, name, work))

    async def _call(self, number: int, name: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except EXPECTED as error:
            self._stage.note("refused", f"{name}: {error!r}")
            if not error.action:
                self._stage.complain("P12", f"{name}: an error without a next step")
        except Exception as error:  # noqa: BLE001 (a person must never see one)
            self._stage.complain("P3", f"{name} raised {error!r}")
        finally:
            self.waiting.pop(number, None)

    def gone(self, process: Process) -> None:
        """Nobody waits for a dead server."""
        self.waiting = {n: w for n, w in self.waiting.items() if w[0] is not process}
        for follower in self.followers:
            if follower.host is not None and follower.host.process is process:
                follower.host = None

    def power_cut(self) -> None:
        """The editors died too; lazy events that they showed may be gone."""
        for follower in self.followers:
            follower.cursor = 0

    def attach(self, host: Host) -> None:
        """Let an editor open a session, or come back to it."""
        chance = self._stage.chance
        idle = [f for f in self.followers if f.host is None]
        if idle and chance.random() < 0.8:
            follower = chance.choice(idle)
        elif self._stage.disk.sessions and len(self.followers) < 8:
            follower = Follower(chance.choice(list(self._stage.disk.sessions)), self._stage)
            self.followers.append(follower)
        else:
            return
        follower.host = host
        self._stage.note("person", f"{host.process.name} follows {follower.session_id}")
        host.process.spawn(follower.follow(host))

    def _told(self, file: SessionFile, since: int, record: str) -> None:
        """Hold the server to what it said was done: the record of it is in the journal."""
        if not any(found.type == record for found in file.records[since:]):
            self._stage.complain("P1", f"{record} was acknowledged, not recorded")
        self._safe(file.summary.session_id, record, "")

    def _safe(self, session_id: str, record: str, words: str) -> None:
        """What was acknowledged would be there after a power cut now."""
        if self._alive(session_id) and any(
            found.type == record and words.encode() in found.payload
            for found in self._stage.disk.unsynced(session_id)
        ):
            self._stage.complain("P1", f"{record} {words} would not survive a power cut")

    # -- deeds -----------------------------------------------------------------------------------

    async def _create(self, host: Host) -> None:
        uri = self._stage.chance.choice((None, "file:///no/such/place"))
        session_id = await host.supervisor.create(workspace_uri=uri, title=None, model=None)
        file = self._stage.disk.sessions.get(session_id)
        if file is None or not file.head:
            self._stage.complain("P1", f"the new session {session_id} is not in the store")

    async def send(self, host: Host, session_id: str, prompt_id: str) -> str:
        """Send a prompt, the same words for the same id, and hold the server to its answer."""
        content = self.prompts.setdefault(
            (session_id, prompt_id), f"{prompt_id} " + words(self._stage.chance, self._length())
        )
        accepted = await host.supervisor.send(session_id, [text(content)], prompt_id)
        file = self._stage.disk.sessions.get(session_id)
        if file is not None:
            if file.witness.accepted.get(prompt_id) != accepted.turn_id:
                self._stage.complain("P1", f"prompt {prompt_id} was acknowledged, not recorded")
            self._safe(session_id, "promptAccepted", prompt_id)
        self.acknowledged[session_id, prompt_id] = accepted.turn_id
        self._stage.note("told", f"{prompt_id} accepted as {accepted.turn_id}")
        return accepted.turn_id

    def _length(self) -> int:
        """Return how many words a prompt has."""
        return self._stage.chance.choice((12, 300, 700)) if self._stage.wordy else 12

    async def _send(self, host: Host, _file: SessionFile, session_id: str) -> None:
        prompt_id = f"p_{self._stage.number()}"
        if self._stage.chance.random() < 0.1:  # An editor that is in doubt sends it twice at once.
            self.begin(host, f"send {session_id}", lambda: self.send(host, session_id, prompt_id))
        await self.send(host, session_id, prompt_id)

    async def _send_again(self, host: Host, file: SessionFile, session_id: str) -> None:
        known = [prompt for sid, prompt in self.prompts if sid == session_id]
        if known:
            await self.send(host, session_id, self._stage.chance.choice(known[-4:]))
        else:
            await self._send(host, file, session_id)

    def missing(self) -> Iterator[str]:
        """Say what of all that was acknowledged the journals do not hold."""
        for (session_id, prompt_id), turn_id in self.acknowledged.items():
            file = self._stage.disk.sessions.get(session_id)
            if file is not None and file.witness.accepted.get(prompt_id) != turn_id:
                yield f"{session_id}: prompt {prompt_id} is gone"
        for session_id, turn_id in self.stopped:
            file = self._stage.disk.sessions.get(session_id)
            if file is not None and turn_id not in file.witness.ended:
                yield f"{session_id}: the stop of turn {turn_id} is forgotten"

    async def _stop(self, host: Host, file: SessionFile, session_id: str) -> None:
        stage, turn = self._stage, file.witness.state.turn
        begun, troubles = stage.loop.time(), stage.troubles
        calm = begun > max(stage.troubled_at + CALM_S, stage.rough_until() + RETRY_S)
        streams = {s for s in host.model.open if s.session_id == session_id}
        await host.supervisor.stop(session_id)
        stage.note("told", f"{session_id} stopped")
        if turn is not None and file.holder is host.process:
            if turn.turn_id not in file.witness.ended:
                stage.complain("P7", f"{session_id}: stopped, but {turn.turn_id} has not ended")
            self.stopped[session_id, turn.turn_id] = None
            self._safe(session_id, "turnEnded", turn.turn_id)
        if streams & host.model.open:
            await asyncio.sleep(0.001)  # It was told to end, and may have its last instructions.
        if streams & host.model.open:
            stage.complain("P7", f"{session_id}: stop left a request of the model open")
        took = stage.loop.time() - begun
        if took > STOP_MAX_S and calm and stage.troubles == troubles:
            stage.complain("P7", f"{session_id}: stop took {took:.3f} s")

    async def resume(self, host: Host, session_id: str) -> str:
        """Ask to go on; meanwhile what a stop held back may begin."""
        ledger = self._stage.disk.file(session_id).witness.ledger
        ledger.resuming += 1
        try:
            return await host.supervisor.resume(session_id)
        except BaseException:
            ledger.may_go_on()  # It may have been recorded all the same, or still be.
            raise
        finally:
            ledger.resuming -= 1

    async def _resume(self, host: Host, _file: SessionFile, session_id: str) -> None:
        await self.resume(host, session_id)

    async def _retry(self, host: Host, file: SessionFile, session_id: str) -> None:
        """Say "retry now", which resumes what waits and gives up what is silent."""
        ledger = file.witness.ledger
        ledger.resuming += 1
        try:
            await host.supervisor.retry(session_id)
        except BaseException:
            ledger.may_go_on()
            raise
        finally:
            ledger.resuming -= 1

    async def _answer(self, host: Host, file: SessionFile, session_id: str) -> None:
        chance = self._stage.chance
        known = list(file.witness.state.questions) * 5 + list(file.witness.state.answered)[-3:]
        question = chance.choice(known) if known else f"{session_id}:toolu_nothing"
        answer = chance.choice(("allow", "allow", "allowAlways", "deny"))
        if chance.random() < 0.4:  # Two editors ask, and two people answer at once, otherwise.
            other = "allow" if answer == "deny" else "deny"
            self.begin(host, f"answer {session_id}", lambda: self._say(host, file, question, other))
        for _ in range(chance.choice((1, 1, 2))):
            await self._say(host, file, question, answer)

    async def _say(self, host: Host, file: SessionFile, question: str, answer: Any) -> None:
        await host.supervisor.answer(question, answer)
        self._safe(file.summary.session_id, "questionAnswered", question)
        recorded = file.witness.state.answered.get(question)
        if recorded != answer:
            self._stage.complain("P1", f"{question}: {answer} was taken, {recorded} is recorded")

    async def _compact(self, host: Host, file: SessionFile, session_id: str) -> None:
        compaction = await host.supervisor.compact(session_id, self._stage.chance.choice(("", "x")))
        if compaction not in file.witness.compactions and self._alive(session_id):
            self._stage.complain("P1", f"compaction {compaction} was promised, not recorded")
        # Somebody else goes back, stops it, or takes another model meanwhile.
        meanwhile = self._stage.chance.choice(
            (self._rewind, self._cancel, self._cancel, self._select, None)
        )
        if meanwhile is not None:
            name = f"{meanwhile.__name__[1:]} {session_id}"
            self.begin(host, name, lambda: meanwhile(host, file, session_id))

    def _alive(self, session_id: str) -> bool:
        return session_id in self._stage.disk.sessions

    async def _cancel(self, host: Host, _file: SessionFile, session_id: str) -> None:
        await host.supervisor.cancel_compaction(session_id)

    async def _undo(self, host: Host, file: SessionFile, session_id: str) -> None:
        since = file.head
        if await host.supervisor.undo_compaction(session_id) is not None:
            self._told(file, since, "compactionUndone")
            if self._stage.chance.random() < 0.6:
                name = f"redo {session_id}"
                self.begin(host, name, lambda: self._redo(host, file, session_id))

    async def _redo(self, host: Host, file: SessionFile, session_id: str) -> None:
        since = file.head
        if await host.supervisor.redo_compaction(session_id) is not None:
            self._told(file, since, "compactionRedone")

    async def _rewind(self, host: Host, file: SessionFile, session_id: str) -> None:
        known = list(file.witness.state.prompt_origins) or ["nothing"]
        if self._stage.chance.random() < 0.5:
            self.begin(host, f"send {session_id}", lambda: self._send(host, file, session_id))
        prompt_id = self._stage.chance.choice(known)
        await host.supervisor.rewind(session_id, prompt_id)
        if prompt_id in file.witness.state.visible_prompts():
            self._stage.complain("P1", f"{session_id}: {prompt_id} was rewound, and is there")

    async def _fork(self, host: Host, file: SessionFile, session_id: str) -> None:
        if len(self._stage.disk.sessions) >= (2 if self._stage.wordy else 5):
            return
        before = self._stage.chance.choice([None, *file.witness.state.prompt_origins])
        await host.supervisor.fork(session_id, title=None, before_prompt_id=before)

    async def _repair(self, host: Host, file: SessionFile, session_id: str) -> None:
        if file.witness.state.repairs and self._stage.chance.random() < 0.5:
            since, repair_id = file.head, next(iter(file.witness.state.repairs))
            await host.supervisor.undo_repair(session_id, repair_id)
            self._told(file, since, "repairUndone")
            return
        dry_run = self._stage.chance.random() < 0.5
        await host.supervisor.repair(session_id, dry_run=dry_run)

    async def _rename(self, host: Host, file: SessionFile, session_id: str) -> None:
        since = file.head
        await host.supervisor.rename(session_id, words(self._stage.chance, 2))
        self._told(file, since, "sessionRenamed")
        await host.supervisor.archive(session_id, self._stage.chance.random() < 0.5)

    async def _select(self, host: Host, _file: SessionFile, session_id: str) -> None:
        model = self._stage.chance.choice(("n", "m", None))
        await host.supervisor.select_model(session_id, model, self._stage.ways.somewhere())

    async def _view(self, host: Host, file: SessionFile, session_id: str) -> None:
        view = await host.supervisor.view(session_id)
        if view.seq > file.head:
            self._stage.complain("P1", f"a view shows {view.seq} of {file.head} events")

    async def _messages(self, host: Host, file: SessionFile, session_id: str) -> None:
        found = await host.supervisor.messages(session_id, limit=None, before=None)
        known = {message.origin for message in file.witness.state.messages} | {"partial"}
        newer = {m.origin for m in found if m.origin.isdigit() and int(m.origin) > file.head}
        if newer - known:
            self._stage.complain("P1", f"messages were shown that are not recorded: {newer}")

    async def _export(self, host: Host, _file: SessionFile, session_id: str) -> None:
        kind = self._stage.chance.choice(("jsonl", "markdown", "claude-code"))
        await host.supervisor.export(session_id, kind)

    async def _delete(self, host: Host, _file: SessionFile, session_id: str) -> None:
        if self._stage.chance.random() < 0.3:
            await host.supervisor.delete(session_id)

    async def _list(self, host: Host, _file: SessionFile, _session_id: str) -> None:
        await host.supervisor.summaries()
