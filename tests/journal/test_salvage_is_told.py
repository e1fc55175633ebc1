"""A person learns what became of a damaged store, from any editor (V7, P12)."""

from __future__ import annotations

from pathlib import Path

from e2e.server import start
from holdfast.simulator import Simulator


async def test_v7_the_real_server_tells_what_it_salvaged_and_goes_on(tmp_path: Path) -> None:
    async with Simulator() as simulator:
        server = await start(simulator, tmp_path)
        made = await server.command("session.create", title="Kept")
        assert server.client is not None
        await server.client.stop()
        path = tmp_path / "data" / "holdfast.db"
        path.write_bytes(bytes(512) + path.read_bytes()[512:])
        again = await start(simulator, tmp_path)
        listed = await again.command("session.list")
        assert [(s["sessionId"], s["title"]) for s in listed["sessions"]] == [
            (made["sessionId"], "Kept")
        ]
        (told,) = [params for method, params in again.asked if method == "window/showMessage"]
        assert told["message"].startswith("The session store was damaged.")
        (kept,) = path.parent.glob("holdfast.db.damaged-*Z")
        assert str(kept) in told["message"]
        assert again.client is not None
        await again.client.stop()
