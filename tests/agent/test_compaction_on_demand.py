"""The API's own compaction in a session, over the real wire (spec §6, R91-R95; B01, B08, B10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.stage import Room, room, step
from holdfast.session import events as ev

HEADER = "compact-2026-09-04"
ON_DEMAND = {"has_compaction": True}
WORDS = "word " * 800
SMALL: dict[str, Any] = {"window_tokens": 40_000, "contextWindowTokens": 40_000}
THINKING = {"type": "thinking", "text": "First I look, then I answer."}
ANSWER = {"match": {"has_tools": True, "has_compaction": False}, "times": None}
THOUGHTFUL = {**ANSWER, "respond": {"content": [THINKING, {"type": "text", "text": "I see."}]}}


async def talk(session: Room, times: int = 14) -> None:
    for number in range(times):
        await session.answered(f"question {number} {WORDS}")


async def compacted(session: Room) -> Any:
    """Compact by hand; return the record of what was prepared."""
    compaction_id = await session.supervisor.compact(session.session_id, "")
    await session.until(ev.CompactionCommitted, lambda e: e.compaction_id == compaction_id)
    return [e for e in session.of(ev.CompactionPrepared) if e.compaction_id == compaction_id][-1]


def types(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


@pytest.mark.survives("B10")
async def test_a_signed_compaction_is_sent_from_then_on_and_thinking_behind_it_stays_valid(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, THOUGHTFUL, **SMALL) as session:
        await talk(session)
        before = session.simulator.log[-1].body["messages"]
        prepared = await compacted(session)
        assert prepared.rung is ev.Rung.ON_DEMAND
        asked = next(entry for entry in session.simulator.log if entry.compaction)
        covered = asked.body["messages"]
        assert [m["role"] for m in covered] == [m["role"] for m in before[: len(covered)]]
        assert asked.body["system"][0]["text"] == session.simulator.log[1].body["system"][0]["text"]
        assert [t["name"] for t in asked.body["tools"]] == [
            t["name"] for t in session.simulator.log[1].body["tools"]
        ]
        await session.answered("and now?")
        await session.answered("and then?")
        sent = session.simulator.log[-1].body["messages"]
        assert types(sent[0]) == ["compaction"]
        assert sent[0]["role"] != sent[1]["role"]
        assert any("thinking" in types(message) for message in sent[1:])
        assert session.simulator.refusals == []


async def test_R91_the_header_is_on_every_request_that_holds_the_block_and_on_no_other(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, **SMALL) as session:
        await talk(session)
        await compacted(session)
        await session.answered("and now?")
        await session.supervisor.undo_compaction(session.session_id)
        await session.answered("and without it?")
        messages = [entry for entry in session.simulator.log if entry.path == "/v1/messages"]
        for entry in messages:
            holds = types(entry.body["messages"][0]) == ["compaction"]
            assert (HEADER in entry.betas) == (holds or entry.compaction)
        assert [HEADER in entry.betas for entry in messages[-3:]] == [True, True, False]
        assert session.simulator.refusals == []


async def test_what_the_compaction_cost_is_counted(tmp_path: Path) -> None:
    """§5.2: the API's own totals leave it out."""
    async with room(tmp_path, **SMALL) as session:
        await talk(session)
        prepared = await compacted(session)
        assert prepared.usage.output_tokens > 0
        assert prepared.model == "claude-opus-5-5"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"fault": {"name": "compaction-unavailable"}}, "overloaded"),
        ({"fault": {"name": "gateway-timeout"}}, "timeout"),
        ({"fault": {"name": "prompt-too-long"}}, "tooLong"),
        ({"fault": {"name": "reset"}}, "cut"),
        ({"fault": {"name": "headers-then-silence", "hold_ms": 3_000}}, "stalled"),
        ({"fault": {"name": "refusal"}}, "refusal"),
        ({"fault": {"name": "empty-content"}}, "empty"),
        ({"calls": [("read", {"path": "a"})]}, "toolCall"),
        ({"stop_reason": "max_tokens"}, "max_tokens"),
    ],
)
async def test_B08_when_it_fails_for_ever_a_summary_takes_its_place_and_says_why(
    tmp_path: Path, said: dict[str, Any], reason: str
) -> None:
    async with room(tmp_path, step(ON_DEMAND, times=None, **said), **SMALL) as session:
        await talk(session)
        prepared = await compacted(session)
        assert prepared.rung in {ev.Rung.SUMMARY, ev.Rung.CHUNKS}
        fell = [e for e in session.of(ev.CompactionRungFailed) if e.rung is ev.Rung.ON_DEMAND]
        assert {e.reason for e in fell} == {reason}
        assert len(fell) <= 2
        await session.answered("still here?")
        assert session.simulator.refusals == []


@pytest.mark.survives("B10")
async def test_R95_an_endpoint_that_knows_no_compaction_is_asked_once_in_the_life_of_a_session(
    tmp_path: Path,
) -> None:
    refusal = {"name": "bad-request", "message": "compaction: Extra inputs are not permitted"}
    async with room(tmp_path, step(ON_DEMAND, fault=refusal, times=None), **SMALL) as session:
        await talk(session)
        assert (await compacted(session)).rung is ev.Rung.SUMMARY
        assert [e.reason for e in session.of(ev.CompactionRungFailed)] == ["unsupported"]
        await talk(session)
        assert (await compacted(session)).rung is ev.Rung.SUMMARY
        assert sum(entry.compaction for entry in session.simulator.log) == 1


async def test_another_model_gets_the_text_of_the_block_and_no_header(tmp_path: Path) -> None:
    async with room(tmp_path, **SMALL) as session:
        await talk(session)
        await compacted(session)
        await session.answered("and now?")
        await session.supervisor.select_model(session.session_id, "claude-haiku-4-5")
        await session.answered("and you?")
        last = session.simulator.log[-1]
        assert last.model == "claude-haiku-4-5"
        assert types(last.body["messages"][0])[0] == "text"
        assert "A conversation of" in last.body["messages"][0]["content"][0]["text"]
        assert last.betas == []
        assert session.simulator.refusals == []


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-fable-5-2"])
async def test_a_model_without_it_is_never_asked(tmp_path: Path, model: str) -> None:
    async with room(tmp_path, model=model, **SMALL) as session:
        await talk(session)
        assert (await compacted(session)).rung is ev.Rung.SUMMARY
        assert not any(entry.compaction for entry in session.simulator.log)
        assert session.simulator.refusals == []
