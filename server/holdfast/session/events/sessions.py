"""Events about the session itself and about history that came from elsewhere."""

from __future__ import annotations

import msgspec

from holdfast.conversation.history import Role
from holdfast.session.events.base import Event, RawBlocks


class SessionCreated(Event, frozen=True):
    """A session began. `parent_id` is set for forks.

    `system` is the system prompt of all its requests; it is fixed here, because thinking blocks
    are bound to it (R72).
    """

    title: str
    system: str = ""
    workspace_uri: str | None = None
    model: str | None = None
    parent_id: str | None = None


class SessionRenamed(Event, frozen=True):
    """A person gave the session a title."""

    title: str


class SessionArchived(Event, frozen=True):
    """A session was archived (hidden from lists) or brought back."""

    archived: bool


class ModelSelected(Event, frozen=True):
    """Later requests go to `model`; None means the setting's default."""

    model: str | None


class SessionRecovered(Event, frozen=True):
    """A new owner opened a session whose owner had gone while it was in `phase`."""

    phase: str
    generation: int


class HistoryImported(Event, frozen=True):
    """The messages that follow come from a foreign transcript or from a parent session."""

    source: str
    format: str
    notes: tuple[str, ...] = ()


class MessageImported(Event, frozen=True):
    """One message of an imported history."""

    role: Role
    content: RawBlocks


class MessageEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """In the view, the messages of the record `origin` are replaced by `messages`."""

    origin: str
    messages: tuple[tuple[Role, RawBlocks], ...]


class RepairNote(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one repair step did: rule, place, action, what was kept."""

    rule: str
    origin: str
    action: str
    kept: str


class HistoryRepaired(Event, frozen=True):
    """The view was repaired once and for all; the original records stay (P4)."""

    repair_id: str
    notes: tuple[RepairNote, ...]
    edits: tuple[MessageEdit, ...]


class RepairUndone(Event, frozen=True):
    """A repair was taken back."""

    repair_id: str


class HistoryRewound(Event, frozen=True):
    """The view ends before the prompt `prompt_id`; everything after it is hidden, not deleted."""

    prompt_id: str
