"""Permission questions: asked once, answered by a person, or open for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from lsprotocol import types

from holdfast.agent.api import Batch, OpenQuestion, Status
from holdfast.lsp.notices import Notices
from holdfast.lsp.questions import DETAIL_CHARS_MAX, Questions
from holdfast.session.events import Event, QuestionAnswered, QuestionAsked, TurnEnd, TurnEnded
from holdfast.session.inputs import Recorded
from lsp.scripted import SESSION, RecordingLink, ScriptedSupervisor, Sent, blank_view

ASKED = QuestionAsked(
    question_id="q",
    tool_use_id="t",
    tool="run",
    title="Run `make test`?",
    detail="make test",
    pattern="make *",
)
OPEN = OpenQuestion("q", SESSION, "t", "run", "Run `make test`?", "make test", "make *")


class Stage:
    def __init__(self) -> None:
        self.link = RecordingLink()
        self.supervisor = ScriptedSupervisor()
        self.supervisor.open_questions = {"q"}
        self.questions = Questions(self.link, self._supervisor)

    async def _supervisor(self) -> Any:
        return self.supervisor

    def tell(self, *events: Event) -> None:
        records = tuple(Recorded(n, 0, event) for n, event in enumerate(events, 1))
        self.questions.batch_seen(SESSION, Batch(records, None))

    async def shown(self) -> Sent:
        await self.link.until(lambda: self.link.requests)
        return self.link.requests[-1]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.questions.session_ended(SESSION)
    await asyncio.sleep(0)


async def test_a_question_is_shown_with_three_answers_and_what_always_means(stage: Stage) -> None:
    stage.tell(ASKED)
    sent = await stage.shown()
    assert sent.method == types.WINDOW_SHOW_MESSAGE_REQUEST
    assert sent.params.message == "Run `make test`?\nmake test\nAlways allow: make *"
    titles = [action.title for action in sent.params.actions]
    assert titles == ["Allow", "Always allow", "Deny"]


@pytest.mark.parametrize(
    ("title", "answer"), [("Allow", "allow"), ("Always allow", "allowAlways"), ("Deny", "deny")]
)
async def test_the_chosen_answer_is_given(stage: Stage, title: str, answer: str) -> None:
    stage.tell(ASKED)
    (await stage.shown()).answer.set_result(types.MessageActionItem(title=title))
    await stage.link.until(lambda: stage.supervisor.calls)
    assert stage.supervisor.calls == [("answer", "q", answer)]


@pytest.mark.parametrize("result", [None, types.MessageActionItem(title="Something else")])
async def test_a_dismissed_dialog_answers_nothing(stage: Stage, result: Any) -> None:
    stage.tell(ASKED)
    sent = await stage.shown()
    sent.answer.set_result(result)
    await asyncio.sleep(0.01)
    stage.tell(ASKED)
    assert stage.supervisor.calls == []
    assert stage.link.requests == [sent], "and the person is not asked again on this connection"


async def test_an_editor_that_cannot_show_it_leaves_it_open(stage: Stage) -> None:
    stage.tell(ASKED)
    stage.link.refuse(await stage.shown())
    await asyncio.sleep(0.01)
    assert stage.supervisor.calls == []


async def test_a_window_opened_later_is_asked_what_is_open(stage: Stage) -> None:
    stage.questions.session_seen(blank_view(3, Status(SESSION, "asking"), questions=(OPEN,)))
    await stage.shown()
    stage.tell(ASKED)
    assert len(stage.link.requests) == 1, "once, also when it comes both ways"


async def test_a_client_with_a_view_of_its_own_is_not_asked(stage: Stage) -> None:
    stage.questions.wanted = False
    stage.tell(ASKED)
    await asyncio.sleep(0)
    assert stage.link.requests == []


async def test_a_question_of_another_server_is_not_asked_here(stage: Stage) -> None:
    status = Status(SESSION, "asking", read_only="process 1 on elsewhere")
    stage.questions.session_seen(blank_view(3, status, questions=(OPEN,)))
    await asyncio.sleep(0)
    assert stage.link.requests == []


@pytest.mark.parametrize(
    "end",
    [
        QuestionAnswered(question_id="q", answer="deny"),
        TurnEnded(turn_id="t", reason=TurnEnd.STOPPED),
    ],
)
async def test_a_dialog_is_taken_back_when_nobody_needs_its_answer(
    stage: Stage, end: Event
) -> None:
    stage.tell(ASKED)
    sent = await stage.shown()
    stage.tell(end)
    await stage.link.until(lambda: sent.withdrawn)


async def test_a_late_answer_changes_nothing(stage: Stage) -> None:
    stage.tell(ASKED)
    stage.supervisor.open_questions = set()
    (await stage.shown()).answer.set_result(types.MessageActionItem(title="Allow"))
    await stage.link.until(lambda: stage.supervisor.calls)
    assert stage.link.notified == []


async def test_a_long_detail_is_cut_but_the_pattern_is_not(stage: Stage) -> None:
    long = QuestionAsked(
        question_id="q",
        tool_use_id="t",
        tool="write",
        title="Write?",
        detail="x" * 10 * DETAIL_CHARS_MAX,
        pattern="src/*",
    )
    stage.tell(long)
    message = (await stage.shown()).params.message
    assert len(message) < DETAIL_CHARS_MAX + 100
    assert message.endswith("…\nAlways allow: src/*")


# -- notices of pauses ---------------------------------------------------------------------------


def paused(reason: str) -> Status:
    return Status(SESSION, "paused", reason=reason, message="No credit.", advice="Check billing.")


def test_a_pause_is_told_once_until_something_else_happens() -> None:
    link = RecordingLink()
    notices = Notices(link)
    for status in [
        paused("billing"),
        Status(SESSION, "requesting"),
        paused("billing"),
        paused("network"),
        Status(SESSION, "streaming"),
        paused("network"),
    ]:
        notices.batch_seen(SESSION, Batch((), status))
    messages = [params.message for _, params in link.notified]
    assert messages == ["The turn is paused. No credit. Check billing."] * 3


def test_a_paused_session_is_told_of_when_it_is_opened_by_its_title() -> None:
    link = RecordingLink()
    Notices(link).session_seen(blank_view(1, paused("billing")))
    assert link.notified[0][1].message == "“A session” is paused. No credit. Check billing."


def test_a_client_that_shows_statuses_gets_no_notices() -> None:
    link = RecordingLink()
    notices = Notices(link)
    notices.wanted = False
    notices.session_seen(blank_view(1, paused("billing")))
    assert link.notified == []
