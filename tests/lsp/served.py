"""A server on a scripted supervisor, and both ends of a connection in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from holdfast.agent.api import SessionEntry, SessionList
from holdfast.agent.overview import Overview
from holdfast.lsp.connection import Connection
from holdfast.lsp.framing import FrameParser
from holdfast.lsp.server import Compose, HoldfastServer
from holdfast.settings import Settings
from holdfast.tools.port import Editor
from lsp.raw_editor import frame
from lsp.scripted import ScriptedSupervisor


class ServedSupervisor(ScriptedSupervisor):
    """A scripted supervisor with what a start and an end of a connection need."""

    def __init__(self, recovered: list[str] | None = None) -> None:
        super().__init__()
        self.editors: dict[str, Editor | None] = {}
        self.overview = Overview()
        self.entries_now: tuple[SessionEntry, ...] = ()
        self.recovered = recovered or []
        self.folders: list[str] = []
        self.closed = False

    async def recover(self, workspace_uris: list[str]) -> list[str]:
        self.folders = list(workspace_uris)
        return self.recovered

    async def entries(self, after: int | None = None) -> SessionList:
        if after is not None:
            await self.overview.after(after)
        return SessionList(self.entries_now, self.overview.version)

    def use_editor(self, connection_id: str, editor: Editor | None) -> None:
        self.editors[connection_id] = editor

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


class Wire:
    """Both ends of a connection: a source and a sink for the server, a client for the test."""

    def __init__(self, compose: Compose, **more: Any) -> None:
        self.server = HoldfastServer(compose, environ={"HOLDFAST_DATA_DIR": "/nowhere"}, **more)
        self.messages: list[dict[str, Any]] = []
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._parser = FrameParser()
        self._id = 0
        self._arrived = asyncio.Event()

    # -- as a source and a sink ------------------------------------------------------------------

    async def read(self) -> bytes:
        return await self._input.get()

    def write(self, data: bytes) -> None:
        self.messages += [json.loads(body) for body in self._parser.feed(data)]
        self._arrived.set()
        self._arrived = asyncio.Event()

    def pending(self) -> int:
        return 0

    async def drain(self) -> None:
        pass

    async def close(self, timeout_s: float) -> None:
        pass

    def abort(self) -> None:
        pass

    # -- as a client -----------------------------------------------------------------------------

    def send(self, **message: Any) -> None:
        self._input.put_nowait(frame({"jsonrpc": "2.0", **message}))

    def hang_up(self) -> None:
        self._input.put_nowait(b"")

    async def request(self, method: str, params: Any = None) -> dict[str, Any]:
        self._id += 1
        number = self._id
        self.send(id=number, method=method, params=params)
        return await self.until(lambda m: m.get("id") == number and "method" not in m)

    async def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        params = {"command": name, "arguments": [arguments]}
        return await self.request("workspace/executeCommand", params)

    async def initialize(self, capabilities: Any, options: Any = None, **more: Any) -> None:
        params = {"capabilities": capabilities, "initializationOptions": options, **more}
        await self.request("initialize", params)
        self.send(method="initialized", params={})

    async def until(self, matching: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                arrived = self._arrived
                for message in self.messages:
                    if matching(message):
                        self.messages.remove(message)
                        return message
                await arrived.wait()

    async def until_method(self, method: str) -> dict[str, Any]:
        return await self.until(lambda message: message.get("method") == method)


@asynccontextmanager
async def serving(compose: Compose, **more: Any) -> AsyncIterator[Wire]:
    wire = Wire(compose, **more)
    running = asyncio.create_task(Connection(wire.server, wire, wire).run())
    yield wire
    wire.hang_up()
    async with asyncio.timeout(10):
        assert await running == 0
        await wire.server.close()


class Composer:
    """Makes the supervisor, or fails so often first."""

    def __init__(self, *failures: Exception, supervisor: ServedSupervisor | None = None) -> None:
        self.failures = list(failures)
        self.supervisor = supervisor or ServedSupervisor()
        self.settings: list[Settings] = []

    async def __call__(self, settings: Settings) -> Any:
        self.settings.append(settings)
        if self.failures:
            raise self.failures.pop(0)
        return self.supervisor
