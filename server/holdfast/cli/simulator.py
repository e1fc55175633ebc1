"""`holdfast simulator`: the strict local Messages API, for trying clients without a network."""

from __future__ import annotations

from pathlib import Path

from holdfast import simulator


async def run(port: int, script: Path | None) -> int:
    """Serve until interrupted; prints the base URL once it listens."""
    await simulator.serve(port, script, None, on_ready=_ready)
    return 0


def _ready(base_url: str) -> None:
    print(base_url, flush=True)
