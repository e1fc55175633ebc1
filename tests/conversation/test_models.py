"""Which grammar a model has: the table of specification R65, R22, R28, R72, and endpoints (§7)."""

from __future__ import annotations

import pytest

from conversation.notation import parse, render
from conversation.strategies import thinking, tool_use
from holdfast.conversation.history import assistant, text, tool_result, user
from holdfast.conversation.models import MODELS, Endpoint, model_id, profile_of
from holdfast.conversation.profile import DEFAULT
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate

# model: thinking types, always on, bound, prefill, system role, forced tools
ADAPTIVE, OFF, MANUAL = {"adaptive"}, {"adaptive", "disabled"}, {"enabled", "disabled"}
TABLE = [
    ("claude-fable-5-2", ADAPTIVE, True, True, False, True, False),
    ("claude-mythos-5-1", ADAPTIVE, True, True, False, True, False),
    ("claude-fable-5", ADAPTIVE, True, False, False, True, True),
    ("claude-opus-5-5", ADAPTIVE, True, True, False, True, False),
    ("claude-sonnet-5-5", {"adaptive", "between_tools"}, False, True, False, True, False),
    ("claude-haiku-5-5", ADAPTIVE, False, True, False, True, False),
    ("claude-opus-5", OFF, False, False, False, True, True),
    ("claude-sonnet-5", OFF, False, False, False, False, True),
    ("claude-opus-4-8", OFF, False, False, False, True, True),
    ("claude-opus-4-7", OFF, False, False, False, False, True),
    ("claude-opus-4-6", OFF | {"enabled"}, False, False, False, False, True),
    ("claude-sonnet-4-6", OFF | {"enabled"}, False, False, False, False, True),
    ("claude-opus-4-5", MANUAL, False, False, True, False, True),
    ("claude-haiku-4-5", MANUAL, False, False, True, False, True),
    ("claude-sonnet-4-5", MANUAL, False, False, True, False, True),
    ("claude-mythos-preview", {"adaptive", "enabled"}, True, False, False, False, False),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_r65_r22_r28_r72_r85_a_model_has_the_grammar_of_the_specification(
    row: tuple[str, set[str], bool, bool, bool, bool, bool],
) -> None:
    model, *expected = row
    profile = profile_of(model)
    assert [
        set(profile.thinking_types),
        profile.always_thinks,
        profile.bound_thinking,
        profile.prefill_allowed,
        profile.system_role_allowed,
        profile.forced_tools_allowed,
    ] == expected


def test_the_current_default_model_has_the_default_grammar() -> None:
    assert profile_of("claude-opus-5-5") == DEFAULT


def test_an_unknown_model_gets_the_newest_rules() -> None:
    assert profile_of("claude-fable-9") == DEFAULT
    assert profile_of("somebody-elses-model") == DEFAULT


@pytest.mark.parametrize(
    ("spelled", "known"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("claude-opus-5-5@20261001", "claude-opus-5-5"),
        ("claude-opus-5-5-latest", "claude-opus-5-5"),
        ("claude-opus-5-51", "claude-opus-5-51"),
    ],
)
def test_a_model_is_known_by_all_its_names(spelled: str, known: str) -> None:
    assert model_id(spelled) == known


@pytest.mark.parametrize("model", ["claude-3-opus-20240229", "claude-sonnet-4-20250514"])
def test_a34_an_older_model_still_has_a_grammar(model: str) -> None:
    assert profile_of(model).prefill_allowed
    assert not profile_of(model).system_role_allowed


def test_r62_a_small_window_takes_fewer_pages() -> None:
    assert profile_of("claude-haiku-4-5").pdf_pages_max == 100
    assert profile_of("claude-opus-5-5").pdf_pages_max == 600


@pytest.mark.parametrize("endpoint", [Endpoint.BEDROCK, Endpoint.VERTEX, Endpoint.GATEWAY])
def test_r61_clouds_take_smaller_images(endpoint: Endpoint) -> None:
    assert profile_of("claude-opus-5-5", endpoint).image_bytes_max == 5 * 1024 * 1024


def test_r82_r87_the_older_bedrock_has_rules_of_its_own() -> None:
    old = profile_of("claude-opus-4-6", Endpoint.BEDROCK)
    assert (old.tools_required, old.auto_cache_allowed) == (True, False)
    assert not profile_of("claude-opus-5-5", Endpoint.BEDROCK).tools_required


@pytest.mark.parametrize("model", [*MODELS, "llama"])
def test_a_compatible_endpoint_gets_plain_alternating_turns(model: str) -> None:
    history = (
        user("a"),
        user("b"),
        assistant(thinking("hm"), tool_use("t1")),
        user(tool_result("t1", "x")),
        *parse("user: c / system: s / assistant: d"),
        user(text("e")),
    )
    profile = profile_of(model, Endpoint.COMPATIBLE)
    repaired = repair(history, profile=profile).history
    assert render(repaired) == (
        "user: a / user: b / use t1: run / result t1: x / user: c / user: [System note] s "
        "/ assistant: d / user: e"
    )
    assert validate(repaired, profile) == ()
    assert profile.with_betas(["compact-2026-09-04"]) is profile


@pytest.mark.parametrize("endpoint", Endpoint)
def test_compaction_on_demand_is_offered_everywhere_but_on_bedrock_and_compatible_servers(
    endpoint: Endpoint,
) -> None:
    """§6, §7: whether a model has it is another question."""
    without = {Endpoint.BEDROCK, Endpoint.COMPATIBLE}
    for model in ("claude-opus-5-5", "claude-opus-4-6", "claude-haiku-4-5"):
        assert profile_of(model, endpoint).compaction_offered == (endpoint not in without)
