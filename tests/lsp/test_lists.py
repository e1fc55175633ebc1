"""The list of sessions, followed: what changes a line is told, what streams is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.stage import room, step
from holdfast.agent.api import SessionEntry, SessionList, Status
from holdfast.agent.overview import Overview
from holdfast.agent.supervisor import Supervisor
from holdfast.app import Application
from holdfast.journal.store import StoreUnavailable
from holdfast.lsp.framing import FrameParser
from holdfast.lsp.lists import Lists
from holdfast.session.events import BlockDelta, TurnEnded
from holdfast.settings import Settings


class Told:
    """An outbox that keeps the notifications of one connection."""

    def __init__(self) -> None:
        self.params: list[dict[str, Any]] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._parser = FrameParser()
        self._changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        for body in self._parser.feed(data):
            assert isinstance(body, bytes)
            message = json.loads(body)
            assert message["method"] == "holdfast/sessions"
            self.params.append(message["params"])
        self._changed.set()
        self._changed = asyncio.Event()

    async def drain(self) -> None:
        await self.may_read.wait()

    async def until(self, count: int) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while len(self.params) < count:
                await self._changed.wait()
        return self.params[count - 1]


class Board:
    """A supervisor of a list whose lines the test writes."""

    def __init__(self) -> None:
        self.overview = Overview()
        self.lines: dict[str, SessionEntry] = {}
        self.reads = 0
        self.troubles = 0

    def put(self, session_id: str, *, head_seq: int = 1, **status: Any) -> None:
        now = Status(session_id, **{"phase": "idle", **status})
        self.lines[session_id] = SessionEntry(
            session_id, "A title", None, None, now.phase, 1, head_seq, head_seq, False, now
        )
        self.overview.touch()

    async def entries(self, after: int | None = None) -> SessionList:
        if after is not None:
            await self.overview.after(after)
        if self.troubles:
            self.troubles -= 1
            raise StoreUnavailable("no")
        self.reads += 1
        return SessionList(tuple(self.lines.values()), self.overview.version)


@asynccontextmanager
async def followed(supervisor: Any, told: Told, pause_s: float = 0) -> AsyncIterator[Lists]:
    async def reach() -> Any:
        return supervisor

    lists = Lists(lambda: told, reach, pause_s)  # type: ignore[arg-type, return-value]  # a double
    lists.follow(await supervisor.entries())
    try:
        yield lists
    finally:
        await lists.close()


async def test_a_changed_line_is_told_whole_and_a_gone_one_by_its_id() -> None:
    board, told = Board(), Told()
    board.put("s_1")
    board.put("s_2")
    async with followed(board, told):
        board.put("s_1", phase="waiting", reason="overloaded", retry_at_ms=5)
        [line] = (await told.until(1))["sessions"]
        assert (line["sessionId"], line["phase"]) == ("s_1", "waiting")
        assert line["status"]["retryAt"] == 5
        del board.lines["s_2"]
        board.overview.touch()
        assert await told.until(2) == {"sessions": [], "removed": ["s_2"]}


async def test_a_line_that_looks_the_same_is_not_told_again() -> None:
    board, told = Board(), Told()
    board.put("s_1", phase="streaming")
    async with followed(board, told):
        board.put("s_1", phase="streaming", head_seq=500, silent_ms=11_000, attempt=2)
        board.put("s_new")
        [line] = (await told.until(1))["sessions"]
        assert line["sessionId"] == "s_new"


async def test_a_reader_that_is_behind_gets_the_newest_line_once() -> None:
    board, told = Board(), Told()
    board.put("s_1")
    async with followed(board, told):
        told.may_read.clear()
        board.put("s_1", phase="requesting")
        await told.until(1)
        for phase in ("streaming", "waiting", "paused"):
            board.put("s_1", phase=phase)
            await asyncio.sleep(0)
        told.may_read.set()
        [line] = (await told.until(2))["sessions"]
        assert line["phase"] == "paused"


async def test_asking_again_begins_anew_from_that_answer() -> None:
    board, told = Board(), Told()
    async with followed(board, told) as lists:
        board.put("s_1")
        lists.follow(await board.entries())
        board.put("s_2")
        [line] = (await told.until(1))["sessions"]
        assert line["sessionId"] == "s_2"


async def test_a_closed_connection_is_told_nothing() -> None:
    board, told = Board(), Told()
    async with followed(board, told) as lists:
        await lists.close()
        lists.follow(await board.entries())
        board.put("s_1")
    assert told.params == []


# -- the supervisor's list -----------------------------------------------------------------------


async def test_a_turn_changes_its_line_by_phases_not_by_its_words(tmp_path: Path) -> None:
    words = " ".join(f"word{n}" for n in range(30))
    async with room(tmp_path, step(say=words, per_delta_ms=20)) as session:
        before = (await session.supervisor.entries()).version
        await session.prompt("tell me")
        await session.until(TurnEnded)
        listed = await session.supervisor.entries()
    [line] = listed.entries
    assert line.status is not None
    assert (line.phase, line.title) == ("idle", "tell me")
    assert len(session.of(BlockDelta)) > 10
    assert listed.version - before < 10


async def test_sessions_that_are_not_open_here_have_no_status(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        created = session.session_id
        [line] = (await session.supervisor.entries()).entries
        assert line.status is not None
    async with room(tmp_path) as session:
        lines = {e.session_id: e for e in (await session.supervisor.entries()).entries}
        assert lines[created].status is None
        version = (await session.supervisor.entries()).version
        await session.supervisor.delete(created)
        after = await session.supervisor.entries(version)
        assert created not in {entry.session_id for entry in after.entries}


async def test_what_another_server_does_is_found_at_the_next_list(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        environ = {"HOLDFAST_DATA_DIR": str(tmp_path / "data")}
        settings, _ = Settings.load({}, environ)
        other: Supervisor = await Application({}).compose(settings)
        try:
            made = await other.create(workspace_uri=None, title="Elsewhere", model=None)
        finally:
            await other.close()
        lines = {e.session_id: e for e in (await session.supervisor.entries()).entries}
        assert lines[made].title == "Elsewhere"
        assert lines[made].status is None
