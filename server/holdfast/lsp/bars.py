"""One work-done progress: created, begun, reported at least once a second, ended.

Law: what began ends, exactly once, whatever happens in between; the percentage never goes back. A
bar that an editor does not want, or does not answer for, is not shown; the work goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

import attrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException

logger = logging.getLogger(__name__)

CREATE_TIMEOUT_S: Final = 10.0
REPORT_EVERY_S: Final = 0.9
"""Just under the second that people are promised."""
REPORT_GAP_S: Final = 0.1

Token: TypeAlias = int | str


class Link(Protocol):
    """The connection, as bars and questions use it."""

    @property
    def busy(self) -> bool:
        """Whether the editor is behind with reading."""
        ...

    async def ask(self, method: str, params: Any, timeout_s: float | None) -> Any:
        """Send a request and return its result; see `HoldfastProtocol.ask`."""
        ...

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        ...


@attrs.frozen
class Look:
    """What a bar shows. `percentage` is None when nobody knows how long it takes."""

    message: str
    percentage: int | None = None


class Bar:
    """One token's life. `look` is asked for the newest look before every message."""

    def __init__(
        self,
        link: Link,
        token: Token,
        title: str,
        look: Callable[[], Look],
        *,
        on_cancel: Callable[[], Awaitable[None]],
        create: bool,
        delay_s: float = 0.0,
    ) -> None:
        """Start the bar. `create` is false for a token that the client gave us.

        After `delay_s` it is shown, if it has not ended by then.
        """
        self.token = token
        self._link = link
        self._title = title
        self._look = look
        self._on_cancel = on_cancel
        self._create = create
        self._delay_s = delay_s
        self._percentage: int | None = None
        self._final = "Not followed any more."
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"progress {token}")

    def update(self) -> None:
        """Say that the look has changed."""
        self._changed.set()

    def end(self, message: str) -> None:
        """Say that the work is over. Later calls change nothing."""
        if not self._ended.is_set():
            self._final = message
            self._ended.set()
            self._changed.set()

    async def cancel(self) -> None:
        """The person pressed the bar's stop button."""
        await self._on_cancel()

    async def _run(self) -> None:
        if self._delay_s and await _happens(self._ended, self._delay_s):
            return
        if self._create and not await self._created():
            return
        self._changed.clear()
        self._send(self._begin())
        try:
            # Changes may come in bursts; a person reads ten a second at most.
            while not await _happens(self._ended, REPORT_GAP_S):
                await _happens(self._changed, REPORT_EVERY_S - REPORT_GAP_S)
                if not self._ended.is_set() and not self._link.busy:
                    self._changed.clear()
                    self._send(self._report())
        finally:
            self._send(types.WorkDoneProgressEnd(message=self._final))

    async def _created(self) -> bool:
        try:
            await self._link.ask(
                types.WINDOW_WORK_DONE_PROGRESS_CREATE,
                types.WorkDoneProgressCreateParams(token=self.token),
                CREATE_TIMEOUT_S,
            )
        except (JsonRpcException, TimeoutError) as error:
            logger.info("the editor shows no progress: %r", error)
            return False
        return True

    def _begin(self) -> types.WorkDoneProgressBegin:
        look = self._look()
        self._percentage = look.percentage
        return types.WorkDoneProgressBegin(
            title=self._title,
            cancellable=True,
            message=look.message,
            percentage=look.percentage,
        )

    def _report(self) -> types.WorkDoneProgressReport:
        look = self._look()
        if look.percentage is not None and self._percentage is not None:
            self._percentage = max(self._percentage, min(look.percentage, 100))
        return types.WorkDoneProgressReport(
            cancellable=True, message=look.message, percentage=self._percentage
        )

    def _send(self, value: Any) -> None:
        self._link.notify(types.PROGRESS, types.ProgressParams(token=self.token, value=value))


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
