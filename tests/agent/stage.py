"""A supervisor on a real store and the real SDK, against the strict simulator over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast.agent.api import Status
from holdfast.agent.supervisor import Supervisor
from holdfast.app import Application
from holdfast.conversation.history import text
from holdfast.session.events import Event, TurnEnded
from holdfast.session.inputs import Recorded
from holdfast.settings import Settings
from holdfast.simulator import Script, Simulator

LIMIT_S = 20.0
QUICK = {
    "retry": {"maxDelaySeconds": 0.1},
    "stream": {"idleWarnSeconds": 0.2, "idleCutSeconds": 1},
    "compaction": {"deadlineSeconds": 10},
}


class Room:
    """One session under test, its events as a follower sees them."""

    def __init__(self, supervisor: Supervisor, simulator: Simulator, session_id: str) -> None:
        self.supervisor = supervisor
        self.simulator = simulator
        self.session_id = session_id
        self.seen: list[Recorded] = []
        self.statuses: list[Status] = []
        self._changed = asyncio.Event()
        self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for batch in self.supervisor.follow(self.session_id, 0):
            self.seen.extend(batch.events)
            if batch.status is not None:
                self.statuses.append(batch.status)
            self._changed.set()
            self._changed = asyncio.Event()

    async def until(
        self, kind: type[Event], matching: Callable[[Any], bool] = lambda _event: True
    ) -> Any:
        """Return the first event of this kind that matches, bounded in time."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                changed = self._changed
                for record in self.seen:
                    if isinstance(record.event, kind) and matching(record.event):
                        return record.event
                await changed.wait()

    async def until_status(self, matching: Callable[[Status], bool]) -> Status:
        """Return the first status that matches, bounded in time."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                changed = self._changed
                for status in self.statuses:
                    if matching(status):
                        return status
                await changed.wait()

    async def prompt(self, words: str, prompt_id: str | None = None) -> str:
        """Send a prompt and return its turn's id."""
        accepted = await self.supervisor.send(self.session_id, [text(words)], prompt_id)
        return accepted.turn_id

    async def answered(self, words: str, prompt_id: str | None = None) -> str:
        """Send a prompt, wait for its turn's end, return the last answer's text."""
        turn_id = await self.prompt(words, prompt_id)
        await self.until(TurnEnded, lambda event: event.turn_id == turn_id)
        return await self.last_answer()

    async def last_answer(self) -> str:
        """Return the text of the newest message of the assistant."""
        messages = await self.supervisor.messages(self.session_id, limit=None, before=None)
        return next((m.text for m in reversed(messages) if m.role == "assistant"), "")

    def of(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind that were seen so far."""
        return [record.event for record in self.seen if isinstance(record.event, kind)]

    async def leave(self) -> None:
        """Stop following."""
        self._following.cancel()
        await asyncio.wait([self._following])


def settings_for(simulator: Simulator, data_dir: Path, **editor: Any) -> Settings:
    """Return settings that lead to the simulator and wait only shortly."""
    environ = {
        "HOLDFAST_DATA_DIR": str(data_dir),
        "ANTHROPIC_BASE_URL": simulator.base_url,
    }
    settings, problems = Settings.load({**QUICK, **editor}, environ)
    assert not problems
    return settings


@asynccontextmanager
async def supervised(
    simulator: Simulator,
    data_dir: Path,
    environment: dict[str, str] | None = None,
    **editor: Any,
) -> AsyncIterator[Supervisor]:
    """Run a supervisor. `environment` holds the credentials."""
    environ = {"ANTHROPIC_API_KEY": "k"} if environment is None else environment
    supervisor = await Application(environ).compose(settings_for(simulator, data_dir, **editor))
    try:
        yield supervisor
    finally:
        await supervisor.close()


@asynccontextmanager
async def room(
    tmp_path: Path,
    *steps: dict[str, Any],
    window_tokens: int | None = None,
    environment: dict[str, str] | None = None,
    **editor: Any,
) -> AsyncIterator[Room]:
    """Open a new session in a workspace of its own, with the simulator's script as given."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    async with (
        Simulator(Script.parse(list(steps)), window_tokens=window_tokens) as simulator,
        supervised(simulator, tmp_path / "data", environment, **editor) as supervisor,
    ):
        session_id = await supervisor.create(
            workspace_uri=workspace.as_uri(), title=None, model=None
        )
        found = Room(supervisor, simulator, session_id)
        try:
            yield found
        finally:
            await found.leave()


def step(
    match: dict[str, Any] | None = None,
    *,
    say: str | None = None,
    calls: list[tuple[str, dict[str, Any]]] | None = None,
    fault: dict[str, Any] | None = None,
    times: int | None = 1,
    label: str = "",
    **respond: Any,
) -> dict[str, Any]:
    """Write one step of the simulator's script."""
    content: list[dict[str, Any]] = []
    if say is not None:
        content.append({"type": "text", "text": say, "chunk": 8})
    for name, arguments in calls or []:
        content.append({"type": "tool_use", "name": name, "input": arguments})
    found: dict[str, Any] = {"match": match or {}, "times": times, "label": label}
    if content or respond:
        found["respond"] = {"content": content, **respond}
    if fault is not None:
        found["fault"] = fault
    return found
