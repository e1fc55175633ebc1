"""The page of what is survived says what the tests play, no more and no less."""

from __future__ import annotations

from corpora.poisoned import CASES, CLASSES, GOAL_V8, HISTORY, REQUEST
from e2e import survival
from e2e.live_damage import PLAYS
from e2e.survived import SURVIVED

PAGE = survival.TESTS.parent / "docs" / "survival.md"


def test_the_page_is_the_one_that_the_tests_make() -> None:
    """`make survival` writes it."""
    assert PAGE.read_text(encoding="utf-8") == survival.page()


def test_a_marker_and_a_name_both_count() -> None:
    codes = {(entry.code, entry.name) for entry in survival.played()}
    name = "test_C03_C04_an_answer_cut_at_any_event_is_kept_and_goes_on"
    assert {("C03", name), ("C04", name)} <= codes
    assert any(entry.code == "D27" and "test_kill" in entry.path for entry in survival.played())


def test_every_class_of_poisoned_histories_has_its_costs_and_nothing_else_has() -> None:
    imported = {f"{case.id} {case.what}" for case in (*HISTORY, *GOAL_V8)}
    assert {*imported, *PLAYS} == {*SURVIVED}
    assert {name.split()[0] for name in SURVIVED} == {*CLASSES, "V8"}
    assert {case.id for case in REQUEST} <= {name.split()[0] for name in PLAYS}
    assert len(CASES) == len(HISTORY) + len(GOAL_V8) + len(REQUEST)
