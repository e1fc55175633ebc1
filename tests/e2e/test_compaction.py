"""Compactions whose model fails, in the real server, by the real SDK, against the strict API: each
ends, prompts are answered meanwhile, and the session goes on with its whole history (P2-P7, P12).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from corpora.poisoned import GOAL_V8, HISTORY, OPENING
from differential.pictures import Json
from e2e.compacting import (
    BY_MODEL,
    LARGE_TOKENS,
    MEANWHILE,
    NOTE,
    ON_DEMAND,
    WINDOW_TOKENS,
    Compacting,
    compacting,
    fails,
    fails_at_once,
    padded,
    says,
    step,
    texts,
)
from e2e.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

STOPPED_S = 1.2
"""How long a suspended server sleeps: longer than its stream's idle limit."""
NO_MODEL = ("digest", "floor")
MODEL_CALLS_MAX = 12
"""Requests for one compaction at most: two tries of each rung, and of some chunks."""


@pytest_asyncio.fixture(loop_scope="module")
async def scene(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Compacting]:
    async with compacting(nursery, tmp_path) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def large(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Compacting]:
    """A window in which there is a history of several chunks."""
    async with compacting(nursery, tmp_path, window_tokens=LARGE_TOKENS) as found:
        yield found


# --- the model does not answer ------------------------------------------------------------------

TOO_SLOW = {
    "answers 504 for ever": fails("gateway-timeout"),
    "never sends a byte": fails("headers-never"),
    "falls silent after the first bytes": fails("silence", after_events=2),
    "answers only long after the deadline": [
        says(NOTE, match, delay_ms=60_000) for match in (ON_DEMAND, BY_MODEL)
    ],
    "is cut by a gateway each time": fails("reset", after_events=1),
    "sends a page instead": fails("gateway-timeout-html"),
}


@pytest.mark.survives("B01", "B10", "V3")
@pytest.mark.parametrize("way", TOO_SLOW)
async def test_P5_a_prompt_sent_meanwhile_was_answered_and_a_digest_took_the_place_of_the_model(
    scene: Compacting, way: str
) -> None:
    await scene.filled(*TOO_SLOW[way])
    compaction_id = await scene.compact()
    await scene.answers_meanwhile(compaction_id)
    assert await scene.ended(compaction_id) in NO_MODEL
    assert 1 <= len(scene.asked()) <= MODEL_CALLS_MAX
    await scene.goes_on()
    assert "gateway" not in texts(scene.sent_last()["messages"]).lower(), "no error in the history"


@pytest.mark.survives("B01")
async def test_a_gateway_that_cuts_what_takes_long_lets_smaller_chunks_through(
    large: Compacting,
) -> None:
    scene = large
    await scene.filled(
        *fails("gateway-timeout", ON_DEMAND, {**BY_MODEL, "body_bytes_over": 20_000}),
        says(NOTE, BY_MODEL),
        prompts=14,
        tokens=2_200,
    )
    compaction_id = await scene.compact()
    assert await scene.ended(compaction_id) == "chunks"
    done = [entry for entry in scene.asked() if entry.outcome == "answered"]
    assert len(done) >= 2
    assert len({entry.body_sha256 for entry in done}) == len(done)
    await scene.goes_on()


@pytest.mark.survives("B10")
async def test_after_three_failed_compactions_in_a_row_a_plain_prompt_was_answered_as_ever(
    scene: Compacting,
) -> None:
    await scene.filled(*fails("server-error"))
    for _ in range(3):
        assert await scene.ended(await scene.compact()) in (*NO_MODEL, "pointless")
        await scene.grow(2, 900)
    await scene.goes_on()
    assert scene.server.statuses[scene.session_id]["phase"] == "idle"


@pytest.mark.survives("B01", "B19")
async def test_P12_the_words_of_the_api_are_in_the_diagnosis_of_a_compaction(
    scene: Compacting,
) -> None:
    words = "The summariser is out to lunch"
    await scene.filled(*fails("server-error", message=words))
    compaction_id = await scene.compact()
    rung = await scene.ended(compaction_id)
    found = await scene.diagnosed(compaction_id, words)
    assert (found["rung"], found["state"], found["trigger"]) == (rung, "committed", "manual")
    assert found["tokensAfter"] < found["tokensBefore"]
    assert found["durationMs"] >= 0
    assert {attempt["rung"] for attempt in found["attempts"]} >= {"onDemand", "summary"}


# --- storms -------------------------------------------------------------------------------------


@pytest.mark.survives("B02", "C09")
async def test_a_storm_of_resets_and_a_suspended_machine_cost_a_bounded_number_of_requests(
    scene: Compacting,
) -> None:
    await scene.filled(*fails("reset-before-headers"))
    compaction_id = await scene.compact()
    await scene.until("compactionRungFailed")
    assert scene.server.client is not None
    scene.server.client._process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(STOPPED_S)  # Real time is what this is about.
    scene.server.client._process.send_signal(signal.SIGCONT)
    assert await scene.ended(compaction_id) in NO_MODEL
    cost = len(scene.asked())
    assert cost <= MODEL_CALLS_MAX
    await scene.say("Is there a storm?")
    await scene.say("And now?")
    assert len(scene.asked()) == cost, "nothing is tried again while nothing has changed"
    await scene.goes_on()


