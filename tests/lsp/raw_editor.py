"""An editor of bytes: a real server process, driven frame by frame.

Law: it knows the base protocol only and checks it: every frame must be one, every answer must
belong to a request that waits for it. Every wait has a limit.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

WAIT_S = 20.0


def frame(message: Any) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: dict[str, Any] = error.get("data") or {}


class RawEditor:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.inbox: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self._answers: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    # -- sending ---------------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def send(self, message: Mapping[str, Any]) -> None:
        self.send_bytes(frame({"jsonrpc": "2.0", **message}))

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params})

    def answer(self, request: Mapping[str, Any], result: Any) -> None:
        self.send({"id": request["id"], "result": result})

    def expect_answer(self) -> tuple[int, asyncio.Future[Any]]:
        """Return the id of a request yet to be sent, and the future of its answer."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        return number, self._answers[number]

    def begin_request(self, method: str, params: Any = None) -> tuple[int, asyncio.Future[Any]]:
        number, answer = self.expect_answer()
        self.send({"id": number, "method": method, "params": params})
        return number, answer

    async def request(self, method: str, params: Any = None) -> Any:
        _, answer = self.begin_request(method, params)
        return await result_of(answer)

    async def command(self, name: str, *arguments: Any) -> Any:
        params = {"command": name, "arguments": list(arguments)}
        return await self.request("workspace/executeCommand", params)

    async def initialize(self, capabilities: Mapping[str, Any], **options: Any) -> Any:
        result = await self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": capabilities,
                "initializationOptions": {"holdfast": options},
            },
        )
        self.notify("initialized", {})
        return result

    # -- receiving -------------------------------------------------------------------------------

    async def until(self, matching: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Take the first message of the server that matches out of the inbox."""
        async with asyncio.timeout(WAIT_S):
            while True:
                changed = self._changed
                for message in self.inbox:
                    if matching(message):
                        self.inbox.remove(message)
                        return message
                await changed.wait()

    async def until_method(self, method: str) -> dict[str, Any]:
        return await self.until(lambda message: message.get("method") == method)

    async def until_error(self) -> Any:
        """Take an error that answers none of the requests that wait."""
        return (await self.until(lambda message: "error" in message))["error"]

    async def until_answer_to(self, msg_id: object) -> dict[str, Any]:
        return await self.until(lambda m: "method" not in m and m["id"] == msg_id)

    def taken(self, method: str) -> list[Any]:
        """Take all notifications of a kind out of the inbox; return their parameters."""
        found = [m for m in self.inbox if m.get("method") == method]
        self.inbox = [m for m in self.inbox if m.get("method") != method]
        return [m["params"] for m in found]

    # -- the end ---------------------------------------------------------------------------------

    async def exit_code(self) -> int:
        async with asyncio.timeout(WAIT_S):
            code = await self.process.wait()
            await self._reader
        return code

    async def stop(self) -> int:
        await self.request("shutdown")
        self.notify("exit")
        return await self.exit_code()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.exit_code()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while True:
            await self.reading.wait()
            try:
                header = await self.process.stdout.readuntil(b"\r\n\r\n")
                assert header.startswith(b"Content-Length: "), header
                length = int(header.removeprefix(b"Content-Length: "))
                body = await self.process.stdout.readexactly(length)
            except asyncio.IncompleteReadError as end:
                if end.partial:
                    raise AssertionError("the stream ends within a frame") from end
                return
            self._take(json.loads(body))

    def _take(self, message: dict[str, Any]) -> None:
        answer = self._answers.pop(message.get("id"), None) if "method" not in message else None
        if answer is not None:
            answer.set_result(message)
            return
        self.inbox.append(message)
        self._changed.set()
        self._changed = asyncio.Event()


async def result_of(answer: asyncio.Future[dict[str, Any]]) -> Any:
    async with asyncio.timeout(WAIT_S):
        message = await answer
    if "error" in message:
        assert "result" not in message
        raise Refused(message["error"])
    return message["result"]


def server_command(data_dir: Path) -> list[str]:
    return [sys.executable, "-m", "holdfast", "lsp", "--in-process", "--data-dir", str(data_dir)]


def server_environ(base_url: str | None) -> dict[str, str]:
    environ = {**os.environ, "ANTHROPIC_API_KEY": "test-key"}
    if base_url is not None:
        environ["ANTHROPIC_BASE_URL"] = base_url
    return environ


@asynccontextmanager
async def raw_editor(data_dir: Path, base_url: str | None = None) -> AsyncIterator[RawEditor]:
    process = await asyncio.create_subprocess_exec(
        *server_command(data_dir),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=server_environ(base_url),
    )
    editor = RawEditor(process)
    try:
        yield editor
    finally:
        await editor.kill()
