"""What a compaction keeps, in the real server: calls under way, tasks, facts, the archive, and a
view that is found again after a restart (P2, P4, P6).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from corpora.poisoned import OPENING, SECRET
from e2e.compacting import (
    BY_MODEL,
    NOTE,
    ON_DEMAND,
    WINDOW_TOKENS,
    Compacting,
    calls,
    compacting,
    fails_at_once,
    padded,
    says,
    texts,
)
from e2e.nursery import Nursery
from tools.toolkit import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_MODEL = ("digest", "floor")
WAITS = "echo $1 >> runs; while [ ! -e go ]; do sleep 0.02; done; echo the last line"
"""A command that waits for a sign, so that the test decides what it outlives."""


@pytest_asyncio.fixture(loop_scope="module")
async def scene(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Compacting]:
    async with compacting(nursery, tmp_path) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def local(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Compacting]:
    """Every compaction is made without the model."""
    async with compacting(nursery, tmp_path, compaction={"method": "local"}) as found:
        yield found


# --- calls and commands under way ---------------------------------------------------------------


@pytest.mark.parametrize("way", ["onDemand", "digest"])
@pytest.mark.survives("B09", "B15", "B17")
async def test_a_command_that_runs_during_a_compaction_goes_on_in_its_turn_and_runs_once(
    scene: Compacting, way: str
) -> None:
    """Two of three parallel calls are finished when a person compacts by hand."""
    (scene.workspace / "garden.txt").write_text("Oleander and roses.")
    answers = [says(NOTE, ON_DEMAND)] if way == "onDemand" else fails_at_once()
    three = {
        "match": {"last_user_contains": "Do three things", "has_tools": True},
        "times": 1,
        "respond": {
            "content": [
                {"type": "tool_use", "name": "read", "input": {"path": "garden.txt"}},
                {"type": "tool_use", "name": "run", "input": {"command": WAITS}},
                {"type": "tool_use", "name": "list", "input": {"path": "."}},
            ]
        },
    }
    await scene.filled(three, *answers)
    turn_id = await scene.send("Do three things.")
    await eventually((scene.workspace / "runs").exists)
    compaction_id = await scene.compact()
    await scene.until("compactionPrepared")
    (scene.workspace / "go").touch()
    assert await scene.server.settled(scene.session_id, turn_id) == "ended"
    await scene.ended(compaction_id)
    assert (scene.workspace / "runs").read_text().count("\n") == 1
    [ended] = [e for e in scene.events("turnEnded") if e["turnId"] == turn_id]
    assert ended["reason"] == "completed"
    assert "the last line" in texts(scene.sent_last()["messages"])
    await scene.goes_on()


# --- tasks and facts ----------------------------------------------------------------------------


@pytest.mark.survives("B13")
async def test_20_tasks_with_3_in_progress_are_in_every_view_word_for_word(
    local: Compacting,
) -> None:
    status = ["completed"] * 7 + ["in_progress"] * 3 + ["pending"] * 10
    tasks = [{"text": f"task {n}: water bed {n}", "status": s} for n, s in enumerate(status)]
    await local.begun(calls("Plan it", "todo", {"items": tasks}))
    await local.say("Plan it.")
    for _ in range(2):
        await local.grow(5, 1_500)
        assert await local.ended(await local.compact()) in NO_MODEL
        await local.say("Go on.")
        view = texts(local.sent_last()["messages"])
        assert [task["text"] for task in tasks if task["text"] not in view] == []
        assert view.count("in_progress") >= 3
    await local.goes_on()


@pytest.mark.survives("B14")
@pytest.mark.parametrize("way", ["onDemand", "summary", "digest"])
async def test_marks_of_the_first_a_middle_and_the_last_turn_are_known_after_a_compaction(
    scene: Compacting, way: str
) -> None:
    """A summary of a model may forget; the last exchange stays and the rest is recalled."""
    forgetful = NOTE.replace(SECRET, "a bird")
    steps = {
        "onDemand": [says(forgetful, ON_DEMAND)],
        "summary": [*fails_at_once(ON_DEMAND), says(forgetful, BY_MODEL)],
        "digest": fails_at_once(),
    }[way]
    await scene.begun(*steps)
    await scene.grow(2, 1_500)
    await scene.say("In the middle: the gate code is quince-4711.")
    await scene.grow(3, 1_500)
    await scene.say("At last: the bench is painted verdigris.")
    assert await scene.ended(await scene.compact()) == way
    await scene.say("Go on.")
    sent = scene.sent_last()["messages"]
    assert "verdigris" in texts(sent[1:]), "the last exchange is sent as it was"
    await scene.remembers("quince-4711", "verdigris")
    await scene.goes_on()


@pytest.mark.survives("B21")
async def test_a_request_that_was_carried_out_is_told_as_done_after_three_compactions(
    local: Compacting,
) -> None:
    (local.workspace / "old.txt").write_text("old\n")
    delete = calls("Delete old.txt", "run", {"command": "rm old.txt; echo gone >> deleted"})
    await local.begun(delete)
    await local.say("Delete old.txt now.")
    for _ in range(3):
        await local.grow(5, 1_500)
        assert await local.ended(await local.compact()) in NO_MODEL
    (local.workspace / "old.txt").write_text("made anew by the person\n")
    await local.say("continue")
    sent = local.sent_last()["messages"]
    bare = [
        block["text"]
        for message in sent[1:]
        for block in message["content"]
        if message["role"] == "user" and "Delete old.txt now" in block.get("text", "")
    ]
    assert bare == [], "an old request stands as a bare instruction"
    told = texts(sent[:1])
    assert "Delete old.txt now" not in told or "[done" in told.lower() or "done" in told.lower()
    assert sent[-1]["content"][-1]["text"] == "continue"
    assert (local.workspace / "old.txt").exists()
    assert (local.workspace / "deleted").read_text() == "gone\n"
    await local.goes_on()


@pytest.mark.survives("B20")
async def test_a_fork_of_a_session_with_failed_and_stopped_calls_is_compacted_and_its_source_is_not(
    local: Compacting,
) -> None:
    await local.begun(
        calls("Read what is not there", "read", {"path": "nothing.txt"}),
        calls("Wait for me", "run", {"command": "echo begun >> begun; sleep 30"}),
    )
    await local.say("Read what is not there.")
    turn_id = await local.send("Wait for me.")
    await local.until("toolStarted", lambda e: e["name"] == "run")
    await local.command("turn.stop")
    await local.server.settled(local.session_id, turn_id)
    await local.grow(8, 1_500)
    source, before = local.session_id, await local.journal()
    local.session_id = (await local.command("session.fork"))["sessionId"]
    await local.server.open(local.session_id)
    assert await local.ended(await local.compact()) in NO_MODEL
    await local.goes_on()
    local.session_id = source
    assert await local.journal() == before, "the source is as it was"
    await local.remembers()


# --- the archive --------------------------------------------------------------------------------


@pytest.mark.survives("B18")
async def test_P4_after_two_compactions_with_a_rewind_between_nothing_of_the_archive_is_gone(
    local: Compacting,
) -> None:
    await local.filled()
    assert await local.ended(await local.compact()) in NO_MODEL
    await local.say("A turn that is taken back.")
    [taken_back] = [
        e["promptId"] for e in local.events("promptAccepted") if "taken back" in str(e["content"])
    ]
    await local.grow(3, 1_500)
    await local.command("session.rewind", promptId=taken_back)
    await local.grow(4, 1_500, "After the rewind")
    assert await local.ended(await local.compact()) in NO_MODEL
    await local.say("Go on.")
    assert "taken back" not in texts(local.sent_last()["messages"])
    journal = str(await local.journal())
    for words in (OPENING, "Take a note of this (1)", "taken back", "After the rewind"):
        assert words in journal, f"P1: {words} is gone"
    first = local.events("promptAccepted")[1]["promptId"]
    await local.command("session.rewind", promptId=first)
    await local.say("Say it again.")
    assert texts(local.sent_last()["messages"][:1]) == OPENING, "before the first compaction"
    await local.goes_on()


@pytest.mark.survives("B18")
async def test_P4_undoing_a_compaction_leaves_the_earlier_view_byte_for_byte_and_it_can_be_redone(
    local: Compacting,
) -> None:
    await local.filled()
    before = _unmarked(local.sent_last()["messages"])
    assert await local.ended(await local.compact()) in NO_MODEL
    await local.say("Compacted.")
    compacted = _unmarked(local.sent_last()["messages"])
    assert compacted[0] != before[0]
    await local.command("session.undoCompaction")
    await local.say("Undone.")
    undone = _unmarked(local.sent_last()["messages"])
    assert undone[: len(before)] == before
    await local.command("session.redoCompaction")
    await local.say("Redone.")
    assert _unmarked(local.sent_last()["messages"])[: len(compacted)] == compacted
    await local.goes_on()


def _unmarked(value: Any) -> Any:
    """Return messages without the marks of the cache, which move from request to request."""
    match value:
        case dict():
            return {k: _unmarked(v) for k, v in value.items() if k != "cache_control"}
        case list():
            return [_unmarked(item) for item in value]
    return value


@pytest.mark.survives("B22")
@pytest.mark.parametrize("way", ["onDemand", "digest"])
async def test_a_compaction_that_was_the_last_act_is_in_force_after_a_restart(
    scene: Compacting, way: str
) -> None:
    await scene.filled(*([says(NOTE, ON_DEMAND)] if way == "onDemand" else fails_at_once()))
    before = scene.sent_last()
    assert await scene.ended(await scene.compact()) == way
    await scene.killed()
    scene.simulator.clear_log()
    await scene.say("Where were we?")
    after = scene.sent_last()
    assert after["messages"][0] != before["messages"][0], "the full history came back"
    assert len(str(after["messages"])) < len(str(before["messages"]))
    assert scene.asked() == []
    assert scene.events("compactionUndone") == []
    await scene.goes_on()


# --- counts and sizes ---------------------------------------------------------------------------


@pytest.mark.survives("B05")
async def test_a_switch_to_a_smaller_window_was_compacted_first_and_the_prompt_answered(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with compacting(nursery, tmp_path, window_tokens=None) as scene:
        await scene.begun(*fails_at_once())
        await scene.grow(5, 50_000)
        assert scene.events("compactionStarted") == [], "a quarter of a million fits a million"
        await scene.command("model.select", model="claude-haiku-4-5")
        await scene.say("Are you the smaller one?")
        assert scene.sent_last()["model"] == "claude-haiku-4-5"
        assert scene.events("compactionCommitted")
        await scene.command("model.select", model="claude-opus-5-5")
        await scene.goes_on()


@pytest.mark.survives("B05")
@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 4_623_740},
        dict.fromkeys(
            (
                "input_tokens",
                "output_tokens",
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
            ),
            0,
        ),
    ],
    ids=["a count beyond every window", "no count at all"],
)
async def test_a_count_that_cannot_be_starts_no_compaction(
    scene: Compacting, usage: dict[str, Any]
) -> None:
    itself = {"has_tools": True, "has_compaction": False}
    await scene.begun(says("Noted.", itself, usage=usage), *fails_at_once())
    await scene.grow(4, 1_500)
    assert scene.events("compactionStarted") == []
    await scene.grow(8, 1_500)
    assert len(scene.events("compactionStarted")) in (1, 2)
    await scene.goes_on()


@pytest.mark.survives("B04")
async def test_one_result_of_most_of_the_window_is_shortened_and_the_prompt_was_answered(
    local: Compacting,
) -> None:
    lines = [f"line {n}: seaweed and more seaweed" for n in range(1_800)]
    (local.workspace / "long.txt").write_text("\n".join(lines))
    many = [{"path": "long.txt", "offset": offset} for offset in (1, 600, 1_200)]
    await local.begun(calls("Read it all", "read", *many))
    await local.say("Read it all.")
    await local.grow(4, 600)
    assert len(local.events("compactionStarted")) <= 3, "it does not thrash"
    assert max(entry.input_tokens or 0 for entry in local.paid()) <= WINDOW_TOKENS
    await local.goes_on()


@pytest.mark.survives("B04")
async def test_when_what_is_always_sent_fills_the_window_the_person_is_told_what_fills_it(
    nursery: Nursery, tmp_path: Path
) -> None:
    window = 4_200
    async with compacting(nursery, tmp_path, contextWindowTokens=window) as scene:
        scene.session_id = await scene.created()
        how = await scene.sent(scene.session_id, padded("Is there room?", 3_500))
        assert how == "paused"
        state = await scene.command("session.state")
        said = f"{state['message']} {state['advice']}".lower()
        assert "tool" in said
        assert "token" in said
        assert len(scene.events("compactionStarted")) <= 2
        assert scene.refused() == 0
