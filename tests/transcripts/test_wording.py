"""Findings of the grammar in words: plain ones first, the API's behind them, whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.conversation import findings as grammar
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.rules import validate
from holdfast.transcripts import foreign
from holdfast.transcripts.claude_code import read
from holdfast.transcripts.findings import check
from holdfast.transcripts.sparse import NEXT
from holdfast.transcripts.wording import said_of
from transcripts.damages import DAMAGES, Damage, lines_of, story

DETAIL = "messages.5: as the API says it"


@pytest.mark.parametrize(
    ("ids", "plain"),
    [
        ((), "a call has no result"),
        (("t1",), "a call has no result (t1)"),
        (("t1", "t2"), "2 calls have no results (t1, t2)"),
        (("t1", "t2", "t3", "t4"), "4 calls have no results (t1, t2, t3, …)"),
        (("",), "a call has no result"),
    ],
)
def test_r40_calls_without_results_are_counted_and_named(ids: tuple[str, ...], plain: str) -> None:
    said = said_of(grammar.Finding("R40", 5, None, DETAIL, ids))
    assert said == f"{plain}. The API says: {DETAIL}"


def test_a_rule_without_plain_words_has_the_words_of_the_api() -> None:
    assert said_of(grammar.Finding("R999", 5, None, DETAIL)) == DETAIL


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_the_words_of_the_api_stand_behind_plain_ones(damage: Damage, tmp_path: Path) -> None:
    content = damage.strike(lines_of(story().bytes()))
    assert content is not None
    path = tmp_path / "session.jsonl"
    path.write_bytes(content)
    broken = validate((*read(path).messages, NEXT), ANY_TOOLS)
    said = {finding.message for finding in check(path).findings}
    assert {said_of(finding) for finding in broken if finding.rule != "R68"} <= said
    assert not [each for each in said if each.startswith("messages")]


def test_sessions_of_other_agents_are_spoken_of_in_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "messages.json"
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": "and?"},
    ]
    path.write_text(json.dumps(messages))
    report = foreign.check(path)
    assert report is not None
    said = next(finding.message for finding in report.findings if finding.rule == "R40")
    assert said.startswith("a call has no result (t1). The API says: messages.1")
