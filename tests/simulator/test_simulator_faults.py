"""Every named fault is seen at the socket, and does what its name says (specification §8)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.simulator import (
    FAULTS,
    Fault,
    Match,
    Respond,
    Simulator,
    Step,
    TextItem,
    UnknownFault,
)
from holdfast.simulator.errors import ERRORS
from holdfast.simulator.faults import CONTENTS
from holdfast.simulator.interruptions import BREAKS, EVENT_CHANGES, STREAM_BREAKS
from holdfast.simulator.script import ThinkingItem, ToolUseItem
from simulator.simulator_bodies import Json, body
from simulator.simulator_client import Answered, ask, assembled, connected, parse_events

REQUEST = body(stream=True)
HELD = ("headers-never", "headers-then-silence", "silence", "ping-storm")
LONG_TEXT = "A text of several pieces. " * 8
LONG = Respond(content=(TextItem(text=LONG_TEXT, chunk=16),))


async def answer_under(fault: Fault, request: Json | None = None, **step: Any) -> Answered:
    """Send one request to a simulator whose script is this fault."""
    async with Simulator([Step(label="f", fault=fault, **step)]) as simulator:
        answered = await ask(simulator.base_url, request or REQUEST)
        (entry,) = simulator.log
        assert (entry.step, entry.fault) == ("f", fault.name)
        return answered


def short(name: str, **parameters: Any) -> Fault:
    """A fault whose holds are short enough to wait for their end."""
    interval_ms = 0 if name == "slow-drip" else 1
    return Fault(name=name, hold_ms=20, interval_ms=interval_ms, **parameters)


@pytest.mark.parametrize("name", FAULTS)
async def test_after_any_fault_the_next_request_is_answered(name: str) -> None:
    async with Simulator([Step(fault=short(name))]) as simulator:
        await ask(simulator.base_url, REQUEST)
        answered = await ask(simulator.base_url, REQUEST)
        assert answered.status == 200
        assert answered.events[-1]["type"] == "message_stop"
        assert [entry.fault for entry in simulator.log] == [name, None]
        assert simulator.log[0].outcome == "faulted"


@pytest.mark.parametrize("name", FAULTS)
async def test_any_fault_happens_to_requests_that_are_not_streamed_and_to_counting(
    name: str,
) -> None:
    step = Step(fault=short(name), match=Match(kind="any"), times=None)
    async with Simulator([step]) as simulator:
        await ask(simulator.base_url, body())
        counting = {key: value for key, value in body().items() if key != "max_tokens"}
        await ask(simulator.base_url, counting, "/v1/messages/count_tokens")
        assert [entry.fault for entry in simulator.log] == [name, name]
        assert "failed" not in {entry.outcome for entry in simulator.log}


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_answer_has_its_status_type_and_headers(name: str) -> None:
    expected = ERRORS[name]
    answered = await answer_under(Fault(name=name))
    assert (answered.status, answered.ended) == (expected.status, "complete")
    wanted = None if expected.retry_after_s is None else f"{expected.retry_after_s:g}"
    assert answered.headers.get("retry-after") == wanted
    if expected.html:
        assert answered.headers["content-type"] == "text/html"
        assert answered.body.startswith(b"<html>")
        assert "request-id" not in answered.headers
    else:
        error = answered.json["error"]
        assert error["type"] == expected.type
        assert error.get("details", {}).get("error_code") == expected.error_code
        assert answered.json["request_id"] == answered.headers["request-id"]


async def test_a_script_may_change_every_part_of_an_error_answer() -> None:
    fault = Fault(
        name="status",
        status=418,
        type="teapot_error",
        message="short and stout",
        error_code="teapot",
        retry_after_s=2.5,
        should_retry=True,
        headers={"x-kettle": "on"},
    )
    answered = await answer_under(fault)
    assert answered.status == 418
    assert answered.json["error"] == {
        "type": "teapot_error",
        "message": "short and stout",
        "details": {"error_code": "teapot"},
    }
    names = ("retry-after", "x-should-retry", "x-kettle")
    assert [answered.headers[name] for name in names] == ["2.5", "true", "on"]


async def test_the_model_that_is_gone_is_the_one_that_was_asked() -> None:
    answered = await answer_under(Fault(name="model-gone"))
    assert answered.json["error"]["message"] == "model: claude-opus-5-5"


CONNECTION_ENDS = {
    "close-before-headers": (None, "cut"),
    "reset-before-headers": (None, "reset"),
    "headers-never": (None, "cut"),
    "headers-then-silence": (200, "cut"),
    "empty-body": (200, "complete"),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_connection_breaks_without_one_event(name: str) -> None:
    answered = await answer_under(short(name))
    assert (answered.status, answered.ended) == CONNECTION_ENDS[name]
    assert answered.body == b""


STREAM_ENDS = {
    "silence": "cut",
    "ping-storm": "cut",
    "reset": "reset",
    "clean-end": "complete",
    "eof": "closed",
    "chunk-cut": "cut",
    "half-event": "closed",
    "cut-in-tool-json": "closed",
    "cut-in-thinking": "closed",
    "cut-before-signature": "closed",
    "missing-message-stop": "complete",
    "invalid-utf8": "complete",
    "invalid-json": "complete",
}


@pytest.mark.parametrize("name", STREAM_BREAKS)
async def test_a_stream_ends_as_the_fault_says_and_never_with_message_stop(name: str) -> None:
    answered = await answer_under(short(name))
    assert answered.ended == STREAM_ENDS.get(name, "complete")
    if name not in ("invalid-utf8", "invalid-json"):
        assert answered.events[-1]["type"] != "message_stop"


@pytest.mark.parametrize("count", range(8))
@pytest.mark.parametrize("name", ["chunk-cut", "eof", "clean-end", "reset", "error-event-api"])
async def test_a_stream_breaks_after_any_number_of_events(name: str, count: int) -> None:
    whole = await answer_under(Fault(name="no-pings"), respond=LONG)
    answered = await answer_under(Fault(name=name, after_events=count), respond=LONG)
    events = answered.events
    if name.startswith("error-event"):
        assert events.pop()["type"] == "error"
    assert len(events) == count
    without_pings = [event["type"] for event in events if event["type"] != "ping"]
    assert without_pings == [event["type"] for event in whole.events][: len(without_pings)]


@pytest.mark.parametrize("kind", [name for name in FAULTS if name.startswith("error-event")])
async def test_an_error_event_ends_the_stream_after_status_200(kind: str) -> None:
    answered = await answer_under(Fault(name=kind))
    last = answered.events[-1]
    assert (answered.status, last["type"]) == (200, "error")
    assert last["error"]["type"] == STREAM_BREAKS[kind].error
    assert last["request_id"] == answered.headers["request-id"]


async def test_bytes_that_are_no_utf8_and_no_json_come_in_the_middle_of_a_whole_stream() -> None:
    answered = await answer_under(Fault(name="invalid-utf8"))
    with pytest.raises(UnicodeDecodeError):
        answered.body.decode()
    answered = await answer_under(Fault(name="invalid-json"))
    with pytest.raises(json.JSONDecodeError):
        parse_events(answered.body)
    assert b"message_stop" in answered.body


async def test_half_an_event_is_the_beginning_of_the_next_one() -> None:
    answered = await answer_under(Fault(name="half-event"), respond=LONG)
    tail = answered.body.rpartition(b"\n\n")[2]
    assert tail.startswith(b"event: content_block_delta\ndata: {")
    assert not tail.endswith(b"}")


async def test_a_cut_comes_inside_the_block_that_its_name_says() -> None:
    tool = (await answer_under(Fault(name="cut-in-tool-json"))).events[-1]
    thinking = (await answer_under(Fault(name="cut-in-thinking"))).events[-1]
    before = (await answer_under(Fault(name="cut-before-signature"))).events
    assert tool["delta"]["partial_json"].startswith('{"path"')
    assert thinking["delta"]["type"] == "thinking_delta"
    assert "signature_delta" not in {event.get("delta", {}).get("type") for event in before}
    assert "".join(event["delta"]["thinking"] for event in before if "delta" in event) != ""


async def test_pings_alone_keep_a_stream_alive() -> None:
    answered = await answer_under(short("ping-storm"))
    types = [event["type"] for event in answered.events]
    assert set(types[4:]) == {"ping"}


@pytest.mark.parametrize("name", EVENT_CHANGES)
async def test_a_changed_stream_still_holds_the_same_message(name: str) -> None:
    """A client that ignores what it does not know must not be harmed (§3.1)."""
    answered = await answer_under(Fault(name=name), respond=LONG)
    events = answered.events
    assert events[-1]["type"] == "message_stop"
    known = [
        event
        for k, event in enumerate(events)
        if event not in events[:k] or event["type"] == "content_block_delta"
    ]
    known = [event for event in known if event.get("delta", {}).get("type") != "mood_delta"]
    texts = [block for block in assembled(known) if block["type"] == "text"]
    assert texts == [{"type": "text", "text": LONG_TEXT}]


async def test_each_change_of_events_is_there() -> None:
    seen = {
        name: [e["type"] for e in (await answer_under(Fault(name=name))).events]
        for name in EVENT_CHANGES
    }
    assert seen["duplicate-event"].count("content_block_start") == 2
    assert "weather_report" in seen["unknown-event"]
    assert seen["double-message-delta"].count("message_delta") == 2
    assert seen["unknown-block"].count("content_block_start") == 2
    assert "ping" not in seen["no-pings"]
    deltas = (await answer_under(Fault(name="unknown-delta"))).events
    assert "mood_delta" in {event.get("delta", {}).get("type") for event in deltas}


async def test_a_slow_drip_arrives_whole() -> None:
    answered = await answer_under(Fault(name="slow-drip", interval_ms=0))
    assert answered.events[-1]["type"] == "message_stop"


@pytest.mark.parametrize("name", CONTENTS)
async def test_what_the_model_says_is_the_same_streamed_or_not(name: str) -> None:
    streamed = (await answer_under(Fault(name=name))).events
    whole = (await answer_under(Fault(name=name), body())).json
    assert streamed[-2]["delta"]["stop_reason"] == whole["stop_reason"]
    starts = [
        event["content_block"] for event in streamed if event["type"] == "content_block_start"
    ]
    assert [block["type"] for block in starts] == [block["type"] for block in whole["content"]]


async def test_the_faults_of_content_say_what_their_names_promise() -> None:
    async def message(name: str) -> Any:
        return (await answer_under(Fault(name=name), body())).json

    empty = await message("empty-content")
    assert (empty["content"], empty["stop_reason"]) == ([], "end_turn")
    assert (await message("blank-text"))["content"] == [{"type": "text", "text": "\n\n"}]
    assert (await message("max-tokens-in-tool-use"))["stop_reason"] == "max_tokens"
    assert (await message("refusal-mid-stream"))["stop_details"]["type"] == "refusal"
    assert (await message("pause-turn"))["stop_reason"] == "pause_turn"
    mixed = [block["type"] for block in (await message("mixed-turn"))["content"]]
    assert mixed == ["server_tool_use", "tool_use"]
    assert len((await message("long-tool-name"))["content"][0]["name"]) == 300
    twice = [block["id"] for block in (await message("duplicate-tool-ids"))["content"]]
    assert twice[0] == twice[1]


async def test_a_lone_surrogate_arrives_as_an_escape_inside_valid_utf8() -> None:
    answered = await answer_under(Fault(name="lone-surrogate-input"))
    (block,) = assembled(answered.events)
    assert block["input"] == {"path": "\ud83d.txt"}
    assert (await answer_under(Fault(name="lone-surrogate-text"))).body.isascii()


async def test_a_fault_happens_to_the_answer_of_its_own_step() -> None:
    respond = Respond(
        content=(ThinkingItem(text="hm"), ToolUseItem(name="run", input={"command": "make"}))
    )
    answered = await answer_under(Fault(name="cut-in-tool-json"), respond=respond)
    assert answered.events[-1]["delta"]["partial_json"].startswith('{"command"')


@pytest.mark.parametrize("name", HELD)
async def test_a_held_connection_is_let_go_when_the_client_leaves(name: str) -> None:
    async with Simulator([Step(fault=Fault(name=name))]) as simulator:
        async with connected(simulator.base_url) as connection:
            await connection.send(REQUEST)
            await simulator.wait_until(lambda log: len(log) == 1)
            assert simulator.log[0].outcome == "open"
        await simulator.wait_until(lambda log: log[0].outcome == "abandoned")


@pytest.mark.parametrize("name", HELD)
async def test_stopping_the_simulator_lets_every_held_connection_go(name: str) -> None:
    async with Simulator([Step(fault=Fault(name=name))]) as simulator:
        async with connected(simulator.base_url) as connection:
            await connection.send(REQUEST)
            await simulator.wait_until(lambda log: len(log) == 1)
            await simulator.stop()
            answered = await connection.receive()
            assert answered.ended in ("cut", "reset")
        assert simulator.log[0].outcome == "abandoned"


def test_a_fault_nobody_knows_is_refused_when_the_script_is_taken() -> None:
    with pytest.raises(UnknownFault, match="there is no fault 'tsunami'"):
        Simulator([Step(fault=Fault(name="tsunami"))])


def test_the_names_of_all_faults_are_public_and_unique() -> None:
    assert len(set(FAULTS)) == len(FAULTS) >= 70
