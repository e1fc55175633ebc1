"""Credentials that a client hands over continue the turns that wait for them (C07)."""

from __future__ import annotations

from pathlib import Path

from agent.stage import room, step
from holdfast.session.events import ResponseStarted, TurnEnd, TurnEnded, TurnPaused, TurnResumed


async def test_turns_that_wait_for_a_key_go_on_at_once_when_a_client_gives_one(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, step(say="Now I can."), environment={}) as session:
        await session.prompt("hello")
        paused = await session.until(TurnPaused)
        assert paused.reason == "authentication"
        assert await session.supervisor.use_credentials("k", None) == "client"
        ended = await session.until(TurnEnded)
        assert ended.reason is TurnEnd.COMPLETED
        assert await session.last_answer() == "Now I can."


async def test_a_key_that_comes_while_the_old_one_is_being_refused_is_tried_as_well(
    tmp_path: Path,
) -> None:
    fault = {"name": "error-event-authentication", "after_events": 8}
    refused = step(say="word " * 40, per_delta_ms=50, fault=fault)
    async with room(tmp_path, refused, step(say="Now I can.")) as session:
        await session.prompt("hello")
        await session.until(ResponseStarted)
        await session.supervisor.use_credentials("new", None)
        await session.until(TurnEnded)
        assert await session.last_answer() == "Now I can."
        assert len(session.of(TurnPaused)) == 1


async def test_forgetting_the_key_continues_nothing_and_says_what_is_left(tmp_path: Path) -> None:
    async with room(tmp_path, environment={}) as session:
        await session.prompt("hello")
        await session.until(TurnPaused)
        assert await session.supervisor.use_credentials(None, None) == "none"
        view = await session.supervisor.view(session.session_id)
        assert (view.status.phase, view.status.reason) == ("paused", "authentication")
        assert session.of(TurnResumed) == []


async def test_a_turn_that_waits_for_something_else_is_left_alone(tmp_path: Path) -> None:
    broke = step(fault={"name": "billing"}, times=None)
    async with room(tmp_path, broke) as session:
        await session.prompt("hello")
        paused = await session.until(TurnPaused)
        assert paused.reason == "billing"
        assert await session.supervisor.use_credentials("k", None) == "client"
        view = await session.supervisor.view(session.session_id)
        assert view.status.reason == "billing"
        assert session.of(TurnResumed) == []
