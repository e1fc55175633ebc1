"""The answer to a request as it arrives: bytes, watched for silence, decoded into raw events.

Law: every wait is bounded, by silence and by a stream that lives without bringing anything; what
ends an answer early leaves as `ModelFailed`, and an end of the body is not judged here unless
nothing in it was an event. Importing this module imports the SDK.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias

import anthropic
import httpx2

from holdfast.model import classification, transport_faults
from holdfast.model.patience import Patience
from holdfast.model.port import ModelFailed
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind

Decode: TypeAlias = Callable[[httpx2.AsyncByteStream], AsyncGenerator[tuple[str | None, str]]]
"""What makes events - a name and data - of a body's bytes."""
Told: TypeAlias = Callable[[str, str | None, Sequence[str]], Failure]
"""What an `error` event is, given with the request id and the secrets."""

_CLOSE_S: Final = 2.0
# After the answer's last event the end of the body is read too, if it is there at once, so that
# the connection can be used again.
_LINGER_S: Final = 0.25
# 16 MB without the end of an event is no event stream; the decoder must not collect more.
_EVENT_BYTES_MAX: Final = 16 << 20


async def server_sent_events(
    body: httpx2.AsyncByteStream,
) -> AsyncGenerator[tuple[str | None, str]]:
    """Decode the event stream of the Messages API."""
    decoder = anthropic.AsyncStream.raw_events(httpx2.Response(200, stream=body))
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(decoder, AsyncGenerator):
            await stack.enter_async_context(contextlib.aclosing(decoder))
        async for event in decoder:
            yield event.event, event.data


class EventStream:
    """The raw events of one accepted request. Iterate once; leave the context to hang up."""

    def __init__(
        self,
        response: httpx2.Response,
        idle_cut_s: float,
        secrets: Sequence[str],
        *,
        progress_cut_s: float = math.inf,
        left: Callable[[], Awaitable[None]] | None = None,
        decode: Decode = server_sent_events,
        told: Told | None = None,
    ) -> None:
        """Take over an unread response. `left` is called when it is done with.

        `told` classifies `error` events; without, they are events like all others.
        """
        self._response = response
        self._decode, self._told = decode, told
        self._bytes = _WatchedBytes(response, idle_cut_s, progress_cut_s)
        self._secrets = secrets
        self._left = left
        self._events_seen = False
        self._lingering = False
        self.request_id = classification.request_id(response.headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Closing an unread response closes its connection, which is how generation is stopped.
        # A peer that does not even let go is left behind: stopping never waits for a socket (P7).
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._response.aclose()
        finally:
            if self._left is not None:
                await self._left()

    def progressed(self) -> None:
        """Say that something of the answer has come, and no mere sign of life."""
        self._bytes.barren_s = 0.0

    def linger(self) -> None:
        """Say that the answer is whole: what is still read only frees the connection."""
        self._lingering = True
        self._bytes.idle_s = _LINGER_S

    async def events(self) -> AsyncGenerator[tuple[str | None, str]]:
        """Yield each event's name and data. Raises `ModelFailed`: STALLED, CUT or UNREADABLE.

        An end of the body is not judged here, unless nothing in it was an event.
        """
        try:
            async with contextlib.aclosing(self._decode(self._bytes)) as events:
                async for name, data in events:
                    self._events_seen = True
                    self._bytes.unfinished = 0
                    if name == "error" and self._told is not None:
                        raise ModelFailed(self._told(data, self.request_id, self._secrets))  # noqa: TRY301
                    yield name, data
        except Exception as error:
            if self._lingering or (isinstance(error, UnicodeDecodeError) and self._bytes.ended):
                # Either nothing more is wanted, or the body ended inside a character: a cut.
                return
            raise self._broken(error) from error
        if not self._events_seen:
            self._check_body()

    def _broken(self, error: Exception) -> ModelFailed:
        if isinstance(error, ModelFailed):
            return error
        if isinstance(error, TimeoutError):
            return failed(
                FailureKind.STALLED,
                f"Nothing arrived for {self._bytes.idle_s:g} s.",
                request_id=self.request_id,
                cause=Cause.SILENT_STREAM,
            )
        failure = transport_faults.from_exception(
            error, headers_received=True, request_id=self.request_id, secrets=self._secrets
        )
        return ModelFailed(failure)

    def _check_body(self) -> None:
        """Judge a body without a single event: cut at once, an error in disguise, or no answer."""
        head = self._bytes.head.decode(errors="replace")
        if head.lstrip().startswith(("event:", "data:", ":")):
            return
        if classification.is_error_body(head):
            told = self._told or classification.from_event
            raise ModelFailed(told(head, self.request_id, self._secrets))
        raise failed(
            FailureKind.UNREADABLE,
            "The answer is no event stream; a proxy may have replaced it."
            if head
            else "The answer is empty.",
            request_id=self.request_id,
            raw=classification.excerpt(head, self._secrets),
            cause=Cause.SIGN_IN_PAGE if head.lstrip().startswith("<") else None,
        )


class _WatchedBytes(httpx2.AsyncByteStream):
    """A response's bytes. Any byte counts for liveness, pings and comments included (C01).

    `head` keeps the beginning for error messages; `unfinished` counts bytes since the last event.
    `barren_s` is how long has been waited for bytes since the last that brought something of the
    answer: a stream of pings lives, and still must end some time.
    """

    def __init__(self, response: httpx2.Response, idle_s: float, progress_cut_s: float) -> None:
        self._response = response
        self._progress_cut_s = progress_cut_s
        self.idle_s = idle_s
        self.barren_s = 0.0
        self.head = b""
        self.unfinished = 0
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        now: Callable[[], float] = asyncio.get_running_loop().time
        async with contextlib.aclosing(self._response.aiter_bytes()) as chunks:
            while True:
                # The limits are around the read alone: a slow consumer is not a silent server.
                begun = now()
                async with Patience(self.idle_s):
                    chunk = await anext(chunks, None)
                # More than the limit is time in which this process did not run (C09).
                self.barren_s += min(now() - begun, self.idle_s)
                if chunk is None:
                    self.ended = True
                    return
                self._count(chunk)
                yield chunk

    def _count(self, chunk: bytes) -> None:
        if self.barren_s > self._progress_cut_s:
            words = f"The stream lives, but brought nothing of an answer for {self.barren_s:.0f} s."
            raise failed(FailureKind.STALLED, words, cause=Cause.NO_PROGRESS)
        if len(self.head) < classification.RAW_BYTES_MAX:
            self.head = (self.head + chunk)[: classification.RAW_BYTES_MAX]
        self.unfinished += len(chunk)
        if self.unfinished > _EVENT_BYTES_MAX:
            raise failed(FailureKind.UNREADABLE, "An event of the answer never ends.")


def failed(
    kind: FailureKind,
    message: str,
    *,
    request_id: str | None = None,
    raw: str = "",
    cause: Cause | None = None,
) -> ModelFailed:
    """Return what is wrong with an answer whose status was good."""
    failure = Failure(
        kind=kind, message=message, status=200, request_id=request_id, raw=raw, cause=cause
    )
    return ModelFailed(failure)
