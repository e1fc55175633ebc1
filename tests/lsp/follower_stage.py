"""A connection with its followers, on a scripted supervisor and a sink in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from holdfast.agent.api import Batch, SessionView
from holdfast.lsp.followers import Followers
from holdfast.lsp.framing import FrameParser
from holdfast.lsp.outbox import Outbox
from holdfast.lsp.streams import EventStream
from lsp.scripted import ScriptedSupervisor


class MemorySink:
    """A sink that keeps everything; its reader takes nothing while `stalled`."""

    def __init__(self) -> None:
        self.data = b""
        self.room = asyncio.Event()
        self.room.set()

    def write(self, data: bytes) -> None:
        self.data += data

    def pending(self) -> int:
        return 0 if self.room.is_set() else 1 << 20

    async def drain(self) -> None:
        await self.room.wait()

    async def close(self, timeout_s: float) -> None:
        self.abort()

    def abort(self) -> None:
        self.room.set()


class Audience:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.phases: list[str] = []
        self.views = 0
        self.ends = 0

    def session_seen(self, view: SessionView) -> None:
        self.views += 1
        self.phases.append(view.status.phase)

    def batch_seen(self, session_id: str, batch: Batch) -> None:
        self.seqs += [record.seq for record in batch.events]
        if batch.status is not None:
            self.phases.append(batch.status.phase)

    def session_ended(self, session_id: str) -> None:
        self.ends += 1


class Stage:
    """One connection with its followers, on a scripted supervisor."""

    def __init__(self, batch_size: Callable[[], int] = lambda: 512) -> None:
        self.supervisor = ScriptedSupervisor(batch_size)
        self.sink = MemorySink()
        self.audience = Audience()
        outbox = Outbox(self.sink)
        self.followers = Followers(lambda: outbox, self._supervisor, (self.audience,), 0)

    async def _supervisor(self) -> Any:
        return self.supervisor

    def open(self, view: SessionView, since_seq: int) -> None:
        """Follow a session with its events."""
        self.followers.open(view, since_seq, EventStream(view.session_id, since_seq))

    def received(self, method: str = "holdfast/event") -> list[dict[str, Any]]:
        messages = [json.loads(body) for body in FrameParser().feed(self.sink.data)]
        return [m["params"] for m in messages if m["method"] == method]

    def seqs(self) -> list[int]:
        return [params["seq"] for params in self.received()]

    async def settle(self) -> None:
        """Let all tasks do what they can do now."""
        for _ in range(50):
            await asyncio.sleep(0)
