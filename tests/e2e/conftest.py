"""What tests with real servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from e2e.nursery import Nursery


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    """The parent of a module's servers: it has imported everything, so a server starts at once."""
    found = await Nursery.open()
    yield found
    await found.close()
