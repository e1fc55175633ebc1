"""The SDK's clients for the clouds: signing, paths and streams of Bedrock, Vertex and Foundry.

Law: the SDK signs and frames, the bytes of the body stay ours, and everything of `anthropic_wire`
holds here too: every wait bounded, every failure a `ModelFailed`. A client is made for each request
from what was granted for it, so that no old credentials are left anywhere. Importing this module
imports the SDK.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import httpx2
from anthropic import AsyncAnthropicFoundry
from anthropic._base_client import AsyncAPIClient
from anthropic.lib.bedrock import AsyncAnthropicBedrock, AsyncAnthropicBedrockMantle
from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder
from anthropic.lib.vertex import AsyncAnthropicVertex

from holdfast.model.anthropic_wire import Wire
from holdfast.model.clouds import failures
from holdfast.model.clouds.logins import Grant
from holdfast.model.clouds.places import Interface, Place, Route
from holdfast.model.connections import Pool
from holdfast.model.credentials import Credentials
from holdfast.model.event_stream import failed, server_sent_events
from holdfast.session.failures import Failure, FailureKind

_DAMAGED: Final = frozenset({"ParserError", "ChecksumMismatch", "InvalidHeadersLength"})


class CloudWire(Wire):
    """One host of a cloud. Safe to share between sessions of one event loop."""

    def __init__(
        self, place: Place, route: Route, transport: httpx2.AsyncBaseTransport | None
    ) -> None:
        """Build the connections; nothing is sent. `transport` replaces sockets in tests."""
        super().__init__(route.url, transport)
        self._place = place
        self._interface = route.interface
        framed = route.interface is Interface.RUNTIME
        self._decode = amazon_events if framed else server_sent_events
        self._told = self._event

    def _proofs(self, credentials: Credentials) -> dict[str, str]:  # noqa: ARG002 -- the hook's
        return {}  # The SDK's clients add them.

    def _client(self, pool: Pool, credentials: Credentials, body: bytes) -> AsyncAPIClient:
        assert isinstance(credentials, Grant), "a cloud is asked with what its login granted"
        options: dict[str, Any] = {
            "base_url": str(self._url),
            "http_client": pool.http,
            "max_retries": 0,
            "open_telemetry": False,
        }
        match self._interface:
            case Interface.RUNTIME:
                return _Runtime(body, **options, **self._amazon(credentials))
            case Interface.MANTLE:
                return _Mantle(body, **options, **self._amazon(credentials))
            case Interface.VERTEX:
                return AsyncAnthropicVertex(
                    region=self._place.region or "",
                    project_id=self._place.project or "",
                    access_token=credentials.auth_token,
                    **options,
                )
            case Interface.FOUNDRY:
                token = credentials.auth_token
                if token is None:
                    return AsyncAnthropicFoundry(api_key=credentials.api_key, **options)
                return AsyncAnthropicFoundry(azure_ad_token_provider=lambda: token, **options)

    def _amazon(self, grant: Grant) -> dict[str, Any]:
        if grant.auth_token is not None:
            return {"api_key": grant.auth_token, "aws_region": self._place.region}
        return {
            "aws_access_key": grant.access_key,
            "aws_secret_key": grant.secret_key,
            "aws_session_token": grant.session_token,
            "aws_region": self._place.region,
        }

    def _answered(
        self, status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]
    ) -> Failure:
        return failures.from_response(self._place.kind, status, headers, body, secrets)

    def _event(self, data: str, request_id: str | None, secrets: Sequence[str]) -> Failure:
        return failures.from_event(self._place.kind, data, request_id, secrets)


class _Runtime(AsyncAnthropicBedrock):
    """Bedrock's older interface, for one request."""

    def __init__(self, body: bytes, **options: Any) -> None:
        super().__init__(**options)
        self._body = body

    async def _prepare_request(self, request: httpx2.Request) -> None:
        await _signed(request, self._body, super()._prepare_request)


class _Mantle(AsyncAnthropicBedrockMantle):
    """Bedrock's newer interface, for one request."""

    def __init__(self, body: bytes, **options: Any) -> None:
        super().__init__(**options)
        self._body = body

    async def _prepare_request(self, request: httpx2.Request) -> None:
        await _signed(request, self._body, super()._prepare_request)


async def _signed(
    request: httpx2.Request, body: bytes, sign: Callable[[httpx2.Request], Awaitable[None]]
) -> None:
    """Let the whole body be signed, and have it sent in slices all the same (see `Wire.open`)."""
    sliced = request.stream
    request.stream = httpx2.ByteStream(body)
    await sign(request)
    request.stream = sliced


async def amazon_events(
    body: httpx2.AsyncByteStream,
) -> AsyncGenerator[tuple[str | None, str]]:
    """Decode Amazon's binary event stream, whose frames hold the events of the Messages API.

    Raises `ModelFailed` (UNREADABLE) where a frame is damaged.
    """
    decoder = AWSEventStreamDecoder().aiter_bytes(aiter(body))
    try:
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(decoder, AsyncGenerator):
                await stack.enter_async_context(contextlib.aclosing(decoder))
            async for event in decoder:
                yield event.event, event.data
    except Exception as error:
        if not _DAMAGED & {kind.__name__ for kind in type(error).__mro__}:
            raise
        words = f"A frame of the answer is damaged: {error}"
        raise failed(FailureKind.UNREADABLE, words) from error
