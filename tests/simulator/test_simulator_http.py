"""The HTTP surface: paths, keep-alive, sizes, scripts, log and control."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator import (
    Fault,
    Match,
    Respond,
    Script,
    ScriptError,
    Simulator,
    Step,
    TextItem,
    ThinkingItem,
    ToolUseItem,
    serve,
)
from holdfast.simulator.http import BODY_BYTES_READ_MAX
from simulator.simulator_bodies import TOOL, Json, assistant, body, result, system, text, use, user
from simulator.simulator_client import Connection, ask, assembled, connected

COUNTED = {key: value for key, value in body().items() if key != "max_tokens"}


def said(value: str) -> Respond:
    return Respond(content=(TextItem(text=value),))


async def texts(connection: Connection, *requests: Json) -> list[str]:
    """The texts that answer these requests, one after the other."""
    answers = [await connection.ask(request) for request in requests]
    return ["".join(block["text"] for block in answer.json["content"]) for answer in answers]


async def test_one_connection_serves_streams_messages_counts_and_refusals() -> None:
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        statuses = [
            (await connection.ask(body(stream=True), "/v1/messages?beta=true")).status,
            (await connection.ask(body())).status,
            (await connection.ask(COUNTED, "/v1/messages/count_tokens")).status,
            (await connection.ask(body(model="gpt-2"))).status,
            (await connection.ask(b"", "/v1/models", "GET")).status,
            (await connection.ask(b"", "/v1/nothing", "GET")).status,
        ]
        assert statuses == [200, 200, 200, 404, 200, 404]
        assert [entry.path for entry in simulator.log][:2] == ["/v1/messages"] * 2
        assert simulator.refusals[-1].rule == "path"


async def test_every_answer_has_a_request_id_of_its_own_that_the_log_knows() -> None:
    async with Simulator() as simulator:
        answers = [await ask(simulator.base_url, body(stream=k % 2 == 0)) for k in range(4)]
        ids = [answered.headers["request-id"] for answered in answers]
        assert len(set(ids)) == 4
        assert ids == [entry.request_id for entry in simulator.log]


async def test_a_client_that_asks_for_the_end_of_the_connection_gets_it() -> None:
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        answered = await connection.ask(body(), connection="close")
        assert answered.headers["connection"] == "close"
        assert await connection.reader.read() == b""


async def test_a_chunked_request_with_expectation_is_read() -> None:
    raw = json.dumps(body()).encode()
    chunks = b"%x\r\n%b\r\n%x;ext=1\r\n%b\r\n0\r\n\r\n" % (9, raw[:9], len(raw) - 9, raw[9:])
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        head = (
            b"POST /v1/messages HTTP/1.1\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\n"
            b"transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
        )
        connection.writer.write(head)
        assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.writer.write(chunks)
        assert (await connection.receive()).status == 200


async def test_r7_a_body_of_33_megabytes_is_read_and_refused() -> None:
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        answered = await connection.ask(bytes(33 * 1024 * 1024))
        assert (answered.status, answered.json["error"]["type"]) == (413, "request_too_large")
        assert (await connection.ask(body())).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (
            b"POST /v1/messages HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (BODY_BYTES_READ_MAX + 1),
            413,
        ),
        (b"nonsense\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nlong\r\n", 404),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n", 404),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * 70_000 + b"\r\n\r\n", 404),
    ],
)
async def test_bytes_that_cannot_be_read_get_an_answer_and_the_end(
    head: bytes, status: int
) -> None:
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        connection.writer.write(head)
        answered = await connection.receive()
        assert (answered.status, answered.headers["connection"]) == (status, "close")


async def test_a_client_that_leaves_inside_a_request_harms_nobody() -> None:
    async with Simulator() as simulator:
        async with connected(simulator.base_url) as connection:
            connection.writer.write(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
            await connection.writer.drain()
        assert (await ask(simulator.base_url, body())).status == 200
        assert len(simulator.log) == 1


async def test_models_have_the_fields_that_a_client_plans_with() -> None:
    async with Simulator(window_tokens=20_000) as simulator:
        page = (await ask(simulator.base_url, b"", "/v1/models?limit=5", "GET")).json
        assert len(page["data"]) == 5
        assert page["has_more"] is True
        after = f"/v1/models?after_id={page['last_id']}&limit=1000"
        rest = (await ask(simulator.base_url, b"", after, "GET")).json
        assert rest["has_more"] is False
        names = [model["id"] for model in page["data"] + rest["data"]]
        assert len(set(names)) == len(names) == 22
        one = (await ask(simulator.base_url, b"", "/v1/models/claude-haiku-4-5", "GET")).json
        assert (one["max_input_tokens"], one["max_tokens"]) == (20_000, 64_000)
        assert one["lifecycle"] == "active"
        missing = await ask(simulator.base_url, b"", "/v1/models/gpt-2", "GET")
        assert (missing.status, missing.json["error"]["message"]) == (404, "model: gpt-2")


async def test_count_tokens_usage_and_the_limit_speak_of_the_same_number() -> None:
    request = body(user("x" * 5000))
    counted = {key: value for key, value in request.items() if key != "max_tokens"}
    async with Simulator() as simulator:
        count = (await ask(simulator.base_url, counted, "/v1/messages/count_tokens")).json
        usage = (await ask(simulator.base_url, request)).json["usage"]
        assert usage["input_tokens"] == count["input_tokens"]
    async with Simulator(window_tokens=count["input_tokens"] - 1) as simulator:
        answered = await ask(simulator.base_url, request)
        n = usage["input_tokens"]
        expected = f"prompt is too long: {n} tokens > {n - 1} maximum"
        assert answered.json["error"]["message"] == expected
        again = (await ask(simulator.base_url, counted, "/v1/messages/count_tokens")).json
        assert again == count


async def test_count_tokens_applies_the_rules_of_messages() -> None:
    request = {**COUNTED, "messages": [user("x"), assistant(use("t1")), user("y")]}
    async with Simulator() as simulator:
        answered = await ask(simulator.base_url, request, "/v1/messages/count_tokens")
        assert answered.status == 400
        assert "`tool_use` ids were found" in answered.json["error"]["message"]


async def test_the_first_matching_step_with_times_left_answers() -> None:
    steps = [
        Step(match=Match(last_user_contains="blue"), respond=said("sky"), times=None),
        Step(match=Match(last_user_contains="twice"), respond=said("one"), times=1),
        Step(match=Match(last_user_contains="twice"), respond=said("two"), times=1),
    ]
    async with Simulator(steps) as simulator, connected(simulator.base_url) as connection:
        asked = ["twice", "blue", "twice", "blue twice", "twice"]
        answers = await texts(connection, *(body(user(word)) for word in asked))
        assert answers == ["one", "sky", "two", "sky", "You said: twice"]
        assert simulator.unused_steps == []


CONDITIONS: list[tuple[Match, Json, Json]] = [
    (Match(system_contains="kind"), body(system="be kind"), body(system="be strict")),
    (Match(body_contains='"user"'), body(), body(model=None)),
    (Match(body_bytes_over=9_000), body(user("x" * 9_000)), body(user("x" * 900))),
    (Match(model="claude-opus-5"), body(model="claude-opus-5"), body()),
    (Match(has_tools=True), body(tools=[TOOL]), body()),
    (Match(has_tools=False), body(), body(tools=[TOOL])),
    (Match(stream=True), body(stream=True), body()),
    (
        Match(has_tool_results=True),
        body(user("x"), assistant(use("t1")), user(result("t1"))),
        body(),
    ),
    (
        Match(last_result_contains="late"),
        body(user("x"), assistant(use("t1")), user(result("t1", [text("too late")]))),
        body(user("late")),
    ),
    (
        Match(last_user_contains="first"),
        body(user("first"), user("second")),
        body(user("first"), assistant("a"), user("second")),
    ),
    (Match(last_user_contains="hello"), body(user("hello"), system("note")), body(user("bye"))),
]


@pytest.mark.parametrize(("match", "meant", "other"), CONDITIONS)
async def test_a_step_answers_the_requests_that_its_conditions_mean(
    match: Match, meant: Json, other: Json
) -> None:
    steps = [Step(label="s", match=match, respond=said("x"), times=None)]
    async with Simulator(steps) as simulator:
        await ask(simulator.base_url, other)
        await ask(simulator.base_url, meant)
        assert [entry.step for entry in simulator.log] == [None, "s"]


async def test_a_refused_request_uses_up_no_step() -> None:
    async with Simulator([Step(label="s", respond=said("x"))]) as simulator:
        assert (await ask(simulator.base_url, body(model="gpt-2"))).status == 404
        assert (await ask(simulator.base_url, body())).status == 200
        assert [entry.step for entry in simulator.log] == [None, "s"]


async def test_a_text_may_quote_the_last_user() -> None:
    steps = [Step(respond=said("You want {last_user}, {not} more"))]
    async with Simulator(steps) as simulator, connected(simulator.base_url) as connection:
        assert await texts(connection, body(user("tea"))) == ["You want tea, {not} more"]


HISTORIES = {
    "in a message": [user("The secret word is kelp."), assistant("Noted.")],
    "in a summary": [user("<summary>… the secret word is: kelp …</summary>"), assistant("Yes.")],
    "in a result": [
        user("x"),
        assistant(use("t1")),
        user(result("t1", [text("secret word is 'kelp'")])),
        assistant("Yes."),
    ],
}


@pytest.mark.parametrize("where", HISTORIES)
async def test_the_default_responder_knows_a_secret_word_that_is_still_there(where: str) -> None:
    question = user("What is the secret word?")
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        answers = await texts(connection, body(*HISTORIES[where], question), body(question))
        assert answers == ["The secret word is kelp.", "I do not know a secret word."]


async def test_the_default_responder_echoes_at_most_eighty_characters() -> None:
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        assert await texts(connection, body(user("x" * 200))) == ["You said: " + "x" * 80]


async def test_a_compaction_without_a_script_keeps_the_secret_word() -> None:
    request = body(user("The secret word is kelp."), compaction={"type": "summarize"})
    async with Simulator() as simulator, connected(simulator.base_url) as connection:
        beta = {"anthropic-beta": "compact-2026-09-04"}
        (block,) = (await connection.ask(request, **beta)).json["content"]
        asked = body(user(block, "What is the secret word?"))
        answered = await connection.ask(asked, **beta)
        assert answered.json["content"][0]["text"] == "The secret word is kelp."


async def test_scripted_headers_usage_and_counts_are_sent() -> None:
    steps = [
        Step(respond=Respond(usage={"output_tokens": 99}, headers={"x-note": "n"})),
        Step(match=Match(kind="count_tokens"), respond=Respond(input_tokens=7)),
    ]
    async with Simulator(steps) as simulator:
        answered = await ask(simulator.base_url, body())
        assert answered.headers["x-note"] == "n"
        assert answered.json["usage"]["output_tokens"] == 99
        count = await ask(simulator.base_url, COUNTED, "/v1/messages/count_tokens")
        assert count.json == {"input_tokens": 7}


async def test_pacing_changes_when_and_not_what() -> None:
    content = (TextItem(text="a text in pieces", chunk=2), ToolUseItem(name="read"))
    slow = Respond(content=content, delay_ms=1, per_delta_ms=0.1)
    async with Simulator([Step(respond=slow)]) as simulator:
        answered = await ask(simulator.base_url, body(stream=True))
        blocks = assembled(answered.events)
        assert [block["type"] for block in blocks] == ["text", "tool_use"]
        assert blocks[0]["text"] == "a text in pieces"


async def test_thinking_comes_back_over_http_and_is_accepted() -> None:
    content = (ThinkingItem(text="hm"), ToolUseItem(name="read", id="toolu_1"))
    async with Simulator([Step(respond=Respond(content=content))]) as simulator:
        blocks = assembled((await ask(simulator.base_url, body(stream=True))).events)
        history = [user("hello"), {"role": "assistant", "content": blocks}, user(result("toolu_1"))]
        assert (await ask(simulator.base_url, body(*history))).status == 200
        history[1]["content"][0]["thinking"] = "hm?"
        refused = await ask(simulator.base_url, body(*history))
        assert "cannot be modified" in refused.json["error"]["message"]


async def test_the_log_tells_what_was_asked_and_what_came_of_it() -> None:
    request = body(user("x"), assistant(use("t1")), user(result("t1")), stream=True)
    steps = [Step(label="storm", match=Match(body_contains="t1"), fault=Fault(name="overloaded"))]
    async with Simulator(steps) as simulator:
        await ask(simulator.base_url, request)
        await ask(simulator.base_url, body(assistant("x")))
        await ask(simulator.base_url, b"{")
        first, second, third = (await ask(simulator.base_url, b"", "/_simulator/log", "GET")).json
        expected = {
            "index": 0,
            "path": "/v1/messages",
            "status": 529,
            "refused": None,
            "step": "storm",
            "fault": "overloaded",
            "outcome": "faulted",
            "model": "claude-opus-5-5",
            "message_count": 3,
            "tool_use_count": 1,
            "stream": True,
        }
        assert {name: first[name] for name in expected} == expected
        assert first["at"] <= second["at"]
        assert len(first["body_sha256"]) == 64
        assert "body" not in first
        assert (second["status"], second["refused"], second["step"]) == (400, "R21", None)
        assert (third["refused"], third["model"]) == ("R5", None)
        bodies = (await ask(simulator.base_url, b"", "/_simulator/log?bodies=1", "GET")).json
        assert bodies[0]["body"] == request
        await ask(simulator.base_url, b"", "/_simulator/log", "DELETE")
        assert (await ask(simulator.base_url, b"", "/_simulator/log", "GET")).json == []
        await ask(simulator.base_url, body())
        assert simulator.log[0].index == 3


async def test_the_log_holds_no_key() -> None:
    async with Simulator() as simulator:
        await ask(simulator.base_url, body(), **{"x-api-key": "sk-very-secret"})
        log = await ask(simulator.base_url, b"", "/_simulator/log?bodies=1", "GET")
        assert b"sk-very-secret" not in log.body


async def test_a_script_can_be_replaced_and_extended_over_http() -> None:
    one = {"respond": {"content": [{"type": "text", "text": "one"}]}}
    two = {"respond": {"content": [{"type": "text", "text": "two"}]}}
    steps = [Step(respond=said("old"))]
    async with Simulator(steps) as simulator, connected(simulator.base_url) as connection:
        path = "/_simulator/script"
        assert (await connection.ask([one], path)).json == {"steps": 1}
        assert (await connection.ask({"mode": "append", "steps": [two]}, path)).status == 200
        answers = await texts(connection, body(), body(), body())
        assert answers == ["one", "two", "You said: hello"]


BROKEN_SCRIPTS: list[Any] = [
    b"{",
    {"steps": 3},
    [{"respond": {"content": [{"type": "poem"}]}}],
    [{"match": {"colour": "red"}}],
    [{"fault": {"name": "tsunami"}}],
    {"mode": "shuffle", "steps": []},
]


@pytest.mark.parametrize("script", BROKEN_SCRIPTS)
async def test_a_script_that_cannot_be_read_changes_nothing(script: Any) -> None:
    async with Simulator([Step(respond=said("old"))]) as simulator:
        answered = await ask(simulator.base_url, script, "/_simulator/script")
        assert answered.status == 400
        assert answered.json["error"]["message"]
        kept = await ask(simulator.base_url, body())
        assert kept.json["content"][0]["text"] == "old"


def test_a_script_is_the_same_in_json_and_in_python() -> None:
    raw = """{"steps": [{
        "label": "s", "times": null,
        "match": {"kind": "any", "has_tools": true},
        "respond": {"content": [
            {"type": "thinking", "text": "hm"},
            {"type": "text", "text": "hello", "chunk": 3},
            {"type": "tool_use", "name": "read", "input": {"path": "a"}}
        ], "stop_reason": "tool_use", "delay_ms": 5},
        "fault": {"name": "silence", "after_events": 2}
    }]}"""
    content = (
        ThinkingItem(text="hm"),
        TextItem(text="hello", chunk=3),
        ToolUseItem(name="read", input={"path": "a"}),
    )
    step = Step(
        label="s",
        times=None,
        match=Match(kind="any", has_tools=True),
        respond=Respond(content=content, stop_reason="tool_use", delay_ms=5),
        fault=Fault(name="silence", after_events=2),
    )
    assert Script.parse_json(raw) == Script.of(step)


def test_a_script_that_is_no_json_says_so() -> None:
    with pytest.raises(ScriptError, match="not JSON"):
        Script.parse_json("[")


async def test_serve_tells_its_address_and_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('[{"respond": {"content": [{"type": "text", "text": "from a file"}]}}]')
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(0, path, None, ready.set_result))
    answered = await ask(await ready, body())
    assert answered.json["content"][0]["text"] == "from a file"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ConnectionError):
        await ask(await ready, body())


async def test_a_stopped_simulator_starts_again_on_its_port_and_remembers() -> None:
    async with Simulator() as simulator:
        address = simulator.base_url
        await simulator.stop()
        with pytest.raises(ConnectionError):
            await ask(address, body())
        await simulator.start()
        assert simulator.base_url == address
        assert (await ask(address, body())).status == 200


def test_a_simulator_that_was_not_started_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        _ = Simulator().base_url
