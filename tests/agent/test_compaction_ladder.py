"""The ladder of compaction: each rung holds, falls with its reason, and never falls for ever.

P5, B01-B03, B07, B08, B16, in virtual time; through the real wire in the other files.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.ladder_stage import (
    NOTE,
    Answer,
    Asked,
    Decide,
    always,
    by_kind,
    failing,
    history,
    on_demand_request,
    task,
    walk,
)
from holdfast.agent.api import CompactionProgress
from holdfast.conversation.history import Message, text, user
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import Failure
from holdfast.session.failures import FailureKind as K

R = ev.Rung
TALK = history(30_000)
LONG = history(150_000)


def gateway(cut_s: float, tokens_per_s: float) -> Decide:
    """A gateway that cuts after `cut_s`, in front of a model that reads so many tokens a second."""

    def decide(asked: Asked, _number: int) -> Answer:
        needed_s = len(asked.words) / 3.5 / tokens_per_s
        if needed_s > cut_s:
            return failing(K.TIMEOUT, after_s=cut_s, status=504)
        return Answer(after_s=needed_s)

    return decide


# -- each rung holds -------------------------------------------------------------------------------


def test_the_apis_own_compaction_holds_with_its_signed_block() -> None:
    found = walk(task(TALK), always(Answer()))
    assert found.ready.rung is R.ON_DEMAND
    assert found.ready.summary == NOTE
    assert found.ready.block.text_of("signature") == "sealed"
    assert [asked.kind for asked in found.model.asked] == ["onDemand"]
    assert found.fell == []


def test_one_summary_of_plain_text_holds() -> None:
    found = walk(task(TALK), always(Answer()), method="summary")
    assert (found.ready.rung, found.ready.summary, found.ready.block) == (R.SUMMARY, NOTE, None)
    (asked,) = found.model.asked
    assert asked.request.tools == ()
    assert all(b.type == "text" for m in asked.request.messages for b in m.blocks)
    for message in TALK:
        assert message.blocks[0].text_of("text") in asked.words, "nothing is left out"


def test_B03_what_does_not_fit_into_one_request_is_summarised_in_chunks() -> None:
    found = walk(task(LONG), always(Answer()), method="summary")
    assert found.ready.rung is R.CHUNKS
    assert not found.asked("summary")
    chunks = found.asked("chunk")
    assert len(chunks) == len(found.chunks) >= 3
    assert all(len(asked.words) / 3.5 < 66_000 for asked in chunks)
    for message in LONG:
        words = message.blocks[0].text_of("text").split()
        assert any(words[0] in asked.words for asked in chunks), "nothing is left out"
    assert found.fell == []


def test_the_digest_holds_without_a_model() -> None:
    found = walk(task(TALK), always(Answer()), method="local")
    assert found.ready.rung is R.DIGEST
    assert found.model.asked == []


def test_a_request_that_waits_goes_to_the_digest_at_once() -> None:
    found = walk(task(TALK), always(Answer()), first=R.DIGEST)
    assert (found.ready.rung, found.seconds) == (R.DIGEST, 0.0)


def test_the_floor_says_where_the_history_is() -> None:
    found = walk(task(TALK), always(Answer()), first=R.FLOOR)
    assert found.ready.rung is R.FLOOR
    assert "kept in full" in found.ready.summary
    assert all(tool in found.ready.summary for tool in ("recall_search", "recall_read"))


def test_what_does_not_apply_is_passed_over_in_silence() -> None:
    """A model without compaction on demand, or a history that may not be sent as it is (B07)."""
    assert walk(task(TALK, on_demand=None), always(Answer())).ready.rung is R.SUMMARY
    poisoned = on_demand_request((*TALK, Message("user", (text("   "),))))
    found = walk(task(TALK, on_demand=poisoned), always(Answer()))
    assert found.ready.rung is R.SUMMARY
    assert not found.asked("onDemand")
    assert found.fell == []


# -- each rung falls -------------------------------------------------------------------------------

BAD = [
    (Answer(says=""), "empty"),
    (Answer(says="no"), "empty"),
    (Answer(says="", stop_reason="refusal"), "refusal"),
    (Answer(says="I cannot help with that request, for reasons of policy.", stop_reason="refusal"),
     "refusal"),
    (Answer(says=NOTE, stop_reason="max_tokens"), "max_tokens"),
    (Answer(says=NOTE, calls="read"), "toolCall"),
    (Answer(says="", stop_reason="tool_use"), "toolCall"),
    (Answer(says="", stop_reason="model_context_window_exceeded"), "model_context_window_exceeded"),
    (Answer(says="word " * 90_000), "notSmaller"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_B08_what_is_no_summary_falls_with_its_reason_after_one_more_try(
    bad: Answer, reason: str
) -> None:
    found = walk(task(TALK), by_kind(onDemand=bad, summary=bad, chunk=bad))
    assert found.ready.rung is R.DIGEST
    tries = [("onDemand", reason)] * 2 + [("summary", reason)] * 2
    assert found.fell == tries, "a single chunk would be the single summary again"
    assert [given.attempt for given in found.of(inp.RungFailed)] == [1, 2, 1, 2]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_B08_the_second_try_is_told_what_was_wrong_and_may_hold(bad: Answer, reason: str) -> None:
    for rung in ("onDemand", "summary"):
        method = "api" if rung == "onDemand" else "summary"
        found = walk(task(TALK), by_kind(**{rung: (bad, Answer())}), method=method)
        assert found.ready.rung.value == rung
        assert found.fell == [(rung, reason)]
        _, again = found.asked(rung)
        assert reason in (again.request.compaction or again.words)


def test_the_second_compaction_after_max_tokens_gets_more_room() -> None:
    short = Answer(says="", stop_reason="max_tokens")
    found = walk(task(TALK), by_kind(onDemand=(short, Answer())))
    assert [asked.request.max_output_tokens for asked in found.model.asked] == [16_000, 32_000]


def test_instructions_of_a_person_reach_every_rung() -> None:
    wish = "Keep the names of all seaweeds."
    bad = Answer(says="")
    given = task(LONG, instructions=wish, input_tokens_max=100_000)
    found = walk(given, by_kind(onDemand=bad, chunk=Answer()))
    assert found.ready.rung is R.CHUNKS
    assert all(wish in (asked.request.compaction or asked.words) for asked in found.model.asked)


@pytest.mark.parametrize(
    "kind", [K.NETWORK, K.SERVER, K.OVERLOADED, K.STALLED, K.CUT, K.TIMEOUT, K.UNREADABLE]
)
def test_B01_a_passing_failure_is_tried_again_after_a_wait(kind: K) -> None:
    for rung, method in (("onDemand", "api"), ("summary", "summary")):
        found = walk(task(TALK), by_kind(**{rung: (failing(kind), Answer())}), method=method)
        assert found.ready.rung.value == rung
        assert found.fell == [(rung, kind.value)]
        waits = [p for p in found.shown if p.retry_at_ms is not None]
        assert waits[0].attempt == 2
        assert "it failed" in (waits[0].cause or "")
        first, second = found.model.asked
        assert 0.1 < second.at_s - first.at_s <= 25


@pytest.mark.parametrize("kind", list(K))
def test_B02_whatever_fails_for_ever_ends_in_the_digest_with_bounded_tries(kind: K) -> None:
    found = walk(task(LONG), always(failing(kind)))
    assert found.ready.rung is R.DIGEST
    assert len(found.asked("onDemand")) <= 2
    assert len(found.asked("summary")) <= 2
    assert len(found.asked("chunk")) <= 4
    assert len(found.of(inp.RungFailed)) == len(found.model.asked)
    assert found.seconds < 120


@pytest.mark.parametrize(
    "kind", [K.AUTHENTICATION, K.BILLING, K.PERMISSION, K.MODEL_GONE, K.SPEND_LIMIT]
)
def test_what_only_a_person_can_lift_is_asked_once(kind: K) -> None:
    found = walk(task(LONG), always(failing(kind)))
    assert found.fell == [("onDemand", kind.value)]
    assert found.ready.rung is R.DIGEST


def test_whoever_asks_for_an_hour_is_not_asked_again() -> None:
    found = walk(task(LONG), always(failing(K.RATE_LIMITED, retry_after_ms=3_600_000)))
    assert found.fell == [("onDemand", "rateLimited")]
    assert (found.ready.rung, found.seconds < 1) == (R.DIGEST, True)


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    limited = failing(K.RATE_LIMITED, retry_after_ms=45_000)
    found = walk(task(TALK), by_kind(onDemand=(limited, Answer())))
    first, second = found.model.asked
    assert second.at_s - first.at_s >= 45


@pytest.mark.parametrize(
    "message",
    [
        "compaction: this model does not support compaction",
        "compaction: Extra inputs are not permitted",
        "Unexpected value(s) `compact-2026-09-04` for the `anthropic-beta` header.",
    ],
)
def test_R95_an_endpoint_without_it_is_asked_once_and_says_so(message: str) -> None:
    refusal = Answer(failure=Failure(kind=K.INVALID_REQUEST, status=400, message=message))
    found = walk(task(TALK), by_kind(onDemand=refusal))
    assert found.fell == [("onDemand", "unsupported")]
    assert found.ready.rung is R.SUMMARY


def test_a_refusal_of_this_history_is_not_one_of_compaction() -> None:
    refusal = Answer(failure=Failure(kind=K.INVALID_REQUEST, status=400, message="messages.3: no"))
    found = walk(task(TALK), by_kind(onDemand=refusal))
    assert found.fell == [("onDemand", "invalidRequest")]
    assert found.ready.rung is R.SUMMARY


@pytest.mark.parametrize("kind", [K.TOO_LONG, K.TOO_LARGE])
def test_B03_too_much_for_the_window_is_asked_for_in_chunks(kind: K) -> None:
    """The learned size is half of what failed; nothing larger is sent again."""
    found = walk(task(TALK), by_kind(onDemand=failing(kind), summary=failing(kind)))
    assert found.fell == [("onDemand", kind.value)]
    assert found.ready.rung is R.CHUNKS
    biggest = found.of(inp.RungFailed)[0].input_tokens
    assert all(len(asked.words) / 3.5 <= biggest / 2 + 600 for asked in found.asked("chunk"))


# -- time ------------------------------------------------------------------------------------------


def test_B01_an_answer_after_eleven_minutes_holds_while_there_are_signs_of_life() -> None:
    slow = Answer(pings_s=660.0)
    found = walk(task(TALK, deadline_s=900.0), by_kind(onDemand=slow))
    assert found.ready.rung is R.ON_DEMAND
    assert found.seconds > 660
    gaps = [b.elapsed_ms - a.elapsed_ms for a, b in pairwise(found.shown)]
    assert max(gaps) <= 1_000, "somebody hears of it every second"


def test_P5_the_deadline_ends_in_the_digest() -> None:
    found = walk(task(TALK, deadline_s=120.0), always(Answer(pings_s=10_000.0)))
    assert found.fell == [("onDemand", "deadline")]
    assert found.ready.rung is R.DIGEST
    assert 120 <= found.seconds < 121


@pytest.mark.parametrize("cut_s", [20.0, 40.0, 60.0])
def test_B01_a_gateway_that_cuts_teaches_how_much_it_lets_through(cut_s: float) -> None:
    """Smaller chunks succeed; what a gateway cuts is not asked for again in the same size."""
    found = walk(task(LONG), gateway(cut_s, 800.0))
    assert found.ready.rung is R.CHUNKS
    sizes = [given.input_tokens for given in found.of(inp.RungFailed)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert {reason for _, reason in found.fell} == {"timeout"}


def test_B01_chunks_that_were_finished_by_the_deadline_are_not_asked_for_again() -> None:
    slow = by_kind(onDemand=failing(K.TIMEOUT), chunk=Answer(pings_s=50.0))
    first = walk(task(LONG, deadline_s=90.0), slow)
    assert first.ready.rung is R.DIGEST
    assert first.fell[-1] == ("chunks", "deadline")
    assert first.chunks
    second = walk(task(LONG, deadline_s=600.0, chunks=first.chunks), slow)
    assert second.ready.rung is R.CHUNKS
    assert not first.chunks.keys() & second.chunks.keys()
    words = {asked.words for asked in first.asked("chunk")}
    done = len(first.chunks)
    again = [asked for asked in second.asked("chunk") if asked.words in words]
    assert len(again) == len(words) - done, "only what was under way is asked for again"


@pytest.mark.parametrize("cancel_after_s", [0.0, 0.5, 1.5, 3.0, 10.0])
def test_B16_cancelling_closes_every_connection_and_posts_nothing_more(
    cancel_after_s: float,
) -> None:
    slow = by_kind(onDemand=failing(K.CUT), chunk=Answer(pings_s=5.0))
    found = walk(task(LONG), slow, cancel_after_s=cancel_after_s)
    assert not found.of(inp.CompactionReady)
    assert found.model.open == 0
    assert found.seconds <= cancel_after_s


# -- chunks ----------------------------------------------------------------------------------------


def test_at_most_three_requests_are_open_and_the_first_one_is_alone() -> None:
    found = walk(task(history(500_000)), by_kind(chunk=Answer()), method="summary")
    assert found.model.most_open == 3
    first, second = found.asked("chunk")[:2]
    assert second.at_s >= first.at_s + 1


def test_after_a_rate_limit_one_at_a_time() -> None:
    limited = failing(K.RATE_LIMITED, retry_after_ms=10_000)
    decide = by_kind(chunk=(Answer(), limited, Answer()))
    found = walk(task(history(500_000)), decide, method="summary")
    assert found.ready.rung is R.CHUNKS
    assert found.fell == [("chunks", "rateLimited")]
    late = [asked.at_s for asked in found.asked("chunk")[4:]]
    assert all(b - a >= 1.0 for a, b in pairwise(late)), "one after the other"


def test_a_restart_repeats_no_finished_chunk_and_gives_no_new_tries() -> None:
    """B01, B02: what is in the journal counts, wherever the process died."""
    whole = walk(task(LONG), by_kind(), method="summary")
    for after in range(1, len(whole.posted)):
        known = whole.posted[:after]
        done = {given.key: given.summary for given in known if isinstance(given, inp.ChunkReady)}
        again = walk(task(LONG, chunks=done), by_kind(), method="summary")
        assert again.chunks.keys() == whole.chunks.keys() - done.keys()
        assert again.ready.summary == whole.ready.summary
    spent = {R.ON_DEMAND: 2, R.SUMMARY: 2, R.CHUNKS: 4}
    found = walk(task(LONG, failed=spent), always(Answer()))
    assert found.model.asked == []
    assert found.ready.rung is R.DIGEST


def test_a_try_that_was_counted_before_a_restart_is_not_given_again() -> None:
    found = walk(task(TALK, failed={R.ON_DEMAND: 1}), always(failing(K.SERVER)))
    assert found.fell[:1] == [("onDemand", "server")]
    assert found.of(inp.RungFailed)[0].attempt == 2
    assert len(found.asked("onDemand")) == 1


def test_a_chunk_that_stays_unacceptable_gives_the_rung_up() -> None:
    found = walk(task(LONG), by_kind(chunk=(Answer(), Answer(says=""))), method="summary")
    assert found.ready.rung is R.DIGEST
    assert {reason for _, reason in found.fell} == {"empty"}
    assert len(found.fell) <= 4
    assert found.chunks, "what was finished stays"


def test_long_notes_are_joined_by_the_model_into_one() -> None:
    def decide(asked: Asked, number: int) -> Answer:
        return (
            Answer(says=f"Note {number} on a part. " * 500) if asked.kind == "chunk" else Answer()
        )

    found = walk(task(history(500_000)), decide, method="summary")
    assert found.ready.rung is R.CHUNKS
    assert found.ready.summary == NOTE
    (merge,) = found.asked("merge")
    assert "Note 0 on a part." in merge.words


def test_a_short_part_stands_for_itself() -> None:
    """The end of a text that is cut in even parts may be anything; no note on it is shorter."""
    full = [user(f"{number:03} " * 248) for number in range(448)]  # two chunks to the byte
    given = task((*full, user("And what of dulse?")))
    found = walk(given, by_kind(chunk=Answer()), method="summary")
    assert found.ready.rung is R.CHUNKS
    assert (len(found.asked("chunk")), found.shown[-1].chunks) == (2, 3)
    assert found.ready.summary.endswith("And what of dulse?")


def test_what_came_before_is_carried_on_in_front_of_the_notes() -> None:
    earlier = "Before that, the tides were charted."
    found = walk(task(LONG, previous=earlier), always(Answer()), method="summary")
    assert found.ready.rung is R.CHUNKS
    assert found.ready.summary.index(earlier) < found.ready.summary.index(NOTE)


def test_the_same_words_in_another_wish_are_another_summary() -> None:
    plain = walk(task(LONG), always(Answer()), method="summary")
    wished = walk(task(LONG, instructions="Keep names."), always(Answer()), method="summary")
    assert not plain.chunks.keys() & wished.chunks.keys()


# -- what is seen ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decide",
    [
        always(Answer(pings_s=20.0)),
        always(failing(K.SERVER, after_s=3.0)),
        always(failing(K.TIMEOUT, after_s=30.0)),
        by_kind(onDemand=Answer(says=""), chunk=Answer(pings_s=4.0)),
        gateway(20.0, 800.0),
    ],
)
def test_P7_the_percentage_never_goes_back_and_a_second_never_passes_in_silence(
    decide: Decide,
) -> None:
    found = walk(task(LONG), decide)
    percentages = [shown.percentage for shown in found.shown]
    assert percentages == sorted(percentages)
    assert all(0 <= percentage < 100 for percentage in percentages)
    times = [0, *(shown.elapsed_ms for shown in found.shown), int(found.seconds * 1000)]
    assert max(b - a for a, b in pairwise(times)) <= 1_001


def test_P7_progress_names_rung_chunk_and_attempt() -> None:
    found = walk(task(LONG), by_kind(onDemand=failing(K.SERVER), chunk=Answer()))
    rungs = list(dict.fromkeys(shown.rung for shown in found.shown))
    assert rungs == ["onDemand", "chunks"]
    count = len(found.asked("chunk"))
    done = [shown.chunk for shown in found.shown if shown.chunks == count]
    assert (done[0], done[-1]) == (0, count)
    assert {shown.attempt for shown in found.shown if shown.rung == "onDemand"} == {1, 2}


def test_going_on_with_the_next_rung_goes_on_with_percentage_and_time() -> None:
    """The state machine may refuse a result and ask for the next rung."""
    first = walk(task(TALK), always(Answer()))
    second = walk(task(TALK), always(Answer()), first=R.SUMMARY, last=first.shown[-1])
    assert second.shown[0].percentage >= first.shown[-1].percentage
    assert second.shown[0].elapsed_ms >= first.shown[-1].elapsed_ms


def test_the_deadline_counts_all_walks_of_one_compaction() -> None:
    late = CompactionProgress("c_1", "asking", 40, elapsed_ms=599_500)
    found = walk(task(TALK), always(Answer(pings_s=5.0)), first=R.SUMMARY, last=late)
    assert found.fell == [("summary", "deadline")]
    assert (found.ready.rung, found.seconds) == (R.DIGEST, 0.5)
    other = CompactionProgress("c_0", "asking", 40, elapsed_ms=599_500)
    assert walk(task(TALK), always(Answer(pings_s=5.0)), last=other).ready.rung is R.ON_DEMAND
