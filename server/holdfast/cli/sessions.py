"""`holdfast sessions` and `holdfast import`: the store without an editor."""

from __future__ import annotations

import os
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from holdfast.agent.supervisor import Supervisor
from holdfast.app import compose
from holdfast.cli import tables
from holdfast.cli.errors import Refused
from holdfast.conversation import encoding
from holdfast.lsp import wire
from holdfast.settings import Settings
from holdfast.transcripts import formats


async def run(
    action: str,
    session_id: str | None,
    format: Literal["jsonl", "markdown", "claude-code"],  # noqa: A002
    *,
    as_json: bool,
) -> int:
    """List, show, export or delete sessions; returns the exit status."""
    if action != "list" and session_id is None:
        print(f"holdfast: `sessions {action}` needs the ID of a session.", file=sys.stderr)
        return 2
    async with aclosing(_Closing(await _supervisor())) as closing:
        supervisor = closing.supervisor
        match action:
            case "show":
                await _show(supervisor, str(session_id), as_json=as_json)
            case "export":
                sys.stdout.write(await supervisor.export(str(session_id), format))
            case "delete":
                await supervisor.delete(str(session_id))
            case _:
                await _list(supervisor, as_json=as_json)
    return 0


async def run_import(path: Path, *, as_json: bool) -> int:
    """Import a transcript and print the new session's id. Raises `Refused` for anything else."""
    if formats.recognised(path) is None and not formats.read(path).messages:
        raise Refused(tables.unknown(path))
    async with aclosing(_Closing(await _supervisor())) as closing:
        session_id = await closing.supervisor.import_transcript(
            path, title=None, workspace_uri=None
        )
    print(encoding.encode({"path": str(path), "sessionId": session_id}) if as_json else session_id)
    return 0


class _Closing:
    """Closes the supervisor when the command is done."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    async def aclose(self) -> None:
        await self.supervisor.close()


async def _supervisor() -> Supervisor:
    settings, problems = Settings.load(None, os.environ)
    for problem in problems:
        print(f"holdfast: {problem.message}", file=sys.stderr)
    return await compose(settings)


async def _list(supervisor: Supervisor, *, as_json: bool) -> None:
    found = await supervisor.summaries()
    if as_json:
        print(encoding.encode(wire.plain(found)))
        return
    if not found:
        print("There are no sessions yet. Your editor makes them; `holdfast import` reads one in.")
    for summary in found:
        when = datetime.fromtimestamp(summary.updated_at_ms / 1000, UTC).astimezone()
        print(f"{summary.session_id}  {when:%Y-%m-%d %H:%M}  {summary.phase:<12} {summary.title}")


async def _show(supervisor: Supervisor, session_id: str, *, as_json: bool) -> None:
    messages = await supervisor.messages(session_id, limit=None, before=None)
    if as_json:
        print(encoding.encode(wire.plain(messages)))
        return
    for message in messages:
        if message.text.strip():
            print(f"── {message.role}\n{message.text}\n")
