"""Progress: created, begun, reported, ended, each exactly once and in this order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from holdfast.agent.api import Batch, CompactionProgress, Status
from holdfast.lsp.bars import Bar, Look
from holdfast.lsp.progress import Progress
from holdfast.session.events import (
    CompactionCommitted,
    CompactionEnd,
    CompactionEnded,
    CompactionPrepared,
    CompactionStarted,
    Event,
    Rung,
)
from holdfast.session.inputs import Recorded
from lsp.scripted import SESSION, RecordingLink, ScriptedSupervisor, blank_view


def started(name: str, trigger: Any = "manual") -> CompactionStarted:
    return CompactionStarted(compaction_id=name, trigger=trigger, cut_origin="1", tokens_before=1)


def at(name: str, percentage: int, **more: Any) -> Status:
    progress = CompactionProgress(name, "asking the model", percentage, 0, **more)
    return Status(SESSION, "idle", progress=progress)


class Stage:
    def __init__(self) -> None:
        self.link = RecordingLink()
        self.supervisor = ScriptedSupervisor()
        self.progress = Progress(self.link, "c1", self._supervisor)
        self.progress.supported = True
        self.seq = 0

    async def _supervisor(self) -> Any:
        return self.supervisor

    def tell(self, *events: Event, status: Status | None = None) -> None:
        records = tuple(Recorded(self.seq + n, 0, event) for n, event in enumerate(events, 1))
        self.seq += len(events)
        self.progress.batch_seen(SESSION, Batch(records, status))

    async def accept(self, count: int = 1) -> Any:
        """Answer the `create` request number `count`; return its token."""
        await self.link.until(lambda: len(self.link.requests) >= count)
        sent = self.link.requests[count - 1]
        assert sent.method == types.WINDOW_WORK_DONE_PROGRESS_CREATE
        sent.answer.set_result(None)
        return sent.params.token

    def kinds(self, token: object = None) -> list[str]:
        return [value.kind for value in self.link.progress(token)]

    async def over(self, token: object = None) -> None:
        await self.link.until(lambda: "end" in self.kinds(token))
        await self.progress.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.progress.session_ended(SESSION)
    await stage.progress.close()


async def test_a_compaction_is_created_begun_reported_and_ended_once(stage: Stage) -> None:
    stage.tell(started("c"), status=at("c", 10))
    assert stage.link.progress() == [], "nothing comes before the editor has taken the token"
    token = await stage.accept()
    await stage.link.until(lambda: "begin" in stage.kinds())
    stage.tell(status=at("c", 40))
    await stage.link.until(lambda: "report" in stage.kinds())
    stage.tell(CompactionCommitted(compaction_id="c"), status=Status(SESSION, "idle"))
    await stage.over()
    begin, *reports, end = stage.link.progress(token)
    assert (begin.kind, begin.cancellable, begin.percentage) == ("begin", True, 10)
    assert {report.kind for report in reports} == {"report"}
    assert reports[-1].percentage == 40
    assert "asking the model" in reports[-1].message
    assert end.message.startswith("Done")
    assert len(stage.link.requests) == 1


@given(st.lists(st.integers(-10, 150), max_size=6))
@settings(max_examples=15)
async def test_the_percentage_never_goes_back(percentages: list[int]) -> None:
    link = RecordingLink()
    looks = iter([0, *percentages])
    bar = Bar(
        link,
        "t",
        "title",
        lambda: Look("working", next(looks, 100)),
        on_cancel=lambda: asyncio.sleep(0),
        create=False,
    )
    for _ in percentages:
        bar.update()
        await asyncio.sleep(0)
    bar.end("over")
    await bar.task
    shown = [value.percentage for value in link.progress("t")[:-1]]
    assert shown == sorted(shown)
    assert all(0 <= percentage <= 100 for percentage in shown)


async def test_something_is_reported_every_second_also_when_nothing_changes(stage: Stage) -> None:
    """P7: seconds are counted while a person waits."""
    stage.tell(started("c"), status=at("c", 10, retry_at_ms=Progress.now_ms() + 60_000))
    token = await stage.accept()
    await stage.link.until(lambda: stage.kinds(token).count("report") >= 2)
    messages = [value.message for value in stage.link.progress(token)]
    assert messages[0] != messages[-1], "the seconds are counted"


async def test_an_editor_that_is_behind_gets_no_reports_but_the_end(stage: Stage) -> None:
    stage.tell(started("c"))
    token = await stage.accept()
    await stage.link.until(lambda: stage.kinds(token))
    stage.link.busy = True
    stage.tell(status=at("c", 50))
    stage.tell(CompactionCommitted(compaction_id="c"))
    await stage.over(token)
    assert stage.kinds(token) == ["begin", "end"]


@pytest.mark.parametrize("outcome", CompactionEnd)
async def test_every_way_to_end_is_said(stage: Stage, outcome: CompactionEnd) -> None:
    stage.tell(started("c"))
    await stage.accept()
    stage.tell(CompactionEnded(compaction_id="c", outcome=outcome))
    await stage.over()
    assert stage.link.progress()[-1].message


async def test_a_compaction_that_is_over_before_the_editor_answers_still_ends(
    stage: Stage,
) -> None:
    stage.tell(started("c"))
    await stage.link.until(lambda: stage.link.requests)
    stage.tell(CompactionCommitted(compaction_id="c"))
    token = await stage.accept()
    await stage.over()
    assert stage.kinds(token) == ["begin", "end"]


@pytest.mark.parametrize(
    "end",
    [
        CompactionCommitted(compaction_id="c"),
        CompactionEnded(compaction_id="c", outcome=CompactionEnd.POINTLESS, detail="All fits."),
    ],
)
async def test_what_begins_by_itself_and_is_over_at_once_flashes_no_bar_but_ends_a_clients_token(
    stage: Stage, end: Event
) -> None:
    """Old outputs left out, or nothing to remove: both take no time."""
    with stage.progress.expecting(SESSION, "mine") as expected:
        stage.tell(started("other", "auto"), end)
        expected.bind("other")
        stage.tell(CompactionEnded(compaction_id="other", outcome=CompactionEnd.SUPERSEDED))
    await stage.over("mine")
    stage.tell(started("c", "auto"), end)
    await stage.progress.close()
    assert stage.kinds("mine") == ["begin", "end"]
    assert stage.link.requests == []


async def test_what_a_person_asked_for_is_shown_however_short_it_is(stage: Stage) -> None:
    stage.tell(started("c"), CompactionCommitted(compaction_id="c"))
    token = await stage.accept()
    await stage.over()
    assert stage.kinds(token) == ["begin", "end"]


async def test_an_editor_that_refuses_the_token_is_shown_nothing(stage: Stage) -> None:
    stage.tell(started("c"))
    await stage.link.until(lambda: stage.link.requests)
    stage.link.refuse(stage.link.requests[0])
    stage.tell(CompactionCommitted(compaction_id="c"))
    await stage.progress.close()
    assert stage.link.notified == []


async def test_an_editor_without_the_capability_is_shown_nothing(stage: Stage) -> None:
    stage.progress.supported = False
    stage.tell(started("c"), status=at("c", 10))
    stage.tell(status=Status(SESSION, "waiting", reason="timeout"))
    stage.tell(CompactionCommitted(compaction_id="c"))
    await stage.progress.close()
    assert (stage.link.requests, stage.link.notified) == ([], [])


async def test_a_window_opened_during_a_compaction_shows_it_to_its_end(stage: Stage) -> None:
    stage.progress.session_seen(blank_view(5, at("c", 30)))
    token = await stage.accept()
    stage.tell(CompactionCommitted(compaction_id="c"))
    await stage.over()
    stage.progress.session_seen(blank_view(6, Status(SESSION, "idle"), compactions=("c",)))
    assert stage.kinds(token) == ["begin", "end"]
    assert len(stage.link.requests) == 1


async def test_the_end_of_following_ends_what_is_shown(stage: Stage) -> None:
    stage.tell(started("c"))
    token = await stage.accept()
    await stage.link.until(lambda: stage.kinds(token))
    stage.progress.session_ended(SESSION)
    await stage.progress.close()
    assert stage.kinds(token) == ["begin", "end"]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"rung": "onDemand"}, "compacted by the API: asking the model · 0 s"),
        (
            {"rung": "chunks", "chunk": 2, "chunks": 5, "received_tokens": 1200},
            "summaries of chunks: asking the model · chunk 2 of 5 · about 1,200 tokens received",
        ),
        (
            {"rung": "summary", "attempt": 2, "cause": "Gateway time-out", "retry_at_ms": 10**15},
            "summary by the model: asking the model · 0 s · attempt 2 · Gateway time-out · next",
        ),
        ({"rung": "something new"}, "asking the model · 0 s"),
    ],
)
async def test_P7_a_bar_says_what_is_made_how_much_is_done_and_what_is_waited_for(
    stage: Stage, shown: dict[str, Any], words: str
) -> None:
    stage.tell(started("c"), status=at("c", 10, **shown))
    token = await stage.accept()
    await stage.link.until(lambda: stage.kinds(token))
    assert stage.link.progress(token)[0].message.startswith(words)


async def test_the_end_says_what_was_made(stage: Stage) -> None:
    stage.tell(started("c"))
    token = await stage.accept()
    made = CompactionPrepared(compaction_id="c", rung=Rung.DIGEST, summary="s", tokens_after=12_300)
    stage.tell(made, CompactionCommitted(compaction_id="c"))
    await stage.over(token)
    assert stage.link.progress(token)[-1].message == (
        "Made: digest without the model, about 12,300 tokens in all. "
        "Done. The whole history stays readable."
    )


@pytest.mark.parametrize("percentage", [0, 50, 99])
async def test_B16_the_stop_button_works_however_far_it_is(stage: Stage, percentage: int) -> None:
    stage.tell(started("c"), status=at("c", percentage))
    token = await stage.accept()
    await stage.progress.cancel(token)
    assert stage.supervisor.calls == [("cancel_compaction", SESSION)]
    stage.tell(CompactionEnded(compaction_id="c", outcome=CompactionEnd.CANCELLED))
    await stage.over(token)
    await stage.progress.cancel(token)
    kinds = stage.kinds(token)
    assert (kinds[0], kinds[-1], kinds.count("begin"), kinds.count("end")) == (
        "begin", "end", 1, 1,
    )  # fmt: skip


# -- tokens of the client ------------------------------------------------------------------------


ORDERS = ["told-then-bound", "bound-then-told", "all-told-before-bound", "ran-before"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("supported", [True, False])
async def test_a_clients_token_begins_and_ends_once_in_any_order(
    stage: Stage, order: str, supported: bool
) -> None:
    stage.progress.supported = supported
    end = CompactionCommitted(compaction_id="c")
    if order == "ran-before":
        stage.tell(started("c"))
    with stage.progress.expecting(SESSION, "mine") as expected:
        match order:
            case "told-then-bound":
                stage.tell(started("c"))
                expected.bind("c")
                stage.tell(end)
            case "bound-then-told":
                expected.bind("c")
                stage.tell(started("c"))
                stage.tell(end)
            case "all-told-before-bound":
                stage.tell(started("c"), end)
                expected.bind("c")
            case _:
                expected.bind("c")
                stage.tell(end)
    await stage.over("mine")
    assert stage.kinds("mine") == ["begin", "end"]


async def test_a_clients_token_for_a_compaction_long_over_ends_at_once(stage: Stage) -> None:
    stage.progress.session_seen(blank_view(9, Status(SESSION, "idle"), compactions=("old",)))
    with stage.progress.expecting(SESSION, 7) as expected:
        expected.bind("old")
    await stage.over(7)
    assert stage.kinds(7) == ["begin", "end"]


async def test_a_refused_compaction_leaves_the_clients_token_alone(stage: Stage) -> None:
    with pytest.raises(ValueError, match="refused"), stage.progress.expecting(SESSION, "mine"):
        raise ValueError("refused")
    stage.tell(started("c"))
    token = await stage.accept()
    assert token != "mine"
    assert stage.link.progress("mine") == []


# -- waits of a turn -----------------------------------------------------------------------------


def waiting(attempt: int) -> Status:
    return Status(
        SESSION,
        "waiting",
        reason="timeout",
        message="Gateway time-out",
        attempt=attempt,
        retry_at_ms=Progress.now_ms() + 30_000,
    )


async def test_a_turn_in_trouble_is_one_bar_over_all_attempts(stage: Stage) -> None:
    """V5: the state names attempt, cause and next time."""
    stage.tell(status=waiting(1))
    token = await stage.accept()
    for attempt in (2, 3):
        stage.tell(status=Status(SESSION, "requesting", attempt=attempt))
        stage.tell(status=waiting(attempt))
    await stage.link.until(lambda: "report" in stage.kinds())
    words = stage.link.progress()[-1].message
    assert "Gateway time-out · attempt 3 · next try in" in words
    stage.tell(status=Status(SESSION, "streaming"))
    await stage.over()
    assert stage.kinds(token)[0] == "begin"
    assert len(stage.link.requests) == 1


async def test_a_short_wait_is_not_shown(stage: Stage) -> None:
    stage.tell(status=waiting(1))
    stage.tell(status=Status(SESSION, "streaming"))
    await stage.progress.close()
    assert (stage.link.requests, stage.link.notified) == ([], [])


async def test_a_silent_stream_is_shown_with_its_silence(stage: Stage) -> None:
    """V4: a silent stream is visible."""
    stage.tell(status=Status(SESSION, "streaming", silent_ms=12_000))
    await stage.accept()
    await stage.link.until(lambda: "begin" in stage.kinds())
    assert "silent for 1" in stage.link.progress()[0].message


async def test_a_wait_in_another_server_is_not_ours_to_show(stage: Stage) -> None:
    stage.tell(status=Status(SESSION, "waiting", read_only="process 1 on elsewhere"))
    await stage.progress.close()
    assert stage.link.requests == []


# -- the stop button -----------------------------------------------------------------------------


async def test_cancelling_a_compactions_bar_cancels_the_compaction(stage: Stage) -> None:
    stage.tell(started("c"))
    token = await stage.accept()
    await stage.progress.cancel(token)
    assert stage.supervisor.calls == [("cancel_compaction", SESSION)]


async def test_cancelling_a_waits_bar_stops_the_turn(stage: Stage) -> None:
    stage.tell(status=waiting(1))
    token = await stage.accept()
    await stage.progress.cancel(token)
    assert stage.supervisor.calls == [("stop", SESSION)]


async def test_cancelling_a_token_that_is_over_does_nothing(stage: Stage) -> None:
    await stage.progress.cancel("long gone")
    assert stage.supervisor.calls == []


async def test_who_shows_statuses_gets_a_bar_for_a_compaction_and_none_for_a_wait(
    stage: Stage,
) -> None:
    stage.progress.waits = False
    stage.tell(status=Status(SESSION, "waiting", reason="timeout"))
    stage.tell(started("c"), status=at("c", 10))
    await stage.accept()
    stage.tell(CompactionCommitted(compaction_id="c"), status=Status(SESSION, "idle"))
    await stage.over()
    titles = [value.title for value in stage.link.progress(None) if value.kind == "begin"]
    assert titles == ["Holdfast: compacting the conversation"]
    assert len(stage.link.requests) == 1
