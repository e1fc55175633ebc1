"""What followers of a session see: events that are durable, in order, and the newest status.

Law: a follower pulls. It gets every event after its sequence number exactly once and without a
gap, however slow it is; memory per session is bounded, in number and in bytes; older events are
read from the store.
Statuses are not kept: a follower sees the newest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from holdfast.agent import overview
from holdfast.agent.api import Batch, Status
from holdfast.journal import codec
from holdfast.journal.store import Store
from holdfast.session import events as ev
from holdfast.session.inputs import Recorded

RECENT_MAX: Final = 2_048
RECENT_BYTES_MAX: Final = 1_000_000
BATCH_MAX: Final = 512
LISTED: Final = (ev.SessionRenamed, ev.SessionArchived, ev.ModelSelected, ev.EndpointSelected)


class Feed:
    """The durable end of one session's journal, as it grows."""

    def __init__(
        self,
        session_id: str,
        store: Store,
        head_seq: int,
        status: Status,
        line_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`line_changed` is called when a list of sessions would show another line."""
        self._session_id = session_id
        self._store = store
        self._recent: deque[Recorded] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._head = head_seq
        self._status = status
        self._status_no = 0
        self._line_changed = line_changed
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def head(self) -> int:
        """The number of the newest durable event."""
        return self._head

    @property
    def status(self) -> Status:
        """What the session is doing now."""
        return self._status

    @property
    def recent_bytes(self) -> int:
        """What the events that are kept take in the journal."""
        return self._bytes

    def publish(self, records: Sequence[Recorded], sizes: Sequence[int]) -> None:
        """Show events that are in the journal now, where they take `sizes` bytes."""
        if records:
            self._recent.extend(records)
            self._sizes.extend(sizes)
            self._bytes += sum(sizes)
            while len(self._recent) > RECENT_MAX or self._bytes > RECENT_BYTES_MAX:
                self._recent.popleft()
                self._bytes -= self._sizes.popleft()
            self._head = records[-1].seq
            self._wake()
            if any(isinstance(record.event, LISTED) for record in records):
                self._line_changed()

    def publish_status(self, status: Status) -> None:
        """Show what the session is doing."""
        if status != self._status:
            same_line = overview.same_line(self._status, status)
            self._status = status
            self._status_no += 1
            self._wake()
            if not same_line:
                self._line_changed()

    def close(self) -> None:
        """End all followers."""
        self._closed = True
        self._wake()

    async def follow(self, since_seq: int) -> AsyncIterator[Batch]:
        """Yield what comes after `since_seq`, for ever, until the session is closed."""
        seq, status_no = since_seq, -1
        while True:
            changed = self._changed
            events = await self._after(seq)
            status = self._status if status_no != self._status_no else None
            if events or status is not None:
                status_no = self._status_no
                seq = events[-1].seq if events else seq
                yield Batch(tuple(events), status)
            elif self._closed:
                return
            else:
                await changed.wait()

    async def _after(self, seq: int) -> list[Recorded]:
        if seq >= self._head:
            return []
        if self._recent and self._recent[0].seq <= seq + 1:
            first = seq + 1 - self._recent[0].seq
            return [
                self._recent[i] for i in range(first, min(first + BATCH_MAX, len(self._recent)))
            ]
        records = await self._store.read(self._session_id, seq, BATCH_MAX)
        return [codec.decode(record) for record in records if record.seq <= self._head]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
