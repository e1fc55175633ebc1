"""The SDK and HTTP: one client per endpoint, exact bytes out, raw events in.

Law: every await here is bounded, and whatever the SDK or the transport raises leaves as
`ModelFailed`; only cancellation passes through. Importing this module imports the SDK (a second of
CPU), so only the adapter imports it, in a worker thread.

The client is built so that nothing of the environment steers it but the proxy variables: the key,
the base URL and every header are ours (SDK notes §3), and retries are the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import anthropic
import httpx2

from holdfast.conversation import encoding
from holdfast.model import classification, probing, transport_faults
from holdfast.model.connections import Pool, timeouts
from holdfast.model.credentials import Credentials
from holdfast.model.port import ModelFailed
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import Failure, FailureKind

FIRST_PARTY_URL: Final = "https://api.anthropic.com"
MODELS_TIMEOUT_S: Final = 10.0

PROBE_TIMEOUT_S: Final = 10.0

_API_VERSION: Final = "2023-06-01"
_CLOSE_S: Final = 2.0
# The transport's own read limit only backs up ours, which must be the one that speaks.
_READ_SLACK_S: Final = 5.0
# After the answer's last event the end of the body is read too, if it is there at once, so that
# the connection can be used again.
_LINGER_S: Final = 0.25
# 16 MB without the end of an event is no event stream; the decoder must not collect more.
_EVENT_BYTES_MAX: Final = 16 << 20
_SLICE_BYTES: Final = 64 * 1024


class Wire:
    """One endpoint. Safe to share between sessions of one event loop."""

    def __init__(self, base_url: str | None, transport: httpx2.AsyncBaseTransport | None) -> None:
        """Build the client; nothing is sent. `transport` replaces sockets in tests."""
        self._url = httpx2.URL(base_url or FIRST_PARTY_URL)
        self._first_party = f".{self._url.host}".endswith(".anthropic.com")
        self._transport = transport
        self._pool = Pool(self._url, transport, MODELS_TIMEOUT_S)

    async def open(
        self,
        body: bytes,
        credentials: Credentials,
        first_byte_timeout_s: float,
        idle_cut_s: float,
        progress_cut_s: float,
        betas: Sequence[str] = (),
    ) -> EventStream:
        """Send a request and return its events once the API has accepted it.

        `first_byte_timeout_s` counts from the last progress of the upload, so that a slow uplink
        is not mistaken for a silent server. Raises `ModelFailed`.
        """
        pool, upload = self._pool.enter(), _Upload(body, first_byte_timeout_s)
        try:
            async with asyncio.timeout(first_byte_timeout_s) as upload.waiting:
                stream = await pool.client.post(
                    "/v1/messages",
                    content=upload,
                    cast_to=object,
                    options={
                        "headers": {
                            **self._headers(credentials, betas),
                            "Content-Type": "application/json",
                            "Content-Length": str(len(body)),
                        },
                        "timeout": timeouts(
                            max(first_byte_timeout_s, idle_cut_s) + _READ_SLACK_S,
                            first_byte_timeout_s,
                        ),
                    },
                    stream=True,
                    stream_cls=anthropic.AsyncStream[object],
                )
        except BaseException as error:
            await pool.leave()
            if not isinstance(error, Exception):
                raise
            if isinstance(error, TimeoutError):  # Ours: those of the transport are wrapped.
                raise upload.too_late() from error
            raise self._refused(error, credentials) from error
        return EventStream(
            stream.response,
            idle_cut_s,
            credentials.secrets,
            progress_cut_s=progress_cut_s,
            left=pool.leave,
        )

    async def count(
        self, body: bytes, credentials: Credentials, timeout_s: float, betas: Sequence[str] = ()
    ) -> Any:
        """Return the decoded answer of `POST /v1/messages/count_tokens`. Raises `ModelFailed`.

        `timeout_s` counts from the last progress of the upload.
        """
        try:
            upload = _Upload(body, timeout_s)
            async with self._pool as pool, asyncio.timeout(timeout_s) as upload.waiting:
                response = await pool.client.post(
                    "/v1/messages/count_tokens",
                    content=upload,
                    cast_to=httpx2.Response,
                    options={
                        "headers": {
                            **self._headers(credentials, betas),
                            "Content-Type": "application/json",
                            "Content-Length": str(len(body)),
                        },
                        "timeout": timeouts(timeout_s + _READ_SLACK_S),
                    },
                )
        except Exception as error:
            raise self._refused(error, credentials) from error
        return _decoded(response, "The count of tokens", credentials)

    async def models(self, credentials: Credentials, betas: Sequence[str] = ()) -> Any:
        """Return the decoded answer of `GET /v1/models`. Raises `ModelFailed`."""
        try:
            async with self._pool as pool, asyncio.timeout(MODELS_TIMEOUT_S):
                response = await pool.client.get(
                    "/v1/models",
                    cast_to=httpx2.Response,
                    options={
                        "headers": self._headers(credentials, betas),
                        "params": {"limit": 1000},
                        "timeout": timeouts(MODELS_TIMEOUT_S),
                    },
                )
        except Exception as error:
            raise self._refused(error, credentials) from error
        return _decoded(response, "The list of models", credentials)

    async def probe(self, credentials: Credentials) -> None:
        """Ask for one model, as a sign that the endpoint answers. Raises `ModelFailed`.

        So much of the answer is read as tells the API from a sign-in page.
        """
        path = self._url.raw_path.rstrip(b"/") + b"/v1/models?limit=1"
        known = credentials.headers(first_party=self._first_party) if credentials.secret else {}
        headers = {"anthropic-version": _API_VERSION, **known}
        try:
            async with self._pool as pool, asyncio.timeout(PROBE_TIMEOUT_S):
                url, limits = (
                    self._url.copy_with(raw_path=path),
                    timeouts(PROBE_TIMEOUT_S, PROBE_TIMEOUT_S),
                )
                asking = pool.http.stream("GET", url, headers=headers, timeout=limits)
                async with asking as response:
                    body = await _beginning(response)
        except Exception as error:
            raise self._refused(error, credentials) from error
        failure = probing.read(response.status_code, response.headers, body, credentials.secrets)
        if failure is not None:
            raise ModelFailed(failure)

    async def renew(self) -> None:
        """Use new connections from now on; the old ones are closed when nothing uses them."""
        new = await asyncio.to_thread(Pool, self._url, self._transport, MODELS_TIMEOUT_S)
        old, self._pool = self._pool, new
        await old.retire()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._pool.close()

    def _headers(
        self, credentials: Credentials, betas: Sequence[str] = ()
    ) -> dict[str, str | anthropic.Omit]:
        """Return a request's own headers; those that the environment would add are taken out."""
        hidden = dict.fromkeys(_hidden_header_names(os.environ), anthropic.Omit())
        wanted = {"anthropic-beta": ",".join(betas)} if betas else {}
        return {**hidden, **wanted, **credentials.headers(first_party=self._first_party)}

    def _refused(self, error: Exception, credentials: Credentials) -> ModelFailed:
        """Classify what came in place of an accepted request."""
        if isinstance(error, anthropic.APIStatusError):
            response = error.response
            return ModelFailed(
                classification.from_response(
                    response.status_code, response.headers, response.content, credentials.secrets
                )
            )
        return ModelFailed(
            transport_faults.from_exception(
                error,
                headers_received=False,
                secrets=credentials.secrets,
                proxied=self._pool.proxied,
            )
        )


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
    ) -> None:
        """Take over an unread response. `left` is called when it is done with."""
        self._response = response
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
        decoder = anthropic.AsyncStream.raw_events(httpx2.Response(200, stream=self._bytes))
        try:
            async with contextlib.AsyncExitStack() as stack:
                if isinstance(decoder, AsyncGenerator):
                    await stack.enter_async_context(contextlib.aclosing(decoder))
                async for event in decoder:
                    self._events_seen = True
                    self._bytes.unfinished = 0
                    yield event.event, event.data
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
            return _failed(
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
            raise ModelFailed(classification.from_event(head, self.request_id, self._secrets))
        raise _failed(
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
                async with asyncio.timeout(self.idle_s):
                    chunk = await anext(chunks, None)
                self.barren_s += now() - begun
                if chunk is None:
                    self.ended = True
                    return
                self._count(chunk)
                yield chunk

    def _count(self, chunk: bytes) -> None:
        if self.barren_s > self._progress_cut_s:
            words = f"The stream lives, but brought nothing of an answer for {self.barren_s:.0f} s."
            raise _failed(FailureKind.STALLED, words, cause=Cause.NO_PROGRESS)
        if len(self.head) < classification.RAW_BYTES_MAX:
            self.head = (self.head + chunk)[: classification.RAW_BYTES_MAX]
        self.unfinished += len(chunk)
        if self.unfinished > _EVENT_BYTES_MAX:
            raise _failed(FailureKind.UNREADABLE, "An event of the answer never ends.")


class _Upload:
    """A body in slices, so that the write limit holds for a slice and not for 30 MB at once.

    `waiting`, when it is set, is put off by each slice.
    """

    def __init__(self, body: bytes, patience_s: float) -> None:
        self._body = memoryview(body)
        self._patience_s = patience_s
        self._begun = self._sent = False
        self.waiting: asyncio.Timeout | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._begun = True
        for start in range(0, len(self._body), _SLICE_BYTES):
            self._put_off()
            yield bytes(self._body[start : start + _SLICE_BYTES])
        self._sent = True
        self._put_off()

    def too_late(self) -> ModelFailed:
        """Return the failure of a request whose answer did not begin in time."""
        if self._sent:
            words, cause = "no answer began", Cause.NO_FIRST_BYTE
        elif self._begun:
            words, cause = "the request could not be sent", Cause.UPLOAD_STUCK
        else:
            words, cause = "no connection was open", Cause.CONNECT_TIMEOUT
        words = f"{CAUSES[cause].says} (Within {self._patience_s:g} s {words}.)"
        return ModelFailed(Failure(kind=FailureKind.TIMEOUT, message=words, cause=cause))

    def _put_off(self) -> None:
        if self.waiting is not None:
            self.waiting.reschedule(asyncio.get_running_loop().time() + self._patience_s)


async def _beginning(response: httpx2.Response) -> bytes:
    """Return the beginning of a body, at most `probing.BODY_BYTES_MAX`."""
    body = b""
    async with contextlib.aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= probing.BODY_BYTES_MAX:
                break
    return body[: probing.BODY_BYTES_MAX]


def _decoded(response: httpx2.Response, what: str, credentials: Credentials) -> Any:
    try:
        return encoding.decode(response.content)
    except (ValueError, RecursionError) as error:
        raise _failed(
            FailureKind.UNREADABLE,
            f"{what} is not valid JSON.",
            request_id=classification.request_id(response.headers),
            raw=classification.excerpt(response.text, credentials.secrets),
        ) from error


def _hidden_header_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the headers that the SDK takes from the environment behind our back."""
    lines = environment.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
    return tuple(
        name.strip() for name, colon, _ in (line.partition(":") for line in lines) if colon
    )


def _failed(
    kind: FailureKind,
    message: str,
    *,
    request_id: str | None = None,
    raw: str = "",
    cause: Cause | None = None,
) -> ModelFailed:
    failure = Failure(
        kind=kind, message=message, status=200, request_id=request_id, raw=raw, cause=cause
    )
    return ModelFailed(failure)
