"""What changes in the list of sessions, for those who show it.

Law: a list is read again only when something of a line has changed: a title, a phase, a reason, a
time, a percentage. Text that arrives changes no line. Whoever is slow sees the newest, once.
"""

from __future__ import annotations

import asyncio

from holdfast.agent.api import SessionEntry, Status
from holdfast.journal.store import SessionSummary


class Overview:
    """Counts the changes of the list. Shared by all sessions of a process."""

    def __init__(self) -> None:
        self._version = 0
        self._changed = asyncio.Event()

    @property
    def version(self) -> int:
        """The number of changes so far."""
        return self._version

    def touch(self) -> None:
        """Say that a line was added, changed or removed."""
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, version: int) -> None:
        """Return when something has changed since `version`."""
        while self._version == version:
            await self._changed.wait()


def entry_of(summary: SessionSummary, status: Status | None) -> SessionEntry:
    """Return one line of the list. What an open session does now goes before what is stored."""
    return SessionEntry(
        session_id=summary.session_id,
        title=summary.title,
        workspace_uri=summary.workspace_uri,
        model=summary.model,
        phase=summary.phase if status is None else status.phase,
        created_at_ms=summary.created_at_ms,
        updated_at_ms=summary.updated_at_ms,
        head_seq=summary.head_seq,
        archived=summary.archived,
        status=status,
    )


def same_line(one: Status, other: Status) -> bool:
    """Say whether two statuses look the same in a list."""
    return _line(one) == _line(other)


def same_entry(one: SessionEntry | None, other: SessionEntry) -> bool:
    """Say whether two lines look the same: how much was written and when does not count."""
    return one is not None and _entry_line(one) == _entry_line(other)


def _line(status: Status | None) -> tuple[object, ...]:
    if status is None:
        return ()
    percentage = status.progress.percentage if status.progress is not None else None
    described = (status.phase, status.label, status.reason, status.read_only)
    return (*described, status.retry_at_ms, percentage)


def _entry_line(entry: SessionEntry) -> tuple[object, ...]:
    described = (entry.title, entry.workspace_uri, entry.model, entry.phase, entry.archived)
    return (*described, *_line(entry.status))
