"""What a person is told while a session does not simply go on, and what can be done about it.

Law: pure data. Every way of not going on has one row: tone, title, text and offers. What is said
and offered about a failure is its cause's or its kind's (`failures.explain`), never repeated here;
the API's own words are `raw`, behind a click (P12). Nothing here changes by the clock: times are
given, not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from holdfast.session.causes import Explanation, Offer
from holdfast.session.failures import POLICIES, TRIED, Failure, FailureKind, explain, raw_words
from holdfast.session.state import (
    COMPACTION_CANCELLED,
    INTERRUPTED,
    LOOKING_BACK,
    NO_ROOM,
    Phase,
)

Tone: TypeAlias = Literal["info", "warning", "error"]

STORAGE: Final = "storage"
"""The reason of a pause that is in no journal: the journal cannot be written."""


@attrs.frozen
class Action:
    """A command to offer. Without an `argument` it needs a person's input first."""

    title: str
    command: str
    argument: Mapping[str, Any] | None = None
    primary: bool = False


@attrs.frozen
class Banner:
    """What is shown. `due` is when what the title says happens, `since` when the trouble began
    (wall clock, milliseconds).
    """

    tone: Tone
    title: str
    text: str
    due: int | None = None
    raw: str | None = None
    actions: tuple[Action, ...] = ()
    since: int | None = None


@attrs.frozen
class _Offer:
    """A row's action. `asks`: it needs a person's input."""

    title: str
    command: str
    asks: bool = False

    def to(self, session_id: str, *, primary: bool) -> Action:
        argument = None if self.asks else {"sessionId": session_id}
        return Action(self.title, self.command, argument, primary)


_CONTINUE: Final = _Offer("Continue", "holdfast.turn.resume")
_RETRY: Final = _Offer("Retry now", "holdfast.turn.retry")
_STOP: Final = _Offer("Stop", "holdfast.turn.stop")
_CANCEL: Final = _Offer("Cancel", "holdfast.session.cancelCompaction")
_SET_KEY: Final = _Offer("Set API key", "holdfast.credentials.set", asks=True)
_OTHER_MODEL: Final = _Offer("Other model or endpoint", "holdfast.model.select", asks=True)
_EDIT: Final = _Offer("Edit prompt", "holdfast.session.rewind", asks=True)
_DIAGNOSE: Final = _Offer("Diagnose", "holdfast.doctor.run")

_OFFERS: Final[Mapping[Offer, _Offer]] = {
    Offer.RESUME: _CONTINUE,
    Offer.SET_KEY: _SET_KEY,
    Offer.OTHER_MODEL: _OTHER_MODEL,
    Offer.EDIT: _EDIT,
    Offer.DIAGNOSE: _DIAGNOSE,
}
_PAUSED: Final = (_CONTINUE, _OTHER_MODEL, _EDIT)
_PAUSED_FOR: Final[Mapping[str, tuple[_Offer, ...]]] = {
    INTERRUPTED: (_CONTINUE, _EDIT),
    COMPACTION_CANCELLED: (_CONTINUE, _OTHER_MODEL),
    NO_ROOM: (_OTHER_MODEL, _EDIT, _CONTINUE),
    STORAGE: (_DIAGNOSE,),
}
"""What is offered for the reason of a pause that is no failure, the likeliest remedy first."""

_HELD_UP: Final = (_RETRY, _DIAGNOSE, _OTHER_MODEL, _STOP)
"""What a turn offers that waits for the other side; always the same: none moves under a hand."""

_ALWAYS: Final = (_DIAGNOSE, _STOP)
"""What every pause offers behind its own remedies."""

_KINDS: Final = {kind.value: kind for kind in FailureKind}

_LABELS: Final[Mapping[Phase, str]] = {
    Phase.IDLE: "",
    Phase.QUEUED: "queued",
    Phase.COMPACTING: "compacting",
    Phase.REQUESTING: "thinking",
    Phase.STREAMING: "streaming",
    Phase.ASKING: "asking",
    Phase.RUNNING_TOOLS: "running tools",
    Phase.REPAIRING: "repairing",
    Phase.WAITING: "waiting",
    Phase.PAUSED: "paused",
}


def label(
    phase: Phase, *, silent: bool, percentage: int | None, read_only: bool, again: bool = False
) -> str:
    """Return the whole state in a few words, for lists and status bars; empty when idle.

    `again`: a request that has failed is under way once more.
    """
    words = ["trying again" if again else "silent" if silent else _LABELS[phase]]
    if percentage is not None:
        words = [*(words if phase is not Phase.COMPACTING else ()), f"compacting {percentage} %"]
    if read_only:
        words.append("open elsewhere")
    return ", ".join(word for word in words if word)


def read_only(owner: str) -> Banner:
    """Another server owns the session."""
    text = f"Another Holdfast server owns this session: {owner}. Close it there to go on here."
    return Banner("info", "Read only here", text)


