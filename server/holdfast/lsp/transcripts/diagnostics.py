"""The diagnostics of the transcripts that are open in one editor.

Law: which documents are transcripts is told by what is in them. What is wrong with one is said as
soon as it is known, in up to three parts, and again whenever its text or its file has changed: a
session that is being written is followed. A client that pulls diagnostics is never sent them too.
A text that is not saved is judged as it stands if it is kept (`documents.KEPT_MAX`), else as saved.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import msgspec
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.uris import to_fs_path

from holdfast.lsp import wire
from holdfast.lsp.transcripts import messages as m
from holdfast.lsp.transcripts.asking import Ask, Place
from holdfast.lsp.transcripts.workers import WorkerRefused

if TYPE_CHECKING:
    from holdfast.lsp.documents import Document
    from holdfast.lsp.server import HoldfastServer

logger = logging.getLogger(__name__)

DEBOUNCE_S: Final = 0.4
"""How long nobody has typed before a text is judged."""
LOOK_EVERY_S: Final = 2.0
"""How often open files are looked at for growth."""
GATHER_S: Final = 0.05
REFRESH_TIMEOUT_S: Final = 10.0
HEAD_CHARS: Final = 64 * 1024
_MARKS: Final = ('"parentUuid"', '"sessionId"', '"leafUuid"', '"payload"', '"role"')
"""A document that begins as JSON does and has one of these in its head may be a transcript."""
_NONE: Final = b"[]"
_EXPECTED: Final = frozenset({m.CANCELLED, "ContentModified", "FileUnreadable", "NotAFile"})
"""Why a document is not judged without anybody having to know."""

Stamp = tuple[int, int]


@attrs.define(eq=False)
class Followed:
    """An open document that may be a transcript, and what is known about it.

    `saved`: the file holds the text, as far as we know; `is_kept`: so do we. `stamp` is size and
    time of the file that `items` are about. `serial` names `items`; `told` is the one that the
    client pulled last.
    """

    uri: str
    path: Path
    version: int | None
    size: int
    saved: bool
    is_kept: bool
    format: str | None = None
    recognised: asyncio.Event = attrs.field(factory=asyncio.Event)
    items: bytes = _NONE
    serial: int = 0
    told: int = 0
    has_part: bool = False
    complete: bool = False
    judged: bool = False
    stamp: Stamp | None = None
    run: asyncio.Task[None] | None = None
    news: asyncio.Event = attrs.field(factory=asyncio.Event)

    def changed(self) -> None:
        """Wake those who wait for something new."""
        self.news.set()
        self.news = asyncio.Event()


class Diagnostics:
    """The open documents of one connection that may be transcripts."""

    def __init__(self, server: HoldfastServer, ask: Ask) -> None:
        self._server = server
        self._ask = ask
        self._followed: dict[str, Followed] = {}
        self._looking: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._pulls = False
        self._refreshes = False

    def use(self, capabilities: types.ClientCapabilities) -> None:
        """Take what the client can do."""
        self._pulls = bool(get_capability(capabilities, "text_document.diagnostic", None))
        refresh = "workspace.diagnostics.refresh_support"
        self._refreshes = bool(get_capability(capabilities, refresh, False))

    # -- what the editor tells -------------------------------------------------------------------

    def opened(self, document: Document) -> None:
        """A document was opened."""
        if not may_be_transcript(document):
            return
        path = to_fs_path(document.uri)
        is_file = document.uri.startswith("file:") and bool(path)
        followed = Followed(
            uri=document.uri,
            path=Path(path or document.uri),
            version=document.version,
            size=document.size,
            saved=is_file,
            is_kept=document.is_kept,
        )
        self._followed[document.uri] = followed
        self._begin(followed, 0.0)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look at open transcripts")

    def changed(self, document: Document) -> None:
        """A text was changed."""
        followed = self._followed.get(document.uri)
        if followed is None:
            self.opened(document)
            followed = self._followed.get(document.uri)
            if followed is None:
                return
        followed.version, followed.size = document.version, document.size
        followed.saved, followed.is_kept = False, document.is_kept
        if followed.is_kept:
            self._begin(followed, DEBOUNCE_S)

    def saved(self, uri: str) -> None:
        """A document was saved: its file holds the text."""
        followed = self._followed.get(uri)
        if followed is not None and uri.startswith("file:"):
            followed.saved = True
            self._begin(followed, 0.0)

    def closed(self, uri: str) -> None:
        """A document was closed."""
        followed = self._followed.pop(uri, None)
        if followed is None:
            return
        if followed.run is not None:
            followed.run.cancel()
        followed.items, followed.complete, followed.format = _NONE, True, None
        followed.recognised.set()
        followed.changed()
        self._publish(followed)
        self._server.spawn(self._ask.forget(_place(followed)))

    async def close(self) -> None:
        """End with the connection."""
        tasks = [self._looking, self._refreshing, *(each.run for each in self._followed.values())]
        self._followed.clear()
        for task in tasks:
            if task is not None:
                task.cancel()

    # -- what is asked ---------------------------------------------------------------------------

    async def place(self, uri: str) -> Place | None:
        """Return the document when it is a transcript."""
        followed = self._followed.get(uri)
        if followed is None:
            return None
        await followed.recognised.wait()
        return _place(followed) if followed.format is not None else None

    def is_stale(self, uri: str) -> bool:
        """Say whether answers are about a file that does not hold the document's text."""
        followed = self._followed.get(uri)
        return followed is not None and not followed.saved and _place(followed).version is None

    async def pull(self, uri: str, previous: str | None) -> msgspec.Raw:
        """Return the report of one document as it is now.

        Waits until something is known; for all of it when the client cannot be told of more later.
        """
        followed = self._followed.get(uri)
        while followed is not None and not followed.complete:
            if followed.has_part and self._refreshes:
                break
            await followed.news.wait()
        if followed is None:
            return msgspec.Raw(b'{"kind":"full","items":[]}')
        followed.told = followed.serial
        name = wire.encode(str(followed.serial))
        if previous == str(followed.serial):
            return msgspec.Raw(b'{"kind":"unchanged","resultId":%b}' % name)
        return msgspec.Raw(b'{"kind":"full","resultId":%b,"items":%b}' % (name, followed.items))

    def look_again(self, path: Path) -> None:
        """A file was written by us."""
        for followed in self._followed.values():
            if followed.path == path and followed.saved:
                self._begin(followed, 0.0)

    # -- judging ---------------------------------------------------------------------------------

    def _begin(self, followed: Followed, delay_s: float) -> None:
        if followed.run is not None:
            followed.run.cancel()
        followed.complete = followed.has_part = False
        run = asyncio.create_task(self._judge(followed, delay_s), name="judge a transcript")
        followed.run = run
        run.add_done_callback(lambda _: self._ended(followed, run))

    async def _judge(self, followed: Followed, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if followed.saved and followed.is_kept and followed.stamp is None:
            followed.saved = await self._is_saved(followed)
        place = _place(followed)
        if place.version is None:
            # Taken before it is read: what is written meanwhile is seen as a change.
            followed.stamp = (await asyncio.to_thread(_stamps, [followed.path]))[0]
            place = attrs.evolve(place, size=followed.stamp[0] if followed.stamp else 0)
            followed.size = place.size
        try:
            if followed.format is None:
                followed.format = await self._ask.recognise(place)
            followed.recognised.set()
            if followed.format is not None:
                await self._report(followed, place)
        except WorkerRefused as refused:
            logger.warning("a transcript was not judged: %s %s", refused.message, refused.action)
            if refused.kind not in _EXPECTED:
                words = f"{refused.message} {refused.action}"
                self._server.show(types.MessageType.Warning, words)

    async def _is_saved(self, followed: Followed) -> bool:
        """Say whether the file begins with the text: editors open what was never saved, too."""
        document = self._server.documents.opened(followed.uri)
        if document is None or not document.is_kept:
            return True
        return await asyncio.to_thread(_begins_with, followed.path, document.source)

    async def _report(self, followed: Followed, place: Place) -> None:
        params = {"uri": followed.uri, "encoding": self._ask.encoding()}

        def part(items: msgspec.Raw) -> None:
            # Later, what is known stays until all of what is new is there: nothing flickers.
            if not followed.judged:
                self._take(followed, bytes(items))

        found = await self._ask.with_bar(
            f"Holdfast: checking {followed.path.name}",
            lambda reached: self._ask.ask(
                place, m.DIAGNOSE, params, on_progress=reached, on_partial=part
            ),
        )
        followed.complete = followed.judged = True
        self._take(followed, bytes(found))

    def _take(self, followed: Followed, items: bytes) -> None:
        """Take what is known by now, and tell it."""
        first = not followed.has_part and not followed.serial
        followed.has_part = True
        if items != followed.items or first:
            followed.items = items
            followed.serial += 1
            self._publish(followed)
        followed.changed()

    def _ended(self, followed: Followed, run: asyncio.Task[None]) -> None:
        """Leave nobody waiting, however a run ended, unless another one has begun."""
        error = None if run.cancelled() else run.exception()
        if error is not None:
            logger.error("a transcript could not be judged", exc_info=error)
        if followed.run is not run:
            return
        followed.run = None
        followed.complete = True
        followed.recognised.set()
        followed.changed()
        if followed.uri in self._followed and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh(), name="refresh transcripts")

    def _publish(self, followed: Followed) -> None:
        if self._pulls:
            return
        version = b"" if followed.version is None else b'"version":%d,' % followed.version
        self._server.protocol.send(
            b'{"jsonrpc":"2.0","method":"textDocument/publishDiagnostics","params":{"uri":%b,%b'
            b'"diagnostics":%b}}' % (wire.encode(followed.uri), version, followed.items)
        )

    async def _refresh(self) -> None:
        """Tell the client that there is more to pull, and that what stands on top has changed."""
        await asyncio.sleep(GATHER_S)
        behind = any(each.told != each.serial for each in self._followed.values())
        wanted = [
            (types.WORKSPACE_CODE_LENS_REFRESH, "workspace.code_lens.refresh_support", True),
            (types.WORKSPACE_INLAY_HINT_REFRESH, "workspace.inlay_hint.refresh_support", True),
            (types.WORKSPACE_DIAGNOSTIC_REFRESH, "workspace.diagnostics.refresh_support", behind),
        ]
        for method, capability, needed in wanted:
            if needed and get_capability(self._server.client_capabilities, capability, False):
                try:
                    await self._server.ask(method, None, REFRESH_TIMEOUT_S)
                except (JsonRpcException, TimeoutError) as error:
                    logger.info("the editor does not refresh: %r", error)

    # -- files that grow -------------------------------------------------------------------------

    async def _look(self) -> None:
        """Judge again whatever has been written to."""
        while self._followed:
            await asyncio.sleep(LOOK_EVERY_S)
            idle = [each for each in self._followed.values() if each.saved and each.run is None]
            stamps = await asyncio.to_thread(_stamps, [each.path for each in idle])
            for followed, stamp in zip(idle, stamps, strict=True):
                if stamp is not None and stamp != followed.stamp and followed.run is None:
                    self._begin(followed, 0.0)


def may_be_transcript(document: Document) -> bool:
    """Say whether it is worth asking what a document is: never for a source file."""
    if document.uri.endswith(".jsonl"):
        return True
    head = document.head[:HEAD_CHARS]
    return head.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and any(mark in head for mark in _MARKS)


def _place(followed: Followed) -> Place:
    as_text = not followed.saved and followed.is_kept
    return Place(
        uri=followed.uri,
        path=followed.path,
        document_version=followed.version,
        version=followed.version if as_text else None,
        size=followed.size,
    )


def _begins_with(path: Path, text: str) -> bool:
    written = text.encode(errors="replace")
    try:
        with path.open("rb") as stream:
            return stream.read(len(written)) == written
    except OSError:
        return False


def _stamps(paths: Iterable[Path]) -> list[Stamp | None]:
    found: list[Stamp | None] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return found
