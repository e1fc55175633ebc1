"""From checks to the one thing that is wrong.

Law: pure and total. The verdict is the deepest check that failed, because what lies above it could
not have worked; a cause that no check has seen is never named. Words for causes come from the
session's one table; only what nobody but an examination sees has its words here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from holdfast.network import answers, line, machine, past, path, streams
from holdfast.network.reports import HEALTHY, Check, State
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import POLICIES, FailureKind

ROUTE: Final = "route"
COMPARE: Final = "compare"
NO_ADDRESS: Final = "noAddress"
UNFINISHED: Final = "unfinished"
UNEXPLAINED: Final = "unexplained"

DEPTH: Final = (
    path.NAMES,
    path.CONNECT,
    path.PROXY,
    path.TLS,
    answers.ANSWER,
    answers.UPLOAD,
    streams.STREAM,
    past.PAST,
    line.LINE,
    answers.LIMITS,
    answers.CLOCK,
    machine.DISK,
    machine.STORE,
)
"""The checks from the deepest up: each needs those before it. The machine's stand by themselves."""

_APART: Final = frozenset({machine.DISK, machine.STORE, answers.CLOCK, line.LINE, past.PAST})


@attrs.frozen
class Words:
    """What is said of a verdict, and what to do about it."""

    says: str
    advice: str


OWN: Final[Mapping[str, Words]] = {
    HEALTHY: Words(
        "Nothing wrong here: the way to the API is free.",
        "If a turn waits, it is the API's own trouble; it goes on by itself.",
    ),
    NO_ADDRESS: Words(
        "No request can be addressed to the endpoint.",
        "Check the settings holdfast.baseUrl and holdfast.endpoints, and the variables of the "
        "environment that stand for them.",
    ),
    streams.HELD_BACK: Words(
        "Something on the way collects the stream and passes it on in one piece.",
        "Ask for buffering to be switched off for this address (a proxy, gateway or anti-virus); "
        "turns work, but show nothing until they are done, and long ones are cut.",
    ),
    # A turn is told what it does about it now; here there may be no turn.
    Cause.DURATION_CAP: Words(
        "Something on the way ends every answer at the same age.",
        "Ask who runs the proxy or gateway for a longer limit, or go without it. Turns learn the "
        "limit and ask for answers in shorter pieces.",
    ),
    answers.CLOCK_WRONG: Words(
        "This machine's clock is wrong.", "Let the system set its time by itself."
    ),
    line.LOSSY: Words(
        "The line loses packets.",
        "Move closer to the access point, use a cable, or try without the VPN.",
    ),
    path.ONE_FAMILY_SILENT: Words(
        "One family of addresses (IPv4 or IPv6) does not get through.",
        "Requests use the other; if they are slow to begin, switch off the one that is silent.",
    ),
    machine.DISK_FULL: Words(
        "The disk is full.", "Free some space; sessions go on by themselves then."
    ),
    machine.NOT_WRITABLE: Words(
        "The folder of sessions cannot be written.",
        "Check who owns it and its permissions, or set HOLDFAST_DATA_DIR to another folder.",
    ),
    machine.DISK_SLOW: Words(
        "The disk with the sessions is very slow.",
        "Look for what else writes to it, or set HOLDFAST_DATA_DIR to a folder of another disk.",
    ),
    machine.NETWORK_DISK: Words(
        "The sessions lie on another machine's disk.",
        "Set HOLDFAST_DATA_DIR to a folder of a disk in this machine: a store that several "
        "machines open over the network can be damaged.",
    ),
    machine.STORE_FAILED: Words(
        "The store of sessions cannot be used.",
        "The details say why; sessions are as they were when it can be opened again.",
    ),
    machine.STORE_BUSY: Words(
        "Another program keeps the store of sessions locked.",
        "Look for a backup, synchronisation or anti-virus program that works on the data folder; "
        "turns go on by themselves when it lets go.",
    ),
    UNEXPLAINED: Words(
        "A step failed, and nothing tells why.", "Look at the step, and report it if it stays."
    ),
    UNFINISHED: Words(
        "The examination could not be finished, and nothing had failed by then.",
        "The steps say why; examine it again.",
    ),
}


