"""A bare language client: what the demo uses to drive a real server process over stdio.

Law: it knows only the base protocol and `workspace/executeCommand`, no more than any editor does.
Every wait has a limit. What the server sends unasked goes to `listen`, in order.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

ANSWER_LIMIT_S: Final = 30.0


def server_arguments(data_dir: Path, log: Path) -> list[str]:
    """Return the arguments with which `holdfast` is a server of its own."""
    return ["lsp", "--in-process", "--data-dir", str(data_dir), "--log-file", str(log)]


class CommandFailed(Exception):
    """The server answered a command with an error."""


class Client:
    """One server process and the connection to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, listen: Callable[[str, Any], None]
    ) -> None:
        self._process = process
        self._listen = listen
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        *,
        data_dir: Path,
        environment: Mapping[str, str],
        options: Mapping[str, Any],
        listen: Callable[[str, Any], None],
        log: Path,
    ) -> Self:
        """Start `holdfast lsp` and initialize it. `options` are the settings of `holdfast`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "holdfast",
            *server_arguments(data_dir, log),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
            limit=1 << 26,
        )
        client = cls(process, listen)
        await client.initialize(options)
        return client

    async def initialize(self, options: Mapping[str, Any]) -> None:
        """Open the connection. `options` are the settings of `holdfast`."""
        capabilities = {"window": {"workDoneProgress": True}}
        await self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": capabilities,
                "initializationOptions": {"holdfast": dict(options)},
            },
        )
        self.notify("initialized", {})

    async def command(self, name: str, **arguments: Any) -> Any:
        """Execute a command. Raises `CommandFailed`, and `TimeoutError` after 30 s."""
        return await self.request(
            "workspace/executeCommand", {"command": name, "arguments": [arguments]}
        )

    async def request(self, method: str, params: Any) -> Any:
        """Send a request and return its result."""
        self._next_id += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._next_id] = answer
        self._send({"id": self._next_id, "method": method, "params": params})
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await answer

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    async def kill(self) -> None:
        """Kill the server as a crash would: no signal handler, no goodbye."""
        self._process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        await self._gone()

    async def stop(self) -> None:
        """End the server as an editor does."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        await self._gone()

    async def _gone(self) -> None:
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        # What the server had written before it went is still in the pipe, and was shown.
        await asyncio.wait({self._reader}, timeout=1)
        self._reader.cancel()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            while True:
                header = await stdout.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in header.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                self._take(json.loads(await stdout.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The server is gone, as it was meant to.
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(CommandFailed("The server process ended."))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            answer = self._waiting.pop(message["id"], None)
            if answer is None or answer.done():
                return
            if "error" in message:
                answer.set_exception(CommandFailed(message["error"].get("message", "")))
            else:
                answer.set_result(message.get("result"))
            return
        if "id" in message:
            # What an editor without special support answers: nothing.
            self._send({"id": message["id"], "result": None})
        self._listen(message["method"], message.get("params"))
