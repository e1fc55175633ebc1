"""A supervisor and a link to an editor for tests: real implementations of the ports, scripted.

Law: the supervisor's journal is a list that the test appends to; followers get it in batches whose
sizes the test chooses, and always in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from holdfast.agent.api import Batch, SessionView, Status
from holdfast.agent.errors import UnknownQuestion
from holdfast.journal.store import SessionUnknown
from holdfast.session.events import Event, TodosUpdated
from holdfast.session.inputs import Recorded

SESSION = "s_1"


def blank_view(seq: int, status: Status, **more: Any) -> SessionView:
    return SessionView(
        session_id=SESSION,
        title="A session",
        workspace_uri=None,
        model=None,
        phase=status.phase,
        seq=seq,
        archived=False,
        updated_at_ms=0,
        status=status,
        context_tokens=0,
        window_tokens=1,
        output_tokens=0,
        **more,
    )


class ScriptedSupervisor:
    """One session. Its methods that tests do not need are not there."""

    def __init__(self, batch_size: Callable[[], int] = lambda: 512) -> None:
        self.journal: list[Recorded] = []
        self.current = Status(SESSION, "idle")
        self.view_extras: dict[str, Any] = {}
        self.followers = 0
        self.closed_feeds = 0
        self.deleted = False
        self.calls: list[tuple[str, ...]] = []
        self.open_questions: set[str] = set()
        self._batch_size = batch_size
        self._status_no = 0
        self._changed = asyncio.Event()

    def happen(self, *events: Event) -> None:
        for event in events or (TodosUpdated(todos=()),):
            self.journal.append(Recorded(len(self.journal) + 1, 1000, event))
        self._wake()

    def be(self, phase: str, **more: Any) -> None:
        self.current = Status(SESSION, phase, **more)
        self._status_no += 1
        self._wake()

    def close_feeds(self) -> None:
        self.closed_feeds += 1
        self._wake()

    async def view(self, session_id: str) -> SessionView:
        if self.deleted or session_id != SESSION:
            raise SessionUnknown(session_id)
        return blank_view(len(self.journal), self.current, **self.view_extras)

    async def follow(self, session_id: str, since_seq: int) -> AsyncIterator[Batch]:
        await self.view(session_id)
        self.followers += 1
        seq, status_no, feed_no = since_seq, -1, self.closed_feeds
        try:
            while feed_no == self.closed_feeds:
                changed = self._changed
                events = tuple(self.journal[seq : seq + max(1, self._batch_size())])
                status = self.current if status_no != self._status_no else None
                if events or status:
                    seq, status_no = seq + len(events), self._status_no
                    yield Batch(events, status)
                else:
                    await changed.wait()
        finally:
            self.followers -= 1

    async def stop(self, session_id: str) -> str:
        self.calls.append(("stop", session_id))
        return "idle"

    async def cancel_compaction(self, session_id: str) -> None:
        self.calls.append(("cancel_compaction", session_id))

    async def answer(self, question_id: str, answer: str) -> None:
        self.calls.append(("answer", question_id, answer))
        if question_id not in self.open_questions:
            raise UnknownQuestion(question_id)
        self.open_questions.remove(question_id)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@attrs.define
class Sent:
    """A request to the editor that waits for its answer."""

    method: str
    params: Any
    answer: asyncio.Future[Any]
    withdrawn: bool = False


class RecordingLink:
    """An editor's end: keeps what it is sent; requests wait until the test answers them."""

    def __init__(self) -> None:
        self.busy = False
        self.notified: list[tuple[str, Any]] = []
        self.requests: list[Sent] = []
        self._changed = asyncio.Event()

    async def ask(self, method: str, params: Any, timeout_s: float | None) -> Any:
        sent = Sent(method, params, asyncio.get_running_loop().create_future())
        self.requests.append(sent)
        self._wake()
        try:
            async with asyncio.timeout(timeout_s):
                return await sent.answer
        except asyncio.CancelledError:
            sent.withdrawn = True
            self._wake()
            raise

    def notify(self, method: str, params: Any) -> None:
        self.notified.append((method, params))
        self._wake()

    def refuse(self, sent: Sent) -> None:
        sent.answer.set_exception(JsonRpcException("not supported"))

    def progress(self, token: object = None) -> list[Any]:
        """Return the values of `$/progress`, of one token or of all."""
        return [
            params.value
            for method, params in self.notified
            if method == types.PROGRESS and token in (None, params.token)
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                changed = self._changed
                # Some conditions are about tasks that tell nobody; look again soon.
                await asyncio.wait([asyncio.ensure_future(changed.wait())], timeout=0.02)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
