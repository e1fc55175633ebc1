"""Running one request: the model's stream becomes inputs of the state machine.

Law: deltas are joined for at most `COALESCE_S` and then posted; nothing that arrived is held back
when the stream fails. A cancelled request posts nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind, explain

COALESCE_S: Final = 0.016
_log: Final = logging.getLogger(__name__)


class Coalescer:
    """Joins what arrives within `COALESCE_S` into one input."""

    def __init__(self, post: Callable[[inp.Input], None]) -> None:
        self._post = post
        self._events: list[ev.Event] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, event: ev.Event) -> None:
        """Take an event; deltas of one block are joined."""
        last = self._events[-1] if self._events else None
        if (
            isinstance(event, ev.BlockDelta)
            and isinstance(last, ev.BlockDelta)
            and (last.index, last.kind) == (event.index, event.kind)
        ):
            self._events[-1] = ev.BlockDelta(
                index=last.index, kind=last.kind, text=last.text + event.text
            )
        else:
            self._events.append(event)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COALESCE_S, self.flush)

    def flush(self) -> None:
        """Post what has been collected."""
        self.drop_timer()
        if self._events:
            events, self._events = tuple(self._events), []
            self._post(inp.Arrived(events))

    def drop_timer(self) -> None:
        """Forget the pending flush."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def run_request(
    model: port.Model,
    request: port.ModelRequest,
    post: Callable[[inp.Input], None],
    heard: Callable[[port.StreamItem], None],
    room: Callable[[], Awaitable[None]],
) -> None:
    """Send `request` and post what comes back, ending in `Completed` or `Failed`.

    `heard` is called for whatever arrives, heartbeats too, which show only that the connection
    lives and are watched by the model's own limits; `room` waits while the receiver is
    behind, so that a fast stream and a slow disk cannot fill the memory.
    """
    coalescer = Coalescer(post)
    try:
        async with model.stream(request) as items:
            message_id = ""
            async for item in items:
                heard(item)
                if isinstance(item, port.ResponseOpened):
                    message_id = item.message_id
                if isinstance(item, port.ResponseEnded):
                    coalescer.flush()
                    post(_completed(message_id, item))
                    return
                event = _event(item)
                if event is not None:
                    coalescer.add(event)
                await room()
    except port.ModelFailed as failed:
        coalescer.flush()
        post(inp.Failed(failed.failure))
    except Exception as error:  # noqa: BLE001 (the one guard of a foreign part)
        # Whatever goes wrong on our side must not end the session (P3); it is said as it is.
        _log.exception("request failed inside the server")
        coalescer.flush()
        post(inp.Failed(Failure(kind=FailureKind.INTERNAL, message=str(error) or repr(error))))
    else:
        coalescer.flush()
        words = "The stream ended without an end."
        post(inp.Failed(Failure(kind=FailureKind.CUT, message=words, cause=Cause.CUT_STREAM)))
    finally:
        coalescer.drop_timer()


def log_failure(session_id: str, failure: Failure) -> None:
    """Log a failed request in the words that people are told, without anything of its content."""
    _log.info(
        "session %s: %s (%s, cause %s, status %s, request %s)",
        session_id,
        explain(failure).says,
        failure.kind.value,
        failure.cause.value if failure.cause is not None else "not seen",
        failure.status,
        failure.request_id,
    )


def _event(item: port.StreamItem) -> ev.Event | None:
    match item:
        case port.ResponseOpened():
            return ev.ResponseStarted(
                message_id=item.message_id,
                model=item.model,
                input_tokens=item.input_tokens,
                request_id=item.request_id,
            )
        case port.BlockOpened():
            return ev.BlockStarted(index=item.index, kind=item.type, name=item.name)
        case port.BlockDelta():
            return ev.BlockDelta(index=item.index, kind=item.kind, text=item.text)
        case port.BlockClosed():
            return ev.BlockFinished(index=item.index, block=msgspec.Raw(item.block.raw.encode()))
        case _:
            return None


def _completed(message_id: str, item: port.ResponseEnded) -> inp.Completed:
    detail = ""
    if item.stop_details:
        explanation = item.stop_details.get("explanation")
        detail = explanation if isinstance(explanation, str) else ""
    return inp.Completed(
        message_id=message_id,
        stop_reason=item.stop_reason,
        usage=usage_of(item),
        detail=detail,
    )


def usage_of(item: port.ResponseEnded) -> ev.Usage:
    """Return what the API counted for an answer; what it did not say is 0."""
    usage = {k: v for k, v in item.usage.items() if isinstance(v, int)}
    return ev.Usage(
        input_tokens=usage.get("input_tokens", 0),
        cache_creation_input_tokens=usage.get("cache_creation_input_tokens", 0),
        cache_read_input_tokens=usage.get("cache_read_input_tokens", 0),
        output_tokens=usage.get("output_tokens", 0),
    )
