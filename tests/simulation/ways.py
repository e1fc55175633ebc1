"""The endpoints of one world and what lies on the way to each; and what sessions may do about it.

Law: drawn from a chance of its own, so that worlds with one endpoint and nothing on the way play as
they would without this. `WaysLedger` reads events only: a session changes its endpoint in mid-turn
only when one has failed, goes back only before the first request of a turn, and believes in a limit
of ages only after two deaths at one age.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

import attrs

from holdfast.conversation.models import profile_of
from holdfast.conversation.profile import Profile
from holdfast.model import port
from holdfast.model.endpoints import kind_at
from holdfast.session import events as ev
from holdfast.session import lifetimes
from holdfast.session.causes import Cause
from holdfast.session.failover import LOOK_MS
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.state import LOOKING_BACK, SessionState
from holdfast.settings import DEFAULT_ENDPOINT, EndpointSetting, Kind

Complain = Callable[[str, str], None]

OTHER: Final = "b"
FAILOVER_S: Final = 20.0
SLACK_MS: Final = 550
"""Two deaths further apart are not of one age."""
AGES_S: Final = (None, 3.5, 5.0)
DIED: Final = Failure(
    kind=FailureKind.CUT, message="the proxy has had enough", cause=Cause.CUT_STREAM
)


class Ways:
    """The endpoints of one world, and how old an answer may become on the way from each."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(f"{seed} ways")
        self.has_other = self.chance.random() < 0.4
        kind = self.chance.choice((Kind.GATEWAY, Kind.COMPATIBLE))
        self.other = EndpointSetting(OTHER, kind, "http://b")
        self._age_s = {"": self._age(), OTHER: self._age()}
        self._down: tuple[str, ...] = ("", OTHER)

    def _age(self) -> float | None:
        return self.chance.choice(AGES_S) if self.has_other else None

    @property
    def names(self) -> tuple[str, ...]:
        """The endpoints there are; "" is the first."""
        return ("", OTHER) if self.has_other else ("",)

    @property
    def settings(self) -> dict[str, object]:
        """What the settings say of them."""
        if not self.has_other:
            return {}
        listed = (DEFAULT_ENDPOINT, OTHER)
        return {"endpoints": (self.other,), "failover": listed, "failover_s": FAILOVER_S}

    def somewhere(self) -> str | None:
        """Return an endpoint that a person chooses, or none."""
        return self.chance.choice((None, None, DEFAULT_ENDPOINT, OTHER)) if self.has_other else None

    def fails_somewhere(self) -> None:
        """Let the next outage be of one endpoint, or of all."""
        self._down = self.chance.choice((("",), (OTHER,), ("", OTHER)))

    def is_down(self, endpoint: str) -> bool:
        """Say whether an outage is one of this endpoint."""
        return not self.has_other or endpoint in self._down

    def age_s(self, endpoint: str) -> float | None:
        """Return how old an answer may become, None for ever."""
        return self._age_s[endpoint]

    def grammar(self, endpoint: str, model: str, first: Profile) -> Profile:
        """Return what an endpoint takes; `first` is the first one's grammar."""
        if endpoint == "":
            return first
        if self.other.kind is Kind.COMPATIBLE:
            return profile_of(model, kind_at(self.other))
        return first


def shortened(plan: list[port.StreamItem], most: int) -> list[port.StreamItem]:
    """Return an answer that ends when it is as long as was asked for, in tokens.

    A block of thinking, of which nothing is shown, takes half of them.
    """
    ended = plan[-1]
    assert isinstance(ended, port.ResponseEnded)
    items: list[port.StreamItem] = []
    length = 0
    for item in plan[:-1]:
        if isinstance(item, port.BlockOpened) and length >= most:
            return [*items, attrs.evolve(ended, stop_reason="max_tokens")]
        if isinstance(item, port.BlockClosed):
            thought = item.block.type == "thinking"
            length += most // 2 if thought else len(item.block.raw) // 4
        items.append(item)
    return plan


class Sees(Protocol):
    """What is known of a session when a request of it arrives."""

    @property
    def state(self) -> SessionState: ...


def check(witness: Sees, endpoint: str, request: port.ModelRequest, complain: Complain) -> None:
    """P3, P7: a turn is asked of the session's own endpoint, for no more than can live."""
    state = witness.state
    if state.endpoint != endpoint:
        complain("P3", f"{endpoint!r} is asked by a session that is at {state.endpoint!r}")
    cap = state.cap
    if cap is not None and request.max_output_tokens > cap.answer_tokens:
        complain("P7", f"{request.max_output_tokens} tokens are asked for, {cap} is known")


class WaysLedger:
    """The endpoints and ages of one session's requests, counted without the core's fold."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._endpoint = ""
        self._requests = 0
        self._left: set[str] = set()
        self._deaths: list[int] = []
        self._failed = False
        self._cap: ev.DurationCapLearned | None = None
        self._piece = False

    def before(self, event: ev.Event, at_ms: int) -> None:
        """Check an event against what was recorded before it."""
        match event:
            case ev.TurnStarted():
                self._requests, self._failed, self._left = 0, False, set()
            case ev.RequestStarted():
                self._requests, self._failed = self._requests + 1, False
            case ev.RequestFailed():
                self._failed = True
                self._died(event)
            case ev.EndpointSelected():
                self._selected(event)
            case ev.RetryScheduled() if event.reason == LOOKING_BACK:
                self._looks(event, at_ms)
            case ev.ResponseCut():
                self._piece = event.cause is ev.CutCause.PIECE
            case ev.DurationCapLearned():
                self._learned(event)
            case _:
                pass

    def _died(self, event: ev.RequestFailed) -> None:
        if event.age_ms and lifetimes.ended_by_others(event.failure):
            self._deaths.append(event.age_ms)

    def _selected(self, event: ev.EndpointSelected) -> None:
        match event.reason:
            case "failover":
                if not self._failed:
                    self._complain("P3", "a session moves though nothing has failed")
                if event.endpoint in self._left | {self._endpoint}:
                    self._complain("P3", f"a turn goes to {event.endpoint!r} for the second time")
                self._left.add(self._endpoint)
            case "returned":
                if self._requests:
                    self._complain("P3", "a session goes back in the middle of a turn")
            case _:
                self._left = set()
        self._endpoint, self._deaths, self._cap = event.endpoint, [], None

    def _looks(self, event: ev.RetryScheduled, at_ms: int) -> None:
        if self._requests:
            self._complain("P7", "it is looked back in the middle of a turn")
        if event.retry_at_ms - at_ms > LOOK_MS:
            self._complain("P7", f"a turn waits {event.retry_at_ms - at_ms} ms for a look")

    def _learned(self, event: ev.DurationCapLearned) -> None:
        known, self._cap = self._cap, event
        if known is not None and self._piece and event.answer_tokens == 2 * known.answer_tokens:
            return  # A piece of thinking alone: the next one is longer.
        ages = self._deaths
        if not any(abs(ages[-1] - age) <= max(SLACK_MS, age // 20) for age in ages[:-1]):
            self._complain("P12", f"a limit of {event.after_ms} ms is learned from {ages[-3:]}")
