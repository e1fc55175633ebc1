"""`holdfast lsp`: the language server on stdio.

Law: stdout belongs to the protocol; the log goes to stderr or to a file of the user's own. Until
the host process exists, everything runs in the one process, with or without `--in-process`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path


def run(*, data_dir: Path | None, log_file: Path | None) -> int:
    """Serve one editor until it is gone and return the exit status."""
    # Imports make half a million objects that live for ever: collecting garbage while they are
    # made is lost time, and freezing them spares every later collection.
    gc.disable()
    from holdfast.app import Application
    from holdfast.lsp.connection import run_stdio
    from holdfast.lsp.server import HoldfastServer

    gc.freeze()
    gc.enable()
    _log_to(log_file)
    environ = dict(os.environ)
    if data_dir is not None:
        environ["HOLDFAST_DATA_DIR"] = str(data_dir.absolute())

    async def serve() -> int:
        application = Application()
        server = HoldfastServer(
            application.compose, environ=environ, reconfigure=application.reconfigure
        )
        return await run_stdio(server)

    return asyncio.run(serve())


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
