"""`docs/grammar.md` lists every rule and every pass as the code has them, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from conversation.test_rules_by_profile import TABLE as BY_PROFILE
from conversation.test_rules_table import TABLE
from holdfast.conversation.passes import PASSES
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules import STAGES

PAGE = (Path(__file__).parents[2] / "docs" / "grammar.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([RA]\d[^|]*?) \| ([^|]+) \| `([a-z_.]+)` \| ([^|]+) \|$", re.MULTILINE)


def name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").splitlines()[0]


def ids_in(text: str) -> set[str]:
    """Read ids and ranges of ids: `R8, R45-R47` are four."""
    found = set(re.findall(r"[RA]\d+", text))
    for first, last in re.findall(r"R(\d+)-R(\d+)", text):
        found |= {f"R{number}" for number in range(int(first), int(last) + 1)}
    return found


def test_the_page_lists_every_rule_with_its_law_in_the_api_s_order() -> None:
    rules = [rule for stage in STAGES for rule in stage]
    expected = [
        (*first_line(rule).removesuffix(".").split(": ", 1), name_of(rule)) for rule in rules
    ]
    assert [row[:3] for row in ROW.findall(PAGE)] == expected


def test_what_mends_a_rule_is_a_pass() -> None:
    passes = {name_of(mend) for mend in PASSES}
    for *_, mended_by in ROW.findall(PAGE):
        assert mended_by.startswith("–") or mended_by.strip("`") in passes


def test_the_page_lists_every_pass_in_its_order() -> None:
    listed = re.findall(r"^\d+\. `([a-z_.]+)`: (.+)$", PAGE, re.MULTILINE)
    assert listed == [(name_of(mend), first_line(mend)) for mend in PASSES]


def test_every_rule_that_is_tested_is_on_the_page() -> None:
    listed = set().union(*(ids_in(ids) for ids, *_ in ROW.findall(PAGE)))
    tested = {rule for rule, *_ in TABLE} | {rule for rule, *_ in BY_PROFILE}
    assert tested <= listed
    assert {rule for rule in listed if rule.startswith("R")} - tested <= ELSEWHERE


ELSEWHERE = {"R7", "R19", "R60", "R61", "R62", "R63", "R64", "R41"}
"""Rules whose smallest violation is too large for a table (`test_media*.py`), and R41, to which the
API answers as to R40."""


def test_every_choice_of_a_profile_is_explained() -> None:
    for field in attrs.fields(Profile):
        assert f"`{field.name}`" in PAGE or field.name.endswith(("_blocks", "betas_allowed"))
