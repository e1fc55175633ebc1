"""A limit that is over is no reason to throw away what has arrived (C09)."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from holdfast.model.patience import Patience


async def test_C09_what_arrived_while_the_process_did_not_run_comes_before_the_limit() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours)
        async with Patience(0.01):
            waiting = asyncio.ensure_future(reader.readexactly(4))
            await asyncio.sleep(0)
            theirs.send(b"kelp")
            time.sleep(0.05)
            assert await waiting == b"kelp"
        writer.close()
        await writer.wait_closed()


async def test_a_limit_that_is_over_is_told_once_nothing_is_there() -> None:
    with pytest.raises(TimeoutError):
        async with Patience(0.01):
            await asyncio.Event().wait()


async def test_a_limit_that_is_put_off_begins_anew() -> None:
    async with Patience(0.05) as patience:
        for _ in range(6):
            await asyncio.sleep(0.03)
            patience.put_off()


async def test_a_cancellation_from_outside_is_passed_on() -> None:
    async def wait() -> None:
        async with Patience(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
