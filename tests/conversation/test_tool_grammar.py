"""Lists of tools: whatever a tool server publishes, the request can be sent (R83-R88, A29, A30)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import strategies as make
from conversation.notation import parse
from holdfast.conversation.models import Endpoint, profile_of
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.schemas import is_schema, object_schema
from holdfast.conversation.tool_grammar import Tool, check_tools, normalise_tools

OBJECT: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}}
OLD_BEDROCK = profile_of("claude-opus-4-6", Endpoint.BEDROCK)


def tool(name: str = "read", schema: Any = OBJECT, **fields: Any) -> Tool:
    return {"name": name, "input_schema": schema, **fields}


def normalised(*tools: Tool, profile: Profile = DEFAULT) -> tuple[Tool, ...]:
    """The one place that calls the normaliser: what comes out is always accepted."""
    made, _ = normalise_tools(tools, profile)
    assert check_tools(made, profile) == ()
    return made


SCHEMA = "tools.0.custom.input_schema"
TABLE: list[tuple[str, list[Tool], str]] = [
    ("R83", [tool("a.b")],
     "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
    ("R83", [tool("n" * 129)],
     "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
    ("R83", [tool(), tool(description="other")], "tools: Tool names must be unique."),
    ("R84", [{"name": "read"}], f"{SCHEMA}: Field required"),
    ("R84", [tool(schema={})], f"{SCHEMA}.type: Field required"),
    ("R84", [tool(schema={"type": "string"})], f"{SCHEMA}.type: Input should be 'object'"),
    ("R84", [tool(schema={"type": "object", "anyOf": [OBJECT]})],
     f"{SCHEMA}: input_schema does not support oneOf, allOf, or anyOf at the top level"),
    ("R84", [tool(schema={"type": "object", "properties": {"a": {"type": "str"}}})],
     f"{SCHEMA}: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
     "(https://json-schema.org/draft/2020-12). Learn more about tool use at "
     "https://docs.claude.com/en/docs/tool-use."),
    ("R84", [tool(schema={"type": "object", "properties": {"a b": {}}})],
     f"{SCHEMA}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'"),
    ("R86", [tool(defer_loading=True)], "All tools have defer_loading: true"),
    ("R88", [tool(strict=True)],
     f"{SCHEMA}: For 'object' type, 'additionalProperties' must be explicitly set to false"),
    ("R8", [tool(annotations={})], "tools.0.custom.annotations: Extra inputs are not permitted"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "tools", "detail"), TABLE, ids=[row[0] for row in TABLE])
def test_a_bad_list_is_found_and_mended(rule: str, tools: list[Tool], detail: str) -> None:
    assert [(found.rule, found.detail) for found in check_tools(tools)] == [(rule, detail)]
    made, steps = normalise_tools(tools)
    assert check_tools(made) == ()
    assert steps[0].rule == rule


def test_a_tool_that_needs_nothing_is_the_same_object() -> None:
    fine = tool(description="Reads.", strict=False, cache_control={"type": "ephemeral"})
    search = {"type": "web_search_20250305", "name": "web_search"}
    made, steps = normalise_tools((fine, search))
    assert made[0] is fine
    assert made[1] is search
    assert steps == ()


@pytest.mark.survives("A29")
def test_top_level_branches_are_flattened_and_told_in_full() -> None:
    schema = {
        "anyOf": [
            {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
            {
                "type": "object",
                "properties": {"url": {"type": "string"}, "path": {"type": "string"}},
                "required": ["url"],
            },
        ]
    }
    (made,) = normalised(tool(schema=schema, description="Fetches."))
    assert made["input_schema"] == {
        "type": "object",
        "properties": {"path": {"type": "string"}, "url": {"type": "string"}},
    }
    assert made["description"].startswith("Fetches.\n\nThe input must also satisfy")
    assert '"required":["url"]' in made["description"]


def test_what_all_parts_demand_together_stays_demanded() -> None:
    part = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
    other = {"properties": {"b": {"type": "integer"}}, "required": ["b"]}
    (made,) = normalised(tool(schema={"type": "object", "allOf": [part, other]}))
    assert made["input_schema"]["required"] == ["a", "b"]


def test_a_property_with_an_impossible_key_is_left_to_the_description() -> None:
    schema = {
        "type": "object",
        "properties": {"$filter": {"type": "string"}, "top": {"type": "integer"}},
        "required": ["$filter", "top"],
        "additionalProperties": False,
    }
    (made,) = normalised(tool(schema=schema))
    assert made["input_schema"] == {
        "type": "object",
        "properties": {"top": {"type": "integer"}},
        "required": ["top"],
    }
    assert "$filter" in made["description"]


@pytest.mark.survives("A30")
def test_two_servers_with_one_name_keep_both_tools() -> None:
    first, second = normalised(tool(description="one"), tool(description="two"))
    assert first["name"] == "read"
    assert second["name"].startswith("read_")
    assert second["description"] == "two"


@pytest.mark.survives("A30")
def test_a_list_that_was_appended_twice_is_one_list() -> None:
    once = normalised(tool(), tool("write"))
    assert normalised(*once, *once) == once


def test_a_tool_of_the_api_keeps_its_name() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    made = normalised(tool("web_search"), search, search)
    assert [t["name"] for t in made][1:] == ["web_search"]
    assert made[0]["name"].startswith("web_search_")


def test_r87_calls_of_the_past_are_named_where_a_list_is_demanded() -> None:
    history = parse("user: go / use t1: ls / result t1: a")
    assert [f.rule for f in check_tools((), OLD_BEDROCK, history)] == ["R87"]
    made, steps = normalise_tools((), OLD_BEDROCK, history)
    assert [t["name"] for t in made] == ["ls"]
    assert check_tools(made, OLD_BEDROCK, history) == ()
    assert [step.rule for step in steps] == ["R87"]
    assert check_tools((), DEFAULT, history) == ()


# --- properties ----------------------------------------------------------------------------------

keywords = st.sampled_from(
    [
        "type", "properties", "required", "anyOf", "oneOf", "allOf", "items", "enum", "minimum",
        "additionalProperties", "description", "pattern", "maxItems", "$defs", "not",
    ]
)  # fmt: skip
values = st.one_of(
    st.sampled_from(["object", "string", "str", "[", -1, 0.5, True, None, ["a", "a"], ["a", 3]]),
    st.just(["object", "null"]),
)
schemas = st.recursive(
    st.one_of(values, st.dictionaries(keywords, values, max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(keywords, inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b c", "$x", "k" * 65]), inner, max_size=3),
    ),
    max_leaves=12,
)
tools_lists = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.one_of(make.names, make.json_values),
            "input_schema": st.one_of(schemas, st.just(OBJECT)),
            "description": st.one_of(make.any_words, make.json_values),
            "type": st.sampled_from([None, "custom", "web_search_20250305"]),
            "strict": st.sampled_from([True, False, None]),
            "defer_loading": st.sampled_from([True, True, "yes"]),
            "input_examples": st.sampled_from([[], [{}], {}, [3]]),
            "cache_control": make.marks,
            "annotations": st.just({}),
        },
    ),
    max_size=4,
)
many = settings(max_examples=60, deadline=None)


@many
@given(tools_lists, st.sampled_from([DEFAULT, OLD_BEDROCK]), make.valid_histories())
def test_p2_every_list_of_tools_can_be_sent(tools: Any, profile: Profile, history: Any) -> None:
    made, steps = normalise_tools(tools, profile, history)
    assert check_tools(made, profile, history) == ()
    again, more = normalise_tools(made, profile, history)
    assert more == ()
    assert all(new is old for new, old in zip(again, made, strict=True))
    assert (list(made) == list(tools)) == (steps == ())


@many
@given(schemas)
def test_every_schema_has_a_legal_one_near_it(schema: Any) -> None:
    legal = object_schema(schema)
    assert is_schema(legal)
    assert object_schema(legal) == legal


def test_a_schema_as_deep_as_a_well_is_no_trouble() -> None:
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    (made,) = normalised(tool(schema=deep))
    assert made["input_schema"] == {"type": "object", "properties": {}}
