"""Permission rules (P11): the last match wins, a denied call stays denied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.tools.base import exactly
from holdfast.tools.permissions import Answer, Rule, decide

ALLOW, ASK, DENY = Answer.ALLOW, Answer.ASK, Answer.DENY


def allow(tool: str, pattern: str) -> Rule:
    return Rule(tool, pattern, ALLOW)


def deny(tool: str, pattern: str) -> Rule:
    return Rule(tool, pattern, DENY)


def ask(tool: str, pattern: str) -> Rule:
    return Rule(tool, pattern, ASK)


rules = st.builds(
    Rule,
    tool=st.sampled_from(["*", "run", "edit", "e*"]),
    pattern=st.sampled_from(["*", "a*", "src/*", "a.py", "src/a.py"]),
    answer=st.sampled_from(Answer),
)
targets = st.sampled_from(["a.py", "src/a.py", "b", "", "a b; c"])


def test_without_rules_reading_is_allowed_and_changing_asks() -> None:
    assert decide("read", "a.py", [], mutates=False) is ALLOW
    assert decide("edit", "a.py", [], mutates=True) is ASK


def test_the_last_matching_rule_wins() -> None:
    settings = [allow("edit", "*"), ask("edit", "src/*"), allow("edit", "src/gen/*")]
    assert decide("edit", "a.py", settings, mutates=True) is ALLOW
    assert decide("edit", "src/a.py", settings, mutates=True) is ASK
    assert decide("edit", "src/gen/a.py", settings, mutates=True) is ALLOW


def test_tools_are_globs_too() -> None:
    assert decide("mcp_mail_send", "", [deny("mcp_*", "*")], mutates=True) is DENY
    assert decide("read", "x", [deny("mcp_*", "*")], mutates=False) is ALLOW


@given(st.sampled_from(["run", "edit", "read"]), targets, st.lists(rules), st.lists(rules))
def test_p11_a_grant_of_the_session_never_overrules_a_denial_of_the_settings(
    tool: str, target: str, settings: list[Rule], granted: list[Rule]
) -> None:
    if decide(tool, target, settings, mutates=True) is DENY:
        assert decide(tool, target, settings, mutates=True, granted=granted) is DENY


@given(st.sampled_from(["run", "edit", "read"]), targets, st.lists(rules), st.booleans())
def test_a_rule_that_does_not_match_changes_nothing(
    tool: str, target: str, settings: list[Rule], mutates: bool
) -> None:
    matching = [rule for rule in settings if rule.matches(tool, target)]
    assert decide(tool, target, settings, mutates) == decide(tool, target, matching, mutates)


@given(st.text(), st.text())
def test_allow_always_allows_this_target_and_no_other(target: str, other: str) -> None:
    granted = [allow("run", exactly(target))]
    assert decide("run", target, [], mutates=True, granted=granted) is ALLOW
    if other != target and exactly(target) not in ("*", "**"):
        assert decide("run", other, [], mutates=True, granted=granted) is ASK


@pytest.mark.parametrize(
    "command",
    [
        "git status; rm -rf .",
        "git status && rm x",
        "git log | sh",
        "git log $(rm x)",
        "git log `rm x`",
        "git log > file",
        "git status\nrm x",
        "git status & rm x",
    ],
)
def test_p11_a_wildcard_of_an_allow_rule_hides_no_second_command(command: str) -> None:
    assert decide("run", "git log -n 3", [allow("run", "git *")], mutates=True) is ALLOW
    assert decide("run", command, [allow("run", "git *")], mutates=True) is ASK
    assert decide("run", command, [deny("run", "git *")], mutates=True) is DENY
    assert decide("run", command, [allow("run", "*")], mutates=True) is ALLOW


def test_an_allow_rule_may_name_its_operators_itself() -> None:
    rule = allow("run", "make * && make test")
    assert decide("run", "make all && make test", [rule], mutates=True) is ALLOW
    assert decide("run", "make all; rm x && make test", [rule], mutates=True) is ASK


def test_p11_denying_ignores_case_and_allowing_does_not() -> None:
    assert decide("read", ".ENV", [deny("read", ".env")], mutates=False) is DENY
    assert decide("edit", "A.PY", [allow("edit", "a.py")], mutates=True) is ASK


@pytest.mark.parametrize("path", [".env", "a/.env", "a/b/.env"])
def test_two_stars_and_a_slash_may_match_nothing(path: str) -> None:
    assert decide("read", path, [deny("read", "**/.env")], mutates=False) is DENY
    assert decide("read", "x.env", [deny("read", "**/.env")], mutates=False) is ALLOW
