"""Checking and repairing transcripts of Claude Code: every kind of damage that was seen, to a
session made up and to real ones (P4, P8; D01, D04-D07, D21).

`HOLDFAST_TRANSCRIPTS` names a directory with more real files; without it the shipped ones are read.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import to_wire
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.rules import validate
from holdfast.transcripts.claude_code import read
from holdfast.transcripts.findings import Severity, check
from holdfast.transcripts.opened import open_transcript
from holdfast.transcripts.repairing import FileChangedError, RepairReport, repair, repair_opened
from transcripts.damages import DAMAGES, HARMLESS, WORDS, Damage, lines_of, story
from transcripts.sendable import NEXT, refused
from transcripts.transcript_files import Transcript

SHIPPED = Path(__file__).parents[1] / "corpora" / "claude-code"
CORPUS = Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED))
FILES = [path for path in sorted(CORPUS.rglob("*.jsonl")) if "other-agents" not in path.parts]
EACH = 3
"""How many kinds of damage each real file is played with; they take turns."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of a project's sessions."""
    made = tmp_path / "project"
    made.mkdir()
    return made


def fingerprint(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def damaged(damage: Damage, root: Path, lines: list[bytes] | None = None) -> Path | None:
    content = damage.strike(lines_of(story().bytes()) if lines is None else lines)
    if content is None:
        return None
    path = root / "session.jsonl"
    path.write_bytes(content)
    return path


def repaired(path: Path) -> tuple[Path, RepairReport]:
    output = path.with_name("repaired.jsonl")
    return output, repair(path, output=output)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_p4_damage_is_found_on_its_line_and_repaired(damage: Damage, folder: Path) -> None:
    path = damaged(damage, folder)
    assert path is not None
    before = check(path)
    assert not before.healthy
    broken = next(f for f in before.findings if f.severity is Severity.ERROR)
    assert broken.rule == damage.rule
    assert 1 <= broken.line <= before.entries + 1
    assert broken.repair
    output, _ = repaired(path)
    assert check(output).findings == ()
    assert not refused(read(output).messages)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_p8_a_repair_keeps_every_word_that_is_still_there(damage: Damage, folder: Path) -> None:
    path = damaged(damage, folder)
    assert path is not None
    output, _ = repaired(path)
    said = str(to_wire(read(output).messages))
    assert {word for word in WORDS if word not in said} == damage.gone


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_p8_lines_that_need_no_change_come_back_byte_for_byte(damage: Damage, folder: Path) -> None:
    path = damaged(damage, folder)
    assert path is not None
    report = check(path)
    named = {line for f in report.findings for line in (f.line, *f.related)}
    output, done = repaired(path)
    named |= {each.line for each in done.repairs}
    written = lines_of(output.read_bytes())
    for number, line in enumerate(lines_of(path.read_bytes()), 1):
        beside = named & {number - 1, number, number + 1}  # what follows a change is hung on it
        assert beside or line in written, f"line {number} was changed"


@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda harmless: harmless.name)
def test_p8_what_claude_code_mends_by_itself_is_a_warning_and_left_alone(
    harmless: Damage, folder: Path
) -> None:
    path = damaged(harmless, folder)
    assert path is not None
    found = check(path)
    assert [(f.rule, f.severity) for f in found.findings] == [(harmless.rule, Severity.WARNING)]
    output, done = repaired(path)
    assert done.repairs == ()
    assert output.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_p8_a_real_session_is_healthy_and_comes_back_byte_for_byte(
    path: Path, folder: Path
) -> None:
    before = fingerprint(path)
    assert [f for f in check(path).findings if f.severity is Severity.ERROR] == []
    output = folder / "repaired.jsonl"
    assert repair(path, output=output).repairs == ()
    assert output.read_bytes() == path.read_bytes()
    assert fingerprint(path) == before


@pytest.mark.parametrize("number", range(len(FILES)), ids=lambda number: FILES[number].name)
def test_p4_p8_a_real_session_is_repaired_of_any_damage(number: int, folder: Path) -> None:
    whole = FILES[number].read_bytes()
    first = number * EACH
    for damage in (DAMAGES[(first + step) % len(DAMAGES)] for step in range(EACH)):
        root = folder / damage.name
        root.mkdir()
        path = damaged(damage, root, lines_of(whole))
        if path is None:
            continue
        before = fingerprint(path)
        output, done = repaired(path)
        left = check(output)
        assert left.healthy, damage.name
        history = read(output).messages
        if done.repairs:  # then also what Claude Code would mend by itself
            broken = {found.rule for found in validate((*history, NEXT), ANY_TOOLS)}
            assert broken <= {"R40"}, damage.name
        assert not refused(history)
        assert fingerprint(path) == before


def test_p8_in_place_keeps_the_file_as_it_was_beside_it_and_has_a_current_time(
    folder: Path,
) -> None:
    path = damaged(DAMAGES[0], folder)
    assert path is not None
    broken = path.read_bytes()
    os.utime(path, (1_000_000, 1_000_000))
    done = repair(path, in_place=True)
    assert done.output == path
    assert done.backup is not None
    assert done.backup.read_bytes() == broken
    assert done.backup.suffix != ".jsonl"
    assert check(path).healthy
    assert path.stat().st_mtime > 1_000_000_000
    assert sorted(folder.iterdir()) == sorted([path, done.backup])


