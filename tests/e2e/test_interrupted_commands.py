"""kill -9 of the real server during a command: the next one says what became of it (P6, C10)."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from e2e.nursery import Nursery
from e2e.server import Server, start
from holdfast.simulator import Script, Simulator
from holdfast.tools.run_worker import END
from tools.toolkit import eventually, gone, number_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.survives("C10")]

COMMAND = (
    "echo run >> runs; echo begun; echo $$ > shell; "
    "while [ ! -e go ]; do sleep 0.02; done; echo finished > mark; echo the last line; exit 3"
)
"""A command that waits for a sign, so that the test decides what it outlives."""


@attrs.define
class Scene:
    """A session whose server was killed while its command waited for the sign."""

    root: Path
    nursery: Nursery
    simulator: Simulator
    session_id: str = ""
    turn_id: str = ""
    shell: int = 0

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def traces(self) -> list[Path]:
        return [path for path in (self.root / "data" / "commands").rglob("*") if path.is_file()]

    async def play(self) -> None:
        self.workspace.mkdir()
        server = await start(self.simulator, self.root, self.nursery)
        made = await server.command("session.create", workspaceUri=self.workspace.as_uri())
        self.session_id = made["sessionId"]
        await server.open(self.session_id)
        sent = await server.command("turn.send", sessionId=self.session_id, text="Do it.")
        self.turn_id = sent["turnId"]
        await eventually(lambda: number_in(self.workspace / "shell") is not None)
        self.shell = number_in(self.workspace / "shell") or 0
        await kill(server)

    async def told(self) -> dict[str, Any]:
        """Start the next server; return the result that its first request tells the model."""
        server = await start(self.simulator, self.root, self.nursery)
        await server.open(self.session_id)
        await server.ended(self.session_id, self.turn_id)
        (finished,) = server.of(self.session_id, "toolFinished")
        assert len(server.of(self.session_id, "toolStarted")) == 1
        await eventually(lambda: self.traces == [])
        await kill(server)
        assert (self.workspace / "runs").read_text() == "run\n", "P6: run once"
        assert self.simulator.refusals == [], "P2"
        (result,) = self.simulator.log[-1].body["messages"][-1]["content"]
        assert result["content"] == finished["content"], "the journal says what the model is told"
        return {**finished, "text": result["content"][0]["text"]}


async def kill(server: Server) -> None:
    assert server.client is not None
    server.client._process.kill()
    await server.client._process.wait()
    await server.client._gone()


@pytest_asyncio.fixture(loop_scope="module")
async def scene(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Scene]:
    steps: list[dict[str, Any]] = [
        {
            "match": {"has_tool_results": False},
            "respond": {
                "content": [{"type": "tool_use", "name": "run", "input": {"command": COMMAND}}]
            },
        },
        {"respond": {"content": [{"type": "text", "text": "I see."}]}},
    ]
    async with Simulator(Script.parse(steps)) as simulator:
        found = Scene(tmp_path, nursery, simulator)
        await found.play()
        yield found
        (found.workspace / "go").touch()
        await gone(found.shell)


async def test_a_command_that_ends_after_its_server_is_told_with_its_exit_status_and_output(
    scene: Scene,
) -> None:
    (scene.workspace / "go").touch()
    await eventually(lambda: any(path.name == END for path in scene.traces))
    told = await scene.told()
    assert (scene.workspace / "mark").read_text() == "finished\n"
    assert "ended with exit status 3. Its last output:]\nbegun\nthe last line\n" in told["text"]
    assert told["command"]["found"] == "ended"
    assert told["command"]["exitCode"] == 3
    assert told["outcome"] == "finished"
    assert told["isError"] is True
    assert told["summary"] == "the command ended with exit status 3 while the server was gone"


async def test_a_command_that_still_runs_when_the_next_server_comes_is_stopped_and_told(
    scene: Scene,
) -> None:
    told = await scene.told()
    await gone(scene.shell)
    assert not (scene.workspace / "mark").exists()
    assert "outcome unknown" in told["text"]
    assert f"(process {told['command']['pid']}) and was stopped then" in told["text"]
    assert told["text"].endswith("Its last output:]\nbegun\n")
    assert told["outcome"] == "unknown"


async def test_a_command_whose_keeper_died_with_the_server_has_begun_and_left_no_end(
    scene: Scene,
) -> None:
    (lock,) = scene.traces
    os.killpg(int(lock.read_text()), signal.SIGKILL)
    await gone(scene.shell)
    told = await scene.told()
    assert "outcome unknown" in told["text"]
    assert "left no exit status" in told["text"]
    assert told["outcome"] == "unknown"