@pytest.mark.survives("B02", "B10", "B06", "V3")
async def test_while_every_compaction_fails_20_further_prompts_were_answered_and_none_refused(
    scene: Compacting,
) -> None:
    await scene.filled(*fails("gateway-timeout"))
    await scene.grow(20, 1_900)
    committed = scene.events("compactionCommitted")
    assert len(committed) >= 3
    assert len(scene.asked()) <= MODEL_CALLS_MAX * len(scene.events("compactionStarted"))
    assert max(entry.input_tokens or 0 for entry in scene.paid()) <= WINDOW_TOKENS
    await scene.goes_on()


# --- too long -----------------------------------------------------------------------------------


@pytest.mark.survives("B03")
async def test_a_compaction_call_that_is_too_long_for_the_model_is_made_in_smaller_parts(
    large: Compacting,
) -> None:
    scene = large
    await scene.filled(
        *fails("prompt-too-long", ON_DEMAND, {**BY_MODEL, "body_bytes_over": 20_000}),
        says(NOTE, BY_MODEL),
        prompts=14,
        tokens=2_200,
    )
    compaction_id = await scene.compact()
    assert await scene.ended(compaction_id) == "chunks"
    assert all((entry.input_tokens or 0) <= WINDOW_TOKENS for entry in scene.asked())
    await scene.goes_on()


@pytest.mark.survives("B03")
async def test_a_window_that_is_full_to_the_last_token_was_compacted_and_the_prompt_answered(
    scene: Compacting,
) -> None:
    await scene.begun(*fails("gateway-timeout"))
    while not scene.events("compactionStarted"):
        await scene.say(padded(f"Fill it ({len(scene.turns)}).", 2_600))
    await scene.goes_on()
    assert max(entry.input_tokens or 0 for entry in scene.paid()) <= WINDOW_TOKENS


# --- answers that are no summaries --------------------------------------------------------------

NO_SUMMARY = {
    "nothing at all": {"fault": {"name": "empty-content"}},
    "a refusal": {"fault": {"name": "refusal"}},
    "a refusal in words": {"respond": {"content": [{"type": "text", "text": "I can't help."}]}},
    "a call of a tool": {"fault": {"name": "max-tokens-in-tool-use"}},
    "a summary that is cut": {"fault": {"name": "max-tokens"}},
    "blank text": {"fault": {"name": "blank-text"}},
    "a full window": {"fault": {"name": "window-exceeded"}},
}


@pytest.mark.survives("B08")
@pytest.mark.parametrize("answer", NO_SUMMARY)
async def test_what_is_no_summary_never_took_the_place_of_the_history(
    scene: Compacting, answer: str
) -> None:
    await scene.filled(*(step(match, **NO_SUMMARY[answer]) for match in (ON_DEMAND, BY_MODEL)))
    compaction_id = await scene.compact()
    await scene.say(MEANWHILE)
    assert await scene.ended(compaction_id) in NO_MODEL
    assert {failure["rung"] for failure in scene.failed(compaction_id)} >= {"onDemand", "summary"}
    await scene.goes_on()
    view = texts(scene.sent_last()["messages"])
    assert "I can't help" not in view
    assert "This goes on and" not in view


@pytest.mark.survives("B08")
async def test_a_summary_that_repeats_everything_is_not_taken_for_one(scene: Compacting) -> None:
    longwinded = padded("Goal: everything that was said, again.", 9_000)
    await scene.filled(*fails("server-error", ON_DEMAND), says(longwinded, BY_MODEL))
    compaction_id = await scene.compact()
    assert await scene.ended(compaction_id) != "summary"
    assert scene.failed(compaction_id)
    await scene.goes_on()


@pytest.mark.survives("B12")
async def test_a_summary_that_saves_little_is_taken_when_what_is_sent_fits(
    scene: Compacting,
) -> None:
    await scene.filled(*fails("server-error", ON_DEMAND), prompts=8)
    covered = 6_000
    scene.plays(*fails("server-error", ON_DEMAND), says(f"{NOTE} " + "kelp " * covered, BY_MODEL))
    compaction_id = await scene.compact()
    assert await scene.ended(compaction_id) != "cancelled"
    await scene.goes_on()
    assert max(entry.input_tokens or 0 for entry in scene.paid()) <= WINDOW_TOKENS


# --- the API's own compaction -------------------------------------------------------------------


