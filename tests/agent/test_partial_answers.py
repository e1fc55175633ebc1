"""An answer that ends anywhere, through the real SDK and HTTP (P1, P2, P6; C03, C04, C11, A35).

Law: whatever arrived stays in the journal; what goes on the wire again is valid; a call of a cut
answer never runs. The cuts are at every event boundary of one answer: thinking, text, two calls.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent.stage import Room, room
from holdfast.session import events as ev
from holdfast.simulator import Script

FAST = {"stream": {"idleWarnSeconds": 0.15, "idleCutSeconds": 0.3}}
ALLOW = [{"tool": "*", "pattern": "*", "answer": "allow"}]
CONTINUED = "Continue exactly"


def answer(name: str) -> dict[str, Any]:
    """An answer with everything in it; its calls leave a mark when they run."""
    calls = [
        {
            "type": "tool_use",
            "name": "run",
            "input": {"command": f"echo {name}-{mark} >> effects.log"},
            "chunk": 24,
        }
        for mark in "ab"
    ]
    thinking = {"type": "thinking", "text": "First I think about kelp.", "chunk": 10}
    text = {"type": "text", "text": "Kelp is a seaweed. I run two commands.", "chunk": 9}
    return {"content": [thinking, text, *calls]}


def prompt(name: str) -> str:
    return f"cut {name}. The secret word is dulse."


def script(name: str, fault: str, after: int | None) -> list[dict[str, Any]]:
    """The cut answer once, then how the model goes on from a continuation or from the start."""
    asked = {"last_user_contains": f"cut {name}."}
    cut = {"name": fault, "after_events": after, "hold_ms": 5_000}
    return [
        {"match": {"last_user_contains": CONTINUED}, "times": None, **said("It goes on.")},
        {"match": {"has_tool_results": True}, "times": None, **said("Both have run.")},
        {"match": asked, "times": 1, "respond": answer(name), "fault": cut},
        {"match": asked, "times": 1, **said("It starts anew.")},
    ]


def said(words: str) -> dict[str, Any]:
    return {"respond": {"content": [{"type": "text", "text": words}]}}


async def boundaries(session: Room) -> list[dict[str, Any]]:
    """Return the events of the whole answer, as the bytes on the wire have them."""
    session.simulator.script(Script.parse([{"match": {}, **said("ok")}]))
    await session.answered("hello")
    body = json.dumps(session.simulator.log[-1].body).encode()
    session.simulator.script(Script.parse([{"match": {}, "respond": answer("x")}]))
    url = urlsplit(session.simulator.base_url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = (
        f"POST /v1/messages HTTP/1.0\r\nhost: {url.netloc}\r\nx-api-key: k\r\n"
        "anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(10):
        stream = await reader.read()
    writer.close()
    return [json.loads(line[5:]) for line in stream.splitlines() if line.startswith(b"data:")]


def text_in(events: list[dict[str, Any]]) -> str:
    return "".join(e["delta"]["text"] for e in events if e.get("delta", {}).get("text"))


async def cut_once(session: Room, workspace: Path, fault: str, shown: str) -> None:
    """Play one cut in a session of its own and check all that is promised about it."""
    name = workspace.name
    workspace.mkdir()
    supervisor = session.supervisor
    session_id = await supervisor.create(workspace_uri=workspace.as_uri(), title=name, model=None)
    own = Room(supervisor, session.simulator, session_id)
    try:
        turn_id = await own.prompt(prompt(name))
        ended = await own.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert ended.reason is ev.TurnEnd.COMPLETED
        events = [record.event for record in own.seen]
        cut = next(i for i, event in enumerate(events) if isinstance(event, ev.RequestFailed))
        arrived = "".join(
            event.text
            for event in events[:cut]
            if isinstance(event, ev.BlockDelta) and event.kind == "text"
        )
        # A reset may overtake bytes that were sent before it.
        assert shown.startswith(arrived) if fault == "reset" else shown == arrived
        assert own.of(ev.ToolStarted) == [], "P6: a call of a cut answer ran"
        assert not (workspace / "effects.log").exists()
        messages = await supervisor.messages(session_id, limit=None, before=None)
        texts = [message.text for message in messages]
        if arrived.strip():
            assert own.of(ev.ResponseCut), "C03: what is partial is marked"
            assert texts[1] == arrived.rstrip()
            assert CONTINUED in texts[2]
            assert texts[3] == "It goes on."
        else:
            assert texts[1:] == ["It starts anew."], "C04: nothing is continued that is not there"
        assert "dulse" in await own.answered("What was the secret word?")
    finally:
        await own.leave()


@pytest.mark.parametrize("fault", ["eof", "reset", "silence"])
async def test_C03_C04_an_answer_cut_at_any_event_is_kept_and_goes_on(
    fault: str, tmp_path: Path
) -> None:
    async with room(tmp_path, permissions=ALLOW, **FAST) as session:
        events = await boundaries(session)
        assert [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"]
        cuts = range(len(events) - 1)
        assert len(cuts) > 20
        steps = [step for k in cuts for step in script(f"{fault}-{k}", fault, k)]
        session.simulator.script(Script.parse(steps))
        await asyncio.gather(
            *(
                cut_once(session, tmp_path / "workspace" / f"{fault}-{k}", fault, shown)
                for k in cuts
                for shown in [text_in(events[:k])]
            )
        )
        assert session.simulator.refusals == [], "P2"


async def test_C03_an_answer_that_lacks_only_its_last_event_is_whole_and_its_calls_run_once(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, permissions=ALLOW) as session:
        session.simulator.script(Script.parse(script("x", "missing-message-stop", None)))
        assert await session.answered(prompt("x")) == "Both have run."
        marks = (tmp_path / "workspace" / "effects.log").read_text().splitlines()
        assert marks == ["x-a", "x-b"]
        assert session.simulator.refusals == []


@pytest.mark.parametrize(
    ("fault", "reason", "kept"),
    [
        ("max-tokens", ev.TurnEnd.COMPLETED, "This goes on and"),
        ("window-exceeded", ev.TurnEnd.COMPLETED, "This goes on and"),
        ("unknown-stop-reason", ev.TurnEnd.COMPLETED, "Enough."),
        ("pause-turn", ev.TurnEnd.COMPLETED, "I search."),
        ("empty-content", ev.TurnEnd.COMPLETED, ""),
        ("blank-text", ev.TurnEnd.COMPLETED, ""),
        ("refusal", ev.TurnEnd.REFUSED, ""),
        ("refusal-mid-stream", ev.TurnEnd.REFUSED, ""),
    ],
)
@pytest.mark.survives("A12")
async def test_A11_A35_C11_every_way_to_end_an_answer_has_its_outcome_and_the_next_prompt_works(
    fault: str, reason: ev.TurnEnd, kept: str, tmp_path: Path
) -> None:
    """`kept` is what of the answer is sent again; what would poison the history is not."""
    async with room(tmp_path, {"match": {}, "fault": {"name": fault}, "times": 1}) as session:
        turn_id = await session.prompt(prompt(fault))
        ended = await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert ended.reason is reason
        assert "dulse" in await session.answered("What was the secret word?")
        assistant = [
            block["text"]
            for message in session.simulator.log[-1].body["messages"]
            if message["role"] == "assistant"
            for block in message["content"]
        ]
        assert assistant[:1] == ([kept] if kept else [])
        assert all(text.strip() for text in assistant)
        finished = session.of(ev.ResponseFinished)
        assert len(finished) == 2, "P12: how it ended is in the journal"
        assert session.simulator.refusals == []


@pytest.mark.survives("A27")
async def test_C11_a_call_cut_at_the_output_limit_never_runs_and_the_model_is_told(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path,
        {"match": {}, "fault": {"name": "max-tokens-in-tool-use"}, "times": 1},
        {"match": {"last_result_contains": "cut at the output limit"}, **said("In parts, then.")},
    ) as session:
        assert await session.answered(prompt("limit")) == "In parts, then."
        assert session.of(ev.ToolStarted) == []
        outcomes = [event.outcome for event in session.of(ev.ToolFinished)]
        assert outcomes == [ev.ToolOutcome.NOT_STARTED]
        assert "dulse" in await session.answered("What was the secret word?")
        assert session.simulator.refusals == []
