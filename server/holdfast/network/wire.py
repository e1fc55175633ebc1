"""HTTP/1.1 over one connection, with the time of everything that happens.

Law: every wait is bounded by the caller's patience, what goes wrong is a `Trouble` that says at
which step, and no redirect is followed.

A whole client, the SDK's own included, would hide just what is looked for here: it chooses among
the addresses, keeps the connection to itself, joins the proxy's refusal and the server's into one
error, hands out a body without saying when its pieces came, and does not tell how much of an upload
the other side has acknowledged. So connections are opened here, one address at a time. The protocol
on them is not ours to write again: h11 makes and reads it, the same parser under the SDK's client,
so that what it refuses a turn is refused here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Final, Self

import attrs
import h11

from holdfast.network.subjects import Place, Route

BODY_BYTES_MAX: Final = 256 * 1024
HEAD_BYTES_MAX: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
_CLOSE_S: Final = 0.2
_SIGN: Final = b"HTTP/"
_GLANCE: Final = 1 / 6
NO_HTTP: Final = "what answers does not speak HTTP"


class Step(StrEnum):
    """Where in an exchange something went wrong."""

    CONNECT = "connect"
    PROXY = "proxy"
    TLS = "tls"
    UPLOAD = "upload"
    HEAD = "head"  # the status line and the headers
    BODY = "body"


class Trouble(Exception):
    """An exchange failed at a step. `timed_out`: nothing came within the step's patience.

    `status` is the proxy's when it refused; `error` is what the system said. `unsent` is how many
    bytes the other side had not acknowledged by then, None where the system does not tell; `moving`
    says that they were becoming fewer.
    """

    def __init__(
        self,
        step: Step,
        error: BaseException | None = None,
        *,
        timed_out: bool = False,
        status: int = 0,
    ) -> None:
        super().__init__(f"{step}: {error or status or 'nothing came in time'}")
        self.step = step
        self.error = error
        self.timed_out = timed_out
        self.status = status
        self.unsent: int | None = None
        self.moving = False


@attrs.frozen
class Patience:
    """How long each step may take, in seconds."""

    name_s: float
    connect_s: float
    tls_s: float
    answer_s: float
    upload_s: float

    @classmethod
    def within(cls, limit_s: float) -> Patience:
        """Share a limit out so that every cause can still be told from slowness."""
        return cls(
            name_s=limit_s * 0.2,
            connect_s=limit_s * 0.2,
            tls_s=limit_s * 0.15,
            answer_s=limit_s * 0.4,
            upload_s=limit_s * 0.3,
        )


@attrs.frozen
class Answer:
    """A whole answer, or as much as was read. Names of headers are in lower case.

    `first_ms` is when the headers came, `pieces` when each piece of the body came and how long it
    was, `ended_ms` when nobody read on, all counted from the end of the request in milliseconds.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_ms: float
    pieces: tuple[tuple[float, int], ...] = ()
    ended_ms: float = 0.0
    trouble: Trouble | None = None


