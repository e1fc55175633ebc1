"""A real server process, driven as any editor would drive it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from e2e.nursery import Nursery
from holdfast.cli.client import Client
from holdfast.simulator import Simulator

LIMIT_S = 30.0
KEY = "a-test-key-that-is-in-no-words"
QUICK = {
    "retry": {"maxDelaySeconds": 0.1, "budgetSeconds": 20},
    "stream": {"idleWarnSeconds": 0.2, "idleCutSeconds": 1},
    "compaction": {"deadlineSeconds": 5},
    "permissions": [{"tool": "*", "pattern": "*", "answer": "allow"}],
}


class Server:
    """One server process; its notifications by session, awaited without sleeping.

    `limit_s` is how long anything of it is waited for.
    """

    def __init__(self) -> None:
        self.limit_s = LIMIT_S
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.statuses: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.count = 0
        self.changed = asyncio.Event()
        self.client: Client | None = None

    def listen(self, method: str, params: Any) -> None:
        if method == "holdfast/event":
            self.events.setdefault(params["sessionId"], []).append(params)
        elif method == "holdfast/status":
            self.statuses[params["sessionId"]] = params
        else:
            self.asked.append((method, params))
        self.count += 1
        self.changed.set()
        self.changed = asyncio.Event()

    async def command(self, name: str, **arguments: Any) -> Any:
        assert self.client is not None
        return await self.client.command(f"holdfast.{name}", **arguments)

    async def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Return what `holds` returns once that is true; looked at after each notification."""
        try:
            async with asyncio.timeout(self.limit_s):
                while not (found := holds()):
                    await self.changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"{what} did not happen; {self.statuses}") from None

    async def open(self, session_id: str, since: int = 0) -> dict[str, Any]:
        """Follow a session; return what is known of it now, with its events after `since`."""
        opened: dict[str, Any] = await self.command(
            "session.open", sessionId=session_id, sinceSeq=since
        )
        for event in opened["events"]:
            self.listen("holdfast/event", {**event, "sessionId": session_id})
        return opened

    def of(self, session_id: str, kind: str) -> list[dict[str, Any]]:
        return [e["event"] for e in self.events.get(session_id, []) if e["event"]["type"] == kind]

    async def settled(self, session_id: str, turn_id: str) -> str:
        """Wait until the turn has ended or is paused; return which."""

        def ended_or_paused() -> str:
            if any(e["turnId"] == turn_id for e in self.of(session_id, "turnEnded")):
                return "ended"
            paused = self.statuses.get(session_id, {}).get("phase") == "paused"
            return "paused" if paused else ""

        return str(await self.until(ended_or_paused, "the end of the turn"))

    async def ended(self, session_id: str, turn_id: str) -> None:
        await self.until(
            lambda: any(e["turnId"] == turn_id for e in self.of(session_id, "turnEnded")),
            "the end of the turn",
        )

    async def last_answer(self, session_id: str) -> str:
        found = await self.command("session.messages", sessionId=session_id)
        texts = [m["text"] for m in found["messages"] if m["role"] == "assistant"]
        return texts[-1] if texts else ""


class Endpoint(Protocol):
    """Where a server finds an API: the simulator, or a place on the way to it."""

    @property
    def base_url(self) -> str: ...


async def start(
    endpoint: Endpoint,
    root: Path,
    /,
    nursery: Nursery | None = None,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Server:
    """Start a server process whose sessions live under `root`; forked by `nursery` if given."""
    server = Server()
    launch = Client.start if nursery is None else nursery.client
    server.client = await launch(
        data_dir=root / "data",
        environment={
            "ANTHROPIC_BASE_URL": endpoint.base_url,
            "ANTHROPIC_API_KEY": KEY,
            **(environment or {}),
        },
        options={**QUICK, **options},
        listen=server.listen,
        log=root / "server.log",
    )
    return server


@asynccontextmanager
async def running(simulator: Simulator, root: Path, /, **options: Any) -> AsyncIterator[Server]:
    """Run a server process and end it as an editor does."""
    server = await start(simulator, root, **options)
    try:
        yield server
    finally:
        assert server.client is not None
        await server.client.stop()
