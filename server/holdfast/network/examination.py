"""One examination: all steps at once where they can be, in order where they must.

Law: it ends within its limit whatever the network does, it can be cancelled at any moment, and a
step that was not finished says so instead of being left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

import attrs

from holdfast.network import answers, line, machine, past, path, verdicts
from holdfast.network.asking import Asker
from holdfast.network.reports import NOT_REACHED, Check, Diagnosis, State
from holdfast.network.secrets import Blotter
from holdfast.network.subjects import Address, Reached, Route, Subject, WrongUrl, route_of, shown
from holdfast.network.threads import beside
from holdfast.network.wire import Patience, Trouble
from holdfast.session.causes import Cause

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

LIMIT_S: Final = 20.0
# What does not lie on the way.
_HERE: Final = frozenset({machine.DISK, machine.STORE})
# What is left of the limit for hanging up and drawing the conclusion.
_MARGIN: Final = 0.04


async def examine(
    subject: Subject,
    *,
    progress: Callable[[Reached], None] | None = None,
    limit_s: float = LIMIT_S,
) -> Diagnosis:
    """Examine the way to an endpoint and say what is wrong with it. Never raises but for
    cancellation.

    `progress` hears of every step that has ended. Slowness is judged by `limit_s`: a server that
    says nothing for two fifths of it is silent.
    """
    begun = time.monotonic()
    started_ms = time.time_ns() // 1_000_000
    board = Board(subject, progress)
    try:
        async with asyncio.timeout(limit_s * (1 - _MARGIN)):
            await _all(subject, board, limit_s)
    except TimeoutError:
        board.give_up(f"Not finished within {limit_s:g} s.")
    except Exception as error:  # noqa: BLE001 (who asks a doctor has trouble enough)
        _log.exception("the examination failed")
        board.give_up(f"The examination itself failed ({_kind(error)}); the log says more.")
    blot = Blotter(subject.secrets)
    checks = tuple(verdicts.advised(blot.check(check)) for check in board.checks())
    verdict = verdicts.judge(checks)
    return Diagnosis(
        verdict=verdict.cause,
        says=verdict.says,
        headline=verdict.headline,
        advice=verdict.advice,
        also=verdict.also,
        endpoint=shown(subject.base_url) if subject.base_url else "",
        checks=checks,
        started_ms=started_ms,
        ms=round((time.monotonic() - begun) * 1000),
        versions=subject.versions,
    )


def _kind(error: BaseException) -> str:
    """Return what kind of error it was, the first of several."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


class Board:
    """The checks of one examination as they come in, in the order in which people read them."""

    def __init__(self, subject: Subject, progress: Callable[[Reached], None] | None) -> None:
        self._order = [verdicts.ROUTE, *verdicts.DEPTH]
        if subject.compare_url is not None:
            self._order.append(verdicts.COMPARE)
        if subject.data_dir is None:
            self._order.remove(machine.DISK)
        if past.check(subject.past) is None:
            self._order.remove(past.PAST)
        own = [check.name for check in subject.own_checks]
        if subject.stored is None or machine.STORE in own:
            self._order.remove(machine.STORE)
        self._order += own
        self._found: dict[str, Check] = {}
        self._progress = progress

    def put(self, check: Check) -> None:
        """Take a check in, and tell who listens."""
        self._found[check.name] = check
        if self._progress is not None:
            self._progress(Reached(len(self._found), len(self._order), check.name))

    def __contains__(self, name: str) -> bool:
        """Whether a check is there already."""
        return name in self._found

    async def timed(self, work: Awaitable[tuple[Check, T]]) -> tuple[Check, T]:
        """Do a step, take in its check with the time it took, and return what it found."""
        begun = time.monotonic()
        check, found = await work
        check = attrs.evolve(check, ms=round((time.monotonic() - begun) * 1000))
        self.put(check)
        return check, found

    async def alone(self, work: Awaitable[Check]) -> Check:
        """Do a step that finds nothing but its check."""

        async def both() -> tuple[Check, None]:
            return await work, None

        return (await self.timed(both()))[0]

    def skip_rest(self) -> None:
        """Say of all steps of the way that have not begun that they were left out."""
        for name in verdicts.DEPTH:
            if name in self._order and name not in self._found and name not in _HERE:
                self.put(Check(name=name, state=State.SKIPPED, says=NOT_REACHED))

    def give_up(self, says: str) -> None:
        """Say of all that is missing why it is."""
        for name in self._order:
            if name not in self._found:
                self.put(
                    Check(name=name, state=State.SKIPPED, says=says, cause=verdicts.UNFINISHED)
                )

    def checks(self) -> Sequence[Check]:
        """Return all checks in their order."""
        return [self._found[name] for name in self._order if name in self._found]


