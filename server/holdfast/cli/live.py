"""`holdfast demo --live`: a short real session with the user's own key."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from holdfast.cli.client import Client
from holdfast.cli.stage import Stage

PROMPT: Final = "Read notes.txt and say in one sentence what it is about."
NOTES: Final = "Kelp grows up to half a metre a day. Its holdfast grips the rock in any storm.\n"


async def run() -> int:
    """Play one small turn against the real API; returns 0 when it was answered."""
    if not (os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN")):
        print(
            "holdfast: `demo --live` needs a key. Set ANTHROPIC_API_KEY, or run `holdfast demo`.",
            file=sys.stderr,
        )
        return 2
    console = Console(highlight=False)
    stage = Stage(console)
    root = Path(tempfile.mkdtemp(prefix="holdfast-live-"))
    (root / "workspace").mkdir()
    (root / "workspace" / "notes.txt").write_text(NOTES)
    client = await Client.start(
        data_dir=root / "data",
        environment={},
        options={"retry": {"budgetSeconds": 20}},
        listen=stage.listen,
        log=root / "server.log",
    )
    try:
        return await _turn(client, stage, (root / "workspace").as_uri())
    finally:
        await client.stop()
        shutil.rmtree(root, ignore_errors=True)


async def _turn(client: Client, stage: Stage, workspace_uri: str) -> int:
    made = await client.command("holdfast.session.create", workspaceUri=workspace_uri)
    session_id = made["sessionId"]
    await client.command("holdfast.session.open", sessionId=session_id)
    stage.user(PROMPT)
    await client.command("holdfast.turn.send", sessionId=session_id, text=PROMPT)
    try:
        await stage.until("turnEnded")
    except TimeoutError:
        state = await client.command("holdfast.session.state", sessionId=session_id)
        stage.say(f"No answer within 30 s; the session is {state['phase']}, nothing is lost.")
        return 1
    return 0
