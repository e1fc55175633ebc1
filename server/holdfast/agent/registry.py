"""The sessions that are open in this process, and the one way to reach one.

Law: opening is recovering. A session is always reached by the same path (take the lease, read,
fold, continue), so asking twice is harmless and a crash needs no path of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from holdfast.agent import diffs, wakefulness
from holdfast.agent.driver import Driver
from holdfast.agent.errors import NotWhileBusy
from holdfast.agent.services import Services
from holdfast.conversation import tokens
from holdfast.journal import codec
from holdfast.journal.search import SearchIndex, SearchUnavailable
from holdfast.journal.store import (
    Lease,
    Record,
    SessionOwnedElsewhere,
    SessionSummary,
    StoreError,
    StoreUnavailable,
)
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.fold import fold
from holdfast.session.state import Phase, SessionState

HEARTBEAT_S: Final = 10.0
AT_REST: Final = frozenset({Phase.IDLE, Phase.QUEUED, Phase.PAUSED})

_log: Final = logging.getLogger(__name__)


class Registry:
    """Opens sessions on demand and keeps their leases alive."""

    def __init__(self, services: Services, owner: str) -> None:
        self._services = services
        self._owner = owner
        self._drivers: dict[str, Driver] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._heart = asyncio.create_task(self._beat(), name="lease heartbeat")
        watching = wakefulness.watch(services.world, self._woke)
        self._watch = asyncio.create_task(watching, name="sleep watch")

    def is_open(self, session_id: str) -> bool:
        """Say whether this process owns the session already."""
        return session_id in self._drivers

    def open_drivers(self) -> list[Driver]:
        """Return the drivers of all sessions that this process owns."""
        return list(self._drivers.values())

    async def create(self, events: Sequence[ev.Event]) -> str:
        """Create a session whose journal begins with `events`, the first a `SessionCreated`."""
        world = self._services.world
        session_id, now = world.new_id("s"), world.now_ms()
        created = events[0]
        assert isinstance(created, ev.SessionCreated)
        summary = SessionSummary(
            session_id=session_id,
            title=created.title,
            workspace_uri=created.workspace_uri,
            model=created.model,
            phase=Phase.IDLE.value,
            created_at_ms=now,
            updated_at_ms=now,
            head_seq=0,
        )
        state, encoded = await asyncio.to_thread(_begun, events, now)
        # Others see the session from the commit on: who opens it at once waits for this driver.
        async with self._opening.setdefault(session_id, asyncio.Lock()):
            lease = await self._services.store.create(summary, self._owner, now, encoded)
            self._drivers[session_id] = self._driver(session_id, lease, state)
        self._services.overview.touch()
        return session_id

    async def owned(self, session_id: str) -> Driver:
        """Return the session's driver, opening the session if need be.

        Raises `SessionUnknown`, `SessionOwnedElsewhere`, `StoreUnavailable`.
        """
        driver = self._drivers.get(session_id)
        if driver is not None:
            return driver
        async with self._opening.setdefault(session_id, asyncio.Lock()):
            driver = self._drivers.get(session_id)
            return driver if driver is not None else await self._open(session_id)

    async def reach(self, session_id: str) -> Driver | str:
        """Return the driver, or the words that name the server which owns the session."""
        try:
            driver = await self.owned(session_id)
        except SessionOwnedElsewhere as owned:
            return f"process {owned.pid} on {owned.host}"
        await driver.quiet()  # What is read here is shown, so it must be durable (P1).
        return driver

    async def state_of(self, session_id: str) -> SessionState:
        """Return the session's durable state, also of one that another server owns.

        While the store refuses writes the driver's state runs ahead of the journal; then what the
        journal says is shown (P1).
        """
        driver = await self.reach(session_id)
        if isinstance(driver, Driver) and driver.is_durable:
            return driver.state
        return await self.read(session_id)

    async def settled(self, session_id: str) -> Driver:
        """Return the driver when all that its state says is in the journal.

        Raises `StoreUnavailable` while that cannot be had: nothing may be promised by it then.
        """
        driver = await self.owned(session_id)
        await driver.quiet()
        if not driver.is_durable:
            raise StoreUnavailable("The session store cannot be written.")
        return driver

    async def at_rest(self, session_id: str) -> Driver:
        """Return the driver of a session that is not busy. Raises `NotWhileBusy`."""
        driver = await self.settled(session_id)
        if driver.state.phase not in AT_REST:
            raise NotWhileBusy("The session is busy with a turn.")
        return driver

    async def read(self, session_id: str) -> SessionState:
        """Fold the session's journal as it is on disk."""
        return await asyncio.to_thread(_folded, await self._services.store.read(session_id))

    async def delete(self, session_id: str) -> None:
        """Delete a session for good."""
        driver = await self.owned(session_id)
        await driver.ask(inp.Stop())
        self._forget(driver)
        await driver.close()
        now = self._services.world.now_ms()
        lease = await self._services.store.acquire(session_id, self._owner, now)
        records = await self._services.store.read(session_id)
        if self._services.recall is not None:
            await self._forget_past(self._services.recall, session_id)
        kept = await asyncio.to_thread(diffs.kept_by, records)
        await self._services.store.drop_blobs(kept)
        await self._services.store.delete(lease)
        self._services.overview.touch()

    async def _forget_past(self, index: SearchIndex, session_id: str) -> None:
        """Remove the index first: after a crash in between, a session without one makes it anew."""
        try:
            await index.forget(session_id)
        except SearchUnavailable as error:
            raise StoreUnavailable(str(error)) from error

    async def close(self) -> None:
        """Give all sessions back; their turns go on at the next opening."""
        self._heart.cancel()
        self._watch.cancel()
        drivers, self._drivers = list(self._drivers.values()), {}
        ends = await asyncio.gather(*(d.close() for d in drivers), return_exceptions=True)
        for driver, end in zip(drivers, ends, strict=True):
            if isinstance(end, Exception):
                _log.error("session %s: not closed cleanly: %r", driver.session_id, end)

    async def _open(self, session_id: str) -> Driver:
        now = self._services.world.now_ms()
        lease = await self._services.store.acquire(session_id, self._owner, now)
        driver = self._driver(session_id, lease, await self.read(session_id))
        self._drivers[session_id] = driver
        self._services.overview.touch()
        await driver.ask(inp.Restarted(lease.generation))
        return driver

    def _driver(self, session_id: str, lease: Lease, state: SessionState) -> Driver:
        return Driver(
            session_id=session_id,
            lease=lease,
            state=state,
            services=self._services,
            on_lost=self._forget,
        )

    def _forget(self, driver: Driver) -> None:
        if self._drivers.get(driver.session_id) is driver:  # It may have gone, and another come.
            del self._drivers[driver.session_id]
        self._services.overview.touch()

    async def _woke(self) -> None:
        """Trust no connection that was open before, and try again what only waited (C09)."""
        try:
            await self._services.drop_connections()
        finally:
            for driver in self.open_drivers():
                driver.woke()

    async def _beat(self) -> None:
        while True:
            await self._services.world.sleep(HEARTBEAT_S)
            drivers = tuple(self._drivers.values())
            now = self._services.world.now_ms()
            try:
                lost = await self._services.store.heartbeat([d.lease for d in drivers], now)
            except StoreError:
                _log.warning("the leases' heartbeat could not be written", exc_info=True)
                continue
            for driver in drivers:
                if driver.lease in lost:  # Also one with nothing to write must learn it.
                    driver.lose()


def _begun(events: Sequence[ev.Event], now_ms: int) -> tuple[SessionState, list[Record]]:
    """Return the state after the first events of a session, and their records."""
    recorded = [inp.Recorded(i, now_ms, event) for i, event in enumerate(events, start=1)]
    state = fold((each.seq, each.at_ms, each.event) for each in recorded)
    return _weighed(state), [codec.encode(each) for each in recorded]


def _folded(records: Sequence[Record]) -> SessionState:
    return _weighed(fold((r.seq, r.at_ms, r.event) for r in map(codec.decode, records)))


def _weighed(state: SessionState) -> SessionState:
    """Have all messages estimated, which keep it: beside the event loop, not when it is asked."""
    tokens.estimate(view.messages(state))
    return state
