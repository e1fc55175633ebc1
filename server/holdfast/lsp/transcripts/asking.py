"""How the server asks about a transcript, and shows that it is waiting.

Law: a text goes to a worker once for each of its versions, and only when it is asked for; a bar
ends however the asking ends, and stopping it stops the asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from holdfast.lsp.bars import Look, Token
from holdfast.lsp.transcripts import messages as m
from holdfast.lsp.transcripts.workers import WorkerRefused, Workers

if TYPE_CHECKING:
    from holdfast.lsp.server import HoldfastServer

HEAD_CHARS: Final = 256 * 1024
"""As much as is looked at of a text; see `transcripts.formats`."""
SHOWN_AFTER_S: Final = 1.0
"""What takes longer gets a bar."""

Told = Callable[[m.Reached], None]


@attrs.frozen
class Place:
    """A document to be asked about. `version` is that of its text, None for the file as it is
    saved; `document_version` is what the editor calls it in either case. `size` counts bytes.
    """

    uri: str
    path: Path
    document_version: int | None = None
    version: int | None = None
    size: int = 0


def _nothing(_: Any) -> None:
    """Is told and does nothing."""


class Ask:
    """The workers of one connection, with what the connection knows of documents."""

    def __init__(self, server: HoldfastServer, workers: Workers | None = None) -> None:
        self._server = server
        self.workers = Workers() if workers is None else workers

    def encoding(self) -> str:
        """Return the unit in which this connection counts characters."""
        encoding = self._server.workspace.position_encoding
        return str(getattr(encoding, "value", encoding) or "utf-16")

    async def ask(
        self,
        place: Place,
        method: str,
        params: dict[str, Any],
        *,
        on_progress: Told = _nothing,
        on_partial: Callable[[msgspec.Raw], None] = _nothing,
    ) -> msgspec.Raw:
        """Ask about a document and return the encoded result. Raises `WorkerRefused`."""
        lane = self.workers.lane(place.size)

        async def once(text: str | None) -> msgspec.Raw:
            request = m.Request(
                method=method,
                path=str(place.path),
                uri=place.uri,
                version=place.version,
                text=text,
                params=params,
            )
            return await lane.ask(
                request, size=place.size, on_progress=on_progress, on_partial=on_partial
            )

        try:
            return await once(None)
        except WorkerRefused as refused:
            if refused.kind != m.TEXT_WANTED:
                raise
            return await once(self._text(place))

    async def recognise(self, place: Place) -> str | None:
        """Return the format of a document, None when it is no transcript.

        Raises `WorkerRefused`.
        """
        params = {} if place.version is None else {"head": self._text(place)[:HEAD_CHARS]}
        request = m.Request(method=m.RECOGNISE, path=str(place.path), params=params)
        return msgspec.json.decode(await self.workers.small.ask(request), type=str | None)

    async def about_file(
        self, method: str, path: Path, params: dict[str, Any], title: str, token: Token | None
    ) -> msgspec.Raw:
        """Ask about a file, with a bar. Raises `WorkerRefused`; its kind is `Cancelled` when the
        bar was stopped in time: then nothing was written.
        """
        size = await asyncio.to_thread(_size, path)
        lane = self.workers.lane(size)
        request = m.Request(method=method, path=str(path), params=params)
        return await self.with_bar(
            title,
            lambda reached: lane.ask(request, size=size, on_progress=reached),
            token,
            stop=lambda: lane.stop(request),
        )

    async def with_bar(
        self,
        title: str,
        work: Callable[[Told], Coroutine[Any, Any, msgspec.Raw]],
        token: Token | None = None,
        *,
        stop: Callable[[], None] | None = None,
    ) -> msgspec.Raw:
        """Do some work under a bar that shows how far it is and that can stop it.

        The bar has the client's `token`, or else comes when the work takes time. Without `stop`
        the work is cancelled. Raises what the work raises, and `WorkerRefused` with the kind
        `Cancelled` when it was cancelled.
        """
        bars = self._server.bars
        if token is None and not bars.supported:
            return await work(_nothing)
        latest = [Look("reading", 0)]
        stopped: list[bool] = []

        async def on_stop() -> None:
            if stop is not None:
                stop()
            else:
                stopped.append(True)
                working.cancel()

        def reached(how_far: m.Reached) -> None:
            latest[0] = _look(how_far)
            bar.update()

        bar = bars.work(title, lambda: latest[0], on_stop, token=token, delay_s=SHOWN_AFTER_S)
        working = asyncio.create_task(work(reached))
        message = "Stopped."
        try:
            result = await working
            message = "Done."
        except asyncio.CancelledError:
            if not stopped:
                raise
            raise WorkerRefused(m.CANCELLED, "It was stopped.", "Nothing was changed.") from None
        else:
            return result
        finally:
            bar.end(message)

    async def forget(self, place: Place) -> None:
        """Let the worker forget a document, if there is one."""
        lane = self.workers.lane(place.size)
        if lane.process_id is not None:
            await lane.ask(m.Request(method=m.FORGET, uri=place.uri))

    def _text(self, place: Place) -> str:
        document = self._server.documents.opened(place.uri)
        if document is None or document.version != place.version:
            raise WorkerRefused(
                "ContentModified", "The document has changed meanwhile.", "Ask again."
            )
        return document.source


def _look(how_far: m.Reached) -> Look:
    if how_far.total <= 0:
        return Look(how_far.phase)
    return Look(how_far.phase, min(100, 100 * how_far.done // how_far.total))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the worker says what is wrong with it
        return 0