@pytest.mark.survives("B01")
async def test_the_apis_own_compaction_is_taken_and_its_block_is_sent_unchanged_from_then_on(
    scene: Compacting,
) -> None:
    await scene.filled(says(NOTE, ON_DEMAND))
    compaction_id = await scene.compact()
    await scene.say(MEANWHILE)
    assert await scene.ended(compaction_id) == "onDemand"
    await scene.say("Go on.")
    first = scene.sent_last()["messages"][0]["content"]
    assert [block["type"] for block in first] == ["compaction"]
    assert first[0]["content"] == NOTE
    newest = scene.paid()[-1]
    assert any(beta.startswith("compact-") for beta in newest.betas)
    await scene.goes_on()
    assert scene.sent_last()["messages"][0]["content"] == first


@pytest.mark.survives("B07")
async def test_a_history_of_any_poison_can_be_compacted_and_gone_on_with(
    nursery: Nursery, tmp_path: Path
) -> None:
    """The summariser sees plain text made from the journal, so that no poison reaches it."""
    cases = [case for case in (*HISTORY, *GOAL_V8) if case.endpoint == "firstParty"]
    more = [m for number in range(6) for m in _exchange(padded(f"More? ({number})", 3_000))]
    async with compacting(nursery, tmp_path, window_tokens=LARGE_TOKENS) as scene:
        scene.plays(*fails_at_once(ON_DEMAND), says(NOTE, BY_MODEL))
        for case in cases:
            scene.simulator.clear_log()
            scene.session_id = await scene.imported([*case.messages, *more], case.model)
            await scene.ended(await scene.compact())
            assert scene.events("compactionCommitted"), case.id
            await scene.answered(scene.session_id, "What was the secret word?")
            assert "heron" in await scene.server.last_answer(scene.session_id), case.id
            allowed = 2 if case.known_to == "server" else 0
            assert scene.refused() - _faulted(scene) <= allowed, case.id


def _exchange(words: str) -> list[Json]:
    return [
        {"role": "user", "content": [{"type": "text", "text": words}]},
        {"role": "assistant", "content": [{"type": "text", "text": f"You said: {words[:40]}"}]},
    ]


def _faulted(scene: Compacting) -> int:
    return sum(entry.fault is not None and (entry.status or 0) >= 400 for entry in scene.paid())


@pytest.mark.survives("B19")
async def test_an_account_without_long_context_is_refitted_and_its_prompt_was_answered(
    nursery: Nursery, tmp_path: Path
) -> None:
    words = "Extra usage is required for long context requests."
    tier = {
        "match": {"body_bytes_over": 700_000},
        "times": None,
        "fault": {"name": "rate-limit-no-retry-after", "message": words},
    }
    async with compacting(nursery, tmp_path, window_tokens=None) as scene:
        await scene.begun(tier, *fails("server-error", ON_DEMAND), says(NOTE, BY_MODEL))
        await scene.grow(6, 40_000)
        assert scene.events("compactionCommitted")
        assert scene.refused_itself() <= 2
        assert any(words in str(event) for event in scene.events("requestFailed"))
        await scene.grow(3, 40_000)
        assert scene.refused_itself() <= 2, "it has learned"
        await scene.goes_on()


@pytest.mark.survives("B06")
async def test_a_server_that_takes_less_than_it_declares_teaches_it_in_its_own_odd_words(
    scene: Compacting,
) -> None:
    odd = "oops: this deployment is full, the conversation exceeds the available context size"
    less = {"body_bytes_over": 45_000, "kind": "any"}
    await scene.begun(
        step(less, fault={"name": "bad-request", "message": odd}), says(NOTE, BY_MODEL)
    )
    await scene.grow(12, 1_800)
    assert scene.refused_itself() <= 2
    assert scene.events("compactionCommitted")
    await scene.goes_on()


@pytest.mark.survives("B23")
async def test_a_refusal_that_speaks_of_a_context_but_not_of_length_starts_no_compaction(
    scene: Compacting,
) -> None:
    words = "context: the context of this request is not valid here"
    await scene.filled()
    scene.plays(step({"kind": "any"}, fault={"name": "bad-request", "message": words}))
    assert await scene.sent(scene.session_id, "Go on.") == "paused"
    assert scene.events("compactionStarted") == []
    state = await scene.command("session.state")
    assert words in state["message"]
    await scene.goes_on()


@pytest.mark.survives("B11")
async def test_a_session_of_one_turn_and_one_that_was_just_compacted_are_compacted_harmlessly(
    scene: Compacting,
) -> None:
    await scene.begun(*fails("server-error"))
    assert OPENING in texts((await _tried(scene))["messages"])
    await scene.grow(5, 1_500)
    assert await scene.ended(await scene.compact()) in NO_MODEL
    await _tried(scene)
    await _tried(scene)
    await scene.goes_on()


async def _tried(scene: Compacting) -> Json:
    """Ask for a compaction that has nothing to do; return the next request."""
    known = {event["compactionId"] for event in scene.events("compactionStarted")}
    found = await scene.compact()
    if found and found != "None" and found not in known:
        await scene.ended(found)
    await scene.say("Go on.")
    return scene.sent_last()
