"""HTTP/1.1 by hand: one request on one connection, with the time of everything that happens.

Law: every wait is bounded by the caller's patience, what goes wrong is a `Trouble` that says at
which step, and no redirect is followed. A client library would hide just what is looked for here:
which address answered, whose certificate it was, when each piece of an answer arrived.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Final, Self

import attrs

from holdfast.network.subjects import Place, Route

BODY_BYTES_MAX: Final = 256 * 1024
HEAD_BYTES_MAX: Final = 64 * 1024
_CLOSE_S: Final = 0.2


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

    `status` and `headers` are the proxy's when it refused; `error` is what the system said.
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
    was, both counted from the end of the request in milliseconds.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_ms: float
    pieces: tuple[tuple[float, int], ...] = ()
    ended: bool = True
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
        target = self._route.target
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{_login(self._route)}\r\n"
        self._writer.write(head.encode())
        status, _ = await self._head(Step.PROXY, patience.connect_s)
        if status != 200:
            raise Trouble(Step.PROXY, status=status)

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
        self._writer.write(self._request(method, path, headers, len(body)))
        try:
            async with asyncio.timeout(patience.upload_s):
                self._writer.write(body)
                await self._writer.drain()
        except TimeoutError as error:
            raise Trouble(Step.UPLOAD, error, timed_out=True) from error
        except OSError as error:
            # A server that refuses while it is still being sent to has often answered already.
            with contextlib.suppress(Trouble):
                return await self._answer(patience, body_s)
            raise Trouble(Step.UPLOAD, error) from error
        return await self._answer(patience, body_s)

    async def _answer(self, patience: Patience, body_s: float | None) -> Answer:
        sent = time.monotonic()
        status, headers = await self._head(Step.HEAD, patience.answer_s)
        first_ms = _since(sent)
        body, pieces = bytearray(), list[tuple[float, int]]()
        trouble: Trouble | None = None
        try:
            async with asyncio.timeout(patience.answer_s if body_s is None else body_s):
                async for piece in self._body(headers):
                    pieces.append((_since(sent), len(piece)))
                    body += piece
                    if len(body) > BODY_BYTES_MAX:
                        break
        except TimeoutError as error:
            trouble = Trouble(Step.BODY, error, timed_out=True)
        except (OSError, EOFError, ValueError) as error:
            trouble = Trouble(Step.BODY, error)
        return Answer(
            status, headers, bytes(body), first_ms, tuple(pieces), trouble is None, trouble
        )

    def _request(self, method: str, path: str, headers: Mapping[str, str], size: int) -> bytes:
        route = self._route
        target = route.target
        where, login = path, ""
        if route.proxied and not target.secure:
            where, login = f"http://{target}{path}", _login(route)
        lines = [f"{method} {where} HTTP/1.1", f"Host: {_host(target)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if size:
            lines += ["Content-Type: application/json", f"Content-Length: {size}"]
        lines += ["Accept: */*", "Accept-Encoding: identity", "Connection: close"]
        return ("\r\n".join(lines) + f"\r\n{login}\r\n").encode("latin-1", "replace")

    async def _head(self, step: Step, within_s: float) -> tuple[int, dict[str, str]]:
        try:
            async with asyncio.timeout(within_s):
                line = await self._line()
                while line.startswith(b"HTTP/1.1 1"):  # an interim answer
                    await self._headers()
                    line = await self._line()
                status = _status(line)
                headers = await self._headers()
        except TimeoutError as error:
            raise Trouble(step, error, timed_out=True) from error
        except (OSError, EOFError, ValueError) as error:
            raise Trouble(step, error) from error
        return status, headers

    async def _headers(self) -> dict[str, str]:
        headers, size = dict[str, str](), 0
        while (line := await self._line()).strip():
            size += len(line)
            if size > HEAD_BYTES_MAX:
                raise ValueError("the headers never end")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("the connection was closed without an answer")
        return line

    async def _body(self, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield a body's pieces as they arrive. Raises `EOFError` when it ends too early."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            while size := int((await self._line()).split(b";")[0], 16):
                if size > BODY_BYTES_MAX:
                    raise ValueError("a piece of the body is too large")
                yield await self._reader.readexactly(size)
                await self._line()
            return
        length = headers.get("content-length", "")
        left = int(length) if length.isdigit() else None
        while left is None or left > 0:
            piece = await self._reader.read(65536 if left is None else min(left, 65536))
            if not piece:
                if left:
                    raise EOFError(f"{left} bytes of the body are missing")
                return
            left = None if left is None else left - len(piece)
            yield piece


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


def _status(line: bytes) -> int:
    parts = line.split(maxsplit=2)
    if not line.startswith(b"HTTP/") or len(parts) < 2 or not parts[1].isdigit():
        raise ValueError("what answers does not speak HTTP")
    return int(parts[1])


def _host(place: Place) -> str:
    default = 443 if place.secure else 80
    return str(place) if place.port != default else str(place).rpartition(":")[0]


def _login(route: Route) -> str:
    if not route.login:
        return ""
    coded = base64.b64encode(route.login.encode()).decode()
    return f"Proxy-Authorization: Basic {coded}\r\n"


def _since(begun: float) -> float:
    return (time.monotonic() - begun) * 1000
