"""A slice of the campaign of mutants (V9, P4, P8): each kind of damage to the smallest real files.

`make mutants` plays thousands on all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.agent.intake import transcript_events
from holdfast.transcripts import foreign
from transcripts.mutant_campaign import CORPUS, KEPT_MIN, Outcome, Subject, campaign
from transcripts.mutants import KINDS, mutant

FILES_MAX = 2
SEED = 20_261_123


@pytest.fixture(scope="module")
def files() -> list[Subject]:
    """The smallest files that are shipped."""
    paths = sorted(CORPUS.glob("*.jsonl"), key=lambda path: path.stat().st_size)
    return [Subject(path) for path in paths[:FILES_MAX]]


@pytest.fixture(scope="module")
def outcome(files: list[Subject]) -> Outcome:
    """What became of them, each kind played on each file."""
    played = Outcome()
    for one in campaign(files, range(len(KINDS) * FILES_MAX), SEED):
        played.add(one)
    return played


def test_v9_no_mutant_raises_and_each_is_repaired_to_what_the_api_takes(outcome: Outcome) -> None:
    assert outcome.broken == []
    assert outcome.repaired > len(KINDS) / 2


def test_p4_what_a_mutation_did_not_touch_is_kept(outcome: Outcome) -> None:
    assert outcome.intact_bytes > 50_000
    assert outcome.kept >= KEPT_MIN


def test_every_kind_of_damage_is_played(outcome: Outcome) -> None:
    assert outcome.trials.keys() == {kind.__name__ for kind in KINDS}


def test_a_mutant_is_told_by_its_number_and_keeps_the_lines_that_it_does_not_name(
    files: list[Subject],
) -> None:
    original = files[0].original
    for number in range(len(KINDS)):
        struck = mutant(original, number, SEED)
        assert struck == mutant(original, number, SEED)
        if struck is None:
            continue
        for line, raw in enumerate(original.lines, 1):
            assert line in struck[1].touched or raw.strip() in struck[1].content, struck[0]


def test_v9_mutants_of_other_agents_files_are_read_and_checked_and_nothing_raises(
    tmp_path: Path,
) -> None:
    others = CORPUS.with_name("other-agents")
    found = [Subject(path).original for path in sorted(others.glob("*.json*"))]
    assert len(found) >= 2
    for original in found:
        path = tmp_path / original.name
        for number in range(len(KINDS)):
            struck = mutant(original, number, SEED)
            if struck is not None:
                path.write_bytes(struck[1].content)
                assert len(transcript_events(path, None, None)) >= 2
                report = foreign.check(path)
                assert report is None or report.path == path


def test_no_mutant_touches_the_file_itself(files: list[Subject]) -> None:
    paths: list[Path] = [subject.path for subject in files]
    assert [path.read_bytes() for path in paths] == [each.original.content for each in files]
