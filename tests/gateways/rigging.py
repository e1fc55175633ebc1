"""Real gateways, each with a strict API behind it, and servers in front of them.

Law: a gateway is started when a test first asks for it and serves all tests of a module; what is
behind it is asked by it alone, so that the API's log is that of one test.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from e2e.nursery import Nursery
from e2e.server import Server, start
from gateways.launching import (
    HAIKU,
    KEY,
    OPUS,
    UPSTREAM_KEY,
    Gateway,
    behind,
    claude_code_router,
    litellm,
)
from holdfast.simulator import Script, Simulator

KEYED: Final = {"ANTHROPIC_API_KEY": KEY}


class Rig:
    """The gateways, each with an API behind it that it alone asks."""

    def __init__(self, stack: AsyncExitStack, nursery: Nursery, root: Path) -> None:
        self._stack, self.nursery, self._root = stack, nursery, root
        self._found: dict[str, tuple[Gateway, Simulator]] = {}

    async def of(self, name: str) -> tuple[Gateway, Simulator]:
        """Return a gateway, started when it is first asked for, and what is behind it."""
        if name not in self._found:
            api = await self._stack.enter_async_context(Simulator(api_key=UPSTREAM_KEY))
            running = self._start(name, self._root / name.replace(" ", "-"), api.base_url)
            gateway = await self._stack.enter_async_context(running)
            self._found[name] = (gateway, api)
        gateway, api = self._found[name]
        api.script(Script(rules=()))
        api.clear_log()
        return gateway, api

    def _start(self, name: str, root: Path, upstream: str) -> AbstractAsyncContextManager[Gateway]:
        root.mkdir()
        match name:
            case "LiteLLM":
                models = {
                    OPUS: behind(upstream),
                    HAIKU: behind(upstream, HAIKU),
                    "impatient": behind(upstream, timeout=1),
                    "translated": {"model": f"openai/{OPUS}", "api_base": "self", "api_key": KEY},
                }
                return litellm(root, models)
            case "LiteLLM by default":
                return litellm(root, {OPUS: behind(upstream)}, {})
            case _:
                return claude_code_router(root, upstream)


@asynccontextmanager
async def server_at(
    rig: Rig, gateway: Gateway, root: Path, environment: Mapping[str, str] = KEYED, **options: Any
) -> AsyncIterator[Server]:
    """Run a server whose first endpoint is the gateway."""
    server = await start(gateway, root, rig.nursery, environment, **options)
    try:
        yield server
    finally:
        assert server.client is not None
        await server.client.stop()


def scripted(api: Simulator, *steps: Mapping[str, Any]) -> None:
    api.script(Script.parse([dict(step) for step in steps]))


async def session_in(server: Server, root: Path) -> str:
    made = await server.command("session.create", workspaceUri=root.as_uri())
    await server.open(made["sessionId"])
    return str(made["sessionId"])


async def prompted(server: Server, session_id: str, text: str) -> str:
    return str((await server.command("turn.send", sessionId=session_id, text=text))["turnId"])


async def failed(server: Server, session_id: str) -> dict[str, Any]:
    """Return the first failure of a request of the session."""
    events = await server.until(lambda: server.of(session_id, "requestFailed"), "a failure")
    return dict(events[0]["failure"])


async def doctor(gateway: Gateway, key: str) -> dict[str, Any]:
    environment = {**os.environ, **gateway.variables, "ANTHROPIC_API_KEY": key}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "holdfast", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
