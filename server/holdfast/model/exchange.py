"""What every adapter does around one exchange with an endpoint: body, headers, items, numbers.

Law: pure but for the thread that builds a large body. What is not to be read or written here fails
as `ModelFailed`, with words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from holdfast.model import compaction, request_body
from holdfast.model.assembly import Assembler
from holdfast.model.port import Heartbeat, ModelFailed, ModelRequest, StreamItem
from holdfast.session.failures import Failure, FailureKind

if TYPE_CHECKING:
    from holdfast.model.event_stream import EventStream


async def body_of(request: ModelRequest, build: Callable[[], bytes]) -> bytes:
    """Return what `build` makes of a request, in a thread if it is large. Raises `ModelFailed`."""
    try:
        if request_body.size_chars(request) > request_body.BIG_CHARS:
            return await asyncio.to_thread(build)
        return build()
    except (TypeError, ValueError) as error:
        raise internal("The request cannot be written as JSON", error) from error


def betas_of(request: ModelRequest) -> tuple[str, ...]:
    """Return the beta headers that follow from what the request holds (R31, R72, R91)."""
    binding = (request_body.BINDING_BETA,) if request.drop_mismatched_thinking else ()
    return (*binding, *compaction.betas(request.compaction, request.messages))


async def items_of(opened: EventStream, secrets: Sequence[str]) -> AsyncGenerator[StreamItem]:
    """Assemble the events. A break after the answer was complete takes nothing from it (§3.4)."""
    assembler = Assembler(opened.request_id, secrets)
    try:
        async with aclosing(opened.events()) as events:
            async for name, data in events:
                for item in assembler.feed(name, data):
                    if not isinstance(item, Heartbeat):
                        opened.progressed()
                    yield item
                if assembler.ended:
                    opened.linger()
        for item in assembler.finish():
            yield item
    except ModelFailed:
        if not assembler.complete:
            raise
        for item in assembler.finish():
            yield item


def tokens_in(counted: object) -> int:
    """Return the number in the answer to a count of tokens. Raises `ModelFailed`."""
    tokens = counted.get("input_tokens") if isinstance(counted, dict) else None
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        raise ModelFailed(
            Failure(kind=FailureKind.UNREADABLE, message="The count of tokens holds no number.")
        )
    return tokens


def internal(what: str, error: Exception) -> ModelFailed:
    """Return a fault of our own as a failure."""
    return ModelFailed(
        Failure(kind=FailureKind.INTERNAL, message=f"{what}: {type(error).__name__}: {error}")
    )