def paused(
    session_id: str,
    *,
    reason: str,
    message: str,
    advice: str,
    due: int | None = None,
    failure: Failure | None = None,
    probe: Failure | None = None,
    attempts: int = 0,
    since: int | None = None,
) -> Banner:
    """A person, or a probe that is `due`, must lift the cause.

    `failure`: the newest one. `probe`: what the last look at the endpoint met since. `attempts`:
    how often the request was sent in vain.
    """
    known = _explained(reason, failure)
    says, helps = (known.says, known.advice) if known else (message, advice)
    raw = raw_words(failure) if failure is not None and failure.kind.value == reason else None
    offers = _PAUSED_FOR.get(reason, _PAUSED)
    if known is not None:
        offers = tuple(_OFFERS[offer] for offer in known.actions)
    offers = (*offers, *(offer for offer in _ALWAYS if offer not in offers))
    if due is None:
        return Banner(
            "error", says.rstrip("."), helps, raw=raw, actions=_actions(session_id, offers)
        )
    tried = f" {attempts} attempts were in vain." if attempts > 1 else ""
    text = f"{says}{tried} {helps}"
    if probe is not None and (now := explain(probe).says) != says:
        text, raw = f"{text} Last look: {now}", raw_words(probe)
    actions = _actions(session_id, tuple(_RETRY if o is _CONTINUE else o for o in offers))
    return Banner("warning", "Paused, trying again", text, due, raw, actions, since)


def waiting(
    session_id: str,
    *,
    reason: str,
    attempt: int,
    due: int,
    failure: Failure | None,
    since: int | None = None,
) -> Banner:
    """The same request is sent again at a known time, as the `attempt` of that number."""
    if reason == LOOKING_BACK:
        title = "Looking for the endpoint before"
        text = "The turn begins as soon as it has answered, or without it."
        return Banner("info", title, text, due, actions=_actions(session_id, (_STOP,)))
    known = _explained(reason, failure)
    says = known.says if known else "The API did not answer."
    helps = known.advice if known else "Nothing is lost."
    tries = f" Attempt {attempt} comes next." if attempt > 1 else ""
    raw = raw_words(failure) if failure is not None else None
    actions = _actions(session_id, _HELD_UP)
    return Banner("warning", "Trying again", f"{says}{tries} {helps}", due, raw, actions, since)


def again(session_id: str, *, attempt: int, failure: Failure, since: int | None = None) -> Banner:
    """The same request is under way once more, and nothing has come of it yet."""
    known = explain(failure)
    text = f"{known.says} Attempt {attempt} is under way. {known.advice}"
    actions = _actions(session_id, _HELD_UP)
    return Banner("warning", "Trying again", text, None, raw_words(failure), actions, since)


def _explained(reason: str, failure: Failure | None) -> Explanation | None:
    """Return what is told of a reason that is a failure's kind; of the failure itself if known."""
    kind = _KINDS.get(reason)
    if kind is None:
        return None
    if failure is not None and failure.kind is kind:
        return explain(failure)
    policy = POLICIES[kind]
    return Explanation(policy.says, policy.advice, TRIED[policy.remedy], policy.actions)


def repairing(session_id: str, failure: Failure | None) -> Banner:
    """The API refused a request, and it is being found out which part of it."""
    text = "The API refused the request. It is being found out which part of it, free of charge."
    raw = raw_words(failure) if failure is not None else None
    return Banner(
        "info", "Repairing the conversation", text, None, raw, _actions(session_id, (_STOP,))
    )


def compacting(
    session_id: str,
    *,
    step: str = "",
    percentage: int | None = None,
    attempt: int = 1,
    cause: str | None = None,
    due: int | None = None,
) -> Banner:
    """A compaction is under way. `due`: when its next attempt begins."""
    far = "" if percentage is None else f", {percentage} %"
    again = "" if due is None else ", trying again"
    tries = f"attempt {attempt}" if attempt > 1 else ""
    text = " · ".join(part for part in (step[:1].upper() + step[1:], tries, cause) if part)
    title = f"Compacting the conversation{far}{again}"
    offers = (_CANCEL,) if due is None else (_CANCEL, _RETRY)
    actions = tuple(offer.to(session_id, primary=False) for offer in offers)
    return Banner("info", title, text or "Typing goes on meanwhile.", due, actions=actions)


def silent(session_id: str, due: int | None) -> Banner:
    """Nothing arrives on an open stream. `due`: when it is cut."""
    actions = _actions(session_id, _HELD_UP)
    if due is None:
        text = "The request is under way. If the silence goes on, it is sent again by itself."
        return Banner("warning", "No answer has begun yet", text, actions=actions)
    text = "What arrived is kept, and the turn then goes on by itself."
    return Banner("warning", "Nothing heard, the stream is cut", text, due, actions=actions)


def _actions(session_id: str, offers: tuple[_Offer, ...]) -> tuple[Action, ...]:
    return tuple(offer.to(session_id, primary=n == 0) for n, offer in enumerate(offers))
