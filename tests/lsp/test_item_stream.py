"""Followers that send items: what the editor holds is what the journal says, at its own pace."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.lsp.streams import ItemStream
from holdfast.session import events as ev
from holdfast.session.items import Items
from lsp.follower_stage import Stage
from lsp.scripted import SESSION
from session.dumb_client import DumbClient
from session.journals import of_any_events

ALL = 1_000_000


async def open_items(stage: Stage) -> DumbClient:
    """Open the session as `holdfast.session.open` does; return what its answer gives a client."""
    view = await stage.supervisor.view(SESSION)
    items = Items(SESSION)
    items.fold(stage.supervisor.journal)
    items.forget_changes()
    stream = ItemStream(items, view, lambda: stage.supervisor.view(SESSION))
    client = DumbClient(items.page(ALL)[0])
    stage.followers.open(view, items.seq, stream)
    return client


def caught_up(stage: Stage, client: DumbClient) -> list[dict[str, Any]]:
    """Give the client what it was sent; return what it was sent."""
    sent = stage.received("holdfast/items")
    for params in sent:
        client.apply(params["changes"])
    return sent


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
async def test_what_was_opened_and_all_that_was_sent_is_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(batch_size=lambda: chance.randint(1, 9))
    journal = of_any_events(seed)
    cut = chance.randint(0, len(journal))
    stage.supervisor.journal += journal[:cut]
    client = await open_items(stage)
    for record in journal[cut:]:
        stage.supervisor.happen(record.event)
        if chance.random() < 0.3:
            await stage.settle()
    for _ in range(10):
        await stage.settle()
    sent = caught_up(stage, client)
    whole = Items(SESSION)
    whole.fold(stage.supervisor.journal)
    assert client.items == DumbClient(whole.page(ALL)[0]).items
    assert stage.received() == [], "no events are sent beside the items"
    assert [params["seq"] for params in sent] == sorted({params["seq"] for params in sent})
    await stage.followers.close()


async def test_the_session_is_sent_only_when_it_differs() -> None:
    stage = Stage(batch_size=lambda: 1)
    await open_items(stage)
    stage.supervisor.happen(ev.RequestStarted(turn_id="t", attempt=1, model="m"))
    for word in ("one ", "two ", "three "):
        stage.supervisor.happen(ev.BlockDelta(index=0, kind="text", text=word))
    await stage.settle()
    stage.supervisor.view_extras = {"todos": ({"text": "x", "status": "pending"},)}
    stage.supervisor.happen(ev.TodosUpdated(todos=()))
    stage.supervisor.happen(ev.TodosUpdated(todos=()))
    await stage.settle()
    sent = stage.received("holdfast/items")
    assert [[c["op"] for c in params["changes"]] for params in sent] == [
        ["put"],
        ["append"],
        ["append"],
        [],
    ]
    assert [("session" in params) for params in sent] == [False, False, False, True]
    assert sent[-1]["session"]["todos"] == [{"text": "x", "status": "pending"}]
    await stage.followers.close()


async def test_statuses_come_with_items_too() -> None:
    stage = Stage()
    await open_items(stage)
    stage.supervisor.be("streaming")
    await asyncio.sleep(0)
    await stage.settle()
    assert stage.received("holdfast/status")[-1]["phase"] == "streaming"
    assert stage.received("holdfast/items") == []
    await stage.followers.close()
