"""What is planted for the doctor, and what it has to find: one table for tests and campaign.

Law: data. A plant is a fault over real sockets and the one word that names it; what is planted
costs no more of the doctor's limit than the fault itself makes it wait.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from holdfast.network import Subject
from holdfast.network.past import Past
from holdfast.network.subjects import Address
from holdfast.simulator import Simulator
from holdfast.simulator.script import Respond, Step, TextItem
from network import holes
from network.plays import PROXY_LOGIN
from network.stage import Place, Stage

KEY: Final = "key-of-a-test"
MODEL: Final = "claude-opus-5-5"
HEALTHY: Final = "healthy"

Pace: TypeAlias = Literal["quick", "slow", "long", "long ago", "now"]
Build: TypeAlias = Callable[[int], AbstractAsyncContextManager[int]]

_WORDS: Final = "one two three "
_ANSWERS: Final[Mapping[Pace, list[Step]]] = {
    "quick": [],
    "slow": [
        Step(
            times=None,
            respond=Respond(content=(TextItem(text=_WORDS * 16, chunk=14),), per_delta_ms=60),
        )
    ],
    "long": [
        Step(
            times=None,
            respond=Respond(content=(TextItem(text=_WORDS * 100, chunk=14),), per_delta_ms=200),
        )
    ],
}
"""How the API answers: at once, for about a second, for some twenty. What is at "long ago" and
"now" only says its time.
"""


@frozen
class Plant:
    """One fault: where it is planted, and the verdict that is right.

    `fault` is one of the stage's, `build` a way of `holes`; with neither the way is free. `api` is
    how the API behind it answers. With `long` long answers are measured. `pace_s` is the stage's.
    A plant that does not scale needs its seconds: it is for the campaign alone.
    """

    says: str
    verdict: str
    fault: str = ""
    build: Build | None = None
    api: Pace = "quick"
    pace_s: float = 1.0
    long: bool = False
    login: str = ""
    scales: bool = True
    more: Mapping[str, Any] = {}

    @property
    def is_named(self) -> bool:
        """Whether it is reached by a name, for which a machine needs a network."""
        return "resolve" in self.more


def _staged(fault: str, says: str, verdict: str, **more: Any) -> Plant:
    return Plant(says, verdict, fault, **more)


def _silent_name(_: str, __: int) -> list[Address]:
    threading.Event().wait(60)
    return []


def _no_name(_: str, __: int) -> list[Address]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


_AT_A_NAME: Final = {"base_url": "http://api.holdfast.test"}

PLANTS: Final[Mapping[str, Plant]] = {
    "no such name": Plant(
        "the name server knows no such name",
        "nameNotFound",
        more={**_AT_A_NAME, "resolve": _no_name},
    ),
    "silent name server": Plant(
        "the name server says nothing",
        "nameServerSilent",
        more={**_AT_A_NAME, "resolve": _silent_name},
    ),
    "refused": _staged("refused", "nothing listens at the port", "refused"),
    "black hole": _staged("black hole", "packets are dropped", "connectTimeout"),
    "suspended": _staged("suspended", "the server is stopped, its system is not", "noFirstByte"),
    "never answers": _staged(
        "never answers", "the request is taken and nothing said", "noFirstByte"
    ),
    "reset": _staged("reset", "the connection is reset", "reset"),
    "not http": _staged("not http", "what listens speaks no HTTP", "wrongAddress"),
    "lossy line": Plant(
        "first packets get lost", "packetsLost", build=holes.lossy_line, scales=False
    ),
    "half-open": _staged("half-open", "the answer stops and the connection stays", "silentStream"),
    "pings only": _staged("pings only", "the stream lives and says nothing", "noProgress"),
    "buffering proxy": _staged(
        "buffering proxy",
        "a proxy holds the answer back until it is whole",
        "streamHeldBack",
        api="slow",
        pace_s=0.05,
    ),
    "cut at 0.3 s": _staged(
        "cut at T", "a proxy cuts every answer at 0.3 s", "durationCap", api="slow", pace_s=0.3
    ),
    "cut at 5 s": _staged(
        "cut at T",
        "a proxy cuts every answer at 5 s (asked with --long)",
        "durationCap",
        api="long",
        pace_s=5.0,
        long=True,
        scales=False,
    ),
    "cut at 10 s": _staged(
        "cut at T",
        "a proxy cuts every answer at 10 s (asked with --long)",
        "durationCap",
        api="long",
        pace_s=10.0,
        long=True,
        scales=False,
    ),
    "cut at 60 s": Plant(
        "a proxy cuts every answer at 60 s, and the session has met it twice",
        "durationCap",
        more={"past": Past((60_200, 60_400))},
    ),
    "unread uploads": Plant(
        "large requests are not taken", "uploadStuck", build=holes.unread_uploads
    ),
    "slow uploads": Plant(
        "large requests are taken at 10 KB a second",
        "uploadStuck",
        build=lambda upstream: holes.unread_uploads(upstream, bytes_a_second=10_000),
    ),
    "unanswered uploads": Plant(
        "large requests are taken and not answered", "noFirstByte", build=holes.unanswered_uploads
    ),
    "interception": _staged(
        "interception", "a proxy shows a certificate of its own authority", "tlsIntercepted"
    ),
    "clock ahead": _staged(
        "certificate expired", "this machine's clock is years ahead", "tlsClock", api="long ago"
    ),
    "certificate over": _staged(
        "certificate expired", "the certificate is over", "tlsRefused", api="now"
    ),
    "other name": _staged("other name", "the certificate is for another host", "tlsName"),
    "plain on a TLS port": _staged(
        "plain on a TLS port", "TLS is answered by plain HTTP", "tlsRefused"
    ),
    "proxy unreachable": _staged("proxy unreachable", "the proxy is not there", "proxyUnreachable"),
    "proxy with login": _staged("proxy with login", "the proxy wants a login", "proxyLogin"),
    "proxy refuses": _staged("proxy refuses", "the proxy lets nobody there", "proxyRefused"),
    "html 502": _staged("html 502", "a gateway's page: 502", "gatewayPage"),
    "html 504": _staged("html 504", "a gateway's page: 504", "gatewayTimeout"),
    "413 at a proxy": _staged(
        "413 at a proxy", "a proxy takes no large requests", "tooLargeForProxy"
    ),
    "sign-in page": _staged("sign-in page", "a sign-in page instead of the API", "signInPage"),
    "sign-in redirect": _staged("sign-in redirect", "a redirect to a sign-in page", "redirected"),
    "wrong address": _staged("wrong address", "no API at this address", "wrongAddress"),
    "revoked key": _staged("revoked key", "401: the key was revoked", "keyRefused"),
    "billing": _staged("billing", "402: the account cannot be billed", "billing"),
    "forbidden": _staged("forbidden", "403: the key may not do this", "keyForbidden"),
    "429": _staged("429 with retry-after", "429: the rate limit is reached", "rateLimited"),
    "529": _staged("529 storm", "529 to everything", "overloaded"),
    "healthy": _staged("healthy", "nothing is wrong", HEALTHY),
    "healthy TLS": _staged("healthy TLS", "nothing is wrong, over TLS", HEALTHY),
    "healthy proxy": _staged("healthy proxy", "nothing is wrong, through a proxy", HEALTHY),
    "proxy that takes the login": _staged(
        "proxy with login",
        "nothing is wrong, through a proxy with a login",
        HEALTHY,
        login=f"{PROXY_LOGIN}@",
    ),
    "IPv6 only": _staged("IPv6 only", "only the sixth family of addresses listens", HEALTHY),
    "slow drip": _staged("slow drip", "the answer comes drop by drop", HEALTHY, pace_s=0.4),
    "long answers": _staged(
        "healthy",
        "nothing is wrong, asked with --long",
        HEALTHY,
        api="long",
        long=True,
        scales=False,
    ),
}


def subject_at(place: Place, login: str = "", **more: object) -> Subject:
    """Return what a client's process would examine that has the place's environment."""
    environment = place.environment
    proxies = {}
    if "HTTP_PROXY" in environment:
        address = environment["HTTP_PROXY"].replace("http://", f"http://{login}")
        proxies = {"http": address, "https": address}

    def trust() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=environment.get("SSL_CERT_FILE"))

    given = {"headers": {"x-api-key": KEY}, "model": MODEL, "trust": trust, "proxies": proxies}
    return Subject(base_url=place.base_url, **{**given, **more})


class Field:
    """Where plants are put: a stage, and an API for each pace, which live as long as the field."""

    def __init__(self, stage: Stage, ports: Mapping[str, int], stack: AsyncExitStack) -> None:
        self._stage = stage
        self._ports = ports
        self._stack = stack

    async def put(self, plant: Plant) -> Subject:
        """Plant a fault and return what is to be examined."""
        port = self._ports[plant.api]
        more = {"long": plant.long, **plant.more}
        if plant.fault:
            place = await self._stage.set(plant.fault, port, pace_s=plant.pace_s)
            return subject_at(place, plant.login, **more)
        if plant.build is not None:
            port = await self._stack.enter_async_context(plant.build(port))
        given = {"base_url": f"http://127.0.0.1:{port}", "headers": {"x-api-key": KEY}}
        return Subject(**{**given, "model": MODEL, **more})


@asynccontextmanager
async def field(stage: Stage) -> AsyncIterator[Field]:
    """Put up the APIs behind a stage."""
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        for pace, steps in _ANSWERS.items():
            api = await stack.enter_async_context(Simulator(steps, api_key=KEY))
            ports[pace] = int(api.base_url.rpartition(":")[2])
        for pace, moment in {"long ago": holes.LONG_AGO, "now": datetime.now(UTC)}.items():
            ports[pace] = await stack.enter_async_context(holes.server_at(moment))
        yield Field(stage, ports, stack)
