"""A session that was exported goes on in Claude Code itself, with all that was said (P4)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.test_export_round_trip import folded
from e2e.claude_code import NotThere, install, resume
from holdfast.agent import exports, intake
from holdfast.simulator import Simulator
from transcripts.test_formats import LISTS, ROLLOUT, lines
from transcripts.transcript_files import Transcript

THOUGHT = {"type": "thinking", "thinking": "Kelp, then.", "signature": "c2lnbmVk"}
CLAUDE_CODE = (
    Transcript().user("u1", "first ✓").piece("a1", "m1", THOUGHT).calls("a2", "m1", "t1")
    .result("u2", "t1", "kelp").says("a3", "m2", "answer").says("a4", "m3", "done").bytes()
)  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [CLAUDE_CODE, lines(*ROLLOUT), LISTS["an array"]],
    ids=["claude-code", "codex", "messages"],
)
async def test_P4_claude_code_goes_on_with_an_exported_session(
    tmp_path: Path, content: bytes
) -> None:
    try:
        program = await install()
    except NotThere as reason:
        pytest.skip(str(reason))
    path = tmp_path / "session"
    path.write_bytes(content)
    state = folded(intake.transcript_events(path, None, None))
    written = exports.claude_code("s_1", state).encode()
    async with Simulator() as simulator:
        resumed = await resume(program, written, tmp_path / "there", simulator)
    assert resumed.went_on, (resumed.complaint, resumed.refusals)
    sent = resumed.sent
    assert sent is not None
    said = json.dumps(sent["messages"], ensure_ascii=False)
    for words in ("first ✓", "answer", "kelp", "done"):
        assert words in said