def test_p8_a_second_backup_leaves_the_first_alone(folder: Path) -> None:
    path = damaged(DAMAGES[0], folder)
    assert path is not None
    broken = path.read_bytes()
    first = repair(path, in_place=True).backup
    path.write_bytes(broken)
    second = repair(path, in_place=True).backup
    assert None not in (first, second)
    assert first != second


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_p8_a_dry_run_says_what_would_be_done_and_writes_nothing(
    damage: Damage, folder: Path
) -> None:
    path = damaged(damage, folder)
    assert path is not None
    before = fingerprint(path)
    done = repair(path, dry_run=True)
    assert done.repairs
    assert done.output is None
    assert fingerprint(path) == before
    assert list(folder.iterdir()) == [path]
    assert repaired(path)[1].repairs == done.repairs


def test_p8_an_output_that_is_there_is_never_written_over(folder: Path) -> None:
    path = damaged(DAMAGES[0], folder)
    assert path is not None
    output = folder / "mine.txt"
    output.write_text("mine")
    with pytest.raises(FileExistsError):
        repair(path, output=output)
    assert output.read_text() == "mine"


def test_p8_a_session_that_is_written_to_meanwhile_is_left_alone(folder: Path) -> None:
    path = damaged(DAMAGES[0], folder)
    assert path is not None
    with open_transcript(path) as opened:
        with path.open("ab") as session:
            session.write(b"more\n")
        grown = path.read_bytes()
        with pytest.raises(FileChangedError):
            repair_opened(opened, path, in_place=True)
    assert path.read_bytes() == grown
    assert list(folder.iterdir()) == [path]


def test_p8_what_nobody_can_read_is_told_and_stays_in_the_file_as_it_was(folder: Path) -> None:
    torn = next(damage for damage in DAMAGES if damage.name == "torn_and_fused")
    path = damaged(torn, folder)
    assert path is not None
    _, done = repaired(path)
    assert [(left.rule, left.line) for left in done.unrepaired] == [("D06", 5)]


def test_d21_whoever_asks_for_nothing_or_for_two_things_is_told(folder: Path) -> None:
    path = damaged(DAMAGES[0], folder)
    assert path is not None
    with pytest.raises(ValueError, match="one of"):
        repair(path)
    with pytest.raises(ValueError, match="one of"):
        repair(path, in_place=True, dry_run=True)


def test_d21_what_is_no_transcript_at_all_raises_nothing(folder: Path) -> None:
    path = folder / "noise.jsonl"
    for content in (
        b"",
        b"\n\n",
        bytes(5000),
        b"\xff\xfe\x00",
        b"[1, 2]\n",
        b"{}\n",
        b'{"type":1}',
    ):
        path.write_bytes(content)
        check(path)
        repair(path, dry_run=True)
    assert list(folder.iterdir()) == [path]


MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "repeat", "swap", "zeros", "glue", "byte"]),
        st.integers(0, 7),
        st.integers(0, 400),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations=MUTATIONS)
def test_p4_p8_whatever_happens_to_the_lines_a_repair_leaves_what_claude_code_takes(
    folder: Path, mutations: list[tuple[str, int, int]]
) -> None:
    lines = lines_of(story().bytes())
    for kind, line, offset in mutations:
        mutate(lines, kind, line % len(lines), offset)
    path = folder / "session.jsonl"
    path.write_bytes(b"".join(lines))
    output = folder / "repaired.jsonl"
    output.unlink(missing_ok=True)
    repair(path, output=output)
    assert check(output).healthy
    assert not refused(read(output).messages)
    again = folder / "again.jsonl"
    again.unlink(missing_ok=True)
    repair(output, output=again)
    assert again.read_bytes() == output.read_bytes()


def mutate(lines: list[bytes], kind: str, at: int, offset: int) -> None:
    """Damage the lines in place; there is always one left."""
    raw = lines[at]
    offset = offset % len(raw) if raw else 0
    match kind:
        case "cut":
            lines[at] = raw[:offset]
        case "drop":
            lines[at : at + 1] = lines[at : at + 1] if len(lines) == 1 else []
        case "repeat":
            lines.append(raw)
        case "swap":
            lines[at], lines[-1] = lines[-1], lines[at]
        case "zeros":
            lines[at] = raw[:offset] + bytes(50) + raw[offset:]
        case "glue":
            lines[at] = raw.rstrip(b"\n")
        case _:
            lines[at] = raw[:offset] + b"\xff" + raw[offset + 1 :]


@pytest.mark.parametrize("lost", ["a1", "a2", "a3"])
def test_p4_a_result_whose_call_was_lost_is_on_the_chain_that_leads_to_the_end(
    lost: str, folder: Path
) -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m1", "t2")
    file.calls("a3", "m1", "t3").result("r1", "t1", "one", parent="a1")
    file.result("r2", "t2", "two", parent="a2").result("r3", "t3", "three", parent="a3")
    path = folder / "session.jsonl"
    path.write_bytes(file.says("a4", "m2", "Done.").without(lost).bytes())
    output = folder / "repaired.jsonl"
    repair(path, output=output)
    records = {record["uuid"]: record for record in map(json.loads, lines_of(output.read_bytes()))}
    above, walked = "a4", list[str]()
    while above is not None:
        walked.append(above)
        above = records[above]["parentUuid"]
    assert lost.replace("a", "r") in walked
    assert check(output).findings == ()
