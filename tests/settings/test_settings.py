"""Settings: what is taken, what is named as wrong, and that nothing stops (interface, P11)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.settings import (
    Answer,
    CompactionSettings,
    Continue,
    EndpointSetting,
    Kind,
    Method,
    PermissionRule,
    Price,
    Problem,
    RetrySettings,
    Settings,
    StreamSettings,
    WrongValue,
)

SECRET = "sk-ant-api03-do-not-show"

SAMPLE: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "baseUrl": "http://127.0.0.1:8080/gateway",
    "maxOutputTokens": 8_000,
    "contextWindowTokens": 200_000,
    "compaction.softMark": 0.5,
    "compaction.hardMark": 0.6,
    "compaction.deadlineSeconds": 30,
    "compaction.method": "summary",
    "stream.idleWarnSeconds": 2,
    "stream.idleCutSeconds": 20,
    "stream.progressCutSeconds": 200,
    "stream.firstByteSeconds": 30,
    "retry.maxDelaySeconds": 5,
    "retry.budgetSeconds": 50,
    "retry.probeMaxSeconds": 40,
    "permissions": [{"tool": "run", "pattern": "make *", "answer": "allow"}],
    "prices": [{"model": "m-*", "input": 5, "output": 25, "cacheRead": 0.5, "cacheWrite": 6.25}],
    "continueInterrupted": "ask",
    "endpoints": [{"name": "office", "kind": "gateway", "baseUrl": "http://llm.example:4000/"}],
    "endpoint": "office",
    "failover": ["default", "office"],
    "retry.failoverSeconds": 7,
}
SAMPLE_VALUES: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "base_url": "http://127.0.0.1:8080/gateway",
    "max_output_tokens": 8_000,
    "context_window_tokens": 200_000,
    "compaction": CompactionSettings(
        soft_mark=0.5, hard_mark=0.6, deadline_s=30, method=Method.SUMMARY
    ),
    "stream": StreamSettings(idle_warn_s=2, idle_cut_s=20, progress_cut_s=200, first_byte_s=30),
    "retry": RetrySettings(max_delay_s=5, budget_s=50, probe_max_s=40, failover_s=7),
    "permissions": (PermissionRule("run", "make *", Answer.ALLOW),),
    "prices": (Price("m-*", input=5, output=25, cache_read=0.5, cache_write=6.25),),
    "continue_interrupted": Continue.ASK,
    "endpoints": (EndpointSetting("office", Kind.GATEWAY, "http://llm.example:4000"),),
    "endpoint": "office",
    "failover": ("default", "office"),
}

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
_names = st.sampled_from([*SAMPLE, "compaction", "stream", "retry", "holdfast", "apiKey"])
_near_values = st.sampled_from([*SAMPLE.values(), 0.95, 0.1, 3_600, 1e308, 10**400, -1, "", {}, []])
_near_sections = st.dictionaries(_names, _json | _near_values | st.dictionaries(_names, _json))
_environments = st.dictionaries(
    st.sampled_from(["ANTHROPIC_BASE_URL", "HOLDFAST_DATA_DIR", "HOLDFAST_STORE"]),
    st.text(st.characters(codec=None))
    | st.sampled_from(["~nobody-here/x", "sqlite:///", "sqlite:////a.db", "http://[", "./here"]),
)


def defaults() -> Settings:
    """Return the settings of a person who set nothing; made anew, as home is another per test."""
    return Settings()


def load(editor: object, **environ: str) -> Settings:
    """Load settings that are all right. One of the two places that know how settings are read."""
    settings, problems = Settings.load(editor, environ)
    assert problems == ()
    return settings


def the_problem(editor: object, **environ: str) -> Problem:
    """Load settings of which one is wrong, and check that the defaults stand."""
    settings, problems = Settings.load(editor, environ)
    assert settings == defaults()
    [problem] = problems
    return problem


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = {}
    for name, value in dotted.items():
        group, _, leaf = name.rpartition(".")
        (section.setdefault(group, {}) if group else section)[leaf] = value
    return section


@pytest.mark.parametrize(
    "nothing",
    [None, {}, [], {"holdfast": {}}, {"holdfast": []}, {"holdfast": None}, {"stream": []}],
)
def test_without_settings_the_defaults_hold(nothing: object) -> None:
    settings = load(nothing)
    assert settings == defaults()
    assert (settings.compaction.soft_mark, settings.compaction.hard_mark) == (0.75, 0.92)
    assert (settings.stream.idle_warn_s, settings.stream.idle_cut_s) == (8, 90)


@pytest.mark.parametrize(
    "editor",
    [
        SAMPLE,
        nested(SAMPLE),
        {"holdfast": SAMPLE, "python": {"analysis": 1}},
        {"holdfast": nested(SAMPLE)},
        {f"holdfast.{name}": value for name, value in SAMPLE.items()},
    ],
    ids=["dotted", "nested", "wrapped and dotted", "wrapped and nested", "prefixed"],
)
def test_every_dialect_of_editors_means_the_same(editor: dict[str, Any]) -> None:
    assert load(editor) == Settings(**SAMPLE_VALUES)


def test_null_means_not_set() -> None:
    assert load(dict.fromkeys(SAMPLE)) == defaults()


def test_a_whole_number_may_come_as_a_float_as_lua_sends_it() -> None:
    assert load({"maxOutputTokens": 8000.0}).max_output_tokens == 8000


def test_what_editors_keep_for_themselves_is_no_problem() -> None:
    assert load({"server": {"command": ["x"]}, "trace.server": "verbose"}) == defaults()


@pytest.mark.parametrize(
    ("name", "value", "shown", "says"),
    [
        ("model", 5, "5", "a name of 1 to 200 characters"),
        ("model", "  ", '"  "', "a name of 1 to 200 characters"),
        ("baseUrl", "ftp://example.org", '"ftp://example.org"', "an http(s) address"),
        ("baseUrl", "http://host:port", '"http://host:port"', "an http(s) address"),
        ("maxOutputTokens", 0, "0", "a whole number from 1 to 1000000"),
        ("maxOutputTokens", 1.5, "1.5", "a whole number"),
        ("maxOutputTokens", True, "true", "a whole number"),
        ("maxOutputTokens", 10**400, "a huge number", "a whole number"),
        ("contextWindowTokens", "200k", '"200k"', "the model's own limit is used"),
        ("compaction.softMark", "0.5", '"0.5"', "a number from 0.1 to 0.95"),
        ("compaction.hardMark", 1, "1", "0.92 is used"),
        ("compaction.method", "api ", '"api "', "api, summary or local"),
        ("stream.idleCutSeconds", float("nan"), "nan", "a number from 0.1 to 3600"),
        ("retry.budgetSeconds", float("inf"), "inf", "600.0 is used"),
        ("permissions", "allow", '"allow"', "you are asked about every call"),
        ("prices", "free", '"free"', "no cost is shown"),
        ("endpoints", "office", '"office"', "no other endpoint is used"),
        ("failover", "office", '"office"', "no other endpoint is used"),
        ("endpoint", 7, "7", "default is used"),
        ("continueInterrupted", "never", '"never"', "always is used"),
    ],
)
def test_a_wrong_value_is_named_and_the_default_is_used(
    name: str, value: object, shown: str, says: str
) -> None:
    problem = the_problem({name: value})
    assert (problem.name, problem.value) == (f"holdfast.{name}", shown)
    assert problem.message.startswith(f"holdfast.{name} must be ")
    assert says in problem.message


def test_one_wrong_setting_leaves_the_others_alone() -> None:
    settings, problems = Settings.load(SAMPLE | {"model": ""}, {})
    assert settings == Settings(**SAMPLE_VALUES | {"model": defaults().model})
    assert [problem.name for problem in problems] == ["holdfast.model"]


def test_an_unknown_name_is_said_with_the_names_there_are() -> None:
    problem = the_problem({"compaction": {"softmark": 0.5}})
    assert problem.name == "holdfast.compaction.softmark"
    assert "compaction.softMark" in problem.message


def test_a_group_that_is_no_object_is_named() -> None:
    assert the_problem({"stream": 90}).name == "holdfast.stream"


@pytest.mark.parametrize("section", [5, "x", [1], True])
def test_a_section_that_is_no_object_is_named(section: object) -> None:
    assert the_problem(section).name == "holdfast"


@pytest.mark.parametrize(
    ("editor", "named"),
    [
        ({"compaction.softMark": 0.93}, "compaction.softMark"),
        ({"compaction.hardMark": 0.5}, "compaction.hardMark"),
        ({"compaction.softMark": 0.5, "compaction.hardMark": 0.5}, "compaction.softMark"),
        ({"stream.idleCutSeconds": 5}, "stream.idleCutSeconds"),
        ({"retry.maxDelaySeconds": 900}, "retry.maxDelaySeconds"),
        ({"maxOutputTokens": 9_000, "contextWindowTokens": 8_000}, "maxOutputTokens"),
    ],
)
def test_settings_that_contradict_each_other_fall_back_together(
    editor: dict[str, Any], named: str
) -> None:
    assert the_problem(editor).name == f"holdfast.{named}"


def test_a_small_window_leaves_a_quarter_to_the_answer() -> None:
    assert load({"contextWindowTokens": 8_000}).max_output_tokens == 2_000
    assert load({"contextWindowTokens": 1_000_000}).max_output_tokens == 32_000


@pytest.mark.parametrize(
    ("rule", "at"),
    [
        ("run", "[1]"),
        ({"tool": "run", "pattern": "*", "answer": "allow", "why": ""}, "[1]"),
        ({"tool": "run", "pattern": "*", "answer": "maybe"}, "[1].answer"),
        ({"tool": "run", "pattern": "*", "answer": ["allow"]}, "[1].answer"),
        ({"tool": "", "pattern": "*", "answer": "deny"}, "[1].tool"),
        ({"tool": "run", "answer": "deny"}, "[1].pattern"),
    ],
)
def test_one_wrong_permission_withdraws_all_so_that_a_person_is_asked(
    rule: object, at: str
) -> None:
    allow_all = {"tool": "*", "pattern": "*", "answer": "allow"}
    problem = the_problem({"permissions": [allow_all, rule]})
    assert problem.name == f"holdfast.permissions{at}"


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"input": -1}, "[1].input"),
        ({"cacheRead": "0.5"}, "[1].cacheRead"),
        ({"output": True}, "[1].output"),
        ({"model": ""}, "[1].model"),
        ({"currency": "EUR"}, "[1]"),
    ],
)
def test_one_wrong_price_leaves_no_price_in_force(change: dict[str, Any], at: str) -> None:
    [price] = SAMPLE["prices"]
    problem = the_problem({"prices": [price, {**price, **change}]})
    assert problem.name == f"holdfast.prices{at}"
    assert "no cost is shown" in problem.message


def test_a_price_without_all_its_members_is_none() -> None:
    [price] = SAMPLE["prices"]
    for member in price:
        less = {name: value for name, value in price.items() if name != member}
        assert the_problem({"prices": [less]}).name == "holdfast.prices[0]"


def test_the_editor_goes_before_the_environment() -> None:
    environment = "https://environment.example"
    assert load({}, ANTHROPIC_BASE_URL=f"{environment}/").base_url == environment
    editor = {"baseUrl": "https://editor.example"}
    assert load(editor, ANTHROPIC_BASE_URL=environment).base_url == "https://editor.example"


def test_a_wrong_address_of_the_editor_leaves_the_environments() -> None:
    environ = {"ANTHROPIC_BASE_URL": "https://environment.example"}
    settings, [problem] = Settings.load({"baseUrl": 1}, environ)
    assert settings.base_url == "https://environment.example"
    assert "https://environment.example is used" in problem.message


def test_an_empty_variable_is_none() -> None:
    assert load({}, ANTHROPIC_BASE_URL="", HOLDFAST_DATA_DIR=" ", HOLDFAST_STORE="") == defaults()


def test_sessions_live_in_the_users_data_directory_unless_it_is_moved(home: Path) -> None:
    assert load({}).data_dir.is_relative_to(home)
    moved = load({}, HOLDFAST_DATA_DIR="~/moved")
    assert (moved.data_dir, moved.store_path) == (home / "moved", home / "moved" / "holdfast.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/h.db", "/var/lib/h.db"),
        ("sqlite:////var/lib/h.db", "/var/lib/h.db"),
        ("sqlite:///with%20space/h.db", "/with space/h.db"),
    ],
)
def test_a_store_address_names_an_absolute_file(url: str, path: str) -> None:
    assert load({}, HOLDFAST_STORE=url).store_path == Path(path)


def test_postgresql_is_said_to_be_missing_with_the_next_step_and_without_the_password() -> None:
    problem = the_problem({}, HOLDFAST_STORE="postgresql://me:hunter2@db/holdfast")
    assert problem.name == "HOLDFAST_STORE"
    assert "PostgreSQL is not supported yet (unset it, or name a file)" in problem.message
    assert str(defaults().store_path) in problem.message
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "url", ["h.db", "sqlite://h.db", "sqlite:///", "sqlite:///a/", "mysql://x"]
)
def test_a_store_address_of_no_use_is_named(url: str) -> None:
    assert the_problem({}, HOLDFAST_STORE=url).name == "HOLDFAST_STORE"


def test_a_data_directory_that_cannot_be_resolved_is_named() -> None:
    assert the_problem({}, HOLDFAST_DATA_DIR="~no-such-user/x").name == "HOLDFAST_DATA_DIR"
    assert the_problem({}, HOLDFAST_DATA_DIR="/a\nb").name == "HOLDFAST_DATA_DIR"


@pytest.mark.parametrize(
    "editor",
    [
        {"apiKey": SECRET},
        {"api": {"key": SECRET}},
        {"baseUrl": f"https://me:{SECRET}@example.org"},
        {"baseUrl": f"https://example.org/?key={SECRET}"},
        {"maxOutputTokens": SECRET},
        {"permissions": [{"tool": "run", "pattern": "*", "answer": SECRET}]},
    ],
)
def test_a_key_in_the_wrong_place_is_not_shown(editor: dict[str, Any]) -> None:  # P11
    settings, problems = Settings.load(editor, {"ANTHROPIC_API_KEY": SECRET})
    assert len(problems) == 1
    assert SECRET not in f"{settings} {problems}"


def test_a_key_among_the_settings_is_told_where_keys_belong() -> None:
    assert "ANTHROPIC_API_KEY" in the_problem({"apiKey": SECRET}).message


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (CompactionSettings, {"soft_mark": 0.99}),
        (CompactionSettings, {"soft_mark": 0.8, "hard_mark": 0.7}),
        (StreamSettings, {"idle_cut_s": 5}),
        (RetrySettings, {"budget_s": -1}),
        (Settings, {"max_output_tokens": 0}),
        (Settings, {"base_url": "nowhere"}),
        (PermissionRule, {"tool": "", "pattern": "*", "answer": "allow"}),
    ],
)
def test_no_constructor_makes_settings_out_of_range(kind: type, values: dict[str, Any]) -> None:
    with pytest.raises(WrongValue):
        kind(**values)


@given(st.one_of(_json, _near_sections), _environments)
def test_any_json_and_any_environment_give_settings_within_their_ranges(
    editor: object, environ: dict[str, str]
) -> None:
    settings, problems = Settings.load(editor, environ)
    for part in (settings, settings.compaction, settings.stream, settings.retry):
        attrs.validate(part)
    assert settings.data_dir.is_absolute()
    assert settings.store_path.is_absolute()
    for problem in problems:
        assert problem.name
        assert problem.message.isprintable()


@given(_near_sections)
def test_a_json_round_trip_of_the_section_changes_nothing(editor: dict[str, Any]) -> None:
    once = Settings.load(editor, {})
    assert Settings.load(json.loads(json.dumps(editor)), {}) == once


def test_reading_settings_stays_light() -> None:  # S2
    light = (
        "import sys; from holdfast.settings import Settings;"
        "Settings.load({'model': 'm'}, {'HOLDFAST_DATA_DIR': '/x'});"
        "print(*sorted({'platformdirs', 'anthropic', 'pygls', 'cattrs', 'asyncio', 'rich'}"
        " & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", light], capture_output=True, check=True, text=True)
    assert run.stdout.split() == []
