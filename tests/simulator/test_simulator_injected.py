"""Rules that a test injects: refusals that no client has seen, with and without a position."""

from __future__ import annotations

import pytest

from holdfast.simulator import InjectedRule, Script, ScriptError, Simulator
from simulator.simulator_bodies import Json, assistant, body, result, use, user
from simulator.simulator_client import Answered, ask

HISTORY = [
    user("An x-ray, please."),
    assistant("I look.", use("t1", input={"what": "the x-ray", "x-ray": 1})),
    user(result("t1", "a lung")),
]
BODY = body(*HISTORY)
COUNTED = {key: value for key, value in BODY.items() if key != "max_tokens"}


def error(answered: Answered) -> tuple[int | None, str, str]:
    found = answered.json["error"]
    return answered.status, found["type"], found["message"]


async def refusal(rule: InjectedRule, request: Json = BODY) -> str | None:
    """What a request is answered with under one rule; None when it is accepted."""
    async with Simulator() as simulator:
        simulator.inject(rule)
        answered = await ask(simulator.base_url, request)
        return None if answered.status == 200 else answered.json["error"]["message"]


async def test_a_rule_holds_for_messages_and_for_counting_until_it_is_withdrawn() -> None:
    rule = InjectedRule(name="lungs", text="a lung", message="No organs.", status=422, type="odd")
    async with Simulator() as simulator:
        simulator.inject(rule)
        assert simulator.injected == (rule,)
        refused = (422, "odd", "No organs.")
        assert error(await ask(simulator.base_url, BODY)) == refused
        counted = await ask(simulator.base_url, COUNTED, "/v1/messages/count_tokens")
        assert error(counted) == refused
        assert [entry.rule for entry in simulator.refusals] == ["lungs", "lungs"]
        assert (await ask(simulator.base_url, body())).status == 200
        assert simulator.withdraw("kidneys") == 0
        assert simulator.withdraw("lungs") == 1
        assert (await ask(simulator.base_url, BODY)).status == 200


async def test_a_rule_may_be_unknown_to_counting() -> None:
    async with Simulator() as simulator:
        simulator.inject(InjectedRule(text="a lung", counting=False))
        counted = await ask(simulator.base_url, COUNTED, "/v1/messages/count_tokens")
        assert counted.status == 200
        assert (await ask(simulator.base_url, BODY)).status == 400


@pytest.mark.parametrize(
    ("conditions", "position", "said"),
    [
        ({"text": "a lung"}, "none", "No."),
        ({"text": "a lung"}, "message", "messages.2: No."),
        ({"text": "a lung"}, "block", "messages.2.content.0: No."),
        ({"text": "x-ray"}, "block", "messages.0.content.0: No."),
        ({"text": "x-ray", "block_type": "tool_use"}, "block", "messages.1.content.1: No."),
        ({"block_type": "tool_result"}, "block", "messages.2.content.0: No."),
        ({"role": "assistant"}, "block", "messages.1.content.0: No."),
        ({"message_index": 1}, "message", "messages.1: No."),
        ({"message_index": -1}, "message", "messages.2: No."),
        ({"messages_over": 2}, "message", "No."),
        ({"messages_over": 2, "text": "x-ray"}, "message", "messages.0: No."),
    ],
)
async def test_a_rule_finds_what_it_is_told_and_names_the_place(
    conditions: Json, position: str, said: str
) -> None:
    assert await refusal(InjectedRule(**conditions, position=position, message="No.")) == said


@pytest.mark.parametrize(
    "conditions",
    [
        {"text": "kidney"},
        {"text": "a lung", "role": "assistant"},
        {"block_type": "image"},
        {"message_index": 3},
        {"messages_over": 3},
        {"messages_over": 3, "text": "a lung"},
    ],
)
async def test_a_rule_leaves_everything_else_alone(conditions: Json) -> None:
    assert await refusal(InjectedRule(**conditions)) is None


async def test_a_position_may_stand_inside_the_message() -> None:
    rule = InjectedRule(text="a lung", message="block {j} of message {i} is odd")
    assert await refusal(rule) == "block 0 of message 2 is odd"


async def test_what_the_api_refuses_by_itself_is_refused_by_its_own_rule() -> None:
    said = await refusal(InjectedRule(text="a lung"), body(*HISTORY, assistant("x")))
    assert said is not None
    assert "assistant message prefill" in said


async def test_rules_come_and_go_over_the_control_paths() -> None:
    async with Simulator() as simulator:
        rules, paths = simulator.base_url, "/_simulator/rules"
        injected = await ask(rules, {"name": "one", "text": "a lung", "message": "No."}, paths)
        assert injected.json == {"rules": 1}
        listed = await ask(rules, [{"name": "two", "error_code": "odd"}], paths)
        assert listed.json == {"rules": 2}
        shown = (await ask(rules, b"", paths, "GET")).json
        assert [rule["name"] for rule in shown] == ["one", "two"]
        assert (await ask(rules, b"", f"{paths}?name=one", "DELETE")).json == {"withdrawn": 1}
        answered = await ask(rules, BODY)
        assert answered.json["error"]["details"] == {"error_code": "odd"}
        assert (await ask(rules, b"", paths, "DELETE")).json == {"withdrawn": 1}
        assert (await ask(rules, BODY)).status == 200
        assert (await ask(rules, {"colour": "red"}, paths)).status == 400


async def test_a_script_brings_its_rules_along() -> None:
    script = Script.parse({"rules": [{"text": "a lung", "message": "No."}]})
    async with Simulator(script) as simulator:
        assert (await ask(simulator.base_url, BODY)).status == 400
        simulator.script([])
        assert (await ask(simulator.base_url, BODY)).status == 400
        simulator.script(Script(rules=()))
        assert (await ask(simulator.base_url, BODY)).status == 200
        simulator.script(script, append=True)
        assert (await ask(simulator.base_url, BODY)).status == 400


def test_a_rule_that_cannot_be_read_is_an_error_of_the_script() -> None:
    with pytest.raises(ScriptError, match="position"):
        Script.parse({"steps": [], "rules": [{"position": "nowhere"}]})
