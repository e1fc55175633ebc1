"""The record of what the simulator was asked: the oracle of tests.

Law: every request to the API's paths has exactly one entry, made when its body has arrived and
completed when its answer has ended, however it ended. Keys and header values are never recorded.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

_ENTRIES_MAX: Final = 10_000

Outcome = Literal["open", "answered", "refused", "faulted", "abandoned", "failed"]


class LogEntry(msgspec.Struct, kw_only=True):
    """One request.

    `at` is milliseconds since the simulator started (monotonic). `status` is None until the answer
    has ended, and for ever when the connection was broken before the headers. `rule` names the
    rule by which the request was refused, `message` the refusal's text. `outcome` is `abandoned`
    when the client went away before the end of the answer. `body` is the parsed body, None when
    it could not be read. `compaction` says that it asked for one on demand; `system` is how its
    system prompt begins, by which the requests of a summariser are told apart.
    """

    index: int
    method: str
    path: str
    at: float
    request_id: str
    status: int | None = None
    rule: str | None = None
    message: str | None = None
    step: str | None = None
    fault: str | None = None
    outcome: Outcome = "open"
    model: str | None = None
    stream: bool = False
    compaction: bool = False
    system: str = ""
    message_count: int = 0
    tool_use_count: int = 0
    input_tokens: int | None = None
    body_sha256: str = ""
    body_bytes: int = 0
    betas: list[str] = []
    body: Any = None

    def as_json(self, *, bodies: bool) -> dict[str, Any]:
        """Return the entry as `GET /_simulator/log` shows it. The rule is called `refused`."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        data["refused"] = data.pop("rule")
        if not bodies:
            del data["body"]
        return data


class Log:
    """All entries, oldest first; the oldest are forgotten beyond ten thousand."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=_ENTRIES_MAX)
        self._next_index = 0
        self._started = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def entries(self) -> Sequence[LogEntry]:
        """The entries as they are now."""
        return list(self._entries)

    def open(self, method: str, path: str, request_id: str) -> LogEntry:
        """Make the entry of a request that has just arrived."""
        at = round((time.monotonic() - self._started) * 1000, 3)
        entry = LogEntry(
            index=self._next_index, method=method, path=path, at=at, request_id=request_id
        )
        self._next_index += 1
        self._entries.append(entry)
        self.changed()
        return entry

    def clear(self) -> None:
        """Forget all entries; indices go on."""
        self._entries.clear()
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits for the log to say something."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_until(
        self, condition: Callable[[Sequence[LogEntry]], bool], timeout_s: float
    ) -> None:
        """Return as soon as `condition` holds. Raises `TimeoutError` after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not condition(self.entries):
                await self._changed.wait()
