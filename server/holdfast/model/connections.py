"""The pooled connections to one endpoint, as one value that can be replaced by another.

Law: a pool that was retired takes no new request and closes when its last one is over, so that
replacing it cuts no answer that still arrives. Importing this module imports the SDK.
"""

from __future__ import annotations

import math
import urllib.request
from types import TracebackType
from typing import Any, Final, Self

import anthropic
import httpx2

_CONNECT_S: Final = 10.0
_WRITE_S: Final = 60.0
_POOL_S: Final = 10.0
_LIMITS: Final = httpx2.Limits(max_connections=100, max_keepalive_connections=10)


def timeouts(read_s: float | None, answer_s: float = math.inf) -> httpx2.Timeout:
    """Return the transport's own limits, in seconds, around one for reading, if it is to have one.

    An answer must begin within `answer_s`; opening the connection must fail before that, so that
    the cause is named.
    """
    connect_s = min(_CONNECT_S, 0.8 * answer_s)
    return httpx2.Timeout(connect=connect_s, read=read_s, write=_WRITE_S, pool=_POOL_S)


class Pool:
    """The SDK's client of an endpoint and its connections. Belongs to one event loop."""

    def __init__(
        self, url: httpx2.URL, transport: httpx2.AsyncBaseTransport | None, read_s: float
    ) -> None:
        """Build the client; nothing is sent. May run in a worker thread."""
        options: dict[str, Any] = {} if transport is None else {"transport": transport}
        # A redirect could carry the key to another host (P11); it is reported instead.
        self.http = anthropic.DefaultAsyncHttpxClient(
            limits=_LIMITS, follow_redirects=False, **options
        )
        self.client = anthropic.AsyncAnthropic(
            api_key="sent-with-each-request",
            base_url=url,
            max_retries=0,
            timeout=timeouts(read_s),
            http_client=self.http,
            open_telemetry=False,
        )
        self.proxied = transport is None and _is_proxied(url)
        self._users = 0
        self._retired = False

    def enter(self) -> Self:
        """Count one more request. Each needs its `leave`."""
        self._users += 1
        return self

    async def leave(self) -> None:
        """Count one request less; the last one closes a pool that was retired."""
        self._users -= 1
        await self._close_if_unused()

    async def retire(self) -> None:
        """Close the pool, now or when its last request is over."""
        self._retired = True
        await self._close_if_unused()

    async def close(self) -> None:
        """Close the connections, whatever is under way on them."""
        await self.client.close()

    async def _close_if_unused(self) -> None:
        if self._retired and self._users == 0:
            await self.close()

    async def __aenter__(self) -> Self:
        return self.enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave()


def _is_proxied(url: httpx2.URL) -> bool:
    """Say whether the environment sends requests to `url` through a proxy."""
    proxies = urllib.request.getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    return bool(named) and not urllib.request.proxy_bypass(url.host)
