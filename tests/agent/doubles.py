"""Doubles of the ports: a model that plays a part, a world whose seconds are short."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from holdfast.agent.clock import SystemWorld
from holdfast.conversation.history import Block, text
from holdfast.model import port


class QuickWorld(SystemWorld):
    """The system's world in which every wait is a hundred times shorter."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 100)


class PlayedModel:
    """A model that answers each request with the next of its answers, the last one for ever.

    An answer is a list of blocks; a text stands for a text block, a pair for a tool use.
    """

    def __init__(self, *answers: Sequence[str | tuple[str, dict[str, Any]]]) -> None:
        self._answers = list(answers)
        self._ids = itertools.count(1)
        self.requests: list[port.ModelRequest] = []

    @asynccontextmanager
    async def stream(
        self, request: port.ModelRequest
    ) -> AsyncIterator[AsyncIterator[port.StreamItem]]:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        yield self._items(answer)

    async def _items(
        self, answer: Sequence[str | tuple[str, dict[str, Any]]]
    ) -> AsyncIterator[port.StreamItem]:
        yield port.ResponseOpened(f"msg_{next(self._ids)}", "m", "req_1", 10)
        called = False
        for index, part in enumerate(answer):
            if isinstance(part, str):
                yield port.BlockDelta(index, "text", part)
                yield port.BlockClosed(index, text(part))
            else:
                called = True
                data = {"type": "tool_use", "id": f"toolu_{next(self._ids)}"}
                block = Block.of({**data, "name": part[0], "input": part[1]})
                yield port.BlockClosed(index, block)
            await asyncio.sleep(0)
        yield port.ResponseEnded("tool_use" if called else "end_turn", None, {"output_tokens": 5})

    async def count_tokens(self, request: port.ModelRequest) -> int:
        return 10

    async def capabilities(self, model: str) -> port.Capabilities:
        return port.Capabilities(model, 200_000, 32_000, "played")

    async def models(self) -> Sequence[port.Capabilities]:
        return (await self.capabilities("m"),)

    async def probe(self) -> port.Probe:
        return port.Probe(ok=True)

    async def drop_connections(self) -> None:
        return

    async def close(self) -> None:
        return
