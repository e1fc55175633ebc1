"""Server processes by fork, so that a thousand of them can be killed in minutes.

Law: a forked server is the real one from its `main` on, in a process of its own with pipes and an
end of its own; what it does not do again is starting an interpreter and importing. Run as a script
this is the parent that forks; `Nursery` is its other end.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from holdfast.cli.client import Client, server_arguments

READ_LIMIT = 1 << 26
LIMIT_S = 60.0
IMPORTED = (
    "holdfast.cli.main",
    "holdfast.cli.lsp",
    "holdfast.lsp.connection",
    "holdfast.app",
    "holdfast.model.anthropic_wire",
)

STAND_INS = ("network.names", "e2e.clock")
"""What a server may ask in place of its system, if its environment says so."""


class ForkedProcess:
    """A forked server, with the part of `asyncio.subprocess.Process` that a client uses."""

    def __init__(self, stdin: asyncio.WriteTransport, stdout: asyncio.StreamReader) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.pid = 0
        self.returncode: int | None = None
        self.born = asyncio.Event()
        self._gone = asyncio.Event()

    def send_signal(self, number: int) -> None:
        """Signal the process, if it is still there."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int | None:
        """Wait until the process is gone and return its exit status."""
        await self._gone.wait()
        if not self.stdin.is_closing():
            self.stdin.abort()
        return self.returncode

    def came(self, pid: int) -> None:
        """Note that the parent made it."""
        self.pid = pid
        self.born.set()

    def went(self, status: int) -> None:
        """Note that the parent saw its end."""
        self.returncode = status
        self._gone.set()


class Nursery:
    """The other end of the parent process."""

    def __init__(self, parent: subprocess.Popen[bytes], line: socket.socket) -> None:
        self._parent = parent
        self._line = line
        self._ordered: deque[ForkedProcess] = deque()
        self._children: dict[int, ForkedProcess] = {}
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls) -> Self:
        """Start the parent; it imports while this returns."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            parent = subprocess.Popen(
                [sys.executable, str(Path(__file__)), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )
        ours.setblocking(False)
        return cls(parent, ours)

    async def spawn(self, arguments: Sequence[str], environ: Mapping[str, str]) -> ForkedProcess:
        """Fork a server that runs `holdfast` with these arguments."""
        loop = asyncio.get_running_loop()
        their_in, our_in = os.pipe()
        our_out, their_out = os.pipe()
        stdout = asyncio.StreamReader(limit=READ_LIMIT)
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(our_out, "rb", buffering=0)
        )
        stdin, _ = await loop.connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(our_in, "wb", buffering=0)
        )
        process = ForkedProcess(stdin, stdout)
        self._ordered.append(process)
        order = json.dumps({"arguments": list(arguments), "environ": dict(environ)}).encode()
        socket.send_fds(self._line, [order], [their_in, their_out])
        os.close(their_in)
        os.close(their_out)
        async with asyncio.timeout(LIMIT_S):
            await process.born.wait()
        return process

    async def client(
        self,
        *,
        data_dir: Path,
        environment: Mapping[str, str],
        options: Mapping[str, Any],
        listen: Callable[[str, Any], None],
        log: Path,
    ) -> Client:
        """Fork a server and connect to it, as `Client.start` does."""
        process = await self.spawn(server_arguments(data_dir, log), environment)
        client = Client(process, listen)  # type: ignore[arg-type]  # all that it uses is there
        await client.initialize(options)
        return client

    async def close(self) -> None:
        """End the parent and whatever it still has."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
        self._line.close()
        await asyncio.to_thread(self._parent.wait, LIMIT_S)

    async def _listen(self) -> None:
        while said := await asyncio.get_running_loop().sock_recv(self._line, 1 << 16):
            word, pid, *status = said.split()
            if word == b"born":
                process = self._ordered.popleft()
                self._children[int(pid)] = process
                process.came(int(pid))
            else:
                self._children.pop(int(pid)).went(int(status[0]))


# -- the parent ----------------------------------------------------------------------------------


def _parent(line: socket.socket) -> None:
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    for module in (*IMPORTED, *STAND_INS):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(line, selectors.EVENT_READ)
    selector.register(waking, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd == waking:
                os.read(waking, 1 << 10)
                _bury(line, children)
                continue
            order, fds, _, _ = socket.recv_fds(line, 1 << 16, 2)
            if not order:
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                selector.close()
                line.close()
                _serve(json.loads(order), fds)
            children.add(pid)
            for fd in fds:
                os.close(fd)
            line.send(b"born %d" % pid)


def _bury(line: socket.socket, children: set[int]) -> None:
    """Reap who has ended: a process that nobody reaped still looks alive to a lease."""
    for pid in list(children):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            children.discard(pid)
            line.send(b"gone %d %d" % (pid, os.waitstatus_to_exitcode(status)))


def _serve(order: Mapping[str, Any], fds: Sequence[int]) -> None:
    status = 70
    try:
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        os.environ.update(order["environ"])
        for module in STAND_INS:
            importlib.import_module(module).install_for()
        main = importlib.import_module("holdfast.cli.main").main
        status = main(order["arguments"])
    finally:
        os._exit(status)


if __name__ == "__main__":
    _parent(socket.socket(fileno=int(sys.argv[1])))
