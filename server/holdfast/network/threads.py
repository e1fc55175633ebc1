"""Blocking work of which nobody knows whether it ends: name servers, disks of the network.

Law: what hangs holds up nobody, not even the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def beside(work: Callable[[], T], name: str) -> T:
    """Run `work` in a thread that ends with the process, and return or raise what it does.

    Whoever stops waiting leaves the thread behind.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(done: Callable[[], None]) -> None:
        if not answer.done():
            done()

    def run() -> None:
        try:
            found = work()
        except Exception as raised:  # noqa: BLE001 (it is raised again where it is awaited)
            error = raised
            tell(lambda: answer.set_exception(error))
        else:
            tell(lambda: answer.set_result(found))

    def tell(done: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(settle, done)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await answer
