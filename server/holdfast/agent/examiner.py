"""Finding out what a refused request needs, by asking the API to count it.

Law: nothing here is decided or paid: `session.ladder` says what to ask, this asks. A question that
gets no answer is asked again a few times; an endpoint that cannot count is said to be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from holdfast.agent.clock import World
from holdfast.model.port import Model, ModelFailed, ModelRequest
from holdfast.session import inputs as inp
from holdfast.session import refusals
from holdfast.session.failures import POLICIES, Failure, FailureKind, Remedy
from holdfast.session.ladder import Answer, Blind, Climb, Outcome, climb
from holdfast.session.rungs import Sent

ASKED_MAX: Final = 3
"""How often one question is asked when the network or the API does not answer it."""
WAIT_MAX_S: Final = 5.0
DEADLINE_S: Final = 120.0
"""How long one examination may take; what is not known by then is not asked any more."""

_UNSUPPORTED: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


async def examine(
    effect: inp.Examine,
    model: Model,
    world: World,
    build: Callable[[Sent], ModelRequest],
    *,
    limit_s: float = DEADLINE_S,
) -> inp.Examined:
    """Climb the ladder for a refused request. `build` makes a request of what may be changed.

    Questions that are open or come after `limit_s` count as not answered.
    """
    deadline = asyncio.get_running_loop().time() + limit_s
    climbing = climb(effect.case)
    answer: Answer = None
    sent, outcome = await asyncio.to_thread(_next, climbing, None)
    while sent is not None:
        try:
            async with asyncio.timeout_at(deadline):
                answer = await _counted(model, world, build(sent))
            if isinstance(answer, refusals.Refusal) and effect.case.scene.turns_joined:
                answer = refusals.before_joining(answer, sent.history)
        except TimeoutError:
            answer = Blind.MISSING
        sent, outcome = await asyncio.to_thread(_next, climbing, (answer,))
    assert outcome is not None
    return inp.Examined(effect.turn_id, effect.prefix_version, effect.case, outcome)


def _next(climbing: Climb, answer: tuple[Answer] | None) -> tuple[Sent | None, Outcome | None]:
    """Take one step. A repair of a long history takes a while, so this runs in a thread."""
    try:
        return (next(climbing) if answer is None else climbing.send(answer[0])), None
    except StopIteration as done:
        return None, done.value


async def _counted(model: Model, world: World, request: ModelRequest) -> Answer:
    for attempt in range(ASKED_MAX):
        try:
            await model.count_tokens(request)
        except ModelFailed as failed:
            failure = failed.failure
            if failure.kind is FailureKind.INVALID_REQUEST:
                unsupported = failure.status in _UNSUPPORTED
                return Blind.MISSING if unsupported else refusals.read(failure)
            if not _passes(failure) or attempt == ASKED_MAX - 1:
                return Blind.MISSING
            await world.sleep(_wait_s(failure, attempt))
        else:
            return None
    return Blind.MISSING


def _passes(failure: Failure) -> bool:
    """Whether a failure goes away by itself; one that says "not here" does not."""
    again = {Remedy.RETRY, Remedy.CONTINUE}
    return POLICIES[failure.kind].remedy in again and failure.status not in _UNSUPPORTED


def _wait_s(failure: Failure, attempt: int) -> float:
    asked_ms = failure.retry_after_ms or POLICIES[failure.kind].base_ms * 2**attempt
    return min(asked_ms / 1000, WAIT_MAX_S)
