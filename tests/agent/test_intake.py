"""Files that a prompt mentions, and what a session has used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.stage import Room, room, step
from holdfast.conversation.history import text
from holdfast.session.events import (
    CompactionCommitted,
    PromptAccepted,
    RequestStarted,
    ResponseFinished,
    TurnEnded,
)
from holdfast.tools.port import Mention

SUMMARISER = {"system_contains": "hand-over note"}
PRICE = {"model": "claude-*", "input": 5, "output": 25, "cacheRead": 0.5, "cacheWrite": 6.25}


async def ask(session: Room, prompt_id: str, *mentions: Mention) -> None:
    words = [text("What is this?")]
    accepted = await session.supervisor.send(session.session_id, words, prompt_id, mentions)
    await session.until(TurnEnded, lambda event: event.turn_id == accepted.turn_id)


async def test_mentioned_files_go_to_the_model_as_they_were_when_the_prompt_came(
    tmp_path: Path,
) -> None:
    async with room(tmp_path) as session:
        (tmp_path / "workspace" / "a.py").write_text("print('hello')\n")
        await ask(session, "p_1", Mention("a.py"), Mention("gone.py"))
        [accepted] = session.of(PromptAccepted)
        assert accepted.mentions == ("a.py", "gone.py")
        [message] = session.simulator.log[-1].body["messages"]
        said, file, gone = [block["text"] for block in message["content"]]
        assert said == "What is this?"
        assert file == "<file path=\"a.py\">\nprint('hello')\n</file>"
        assert "does not exist" in gone


async def test_P1_the_same_prompt_twice_is_one_prompt_and_its_files_are_read_once(
    tmp_path: Path,
) -> None:
    async with room(tmp_path) as session:
        path = tmp_path / "workspace" / "a.py"
        path.write_text("before")
        await ask(session, "p_1", Mention("a.py"))
        path.write_text("after")
        again = await session.supervisor.send(
            session.session_id, [text("What is this?")], "p_1", [Mention("a.py")]
        )
        [accepted] = session.of(PromptAccepted)
        assert again.turn_id == accepted.turn_id
        assert "after" not in str(accepted.content)


async def test_a_queued_prompt_is_listed_by_its_words_without_the_files(tmp_path: Path) -> None:
    slow = step({"last_user_contains": "first"}, say="word " * 400, per_delta_ms=20)
    async with room(tmp_path, slow) as session:
        (tmp_path / "workspace" / "a.py").write_text("a long file")
        await session.prompt("first")
        await session.until(RequestStarted)
        await session.supervisor.send(
            session.session_id, [text("second")], "p_2", [Mention("a.py")]
        )
        [waiting] = (await session.supervisor.view(session.session_id)).queue
        assert waiting["text"] == "second"


# -- usage ---------------------------------------------------------------------------------------


async def used(session: Room) -> Any:
    return (await session.supervisor.view(session.session_id)).usage


async def test_usage_is_the_sum_of_what_the_api_counted(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        for words in ("one", "two", "three"):
            await session.answered(words)
        usage = await used(session)
        counted = [event.usage for event in session.of(ResponseFinished)]
        assert usage.output_tokens == sum(u.output_tokens for u in counted) > 0
        assert usage.input_tokens == sum(u.input_tokens for u in counted)
        assert usage.cache_read_tokens == sum(u.cache_read_input_tokens for u in counted)
        assert usage.cache_write_tokens == sum(u.cache_creation_input_tokens for u in counted)
        assert 0 < usage.context_tokens <= usage.window_tokens
        assert usage.cost is None


async def test_a_cost_is_said_only_by_the_prices_of_the_settings(tmp_path: Path) -> None:
    async with room(tmp_path, prices=[PRICE]) as session:
        await session.answered("hello")
        usage = await used(session)
        assert usage.cost.currency == "USD"
        assert usage.cost.amount == round(
            (
                usage.input_tokens * 5
                + usage.output_tokens * 25
                + usage.cache_read_tokens * 0.5
                + usage.cache_write_tokens * 6.25
            )
            / 1_000_000,
            6,
        )


async def test_a_model_without_a_price_leaves_the_cost_unsaid(tmp_path: Path) -> None:
    async with room(tmp_path, prices=[{**PRICE, "model": "another-*"}]) as session:
        await session.answered("hello")
        assert (await used(session)).cost is None


async def test_a_summary_of_a_compaction_counts_as_well(tmp_path: Path) -> None:
    async with room(tmp_path, step(SUMMARISER, say="So far all is well. " * 9)) as s:
        for n in range(6):
            await s.answered(f"prompt {n} " + "word " * 400)
        before = await used(s)
        answered = sum(event.usage.output_tokens for event in s.of(ResponseFinished))
        assert before.output_tokens == answered
        await s.supervisor.compact(s.session_id, "")
        await s.until(CompactionCommitted)
        after = await used(s)
        assert after.output_tokens > before.output_tokens
        assert sum(event.usage.output_tokens for event in s.of(ResponseFinished)) == answered
