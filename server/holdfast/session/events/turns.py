"""Events about prompts and turns."""

from __future__ import annotations

from enum import StrEnum

from holdfast.session.events.base import Event, RawBlocks


class TurnEnd(StrEnum):
    """Why a turn ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


class PromptAccepted(Event, frozen=True):
    """A prompt is durable and will be answered. `prompt_id` is the client's; it is taken once.

    `mentions` are the files that were mentioned: the last blocks of `content`, one for each, show
    what was in them when the prompt came.
    """

    prompt_id: str
    turn_id: str
    content: RawBlocks
    mentions: tuple[str, ...] = ()


class TurnStarted(Event, frozen=True):
    """A prompt left the queue and became part of the history."""

    turn_id: str
    prompt_id: str


class TurnEnded(Event, frozen=True):
    """A turn is over. Every turn that started has exactly one of these."""

    turn_id: str
    reason: TurnEnd


class StopRequested(Event, frozen=True):
    """A person stopped the turn. The local state obeys at once, whatever the socket does (P7)."""

    turn_id: str
