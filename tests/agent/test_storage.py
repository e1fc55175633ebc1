"""A session on a disk that fails (P1, P3; D09): a fault loop over every operation of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from agent.doubles import PlayedModel, QuickWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation.history import text
from holdfast.journal import codec
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import StoreError
from holdfast.session import events as ev
from holdfast.tools.permissions import Answer, Rule
from holdfast.tools.registry import Toolbox
from journal.disks import FaultyDisk, disk_full, io_error

LIMIT_S = 30
ALLOW_ALL = AgentSettings(model="m", permissions=(Rule("*", "*", Answer.ALLOW),))


async def supervise(path: Path, vfs: str | None = None) -> Supervisor:
    model = PlayedModel(
        ["I write it down. ", ("write", {"path": "a.txt", "content": "x"})], ["All done."]
    )
    services = Services(
        store=await SqliteStore.open(path, vfs=vfs),
        model=model,
        tools=Toolbox(),
        world=QuickWorld(),
        settings=ALLOW_ALL,
    )
    return Supervisor(services, owner=f"test {id(services)}", preload=lambda: None)


class Play:
    """A person at work on a failing disk: remembers what was acknowledged, tries again once."""

    def __init__(self, supervisor: Supervisor, workspace: Path, disk: FaultyDisk) -> None:
        self._supervisor = supervisor
        self._workspace = workspace
        self._disk = disk
        self.session_id = ""
        self.acknowledged: list[str] = []
        self.advice: list[str] = []

    async def create(self) -> None:
        for _ in range(2):
            try:
                self.session_id = await self._supervisor.create(
                    workspace_uri=self._workspace.as_uri(), title="t", model=None
                )
            except StoreError as error:
                self.advice.append(error.action)
                self._disk.repair()
            else:
                return
        raise AssertionError("the store does not come back")

    async def send(self, prompt_id: str) -> None:
        for _ in range(2):
            try:
                await self._supervisor.send(self.session_id, [text(prompt_id)], prompt_id)
            except StoreError as error:
                self.advice.append(error.action)
                self._disk.repair()
                await self._store_is_back()
            else:
                self.acknowledged.append(prompt_id)
                return
        raise AssertionError("the store does not come back")

    async def _store_is_back(self) -> None:
        async for batch in self._supervisor.follow(self.session_id, 0):
            if batch.status is not None and batch.status.reason != "storage":
                return

    async def at_rest(self) -> None:
        """Wait until the turn is over; when the store is in trouble, repair the disk."""
        async for batch in self._supervisor.follow(self.session_id, 0):
            status = batch.status
            if status is not None and status.reason == "storage":
                assert status.advice, "P7: the trouble is visible, with advice"
                self._disk.repair()
            view = await self._supervisor.view(self.session_id)
            if view.phase == "idle":
                return


async def check_journal(path: Path, play: Play) -> None:
    """After everything: a fresh process finds all that was acknowledged, and each turn ended."""
    store = await SqliteStore.open(path)
    records = [codec.decode(r) for r in await store.read(play.session_id)]
    await store.close()
    assert all(play.advice), "every error says what to do next"
    assert [r.seq for r in records] == list(range(1, len(records) + 1))
    accepted = [r.event.prompt_id for r in records if isinstance(r.event, ev.PromptAccepted)]
    assert accepted == play.acknowledged
    ended = [r.event.reason for r in records if isinstance(r.event, ev.TurnEnded)]
    assert ended == [ev.TurnEnd.COMPLETED] * len(play.acknowledged)
    starts = [r.event.tool_use_id for r in records if isinstance(r.event, ev.ToolStarted)]
    assert len(starts) == len(set(starts)) == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("error", [disk_full, io_error])
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.survives("D09")
async def test_P1_P3_whichever_disk_operation_fails_nothing_acknowledged_is_lost_and_it_goes_on(
    error: Callable[[], apsw.Error], lasting: bool, tmp_path: Path
) -> None:
    failures = 0
    for nth in range(1, 400):
        root = tmp_path / str(nth)
        (root / "workspace").mkdir(parents=True)
        path = root / "holdfast.db"
        await (await supervise(path)).close()  # The schema is there; its own faults are elsewhere.
        with FaultyDisk(error, first=nth, lasting=lasting) as disk:
            try:
                supervisor = await supervise(path, disk.name)
            except StoreError:
                failures += 1
                continue  # Opening failed: nothing was begun, and it says so.
            play = Play(supervisor, root / "workspace", disk)
            async with asyncio.timeout(LIMIT_S):
                await play.create()
                await play.send("p1")
                await play.at_rest()
                await play.send("p2")
                await play.at_rest()
            failed = disk.failed
            disk.repair()
            await supervisor.close()
        await check_journal(path, play)
        failures += failed
        if not failed:
            break  # Played to the end without reaching the fault: every operation was tried.
    assert failures > 20
