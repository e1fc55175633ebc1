"""A name server for one process of a test: names that are known, unknown, or asked for in vain.

Law: it stands in for the system's, which no test may change, and answers as that one would: at each
question, from a file that can be changed meanwhile. Names that the file does not have are the
system's business. Nothing of the product is replaced.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "HOLDFAST_TEST_NAMES"
"""Where a process that is to ask this name server finds its file."""

Names = Mapping[str, Sequence[str] | None]
"""The addresses of each name, in the order they are to be tried; None: no answer comes."""


def write(path: Path, names: Names) -> None:
    """Say from now on what `names` says."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(names))
    new.replace(path)


def install(path: Path) -> None:
    """Have this process ask the file at `path` first, for as long as it lives."""
    system = socket.getaddrinfo

    def ask(
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 (the system's own name for it)
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        name = host.decode("ascii") if isinstance(host, bytes) else host
        names: Names = json.loads(path.read_text())
        if name is None or name not in names:
            return system(host, port, family, type, proto, flags)
        addresses = names[name]
        if addresses is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        wanted = {0: (":", "."), socket.AF_INET6: (":",), socket.AF_INET: (".",)}[family]
        found = [a for a in addresses if any(sign in a for sign in wanted)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [entry for a in found for entry in system(a, port, 0, type, proto, flags)]

    socket.getaddrinfo = ask


def install_for(environment: Mapping[str, str] = os.environ) -> None:
    """Do so if the environment wants it."""
    if path := environment.get(VARIABLE):
        install(Path(path))


@contextmanager
def asked(path: Path) -> Iterator[None]:
    """Have this process ask the file at `path` for a while."""
    system = socket.getaddrinfo
    install(path)
    try:
        yield
    finally:
        socket.getaddrinfo = system
