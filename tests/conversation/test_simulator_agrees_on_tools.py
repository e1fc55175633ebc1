"""The grammar of tools against the strict simulator, which shares no code with it (R83, R84)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.tool_grammar import check_tools, normalise_tools
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator

VALIDATOR = Validator(Account(), Signer(), Ledger())
examples = settings(max_examples=80, deadline=None)

words = st.sampled_from(["a", "path", "a.b-c", "x" * 64, "x" * 65, "naïve", "", "type"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.just(0.5), words)
kinds = st.sampled_from(["object", "string", "integer", "null", "any", "", 3, ["string", "null"]])


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas whose parts are right most of the time, and anything at all in their places."""
    maps = st.dictionaries(words, inner, max_size=2)
    lists = st.lists(inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds,
            "properties": st.one_of(maps, maps, maps, scalars),
            "required": st.one_of(st.lists(words, max_size=2), scalars),
            "items": inner,
            "anyOf": st.one_of(lists, scalars),
            "oneOf": lists,
            "additionalProperties": inner,
            "$defs": maps,
            "enum": st.one_of(st.lists(scalars, max_size=2), scalars),
            "description": st.one_of(words, scalars),
            "minimum": scalars,
            "minLength": scalars,
            "pattern": st.sampled_from(["^a+$", "(", "(?=a)", 3]),
            "$ref": st.sampled_from(["#/$defs/a", "#", 3]),
            "x-unknown": scalars,
        },
    )


schemas = st.recursive(st.one_of(st.booleans(), st.just({}), scalars), schemas_of, max_leaves=4)
likely = schemas_of(schemas).map(lambda schema: {**schema, "type": "object"})
names = st.sampled_from(["read", "write", "a.b", "", "x" * 64, "x" * 128, "x" * 129, "ü", "run it"])
tools = st.lists(
    st.fixed_dictionaries(
        {"name": names, "input_schema": st.one_of(likely, likely, schemas)},
        optional={"description": words, "strict": st.booleans(), "defer_loading": st.booleans()},
    ),
    max_size=3,
)


def refusal_of(offered: list[Any]) -> Refusal | None:
    body = {"model": "claude-opus-5-5", "max_tokens": 64, "tools": offered}
    try:
        VALIDATOR.check({**body, "messages": [{"role": "user", "content": "x"}]}, Envelope())
    except Refusal as refusal:
        return refusal
    return None


@examples
@given(tools)
def test_both_accept_the_same_tools(offered: list[Any]) -> None:
    found = check_tools(offered)
    refused = refusal_of(offered)
    assert (refused is None) == (found == ()), (refused, found)


@examples
@given(tools)
def test_p2_the_simulator_accepts_the_tools_that_were_made_to_fit(offered: list[Any]) -> None:
    fitting, _steps = normalise_tools(offered)
    assert refusal_of([dict(tool) for tool in fitting]) is None
