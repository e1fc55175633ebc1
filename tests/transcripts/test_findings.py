"""What a check says of a file besides its damages, and where (D01, D12, D13, D23, R7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.conversation.profile import MEBIBYTE
from holdfast.transcripts.findings import Finding, Report, Severity, check, report_of
from holdfast.transcripts.index import TranscriptIndex
from holdfast.transcripts.opened import open_transcript
from holdfast.transcripts.repairing import repair
from transcripts.damages import NOWHERE, Json, identity, lines_of, story

HERE = Path("session.jsonl")


def checked(content: bytes) -> Report:
    with open_transcript(HERE, data=content) as opened:
        return report_of(opened)


def changed(number: int, change: Callable[[Json], object]) -> bytes:
    """Return the story with one record changed; lines count from 1."""
    lines = lines_of(story().bytes())
    record = json.loads(lines[number - 1])
    change(record)
    lines[number - 1] = json.dumps(record).encode() + b"\n"
    return b"".join(lines)


def places(report: Report) -> list[tuple[str, Severity, int]]:
    return [(f.rule, f.severity, f.line) for f in report.findings]


def only(report: Report) -> Finding:
    assert len(report.findings) == 1
    return report.findings[0]


def test_d12_a_session_whose_beginning_is_gone_is_warned_about() -> None:
    found = only(checked(b"".join(lines_of(story().bytes())[2:])))
    assert (found.rule, found.severity, found.line) == ("D12", Severity.WARNING, 1)
    assert identity(1) in found.message


def test_d13_records_of_several_sessions_in_one_file_are_information() -> None:
    report = checked(changed(7, lambda record: record.update(sessionId="s2")))
    assert places(report) == [("D13", Severity.INFORMATION, 7)]
    assert report.healthy


@pytest.mark.parametrize("kind", ["hologram", "", None, 7])
def test_d23_types_that_are_not_known_are_information_once_each(kind: object) -> None:
    lines = lines_of(story().bytes())
    other = {"parentUuid": None, "type": kind, "sessionId": "s1"}
    lines[2:2] = [json.dumps(other).encode() + b"\n"] * 3
    found = only(checked(b"".join(lines)))
    assert (found.rule, found.severity, found.line) == ("D23", Severity.INFORMATION, 3)
    assert "3" in found.message


def test_d01_a_prompt_that_begins_anew_is_information_and_left_alone(tmp_path: Path) -> None:
    content = changed(7, lambda record: record.update(parentUuid=None))
    assert places(checked(content)) == [("D01", Severity.INFORMATION, 7)]
    path = tmp_path / HERE
    path.write_bytes(content)
    assert repair(path, dry_run=True).repairs == ()


def test_d10_two_records_under_one_id_are_an_error() -> None:
    report = checked(changed(6, lambda record: record.update(uuid=identity(2))))
    assert ("D10", Severity.ERROR, 6) in places(report)


def test_d06_a_compaction_and_its_summary_glued_together_are_still_a_compaction() -> None:
    told = story()
    told.add("system", "b", parent=None, subtype="compact_boundary", logicalParentUuid=identity(7))
    told.user("s", "What was said before.", isCompactSummary=True).says("a", "msg_9", "Go on.")
    lines = lines_of(told.bytes())
    lines[8] = lines[8].rstrip(b"\n")
    report = checked(b"".join(lines))
    assert places(report) == [("D06", Severity.ERROR, 9)]
    assert report.messages == 2


def test_a_parent_that_is_nowhere_is_quoted() -> None:
    found = only(checked(changed(5, lambda record: record.update(parentUuid=NOWHERE))))
    assert NOWHERE in found.message
    assert found.related == (4,)


def test_p8_a_repair_names_the_line_that_changes_and_not_the_first_of_its_message(
    tmp_path: Path,
) -> None:
    told = story()
    told.calls(identity(8), "msg_5", "toolu_2").calls(identity(9), "msg_5", "toolu_3")
    told.result(identity(10), "toolu_2").result(identity(11), "toolu_3")
    told.lines[9]["message"]["content"][0]["input"] = "ls"
    path = tmp_path / HERE
    path.write_bytes(told.bytes())
    assert [(each.rule, each.line) for each in repair(path, dry_run=True).repairs] == [("R47", 10)]


def test_r7_a_branch_that_is_too_large_by_its_words_is_said_so_and_not_cut(tmp_path: Path) -> None:
    told = story()
    for number in range(9):
        told.user(f"large-{number}", "word " * (4 * MEBIBYTE // 5))
        told.says(f"short-{number}", f"msg_large_{number}", "and on")
    path, output = tmp_path / HERE, tmp_path / "repaired.jsonl"
    path.write_bytes(told.bytes())
    found = only(check(path))
    assert (found.rule, found.severity, found.line) == ("R7", Severity.ERROR, 1)
    assert "compacted" in found.repair
    done = repair(path, output=output)
    assert done.repairs == ()
    assert [each.rule for each in done.unrepaired] == ["R7"]
    assert output.read_bytes() == path.read_bytes()


def test_s10_the_index_of_a_rewritten_file_is_the_one_that_is_built_anew(tmp_path: Path) -> None:
    before, after = tmp_path / HERE, tmp_path / "repaired.jsonl"
    told = story().side("last-prompt", leafUuid=identity(5))
    before.write_bytes(told.bytes())
    index = TranscriptIndex.build(before)
    for number, line in enumerate(lines_of(told.bytes())):
        lines = lines_of(told.bytes())
        lines[number] = line.replace(b"2.1.49", b"2.1.330") + b'{"type":"mode"}\n'
        after.write_bytes(b"".join(lines))
        start = sum(map(len, lines[:number]))
        found, anew = index.rewritten(after, start), TranscriptIndex.build(after)
        assert (found.rows, found.notes, found.size) == (anew.rows, anew.notes, anew.size)
        assert found.about.leaf == anew.about.leaf
