"""Events about the session itself and about history that came from elsewhere."""

from __future__ import annotations

from typing import Literal

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


class EndpointSelected(Event, frozen=True):
    """Later requests go to `endpoint`; "" is the first one. There `model` is asked for (None means
    the setting's default), which that endpoint calls `there`.

    `reason` is `user`, `failover` (the endpoint before did not answer, and the person's list named
    this one), `back` (a person went back to the first), `returned` (the one that a fail-over had
    left answers again) or `begun` (the session begins there); `said` is what changes by it.
    """

    endpoint: str
    model: str | None
    reason: Literal["user", "failover", "back", "returned", "begun"]
    there: str = ""
    said: str = ""


class SessionRecovered(Event, frozen=True):
    """A new owner opened a session whose owner had gone while it was in `phase`."""

    phase: str
    generation: int


class DiagnosisRecorded(Event, frozen=True):
    """The way to the endpoint was examined for a turn that waits. Changes nothing of the turn.

    `verdict` is `healthy` or the cause; `report` is all that was looked at, in Markdown.
    """

    verdict: str
    says: str
    advice: str
    report: str = ""


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


class RepairCause(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The refusal that a repair answers, and the rung of the ladder that was taken.

    `head` is the newest record of the history then, `place` the record (and block) or the tool that
    was changed, `fragment` the refusal's words without its position; `words` are all of them (P12).
    `checked`: the API's free count accepted the result before it was sent.
    """

    rung: str
    head: str = ""
    place: str = ""
    fragment: str = ""
    rule: str = ""
    words: str = ""
    request_id: str | None = None
    checked: bool = False


class HistoryRepaired(Event, frozen=True):
    """The view was repaired once and for all; the original records stay (P4).

    With `drop_mismatched_thinking` later requests ask the API to pass over thinking that is bound
    to another history (R72); with false they no longer do. `left_out` names tools that are not
    offered to the model any more.
    """

    repair_id: str
    notes: tuple[RepairNote, ...]
    edits: tuple[MessageEdit, ...]
    cause: RepairCause | None = None
    drop_mismatched_thinking: bool | None = None
    left_out: tuple[str, ...] = ()


class RepairUndone(Event, frozen=True):
    """A repair was taken back."""

    repair_id: str


class HistoryRewound(Event, frozen=True):
    """The view ends before the prompt `prompt_id`; everything after it is hidden, not deleted."""

    prompt_id: str
