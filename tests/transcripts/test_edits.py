"""Edits: a repair as changes to the text of a file, for an editor (P8, D21).

`HOLDFAST_TRANSCRIPTS` names a directory with more real files; without it the shipped ones are read.
"""

from __future__ import annotations

import io
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.transcripts.edits import Edit, apply
from holdfast.transcripts.findings import Report, Severity, report_of, report_parts
from holdfast.transcripts.index import Progress
from holdfast.transcripts.opened import Opened, open_transcript
from holdfast.transcripts.repairing import edits, repair
from holdfast.transcripts.sparse import Sparse
from transcripts.damages import DAMAGES, HARMLESS, Damage, lines_of, open_call, story
from transcripts.mutants import KINDS, Original
from transcripts.transcript_files import Transcript

SHIPPED = Path(__file__).parents[1] / "corpora" / "claude-code"
CORPUS = Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED))
FILES = [path for path in sorted(CORPUS.rglob("*.jsonl")) if "other-agents" not in path.parts]
ALL = (*DAMAGES, *HARMLESS)
EACH = 2
"""How many kinds of damage each real file is played with; they take turns."""
LIKE = {"D05": "D06", "D07": "D06"}
"""What is wrong with a torn line has another name when its neighbours go."""
LARGE = 500_000
"""Larger files are judged once, not once for each group of edits."""
Findings: TypeAlias = Counter[tuple[str, Severity]]
UNSAVED = Path("no such folder", "session.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of a project's sessions."""
    made = tmp_path / "project"
    made.mkdir()
    return made


def applied(content: bytes, chosen: Sequence[Edit]) -> bytes:
    target = io.BytesIO()
    apply(chosen, io.BytesIO(content), target)
    return target.getvalue()


def judged(content: bytes) -> tuple[Report, tuple[Edit, ...]]:
    with open_transcript(UNSAVED, data=content) as opened:
        report = report_of(opened)
        return report, edits(opened, report)


def repaired(content: bytes, folder: Path) -> bytes:
    path, output = folder / UNSAVED.name, folder / "repaired.jsonl"
    path.write_bytes(content)
    output.unlink(missing_ok=True)
    repair(path, output=output)
    return output.read_bytes()


def are_what_a_repair_writes(content: bytes, folder: Path) -> None:
    found = judged(content)[1]
    chosen = [edit for edit in found if not edit.left_alone]
    assert applied(content, chosen) == repaired(content, folder)
    assert [(e.start, e.stop) for e in found] == sorted((e.start, e.stop) for e in found)
    assert all(one.stop <= other.start for one, other in pairwise(found))


def groups_mend_their_own(content: bytes) -> None:
    for own, before, after in each_group(content):
        assert not errors(after - before), own
        for rule, count in Counter(LIKE.get(rule, rule) for rule, _ in own[0].mends).items():
            assert _of(rule, after) <= _of(rule, before) - count, own


def each_group(content: bytes) -> Iterator[tuple[list[Edit], Findings, Findings]]:
    """Yield each group of edits, and what is wrong before and after it alone is made."""
    report, found = judged(content)
    for group in {edit.group for edit in found}:
        own = [edit for edit in found if edit.group == group]
        yield own, counted(report), counted(judged(applied(content, own))[0])


def counted(report: Report) -> Findings:
    bad = (f for f in report.findings if f.severity is not Severity.INFORMATION)
    return Counter((LIKE.get(f.rule, f.rule), f.severity) for f in bad)


def errors(counts: Findings) -> set[str]:
    return {rule for rule, severity in counts if severity is Severity.ERROR}


def _of(rule: str, counts: Findings) -> int:
    return sum(count for (each, _), count in counts.items() if each == rule)


def played() -> Iterator[tuple[str, bytes]]:
    """Yield real files, damaged in turns."""
    for number, path in enumerate(FILES):
        lines = lines_of(path.read_bytes())
        first = number * EACH
        for damage in (ALL[(first + step) % len(ALL)] for step in range(EACH)):
            content = damage.strike(lines)
            if content is not None:
                yield f"{path.name}, {damage.name}", content


PLAYED = tuple(played())


@pytest.mark.parametrize("damage", ALL, ids=lambda damage: damage.name)
def test_p8_all_edits_at_once_are_what_a_repair_writes(damage: Damage, folder: Path) -> None:
    content = damage.strike(lines_of(story().bytes()))
    assert content is not None
    are_what_a_repair_writes(content, folder)
    are_what_a_repair_writes(content.rstrip(b"\n"), folder)


@pytest.mark.parametrize("damage", ALL, ids=lambda damage: damage.name)
def test_p8_every_finding_has_its_edits_and_they_alone_mend_it(damage: Damage) -> None:
    content = damage.strike(lines_of(story().bytes()))
    assert content is not None
    report, found = judged(content)
    mended = {place for edit in found for place in edit.mends}
    broken = [f for f in report.findings if f.severity is not Severity.INFORMATION]
    assert {(f.rule, f.line) for f in broken if f.rule != "D12"} <= mended
    groups_mend_their_own(content)


@pytest.mark.parametrize(("name", "content"), PLAYED, ids=[name for name, _ in PLAYED])
def test_p8_the_same_holds_for_real_sessions(name: str, content: bytes, folder: Path) -> None:
    are_what_a_repair_writes(content, folder)
    if len(content) < LARGE:
        groups_mend_their_own(content)


@settings(max_examples=80, deadline=None)
@given(seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=2))
def test_p8_no_group_of_edits_does_harm_whatever_happened_to_the_file(seeds: list[int]) -> None:
    content = story().bytes()
    for seed in seeds:
        chance = random.Random(seed)
        mutant = chance.choice(KINDS)(Original("story", tuple(lines_of(content))), chance)
        if mutant is not None and 0 < len(mutant.content) <= LARGE:
            content = mutant.content
    for own, before, after in each_group(content):
        assert not errors(after - before), own


