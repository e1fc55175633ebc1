"""Refused requests, by the real SDK against the strict API: whatever nobody has foreseen, the
session answers the next prompt, one refusal costs at most two more, and nothing is lost (P3, P4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from agent.stage import Room, step, supervised
from agent.stage import room as any_room
from holdfast.session import events as ev
from holdfast.session.items.shapes import NoticeItem
from holdfast.session.rungs import WITHHELD
from holdfast.simulator import InjectedRule, LogEntry, Simulator
from holdfast.tools.registry import Toolbox

POISON = "oleander"
UNHEARD_OF = "A rule that no client has heard of was broken"


KEY = {"ANTHROPIC_API_KEY": "test-key-that-is-in-no-words"}


def room(tmp_path: Path, *steps: dict[str, Any]) -> AbstractAsyncContextManager[Room]:
    """Open a session whose key is in no word of the API, or it would be blotted out there."""
    return any_room(tmp_path, *steps, environment=KEY)


def poison(**more: Any) -> InjectedRule:
    """Refuse whatever holds the poisonous word."""
    return InjectedRule(text=POISON, message=UNHEARD_OF, **more)


def paid(log: Sequence[LogEntry]) -> list[LogEntry]:
    return [entry for entry in log if entry.path == "/v1/messages"]


def refused(session: Room) -> int:
    return sum(entry.status == 400 for entry in paid(session.simulator.log))


def reads(tmp_path: Path, words: str) -> dict[str, Any]:
    """Have the model read a file with these words, which brings them into the history."""
    (tmp_path / "workspace").mkdir(exist_ok=True)
    (tmp_path / "workspace" / "garden.txt").write_text(words, "utf-8")
    return step({"last_user_contains": "garden"}, calls=[("read", {"path": "garden.txt"})])


async def notices(session: Room, code: str) -> list[NoticeItem]:
    found, _ = await session.supervisor.items.page(session.session_id, limit=200, before=None)
    return [item for item in found if isinstance(item, NoticeItem) and item.code == code]


@pytest.mark.survives("A26")
@pytest.mark.parametrize("position", ["none", "message", "block"])
async def test_P3_a_400_that_nobody_has_seen_is_located_mended_and_told(
    tmp_path: Path, position: Any
) -> None:
    async with room(tmp_path, reads(tmp_path, f"{POISON} grows here")) as session:
        await session.answered("hello")
        session.simulator.inject(poison(position=position))
        answer = await session.answered("What is in the garden?")
        assert answer
        assert refused(session) == 1, "the search is free: one refused request, one that works"
        (repaired,) = session.of(ev.HistoryRepaired)
        cause = repaired.cause
        assert UNHEARD_OF in cause.words
        assert cause.request_id
        assert (cause.rung, cause.checked) == ("withhold", True)
        (told,) = await notices(session, "repaired")
        assert UNHEARD_OF in told.detail
        assert told.actions[0].argument["undo"] == repaired.repair_id
        assert await session.answered("And now?")
        assert refused(session) == 1
        sent = paid(session.simulator.log)[-1].body
        assert WITHHELD[:30] in str(sent)
        assert POISON not in str(sent)


async def test_P4_a_repair_of_the_ladder_is_undone_like_any_other(tmp_path: Path) -> None:
    async with room(tmp_path, reads(tmp_path, f"{POISON} grows here")) as session:
        session.simulator.inject(poison())
        await session.answered("What is in the garden?")
        (repaired,) = session.of(ev.HistoryRepaired)
        session.simulator.withdraw()
        await session.supervisor.undo_repair(session.session_id, repaired.repair_id)
        assert await session.answered("Read it again")
        assert POISON in str(paid(session.simulator.log)[-1].body)


async def test_P7_while_it_is_found_out_the_status_says_so_and_stop_works(tmp_path: Path) -> None:
    stuck = step({"kind": "count_tokens"}, fault={"name": "headers-never"}, times=None)
    async with room(tmp_path, stuck) as session:
        session.simulator.inject(InjectedRule(text="hello", message=UNHEARD_OF))
        await session.prompt("hello")
        status = await session.until_status(lambda status: status.phase == "repairing")
        assert status.label == "repairing"
        assert status.banner is not None
        assert UNHEARD_OF in (status.banner.raw or "")
        assert await session.supervisor.stop(session.session_id) == "idle"


@pytest.mark.parametrize("position", ["none", "block"])
@pytest.mark.parametrize("status", [404, 405, 501])
async def test_without_the_free_count_two_more_requests_are_the_limit(
    tmp_path: Path, status: int, position: Any
) -> None:
    missing = step(
        {"kind": "count_tokens"},
        fault={"name": "status", "status": status, "type": "not_found_error"},
        times=None,
    )
    async with room(tmp_path, missing, reads(tmp_path, "roses")) as session:
        session.simulator.inject(
            InjectedRule(block_type="tool_result", message=UNHEARD_OF, position=position)
        )
        assert await session.answered("What is in the garden?")
        assert refused(session) <= 2
        assert session.of(ev.HistoryRepaired)[-1].cause.rung == "plainText"


async def test_a_refusal_that_counting_does_not_share_is_tried_again_before_anything_is_changed(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, step(fault={"name": "bad-request"})) as session:
        assert await session.answered("hello")
        assert refused(session) == 1
        assert session.of(ev.HistoryRepaired) == []


async def test_P3_when_nothing_helps_the_history_is_as_it_was_and_the_next_prompt_works(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, reads(tmp_path, "roses")) as session:
        await session.answered("What is in the garden?")
        before = await session.supervisor.messages(session.session_id, limit=None, before=None)
        session.simulator.inject(InjectedRule(messages_over=0, message=UNHEARD_OF))
        await session.prompt("And now?")
        paused = await session.until(ev.TurnPaused)
        assert UNHEARD_OF in paused.message
        assert refused(session) <= 3
        session.simulator.withdraw()
        after = await session.supervisor.messages(session.session_id, limit=None, before=None)
        assert after[: len(before)] == before
        assert await session.answered("Are you still there?")


async def test_a_pause_ends_with_resume_once_the_cause_is_gone(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        session.simulator.inject(InjectedRule(messages_over=0, message=UNHEARD_OF))
        turn_id = await session.prompt("hello")
        await session.until(ev.TurnPaused)
        session.simulator.withdraw()
        await session.supervisor.resume(session.session_id)
        await session.until(ev.TurnEnded, lambda event: event.turn_id == turn_id)
        assert await session.last_answer()


async def test_P1_a_restart_in_the_middle_examines_again_and_pays_for_nothing_twice(
    tmp_path: Path,
) -> None:
    stuck = step({"kind": "count_tokens"}, fault={"name": "headers-never"})
    steps = (stuck, reads(tmp_path, f"{POISON} grows here"))
    async with room(tmp_path, *steps) as session:
        session.simulator.inject(poison())
        await session.prompt("What is in the garden?")
        await session.simulator.wait_until(
            lambda log: any(entry.fault == "headers-never" for entry in log)
        )
        await session.supervisor.close()
        async with supervised(session.simulator, tmp_path / "data", KEY) as again:
            assert await again.recover([session_uri(tmp_path)]) == [session.session_id]
            async with asyncio.timeout(15):
                async for batch in again.follow(session.session_id, 0):
                    if any(isinstance(r.event, ev.TurnEnded) for r in batch.events):
                        break
        assert refused(session) == 1, "what is free is asked again, what is paid is not"


def session_uri(tmp_path: Path) -> str:
    return (tmp_path / "workspace").as_uri()


async def test_R72_a_prefix_mismatch_is_left_to_the_api_once_and_for_all(tmp_path: Path) -> None:
    mismatch = {"name": "prefix-mismatch"}
    async with room(
        tmp_path,
        step(fault=mismatch),
        step({"kind": "count_tokens"}, fault=mismatch),
    ) as session:
        assert await session.answered("hello")
        assert await session.answered("again")
        assert [repaired.cause.rung for repaired in session.of(ev.HistoryRepaired)] == [
            "dropMismatchedThinking"
        ]
        first, *later = paid(session.simulator.log)
        assert first.betas == []
        assert [entry.betas for entry in later] == [["thinking-binding-controls-2026-08-01"]] * 2
        assert later[-1].body["thinking"]["block_binding"] == {
            "prefix_mismatch_behavior": "drop_block"
        }


@pytest.mark.survives("A29")
async def test_one_tool_that_the_api_refuses_is_left_out_and_said_so(tmp_path: Path) -> None:
    name = str(Toolbox().definitions[2]["name"])
    words = "tools.2.custom.input_schema: JSON schema is invalid."
    bad = step(
        {"kind": "any", "body_contains": f'"name":"{name}"'},
        fault={"name": "bad-request", "message": words},
        times=None,
    )
    async with room(tmp_path, bad) as session:
        assert await session.answered("hello")
        assert refused(session) == 1
        offered = [tool["name"] for tool in paid(session.simulator.log)[-1].body["tools"]]
        assert offered == [tool["name"] for tool in Toolbox().definitions if tool["name"] != name]
        (told,) = await notices(session, "repaired")
        assert name in told.text


@pytest.mark.survives("A24")
async def test_A24_an_answer_is_made_smaller_when_the_api_says_how_much_room_there_is(
    tmp_path: Path,
) -> None:
    words = "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"
    fault = {"name": "prompt-too-long", "message": words}
    async with room(tmp_path, step(fault=fault)) as session:
        assert await session.answered("hello")
        first, second = paid(session.simulator.log)
        assert (first.body["max_tokens"] > 9_984, second.body["max_tokens"]) == (True, 9_984)
        assert session.of(ev.CompactionStarted) == []


async def test_an_output_limit_that_the_api_names_holds_for_the_whole_session(
    tmp_path: Path,
) -> None:
    words = "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m"
    async with room(tmp_path, step(fault={"name": "bad-request", "message": words})) as session:
        await session.answered("hello")
        await session.answered("again")
        assert [entry.body["max_tokens"] for entry in paid(session.simulator.log)][1:] == [8192] * 2
        assert session.of(ev.HistoryRepaired) == []


@pytest.mark.survives("A34")
async def test_A34_a_turn_whose_model_is_gone_goes_on_when_another_is_chosen(
    tmp_path: Path,
) -> None:
    gone = step({"model": "claude-opus-5-5"}, fault={"name": "model-gone"}, times=None)
    async with room(tmp_path, gone) as session:
        turn_id = await session.prompt("hello")
        status = await session.until_status(lambda status: status.phase == "paused")
        assert status.banner is not None
        assert (status.reason, status.banner.actions[0].command) == (
            "modelGone",
            "holdfast.model.select",
        )
        await session.supervisor.select_model(session.session_id, "claude-haiku-4-5")
        await session.until(ev.TurnEnded, lambda event: event.turn_id == turn_id)
        assert await session.last_answer()
        assert paid(session.simulator.log)[-1].model == "claude-haiku-4-5"


@pytest.mark.survives("A35")
async def test_A35_a_filtered_answer_is_not_retried_and_its_turn_is_hidden_on_request(
    tmp_path: Path,
) -> None:
    words = "Output blocked by content filtering policy"
    async with room(
        tmp_path,
        step(
            {"last_user_contains": "sensitive"},
            fault={"name": "bad-request", "message": words},
            times=None,
        ),
    ) as session:
        await session.answered("hello")
        await session.prompt("Something sensitive", "p_sensitive")
        ended = await session.until(ev.TurnEnded, lambda e: e.reason is ev.TurnEnd.REFUSED)
        assert ended
        assert refused(session) == 1
        (told,) = await notices(session, "refused")
        assert words in told.detail
        action = told.actions[0]
        assert action.command == "holdfast.session.rewind"
        assert action.argument["promptId"] == "p_sensitive"
        await session.supervisor.rewind(session.session_id, action.argument["promptId"])
        assert await session.answered("Something else")
        assert "sensitive" not in str(paid(session.simulator.log)[-1].body)
        kept = await session.supervisor.export(session.session_id, "jsonl")
        assert "Something sensitive" in kept, "P4: it is hidden, not deleted"


async def test_two_poisons_and_a_bad_picture_in_one_history_cost_one_refused_request(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path, reads(tmp_path, f"{POISON} grows here"), step(say=f"Beware of {POISON}.")
    ) as session:
        await session.answered("What is in the garden?")
        session.simulator.inject(
            poison(), InjectedRule(name="calls", block_type="tool_use", message="no calls, please")
        )
        assert await session.answered("Go on")
        assert refused(session) == 1
        rungs = [repaired.cause.rung for repaired in session.of(ev.HistoryRepaired)]
        assert len(rungs) >= 2


async def test_a_simulator_without_injected_rules_refuses_nothing(tmp_path: Path) -> None:
    """The premise of all above: what is refused there is refused by the injected rule."""
    async with Simulator() as simulator, supervised(simulator, tmp_path / "data") as supervisor:
        assert simulator.injected == ()
        assert await supervisor.summaries() == []
    async with room(tmp_path, reads(tmp_path, f"{POISON} grows here")) as session:
        assert await session.answered("What is in the garden?")
        assert refused(session) == 0
