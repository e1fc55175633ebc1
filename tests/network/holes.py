"""Ways on which small requests pass and something else does not: uploads, lines, clocks.

Law: as for the stage, all is real: sockets that are not read from, queues of connections that are
full, and where the system lets a process have a network of its own, packets that are dropped for
their size.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from holdfast.network import Diagnosis, Subject, examine
from holdfast.simulator import Simulator

LOOPBACK: Final = "127.0.0.1"
LARGE_BYTES: Final = 8 * 1024
_TAKEN_BYTES: Final = 4 * 1024
_ACCEPT_EVERY_S: Final = 0.2
_PACKET_BYTES: Final = 1_500
_PASSES_BYTES: Final = 1_400
_NAMESPACE: Final = ["unshare", "--user", "--map-root-user", "--net"]


@asynccontextmanager
async def unread_uploads(upstream: int, *, bytes_a_second: int = 0) -> AsyncIterator[int]:
    """Pass small requests on; of a large one read nothing, or slowly. Gives the port."""
    async with _between(upstream, bytes_a_second, reads=bool(bytes_a_second)) as port:
        yield port


@asynccontextmanager
async def unanswered_uploads(upstream: int) -> AsyncIterator[int]:
    """Pass small requests on; take a large one whole and never answer it. Gives the port."""
    async with _between(upstream, 0, reads=True) as port:
        yield port


@asynccontextmanager
async def _between(upstream: int, bytes_a_second: int, *, reads: bool) -> AsyncIterator[int]:
    async def meet(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            sizes = [
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ]
            if sum(sizes) < LARGE_BYTES:
                await _passed_on(head + await reader.readexactly(sum(sizes)), writer, upstream)
            elif bytes_a_second:
                while not left.is_set() and await reader.read(bytes_a_second // 10):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(left.wait(), 0.1)
            elif reads:
                await reader.read(-1)
            else:
                await left.wait()
        writer.close()

    left = asyncio.Event()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TAKEN_BYTES)
    listener.bind((LOOPBACK, 0))
    server = await asyncio.start_server(meet, sock=listener, limit=_TAKEN_BYTES)
    try:
        yield int(listener.getsockname()[1])
    finally:
        left.set()
        server.close()


async def _passed_on(request: bytes, writer: StreamWriter, upstream: int) -> None:
    there, onward = await asyncio.open_connection(LOOPBACK, upstream)
    try:
        onward.write(request)
        while piece := await there.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        onward.close()


@asynccontextmanager
async def lossy_line(upstream: int) -> AsyncIterator[int]:
    """Take few connections at a time: the first packets of the others are dropped. Gives the port.

    A system drops them when a listener's queue is full, and the client sends them again after a
    second, as when a line loses them.
    """

    async def meet(connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        there, onward = await asyncio.open_connection(LOOPBACK, upstream)
        with suppress(ConnectionError):
            await asyncio.gather(_copied(reader, onward), _copied(there, writer))

    async def accept() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                connection, _ = await loop.sock_accept(listener)
                group.create_task(meet(connection))
                await asyncio.sleep(_ACCEPT_EVERY_S)

    listener = socket.socket()
    listener.bind((LOOPBACK, 0))
    listener.listen(0)
    listener.setblocking(False)
    accepting = asyncio.create_task(accept())
    try:
        yield int(listener.getsockname()[1])
    finally:
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        listener.close()


async def _copied(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def server_at(moment: datetime) -> AsyncIterator[int]:
    """Listen as a server that lives at a moment. Gives the port."""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = f"Date: {format_datetime(moment, usegmt=True)}"
        writer.write(f"HTTP/1.1 404 -\r\n{date}\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


LONG_AGO: Final = datetime(2020, 6, 1, tzinfo=UTC)


# -- a network of one's own ------------------------------------------------------------------------


def namespaces() -> bool:
    """Whether this process may have a network of its own, in which packets can be dropped."""
    if not all(map(shutil.which, ("unshare", "ip", "tc"))):
        return False
    return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


async def in_a_black_hole(key: str, model: str) -> dict[str, Any]:
    """Examine an API behind a way that drops large packets; return verdict, words and time."""
    command = [*_NAMESPACE, sys.executable, "-m", "network.holes", key, model]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    told, _ = await process.communicate()
    assert process.returncode == 0, "the network of its own could not be set up"
    found: dict[str, Any] = json.loads(told)
    return found


async def _examined(key: str, model: str) -> Diagnosis:
    """Drop every packet that is larger than `_PASSES_BYTES`, then examine. In a new namespace."""
    for command in (
        f"ip link set lo up mtu {_PACKET_BYTES}",
        f"tc qdisc add dev lo root tbf rate 1gbit burst {_PASSES_BYTES} limit 1000000",
    ):
        subprocess.run(command.split(), check=True)
    async with Simulator(api_key=key) as api:
        headers = {"x-api-key": key}
        return await examine(Subject(base_url=api.base_url, headers=headers, model=model))


if __name__ == "__main__":
    diagnosis = asyncio.run(_examined(*sys.argv[1:]))
    told = {"verdict": diagnosis.verdict, "says": diagnosis.says, "ms": diagnosis.ms}
    sys.stdout.write(json.dumps(told))
