"""What was taken in comes out again: import, export, read: the same session (P4)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.agent import exports, intake
from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, Block, History, Message
from holdfast.session import events as ev
from holdfast.session.fold import apply
from holdfast.session.state import SessionState
from holdfast.transcripts import formats
from holdfast.transcripts.imported import ImportedHistory, Todo
from transcripts.test_formats import ROLLOUT, lines
from transcripts.transcript_files import Transcript, read_bytes

SHIPPED = Path(__file__).parents[1] / "corpora" / "claude-code"
CORPUS = Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED))
FILES = sorted(CORPUS.rglob("*.jsonl"), key=lambda path: path.stat().st_size)[:8]


def folded(events: list[ev.Event]) -> SessionState:
    state = SessionState()
    for seq, event in enumerate(events, 1):
        apply(state, event, seq, 1_700_000_000_000 + seq)  # type: ignore[arg-type]
    return state


def exported(state: SessionState) -> ImportedHistory:
    return read_bytes(exports.claude_code("s_1", state).encode())


def of_messages(messages: History, **created: Any) -> SessionState:
    begun = ev.SessionCreated(title="Kelp", **created)
    return folded([begun, *intake.message_events(messages)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_P4_a_session_of_claude_code_comes_back_whole(path: Path) -> None:
    read = formats.read(path)
    state = folded(intake.transcript_events(path, None, None))
    again = exported(state)
    assert again.messages == read.messages
    assert again.todos == read.todos
    assert again.title == state.title
    assert [note for note in again.notes if note.kind != "left out"] == []


def test_a_session_of_codex_comes_out_as_one_of_claude_code(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    path.write_bytes(lines(*ROLLOUT))
    again = exported(folded(intake.transcript_events(path, None, tmp_path.as_uri())))
    assert (again.format, again.title, again.cwd) == ("claude-code", "first ✓", str(tmp_path))
    assert again.messages == formats.read(path).messages


def test_a_task_list_that_no_call_tells_stands_beside_the_last_prompt(tmp_path: Path) -> None:
    given = [{"content": "Look", "status": "completed"}, {"content": "Cut", "status": "pending"}]
    transcript = Transcript().user("u1", "go", todos=given).says("a1", "m1", "fine")
    path = tmp_path / "s.jsonl"
    path.write_bytes(transcript.bytes())
    todos = (Todo("Look", "completed"), Todo("Cut", "pending"))
    assert exported(folded(intake.transcript_events(path, None, None))).todos == todos


@pytest.mark.survives("D16")
@pytest.mark.parametrize(
    ("uri", "cwd"),
    [
        ("file:///srv/sea%20weed/%C3%BC", "/srv/sea weed/ü"),
        ("file:///c%3A/Users/me", "c:\\Users\\me"),
        ("file:///" + quote("C:") + "/", "C:\\"),
        ("file://server/share/x", "\\\\server\\share\\x"),
        (None, "/"),
    ],
)
def test_D16_the_folder_is_spelled_as_its_own_system_spells_it(uri: str | None, cwd: str) -> None:
    messages = (Message(USER, (Block.of({"type": "text", "text": "hi"}),)),)
    assert exported(of_messages(messages, workspace_uri=uri)).cwd == cwd


def test_exporting_twice_gives_the_same_file() -> None:
    state = of_messages((Message(USER, (Block.of({"type": "text", "text": "hi"}),)),))
    assert exports.claude_code("s_1", state) == exports.claude_code("s_1", state)
    assert exports.claude_code("s_1", state) != exports.claude_code("s_2", state)


texts = st.builds(lambda words: Block.of({"type": "text", "text": words}), st.text(max_size=12))
thoughts = st.builds(
    lambda words, sign: Block.of({"type": "thinking", "thinking": words, "signature": sign}),
    st.text(max_size=8),
    st.text(min_size=1, max_size=8),
)
pictures = st.just(
    Block.of({"type": "image", "source": {"type": "url", "url": "https://kelp.example/1.png"}})
)
calls = st.builds(
    lambda words: Block.of({"type": "tool_use", "id": "", "name": "run", "input": {"x": words}}),
    st.text(max_size=5),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Histories as agents make them: some calls without results, thinking anywhere."""
    messages: list[Message] = []
    open_calls: list[str] = []
    for number in range(draw(st.integers(0, 6))):
        results = [
            Block.of({"type": "tool_result", "tool_use_id": made, "content": draw(st.text())})
            for made in open_calls
            if draw(st.booleans())
        ]
        said = draw(st.lists(texts | pictures, min_size=not results, max_size=2))
        messages.append(Message(USER, (*results, *said)))
        drawn = draw(st.lists(texts | thoughts | calls, min_size=1, max_size=4, unique=True))
        answer = [
            Block.of({**block.data, "id": f"t{number}_{place}"})
            if block.type == "tool_use"
            else block
            for place, block in enumerate(drawn)
        ]
        messages.append(Message(ASSISTANT, tuple(answer)))
        open_calls = [block.text_of("id") for block in answer if block.type == "tool_use"]
    return tuple(messages)


@given(histories())
@settings(max_examples=120, deadline=None)
def test_P4_every_block_of_any_history_comes_back_in_its_place(history: History) -> None:
    assert exported(of_messages(history)).messages == history


def test_words_of_the_system_come_back_as_the_users_own() -> None:
    said = Message(SYSTEM, (Block.of({"type": "text", "text": "Be brief."}),))
    assert exported(of_messages((said,))).messages == (attrs.evolve(said, role=USER),)