@pytest.mark.parametrize("damage", ALL, ids=lambda damage: damage.name)
def test_p8_shortened_messages_are_mended_as_whole_ones(damage: Damage) -> None:
    for lines in (story().bytes(), *(path.read_bytes() for path in FILES[:2])):
        content = damage.strike(lines_of(lines))
        if content is None:
            continue
        with open_transcript(UNSAVED, data=content) as opened:
            whole = Sparse(opened)
            whole.load(range(len(opened.said)))
            assert report_of(opened, whole) == report_of(opened)
            assert edits(opened, sparse=whole) == edits(opened)


def test_d08_a_call_at_the_very_end_gets_a_result_when_that_is_asked_for() -> None:
    content = open_call(lines_of(story().bytes()))
    assert content is not None
    report, found = judged(content)
    assert report.healthy
    assert [(edit.left_alone, edit.mends) for edit in found] == [(True, (("R40", 4),))]
    assert judged(applied(content, found))[0].findings == ()


def test_d08_what_is_mended_beside_a_call_at_the_very_end_does_not_claim_to_close_it() -> None:
    file = Transcript().user("u1", "go")
    blank = {"type": "text", "text": " "}
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    message = {"id": "m1", "model": "claude-x", "role": "assistant", "content": [blank, call]}
    content = file.add("assistant", "a1", message=message).bytes()
    report, found = judged(content)
    assert {finding.rule for finding in report.findings} == {"R33", "R40"}
    assert {rule for edit in found if not edit.left_alone for rule in edit.rules} == {"R33"}
    groups_mend_their_own(content)


def test_p8_a_healthy_session_has_no_edits() -> None:
    assert judged(story().bytes())[1] == ()


def test_p8_the_parts_of_a_report_come_one_by_one_and_are_all_of_it() -> None:
    content = b"".join(lines_of(story().bytes())[:-1]) + b'{"type":'
    with open_transcript(UNSAVED, data=content) as opened:
        parts = list(report_parts(opened))
        assert [[f.rule for f in part] for part in parts] == [["D07"], [], []]
        assert [f for part in parts for f in part] == list(report_of(opened).findings)


class Cancelled(Exception):
    """What a progress raises to end the work."""


def cancelling(after: int) -> Progress:
    """Return a progress that raises when it was told so often."""
    told = iter(range(after))

    def cancel(_done: int, _total: int) -> None:
        if next(told, None) is None:
            raise Cancelled

    return cancel


def test_p8_a_repair_that_is_cancelled_anywhere_leaves_nothing_behind(folder: Path) -> None:
    content = DAMAGES[0].strike(lines_of(story().bytes()))
    assert content is not None
    path, output = folder / "session.jsonl", folder / "repaired.jsonl"
    path.write_bytes(content)
    told: list[tuple[int, int]] = []
    repair(path, output=output, progress=lambda done, total: told.append((done, total)))
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    output.unlink()
    for after in range(len(told)):
        with pytest.raises(Cancelled):
            repair(path, output=output, progress=cancelling(after))
        with pytest.raises(Cancelled):
            repair(path, in_place=True, progress=cancelling(after))
        assert path.read_bytes() == content
        assert list(folder.iterdir()) == [path]


def opened_twice(path: Path) -> tuple[Opened, Opened]:
    with open_transcript(path) as first, open_transcript(path, index=first.index) as second:
        return first, second


def test_s9_a_known_index_is_not_built_again(folder: Path) -> None:
    path = folder / "session.jsonl"
    path.write_bytes(story().bytes())
    first, second = opened_twice(path)
    assert second.index is first.index
    assert second.said == first.said
