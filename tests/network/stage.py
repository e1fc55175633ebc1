"""Faulty places on the way to an API: real sockets that refuse, hang, cut, intercept or lie.

Law: a `Place` stands between a client and one upstream on the loopback. While its fault is there,
everything that passes has it; `clear()` takes it away, and from then on the place only passes
things on. A place counts what reached it, so that a test can say what a client sent.

    async with Stage(folder) as stage:
        place = await stage.set("half-open", simulator.port)
        ...  # a client of place.base_url, started with place.environment
        await place.clear()
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from attrs import frozen

from network import plays
from network.certificates import HIDDEN_NAME, Certificates
from network.plays import Play, Request, Wire

LOOPBACK: Final = "127.0.0.1"
NO_SUCH_NAME: Final = "http://api.holdfast.invalid"
BEHIND_A_PROXY: Final = f"https://{HIDDEN_NAME}"
"""A name that only the proxy knows: who reaches it went through the proxy."""


class Door(Enum):
    """What happens to a connection before anything is said on it."""

    OPEN = "accepted"
    SUSPENDED = "completed by the system, accepted by nobody"
    FULL = "its first packets are dropped"
    SHUT = "refused"


@frozen
class Fault:
    """One fault of a place.

    `certificate` is what the place shows (a name of `Certificates.chains`; None: no TLS), `secure`
    says that the client expects TLS. With `proxy` the client reaches the place by its environment.
    `api` says that the API itself answers so, and nothing on the way. A fault with an `address` is
    there, and the place is never reached.
    """

    says: str
    play: Play = plays.relay
    door: Door = Door.OPEN
    certificate: str | None = None
    secure: bool = False
    proxy: bool = False
    host: str = LOOPBACK
    api: bool = False
    address: str = ""


FAULTS: Final[Mapping[str, Fault]] = {
    # Nothing comes through.
    "name not found": Fault("no name server knows the host", address=NO_SUCH_NAME),
    "refused": Fault("nothing listens at the port", door=Door.SHUT),
    "black hole": Fault("packets are dropped", door=Door.FULL),
    "suspended": Fault("the server is stopped, its system is not", door=Door.SUSPENDED),
    "never answers": Fault("the request is taken and nothing said", plays.never_answers),
    "reset": Fault("the connection is reset", plays.resets),
    "closed": Fault("the connection is closed without an answer", plays.closes),
    "not http": Fault("what listens speaks no HTTP", plays.no_event_stream),
    # An answer begins.
    "half-open": Fault("the answer stops and the connection stays", plays.half_open),
    "slow drip": Fault("the answer comes drop by drop", plays.drips),
    "buffering proxy": Fault("a proxy holds the answer back until it is whole", plays.holds_back),
    "cut at T": Fault("a proxy cuts every answer at one age", plays.cuts),
    "pings only": Fault("the stream lives and says nothing", plays.pings, api=True),
    # TLS.
    "interception": Fault(
        "a proxy shows a certificate of its own authority", certificate="intercepted", secure=True
    ),
    "certificate expired": Fault(
        "the certificate is over, or the clock ahead", certificate="expired", secure=True
    ),
    "wrong clock": Fault(
        "the certificate begins in the future: the clock is behind",
        certificate="not yet valid",
        secure=True,
    ),
    "other name": Fault(
        "the certificate is for another host", certificate="other name", secure=True
    ),
    "plain on a TLS port": Fault("TLS is answered by plain HTTP", secure=True),
    # Proxies of the environment.
    "proxy unreachable": Fault(
        "the proxy is not there", plays.lets_through, door=Door.SHUT, proxy=True
    ),
    "proxy with login": Fault("the proxy wants a login", plays.asks_for_login, proxy=True),
    "proxy refuses": Fault(
        "the proxy lets nobody there", plays.page(403, "Blocked by policy"), proxy=True
    ),
    # Pages of what stands between.
    "html 502": Fault("a gateway's page: 502", plays.page(502, "502 Bad Gateway")),
    "html 504": Fault("a gateway's page: 504", plays.page(504, "504 Gateway Time-out")),
    "413 at a proxy": Fault("a proxy takes no large requests", plays.too_small),
    "sign-in page": Fault("a sign-in page instead of the API", plays.page(200, "Sign in to Wi-Fi")),
    "sign-in redirect": Fault(
        "a redirect to a sign-in page", plays.page(302, "Found", location="http://portal.example/")
    ),
    "wrong address": Fault("no API at this address", plays.page(404, "404 Not Found")),
    # What the API itself says.
    "revoked key": Fault("401 until there is a new key", plays.knows_a_new_key, api=True),
    "billing": Fault(
        "402", plays.says(402, "billing_error", "Your credit balance is too low."), api=True
    ),
    "forbidden": Fault(
        "403", plays.says(403, "permission_error", "Your key may not do this."), api=True
    ),
    "429 with retry-after": Fault(
        "429 and when to come again",
        plays.says(429, "rate_limit_error", "Too many requests.", retry_after="1"),
        api=True,
    ),
    "429 without retry-after": Fault(
        "429 and no word of when", plays.says(429, "rate_limit_error", "Slow down."), api=True
    ),
    "529 storm": Fault(
        "529 to everything", plays.says(529, "overloaded_error", "Overloaded"), api=True
    ),
    # No fault at all.
    "healthy": Fault("nothing is wrong"),
    "healthy TLS": Fault("nothing is wrong, over TLS", certificate="good", secure=True),
    "healthy proxy": Fault("nothing is wrong, through a proxy", plays.lets_through, proxy=True),
    "IPv6 only": Fault("only the sixth family of addresses listens", host="::1"),
}


class Place:
    """One place with its fault. Made by `Stage.set`.

    `connections` counts what was accepted, `requests` what was asked for of the model, `looks` all
    other requests but those to open a tunnel.
    """

    def __init__(
        self, fault: Fault, upstream: int, certificates: Certificates | None, pace_s: float
    ) -> None:
        self.fault = fault
        self.connections = self.requests = self.looks = 0
        self._upstream = (LOOPBACK, upstream)
        self._certificates = certificates
        self._pace_s = pace_s
        self._play: Play = fault.play
        self._tls: ssl.SSLContext | None = None
        self._tunnelled = self._context("good") if fault.proxy else None
        self._listener = _listener(fault.host)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """Where a client believes the API to be."""
        if self.fault.address:
            return self.fault.address
        if self.fault.proxy:
            return BEHIND_A_PROXY
        if self.fault.secure:
            return f"https://localhost:{self.port}"
        return f"http://{f'[{host}]' if ':' in (host := self.fault.host) else host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs in its environment to come here."""
        found = {}
        if self._certificates is not None:
            found["SSL_CERT_FILE"] = str(self._certificates.trusted)
        if self.fault.proxy:
            proxy = f"http://{LOOPBACK}:{self.port}"
            found |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": ""}
        return found

    async def open(self) -> None:
        """Make the fault be there."""
        match self.fault.door:
            case Door.SHUT:
                pass  # bound and not listening: the port is refused, and nobody else's
            case Door.SUSPENDED:
                self._listener.listen(64)
            case Door.FULL:
                self._listener.listen(0)
                self._fillers = [_filler(self.port) for _ in range(4)]
            case Door.OPEN:
                await self._serve(self.fault.certificate)

    async def clear(self) -> None:
        """Take the fault away. What is being played to a connection is played to its end.

        Raises `ValueError` where that takes more than a place: a name that there is not.
        """
        if self.fault.address:
            raise ValueError(f"{self.fault.says}: no place can change that")
        self._play = plays.lets_through
        for filler in self._fillers:
            filler.close()
        wanted = "good" if self.fault.secure else None
        if self._server is None:
            await self._serve(wanted)
        elif self._tls is not None:
            self._load(self._tls, "good")
        elif wanted is not None:
            self._stop_listening()
            self._listener = _listener(self.fault.host, self.port)
            await self._serve(wanted)

    async def close(self) -> None:
        """End everything at once."""
        for filler in self._fillers:
            filler.close()
        self._stop_listening()
        self._listener.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, certificate: str | None) -> None:
        if certificate is not None:
            self._tls = self._context(certificate)
        self._server = await asyncio.start_server(
            self._accept, sock=self._listener, ssl=self._tls, backlog=64
        )

    def _context(self, certificate: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context, certificate)
        return context

    def _load(self, context: ssl.SSLContext, certificate: str) -> None:
        assert self._certificates is not None, "only a secure place has certificates"
        context.load_cert_chain(self._certificates.chains[certificate])

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._meet(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _meet(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Play to one connection: one request, then the end."""
        wire = Wire(reader, writer, self._upstream, self._pace_s, self._tunnelled, self._count)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client has left
                request = await plays.read_request(reader)
                if request is not None:
                    self._count(request)
                    await self._play(request, wire)
        except plays.NotHttp:
            await wire.answer(400, "This is a port for plain HTTP.", "text/plain")
        finally:
            writer.close()

    def _count(self, request: Request) -> None:
        if request.wants_an_answer:
            self.requests += 1
        elif request.method != "CONNECT":
            self.looks += 1


class Stage:
    """All places of a test. Leaving it ends them and every connection through them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "certificates"
        self._made: Certificates | None = None
        self._places: list[Place] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in self._places:
            await place.close()

    @property
    def certificates(self) -> Certificates:
        """The authorities of this stage, made when first asked for."""
        if self._made is None:
            self._made = Certificates(self._folder)
        return self._made

    async def set(self, fault: str, upstream: int, *, pace_s: float = 1.0) -> Place:
        """Put up a place with a fault of `FAULTS` before the port `upstream` of the loopback."""
        found = FAULTS[fault]
        place = Place(
            found, upstream, self.certificates if found.secure or found.proxy else None, pace_s
        )
        self._places.append(place)
        await place.open()
        return place


def _listener(host: str, port: int = 0) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((host, port))
    return found


def _filler(port: int) -> socket.socket:
    """Take a place in the queue of a listener that accepts nobody."""
    found = socket.socket()
    found.setblocking(False)
    with suppress(BlockingIOError):
        found.connect((LOOPBACK, port))
    return found
