"""P3 P7: without a way to the API a session waits as one thing, and goes on when there is a way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.doubles import PlayedModel
from agent.test_clock import HOUR_MS, JumpyWorld, supervise, until
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation.history import text
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import StoreError
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session.failures import Failure, FailureKind
from holdfast.tools.registry import Toolbox
from journal.disks import FaultyDisk, disk_full

LIMIT_S = 20.0
NO_WAY = Failure(kind=FailureKind.NETWORK, message="The network is unreachable.")


class FarModel(PlayedModel):
    """A model to which there is no way until a test makes one; counts what is tried."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__(*answers)
        self.reachable = False
        self.tries = self.looks = self.dropped = 0

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        self.tries += 1
        if not self.reachable:
            raise port.ModelFailed(NO_WAY)
        async with super().stream(request) as items:
            yield items

    async def probe(self) -> port.Probe:
        self.looks += 1
        return port.Probe(self.reachable, None if self.reachable else NO_WAY)

    async def drop_connections(self) -> None:
        self.dropped += 1


class SilentModel(PlayedModel):
    """A model whose first answer begins and then says nothing more; `closed` when it was left."""

    closed = False

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        if not self.requests:
            self.requests.append(request)
            try:
                yield self._begun()
            finally:
                self.closed = True
        else:
            async with super().stream(request) as items:
                yield items

    async def _begun(self) -> AsyncIterator[port.StreamItem]:
        yield port.ResponseOpened("msg_0", "m", "req_0", 10)
        yield port.BlockDelta(0, "text", "Half a")
        await asyncio.Event().wait()


class PingingModel(SilentModel):
    """A model whose first answer begins, and then only shows that the connection lives."""

    async def _begun(self) -> AsyncIterator[port.StreamItem]:
        yield port.ResponseOpened("msg_0", "m", "req_0", 10)
        yield port.BlockDelta(0, "text", "Half a")
        while True:
            yield port.Heartbeat()
            await asyncio.sleep(0.005)


async def test_P7_a_stream_that_only_lives_is_cut_when_it_is_said_to_be(tmp_path: Path) -> None:
    """Each sign of life would put off the limit for silence; what is told must not run away."""
    model, world = PingingModel(["the rest."]), JumpyWorld()
    supervisor = await supervise(tmp_path / "s.db", model, world, progress_cut_s=600.0)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await until(supervisor, session_id, ev.BlockDelta)
    async with asyncio.timeout(LIMIT_S):
        while (status := (await supervisor.view(session_id)).status).silent_ms is None:
            await asyncio.sleep(0.01)
    assert status.retry_at_ms is not None
    assert status.retry_at_ms - world.now_ms() > 300_000, "not in the 90 s of a silence"
    await supervisor.close()


async def test_offline_prompts_are_taken_the_endpoint_is_looked_at_and_all_are_answered_after_it(
    tmp_path: Path,
) -> None:
    model = FarModel(["Here."])
    limits = {"retry_budget_s": 0.1, "probe_max_s": 1.0}
    supervisor = await supervise(tmp_path / "s.db", model, JumpyWorld(), **limits)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await until(supervisor, session_id, ev.ProbeFailed)
    view = await supervisor.view(session_id)
    assert view.phase == "paused"
    assert view.status.retry_at_ms is not None, "P7: when it is looked again is told"
    tries, looks = model.tries, model.looks
    while model.looks < looks + 3:
        await asyncio.sleep(0.01)
    assert model.tries == tries, "no request is sent into the void"
    model.reachable = True
    assert (await until(supervisor, session_id, ev.TurnEnded)).reason is ev.TurnEnd.COMPLETED
    assert model.tries == tries + 1
    await supervisor.close()


async def test_C09_a_machine_that_wakes_drops_its_connections_and_tries_at_once(
    tmp_path: Path,
) -> None:
    """A wait of hours is over at once when the lid is opened."""
    world, model = JumpyWorld(), FarModel(["Here."])
    limits = {"retry_budget_s": 0.1, "probe_max_s": 80_000.0}
    supervisor = await supervise(tmp_path / "s.db", model, world, **limits)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await until(supervisor, session_id, ev.TurnPaused)
    model.reachable, looks = True, model.looks
    world.offset_ms += 20_000  # Not long enough for the next look.
    resumed = await until(supervisor, session_id, ev.TurnResumed)
    assert (resumed.by, model.dropped, model.looks) == ("wake", 1, looks)
    assert (await until(supervisor, session_id, ev.TurnEnded)).reason is ev.TurnEnd.COMPLETED
    await supervisor.close()


async def test_C09_an_answer_that_did_not_outlive_a_sleep_is_continued(tmp_path: Path) -> None:
    world, model = JumpyWorld(), SilentModel(["the rest."])
    supervisor = await supervise(tmp_path / "s.db", model, world)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await until(supervisor, session_id, ev.BlockDelta)
    world.offset_ms += HOUR_MS
    failed = await until(supervisor, session_id, ev.RequestFailed)
    assert failed.failure.kind is FailureKind.STALLED
    assert (await until(supervisor, session_id, ev.TurnEnded)).reason is ev.TurnEnd.COMPLETED
    said = await supervisor.messages(session_id, limit=None, before=None)
    assert [m.text for m in said if m.role == "assistant"] == ["Half a", "the rest."]
    await supervisor.close()


async def test_retry_sends_a_silent_request_again_and_leaves_a_lively_one_alone(
    tmp_path: Path,
) -> None:
    model = SilentModel(["the rest."])
    supervisor = await supervise(tmp_path / "s.db", model, JumpyWorld(), idle_warn_s=50.0)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await until(supervisor, session_id, ev.BlockDelta)
    assert await supervisor.retry(session_id) == "streaming"
    assert len(model.requests) == 1, "nothing is wrong with it yet"
    async with asyncio.timeout(LIMIT_S):
        while (await supervisor.view(session_id)).status.silent_ms is None:
            await asyncio.sleep(0.01)
    await supervisor.retry(session_id)
    cut = await until(supervisor, session_id, ev.ResponseCut)
    assert cut.cause is ev.CutCause.GIVEN_UP
    assert (await until(supervisor, session_id, ev.TurnEnded)).reason is ev.TurnEnd.COMPLETED
    said = await supervisor.messages(session_id, limit=None, before=None)
    assert [m.text for m in said if m.role == "assistant"] == ["Half a", "the rest."]
    await supervisor.close()


async def test_stop_is_answered_and_works_while_the_disk_is_full_and_is_recorded_later(
    tmp_path: Path,
) -> None:
    """P7: who stops does not wait for a disk, whether its trouble was known before or not."""
    path = tmp_path / "s.db"
    await (await SqliteStore.open(path)).close()
    model = SilentModel(["never said"])
    with FaultyDisk(disk_full) as disk:
        services = Services(
            store=await SqliteStore.open(path, vfs=disk.name),
            model=model,
            tools=Toolbox(),
            world=JumpyWorld(),
            settings=AgentSettings(model="m"),
        )
        supervisor = Supervisor(services, owner="test", preload=lambda: None)
        session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
        await supervisor.send(session_id, [text("hello")], None)
        await until(supervisor, session_id, ev.BlockDelta)
        disk.break_down()
        async with asyncio.timeout(LIMIT_S):
            for _ in range(2):
                with pytest.raises(StoreError, match="The turn is stopped"):
                    await supervisor.stop(session_id)
            assert model.closed, "nothing is asked of the model any more"
            disk.repair()
            ended = await until(supervisor, session_id, ev.TurnEnded)
        assert ended.reason is ev.TurnEnd.STOPPED
        await supervisor.close()
