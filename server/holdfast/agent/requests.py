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

from holdfast.conversation import tokens
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind, explain
from holdfast.session.lifetimes import Lived

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


class _Stopwatch:
    """How long a request lives, and how fast its answer comes, by the event loop's own clock."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._began_at = self._now()
        self._accepted_at: float | None = None
        self._spoke_at: float | None = None
        self._chars = 0

    def saw(self, item: port.StreamItem) -> None:
        """Take note of what arrived."""
        if isinstance(item, port.ResponseOpened) and self._accepted_at is None:
            self._accepted_at = self._now()
        if isinstance(item, port.BlockDelta) and item.text:
            self._chars += len(item.text)
            self._spoke_at = self._spoke_at or self._now()

    def lived(self, unsent_ms: int = 0) -> Lived:
        """Return how the request has lived until now, which was not sent for `unsent_ms`."""
        now, sent_at = self._now(), self._began_at + unsent_ms / 1000
        accepted_at = now if self._accepted_at is None else self._accepted_at
        spoke_at = now if self._spoke_at is None else self._spoke_at
        return Lived(
            age_ms=int((now - sent_at) * 1000),
            accepted_ms=max(0, int((accepted_at - sent_at) * 1000)),
            speaking_ms=int((now - spoke_at) * 1000),
            tokens=int(self._chars / tokens.BYTES_PER_TOKEN),
        )

    def answered(self) -> Lived:
        """Return how long an answer has lived for sure: since it was accepted."""
        accepted_at = self._began_at if self._accepted_at is None else self._accepted_at
        return Lived(age_ms=int((self._now() - accepted_at) * 1000))


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
    coalescer, watch = Coalescer(post), _Stopwatch()
    try:
        async with model.stream(request) as items:
            message_id = ""
            async for item in items:
                heard(item)
                watch.saw(item)
                if isinstance(item, port.ResponseOpened):
                    message_id = item.message_id
                if isinstance(item, port.ResponseEnded):
                    coalescer.flush()
                    # Only what it has lived since it was accepted is sure (a limit is forgotten).
                    post(_completed(message_id, item, watch.answered()))
                    return
                event = _event(item)
                if event is not None:
                    coalescer.add(event)
                await room()
    except port.ModelFailed as failed:
        coalescer.flush()
        post(inp.Failed(failed.failure, watch.lived(failed.unsent_ms)))
    except Exception as error:  # noqa: BLE001 (the one guard of a foreign part)
        # Whatever goes wrong on our side must not end the session (P3); it is said as it is.
        _log.exception("request failed inside the server")
        coalescer.flush()
        post(inp.Failed(Failure(kind=FailureKind.INTERNAL, message=str(error) or repr(error))))
    else:
        coalescer.flush()
        words = "The stream ended without an end."
        cut = Failure(kind=FailureKind.CUT, message=words, cause=Cause.CUT_STREAM)
        post(inp.Failed(cut, watch.lived()))
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


def _completed(message_id: str, item: port.ResponseEnded, lived: Lived) -> inp.Completed:
    detail = ""
    if item.stop_details:
        explanation = item.stop_details.get("explanation")
        detail = explanation if isinstance(explanation, str) else ""
    return inp.Completed(
        message_id=message_id,
        stop_reason=item.stop_reason,
        usage=usage_of(item),
        detail=detail,
        lived=lived,
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
