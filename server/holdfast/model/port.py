"""The port through which a turn and a compaction talk to a model.

Law: one stream yields items in order and ends in exactly one of two ways: `ResponseEnded`, or
`ModelFailed` raised. A stream that merely stops is a failure (`cut`), never a finished answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, TypeAlias

import attrs

from holdfast.conversation.history import Block, Message
from holdfast.session.failures import Failure

DeltaKind: TypeAlias = Literal["text", "thinking", "toolInput"]


@attrs.frozen
class ModelRequest:
    """One request, complete: what is in here is what is sent, in these bytes.

    `tools` are tool definitions in the API's shape, already normalised. `system` may be empty.
    `first_byte_timeout_s` bounds the wait for an answer, `idle_cut_s` silence of the stream,
    `progress_cut_s` a stream that brings heartbeats and nothing else.
    With `tools_allowed` False the tools are sent but may not be called. With
    `drop_mismatched_thinking` the API passes over thinking that is bound to another history instead
    of refusing it (R72). Without `cache_marks` nothing is marked for the prompt cache (R82).
    With `compaction` set the API is asked to compact `messages` instead of answering them
    (specification §6, on demand): the answer is one block of the type `compaction` and ends with
    the stop reason `compaction`; a text that is not empty takes the place of its own instructions.
    """

    model: str
    system: str
    tools: tuple[Mapping[str, Any], ...]
    messages: tuple[Message, ...]
    max_output_tokens: int
    first_byte_timeout_s: float = 120.0
    idle_cut_s: float = 90.0
    progress_cut_s: float = 600.0
    tools_allowed: bool = True
    drop_mismatched_thinking: bool = False
    cache_marks: bool = True
    compaction: str | None = None


@attrs.frozen
class ResponseOpened:
    """`message_start`: the API accepted the request. Token counts are the whole prompt's."""

    message_id: str
    model: str
    request_id: str | None
    input_tokens: int


@attrs.frozen
class BlockOpened:
    """A content block began at `index`; `name` is set for tool uses."""

    index: int
    type: str
    name: str = ""


@attrs.frozen
class BlockDelta:
    """More of the block at `index`. `text` may hold several deltas joined in order."""

    index: int
    kind: DeltaKind
    text: str


@attrs.frozen
class BlockClosed:
    """The block at `index` is complete; `block` is assembled from the raw events."""

    index: int
    block: Block


@attrs.frozen
class Heartbeat:
    """A ping: the connection lives, nothing else happened."""


@attrs.frozen
class ResponseEnded:
    """`message_stop`, or `message_delta` with a stop reason followed by the end of the stream.

    `usage` holds the API's own numbers (cumulative, missing ones kept from `message_start`).
    """

    stop_reason: str
    stop_details: Mapping[str, Any] | None
    usage: Mapping[str, Any]


StreamItem: TypeAlias = (
    ResponseOpened | BlockOpened | BlockDelta | BlockClosed | Heartbeat | ResponseEnded
)


class ModelFailed(Exception):
    """A request failed; `failure` says how, in the API's own words.

    `unsent_ms` is how long it took until it was sent at all: the first one waits for the SDK.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind}: {failure.message}")
        self.failure = failure
        self.unsent_ms = 0


@attrs.frozen
class Capabilities:
    """What one model can do. Sizes in tokens; `source` is `endpoint`, `table` or `default`.

    `compaction` says that it compacts on demand (`ModelRequest.compaction`).
    """

    model: str
    window_tokens: int
    max_output_tokens: int
    source: str = "default"
    compaction: bool = False


@attrs.frozen
class Probe:
    """What a look at the endpoint found, which generates nothing and costs nothing.

    `ok`: the endpoint answers, so that a request is worth sending; a refusal of the look itself
    (a key, a path that a gateway does not have) is an answer too. `failure` is what it said or what
    stood in the way, None when all was well. `latency_ms` is how long the answer took.
    """

    ok: bool
    failure: Failure | None = None
    latency_ms: int = 0


class Model(Protocol):
    """A model behind an endpoint. Implementations are safe to share between sessions."""

    def stream(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamItem]]:
        """Open one streamed response. Leaving the context closes the connection at once.

        Entering and iterating raise `ModelFailed` for every failure of transport or API;
        cancellation passes through untouched.
        """
        ...

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens a request has. Free, and refused by the same rules as a request.

        Raises `ModelFailed` like `stream`; an endpoint without it answers 404, 405 or 501.
        """
        ...

    async def capabilities(self, model: str) -> Capabilities:
        """Return what `model` can do; never fails, falls back to the built-in table."""
        ...

    async def models(self) -> Sequence[Capabilities]:
        """Return the models that the endpoint has. Raises `ModelFailed`."""
        ...

    async def probe(self) -> Probe:
        """Look whether the endpoint answers at all. Never a generation, bounded, never raises."""
        ...

    async def drop_connections(self) -> None:
        """Forget pooled connections: the next request opens a new one, open streams go on.

        For the moment when none of them can be trusted any more: the machine has slept, or the
        network is another one. Never raises.
        """
        ...

    async def close(self) -> None:
        """Close pooled connections."""
        ...
