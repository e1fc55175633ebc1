"""What a view says about the size of the next request, which is counted once until it changes."""

from __future__ import annotations

from pathlib import Path

from agent.stage import room
from transcripts.transcript_files import Transcript


async def test_the_size_in_a_view_follows_what_is_said_and_what_is_taken_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "session.jsonl"
    path.write_bytes(Transcript().user("u1", "a" * 7000).says("a1", "m1", "b").bytes())
    async with room(tmp_path) as session:
        supervisor = session.supervisor
        session_id = await supervisor.import_transcript(path, title=None, workspace_uri=None)
        imported = (await supervisor.view(session_id)).context_tokens
        assert imported > 2000
        assert (await supervisor.view(session_id)).context_tokens == imported

        empty = (await supervisor.view(session.session_id)).context_tokens
        await session.answered("c" * 7000, "p1")
        said = (await supervisor.view(session.session_id)).context_tokens
        assert said > empty
        await supervisor.rewind(session.session_id, "p1")
        assert (await supervisor.view(session.session_id)).context_tokens < said
