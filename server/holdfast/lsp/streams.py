"""What a follower sends its editor: the journal's events, or what they change in a list of items.

Law: a stream begins behind the number that the answer to `holdfast.session.open` named, and says
everything after it once, in order. It is driven by the one loop in `followers.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import attrs

from holdfast.agent.api import Batch, SessionView, Status
from holdfast.lsp import wire

if TYPE_CHECKING:  # It loads after `initialize` (S1).
    from holdfast.session.items import Items


class Stream(Protocol):
    """Turns batches into the bodies of notifications."""

    async def bodies(self, batch: Batch) -> list[bytes]:
        """Return what the editor is sent for a batch."""
        ...


class EventStream:
    """Every event after `since_seq`, and every status."""

    def __init__(self, session_id: str, since_seq: int) -> None:
        self._encoded_id = wire.encode(session_id)
        self._since_seq = since_seq

    async def bodies(self, batch: Batch) -> list[bytes]:
        """See `Stream`."""
        return [
            *(
                wire.event_notification(self._encoded_id, record)
                for record in batch.events
                if record.seq > self._since_seq
            ),
            *_status(batch.status),
        ]


class ItemStream:
    """What changes in the items of a session, the session itself when it differs, every status.

    `look` returns the session as it is; it was sent as `view` last. Deltas change nothing of it, so
    that it is looked at only after other events.
    """

    def __init__(
        self, items: Items, view: SessionView, look: Callable[[], Awaitable[SessionView]]
    ) -> None:
        self._items = items
        self._session_id = view.session_id
        self._sent = _lasting(view)
        self._look = look

    async def bodies(self, batch: Batch) -> list[bytes]:
        """See `Stream`."""
        bodies = list(_status(batch.status))
        if not batch.events:
            return bodies
        self._items.fold(batch.events)
        changes = self._items.take_changes()
        session = None
        if not all(record.event.LAZY for record in batch.events):
            view = await self._look()
            session = view if _lasting(view) != self._sent else None
            self._sent = _lasting(view)
        if changes or session is not None:
            seq = self._items.seq
            bodies.insert(0, wire.items_notification(self._session_id, seq, changes, session))
        return bodies


def _status(status: Status | None) -> list[bytes]:
    return [] if status is None else [wire.status_notification(status)]


def _lasting(view: SessionView) -> SessionView:
    """Return a view without what changes with every event, or is told by statuses."""
    status = Status(view.session_id, view.phase)
    return attrs.evolve(view, seq=0, updated_at_ms=0, status=status)
