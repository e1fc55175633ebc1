"""Faulty places on the way to an API: real sockets that refuse, hang, cut, intercept or lie.

Law: a `Place` stands between a client and one upstream on the loopback. While its fault is there,
everything that passes has it; `clear()` takes it away, and from then on the place only passes
things on. A place counts what reached it, so that a test can say what a client sent.

    async with Stage(folder) as stage:
        place = await stage.set("half-open", simulator.port)
        ...  # a client of place.base_url, started with place.environment
        await place.clear()  # or: await place.become("black hole")
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from network import names, plays
from network.certificates import HIDDEN_NAME, Certificates
from network.faults import FAULTS, LOOPBACK_4, LOOPBACK_6, Door, Fault, Named
from network.plays import Play, Request, Wire

BEHIND_A_PROXY: Final = f"https://{HIDDEN_NAME}"
"""A name that only the proxy knows: who reaches it went through the proxy."""


class Place:
    """One place with its fault. Made by `Stage.set`.

    `connections` counts what was accepted, `requests` what was asked for of the model, `looks` all
    other requests but those to open a tunnel.
    """

    def __init__(
        self,
        fault: Fault,
        upstream: int,
        certificates: Certificates | None,
        pace_s: float,
        names: NameServer,
    ) -> None:
        self.fault = fault
        self.connections = self.requests = self.looks = 0
        self._upstream = (LOOPBACK_4, upstream)
        self._certificates = certificates
        self._pace_s = pace_s
        self._play: Play = fault.play
        self._tls: ssl.SSLContext | None = None
        self._tunnelled = self._context("good") if fault.proxy else None
        self._names = names
        self._listener = _listener(fault.host)
        self.port: int = self._listener.getsockname()[1]
        self.name = f"api-{self.port}.holdfast.test"
        self._dead_ends: list[socket.socket] = []
        self._stale_proxy = self._nobody() if fault.stale_proxy else ""
        self._way = asyncio.Event()
        self._way.set()
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
        if self.fault.named is not None:
            return f"http://{self.name}:{self.port}"
        return f"http://{f'[{host}]' if ':' in (host := self.fault.host) else host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs in its environment to come here."""
        found = {}
        if self._certificates is not None:
            found["SSL_CERT_FILE"] = str(self._certificates.trusted)
        if self.fault.named is not None:
            found[names.VARIABLE] = str(self._names.path)
        proxy = f"http://{LOOPBACK_4}:{self.port}" if self.fault.proxy else self._stale_proxy
        if proxy:
            found |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": ""}
        return found

    async def open(self) -> None:
        """Make the fault be there."""
        self._answer_for_the_name(self.fault.named)
        if self.fault.named is Named.BOTH_FAMILIES:
            self._dead_ends.append(_listener(LOOPBACK_6, self.port))
            self._fill(self._dead_ends[-1])
        match self.fault.door:
            case Door.SHUT:
                pass  # bound and not listening: the port is refused, and nobody else's
            case Door.SUSPENDED:
                self._listener.listen(64)
            case Door.FULL:
                self._fill(self._listener)
            case Door.OPEN:
                await self._serve(self.fault.certificate)

    async def become(self, name: str) -> None:
        """Have another fault of `FAULTS`, or none, from now on: weather changes.

        A black hole swallows the connections that there are as well, for ever; behind a closed door
        they are reset. What TLS, a proxy and the address are stays as it is.
        """
        fault = FAULTS[name]
        if fault.door is Door.OPEN:
            await self.clear()
            self._play = fault.play
            self._answer_for_the_name(fault.named)
            return
        self._stop_listening()
        match fault.door:
            case Door.FULL:
                self._way.clear()
                self._way = asyncio.Event()
                self._way.set()
                self._fill(self._listener)
            case Door.SHUT:
                self._listener.close()
                self._listener = _listener(self.fault.host, self.port)
                self._hang_up()
            case Door.SUSPENDED:
                pass  # The system completes connections as long as somebody has the port.

    async def clear(self) -> None:
        """Take the fault away. What is being played to a connection is played to its end.

        Raises `ValueError` where that takes more than a place: a name that there is not.
        """
        if self.fault.address:
            raise ValueError(f"{self.fault.says}: no place can change that")
        self._play = plays.lets_through
        self._stale_proxy = ""
        self._answer_for_the_name(None)
        for filler in self._fillers:
            filler.close()
        wanted = "good" if self.fault.secure else None
        if self._server is None:
            await self._serve(wanted)
        elif self._tls is not None:
            self._load(self._tls, "good")
        elif wanted is not None:
            self._stop_listening()
            self._listener.close()
            self._listener = _listener(self.fault.host, self.port)
            await self._serve(wanted)

    async def close(self) -> None:
        """End everything at once."""
        self._stop_listening()
        for held in (self._listener, *self._fillers, *self._dead_ends):
            held.close()
        self._hang_up()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, certificate: str | None) -> None:
        if certificate is not None:
            self._tls = self._context(certificate)
        # Another handle of the socket: it goes on listening when nobody accepts any more.
        self._server = await asyncio.start_server(
            self._accept, sock=self._listener.dup(), ssl=self._tls, backlog=64
        )

    def _answer_for_the_name(self, named: Named | None) -> None:
        """Have the name server say what a fault wants, or where the place is."""
        if self.fault.named is None:
            return
        addresses: Sequence[str] | None = (LOOPBACK_4,)
        match self.fault.named if self.fault.named is Named.BOTH_FAMILIES else named:
            case Named.UNKNOWN:
                addresses = ()
            case Named.SILENT:
                addresses = None
            case Named.BOTH_FAMILIES:
                addresses = (LOOPBACK_6, LOOPBACK_4)
        self._names.say(self.name, addresses)

    def _fill(self, listener: socket.socket) -> None:
        """Have a listener's packets dropped: its queue is full, and nobody accepts."""
        listener.listen(0)
        self._fillers += [_filler(listener) for _ in range(4)]

    def _nobody(self) -> str:
        """Return the address of a proxy that is not there, and will not be."""
        self._dead_ends.append(_listener(LOOPBACK_4))
        return f"http://{LOOPBACK_4}:{self._dead_ends[-1].getsockname()[1]}"

    def _hang_up(self) -> None:
        for task in self._open:
            task.cancel()

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
        wire = Wire(
            reader, writer, self._upstream, self._pace_s, self._tunnelled, self._count, self._way
        )
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client has left
                request = await plays.read_request(reader)
                if request is not None:
                    self._count(request)
                    await self._play(request, wire)
        except plays.NotHttp:
            await wire.answer(400, "This is a port for plain HTTP.", "text/plain")
        except asyncio.CancelledError:
            wire.reset()
            raise
        finally:
            writer.close()

    def _count(self, request: Request) -> None:
        if request.wants_an_answer:
            self.requests += 1
        elif request.method != "CONNECT":
            self.looks += 1


class NameServer:
    """What is said of the names of a stage's places, in a file that `names.py` reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said: dict[str, Sequence[str] | None] = {}
        names.write(path, self._said)

    def say(self, name: str, addresses: Sequence[str] | None) -> None:
        """Answer questions for `name` so from now on."""
        self._said[name] = addresses
        names.write(self.path, self._said)


class Stage:
    """All places of a test. Leaving it ends them and every connection through them."""

    def __init__(self, folder: Path) -> None:
        self.names = NameServer(folder / "names.json")
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
        certificates = self.certificates if found.secure or found.proxy else None
        place = Place(found, upstream, certificates, pace_s, self.names)
        self._places.append(place)
        await place.open()
        return place


def _listener(host: str, port: int = 0) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((host, port))
    return found


def _filler(listener: socket.socket) -> socket.socket:
    """Take a place in the queue of a listener that accepts nobody."""
    found = socket.socket(listener.family)
    found.setblocking(False)
    with suppress(BlockingIOError):
        found.connect(listener.getsockname())
    return found
