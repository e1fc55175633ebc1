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
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Self

import anthropic
import httpx2
from anthropic._base_client import AsyncAPIClient

from holdfast.conversation import encoding
from holdfast.model import classification, probing, transport_faults
from holdfast.model.connections import Pool, timeouts
from holdfast.model.credentials import Credentials
from holdfast.model.event_stream import Decode, EventStream, Told, failed, server_sent_events
from holdfast.model.patience import Patience
from holdfast.model.port import ModelFailed
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import Failure, FailureKind

FIRST_PARTY_URL: Final = "https://api.anthropic.com"
MODELS_TIMEOUT_S: Final = 10.0

PROBE_TIMEOUT_S: Final = 10.0

MESSAGES_PATH: Final = "/v1/messages"
COUNT_PATH: Final = "/v1/messages/count_tokens"


_API_VERSION: Final = "2023-06-01"
# The transport's own read limit only backs up ours, which must be the one that speaks.
_READ_SLACK_S: Final = 5.0
_SLICE_BYTES: Final = 64 * 1024


class Wire:
    """One endpoint. Safe to share between sessions of one event loop.

    What another kind of endpoint does otherwise is a method that begins with an underscore: its
    client, its headers, its errors, the form of its stream.
    """

    _decode: Decode = staticmethod(server_sent_events)
    _told: Told | None = None

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
        path: str = MESSAGES_PATH,
    ) -> EventStream:
        """Send a request and return its events once the API has accepted it.

        `first_byte_timeout_s` counts from the last progress of the upload, so that a slow uplink
        is not mistaken for a silent server. Raises `ModelFailed`.
        """
        pool, upload = self._pool.enter(), _Upload(body, first_byte_timeout_s)
        try:
            async with Patience(first_byte_timeout_s) as upload.waiting:
                stream = await self._client(pool, credentials, body).post(
                    path,
                    content=upload,
                    cast_to=object,
                    options={
                        "headers": {
                            **self._headers(credentials, betas),
                            "Content-Type": "application/json",
                            "Content-Length": str(len(body)),
                        },
                        # Reading is our own limits' business, here and in `EventStream`: they
                        # know that a process which did not run was not kept waiting (C09).
                        "timeout": timeouts(None, first_byte_timeout_s),
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
            decode=self._decode,
            told=self._told,
        )

    async def count(
        self,
        body: bytes,
        credentials: Credentials,
        timeout_s: float,
        betas: Sequence[str] = (),
        path: str = COUNT_PATH,
    ) -> Any:
        """Return the decoded answer of `POST /v1/messages/count_tokens`. Raises `ModelFailed`.

        `timeout_s` counts from the last progress of the upload.
        """
        try:
            upload = _Upload(body, timeout_s)
            async with self._pool as pool, Patience(timeout_s) as upload.waiting:
                response = await self._client(pool, credentials, body).post(
                    path,
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
        known = self._proofs(credentials) if credentials.secret else {}
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
        return {**hidden, **wanted, **self._proofs(credentials)}

    def _proofs(self, credentials: Credentials) -> dict[str, str]:
        """Return the headers that authenticate a request, unless the client adds them itself."""
        return credentials.headers(first_party=self._first_party)

    def _client(self, pool: Pool, credentials: Credentials, body: bytes) -> AsyncAPIClient:  # noqa: ARG002 -- others need them
        """Return the SDK's client that sends `body`."""
        return pool.client

    def _answered(
        self, status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]
    ) -> Failure:
        """Classify an answer with an error status."""
        return classification.from_response(status, headers, body, secrets)

    def _refused(self, error: Exception, credentials: Credentials) -> ModelFailed:
        """Classify what came in place of an accepted request."""
        if isinstance(error, anthropic.APIStatusError):
            response = error.response
            return ModelFailed(
                self._answered(
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


class _Upload:
    """A body in slices, so that the write limit holds for a slice and not for 30 MB at once.

    `waiting`, when it is set, is put off by each slice.
    """

    def __init__(self, body: bytes, patience_s: float) -> None:
        self._body = memoryview(body)
        self._patience_s = patience_s
        self._begun = self._sent = False
        self.waiting: Patience | None = None

    def __deepcopy__(self, memo: object) -> Self:
        return self  # Some of the SDK's clients copy all that a request is made of.

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
            self.waiting.put_off()


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
        raise failed(
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
