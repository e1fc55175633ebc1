"""The traces of commands over the life of a session: made, told, removed (P6, C10)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.stage import Room, room, step, supervised
from holdfast.app import TRACES
from holdfast.session import events as ev
from holdfast.simulator import Script, Simulator
from holdfast.tools.traces import Traces, prepare
from tools.toolkit import eventually, gone, number_in

ALLOWED = [{"tool": "run", "pattern": "*", "answer": "allow"}]


def left(tmp_path: Path) -> list[Path]:
    """What is left, read while it may be vanishing: `rglob` of Python 3.11 fails on that."""
    walked = os.walk(tmp_path / "data" / TRACES)
    return [Path(folder) / name for folder, folders, files in walked for name in (*folders, *files)]


@pytest.mark.parametrize("command", ["echo out", "exit 3", "kill -9 $$"])
async def test_a_result_in_the_journal_is_all_that_is_left_of_a_command(
    command: str, tmp_path: Path
) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "go"}, calls=[("run", {"command": command})]),
        step({"has_tool_results": True}, say="Done."),
        permissions=ALLOWED,
    ) as session:
        assert await session.answered("go") == "Done."
        assert [event.traced for event in session.of(ev.ToolStarted)] == [True]
        assert [event.command for event in session.of(ev.ToolFinished)] == [None]
        await eventually(lambda: left(tmp_path) == [])


async def test_a_stopped_command_is_gone_and_leaves_nothing(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step(calls=[("run", {"command": "echo $$ > shell; sleep 300"})]),
        permissions=ALLOWED,
    ) as session:
        await session.prompt("go")
        shell = tmp_path / "workspace" / "shell"
        await eventually(lambda: number_in(shell) is not None)
        await session.supervisor.stop(session.session_id)
        await gone(number_in(shell) or 0)
        await eventually(lambda: left(tmp_path) == [])


async def test_what_a_dead_server_did_not_remove_goes_when_the_session_is_opened(
    tmp_path: Path,
) -> None:
    async with Simulator(Script.parse([])) as simulator:
        async with supervised(simulator, tmp_path / "data") as first:
            session_id = await first.create(workspace_uri=None, title=None, model=None)
        assert prepare(Traces(tmp_path / "data" / TRACES).folder(session_id, "settled"))
        async with supervised(simulator, tmp_path / "data") as second:
            await second.messages(session_id, limit=None, before=None)
            await eventually(lambda: left(tmp_path) == [])


async def test_a_command_that_was_stopped_with_its_server_is_told_with_its_output(
    tmp_path: Path,
) -> None:
    (tmp_path / "workspace").mkdir()
    command = "echo begun; echo $$ > shell; sleep 300"
    script = [
        step({"has_tool_results": False}, calls=[("run", {"command": command})]),
        step(say="I see."),
    ]
    async with Simulator(Script.parse(script)) as simulator:
        async with supervised(simulator, tmp_path / "data", permissions=ALLOWED) as first:
            session_id = await first.create(
                workspace_uri=(tmp_path / "workspace").as_uri(), title=None, model=None
            )
            session = Room(first, simulator, session_id)
            turn_id = await session.prompt("go")
            shell = tmp_path / "workspace" / "shell"
            await eventually(lambda: number_in(shell) is not None)
            await session.leave()
        await gone(number_in(shell) or 0)
        async with supervised(simulator, tmp_path / "data", permissions=ALLOWED) as second:
            session = Room(second, simulator, session_id)
            await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
            (finished,) = session.of(ev.ToolFinished)
            assert finished.outcome is ev.ToolOutcome.UNKNOWN
            assert finished.command.found == "cut"
            told = ev.block_data(finished.content)[0]["text"]
            assert "stopped before its end" in told
            assert told.endswith("Its last output:]\nbegun\n")
            await session.leave()
