"""S11: what it costs to know that a request is valid, and to build it.

The whole: a history of 2000 messages and 10 MB that was never seen before, read from its bytes,
validated and made into a body, against the SDK's `create` for the same messages as plain data,
answered by a canned transport. The turn: what one more turn costs on a history of 2000 messages
against one of 200, the final dump of the body aside.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import statistics
import time
from typing import Any

import anthropic
import httpx2
from table import Row, print_table

from holdfast.conversation.history import (
    Block,
    History,
    Message,
    assistant,
    to_wire,
    tool_result,
    user,
)
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.model.port import ModelRequest
from holdfast.model.request_body import build

ROUNDS = 9
MESSAGES = 2000
WORDS = 6600
"""Bytes of text in a message; with 2000 messages and calls without much text, 10 MB."""
TURNS = 30
MODEL = "claude-opus-5-5"
ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
    "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip
numbers = itertools.count()


def call(tool_id: str) -> Block:
    arguments = {"command": "make test", "timeout_s": 60}
    return Block.of({"type": "tool_use", "id": tool_id, "name": "run", "input": arguments})


def history_of(messages: int) -> History:
    """Return a history of its own: the same text nowhere else, so nothing is known of it."""
    made: list[Message] = []
    while len(made) < messages - 1:
        number = next(numbers)
        tool_id = f"toolu_{number}"
        words = f"{number} " + "some words of a session " * (WORDS // 24)
        made += [
            user(words),
            assistant("I look.", call(tool_id)),
            user(tool_result(tool_id, words)),
            assistant(words),
        ]
    return (*made[: messages - messages % 2], user(f"and now {next(numbers)}?"))


def from_bytes(history: History) -> History:
    """Return the same history as it comes from a journal: bytes that nobody has decoded."""
    return tuple(
        Message(message.role, tuple(Block(block.raw) for block in message.blocks))
        for message in history
    )


def ours(history: History) -> None:
    assert validate(history) == ()
    build(ModelRequest(MODEL, "", (), history, 1000))


def client() -> anthropic.AsyncAnthropic:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "application/json"}, json=ANSWER)

    transport = httpx2.MockTransport(answer)
    http = httpx2.AsyncClient(transport=transport)
    return anthropic.AsyncAnthropic(api_key="k", http_client=http, max_retries=0)


async def whole() -> Row:
    """Measure build and validation against the SDK, in milliseconds of CPU."""
    sdk = client()
    costs: dict[str, list[float]] = {"ours": [], "sdk": []}
    size = 0
    for _ in range(ROUNDS + 1):
        history = history_of(MESSAGES)
        plain: list[Any] = json.loads(json.dumps(to_wire(history)))
        fresh = from_bytes(history)
        size = sum(len(block.raw) for message in fresh for block in message.blocks)
        gc.collect()
        start = time.process_time()
        ours(fresh)
        costs["ours"].append((time.process_time() - start) * 1e3)
        gc.collect()
        start = time.process_time()
        await sdk.messages.create(model=MODEL, max_tokens=1000, messages=plain)
        costs["sdk"].append((time.process_time() - start) * 1e3)
    await sdk.close()
    mine, floor = (statistics.median(costs[side][1:]) for side in ("ours", "sdk"))
    what = f"validate and build {MESSAGES} messages, {size / 1e6:.0f} MB / SDK create"
    return Row(
        "S11", what, mine, floor, "ms CPU", mine / floor, "at most 1.5x", mine <= 1.5 * floor
    )


def a_turn(history: History) -> float:
    """Return the median cost of one more turn, in microseconds of CPU, without its dump."""
    costs: list[float] = []
    for _ in range(TURNS):
        tool_id = f"toolu_{next(numbers)}"
        history = (*history, assistant("Next.", call(tool_id)), user(tool_result(tool_id, "ok")))
        start = time.process_time()
        repaired = repair(history)
        costs.append((time.process_time() - start) * 1e6)
        assert repaired.history is history
    return statistics.median(costs)


def turns() -> Row:
    """Measure one turn on a long and on a short history."""
    short, long = history_of(200), history_of(MESSAGES)
    costs: dict[str, list[float]] = {"short": [], "long": []}
    for _ in range(ROUNDS + 1):
        costs["short"].append(a_turn(short))
        costs["long"].append(a_turn(long))
    of_short, of_long = (statistics.median(costs[side][1:]) for side in ("short", "long"))
    what = "check one more turn: on 2000 messages / on 200"
    ratio = of_long / of_short
    return Row("S11", what, of_long, of_short, "us CPU", ratio, "at most 1.3x", ratio <= 1.3)


def rows() -> list[Row]:
    """Measure and return the rows."""
    return [asyncio.run(whole()), turns()]


if __name__ == "__main__":
    print_table(rows())
