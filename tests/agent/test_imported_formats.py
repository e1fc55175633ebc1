"""A session of any agent goes on here: imported, prompted, answered, nothing refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.stage import Room, room
from transcripts.test_formats import LISTS, ROLLOUT, lines
from transcripts.transcript_files import Transcript

CLAUDE_CODE = Transcript().user("u1", "first ✓").calls("a1", "m1", "t1").bytes()


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (CLAUDE_CODE, "first ✓"),
        (lines(*ROLLOUT[:-2]), "first ✓"),  # it died inside of a call
        (LISTS["an array"], "first ✓"),
        (LISTS["one message a line"][:-20], "first ✓"),
    ],
    ids=["claude-code", "codex", "messages", "messages, torn"],
)
async def test_P2_an_imported_session_goes_on_with_its_whole_past(
    tmp_path: Path, content: bytes, first: str
) -> None:
    path = tmp_path / "session"
    path.write_bytes(content)
    async with room(tmp_path) as session:
        imported = await session.supervisor.import_transcript(path, title=None, workspace_uri=None)
        other = Room(session.supervisor, session.simulator, imported)
        assert await other.answered("and now?")
        await other.leave()
        sent = str(session.simulator.log[-1].body["messages"])
        assert first in sent
        assert "t1" in sent
        assert "and now?" in sent
        assert session.simulator.refusals == []
    assert path.read_bytes() == content


async def test_A23_lone_surrogates_in_a_title_a_plan_or_a_list_stop_no_import(
    tmp_path: Path,
) -> None:
    odd = "k\ud83d"
    todos = [{"content": odd, "status": "pending"}]
    transcript = Transcript().user("u1", odd, todos=todos, cwd="/k\ud83d" + "x" * 9000)
    transcript.side("custom-title", customTitle=odd)
    torn = b'[{"role":"user","content":"k\xff"},{"role":"us'
    async with room(tmp_path) as session:
        for content in (transcript.bytes(), torn):
            path = tmp_path / "session"
            path.write_bytes(content)
            imported = await session.supervisor.import_transcript(
                path, title=None, workspace_uri=None
            )
            assert "k\ufffd" in await session.supervisor.export(imported, "jsonl")
