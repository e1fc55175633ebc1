"""No bytes and no JSON make the simulator fail: it accepts or refuses, never anything else."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.simulator.prompt_cache import PromptCache
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.responder import default_respond, facts_of
from holdfast.simulator.rules.envelope import parse_body
from holdfast.simulator.rules.names import KNOWN_BETAS
from holdfast.simulator.rules.request import Envelope
from holdfast.simulator.wordings import WORDINGS
from simulator.simulator_bodies import (
    TOOL,
    Json,
    assistant,
    body,
    check,
    found,
    image,
    pdf,
    refusal_of,
    result,
    search,
    system,
    text,
    use,
    user,
)

EVERY_BETA = Envelope(betas=KNOWN_BETAS)
MARK = {"type": "ephemeral", "ttl": "1h"}
RICH = body(
    user("x", text("y", cache_control=MARK), image(), pdf(2)),
    assistant("z", search(), found(), use("t1", caller={"type": "direct"})),
    user(result("t1", [text("a"), image()], is_error=False)),
    system("note", clear_at="never"),
    assistant("b"),
    user({"type": "search_result", "source": "s", "title": "t", "content": [text("c")]}),
    system(
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "read"}},
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": TOOL}},
    ),
    system=[text("be kind", cache_control=MARK)],
    tools=[TOOL, {"type": "web_search_20260318", "name": "web_search", "max_uses": 3}],
    tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    thinking={"type": "adaptive", "display": "omitted", "block_binding": {}},
    output_config={"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    stop_sequences=["END"],
    metadata={"user_id": "u"},
    context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    thread={"type": "create"},
    stream=True,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", " ", "x", "text", "image", "tool_result", "thinking", "ephemeral"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "source"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a JSON value, the whole first."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    return [at, *(path for key, item in inner for path in paths(item, (*at, key)))]


PLACES = paths(RICH)[1:]


def replaced(value: Json, path: tuple[Any, ...], new: Any, *, remove: bool) -> Json:
    changed = deepcopy(value)
    holder: Any = changed
    for key in path[:-1]:
        holder = holder[key]
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return changed


def accepted_or_refused(value: Json, envelope: Envelope) -> None:
    refusal = refusal_of(value, envelope)
    if refusal is not None:
        assert refusal.rule in WORDINGS
        return
    accepted = check(value, envelope)
    facts = facts_of("messages", value, b"")
    assert default_respond(value, facts).content
    assert PromptCache().usage(accepted)["input_tokens"] >= 0


def test_the_rich_request_is_valid_as_it_stands() -> None:
    assert refusal_of(RICH, EVERY_BETA) is None


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_a_request_without_one_of_its_parts_is_accepted_or_refused(path: tuple[Any, ...]) -> None:
    accepted_or_refused(replaced(RICH, path, None, remove=True), EVERY_BETA)


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(PLACES), value=VALUES)
def test_a_request_with_any_value_in_any_place_is_accepted_or_refused(
    path: tuple[Any, ...], value: Any
) -> None:
    accepted_or_refused(replaced(RICH, path, value, remove=False), EVERY_BETA)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
@example(raw=b"[" * 100_000)
@example(raw=b'{"a": ' + b"9" * 5000 + b"}")
@example(raw=b"\xef\xbb\xbf{}")
def test_any_bytes_are_one_object_or_are_refused(raw: bytes) -> None:
    try:
        expected = json.loads(raw.decode(), parse_constant=_refused_constant)
    except (ValueError, RecursionError):
        expected = None
    if isinstance(expected, dict):
        assert parse_body(raw) == expected
    else:
        with pytest.raises(Refusal, match="R5"):
            parse_body(raw)


def _refused_constant(name: str) -> None:
    raise ValueError(name)


def test_deep_nesting_is_refused_and_huge_numbers_pass() -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    sent = body(user("x"), assistant(use("t1", input={"deep": deep})), user(result("t1")))
    accepted_or_refused(sent, Envelope())
    huge = body(user("x"), assistant(use("t1", input={"n": 10**40})), user(result("t1")))
    assert refusal_of(huge) is None