@attrs.frozen
class Verdict:
    """The word, what is said of it, what was seen, and what to do; `also` are causes that it does
    not explain.
    """

    cause: str
    headline: str
    seen: str
    advice: str
    also: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """What is wrong and what was seen, in one."""
        return f"{self.headline} {self.seen}".strip()


def words(cause: str) -> Words:
    """Return what is said of a cause, from the table that has it. An unknown one says nothing."""
    if cause in OWN:
        return OWN[cause]
    if cause in Cause.__members__.values():
        found = CAUSES[Cause(cause)]
        return Words(found.says, found.advice)
    if cause in FailureKind.__members__.values():
        policy = POLICIES[FailureKind(cause)]
        return Words(policy.says, policy.advice)
    return Words("", "")


def advised(check: Check) -> Check:
    """Return a check with the advice of its cause, unless it has its own."""
    if check.advice or not check.cause:
        return check
    return attrs.evolve(check, advice=words(check.cause).advice)


def judge(checks: Sequence[Check]) -> Verdict:
    """Name what is wrong."""
    by_name = {check.name: check for check in checks}
    found = [by_name[name] for name in DEPTH if name in by_name]
    bad = [check for check in found if check.state is State.BAD]
    own = [check for check in checks if check.state is State.BAD and check.name not in DEPTH]
    bad += [check for check in own if check.name != COMPARE]
    worth = [check for check in found if check.state is State.WARNING and check.cause]
    if not bad:
        return _without_failure(checks, worth)
    deepest = bad[0]
    cause = deepest.cause or UNEXPLAINED
    route = by_name.get(ROUTE)
    if route is not None and route.cause and deepest.name in {path.NAMES, path.CONNECT}:
        cause = route.cause
    rest = [check for check in bad[1:] if check.name in _APART] + worth
    also = tuple(dict.fromkeys(c.cause for c in rest if c.cause not in {"", cause}))
    said = words(cause)
    seen = " ".join(part for part in (deepest.says, _elsewhere(by_name)) if part)
    return Verdict(cause, said.says, seen, said.advice or deepest.advice, also)


def _without_failure(checks: Sequence[Check], worth: Sequence[Check]) -> Verdict:
    """Nothing failed: what is worth knowing is a verdict only when it changes what people see."""
    held_back = next((check for check in worth if check.cause in _FELT), None)
    also = tuple(dict.fromkeys(check.cause for check in worth if check is not held_back))
    if held_back is not None:
        said = words(held_back.cause)
        return Verdict(held_back.cause, said.says, held_back.says, said.advice, also)
    if any(check.cause == UNFINISHED for check in checks):
        said = OWN[UNFINISHED]
        return Verdict(UNFINISHED, said.says, "", said.advice, also)
    said = OWN[HEALTHY]
    notes = " ".join([*(check.says for check in worth), _alone(checks)])
    return Verdict(HEALTHY, said.says, notes.strip(), said.advice, also)


_FELT: Final = frozenset(
    {streams.HELD_BACK, Cause.DURATION_CAP, line.LOSSY, Cause.RATE_LIMITED, machine.STORE_BUSY}
)


def _elsewhere(by_name: Mapping[str, Check]) -> str:
    """Say what the comparison tells of where the trouble is."""
    compared = by_name.get(COMPARE)
    if compared is None or compared.state is State.SKIPPED:
        return ""
    if compared.state is State.GOOD:
        return f"{compared.says} So the trouble is on the way to this endpoint, or its own."
    return f"{compared.says} So the trouble is most likely this machine or its network."


def _alone(checks: Sequence[Check]) -> str:
    """Say of a comparison that failed by itself that it is not the endpoint's trouble."""
    compared = next((check for check in checks if check.name == COMPARE), None)
    return compared.says if compared is not None and compared.state is State.BAD else ""
