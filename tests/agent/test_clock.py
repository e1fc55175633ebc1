"""Wall clocks that jump (P7; C09): no timer is lost and no wait becomes endless.

The world here is a hundred times faster than ours, and its wall clock can be set.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.doubles import PlayedModel
from holdfast.agent.clock import SystemWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation.history import text
from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import SessionOwnedElsewhere
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session.failures import Failure, FailureKind
from holdfast.tools.registry import Toolbox

LIMIT_S = 10.0
SPEED = 100
HOUR_MS = 3_600_000
JUMPS = [HOUR_MS, -HOUR_MS]


class JumpyWorld(SystemWorld):
    """A fast world whose wall clock a test may set; waits do not follow the wall clock."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.offset_ms = 1_770_000_000_000

    def now_ms(self) -> int:
        return self.offset_ms + int((time.monotonic() - self._began) * 1000 * SPEED)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)


class TroubledModel(PlayedModel):
    """A model whose first requests fail, and whose answers wait in the middle for a word."""

    def __init__(self, *answers: Sequence[str], failures: int = 0) -> None:
        super().__init__(*answers)
        self.failures = failures
        self.half_said = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        if self.failures:
            self.failures -= 1
            raise port.ModelFailed(Failure(kind=FailureKind.OVERLOADED, message="Overloaded"))
        async with super().stream(request) as items:
            yield self._halting(items)

    async def _halting(
        self, items: AsyncIterator[port.StreamItem]
    ) -> AsyncIterator[port.StreamItem]:
        async for item in items:
            yield item
            if isinstance(item, port.BlockClosed):
                self.half_said.set()
                await self.go_on.wait()


async def supervise(path: Path, model: port.Model, world: JumpyWorld, **limits: Any) -> Supervisor:
    services = Services(
        store=await SqliteStore.open(path),
        model=model,
        tools=Toolbox(),
        world=world,
        settings=AgentSettings(model="m", **limits),
    )
    return Supervisor(services, owner=f"test {id(services)}", preload=lambda: None)


async def until(supervisor: Supervisor, session_id: str, kind: type[ev.Event]) -> Any:
    """Return the first event of a kind, bounded in time."""
    async with asyncio.timeout(LIMIT_S):
        async for batch in supervisor.follow(session_id, 0):
            for record in batch.events:
                if isinstance(record.event, kind):
                    return record.event
    raise AssertionError(f"{kind} did not come")


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_C09_a_wait_for_a_retry_ends_whichever_way_the_clock_is_set(
    jump_ms: int, tmp_path: Path
) -> None:
    world, model = JumpyWorld(), TroubledModel(["Hello."], failures=1)
    supervisor = await supervise(tmp_path / "s.db", model, world)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await until(supervisor, session_id, ev.RetryScheduled)
    world.offset_ms += jump_ms
    ended = await until(supervisor, session_id, ev.TurnEnded)
    assert ended.reason is ev.TurnEnd.COMPLETED
    await supervisor.close()


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_C09_a_paused_turn_probes_by_itself_whichever_way_the_clock_is_set(
    jump_ms: int, tmp_path: Path
) -> None:
    world, model = JumpyWorld(), TroubledModel(["Hello."], failures=1)
    supervisor = await supervise(tmp_path / "s.db", model, world, retry_budget_s=0.1)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    paused = await until(supervisor, session_id, ev.TurnPaused)
    assert paused.retry_at_ms is not None
    world.offset_ms += jump_ms
    ended = await until(supervisor, session_id, ev.TurnEnded)
    assert ended.reason is ev.TurnEnd.COMPLETED
    await supervisor.close()


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_C09_a_wait_outlives_its_server_and_a_clock_that_was_set_meanwhile(
    jump_ms: int, tmp_path: Path
) -> None:
    world, model = JumpyWorld(), TroubledModel(["Hello."], failures=1)
    first = await supervise(tmp_path / "s.db", model, world)
    session_id = await first.create(workspace_uri=None, title="t", model=None)
    await first.send(session_id, [text("hello")], None)
    await until(first, session_id, ev.RetryScheduled)
    await first.close()
    world.offset_ms += jump_ms
    second = await supervise(tmp_path / "s.db", model, world)
    ended = await until(second, session_id, ev.TurnEnded)
    assert ended.reason is ev.TurnEnd.COMPLETED
    await second.close()


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_C09_an_answer_goes_on_whichever_way_the_clock_is_set(
    jump_ms: int, tmp_path: Path
) -> None:
    world, model = JumpyWorld(), TroubledModel(["Hello. ", "And good bye."])
    model.go_on.clear()
    supervisor = await supervise(tmp_path / "s.db", model, world)
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    await supervisor.send(session_id, [text("hello")], None)
    await model.half_said.wait()
    world.offset_ms += jump_ms
    model.go_on.set()
    ended = await until(supervisor, session_id, ev.TurnEnded)
    assert ended.reason is ev.TurnEnd.COMPLETED
    assert len(model.requests) == 1, "nothing was asked for twice"
    messages = await supervisor.messages(session_id, limit=None, before=None)
    assert messages[-1].text.split() == ["Hello.", "And", "good", "bye."]
    await supervisor.close()


async def test_D10_an_owner_with_nothing_to_write_learns_that_it_was_superseded(
    tmp_path: Path,
) -> None:
    """A stop that it acknowledged would stop nothing: the session runs elsewhere."""
    asleep, awake = JumpyWorld(), JumpyWorld()
    first = await supervise(tmp_path / "s.db", TroubledModel(), asleep)
    session_id = await first.create(workspace_uri=None, title="t", model=None)
    awake.offset_ms += HOUR_MS  # the first one's heartbeat is an hour old
    second = await supervise(tmp_path / "s.db", TroubledModel(["Hello."]), awake)
    await second.send(session_id, [text("hello")], None)
    async with asyncio.timeout(LIMIT_S):
        async for _ in first.follow(session_id, 0):
            pass  # it ends when the first one has heard of it
    asleep.offset_ms = awake.offset_ms
    with pytest.raises(SessionOwnedElsewhere):
        await first.stop(session_id)
    await second.close()
    await first.close()
