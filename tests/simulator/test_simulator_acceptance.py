"""What the API accepts, the simulator accepts: a rule that is too strict is as wrong as none."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential.pictures import FILES
from holdfast.simulator import ENDPOINTS, Simulator
from holdfast.simulator.models import MODELS
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.validation import Validator
from simulator.simulator_bodies import (
    TOOL,
    Json,
    assistant,
    body,
    check,
    found,
    image,
    pdf,
    png,
    refusal_of,
    result,
    search,
    system,
    text,
    use,
    user,
)
from simulator.simulator_client import ask
from simulator.simulator_conversation import SAID, THOUGHT, Conversation

MARK = {"type": "ephemeral"}
WEB = {"type": "web_search_20260318", "name": "web_search"}
HAIKU = "claude-haiku-4-5"
CALL = assistant("I read.", use("t1"))
DIRECTIVE = system(output_config={"effort": "low"})

ACCEPTED = {
    "R20 messages of one role in a row": body(user("a"), user("b"), assistant("c"), user("d")),
    "R20 assistant messages in a row": body(
        user("a"), assistant(use("t1")), assistant(use("t2")), user(result("t1"), result("t2"))
    ),
    "R22 a prefill on an older model": body(user("a"), assistant("The"), model=HAIKU),
    "R22 a paused turn": body(user("a"), assistant("I search.", search()), tools=[WEB]),
    "R24 a system message after a user message": body(user("a"), system("note")),
    "R24 a system message after results": body(user("a"), CALL, user(result("t1")), system("n")),
    "R24 a system message after a server result": body(
        user("a"), assistant(search(), found()), system("n"), assistant("c"), user("d"), tools=[WEB]
    ),
    "R25 a group of system messages at the end": body(user("a"), system("b"), system("c")),
    "R41 results that cross user messages": body(
        user("a"),
        assistant(use("t1"), use("t2")),
        user(result("t2")),
        user(result("t1"), "and text"),
    ),
    "R48 a result without content": body(
        user("a"), CALL, user({"type": "tool_result", "tool_use_id": "t1"})
    ),
    "R48 an error with text": body(user("a"), CALL, user(result("t1", "no", is_error=True))),
    "R49 a caller that is sent back": body(
        user("a"), assistant(use("t1", caller={"type": "direct"})), user(result("t1"))
    ),
    "R51 a mixed turn that is answered with results only": body(
        user("a"), assistant(search(), use("t1")), user(result("t1")), tools=[WEB]
    ),
    "R55 a server result in a later turn": body(
        user("a"),
        assistant(search(), use("t1")),
        user(result("t1")),
        assistant(found(), "b"),
        user("c"),
        tools=[WEB],
    ),
    "R60 twenty large images": body(user(*[image(png(2001, 10))] * 20)),
    "R60 many images of the smaller size": body(user(*[image(png(2000, 2000))] * 40)),
    "R62 600 pages": body(user(pdf(600))),
    "R79 four marks": body(user(*[text("x", cache_control=MARK)] * 4)),
    "R80 a long mark before a short one": body(
        user(text("x", cache_control=MARK)),
        system=[text("s", cache_control={"type": "ephemeral", "ttl": "1h"})],
    ),
    "R82 an automatic mark like the last one": body(
        user(text("x", cache_control=MARK)), cache_control=MARK
    ),
    "R84 a boolean schema and a reference": body(
        tools=[
            {
                **TOOL,
                "input_schema": {
                    "type": "object",
                    "properties": {"a": True, "b": {"$ref": "#/$defs/x"}},
                    "$defs": {"x": {"type": ["string", "null"]}},
                    "additionalProperties": False,
                },
            }
        ]
    ),
    "R85 a forced tool where the model takes one": body(
        model="claude-opus-5", tools=[TOOL], tool_choice={"type": "tool", "name": "read"}
    ),
    "R85 tool_choice none without tools": body(tool_choice={"type": "none"}),
    "R87 a history with tools and no tools": body(user("a"), CALL, user(result("t1"))),
    "R13 a pre-warming request": body(max_tokens=0),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_a_valid_request_is_accepted(what: str) -> None:
    assert refusal_of(ACCEPTED[what]) is None


def test_r29_a_directive_is_invisible_to_every_rule_of_order() -> None:
    envelope = Envelope(betas=frozenset({"mid-conversation-output-config-2026-07-01"}))
    call, answer = assistant(use("t1")), user(result("t1"))
    value = body(DIRECTIVE, user("a"), DIRECTIVE, call, DIRECTIVE, answer, DIRECTIVE)
    assert refusal_of(value, envelope) is None


def test_r21_and_r35_can_be_switched_to_the_lenient_side() -> None:
    account = Account(allow_leading_assistant=True, allow_empty_assistant=True)
    assert refusal_of(body(assistant("a"), user("b")), account=account) is None
    assert refusal_of(body(user("a"), assistant(), user("b")), account=account) is None


@pytest.mark.parametrize("model", [m for m, spec in MODELS.items() if spec.lifecycle != "retired"])
def test_every_model_takes_a_request_without_special_parameters(model: str) -> None:
    assert check(body(model=model)).model.id == model


@pytest.mark.parametrize("model", [m for m, spec in MODELS.items() if spec.lifecycle != "retired"])
@pytest.mark.parametrize("kind", ["adaptive", "enabled", "disabled", "between_tools"])
def test_r65_a_thinking_type_is_refused_exactly_when_the_capabilities_say_so(
    model: str, kind: str
) -> None:
    thinking: Json = {"type": kind}
    if kind == "enabled":
        thinking["budget_tokens"] = 1024
    refusal = refusal_of(body(model=model, max_tokens=4096, thinking=thinking))
    types: Any = MODELS[model].info()["capabilities"]["thinking"]["types"]
    assert (refusal is None) == types[kind]["supported"]


ROLES = st.lists(st.sampled_from(["user", "assistant"]), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(roles=ROLES)
def test_r20_r21_r22_texts_are_accepted_in_any_order_that_starts_and_ends_with_user(
    roles: list[str],
) -> None:
    messages = [{"role": role, "content": "x"} for role in roles]
    refusal = refusal_of(body(*messages))
    legal = roles[0] == "user" and roles[-1] == "user"
    assert (refusal is None) == legal


BLOCKS = st.lists(st.sampled_from(["t1", "t2", "text", "|"]), max_size=7)


@settings(max_examples=200, deadline=None)
@given(blocks=BLOCKS)
def test_r40_only_the_leading_run_of_results_answers_however_messages_are_cut(
    blocks: list[str],
) -> None:
    """`|` starts a new user message; the rule sees the merged turn."""
    messages: list[list[Json]] = [[]]
    for block in blocks:
        if block == "|":
            messages.append([])
        else:
            messages[-1].append(text("and") if block == "text" else result(block))
    sent = [user(*content) for content in messages if content]
    merged = [block for block in blocks if block != "|"]
    run = merged[: merged.index("text")] if "text" in merged else merged
    refusal = refusal_of(body(user("a"), assistant(use("t1"), use("t2")), *sent))
    if set(run) != {"t1", "t2"}:
        assert refusal is not None
        assert refusal.rule == "R40"
        missing = [name for name in ("t1", "t2") if name not in run]
        assert f"immediately after: {', '.join(missing)}." in refusal.message
    elif merged.count("t1") + merged.count("t2") > 2:
        assert refusal is not None
        assert refusal.rule == "R43"
    else:
        assert refusal is None


@settings(max_examples=60, deadline=None)
@given(sides=st.lists(st.integers(1, 9000), min_size=1, max_size=30))
def test_r60_the_limit_of_a_side_depends_on_the_number_of_images(sides: list[int]) -> None:
    refusal = refusal_of(body(user(*[image(png(side, 1)) for side in sides])))
    limit = 2000 if len(sides) > 20 else 8000
    assert (refusal is None) == (max(sides) <= limit)


def test_the_checks_come_in_the_order_of_the_specification() -> None:
    """One body with a fault of every step: mending the first shows the next (§8)."""
    broken: Json = {
        "model": "claude-opus-5-5",
        "max_tokens": 1024,
        "colour": "red",
        "temperature": 1,
        "thinking": {"type": "disabled"},
        "tools": [TOOL, TOOL],
        "messages": [
            user("x"),
            assistant(text(" "), use("t1")),
            system("between"),
            user(result("t2")),
            assistant(text("x", cache_control=MARK)),
        ],
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    mends: list[tuple[str, Any]] = [
        ("R8", lambda: broken.pop("colour")),
        ("R14", lambda: broken.pop("temperature")),
        ("R65c", lambda: broken.pop("thinking")),
        ("R83b", broken["tools"].pop),
        ("R24", lambda: broken["messages"].pop(2)),
        ("R33", lambda: broken["messages"][1]["content"].pop(0)),
        ("R40", lambda: broken["messages"][2].update(content=[result("t1")])),
        ("R22", lambda: broken["messages"].append(user(text("y", cache_control=MARK)))),
        ("R82", lambda: broken.pop("cache_control")),
    ]
    for rule, mend in mends:
        refusal = refusal_of(broken)
        assert refusal is not None
        assert refusal.rule == rule
        mend()
    assert refusal_of(broken) is None
    assert all(first != second for first, second in pairwise(rule for rule, _ in mends))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_endpoint_takes_a_plain_conversation(name: str) -> None:
    call = assistant("I read.", use("t1"))
    value = body(user("a"), call, user(result("t1")), tools=[TOOL])
    assert refusal_of(value, account=Account(endpoint=ENDPOINTS[name])) is None


async def test_a_simulator_can_be_another_endpoint() -> None:
    async with Simulator(endpoint="compatible") as simulator:
        answered = await ask(simulator.base_url, body(user("a"), user("b")))
        assert answered.status == 400
        assert "roles must alternate" in answered.json["error"]["message"]


def test_r75_thinking_of_another_organization_is_dropped_and_told() -> None:
    ours = Conversation(Account(organization="ours"))
    ours.ask("question", THOUGHT, SAID)
    ours.messages.append(user("and now?"))
    assert ours.transformations(ours.messages) == []
    ours.validator = Validator(Account(organization="theirs"), ours.signer, ours.ledger)
    assert ours.transformations(ours.messages) == [
        {
            "type": "thinking_dropped",
            "reason": "organization_binding_mismatch",
            "path": "messages.1.content.0",
        }
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}},
        {"properties": {"s": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"}}},
        {"properties": {"a": {"type": "array", "minItems": 1, "items": {"enum": ["x"]}}}},
    ],
)
def test_r88_what_strict_schemas_may_say_is_accepted(schema: Json) -> None:
    whole = {"type": "object", "additionalProperties": False, **schema}
    value = body(tools=[{**TOOL, "strict": True, "input_schema": whole}])
    assert refusal_of(value) is None


def test_r56_a_server_and_its_toolset_belong_together() -> None:
    server = {"type": "url", "name": "wiki", "url": "https://wiki"}
    value = body(mcp_servers=[server], tools=[{"type": "mcp_toolset", "mcp_server_name": "wiki"}])
    envelope = Envelope(betas=frozenset({"mcp-client-2026-09-15"}))
    assert refusal_of(value, envelope) is None


@pytest.mark.parametrize("media_type", [media_type for media_type, _ in FILES])
def test_r59_whole_pictures_of_every_type_are_accepted(media_type: str) -> None:
    data = dict(FILES)[media_type]
    assert refusal_of(body(user(image(data, media_type)))) is None
    cut = refusal_of(body(user(image(data[: len(data) - 3], media_type))))
    assert cut is not None
    assert cut.message == "Could not process image"
