"""S1, S2, S3, S15 and the server's part of S5: what the language server itself costs.

The yardstick is a bare pygls server with one command, started by the same Python, over `start_io`.
Both are driven by the same blocking client, in turn, in one run. Processor time of a process is
what the system accounts to it when it is reaped right after its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsprotocol.converters import get_converter
from pygls.io_ import StdoutWriter
from pygls.lsp.server import LanguageServer
from table import Row, print_table

from holdfast.lsp import wire
from holdfast.lsp.framing import FrameParser, frame
from holdfast.lsp.outbox import Outbox
from holdfast.lsp.stdio import open_streams
from holdfast.session.events import BlockDelta
from holdfast.session.inputs import Recorded
from holdfast.simulator import Respond, Simulator, Step, TextItem

ROUNDS = 9
REQUESTS = 400
DELTAS = 5000
HEAVY = frozenset({"anthropic", "mcp", "psycopg", "PIL", "rich"})
STALL_MB_MAX = 16
SESSIONS = 3
ANSWERS = 12

BARE = """
from pygls.lsp.server import LanguageServer
server = LanguageServer("bare", "1")
@server.command("bare.info")
def info(ls, *args):
    return {"version": "1", "problems": []}
server.start_io()
"""


class Client:
    """A blocking client: one request at a time."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            bufsize=0,
        )
        self._parser = FrameParser()
        self._frames: list[dict[str, Any]] = []
        self._next_id = 0
        self.turns_ended = 0

    def request(self, method: str, params: Any) -> Any:
        self._next_id += 1
        self.send({"id": self._next_id, "method": method, "params": params})
        while True:
            message = self.receive()
            if message.get("id") == self._next_id and "method" not in message:
                return message["result"]

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(frame(json.dumps({"jsonrpc": "2.0", **message}).encode()))

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while not self._frames:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, "the server ended"
            self._frames += [json.loads(body) for body in self._parser.feed(data)]
        message: dict[str, Any] = self._frames.pop(0)
        event = message.get("params", {}).get("event", {})
        self.turns_ended += event.get("type") == "turnEnded"
        return message

    def initialize(self) -> None:
        self.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})

    def processor_ms(self) -> float:
        """End the process and return the processor time it has used, in milliseconds."""
        self.process.kill()
        _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        return (usage.ru_utime + usage.ru_stime) * 1000

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def ours(directory: Path, *python: str, base_url: str = "http://127.0.0.1:9") -> Client:
    environ = {**os.environ, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "k"}
    command = [sys.executable, *python, "-m", "holdfast", "lsp", "--in-process"]
    return Client([*command, "--data-dir", str(directory)], environ)


def bare() -> Client:
    return Client([sys.executable, "-c", BARE], dict(os.environ))


# -- S1, S2: the start ---------------------------------------------------------------------------


def start_row() -> Row:
    def cold(start: Callable[[], Client]) -> float:
        client = start()
        client.initialize()
        return client.processor_ms()

    with data_dir() as directory:
        pairs = [(cold(lambda: ours(directory)), cold(bare)) for _ in range(ROUNDS)]
    return _row("S1", "cold start: CPU to `initialize` | bare pygls", pairs, "ms", 1.0)


def imports_row() -> Row:
    with data_dir() as directory:
        command = [sys.executable, "-X", "importtime", "-m", "holdfast", "lsp", "--data-dir"]
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        body = json.dumps({**message, "params": {"capabilities": {}}}).encode()
        run = subprocess.run(
            [*command, str(directory)], input=frame(body), capture_output=True, check=True
        )
    names = {line.rpartition("|")[2].strip() for line in run.stderr.decode().splitlines()}
    found = len(names & HEAVY)
    what = f"heavy modules at `initialize`, of {len(names)} imported"
    return Row("S2", what, found, 0, "modules", float(found), "none", found == 0)


# -- S3: a trivial request -----------------------------------------------------------------------


def request_row() -> Row:
    with data_dir() as directory:
        clients = (
            (ours(directory), "holdfast.server.info"),
            (bare(), "bare.info"),
        )
        for client, _ in clients:
            client.initialize()
            client.send({"method": "initialized", "params": {}})
        time.sleep(5)  # the SDK is loaded in the background once; that is not what is measured
        pairs = []
        for _ in range(ROUNDS):
            mine, floor = (_p50_us(client, command) for client, command in clients)
            pairs.append((mine, floor))
        for client, _ in clients:
            client.processor_ms()
    return _row("S3", "trivial request, p50 | bare pygls over start_io", pairs, "us", 0.6)