class Connection:
    """One connection by one route. Close it, or leave its context."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, route: Route
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._route = route

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()

    async def tunnel(self, patience: Patience) -> None:
        """Ask the proxy for the way to a target that has TLS. Raises `Trouble`."""
        target = str(self._route.target)
        talk = _Talk(self._reader)
        self._writer.write(talk.begun("CONNECT", target, {"Host": target, **_login(self._route)}))
        response = await talk.response(Step.PROXY, patience.connect_s)
        if response.status_code != 200:
            raise Trouble(Step.PROXY, status=response.status_code)

    async def secure(self, context: ssl.SSLContext, patience: Patience) -> ssl.SSLObject:
        """Set up TLS and return what it agreed on. Raises `Trouble`."""
        try:
            async with asyncio.timeout(patience.tls_s):
                await self._writer.start_tls(
                    context,
                    server_hostname=self._route.target.host,
                    ssl_handshake_timeout=patience.tls_s * 2,
                )
        except TimeoutError as error:
            raise Trouble(Step.TLS, error, timed_out=True) from error
        except (OSError, EOFError) as error:  # `ssl.SSLError` is an `OSError`
            raise Trouble(Step.TLS, error) from error
        agreed = self._writer.get_extra_info("ssl_object")
        if not isinstance(agreed, ssl.SSLObject):
            raise Trouble(Step.TLS, ConnectionResetError("closed during the handshake"))
        return agreed

    async def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        patience: Patience,
        body: bytes = b"",
        body_s: float | None = None,
    ) -> Answer:
        """Send a request and read its answer. Raises `Trouble` until the headers have come.

        What goes wrong after them is the answer's `trouble`. `body_s` bounds the whole body.
        """
        talk = _Talk(self._reader)
        where, every = self._addressed(path, headers, len(body))
        self._writer.write(talk.begun(method, where, every))
        try:
            async with asyncio.timeout(patience.upload_s):
                self._writer.write(talk.sent(body))
                await self._writer.drain()
        except TimeoutError as error:
            raise await self._weighed(
                Trouble(Step.UPLOAD, error, timed_out=True), patience
            ) from error
        except OSError as error:
            # A server that refuses while it is still being sent to has often answered already.
            with contextlib.suppress(Trouble):
                return await self._answer(talk, patience, body_s)
            raise Trouble(Step.UPLOAD, error) from error
        try:
            return await self._answer(talk, patience, body_s)
        except Trouble as trouble:
            raise await self._weighed(trouble, patience) from trouble.error

    async def _answer(self, talk: _Talk, patience: Patience, body_s: float | None) -> Answer:
        sent = time.monotonic()
        response = await talk.response(Step.HEAD, patience.answer_s)
        first_ms = _since(sent)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers
        }
        body, pieces = bytearray(), list[tuple[float, int]]()
        trouble: Trouble | None = None
        try:
            async with asyncio.timeout(patience.answer_s if body_s is None else body_s):
                async for piece in talk.body():
                    pieces.append((_since(sent), len(piece)))
                    body += piece
                    if len(body) > BODY_BYTES_MAX:
                        break
        except TimeoutError as error:
            trouble = Trouble(Step.BODY, error, timed_out=True)
        except (OSError, ValueError, h11.RemoteProtocolError) as error:
            trouble = Trouble(Step.BODY, error)
        return Answer(
            response.status_code,
            headers,
            bytes(body),
            first_ms,
            tuple(pieces),
            _since(sent),
            trouble,
        )

    def _addressed(
        self, path: str, headers: Mapping[str, str], size: int
    ) -> tuple[str, dict[str, str]]:
        """Return target and headers of a request: a proxy is told the whole address."""
        route = self._route
        every = {"Host": _host(route.target), **headers}
        if size:
            every |= {"Content-Type": "application/json", "Content-Length": str(size)}
        every |= {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if route.proxied and not route.target.secure:
            return f"http://{route.target}{path}", {**every, **_login(route)}
        return path, every

    async def _weighed(self, trouble: Trouble, patience: Patience) -> Trouble:
        """Add to a silence how much of the request was not taken, and whether that goes on."""
        if trouble.timed_out:
            before = self._unsent()
            if before:
                await asyncio.sleep(patience.upload_s * _GLANCE)
            trouble.unsent = self._unsent()
            trouble.moving = None not in (before, trouble.unsent) and before != trouble.unsent
        return trouble

    def _unsent(self) -> int | None:
        """Return how many bytes the other side has not acknowledged."""
        found = self._writer.get_extra_info("socket")
        waiting = self._writer.transport.get_write_buffer_size()
        if found is None or sys.platform != "linux":
            return waiting or None
        import fcntl  # noqa: PLC0415 (not there on Windows)
        import termios  # noqa: PLC0415

        try:
            told = fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        except (OSError, ValueError):  # closed: the system has given up sending it again
            return None
        return int(struct.unpack("i", told)[0]) + waiting


class _Talk:
    """One request and its answer in the words of HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._first = b""

    def begun(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """Return the head of a request. Raises `Trouble` for what HTTP has no place for."""
        pairs = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in headers.items()
        ]
        try:
            head = self._http.send(h11.Request(method=method, target=target, headers=pairs))
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise Trouble(
                Step.HEAD, ValueError(f"the request cannot be written: {error}")
            ) from error
        return head or b""

    def sent(self, body: bytes) -> bytes:
        """Return the body and the end of a request."""
        return (self._http.send(h11.Data(data=body)) or b"" if body else b"") + (
            self._http.send(h11.EndOfMessage()) or b""
        )

    async def response(self, step: Step, within_s: float) -> h11.Response:
        """Wait for status and headers; interim answers are passed over. Raises `Trouble`."""
        try:
            async with asyncio.timeout(within_s):
                while not isinstance(event := await self._event(), h11.Response):
                    if not isinstance(event, h11.InformationalResponse):
                        raise ConnectionResetError("the connection was closed without an answer")
        except TimeoutError as error:
            raise Trouble(step, error, timed_out=True) from error
        except h11.RemoteProtocolError as error:
            raise Trouble(step, ValueError(NO_HTTP)) from error
        except (OSError, ValueError) as error:
            raise Trouble(step, error) from error
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """Yield a body's pieces as they arrive. Raises `h11.RemoteProtocolError` when it ends too
        early.
        """
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)

    async def _event(self) -> h11.Event:
        while not isinstance(event := self._http.next_event(), h11.Event):
            if event is h11.PAUSED:
                raise ValueError(NO_HTTP)  # it switches to another protocol
            data = await self._reader.read(_READ_BYTES)
            self._first = (self._first + data)[: len(_SIGN)]
            if not _SIGN.startswith(self._first):
                raise ValueError(NO_HTTP)  # h11 would wait for the end of a head
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ConnectionResetError("the connection was closed without an answer")
            self._http.receive_data(data)
        return event


async def connect(route: Route, address: str, patience: Patience) -> Connection:
    """Connect to one address of the route's hop. Raises `Trouble`."""
    try:
        async with asyncio.timeout(patience.connect_s):
            reader, writer = await asyncio.open_connection(address, route.hop.port)
    except TimeoutError as error:
        raise Trouble(Step.CONNECT, error, timed_out=True) from error
    except OSError as error:
        raise Trouble(Step.CONNECT, error) from error
    return Connection(reader, writer, route)


async def connect_ms(family: socket.AddressFamily, address: str, port: int) -> float:
    """Connect and hang up; return how many milliseconds it took. Raises `OSError`."""
    begun = time.monotonic()
    _, writer = await asyncio.open_connection(address, port, family=family)
    took = _since(begun)
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await writer.wait_closed()
    return took


def _host(place: Place) -> str:
    default = 443 if place.secure else 80
    return str(place) if place.port != default else str(place).rpartition(":")[0]


def _login(route: Route) -> dict[str, str]:
    if not route.login:
        return {}
    coded = base64.b64encode(route.login.encode()).decode()
    return {"Proxy-Authorization": f"Basic {coded}"}


def _since(begun: float) -> float:
    return (time.monotonic() - begun) * 1000
