"""S14: from the start of a server to a usable session, after the one before was killed.

Ours is a store with one session of 10 000 events whose server was killed with -9 right after its
last turn: the log is not moved into the file, the lease is a dead process's. The clock, which
counts the processor's time of the whole process, runs from the start to the answer of
`holdfast.session.open`, which takes the lease, reads and folds every event. The floor is the same
server on an empty store, up to the answer of `holdfast.session.create`. Both are started in turn.

The events are those of real turns, played by a real server, and copies of one of them with ids of
their own, appended through the store.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_server import Client, _row, ours
from table import Row, print_table

from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Durability, Lease, Record
from holdfast.simulator import Respond, Simulator, Step, TextItem

ROUNDS = 9
EVENTS = 10_000
TARGET = 1.5
ANSWER = Respond(
    content=(TextItem(text="The parser splits the line first. " * 6, chunk=24),), per_delta_ms=18
)


def command(client: Client, name: str, **arguments: Any) -> Any:
    return client.request(
        "workspace/executeCommand", {"command": f"holdfast.{name}", "arguments": [arguments]}
    )


def started(directory: Path, base_url: str = "http://127.0.0.1:9") -> Client:
    client = ours(directory, base_url=base_url)
    client.initialize()
    client.send({"method": "initialized", "params": {}})
    return client


def play_turns(directory: Path, session_id: str | None, base_url: str, turns: int) -> str:
    """Let a real server play turns, then kill it."""
    client = started(directory, base_url)
    name = session_id or str(command(client, "session.create")["sessionId"])
    command(client, "session.open", sessionId=name, sinceSeq=EVENTS * 2)
    for turn in range(1, turns + 1):
        command(client, "turn.send", sessionId=name, text="How does it parse?")
        while client.turns_ended < turn:
            client.receive()
    client.processor_ms()
    return name


async def multiply(directory: Path, session_id: str) -> None:
    """Append copies of the last turn until the session has its 10 000 events."""
    store = await SqliteStore.open(directory / "holdfast.db")
    lease: Lease = await store.acquire(session_id, "benchmark", int(time.time() * 1000))
    found = await store.read(session_id)
    first = max(i for i, record in enumerate(found) if record.type == "promptAccepted")
    head, turn = len(found), found[first:]
    while head < EVENTS:
        copies = [_copy(record, head + n, head) for n, record in enumerate(turn, start=1)]
        await store.append(lease, copies, Durability.LAZY)
        head += len(copies)
    await store.release(lease)
    await store.close()


def _copy(record: Record, seq: int, number: int) -> Record:
    """The same event of another turn: ids are the API's and ours, each with a number behind."""
    payload = re.sub(rb'"((?:p|t|msg|req)_\w+)"', rb'"\g<1>x%d"' % number, record.payload)
    return Record(seq, record.at_ms + number, record.type, record.version, payload)


async def killed_store(directory: Path) -> str:
    """Make the store of a server that was killed, in `directory`."""
    async with Simulator([Step(times=None, respond=ANSWER)]) as simulator:
        url = simulator.base_url
        session_id = await asyncio.to_thread(play_turns, directory, None, url, 2)
        await multiply(directory, session_id)
        await asyncio.to_thread(play_turns, directory, session_id, url, 1)
    return session_id


def recovery_ms(killed: Path, session_id: str) -> float:
    """Start a server on a copy of the killed one's files and open the session."""
    with tempfile.TemporaryDirectory() as parent:
        directory = Path(shutil.copytree(killed, Path(parent) / "data"))
        assert (directory / "holdfast.db-wal").stat().st_size > 0, "as the kill has left it"
        client = started(directory)
        opened = command(client, "session.open", sessionId=session_id)
        spent = client.processor_ms()
    assert opened["seq"] >= EVENTS, "everything is there"
    assert opened["session"]["phase"] == "idle"
    return spent


def cold_ms() -> float:
    """Start a server on an empty store and create a session."""
    with tempfile.TemporaryDirectory() as directory:
        client = started(Path(directory))
        command(client, "session.create")
        return client.processor_ms()


def rows() -> list[Row]:
    """Measure all rows."""
    with tempfile.TemporaryDirectory() as directory:
        killed = Path(directory)
        session_id = asyncio.run(killed_store(killed))
        pairs = [(recovery_ms(killed, session_id), cold_ms()) for _ in range(ROUNDS)]
    what = "kill -9, start, open a session of 10 000 events, CPU | start, empty store"
    return [_row("S14", what, pairs, "ms", TARGET)]


if __name__ == "__main__":
    print_table(rows())
