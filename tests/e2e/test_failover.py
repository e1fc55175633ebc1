"""A session moves to another endpoint, by itself and by choice, through the real server and HTTP.

The first endpoint is the strict API, which signs its thinking; the second one a server of another
kind that knows no thinking, no cache marks, and wants roles to alternate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e2e.server import Server, running
from holdfast.simulator import Script, Simulator

ASKS = {"permissions": [{"tool": "*", "pattern": "*", "answer": "ask"}]}
THINKS_AND_CALLS = [
    {
        "match": {"last_user_contains": "Look"},
        "respond": {
            "content": [
                {"type": "thinking", "text": "The file will tell."},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "name": "run", "input": {"command": "echo dulse"}},
            ],
        },
        "times": 1,
    },
]


def two_endpoints(other: Simulator, **retry: float) -> dict[str, Any]:
    return {
        "endpoints": [
            {
                "name": "office",
                "kind": "compatible",
                "baseUrl": other.base_url,
                "models": {"claude-opus-5-5": "claude-haiku-4-5"},
            }
        ],
        "retry": {"maxDelaySeconds": 0.1, "budgetSeconds": 20, **retry},
        **ASKS,
    }


def sent_to(simulator: Simulator) -> list[dict[str, Any]]:
    return [e.body for e in simulator.log if e.path == "/v1/messages" and e.body is not None]


async def begun(server: Server, first: Simulator, workspace: Path) -> tuple[str, str, str]:
    """Bring a session into the middle of a task: thinking, a call, and a question that is open.

    An earlier prompt was stopped before its answer, so two of the person's messages follow each
    other.
    """
    made = await server.command("session.create", workspaceUri=workspace.as_uri())
    session_id = made["sessionId"]
    await server.open(session_id)
    hold = {"name": "headers-never", "hold_ms": 5_000}
    first.script(Script.parse([{"match": {"last_user_contains": "Wait"}, "fault": hold}]))
    sent = await server.command("turn.send", sessionId=session_id, text="Wait for me.")
    await server.until(lambda: server.of(session_id, "requestStarted"), "the request")
    await server.command("turn.stop", sessionId=session_id)
    await server.ended(session_id, sent["turnId"])
    first.script(Script.parse(THINKS_AND_CALLS))
    sent = await server.command("turn.send", sessionId=session_id, text="Look what is there.")
    asked = await server.until(lambda: server.of(session_id, "questionAsked"), "the question")
    return session_id, sent["turnId"], asked[0]["questionId"]


async def test_P3_a_session_goes_on_at_a_stricter_endpoint_when_the_first_is_down_in_mid_task(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        options = {**two_endpoints(other, failoverSeconds=0.3), "failover": ["default", "office"]}
        async with running(first, tmp_path, **options) as server:
            session_id, turn_id, question = await begun(server, first, tmp_path)
            await first.stop()
            await server.command("permission.answer", questionId=question, answer="allow")
            await server.ended(session_id, turn_id)

            assert other.refusals == [], "the first request there is accepted"
            body = sent_to(other)[0]
            assert body["model"] == "claude-haiku-4-5", "the model is asked for by its name there"
            kinds = {b["type"] for m in body["messages"] for b in blocks_of(m)}
            assert kinds == {"text", "tool_use", "tool_result"}, "thinking is not sent there"
            [moved] = server.of(session_id, "endpointSelected")
            assert (moved["endpoint"], moved["reason"]) == ("office", "failover")
            assert "claude-haiku-4-5 is asked for in place of claude-opus-5-5" in moved["said"]
            assert "thinking is not sent" in moved["said"], "what changes is said"
            assert len(server.of(session_id, "toolStarted")) == 1, "P6: nothing runs twice"

            await first.start()
            await server.command("model.select", sessionId=session_id, endpoint="default")
            sent = await server.command("turn.send", sessionId=session_id, text="Go on here.")
            await server.ended(session_id, sent["turnId"])
            assert sent_to(first)[-1]["model"] == "claude-opus-5-5"
            assert first.refusals == [], "and the way back is accepted too"
            assert server.of(session_id, "endpointSelected")[-1]["reason"] == "back"


async def test_P4_what_a_compaction_kept_is_sent_to_an_endpoint_where_turns_are_joined(
    tmp_path: Path,
) -> None:
    """The summary and the prompt behind it are two of the person's messages in a row."""
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        options = {**two_endpoints(other, failoverSeconds=0.3), "failover": ["default", "office"]}
        async with running(first, tmp_path, **options) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session_id = made["sessionId"]
            await server.open(session_id)
            for number in range(3):
                words = f"Question {number}: {'dulse ' * 2_000}"
                sent = await server.command("turn.send", sessionId=session_id, text=words)
                await server.ended(session_id, sent["turnId"])
            await server.command("session.compact", sessionId=session_id)
            in_force = lambda: server.of(session_id, "compactionCommitted")  # noqa: E731
            await server.until(in_force, "the compaction in force")
            await first.stop()
            sent = await server.command("turn.send", sessionId=session_id, text="Newest of all.")
            await server.ended(session_id, sent["turnId"])
            assert other.refusals == []
            messages = sent_to(other)[-1]["messages"]
            assert [m["role"] for m in messages][-1] == "user"
            assert "Newest of all." in str(messages[-1])
            assert "<summary>" in str(messages[0])


