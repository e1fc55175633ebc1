"""Permission questions for editors without a view of their own.

Law: a question is asked once on each connection that cares about its session, and stays open
until someone answers it somewhere: no time-out, no dismissed dialog and no closed window answers
in a person's place. A late answer changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from holdfast.agent.api import Batch, OpenQuestion, SessionView
from holdfast.agent.errors import AgentError, UnknownQuestion
from holdfast.journal.store import StoreError
from holdfast.session.events import QuestionAnswered, QuestionAsked, TurnEnded

if TYPE_CHECKING:
    from holdfast.lsp.bars import Link
    from holdfast.lsp.port import Answer, Supervisor

logger = logging.getLogger(__name__)

DETAIL_CHARS_MAX: Final = 2_000
ANSWERS: Final[dict[str, Answer]] = {
    "Allow": "allow",
    "Always allow": "allowAlways",
    "Deny": "deny",
}


class Questions:
    """The questions that one connection was asked. `wanted`: the client has no view of its own."""

    def __init__(self, link: Link, supervisor: Callable[[], Awaitable[Supervisor]]) -> None:
        self.wanted = True
        self._link = link
        self._supervisor = supervisor
        self._asked: set[str] = set()
        self._open: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def session_seen(self, view: SessionView) -> None:
        """See `followers.Audience`."""
        for question in view.questions:
            if view.status.read_only is None:
                self._ask(view.session_id, question)

    def batch_seen(self, session_id: str, batch: Batch) -> None:
        """See `followers.Audience`."""
        for record in batch.events:
            match record.event:
                case QuestionAsked() as asked:
                    question = OpenQuestion(
                        asked.question_id,
                        session_id,
                        asked.tool_use_id,
                        asked.tool,
                        asked.title,
                        asked.detail,
                        asked.pattern,
                    )
                    self._ask(session_id, question)
                case QuestionAnswered(question_id=answered):
                    self._withdraw(answered)
                case TurnEnded():
                    self.session_ended(session_id)
                case _:
                    pass

    def session_ended(self, session_id: str) -> None:
        """See `followers.Audience`."""
        for question_id, (owner, _) in list(self._open.items()):
            if owner == session_id:
                self._withdraw(question_id)

    def _ask(self, session_id: str, question: OpenQuestion) -> None:
        if not self.wanted or question.question_id in self._asked:
            return
        self._asked.add(question.question_id)
        task = asyncio.create_task(self._show(question), name=f"question {question.question_id}")
        self._open[question.question_id] = (session_id, task)

    def _withdraw(self, question_id: str) -> None:
        """Take a dialog back: the question has its answer, or nobody needs one any more."""
        _, task = self._open.pop(question_id, ("", None))
        if task is not None:
            task.cancel()

    async def _show(self, question: OpenQuestion) -> None:
        try:
            chosen = await self._link.ask(
                types.WINDOW_SHOW_MESSAGE_REQUEST,
                types.ShowMessageRequestParams(
                    type=types.MessageType.Info,
                    message=_message(question),
                    actions=[types.MessageActionItem(title=title) for title in ANSWERS],
                ),
                None,
            )
            answer = ANSWERS.get(chosen.title) if chosen is not None else None
            self._open.pop(question.question_id, None)
            if answer is not None:
                supervisor = await self._supervisor()
                await supervisor.answer(question.question_id, answer)
        except UnknownQuestion:
            logger.info("question %s was answered elsewhere", question.question_id)
        except JsonRpcException:
            logger.info("the editor cannot show question %s", question.question_id)
        except (StoreError, AgentError) as error:
            logger.warning("the answer to %s could not be taken: %s", question.question_id, error)
            self._link.notify(
                types.WINDOW_SHOW_MESSAGE,
                types.ShowMessageParams(
                    type=types.MessageType.Error, message=f"{error} {error.action}"
                ),
            )


def _message(question: OpenQuestion) -> str:
    detail = question.detail[:DETAIL_CHARS_MAX]
    cut = "\n…" if len(question.detail) > DETAIL_CHARS_MAX else ""
    always = f"\nAlways allow: {question.pattern}" if question.pattern else ""
    return "\n".join(part for part in (question.title, detail + cut + always) if part.strip())
