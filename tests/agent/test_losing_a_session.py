"""A session that was lost and opened again belongs to the driver that came last."""

from __future__ import annotations

from pathlib import Path

from agent.doubles import PlayedModel, QuickWorld
from holdfast.agent.registry import Registry
from holdfast.agent.services import AgentSettings, Services
from holdfast.journal.sqlite import SqliteStore
from holdfast.session import events as ev
from holdfast.tools.registry import Toolbox


async def test_an_older_driver_that_is_lost_late_does_not_forget_a_newer_one(
    tmp_path: Path,
) -> None:
    store = await SqliteStore.open(tmp_path / "holdfast.db")
    services = Services(
        store=store,
        model=PlayedModel(["hello"]),
        tools=Toolbox(),
        world=QuickWorld(),
        settings=AgentSettings(model="m"),
    )
    registry = Registry(services, "owner")
    session_id = await registry.create((ev.SessionCreated(title="t"),))
    older = await registry.owned(session_id)
    older.lose()
    assert not registry.is_open(session_id)
    newer = await registry.owned(session_id)
    assert newer is not older
    older.lose()
    registry._forget(older)  # what the driver would say, did it say it a second time
    assert registry.open_drivers() == [newer]
    assert await registry.owned(session_id) is newer
    newer.lose()
    assert not registry.is_open(session_id)
    await registry.close()
    await store.close()
