"""Sessions as items, for followers and pages: folded once, then kept up to date by events.

Law: what is shown is in the journal (P1): items are folded from the store alone, never from what a
driver plans. Long journals are folded beside the event loop. A list that is kept here is never
changed: it is copied, moved on, and takes its predecessor's place, so that no lock is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from holdfast.agent.api import OpenedItems
from holdfast.agent.errors import UnknownToolCall
from holdfast.journal import codec
from holdfast.journal.store import Record, Store
from holdfast.session.items import Change, Item, Items, whole_output

KEPT_MAX: Final = 4
"""How many sessions' items are kept for the next question about them."""
CHANGES_MAX: Final = 2_000
"""A client that missed more changes than this gets the newest items instead."""


class ItemLists:
    """The items of all sessions. `reach` opens a session, or raises why it cannot be read."""

    def __init__(self, store: Store, reach: Callable[[str], Awaitable[object]]) -> None:
        self._store = store
        self._reach = reach
        self._kept: dict[str, Items] = {}

    async def open(self, session_id: str, *, since_seq: int | None, limit: int) -> OpenedItems:
        """Return what a follower begins with: what changed after `since_seq`, when that is known
        and not too much, else the newest `limit` items.
        """
        newest = await self._newest(session_id)
        if since_seq is not None and since_seq <= newest.seq:
            fold, changes = await self._since(newest, session_id, since_seq)
            if len(changes) <= CHANGES_MAX:
                return OpenedItems(fold, changes=tuple(changes))
        items, more = newest.page(limit)
        return OpenedItems(newest.copy(), items=tuple(items), more=more)

    async def page(
        self, session_id: str, *, limit: int, before: str | None
    ) -> tuple[list[Item], bool]:
        """Return the newest `limit` items, or those before an item, and whether there are more."""
        return (await self._newest(session_id)).page(limit, before)

    async def output(self, session_id: str, tool_use_id: str) -> str:
        """Return the whole output of a call, "" while it has none. Raises `UnknownToolCall`."""
        await self._reach(session_id)
        records = await self._store.read(session_id)
        found = await asyncio.to_thread(_output_in, records, tool_use_id)
        if found is None:
            raise UnknownToolCall(f"The session has no tool call {tool_use_id!r}.")
        return found

    def forget(self, session_id: str) -> None:
        """Keep nothing of a session that was deleted."""
        self._kept.pop(session_id, None)

    async def _newest(self, session_id: str) -> Items:
        await self._reach(session_id)
        known = self._kept.pop(session_id, None) or Items(session_id)
        self._keep(session_id, known)
        records = await self._store.read(session_id, known.seq)
        if not records:
            return known
        newest = await asyncio.to_thread(_moved_on, known, records)
        self._keep(session_id, newest)
        return newest

    async def _since(
        self, newest: Items, session_id: str, since_seq: int
    ) -> tuple[Items, Sequence[Change]]:
        if since_seq == newest.seq:
            return newest.copy(), ()
        records = await self._store.read(session_id)
        return await asyncio.to_thread(_changed_since, session_id, records, since_seq)

    def _keep(self, session_id: str, items: Items) -> None:
        other = self._kept.pop(session_id, items)
        self._kept[session_id] = other if other.seq > items.seq else items
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]


def _moved_on(known: Items, records: Sequence[Record]) -> Items:
    items = known.copy()
    items.fold(map(codec.decode, records))
    items.forget_changes()
    return items


def _changed_since(
    session_id: str, records: Sequence[Record], since_seq: int
) -> tuple[Items, list[Change]]:
    items = Items(session_id)
    items.fold(codec.decode(record) for record in records if record.seq <= since_seq)
    items.forget_changes()
    items.fold(codec.decode(record) for record in records if record.seq > since_seq)
    return items, items.take_changes()


def _output_in(records: Sequence[Record], tool_use_id: str) -> str | None:
    quoted = msgspec.json.encode(tool_use_id)
    about_it = (record for record in records if quoted in record.payload)
    return whole_output((codec.decode(record).event for record in about_it), tool_use_id)
