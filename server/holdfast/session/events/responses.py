"""Events about one request, its response, and what follows a failure."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

import msgspec

from holdfast.session.events.base import Event
from holdfast.session.failures import Failure


class CutCause(StrEnum):
    """Why a response ended before it was complete."""

    FAILURE = "failure"
    OUTPUT_LIMIT = "outputLimit"
    PIECE = "piece"  # it was as long as it was asked to be, where answers die of age
    WINDOW_FULL = "windowFull"
    STOPPED = "stopped"
    RESTART = "restart"
    GIVEN_UP = "givenUp"


class RequestStarted(Event, frozen=True):
    """A request is about to be sent. `attempt` counts from 1 since the last progress."""

    turn_id: str
    attempt: int
    model: str


class ResponseStarted(Event, frozen=True):
    """The API accepted the request. `input_tokens` is the whole prompt's count."""

    LAZY: ClassVar[bool] = True
    message_id: str
    model: str
    input_tokens: int
    request_id: str | None = None


class BlockStarted(Event, frozen=True):
    """A block of the response began."""

    LAZY: ClassVar[bool] = True
    index: int
    kind: str
    name: str = ""


class BlockDelta(Event, frozen=True):
    """More of a block. Many deltas of the stream may be joined in one."""

    LAZY: ClassVar[bool] = True
    index: int
    kind: Literal["text", "thinking", "toolInput"]
    text: str


class BlockFinished(Event, frozen=True):
    """A block is complete, as assembled from the raw stream."""

    LAZY: ClassVar[bool] = True
    index: int
    block: msgspec.Raw


class Usage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Token counts of one response, as the API reported them."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    @property
    def context_tokens(self) -> int:
        """All tokens that were in the window when the response ended."""
        return (
            self.input_tokens
            + self.cache_creation_input_tokens
            + self.cache_read_input_tokens
            + self.output_tokens
        )

    def plus(self, other: Usage) -> Usage:
        """Return the sums of both."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens
            + other.cache_creation_input_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class ResponseFinished(Event, frozen=True):
    """The response is complete; its blocks are now part of the history.

    `age_ms` is how long its request had lived, 0 where that was not measured.
    """

    message_id: str
    stop_reason: str
    usage: Usage = Usage()
    detail: str = ""
    age_ms: int = 0


class ResponseCut(Event, frozen=True):
    """The response ended early. Text that arrived is kept; open tool input is never executed.

    `age_ms` is how long the request had lived that ended at a limit of its length.
    """

    cause: CutCause
    detail: str = ""
    age_ms: int = 0


class RequestFailed(Event, frozen=True):
    """A request failed; the server's own words are in `failure` (P12).

    `body_bytes` and `context_tokens` are how large the request was, when it was refused for its
    size; estimates. `age_ms` is how long it had lived, 0 where that was not measured.
    """

    turn_id: str
    attempt: int
    failure: Failure
    body_bytes: int = 0
    context_tokens: int = 0
    age_ms: int = 0


class DurationCapLearned(Event, frozen=True):
    """Something on the way ends requests when they are `after_ms` old, twice seen: from now on an
    answer is asked for in pieces of `answer_tokens`.
    """

    after_ms: int
    answer_tokens: int


class RetryScheduled(Event, frozen=True):
    """The same request will be sent again at `retry_at_ms` (wall clock)."""

    attempt: int
    retry_at_ms: int
    reason: str


class TurnPaused(Event, frozen=True):
    """The turn waits for its cause to go away. `retry_at_ms`: when it tries again by itself."""

    reason: str
    message: str
    advice: str
    retry_at_ms: int | None = None


class ProbeFailed(Event, frozen=True):
    """The endpoint was looked at for a paused turn, which cannot go on yet.

    `failure` is what stood in the way; the next look is at `retry_at_ms` (wall clock).
    """

    LAZY: ClassVar[bool] = True
    failure: Failure
    retry_at_ms: int


class TurnResumed(Event, frozen=True):
    """A paused or waiting turn goes on: a person wants it, its time has come, the endpoint answers
    again, or the machine has slept.
    """

    by: Literal["user", "timer", "probe", "wake"]
