"""docs/doctor.md says what the code does and what was measured."""

from __future__ import annotations

import json

from holdfast.network import LIMIT_S, Diagnosis, verdicts
from holdfast.network.reports import HEALTHY, TITLES, plain
from network import doctor_page
from network.doctor_campaign import MEASURED, MTU
from network.planted import PLANTS

ROWS = json.loads(MEASURED.read_text("utf-8"))["rows"]


def test_the_page_is_what_the_tables_say() -> None:
    assert doctor_page.PAGE.read_text("utf-8") == doctor_page.page()


def test_every_step_and_every_member_is_on_the_page() -> None:
    assert set(doctor_page.STEPS) == set(TITLES)
    assert set(doctor_page.STEPS) == {*verdicts.DEPTH, verdicts.ROUTE, verdicts.COMPARE}
    nothing = Diagnosis(verdict=HEALTHY, says="", advice="", endpoint="", checks=())
    assert set(doctor_page.FIELDS) == set(plain(nothing))


def test_every_plant_was_measured_named_and_in_time() -> None:
    measured = {row["planted"]: row for row in ROWS}
    assert set(measured) == {MTU, *(plant.says for plant in PLANTS.values())}
    for plant in PLANTS.values():
        assert measured[plant.says]["verdict"] == plant.verdict
    assert all(row["verdict"] == row["expected"] for row in ROWS)
    assert all(row["seconds"] <= LIMIT_S for row in ROWS)
    assert len({row["planted"] for row in ROWS if row["verdict"] != HEALTHY}) >= 15
