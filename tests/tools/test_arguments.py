"""Arguments are foreign JSON (A27): whatever comes, a tool answers in words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.tools.permissions import Answer, Rule
from holdfast.tools.port import ToolContext
from holdfast.tools.registry import Toolbox
from tools.toolkit import check_output, text_of, tool

NAMES = Toolbox().names
OWN = ("todo", "recall_search", "recall_read")  # the session's own: they need no workspace
WITHOUT_COMMANDS = tuple(name for name in NAMES if name != "run")

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)


def arguments_for(name: str) -> st.SearchStrategy[Any]:
    """Any JSON, and objects that have the right names with any values."""
    fields = tool(name).definition["input_schema"]["properties"]
    return json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values))


calls = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), arguments_for(name)))


@given(calls)
@settings(max_examples=80, deadline=None)
def test_a27_any_json_without_a_workspace_is_answered(made: tuple[str, Any]) -> None:
    name, arguments = made
    context = ToolContext(workspace=None)
    output = asyncio.run(tool(name).run(arguments, context))
    check_output(output, context)
    assert output.is_error or name == "todo"  # the one that works everywhere


@given(calls.filter(lambda made: made[0] in WITHOUT_COMMANDS))
@settings(max_examples=80, deadline=None)
def test_a27_any_json_in_a_workspace_is_answered(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[str, Any]
) -> None:
    name, arguments = made
    context = ToolContext(workspace=tmp_path_factory.getbasetemp() / "any-json", run_timeout_s=5)
    assert context.workspace is not None
    context.workspace.mkdir(exist_ok=True)
    check_output(asyncio.run(tool(name).run(arguments, context)), context)


@given(calls)
@settings(max_examples=80, deadline=None)
def test_questions_and_targets_are_total(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[str, Any]
) -> None:
    name, arguments = made
    for folder in (None, tmp_path_factory.getbasetemp()):
        context = ToolContext(workspace=folder)
        question = tool(name).question(arguments, context)
        assert question.title.strip()
        assert len(question.title) <= 120
        assert len(question.detail.encode()) <= 8000
        target = tool(name).target(arguments, context)
        assert Rule(name, question.pattern, Answer.ALLOW).matches(name, target)


@pytest.mark.parametrize("arguments", [None, [], "x", 3, {"_unparsed": '{"pa'}, {"nope": 1}])
@pytest.mark.parametrize("name", NAMES)
async def test_a27_arguments_that_do_not_fit_are_named_not_run(name: str, arguments: Any) -> None:
    output = await tool(name).run(cast("Mapping[str, Any]", arguments), ToolContext(Path()))
    assert output.is_error
    assert "arguments" in text_of(output)


async def test_a_wrong_field_is_named() -> None:
    output = await tool("read").run({"path": "x", "offset": "3"}, ToolContext(Path()))
    assert text_of(output) == (
        "Invalid arguments for 'read': Expected `int`, got `str` - at `$.offset`."
    )


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OWN])
async def test_p11_without_a_workspace_nothing_is_touched(name: str) -> None:
    arguments = {
        "path": "x", "pattern": "x", "old_text": "a", "new_text": "b", "content": "c",
        "command": "echo hello",
    }  # fmt: skip
    fields = tool(name).definition["input_schema"]["properties"]
    fitting = {key: value for key, value in arguments.items() if key in fields}
    output = await tool(name).run(fitting, ToolContext(workspace=None))
    assert output.is_error
    assert "no workspace folder" in text_of(output)
