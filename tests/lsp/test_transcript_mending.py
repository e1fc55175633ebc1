"""Code actions of a transcript: what an editor is offered mends what it says, and nothing else.

`HOLDFAST_TRANSCRIPTS` names a directory with more real transcripts.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.lsp.transcripts.answers.actions import EDIT_BYTES_MAX
from holdfast.lsp.transcripts.view import View
from holdfast.transcripts.findings import Report, Severity, check
from holdfast.transcripts.repairing import repair
from lsp.transcript_documents import (
    ALL_DAMAGES,
    REAL,
    STORY,
    WHOLE,
    Asked,
    Document,
    Json,
    damaged,
    name_of,
    of_bytes,
)
from transcripts.damages import DAMAGES, HARMLESS, Damage, lines_of

SMALL = [damage for damage in ALL_DAMAGES if damage.name != "large_picture"]
RECORD_DAMAGES = [damage for damage in SMALL if damage.rule.startswith("R")]
LINE_DAMAGES = [damage for damage in SMALL if damage.rule.startswith("D")]


def titled(actions: list[Json], title: str, kind: str = "quickfix") -> Json:
    (found,) = (each for each in actions if each["title"] == title and each["kind"] == kind)
    return found


def judged(text: str, folder: Path) -> Report:
    path = folder / "judged.jsonl"
    path.write_text(text, newline="")
    return check(path)


def errors(report: Report) -> Counter[str]:
    return Counter(f.rule for f in report.findings if f.severity is Severity.ERROR)


def repaired(path: Path) -> bytes:
    target = path.with_suffix(".repaired")
    repair(path, output=target)
    raw = target.read_bytes()
    target.unlink()
    return raw


def assert_repair_all_is_repair(view: View, text: str) -> None:
    all_ = titled(Asked(view).actions(), "Repair all")
    if "edit" in all_:
        assert Document(text).edited(all_["edit"]).encode() == repaired(view.path)
    else:
        assert all_["command"]["arguments"] == [{"uri": Asked(view).uri, "inPlace": True}]


@pytest.mark.parametrize("damage", DAMAGES, ids=name_of)
def test_repair_all_is_what_a_repair_writes_byte_for_byte(damage: Damage, tmp_path: Path) -> None:
    raw = damaged(damage)
    view = of_bytes(tmp_path, raw)
    assert_repair_all_is_repair(view, raw.decode())
    of_text = View.of_text(view.path, raw.decode())
    assert Asked(of_text).actions() == Asked(view).actions()


@pytest.mark.parametrize("file", REAL[:3], ids=name_of)
def test_repair_all_is_what_a_repair_writes_of_real_files(file: Path, tmp_path: Path) -> None:
    for damage in DAMAGES:
        if damage.name == "large_picture":
            continue
        raw = damage.strike(lines_of(file.read_bytes()))
        if raw is not None:
            view = of_bytes(tmp_path, raw)
            view.settle()
            if not view.is_healthy:
                assert_repair_all_is_repair(view, raw.decode())


def assert_each_fix_mends(text: str, folder: Path) -> None:
    """Apply each quick fix by itself: its diagnostics are gone and there is no new error."""
    before = judged(text, folder)
    fixes = [
        each
        for each in Asked(View.of_path(folder / "judged.jsonl")).actions()
        if each.get("isPreferred")
    ]
    assert fixes or before.healthy
    for fix in fixes:
        after = judged(Document(text).edited(fix["edit"]), folder)
        assert errors(after) <= errors(before)
        left = Counter(finding.rule for finding in after.findings)
        had = Counter(finding.rule for finding in before.findings)
        for rule, count in Counter(each["code"] for each in fix["diagnostics"]).items():
            assert left[rule] <= had[rule] - count


@pytest.mark.parametrize("damage", ALL_DAMAGES, ids=name_of)
def test_a_quick_fix_alone_removes_its_diagnostics_and_adds_no_error(
    damage: Damage, tmp_path: Path
) -> None:
    assert_each_fix_mends(damaged(damage).decode(), tmp_path)


@given(of_records=st.sampled_from(RECORD_DAMAGES), of_lines=st.sampled_from(LINE_DAMAGES))
@settings(max_examples=40, deadline=None)
def test_quick_fixes_of_several_damages_are_independent(
    tmp_path_factory: pytest.TempPathFactory, of_records: Damage, of_lines: Damage
) -> None:
    raw = of_lines.strike(lines_of(damaged(of_records)))
    if raw is not None:
        folder = tmp_path_factory.mktemp("damaged")
        assert_each_fix_mends(raw.decode(), folder)
        view = of_bytes(folder, raw)
        view.settle()
        if not view.is_healthy:
            assert_repair_all_is_repair(view, raw.decode())


@pytest.mark.parametrize("damage", DAMAGES, ids=name_of)
def test_every_error_has_a_quick_fix(damage: Damage, tmp_path: Path) -> None:
    view = of_bytes(tmp_path, damaged(damage))
    *_, diagnostics = view.diagnostics(Asked(view).uri)
    mended = [
        diagnostic
        for fix in Asked(view).actions()
        if fix.get("isPreferred")
        for diagnostic in fix["diagnostics"]
    ]
    for diagnostic in diagnostics:
        assert diagnostic in mended or diagnostic["severity"] > 1


def test_a_call_without_its_result_gets_an_interrupted_one(tmp_path: Path) -> None:
    (open_call,) = (each for each in HARMLESS if each.name == "open_call")
    text = damaged(open_call).decode()
    asked = Asked(of_bytes(tmp_path, text.encode()))
    fix = titled(asked.actions(), "Insert interrupted result")
    assert fix["edit"]["documentChanges"][0]["textDocument"] == {"uri": asked.uri, "version": 7}
    mended = Document(text).edited(fix["edit"])
    assert mended.startswith(text)
    assert judged(mended, tmp_path).findings == ()


def test_fixes_are_offered_on_the_lines_they_are_for_and_of_the_kinds_asked_for(
    tmp_path: Path,
) -> None:
    asked = Asked(of_bytes(tmp_path, damaged(DAMAGES[0])))
    (line,) = (d["range"]["start"]["line"] for _, d in _reported(asked))
    at, beside = ({"line": number, "character": 0} for number in (line, line - 1))
    assert any(each.get("isPreferred") for each in asked.actions({"start": at, "end": at}))
    elsewhere = asked.actions({"start": beside, "end": beside})
    assert {each["kind"] for each in elsewhere} == {"source.fixAll.holdfast", "source.holdfast"}
    assert {each["kind"] for each in asked.actions(only=["quickfix"])} == {"quickfix"}
    assert [each["title"] for each in asked.actions(only=["source.fixAll"])] == ["Repair all"]
    assert asked.actions(only=["refactor"]) == []


def _reported(asked: Asked) -> list[tuple[object, Json]]:
    asked.view.settle(asked.uri)
    return list(asked.view.reported)


def test_what_would_be_too_large_to_send_is_a_command(tmp_path: Path) -> None:
    """Every line is rewritten, because each holds a byte that is zero."""
    words = b"x" * (EDIT_BYTES_MAX // len(STORY.splitlines()))
    raw = b"".join(
        b"\0" + line.replace(b'"userType"', b'"w": "' + words + b'", "userType"')
        for line in STORY.splitlines(keepends=True)
    )
    view = of_bytes(tmp_path, raw)
    action = titled(Asked(view).actions(), "Repair all", "source.fixAll.holdfast")
    assert action["command"]["command"] == "holdfast.transcript.repair"
    assert action["command"]["arguments"] == [{"uri": Asked(view).uri, "inPlace": True}]


def test_nothing_but_going_on_is_offered_for_a_healthy_file(tmp_path: Path) -> None:
    asked = Asked(of_bytes(tmp_path, STORY))
    assert {each["title"] for each in asked.actions()} == {"Continue in Holdfast"}


def test_no_edit_is_offered_for_a_text_that_the_view_does_not_have(tmp_path: Path) -> None:
    asked = Asked(of_bytes(tmp_path, damaged(DAMAGES[0])))
    offered = asked("codeAction", range=WHOLE, context={}, edits=False)
    assert [each for each in offered if "edit" in each] == []


def test_an_editor_without_versioned_edits_gets_plain_ones(tmp_path: Path) -> None:
    asked = Asked(of_bytes(tmp_path, damaged(DAMAGES[0])))
    offered = asked("codeAction", range=WHOLE, context={}, documentChanges=False)
    for each in offered:
        assert "edit" not in each or each["edit"].keys() == {"changes"}


def test_lenses_say_how_the_file_is_and_what_can_be_done(tmp_path: Path) -> None:
    def lenses(raw: bytes, *, checked: bool = True) -> list[tuple[str, str]]:
        asked = Asked(of_bytes(tmp_path, raw))
        if checked:
            asked.view.settle()
        commands = [each["command"] for each in asked("codeLens")]
        return [(each["title"], each["command"].rpartition(".")[2]) for each in commands]

    go_on = ("Continue in Holdfast", "import")
    assert lenses(STORY) == [("Healthy", "check"), go_on]
    assert lenses(STORY, checked=False) == [("Check", "check"), go_on]
    (harmless,) = (each for each in HARMLESS if each.name == "phantom_parent")
    assert lenses(damaged(harmless)) == [("Healthy, 1 warning", "check"), go_on]
    (two,) = (each for each in DAMAGES if each.name == "unfit_tool_id")
    assert lenses(damaged(two)) == [
        ("2 errors: repair all", "repair"),
        ("Repair into a copy", "repair"),
        go_on,
    ]
