"""Turns on a real store, through the real SDK, against the strict API (P1, P2, P3, P6, P7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.stage import room, settings_for, step, supervised
from holdfast.agent.errors import BadPrompt, UnknownModel, UnknownQuestion
from holdfast.conversation.history import text
from holdfast.journal.store import SessionOwnedElsewhere, SessionUnknown
from holdfast.session import events as ev
from holdfast.simulator import LogEntry, Script, Simulator


def sent(log: Sequence[LogEntry]) -> list[LogEntry]:
    return [entry for entry in log if entry.path == "/v1/messages"]


async def test_a_prompt_is_answered_and_nothing_was_refused(tmp_path: Path) -> None:
    async with room(tmp_path, step(say="Hello to you.")) as session:
        assert await session.answered("Hello") == "Hello to you."
        assert session.simulator.refusals == []


async def test_a_tool_that_only_reads_runs_without_a_question(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "what"}, calls=[("read", {"path": "a.txt"})]),
        step({"last_result_contains": "kelp"}, say="It is about kelp."),
    ) as session:
        (tmp_path / "workspace" / "a.txt").write_text("kelp\n")
        assert await session.answered("what is in a.txt?") == "It is about kelp."
        assert session.of(ev.QuestionAsked) == []


async def test_P11_a_tool_that_changes_something_asks_and_a_refusal_is_told_to_the_model(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "write"}, calls=[("write", {"path": "b", "content": "x"})]),
        step({"last_result_contains": "did not allow"}, say="Then I leave it."),
    ) as session:
        turn_id = await session.prompt("write b")
        question = await session.until(ev.QuestionAsked)
        await session.supervisor.answer(question.question_id, "deny")
        await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert await session.last_answer() == "Then I leave it."
        assert not (tmp_path / "workspace" / "b").exists()


async def test_C10_the_record_of_a_change_says_what_the_file_was_before(tmp_path: Path) -> None:
    write = ("write", {"path": "b.txt", "content": "new"})
    async with room(
        tmp_path,
        step({"last_user_contains": "twice"}, calls=[write, write]),
        step({"has_tool_results": True}, say="Done."),
        permissions=[{"tool": "write", "pattern": "*", "answer": "allow"}],
    ) as session:
        await session.answered("write twice")
        first, second = (event.before for event in session.of(ev.ToolStarted))
        assert (first.size, first.sha256) == (None, None)
        assert (second.size, len(second.sha256)) == (3, 64)


async def test_allow_always_is_remembered_for_the_same_target(tmp_path: Path) -> None:
    write = ("write", {"path": "b", "content": "x"})
    async with room(
        tmp_path,
        step({"last_user_contains": "first"}, calls=[write]),
        step({"has_tool_results": True}, say="Done."),
        step({"last_user_contains": "second"}, calls=[write]),
        step({"has_tool_results": True}, say="Done again."),
    ) as session:
        turn_id = await session.prompt("first")
        question = await session.until(ev.QuestionAsked)
        await session.supervisor.answer(question.question_id, "allowAlways")
        await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert await session.answered("second") == "Done again."
        assert len(session.of(ev.QuestionAsked)) == 1


async def test_an_answered_question_cannot_be_answered_otherwise(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "go"}, calls=[("run", {"command": "true"})]),
    ) as session:
        await session.prompt("go")
        question = await session.until(ev.QuestionAsked)
        await session.supervisor.answer(question.question_id, "deny")
        await session.supervisor.answer(question.question_id, "deny")
        with pytest.raises(UnknownQuestion):
            await session.supervisor.answer(question.question_id, "allow")
        with pytest.raises(UnknownQuestion):
            await session.supervisor.answer("nonsense", "allow")


@pytest.mark.survives("C05", "V5")
async def test_504_ten_times_names_attempt_and_time_and_gets_its_answer_by_itself(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path,
        step(fault={"name": "gateway-timeout"}, times=10),
        step(say="At last."),
    ) as session:
        assert await session.answered("Are you there?") == "At last."
        failures = session.of(ev.RequestFailed)
        assert [f.attempt for f in failures] == list(range(1, 11))
        assert {f.failure.status for f in failures} == {504}
        assert all(f.failure.request_id for f in failures)
        assert len(session.of(ev.RetryScheduled)) == 10


@pytest.mark.survives("V4")
async def test_C01_a_silent_stream_is_cut_its_text_kept_and_the_answer_goes_on(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path,
        step(
            {"last_user_contains": "tell"},
            say="Once upon a time there was a kelp forest.",
            fault={"name": "silence", "after_events": 6},
        ),
        step({"last_user_contains": "Continue exactly"}, say="And they lived."),
    ) as session:
        assert await session.answered("tell me") == "And they lived."
        cut = session.of(ev.ResponseCut)
        assert len(cut) == 1
        await session.until_status(lambda s: bool(s.silent_ms) and s.retry_at_ms is not None)
        assert session.simulator.refusals == []


@pytest.mark.parametrize("limit", ["max_tokens", "model_context_window_exceeded"])
async def test_C11_an_answer_that_reached_a_limit_goes_on_a_bounded_number_of_times(
    limit: str, tmp_path: Path
) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "tell"}, say="First half", stop_reason=limit),
        step({"last_user_contains": "Continue exactly"}, say="second half."),
        step({"last_user_contains": "again"}, say="On and", stop_reason=limit),
        step(
            {"last_user_contains": "Continue exactly"}, say="on and", stop_reason=limit, times=None
        ),
    ) as session:
        assert await session.answered("tell me") == "second half."
        assert session.of(ev.ResponseCut)[0].detail == limit
        await session.answered("again")
        assert len(session.of(ev.ResponseCut)) == 1 + 3, "the breaker"
        assert session.simulator.refusals == []


@pytest.mark.survives("C12")
async def test_P7_stop_is_obeyed_while_the_api_hangs(tmp_path: Path) -> None:
    async with room(tmp_path, step(fault={"name": "headers-never"})) as session:
        turn_id = await session.prompt("hang")
        await session.simulator.wait_until(lambda log: len(sent(log)) == 1)
        assert await session.supervisor.stop(session.session_id) == "idle"
        ended = await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert ended.reason is ev.TurnEnd.STOPPED
        assert await session.answered("and now?") != ""


@pytest.mark.survives("C12")
async def test_P7_stop_kills_a_running_command_and_the_model_is_told(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "go"}, calls=[("run", {"command": "sleep 60"})]),
        step({"last_user_contains": "next"}, say="Fine."),
        permissions=[{"tool": "run", "pattern": "*", "answer": "allow"}],
    ) as session:
        await session.prompt("go")
        await session.until(ev.ToolStarted)
        assert await session.supervisor.stop(session.session_id) == "idle"
        finished = await session.until(ev.ToolFinished)
        assert finished.outcome is ev.ToolOutcome.INTERRUPTED
        assert await session.answered("next") == "Fine."
        assert session.simulator.refusals == []


async def test_a_prompt_sent_while_busy_is_queued_and_answered_in_its_turn(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step({"last_user_contains": "first"}, say="One.", delay_ms=100),
        step({"last_user_contains": "second"}, say="Two."),
    ) as session:
        await session.prompt("first")
        accepted = await session.supervisor.send(session.session_id, [text("second")], "p2")
        assert accepted.queued
        again = await session.supervisor.send(session.session_id, [text("second")], "p2")
        assert again.turn_id == accepted.turn_id
        await session.until(ev.TurnEnded, lambda e: e.turn_id == accepted.turn_id)
        assert await session.last_answer() == "Two."
        assert len(session.of(ev.PromptAccepted)) == 2


async def test_C07_a_missing_key_pauses_and_a_new_key_continues_the_same_turn(
    tmp_path: Path,
) -> None:
    environment: dict[str, str] = {}
    async with room(tmp_path, step(say="Now I can."), environment=environment) as session:
        turn_id = await session.prompt("hello")
        paused = await session.until(ev.TurnPaused)
        assert paused.reason == "authentication"
        assert "ANTHROPIC_API_KEY" in paused.advice
        environment["ANTHROPIC_API_KEY"] = "k"
        await session.supervisor.resume(session.session_id)
        ended = await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert ended.reason is ev.TurnEnd.COMPLETED


async def test_P3_the_next_prompt_takes_over_from_a_turn_that_cannot_go_on(tmp_path: Path) -> None:
    async with room(
        tmp_path,
        step(fault={"name": "low-credit"}),
        step({"last_user_contains": "second"}, say="This works."),
    ) as session:
        await session.prompt("first")
        paused = await session.until(ev.TurnPaused)
        assert paused.message
        assert await session.answered("second") == "This works."


@pytest.mark.survives("D19")
async def test_P1_P9_a_session_goes_on_in_the_next_server_where_the_last_one_left_it(
    tmp_path: Path,
) -> None:
    async with Simulator() as simulator:
        async with supervised(simulator, tmp_path / "data") as supervisor:
            session_id = await supervisor.create(workspace_uri=None, title="Kept", model=None)
            simulator.script(Script.parse([step(fault={"name": "headers-never"})]))
            await supervisor.send(session_id, [text("secret word is dulse")], "p1")
            await simulator.wait_until(lambda log: len(sent(log)) == 1)
        async with supervised(simulator, tmp_path / "data") as supervisor:
            assert await supervisor.recover([]) == [session_id]
            async with asyncio.timeout(10):
                async for batch in supervisor.follow(session_id, 0):
                    if any(isinstance(r.event, ev.TurnEnded) for r in batch.events):
                        break
            view = await supervisor.view(session_id)
            assert (view.title, view.phase) == ("Kept", "idle")
        assert simulator.refusals == []


async def test_D10_a_second_server_can_read_a_session_but_not_change_it(tmp_path: Path) -> None:
    async with (
        Simulator() as simulator,
        supervised(simulator, tmp_path / "data") as first,
        supervised(simulator, tmp_path / "data") as second,
    ):
        session_id = await first.create(workspace_uri=None, title="Mine", model=None)
        view = await second.view(session_id)
        assert view.title == "Mine"
        assert view.status.read_only is not None
        with pytest.raises(SessionOwnedElsewhere) as refused:
            await second.send(session_id, [text("hello")], None)
        assert refused.value.action


@pytest.mark.survives("A34")
async def test_an_unknown_model_is_refused_when_chosen_and_pauses_the_turn_when_set(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, model="claude-nothing-9") as session:
        with pytest.raises(UnknownModel):
            await session.supervisor.select_model(session.session_id, "claude-nothing-9")
        turn_id = await session.prompt("hello")
        paused = await session.until(ev.TurnPaused)
        assert (paused.reason, bool(paused.advice)) == ("modelGone", True)
        await session.supervisor.select_model(session.session_id, "claude-opus-5-5")
        await session.supervisor.resume(session.session_id)
        ended = await session.until(ev.TurnEnded, lambda e: e.turn_id == turn_id)
        assert ended.reason is ev.TurnEnd.COMPLETED


async def test_bad_prompts_and_unknown_sessions_are_named(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        with pytest.raises(BadPrompt):
            await session.prompt("  \n ")
        with pytest.raises(SessionUnknown):
            await session.supervisor.send("s_nothing", [text("x")], None)


async def test_a_session_can_be_forked_rewound_renamed_archived_exported_and_deleted(
    tmp_path: Path,
) -> None:
    async with room(tmp_path, step(say="One."), step(say="Two.")) as session:
        supervisor, session_id = session.supervisor, session.session_id
        await session.answered("first", "p1")
        await session.answered("second", "p2")
        fork = await supervisor.fork(session_id, title=None, before_prompt_id="p2")
        texts = [m.text for m in await supervisor.messages(fork, limit=None, before=None)]
        assert texts == ["first", "One."]
        await supervisor.rewind(session_id, "p2")
        assert await session.last_answer() == "One."
        await supervisor.rename(session_id, "A new name")
        await supervisor.archive(session_id, archived=True)
        summary = await supervisor.view(session_id)
        assert (summary.title, summary.archived) == ("A new name", True)
        assert "Two." in await supervisor.export(session_id, "jsonl")  # Hidden, not deleted (P4).
        assert "One." in await supervisor.export(session_id, "markdown")
        assert '"parentUuid"' in await supervisor.export(session_id, "claude-code")
        await supervisor.delete(fork)
        assert [s.session_id for s in await supervisor.summaries()] == [session_id]


async def test_settings_lead_to_the_endpoint(tmp_path: Path) -> None:
    async with Simulator() as simulator:
        assert settings_for(simulator, tmp_path).base_url == simulator.base_url
