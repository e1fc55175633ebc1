"""Asking a model for one summary, once.

Law: one request, streamed; it ends in `Said`, in `ModelFailed` or in `Unacceptable`, and leaving it
in any way closes the connection. A fault of our own is told like one of the API's: it must not keep
the next rung from being tried.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import attrs

from holdfast.agent import requests
from holdfast.agent.compaction.hurry import Hurry
from holdfast.agent.compaction.task import Task, silence_s
from holdfast.conversation import tokens
from holdfast.conversation.history import Block, user
from holdfast.model import port
from holdfast.model.compaction import billed
from holdfast.session import events as ev
from holdfast.session.causes import Cause
from holdfast.session.compaction.acceptance import Unacceptable
from holdfast.session.failures import Failure, FailureKind

SLEPT: Final = Failure(
    kind=FailureKind.NETWORK,  # It says nothing about how much is too much for one request.
    message="Nothing was heard of the answer since the machine slept or the server was stopped.",
)

_log: Final = logging.getLogger(__name__)


@attrs.frozen
class Said:
    """What a model answered. `block` is a signed compaction; `usage` is what is paid for."""

    text: str
    stop_reason: str
    block: Block | None
    usage: ev.Usage


def plain_request(task: Task, system: str, words: str) -> port.ModelRequest:
    """Return a request of plain text: no history, no tools, nothing to be poisoned by (B07)."""
    return port.ModelRequest(
        model=task.model,
        system=system,
        tools=(),
        messages=(user(words),),
        max_output_tokens=task.output_tokens,
        first_byte_timeout_s=silence_s(task.deadline_s),
        idle_cut_s=task.idle_cut_s,
        cache_marks=False,  # Nothing follows it that could be read from the cache.
    )


def input_tokens(request: port.ModelRequest) -> int:
    """Return how many tokens a request holds, estimated."""
    listed = sum(len(str(tool)) for tool in request.tools) / tokens.BYTES_PER_TOKEN
    return tokens.estimate(request.messages) + tokens.estimate_text(request.system) + int(listed)


async def ask(
    request: port.ModelRequest,
    model: port.Model,
    hurry: Hurry,
    received: Callable[[int], None],
) -> Said:
    """Send a request and return its answer. `received` hears of each estimate of its tokens.

    Raises `ModelFailed`, or `Unacceptable` as soon as a tool is called.
    """
    limit = asyncio.timeout(None)
    try:
        async with limit:
            with hurry.doubting(limit) as heard:
                return await _ask(request, model, heard, received)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise port.ModelFailed(SLEPT) from error
    except (port.ModelFailed, Unacceptable):
        raise
    except Exception as error:
        _log.exception("request failed inside the server")
        failure = Failure(kind=FailureKind.INTERNAL, message=repr(error))
        raise port.ModelFailed(failure) from error


async def _ask(
    request: port.ModelRequest,
    model: port.Model,
    heard: Callable[[], None],
    received: Callable[[int], None],
) -> Said:
    parts: list[str] = []
    length = 0
    block: Block | None = None
    async with model.stream(request) as items:
        async for item in items:
            heard()
            match item:
                case port.BlockDelta(kind="text"):
                    parts.append(item.text)
                    length += len(item.text)
                    received(int(length / tokens.BYTES_PER_TOKEN))
                case port.BlockClosed() if item.block.type == "compaction":
                    block = item.block
                case port.BlockOpened(type="tool_use"):
                    raise Unacceptable("toolCall", item.name)
                case port.ResponseEnded():
                    said = block.text_of("content") if block is not None else "".join(parts)
                    return Said(said.strip(), item.stop_reason, block, _paid(item))
                case _:
                    pass
    cut = Failure(
        kind=FailureKind.CUT, message="The stream ended without an end.", cause=Cause.CUT_STREAM
    )
    raise port.ModelFailed(cut)


def _paid(item: port.ResponseEnded) -> ev.Usage:
    return requests.usage_of(attrs.evolve(item, usage=billed(item.usage)))
