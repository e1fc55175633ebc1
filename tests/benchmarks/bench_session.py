"""S5, the whole way: from a byte of the API to a notification for the editor, journal included.

Ours is everything a streamed answer passes: the adapter on a canned transport, the session's owner
task, its SQLite journal on the system's disk, the feed, and the encoded `holdfast/event` frames.
The floor is the SDK's `create(stream=True)` with one pygls `notify` a delta, and no journal at all.
The stream comes as fast as it can be read; deltas are joined for at most 16 ms, as in life.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import anthropic
import bench_stream
import httpx2
from lsprotocol.converters import get_converter
from pygls.io_ import StdoutWriter
from pygls.lsp.server import LanguageServer
from table import Row, print_table

from holdfast.agent.clock import SystemWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.conversation.history import text
from holdfast.journal.sqlite import SqliteStore
from holdfast.lsp import wire
from holdfast.lsp.framing import frame
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import Credentials
from holdfast.session.events import TurnEnded
from holdfast.tools.registry import Toolbox

ROUNDS = 9
TARGET = 2.0


async def ours(supervisor: Supervisor) -> None:
    """One turn, followed to its end, its events encoded as they go to the editor."""
    session_id = await supervisor.create(workspace_uri=None, title="t", model=None)
    name = wire.encode(session_id)
    await supervisor.send(session_id, [text("hello")], None)
    with Path(os.devnull).open("wb") as editor:
        async for batch in supervisor.follow(session_id, 0):
            for recorded in batch.events:
                editor.write(frame(wire.event_notification(name, recorded)))
                if isinstance(recorded.event, TurnEnded):
                    return


async def floor(client: anthropic.AsyncAnthropic, server: LanguageServer) -> None:
    stream = await client.messages.create(
        model=bench_stream.MODEL,
        max_tokens=1000,
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
    )
    async with stream:
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                server.protocol.notify("bare/delta", {"text": event.delta.text})


async def measured(directory: Path) -> Row:
    pieces = bench_stream.text_stream()
    model = AnthropicModel(
        lambda: Credentials(api_key="k"), transport=bench_stream.transport(pieces)
    )
    services = Services(
        store=await SqliteStore.open(directory / "holdfast.db"),
        model=model,
        tools=Toolbox(),
        world=SystemWorld(),
        settings=AgentSettings(model=bench_stream.MODEL),
    )
    supervisor = Supervisor(services, owner="bench", preload=lambda: None)
    client = anthropic.AsyncAnthropic(
        api_key="k",
        http_client=httpx2.AsyncClient(transport=bench_stream.transport(pieces)),
        max_retries=0,
    )
    server = LanguageServer("bare", "1", converter_factory=get_converter)
    costs: tuple[list[float], list[float]] = ([], [])
    with Path(os.devnull).open("wb") as editor:
        server.protocol.set_writer(StdoutWriter(editor))
        for _ in range(ROUNDS + 1):
            for side, play in enumerate((lambda: ours(supervisor), lambda: floor(client, server))):
                began = time.process_time()
                await play()
                seconds = time.process_time() - began
                costs[side].append(seconds / bench_stream.TEXT_DELTAS * 1e6)
    await supervisor.close()
    await client.close()
    mine, theirs = (statistics.median(side[1:]) for side in costs)  # The first one warms up.
    ratio = mine / theirs
    what = "a delta from API byte to editor, journaled | SDK create + pygls notify"
    return Row("S5", what, mine, theirs, "us CPU", ratio, f"at most {TARGET}x", ratio <= TARGET)


def rows() -> list[Row]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as directory:
        return [asyncio.run(measured(Path(directory)))]


if __name__ == "__main__":
    print_table(rows())
