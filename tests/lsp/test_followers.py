"""Followers: every event once, in order, at the pace of the reader, whatever happens around."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.journal.store import SessionUnknown
from lsp.follower_stage import Stage
from lsp.scripted import SESSION


@given(st.lists(st.sampled_from(["event", "status", "stall", "read", "turn"])), st.integers(0, 99))
@settings(max_examples=50)
async def test_an_opened_session_is_followed_without_gap_or_repeat(
    steps: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    stage = Stage(batch_size=lambda: chance.randint(1, 4))
    stage.supervisor.happen()
    view = await stage.supervisor.view(SESSION)
    stage.open(view, view.seq)
    for step in steps:
        match step:
            case "event":
                stage.supervisor.happen()
            case "status":
                stage.supervisor.be(chance.choice(["idle", "streaming"]))
            case "stall":
                stage.sink.room.clear()
            case "read":
                stage.sink.room.set()
            case _:
                await stage.settle()
    stage.sink.room.set()
    head = len(stage.supervisor.journal)
    for _ in range(head + 1):
        await stage.settle()
    assert stage.seqs() == list(range(2, head + 1))
    assert stage.audience.seqs == stage.seqs()
    assert stage.received("holdfast/status")[-1]["phase"] == stage.supervisor.current.phase
    await stage.followers.close()


async def test_an_editor_that_does_not_read_stops_the_pulling_not_the_journal() -> None:
    """S15: nothing is made for a reader who is behind."""
    stage = Stage(batch_size=lambda: 1)
    view = await stage.supervisor.view(SESSION)
    stage.open(view, 0)
    await stage.settle()
    stage.sink.room.clear()
    for _ in range(1000):
        stage.supervisor.happen()
    await stage.settle()
    assert len(stage.seqs()) <= 2
    stage.sink.room.set()
    for _ in range(100):
        await stage.settle()
    assert stage.seqs() == list(range(1, len(stage.supervisor.journal) + 1))
    await stage.followers.close()


async def test_watching_sends_no_events_but_tells_the_audience() -> None:
    stage = Stage()
    await stage.followers.watch(SESSION)
    stage.supervisor.happen()
    stage.supervisor.be("waiting")
    await stage.settle()
    assert (stage.received(), stage.received("holdfast/status")) == ([], [])
    assert stage.audience.seqs == [1]
    assert stage.audience.phases[-1] == "waiting"
    await stage.followers.close()


async def test_opening_what_is_watched_tells_nobody_twice() -> None:
    stage = Stage()
    await stage.followers.watch(SESSION)
    stage.supervisor.happen()
    await stage.settle()
    stage.supervisor.happen()
    view = await stage.supervisor.view(SESSION)
    stage.open(view, view.seq)
    stage.supervisor.happen()
    await stage.settle()
    assert stage.seqs() == [3]
    assert stage.audience.seqs == [1, 2, 3], "event 2 happened between watching and opening"
    await stage.followers.close()


async def test_opening_again_sends_again_from_where_it_was_asked() -> None:
    stage = Stage()
    stage.supervisor.happen()
    view = await stage.supervisor.view(SESSION)
    stage.open(view, 0)
    await stage.settle()
    stage.open(view, 0)
    await stage.settle()
    assert stage.seqs() == [1, 1]
    assert stage.supervisor.followers == 1
    await stage.followers.close()


async def test_many_that_begin_to_watch_at_once_are_one_follower() -> None:
    stage = Stage()
    await asyncio.gather(*(stage.followers.watch(SESSION) for _ in range(5)))
    await stage.settle()
    assert stage.supervisor.followers == 1
    await stage.followers.close()


async def test_an_unknown_session_is_refused_to_all_who_asked() -> None:
    stage = Stage()
    outcomes = await asyncio.gather(
        *(stage.followers.watch("s_no") for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [SessionUnknown] * 3


async def test_the_end_of_a_connection_ends_its_followers_and_nothing_else() -> None:
    """P9: the session does not notice."""
    stage = Stage()
    view = await stage.supervisor.view(SESSION)
    stage.open(view, 0)
    await stage.settle()
    await stage.followers.close()
    assert (stage.supervisor.followers, stage.audience.ends) == (0, 1)
    assert stage.supervisor.calls == []
    await stage.followers.watch(SESSION)
    stage.open(view, 0)
    await stage.settle()
    assert stage.supervisor.followers == 0, "nothing begins after the end"


async def test_a_session_that_moved_to_another_server_is_followed_from_outside() -> None:
    stage = Stage()
    view = await stage.supervisor.view(SESSION)
    stage.open(view, 0)
    stage.supervisor.happen()
    await stage.settle()
    stage.supervisor.close_feeds()
    stage.supervisor.happen()
    await stage.settle()
    assert stage.seqs() == [1, 2]
    assert stage.audience.ends == 0
    await stage.followers.close()


async def test_a_deleted_session_ends_its_follower() -> None:
    stage = Stage()
    view = await stage.supervisor.view(SESSION)
    stage.open(view, 0)
    await stage.settle()
    stage.supervisor.deleted = True
    stage.supervisor.close_feeds()
    await stage.settle()
    assert (stage.supervisor.followers, stage.audience.ends) == (0, 1)
