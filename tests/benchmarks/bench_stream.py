"""S5 and S6, the model's side: what one delta of a streamed answer costs.

Both sides read the same bytes from a canned transport, in pieces of one event, as a live stream
arrives, each in its own client of the same SDK. The floor of S5 is the SDK's own
`create(stream=True)`, iterated and dropped; ours yields assembled, journal-ready blocks besides.
The goal S5 adds one notification to both sides; the model's side alone is held to 1.0x here.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import anthropic
import httpx2
from table import Row, print_table

from holdfast.conversation import history
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import Credentials
from holdfast.model.port import ModelRequest

ROUNDS = 9
TEXT_DELTAS = 3000
DELTA_CHARS = 40
SMALL, LARGE = 20 * 1024, 320 * 1024
MODEL = "claude-opus-5-5"
REQUEST = ModelRequest(MODEL, "", (), (history.user("hello"),), 1000)


def stream_of(block: Mapping[str, Any], deltas: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Return the events of an answer with one block, one piece of bytes per event."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


def text_stream() -> list[bytes]:
    delta = {"type": "text_delta", "text": "x" * DELTA_CHARS}
    return stream_of({"type": "text", "text": ""}, [delta] * TEXT_DELTAS)


def tool_stream(size: int) -> tuple[list[bytes], int]:
    """Return a call whose arguments have `size` characters, and its number of deltas."""
    raw = json.dumps({"path": "a.txt", "content": "line of text\n" * (size // 14)})
    parts = [raw[k : k + DELTA_CHARS] for k in range(0, len(raw), DELTA_CHARS)]
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    block = {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {}}
    return stream_of(block, deltas), len(parts)


class Canned(httpx2.AsyncByteStream):
    """A body that is all there, a piece at a time."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def transport(pieces: Sequence[bytes]) -> httpx2.MockTransport:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=Canned(pieces))

    return httpx2.MockTransport(answer)


async def read_ours(model: AnthropicModel) -> None:
    async with model.stream(REQUEST) as stream:
        async for _ in stream:
            pass


async def read_sdk(client: anthropic.AsyncAnthropic) -> None:
    stream = await client.messages.create(
        model=MODEL, max_tokens=1000, messages=[{"role": "user", "content": "hello"}], stream=True
    )
    async with stream:
        async for _ in stream:
            pass


async def measured() -> tuple[Row, Row]:
    """Measure all sides in turn, as the median CPU microseconds of a delta."""
    text = text_stream()
    small, small_deltas = tool_stream(SMALL)
    large, large_deltas = tool_stream(LARGE)
    client = anthropic.AsyncAnthropic(
        api_key="k", http_client=httpx2.AsyncClient(transport=transport(text)), max_retries=0
    )
    models = [
        AnthropicModel(lambda: Credentials(api_key="k"), transport=transport(pieces))
        for pieces in (text, small, large)
    ]
    repeats = large_deltas // small_deltas
    sides = {
        "sdk": (lambda: read_sdk(client), 1, TEXT_DELTAS),
        "ours": (lambda: read_ours(models[0]), 1, TEXT_DELTAS),
        "small": (lambda: read_ours(models[1]), repeats, small_deltas * repeats),
        "large": (lambda: read_ours(models[2]), 1, large_deltas),
    }
    costs: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS + 1):
        for name, (read, times, deltas) in sides.items():
            start = time.process_time()
            for _ in range(times):
                await read()
            costs[name].append((time.process_time() - start) / deltas * 1e6)
    for model in models:
        await model.close()
    await client.close()
    # The first round imports and warms up.
    cost = {name: statistics.median(rounds[1:]) for name, rounds in costs.items()}
    return (
        _row("S5", "a text delta: ours (model side) / SDK create", cost["ours"], cost["sdk"], 1.0),
        _row("S6", "one tool-input delta: at 320 KB / at 20 KB", cost["large"], cost["small"], 1.3),
    )


def _row(goal: str, what: str, ours: float, floor: float, ratio_max: float) -> Row:
    ratio = ours / floor
    target = f"at most {ratio_max}x"
    return Row(goal, what, ours, floor, "us CPU", ratio, target, ratio <= ratio_max)


def rows() -> list[Row]:
    """Measure and return the rows."""
    return list(asyncio.run(measured()))


if __name__ == "__main__":
    print_table(rows())
