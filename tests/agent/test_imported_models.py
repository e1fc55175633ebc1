"""Which model an imported session goes on with: its own, when the endpoint has it."""

from __future__ import annotations

from pathlib import Path

from agent.stage import room
from holdfast.agent.api import SessionView
from transcripts.transcript_files import Transcript

OFFERED = "claude-opus-4-8"


async def imported(tmp_path: Path, model: str) -> tuple[SessionView, str]:
    """Import a session that `model` spoke in; return it and its journal."""
    said = {
        "id": "m1",
        "model": model,
        "role": "assistant",
        "content": [{"type": "text", "text": "b"}],
    }
    path = tmp_path / "session.jsonl"
    path.write_bytes(Transcript().user("u1", "a").add("assistant", "a1", message=said).bytes())
    async with room(tmp_path) as session:
        supervisor = session.supervisor
        session_id = await supervisor.import_transcript(path, title=None, workspace_uri=None)
        return await supervisor.view(session_id), await supervisor.export(session_id, "jsonl")


async def test_the_model_that_spoke_last_is_taken_over_when_the_endpoint_has_it(
    tmp_path: Path,
) -> None:
    view, journal = await imported(tmp_path, OFFERED)
    assert view.model == OFFERED
    assert "not offered" not in journal


async def test_a_model_that_the_endpoint_does_not_have_is_left_behind_and_that_is_said(
    tmp_path: Path,
) -> None:
    view, journal = await imported(tmp_path, "gpt-9")
    assert view.model not in {"gpt-9", OFFERED}
    assert "gpt-9 is not offered here" in journal