def _p50_us(client: Client, command: str) -> float:
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter_ns()
        client.request("workspace/executeCommand", {"command": command, "arguments": []})
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1000


# -- S5: one notification ------------------------------------------------------------------------


async def notification_row() -> Row:
    """One 40-byte delta, each in a notification of its own, into a file that keeps nothing."""
    delta = BlockDelta(index=0, kind="text", text="x" * 40)
    null = os.open(os.devnull, os.O_WRONLY)
    reading, writing = os.pipe()
    _, sink = await open_streams(os.pipe()[0], writing)
    outbox = Outbox(sink)
    drainer = await asyncio.create_subprocess_exec("cat", stdin=reading, stdout=null)
    session_id = wire.encode("s_8f2c")

    async def our_way() -> None:
        for seq in range(DELTAS):
            outbox.write(frame(wire.event_notification(session_id, Recorded(seq, seq, delta))))
            await outbox.drain()

    server = LanguageServer("bare", "1", converter_factory=get_converter)
    server.protocol.set_writer(StdoutWriter(open(null, "wb", closefd=False)))  # noqa: SIM115

    async def pygls_way() -> None:
        for seq in range(DELTAS):
            params = {"sessionId": "s_8f2c", "seq": seq, "atMs": seq, "event": _EVENT}
            server.protocol.notify("holdfast/event", params)
            await asyncio.sleep(0)

    pairs = [(await _processor_us(our_way), await _processor_us(pygls_way)) for _ in range(ROUNDS)]
    sink.abort()
    await drainer.wait()
    return _row("S5", "one delta as a notification, CPU | pygls notify", pairs, "us", 1.0)


_EVENT = {"type": "blockDelta", "index": 0, "kind": "text", "text": "x" * 40}


async def _processor_us(work: Callable[[], Any]) -> float:
    began = time.process_time_ns()
    await work()
    return (time.process_time_ns() - began) / 1000 / DELTAS


# -- S15: an editor that stops reading -----------------------------------------------------------


async def stall_row() -> Row:
    """The server streams 1.2 MB of answers to an editor that reads nothing for ten seconds.

    No answer is cut at the limit of output and continued, and no session comes near its window:
    else three times as much is streamed and a compaction is measured beside it.
    """
    novel = Respond(content=(TextItem(text="0123456789abcdef" * 6_250, chunk=500),))
    with data_dir() as directory:
        async with Simulator([Step(times=None, respond=novel)]) as simulator:
            client = ours(directory, base_url=simulator.base_url)
            rise = await asyncio.to_thread(_stalled_rise_mb, client)
            client.processor_ms()
            answers = [entry for entry in simulator.log if entry.path.endswith("/messages")]
            assert len(answers) == 1 + ANSWERS, "something else was measured too"
    ok = rise <= STALL_MB_MAX
    what = "memory while an editor does not read for 10 s | the limit"
    return Row("S15", what, rise, STALL_MB_MAX, "MB", rise / STALL_MB_MAX, "at most 1.0x", ok)


def _stalled_rise_mb(client: Client) -> float:
    client.initialize()
    client.send({"method": "initialized", "params": {}})

    def command(name: str, **arguments: Any) -> Any:
        return client.request(
            "workspace/executeCommand", {"command": name, "arguments": [arguments]}
        )

    def until_ended(turns: int) -> None:
        while client.turns_ended < turns:
            client.receive()

    sessions = [command("holdfast.session.create")["sessionId"] for _ in range(SESSIONS)]
    for session in sessions:
        command("holdfast.session.open", sessionId=session)
    command("holdfast.turn.send", sessionId=sessions[0], text="warm up")
    until_ended(1)
    before = client.resident_mb()
    for session in sessions * (ANSWERS // SESSIONS):
        command("holdfast.turn.send", sessionId=session, text="write a novel")
    time.sleep(10)
    rise = client.resident_mb() - before
    until_ended(1 + ANSWERS)
    return rise


def _row(goal: str, what: str, pairs: list[tuple[float, float]], unit: str, limit: float) -> Row:
    ratio = statistics.median(mine / floor for mine, floor in pairs)
    mine = statistics.median(mine for mine, _ in pairs)
    floor = statistics.median(floor for _, floor in pairs)
    return Row(goal, what, mine, floor, unit, ratio, f"at most {limit}x", ratio <= limit)


def rows() -> list[Row]:
    """Measure all rows."""
    return [
        start_row(),
        imports_row(),
        request_row(),
        asyncio.run(notification_row()),
        asyncio.run(stall_row()),
    ]


if __name__ == "__main__":
    print_table(rows())
