"""An examination ends by its own clock, whatever the endpoint does (P7)."""

from __future__ import annotations

import asyncio

import pytest

from agent.doubles import PlayedModel, QuickWorld
from holdfast.agent import examiner
from holdfast.conversation.history import assistant, user
from holdfast.conversation.profile import DEFAULT
from holdfast.model import port
from holdfast.session import inputs as inp
from holdfast.session import refusals
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.ladder import Blind, Case
from holdfast.session.rungs import Scene, Sent
from session.climbing import examined

LIMIT_S = 10.0


class SilentCounter(PlayedModel):
    """Takes a count and never answers."""

    def __init__(self) -> None:
        super().__init__([""])
        self.asked = 0

    async def count_tokens(self, request: port.ModelRequest) -> int:
        self.asked += 1
        await asyncio.Event().wait()
        return 0


def effect() -> inp.Examine:
    history = (user("a", origin="1"), assistant("b", origin="2"), user("c", origin="3"))
    said = "messages.0: something is wrong with it"
    failure = Failure(kind=FailureKind.INVALID_REQUEST, status=400, message=said)
    case = Case(Sent(history), refusals.read(failure), Scene(DEFAULT, prompt_origin="3"), head="3")
    return inp.Examine("t_1", "m", 1, case)


def request(_sent: Sent) -> port.ModelRequest:
    return port.ModelRequest(
        model="m", system="", tools=(), messages=(user("a"),), max_output_tokens=1, idle_cut_s=1
    )


@pytest.mark.parametrize("limit_s", [0.0, 0.05])
async def test_P7_a_question_that_is_never_answered_ends_at_the_limit_as_if_nobody_counted(
    limit_s: float,
) -> None:
    model = SilentCounter()
    async with asyncio.timeout(LIMIT_S):
        found = await examiner.examine(effect(), model, QuickWorld(), request, limit_s=limit_s)
    assert found.outcome == examined(found.case, lambda _sent: Blind.MISSING)
    assert model.asked <= 1, "after the limit nothing more is asked"
    assert (found.turn_id, found.prefix_version) == ("t_1", 1)