async def _all(subject: Subject, board: Board, limit_s: float) -> None:
    ends = time.monotonic() + limit_s * (1 - _MARGIN)
    for check in subject.own_checks:
        board.put(check)
    remembered = past.check(subject.past)
    if remembered is not None:
        board.put(remembered)
    async with asyncio.TaskGroup() as group:
        group.create_task(_way(subject, board, limit_s, ends))
        folder = subject.data_dir
        if folder is not None:
            group.create_task(board.alone(beside(lambda: machine.disk(folder), "look at the disk")))
        stored = subject.stored
        if stored is not None and machine.STORE not in board:
            work = beside(lambda: machine.store(stored()), "look at the store")
            group.create_task(board.alone(work))
        if subject.compare_url is not None:
            group.create_task(board.alone(_compared(subject, subject.compare_url, limit_s)))


async def _way(subject: Subject, board: Board, limit_s: float, ends: float) -> None:
    """Go to the endpoint, as far as that goes."""
    await _walk(subject, board, limit_s, ends)
    board.skip_rest()


async def _walk(subject: Subject, board: Board, limit_s: float, ends: float) -> None:
    patience = Patience.within(limit_s)
    problem = subject.address_problem
    if problem is None:
        try:
            route = route_of(subject.base_url, subject.proxies)
        except (WrongUrl, ValueError) as error:
            problem = f"The address of the endpoint cannot be used: {error}."
    if problem is not None:
        cause = verdicts.NO_ADDRESS
        board.put(Check(name=path.NAMES, state=State.BAD, says=problem, cause=cause))
        return
    board.put(_any_route(route))
    check, addresses = await board.timed(path.names(route.hop, subject.resolve, patience))
    if check.state is State.BAD:
        return
    _, best = await board.timed(path.connects(route, addresses, patience))
    if best is None:
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(board.alone(line.line(best, route.hop.port, limit_s)))
        group.create_task(_talk(subject, board, route, best, limit_s, ends))


async def _talk(
    subject: Subject, board: Board, route: Route, best: Address, limit_s: float, ends: float
) -> None:
    """Ask the endpoint, once the way to it is open."""
    patience = Patience.within(limit_s)
    check = await board.alone(path.proxy(route, best, patience))
    if check.state is State.BAD:
        return
    try:
        context = await asyncio.to_thread(subject.trust)
    except OSError as error:  # also `ssl.SSLError`
        board.put(path.untrusting(error))
        return
    now = datetime.now(UTC)
    check = await board.alone(path.tls(route, best, context, patience, now))
    if check.state is State.BAD:
        return
    asker = Asker(subject, route, best, context, patience, limit_s, ends)
    check, told = await board.timed(asker.question())
    board.put(answers.clock(told, datetime.now(UTC)))
    if check.state is State.BAD:
        board.put(answers.headroom(told))
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(board.alone(asker.upload()))
        group.create_task(_stream(board, asker, told))


async def _stream(board: Board, asker: Asker, told: Mapping[str, str]) -> None:
    _, found = await board.timed(asker.stream())
    board.put(answers.headroom({**told, **found}))


def _any_route(route: Route) -> Check:
    if route.hop.is_local or path.has_a_route():
        return Check(
            name=verdicts.ROUTE, state=State.GOOD, says="This machine has a network connection."
        )
    return Check(
        name=verdicts.ROUTE,
        state=State.WARNING,
        says="This machine has no network connection.",
        cause=str(Cause.OFFLINE),
    )


async def _compared(subject: Subject, address: str, limit_s: float) -> Check:
    """Go to another address that the person named, without any secret."""
    patience = Patience.within(limit_s * 0.8)
    place = shown(address)
    try:
        route = route_of(address, subject.proxies)
        check, addresses = await path.names(route.hop, subject.resolve, patience)
        best: Address | None = None
        if addresses:
            check, best = await path.connects(route, addresses, patience)
        if best is not None:
            context = await asyncio.to_thread(subject.trust)
            async with await path.opened(route, best, context, patience) as connection:
                answer = await connection.exchange(
                    "HEAD", route.path("/"), {}, patience, body_s=0.0
                )
            says = f"{place} answers."
            return Check(
                name=verdicts.COMPARE,
                state=State.GOOD,
                says=says,
                facts={"status": answer.status, "ms": round(answer.first_ms)},
            )
        why = check.says
    except WrongUrl as error:
        why = f"{str(error).capitalize()}."
    except Trouble as trouble:
        why = f"It failed at the step {trouble.step.value}."
    return Check(name=verdicts.COMPARE, state=State.BAD, says=f"{place} does not answer. {why}")
