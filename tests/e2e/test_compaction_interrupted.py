"""Compactions that are cancelled or whose server is killed, at every point (P1, P5, P7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from differential.pictures import Json
from e2e.compacting import (
    BY_MODEL,
    LARGE_TOKENS,
    MEANWHILE,
    NOTE,
    ON_DEMAND,
    Compacting,
    compacting,
    fails,
    fails_at_once,
    says,
    says_slowly,
    step,
)
from e2e.nursery import Nursery
from holdfast.simulator import LogEntry

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK = {"system_contains": "note on one part"}
MERGE = {"system_contains": "join the notes"}
SUMMARY = {"system_contains": "hand-over note"}
HELD = {"fault": {"name": "headers-never"}}
CHUNKS_MAX = 12
LONG_NOTE = f"{NOTE} " * 12
PATIENT = {"deadlineSeconds": 30}

# --- cancelling ---------------------------------------------------------------------------------

POINTS = {
    "at once": [step(ON_DEMAND, **HELD)],
    "while a summary is waited for": [*fails_at_once(ON_DEMAND), step(BY_MODEL, **HELD)],
    "while a summary arrives": [
        *fails_at_once(ON_DEMAND),
        says_slowly(LONG_NOTE, BY_MODEL),
    ],
    "between two tries": fails("overloaded"),
}


@pytest_asyncio.fixture(loop_scope="module")
async def scene(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Compacting]:
    async with compacting(nursery, tmp_path, compaction=PATIENT) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def large(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Compacting]:
    """A window in which there is a history of several chunks."""
    options = {"window_tokens": LARGE_TOKENS, "compaction": PATIENT}
    async with compacting(nursery, tmp_path, **options) as found:
        yield found


async def cancelled(scene: Compacting, compaction_id: str) -> None:
    """Cancel; the view is as it was, and nothing begins by itself until a person asks for it."""
    before = scene.sent_last()["messages"]
    await scene.command("session.cancelCompaction")
    assert await scene.ended(compaction_id) == "cancelled"
    scene.plays()
    await scene.say("Are you there?")
    assert len(scene.sent_last()["messages"]) == len(before) + 2
    await scene.grow(6, 1_500)
    begun = [e["trigger"] for e in scene.events("compactionStarted") if not e.get("blocking")]
    assert begun == ["manual"], "B16: it insists"
    await scene.goes_on()


@pytest.mark.survives("B16")
@pytest.mark.parametrize("point", POINTS)
async def test_P7_a_compaction_is_cancelled_at_any_point_and_the_next_prompt_was_answered(
    scene: Compacting, point: str
) -> None:
    await scene.filled(*POINTS[point])
    compaction_id = await scene.compact()
    match point:
        case "while a summary is waited for":
            await scene.until_asked(is_held)
        case "while a summary arrives":
            await progressed(scene, 20)
        case "between two tries":
            await scene.until("compactionRungFailed")
        case _:
            pass
    await cancelled(scene, compaction_id)


async def progressed(scene: Compacting, percentage: int) -> None:
    """Wait until a report of progress says that so much is done."""

    def shown() -> bool:
        return any(
            method == "$/progress" and (params["value"].get("percentage") or 0) >= percentage
            for method, params in scene.server.asked
        )

    await scene.server.until(shown, f"{percentage} %")


@pytest.mark.survives("B16")
async def test_P7_a_compaction_that_is_ready_and_waits_for_an_answer_to_end_can_be_cancelled(
    scene: Compacting,
) -> None:
    answer = {"content": [{"type": "text", "text": "Slowly. " * 60}], "per_delta_ms": 30}
    await scene.filled(
        says(NOTE, ON_DEMAND), step({"last_user_contains": "Take your time"}, respond=answer)
    )
    turn_id = await scene.send("Take your time.")
    await scene.until("blockDelta", lambda e: "Slowly" in e["text"])
    compaction_id = await scene.compact()
    await scene.until("compactionPrepared")
    await scene.command("session.cancelCompaction")
    assert await scene.ended(compaction_id) == "cancelled"
    assert await scene.server.settled(scene.session_id, turn_id) == "ended"
    assert scene.events("compactionCommitted") == []
    await scene.goes_on()


@pytest.mark.survives("B16")
async def test_P7_a_cancel_at_the_moment_of_the_commit_leaves_one_outcome(
    scene: Compacting,
) -> None:
    await scene.filled(says(NOTE, ON_DEMAND))
    for _ in range(3):
        compaction_id = await scene.compact()
        await scene.until("compactionPrepared", lambda e, c=compaction_id: e["compactionId"] == c)
        await scene.command("session.cancelCompaction")
        assert await scene.ended(compaction_id)
        await scene.grow(4, 1_500)
    await scene.goes_on()


@pytest.mark.survives("B16")
async def test_P7_progress_begins_and_ends_once_never_goes_back_and_is_cancelled_by_its_button(
    scene: Compacting,
) -> None:
    await scene.filled(*fails_at_once(ON_DEMAND), says_slowly(LONG_NOTE, BY_MODEL))
    compaction_id = await scene.compact(workDoneToken="mine")
    await progressed(scene, 20)
    assert scene.server.client is not None
    scene.server.client.notify("window/workDoneProgress/cancel", {"token": "mine"})
    assert await scene.ended(compaction_id) == "cancelled"
    await scene.say(MEANWHILE)
    values = [
        params["value"]
        for method, params in scene.server.asked
        if method == "$/progress" and params["token"] == "mine"
    ]
    assert [value["kind"] for value in values if value["kind"] != "report"] == ["begin", "end"]
    shown = [value["percentage"] for value in values if "percentage" in value]
    assert shown == sorted(shown)


# --- dying --------------------------------------------------------------------------------------


def in_chunks(*held: int) -> list[Json]:
    """Only chunks work, each with a note of its own; those of these numbers are held for ever."""
    steps = [
        step(CHUNK, 1, **HELD) if n in held else {**says(f"{NOTE} Note {n}.", CHUNK), "times": 1}
        for n in range(CHUNKS_MAX)
    ]
    labelled = [{**one, "label": f"Note {n}."} for n, one in enumerate(steps)]
    return [*fails("prompt-too-long", ON_DEMAND, SUMMARY), *labelled, says(NOTE, BY_MODEL)]


DEATHS = {
    "the API's own compaction": [step(ON_DEMAND, **HELD)],
    "a summary": [*fails_at_once(ON_DEMAND), step(SUMMARY, **HELD)],
    "the first chunk": in_chunks(0),
    "the second chunk": in_chunks(1),
    "the third chunk": in_chunks(2),
    "the joining of chunks": [*in_chunks()[:2], says(NOTE * 28, CHUNK), step(MERGE, **HELD)],
}


@pytest.mark.survives("B10", "D27")
@pytest.mark.parametrize("rung", DEATHS)
async def test_P1_P5_a_server_killed_at_any_rung_is_followed_by_one_that_ends_the_compaction(
    large: Compacting, rung: str
) -> None:
    scene = large
    await scene.filled(*DEATHS[rung], prompts=14, tokens=2_200)
    compaction_id = await scene.compact()
    await scene.until_asked(is_held)
    await scene.killed()
    done = finished(scene)
    scene.plays(*fails("prompt-too-long", ON_DEMAND, SUMMARY), says(NOTE, BY_MODEL))
    await scene.ended(compaction_id)
    later = answered(scene)
    assert all(later.count(body) == 1 for body in done), "a finished chunk was asked for again"
    await scene.goes_on()


def is_held(entry: LogEntry) -> bool:
    return entry.fault == "headers-never"


def finished(scene: Compacting) -> set[str]:
    """Return the texts of the chunks whose notes are in the journal."""
    notes = "\n".join(e["summary"] for e in scene.events("compactionChunkSummarised"))
    return {
        str(entry.body["messages"])
        for entry in scene.asked()
        if entry.step and f" {entry.step}" in f" {notes}"
    }


def answered(scene: Compacting) -> list[str]:
    """Return the texts of the chunks that were summarised to the end, once for each time."""
    return [
        str(entry.body["messages"])
        for entry in scene.asked()
        if entry.outcome == "answered" and entry.status == 200
    ]


@pytest.mark.survives("B01", "B02", "D27")
async def test_P5_a_restart_in_the_middle_of_a_chunked_compaction_repeats_no_finished_chunk(
    large: Compacting,
) -> None:
    """Counted by the API: each chunk's text is answered once, whatever dies in between."""
    scene = large
    await scene.filled(*in_chunks(2, 3, 4), prompts=14, tokens=2_200)
    compaction_id = await scene.compact()
    await scene.until_asked(is_held)
    await scene.until("compactionChunkSummarised")
    await scene.killed()
    done = finished(scene)
    assert done
    scene.plays(*fails("prompt-too-long", ON_DEMAND, SUMMARY), says(NOTE, BY_MODEL))
    assert await scene.ended(compaction_id) == "chunks"
    after = Counter(answered(scene))
    assert {after[text] for text in done} == {1}, "a finished chunk was asked for again"
    assert done < set(after)
    numbers = [e["number"] for e in scene.events("compactionChunkSummarised")]
    assert len(numbers) == len(set(numbers))
    await scene.goes_on()


@pytest.mark.survives("B10", "B22", "D27")
@pytest.mark.parametrize(
    "moment", ["compactionStarted", "compactionPrepared", "compactionCommitted"]
)
async def test_P1_a_compaction_that_is_begun_ready_or_done_when_its_server_is_killed_ends_once(
    scene: Compacting, moment: str
) -> None:
    await scene.filled(says(NOTE, ON_DEMAND))
    compaction_id = await scene.compact()
    await scene.until(moment)
    await scene.killed()
    assert await scene.ended(compaction_id) == "onDemand"
    await scene.goes_on()