async def test_R75_thinking_that_another_organization_signed_does_not_stop_the_session_there(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(organization="another") as other:
        options = {**two_endpoints(other, failoverSeconds=0.3), "failover": ["office"]}
        options["endpoints"][0]["kind"] = "gateway"
        async with running(first, tmp_path, **options) as server:
            session_id, turn_id, question = await begun(server, first, tmp_path)
            await first.stop()
            await server.command("permission.answer", questionId=question, answer="allow")
            await server.ended(session_id, turn_id)
            assert other.refusals == []
            assert server.of(session_id, "endpointSelected")[0]["endpoint"] == "office"


async def test_P7_a_request_that_hangs_is_given_up_for_the_endpoint_that_a_person_chooses(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        first.script(Script.parse([{"fault": {"name": "headers-never", "hold_ms": 20_000}}]))
        async with running(first, tmp_path, **two_endpoints(other)) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session_id = made["sessionId"]
            await server.open(session_id)
            sent = await server.command("turn.send", sessionId=session_id, text="Hello.")
            await first.wait_until(lambda log: any(e.path == "/v1/messages" for e in log))
            await server.command("model.select", sessionId=session_id, endpoint="office")
            await server.ended(session_id, sent["turnId"])
            assert len(sent_to(first)) == len(sent_to(other)) == 1
            opened = await server.command("session.open", sessionId=session_id)
            assert opened["session"]["endpoint"] == "office"


async def test_P3_a_turn_that_waits_goes_on_at_the_endpoint_that_a_person_chooses(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        await first.stop()
        async with running(first, tmp_path, **two_endpoints(other)) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session_id = made["sessionId"]
            await server.open(session_id)
            sent = await server.command("turn.send", sessionId=session_id, text="Hello.")
            await server.until(lambda: server.of(session_id, "requestFailed"), "the failure")
            listed = await server.command("endpoint.list")
            assert [e["name"] for e in listed["endpoints"]] == ["default", "office"]
            there = await server.command("model.list", endpoint="office")
            assert "claude-haiku-4-5" in {m["model"] for m in there["models"]}

            await server.command("model.select", sessionId=session_id, endpoint="office")
            await server.ended(session_id, sent["turnId"])
            assert server.of(session_id, "endpointSelected")[0]["reason"] == "user"
            assert other.refusals == []


async def test_P10_a_session_begins_where_the_settings_say_and_its_fork_where_it_is(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        options = {**two_endpoints(other), "endpoint": "office"}
        async with running(first, tmp_path, **options) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session_id = made["sessionId"]
            await server.open(session_id)
            sent = await server.command("turn.send", sessionId=session_id, text="Hello.")
            await server.ended(session_id, sent["turnId"])
            assert sent_to(other)[-1]["model"] == "claude-haiku-4-5"
            examined = await server.command("doctor.run", free=True)
            assert other.base_url in examined["report"]
            forked = await server.command("session.fork", sessionId=session_id)
            opened = await server.command("session.open", sessionId=forked["sessionId"])
            assert opened["session"]["endpoint"] == "office"

            await server.command("model.select", sessionId=session_id, endpoint="default")
            forked = await server.command("session.fork", sessionId=session_id)
            fork_id = forked["sessionId"]
            await server.open(fork_id)
            sent = await server.command("turn.send", sessionId=fork_id, text="And from here?")
            await server.ended(fork_id, sent["turnId"])
            assert sent_to(first)[-1]["model"] == "claude-opus-5-5"
            assert (first.refusals, other.refusals) == ([], [])


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text"}] if isinstance(content, str) else content
