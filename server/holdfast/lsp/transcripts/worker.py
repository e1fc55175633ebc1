"""The process that reads transcripts for a language server, so that the server need not.

Law: one request at a time, in order, each answered exactly once, whatever the file holds; what goes
wrong costs that request only. A thread reads what comes in, so that a request can be cancelled
while it is being answered: it ends at its next report of progress. At the end of the input, when
the server is gone, the process ends at once. Views of the documents that were asked about last are
kept. pygls, lsprotocol and the SDK are never loaded here.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from holdfast.conversation import encoding
from holdfast.lsp.transcripts import files
from holdfast.lsp.transcripts import messages as m
from holdfast.lsp.transcripts.view import View
from holdfast.transcripts import formats, repairing

VIEWS_MAX: Final = 4
"""Documents whose views are kept."""
PROGRESS_GAP_S: Final = 0.1
READING: Final = "reading"
CHECKING: Final = "checking"
NICENESS: Final = 5
"""Whoever waits for a diagnosis of 100 MB waits; whoever types does not."""


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """Reads requests from `source`, writes answers to `sink`."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._waiting: queue.SimpleQueue[m.Request] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._current = 0
        self._told_at = 0.0
        self._views: dict[str, tuple[View, int | None]] = {}
        self._sessions = files.Sessions()
        self._methods: Mapping[str, Callable[[m.Request], Any]] = {
            m.RECOGNISE: _recognised,
            m.DIAGNOSE: self._diagnosed,
            m.CHECK: lambda request: files.check(_path(request), self.progress),
            m.REPAIR: lambda request: files.repair(_path(request), request.params, self.progress),
            m.FOLDER: lambda request: files.folder(_path(request)),
            m.LIST: lambda request: self._sessions.listed(request.params.get("folder")),
            m.FORGET: self._forgotten,
        }

    def run(self) -> None:
        """Answer requests, for ever: the end of the input ends the process."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while True:
            request = self._waiting.get()
            self._current, self._told_at = request.id, 0.0
            self._tell(request.id, self._answer(request))
            if request.method == m.DIAGNOSE and self._waiting.empty():
                self._warm(request)
            self._cancelled.discard(request.id)

    def progress(self, done: int, total: int) -> None:
        """Say how far reading is, not too often. Raises `Cancelled` when nobody waits for it."""
        self._reached(done, total, READING)

    def _reached(self, done: int, total: int, phase: str) -> None:
        if self._current in self._cancelled:
            raise Cancelled
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_GAP_S:
            self._told_at = now
            self._tell(self._current, {"progress": m.Reached(done, total, phase)})

    def _tell(self, request_id: int, members: Mapping[str, Any]) -> None:
        value = {"id": request_id, **members}
        try:
            line = msgspec.json.encode(value)
        except UnicodeEncodeError:  # lone surrogates, which a transcript may hold
            line = encoding.encode(msgspec.to_builtins(value)).encode()
        self._sink.write(line + b"\n")
        self._sink.flush()

    def _read(self) -> None:
        decode = msgspec.json.Decoder(m.Request).decode
        for line in self._source:
            request = decode(line)
            if request.cancel is None:
                self._waiting.put(request)
            else:
                self._cancelled.add(request.cancel)
        # The server is gone: nobody will read what is being made.
        os._exit(0)

    def _answer(self, request: m.Request) -> dict[str, Any]:
        try:
            self.progress(0, 0)
            return {"result": self._methods.get(request.method, self._viewed)(request)}
        except Cancelled:
            return _error(m.CANCELLED, "The request was cancelled.", "")
        except files.Refused as refused:
            return _error(refused.kind, refused.message, refused.action)
        except repairing.FileChangedError as error:
            return _error("FileChanged", f"{error}.", "Try again when nobody writes to it.")
        except OSError as error:
            words = f"{request.path}: {error.strerror or error}."
            return _error("FileUnreadable", words, "Check the path and its permissions.")
        except Exception as error:  # noqa: BLE001 (the one guard of requests)
            traceback.print_exc(file=sys.stderr)
            return _error(
                "InternalError",
                f"Holdfast failed inside while reading a transcript ({type(error).__name__}).",
                "The file is as it was. Look at the server's log, and report it.",
            )

    # -- documents -------------------------------------------------------------------------------

    def _viewed(self, request: m.Request) -> Any:
        return self._view(request).answer(request.method, request.params)

    def _diagnosed(self, request: m.Request) -> Any:
        found: Any = None
        view = self._view(request)
        for part in view.diagnostics(request.params["uri"], request.params["encoding"]):
            if found is not None:
                self._tell(request.id, {"partial": found})
            self._reached(0, 0, CHECKING)
            found = part
        return found or []

    def _warm(self, request: m.Request) -> None:
        """Make ahead what an editor asks next about a document that was just judged."""
        view, _ = self._views.get(request.uri, (None, None))
        try:
            if view is not None:
                view.warm(request.params["encoding"])
        except Exception:  # noqa: BLE001 (nobody asked; whoever does is told)
            traceback.print_exc(file=sys.stderr)

    def _view(self, request: m.Request) -> View:
        """Return the view of a document as it is now. Raises `OSError`, `Refused`, `Cancelled`."""
        known, version = self._views.pop(request.uri, (None, None))
        if request.version is None:
            view = _of_path(request, known if version is None else None, self.progress)
        elif known is not None and version == request.version:
            view = known
        elif request.text is None:
            raise files.Refused(m.TEXT_WANTED, "The text is not known.", "Send it.")
        else:
            view = View.of_text(Path(request.path), request.text, progress=self.progress)
        self._views[request.uri] = (view, request.version)
        while len(self._views) > VIEWS_MAX:
            del self._views[next(iter(self._views))]
        return view

    def _forgotten(self, request: m.Request) -> None:
        self._views.pop(request.uri, None)


def _of_path(request: m.Request, known: View | None, progress: Callable[[int, int], None]) -> View:
    path = _path(request)
    if known is not None and known.is_current():
        return known
    return View.of_path(path, known=known, progress=progress)


def _recognised(request: m.Request) -> str | None:
    head = request.params.get("head")
    reader = (
        formats.recognised(_path(request))
        if head is None
        else formats.sniff(head.encode(errors="replace"))
    )
    return None if reader is None else reader.format


def _path(request: m.Request) -> Path:
    """Return the file that is meant. Raises `Refused` for what is none: a pipe never ends."""
    path = Path(request.path)
    if path.exists() and not path.is_file():
        raise files.Refused("NotAFile", f"{path} is not a file.", "Name a transcript.")
    return path


def _error(kind: str, message: str, action: str) -> dict[str, Any]:
    return {"error": m.Refusal(kind, message, action)}


def main() -> None:
    """Serve the process's standard streams; what is printed by mistake goes to the log."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if sys.platform != "win32":
        os.nice(NICENESS)
    Worker(sys.stdin.buffer, sink).run()


if __name__ == "__main__":
    main()
