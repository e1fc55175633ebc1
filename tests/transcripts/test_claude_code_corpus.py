"""Real transcripts: read whole, repaired into what the API accepts, no word of the user lost.

`HOLDFAST_TRANSCRIPTS` names a directory with more of them; without it the shipped ones are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.conversation.digest import digest
from holdfast.conversation.history import History
from holdfast.conversation.plain_text import render
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.conversation.tokens import estimate_text
from holdfast.conversation.turns import merged
from holdfast.transcripts.claude_code import read

SHIPPED = Path(__file__).parents[1] / "corpora" / "claude-code"
FILES = sorted(Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED)).rglob("*.jsonl"))


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def file(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def test_there_is_something_to_read() -> None:
    assert len(FILES) >= 5


def test_p2_a_real_transcript_is_repaired_into_what_the_api_accepts(file: Path) -> None:
    repaired = repair(read(file).messages)
    assert validate(repaired.history) == ()
    assert repair(repaired.history).history is repaired.history


def test_p8_reading_changes_nothing(file: Path) -> None:
    before = file.read_bytes()
    assert read(file) == read(file)
    assert file.read_bytes() == before


def test_p4_every_word_the_user_typed_on_the_active_branch_is_in_the_request(file: Path) -> None:
    history = read(file)
    origins = {message.origin for message in history.messages}
    sent = "\n".join(strings(repair(history.messages).history))
    for uuid, words in typed(file):
        if uuid in origins:
            assert words in sent


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.jsonl")), ids=lambda path: path.name)
def test_p4_a_session_without_rewinds_keeps_every_word_the_user_typed(path: Path) -> None:
    sent = "\n".join(strings(repair(read(path).messages).history))
    assert [words for _, words in typed(path) if words not in sent] == []


def test_p4_the_calls_of_the_active_branch_are_all_in_the_request(file: Path) -> None:
    history = read(file)
    repaired = repair(history.messages).history
    assert calls(repaired) == calls(history.messages)


def test_p5_a_real_session_has_a_digest_and_a_plain_text_within_their_budgets(file: Path) -> None:
    messages = read(file).messages
    assert 0 < estimate_text(digest(messages, 4_000)) <= 4_000
    assert 0 < estimate_text(render(messages, max_tokens=4_000)) <= 4_000


def test_a_whole_file_needs_no_notes_but_about_what_was_left_out(file: Path) -> None:
    kinds = {note.kind for note in read(file).notes}
    assert kinds <= {"left out", "bridged"}


TURNS = {
    "cipher-box-2.1.38_6af70815.jsonl": 12,
    "cipher-box-2.1.49_d9bd077a.jsonl": 22,
    "git-sync-2.1.159_665c2e57.jsonl": 20,
    "vscode-copilot-chat-1.0.96_c8bcb3a7.jsonl": 4,
    "vscode-copilot-chat-2.1.33_b3a7bd3c.jsonl": 4,
}
FINDINGS = {
    "cipher-box-2.1.38_6af70815.jsonl": ["R33", "R33", "R22"],
    "cipher-box-2.1.49_d9bd077a.jsonl": ["R40", "R22"],
    "git-sync-2.1.159_665c2e57.jsonl": ["R22"],
    "vscode-copilot-chat-1.0.96_c8bcb3a7.jsonl": ["R22"],
    "vscode-copilot-chat-2.1.33_b3a7bd3c.jsonl": ["R22"],
}


@pytest.mark.parametrize("name", sorted(TURNS))
def test_the_active_branch_has_as_many_turns_as_were_counted_by_hand(name: str) -> None:
    assert len(merged(read(SHIPPED / name).messages)) == TURNS[name]


@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_what_is_wrong_with_a_file_is_found_and_nothing_else(name: str) -> None:
    found = validate(read(SHIPPED / name).messages, ANY_TOOLS)
    assert [finding.rule for finding in found] == FINDINGS[name]


def test_a_session_says_where_it_comes_from() -> None:
    history = read(SHIPPED / "git-sync-2.1.159_665c2e57.jsonl")
    assert history.title == "Check CI linting failures"
    assert history.versions == ("2.1.159",)
    assert history.model == "claude-opus-4-8"
    assert history.session_id.startswith("665c2e57")
    assert (history.entries, history.notes) == (56, ())


# --- readings -------------------------------------------------------------------------------------


def typed(file: Path) -> Iterator[tuple[str, str]]:
    """Yield id and words of every user record, straight from the file."""
    for line in file.read_text("utf-8").splitlines():
        value = json.loads(line)
        if value.get("type") != "user":
            continue
        content = value["message"]["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] == "text" and block["text"].strip():
                yield value["uuid"], block["text"]


def strings(history: History) -> Iterator[str]:
    for message in history:
        for block in message.blocks:
            yield from _strings(block.data)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def calls(history: History) -> list[str]:
    return [b.text_of("id") for m in history for b in m.blocks if b.type == "tool_use"]
