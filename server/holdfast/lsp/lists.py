"""The list of sessions as one connection sees it change.

Law: a connection that follows is told of each line that changed, with its newest content, and of
each session that is gone; at most `PER_SECOND` times a second, and only as fast as it reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from holdfast.agent.overview import same_entry
from holdfast.journal.store import StoreError
from holdfast.lsp import wire
from holdfast.lsp.framing import frame

if TYPE_CHECKING:
    from holdfast.agent.api import SessionEntry, SessionList
    from holdfast.lsp.outbox import Outbox
    from holdfast.lsp.port import Supervisor

logger = logging.getLogger(__name__)

PER_SECOND: Final = 4
TROUBLE_S: Final = 5.0


class Lists:
    """What one connection was told of the list."""

    def __init__(
        self,
        outbox: Callable[[], Outbox],
        supervisor: Callable[[], Awaitable[Supervisor]],
        pause_s: float = 1 / PER_SECOND,
    ) -> None:
        self._outbox = outbox
        self._supervisor = supervisor
        self._pause_s = pause_s
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def follow(self, told: SessionList) -> None:
        """Tell of what changes after `told`, which the connection has."""
        if self._closed:
            return
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._run(told), name="follow the list")
        self._task.add_done_callback(_done)

    async def close(self) -> None:
        """Tell nothing more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, told: SessionList) -> None:
        lines = {entry.session_id: entry for entry in told.entries}
        version = told.version
        while True:
            supervisor = await self._supervisor()
            try:
                found = await supervisor.entries(version)
            except StoreError as error:
                logger.info("the list of sessions cannot be read: %s", error)
                await asyncio.sleep(TROUBLE_S)
                continue
            version = found.version
            now = {entry.session_id: entry for entry in found.entries}
            self._tell(lines, now)
            lines = now
            await self._outbox().drain()
            await asyncio.sleep(self._pause_s)

    def _tell(self, before: dict[str, SessionEntry], now: dict[str, SessionEntry]) -> None:
        changed = [entry for i, entry in now.items() if not same_entry(before.get(i), entry)]
        removed = [session_id for session_id in before if session_id not in now]
        if changed or removed:
            self._outbox().write(frame(wire.sessions_notification(changed, removed)))


def _done(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("following the list of sessions failed", exc_info=error)
