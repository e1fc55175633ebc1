"""What the tests behind real gateways share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from e2e.nursery import Nursery
from e2e.server import Server
from gateways.rigging import Rig, server_at


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        nursery = await Nursery.open()
        stack.push_async_callback(nursery.close)
        yield Rig(stack, nursery, tmp_path_factory.mktemp("gateways"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def poisoned(
    rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[str], Awaitable[Server]]]:
    """One server for each gateway, for all transcripts."""
    servers: dict[str, Server] = {}
    async with AsyncExitStack() as stack:

        async def of(name: str) -> Server:
            if name not in servers:
                gateway, _ = await rig.of(name)
                running = server_at(rig, gateway, tmp_path_factory.mktemp("server"))
                servers[name] = await stack.enter_async_context(running)
            return servers[name]

        yield of
