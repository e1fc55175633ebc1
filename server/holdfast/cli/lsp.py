"""`holdfast lsp`: the language server on stdio.

Law: stdout belongs to the protocol; the log goes to stderr or to a file of the user's own. Until
the host process exists, everything runs in the one process, with or without `--in-process`.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.agent.supervisor import Supervisor
    from holdfast.app import Application
    from holdfast.settings import Settings


def run(*, data_dir: Path | None, log_file: Path | None) -> int:
    """Serve one editor until it is gone. Ends the process; returns only in type."""
    # Imports make half a million objects that live for ever: collecting garbage while they are
    # made is lost time, and freezing them spares every later collection.
    gc.disable()
    from holdfast.lsp.connection import run_stdio
    from holdfast.lsp.server import HoldfastServer

    gc.freeze()
    gc.enable()
    _log_to(log_file)
    environ = dict(os.environ)
    if data_dir is not None:
        environ["HOLDFAST_DATA_DIR"] = str(data_dir.absolute())
    parts = _Parts()

    async def serve() -> int:
        server = HoldfastServer(
            parts.compose,
            environ=environ,
            reconfigure=parts.reconfigure,
            take_news=parts.take_news,
        )
        return await run_stdio(server)

    status = asyncio.run(serve())
    # Everything is closed. A worker thread in the middle of importing the SDK would hold up the
    # interpreter's own way out for seconds, and the editor with it.
    logging.shutdown()
    os._exit(status)


class _Parts:
    """The parts behind the protocol, imported after `initialize` was answered (S1)."""

    def __init__(self) -> None:
        self._application: Application | None = None

    async def compose(self, settings: Settings) -> Supervisor:
        """Import and build everything; see `Application.compose`."""
        app = await asyncio.to_thread(importlib.import_module, "holdfast.app")
        if self._application is None:
            self._application = app.Application()
        return await self._application.compose(settings)

    def take_news(self) -> str | None:
        """See `Application.take_news`."""
        return None if self._application is None else self._application.take_news()

    def reconfigure(self, settings: Settings) -> None:
        """Pass changed settings on."""
        if self._application is not None:
            self._application.reconfigure(settings)


def _log_to(path: Path | None) -> None:
    handler: logging.Handler = logging.StreamHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        handler = logging.FileHandler(path, encoding="utf-8")
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        handlers=[handler],
    )
