"""Climbing the ladder: which change makes the API accept a request that it has refused.

Law: pure and bounded. The climb asks the free `count_tokens`, which applies the same rules, before
it decides anything: first whether it sees the fault at all, then after each rung whether it helped.
Where it is missing or blind, what is known decides, and only the paid request tells. A rung is
never taken twice for the same head, place and fragment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import StrEnum
from typing import Final, TypeAlias

import attrs

from holdfast.conversation.history import History
from holdfast.conversation.repair import repair
from holdfast.session import bisection, rungs
from holdfast.session.refusals import Family, Refusal
from holdfast.session.rungs import Change, RepairRung, Scene, Sent

EXTRA_REQUESTS_MAX: Final = 2
"""How many more requests one refusal may cost."""

PLACES_MAX: Final = 8
"""How many places are mended for one refusal before everything becomes text."""

QUESTIONS_MAX: Final = 160
"""How often the free endpoint is asked in one climb."""

Key: TypeAlias = tuple[str, str, str, str]
"""Head of the journal, rung, place, fragment."""


class Blind(StrEnum):
    """Why the free endpoint cannot help."""

    MISSING = "missing"


Answer: TypeAlias = Refusal | Blind | None
"""What counting says: refused, cannot be asked, or (None) accepted."""

Climb: TypeAlias = Generator[Sent, Answer, "Outcome"]
Beginning: TypeAlias = Callable[[int], History]


class Verdict(StrEnum):
    """How a climb ended."""

    MENDED = "mended"
    AGAIN = "again"  # the API takes the very same history elsewhere: the refusal may have passed
    GIVEN_UP = "givenUp"


@attrs.frozen
class Case:
    """A refused request. `head` is the newest record, `extra` how many more requests may be paid.

    `tried` are the rungs that were taken before.
    """

    sent: Sent
    refusal: Refusal
    scene: Scene
    head: str = ""
    extra: int = EXTRA_REQUESTS_MAX
    tried: frozenset[Key] = frozenset()

    def key(self, change: Change) -> Key:
        """Return what makes a rung the same as one that was taken before."""
        return (self.head, change.rung.value, change.place, self.refusal.fragment)

    def is_new(self, change: Change) -> bool:
        """Whether a rung was not taken before."""
        return self.key(change) not in self.tried


@attrs.frozen
class Outcome:
    """What to do. `checked`: the free endpoint has accepted it; `questions` it was asked."""

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    checked: bool = False
    questions: int = 0


class _CannotAsk(Exception):
    """Counting has ended in the middle: missing, out of reach, or asked too often."""


@attrs.define
class _Asked:
    count: int = 0


def climb(case: Case) -> Climb:
    """Find out what to change. Yields what is to be counted, is sent what came of it."""
    asked = _Asked()
    if case.extra < 1:
        return Outcome(Verdict.GIVEN_UP)
    try:
        first = yield from _ask(case.sent, asked)
        if first is None:
            outcome = yield from _unseen(case, asked)
        else:
            found = case.refusal if case.refusal.is_placed else _merged(case.refusal, first)
            outcome = yield from _mended(case, found, asked)
    except _CannotAsk:
        outcome = _by_knowledge(case)
    return attrs.evolve(outcome, questions=asked.count)


def _ask(sent: Sent, asked: _Asked) -> Generator[Sent, Answer, Refusal | None]:
    if asked.count >= QUESTIONS_MAX:
        raise _CannotAsk
    asked.count += 1
    answer = yield sent
    if isinstance(answer, Blind):
        raise _CannotAsk
    return answer


def _merged(refusal: Refusal, counted: Refusal) -> Refusal:
    """Take the place from the answer that has one; the family from the first that is known."""
    family = counted if refusal.family is Family.UNKNOWN else refusal
    place = counted if counted.is_placed else refusal
    return attrs.evolve(place, family=family.family, rule=family.rule)


def _unseen(case: Case, asked: _Asked) -> Generator[Sent, Answer, Outcome]:
    """Counting accepts what was refused: it cannot tell what helps, only what makes it worse."""
    is_known = case.refusal.is_placed or case.refusal.family is not Family.UNKNOWN
    if case.extra >= EXTRA_REQUESTS_MAX and not is_known:
        return Outcome(Verdict.AGAIN)
    for change in _known(case) if case.extra > 1 else ():
        if (yield from _ask(change.after, asked)) is None:
            return Outcome(Verdict.MENDED, (change,))
    if hidden := _words_refused(case):
        return Outcome(Verdict.MENDED, hidden)
    outcome = yield from _as_text(case, asked)
    return attrs.evolve(outcome, checked=False)


def _words_refused(case: Case) -> tuple[Change, ...]:
    """Withhold a place that is refused although its words became text, if there is one.

    In the whole history as text the words would still be. A result of a tool stays one, whatever
    is in it, so that what is refused may be that: then the history becomes text besides. Asked
    where no free count tells: of gateways that count by themselves, and where none counts.
    """
    change = next(_known(case), None)
    if change is None or change.rung is not RepairRung.WITHHOLD:
        return ()
    as_text = (case.head, RepairRung.QUARANTINE.value, change.place, case.refusal.fragment)
    if as_text not in case.tried:
        return ()
    if _is_text(case.sent.history, rungs.place_of(case.sent.history, case.refusal)):
        return (change,)
    plain = rungs.plain(change.after, case.scene.profile)
    return (change, plain) if case.is_new(plain) else (change,)


def _is_text(history: History, place: tuple[int, int | None] | None) -> bool:
    if place is None or place[1] is None:
        return False
    blocks = history[place[0]].blocks
    return place[1] < len(blocks) and blocks[place[1]].type == "text"


def _known(case: Case) -> Generator[Change]:
    """Yield the rungs that the words of a refusal suggest."""
    found = list(rungs.candidates(case.sent, case.refusal, case.scene))
    if case.refusal.family is Family.MEDIA:
        found.append(rungs.without_all_media(case.sent, case.scene.profile, case.refusal.rule))
    for change in found:
        if change.after != case.sent and case.is_new(change):
            yield change


def _by_knowledge(case: Case) -> Outcome:
    """Choose one rung without being able to check it; the last request is for plain text, unless
    that is what was refused already.
    """
    if case.extra > 1 and (change := next(_known(case), None)) is not None:
        return Outcome(Verdict.MENDED, (change,))
    if hidden := _words_refused(case):
        return Outcome(Verdict.MENDED, hidden)
    change = rungs.plain(case.sent, case.scene.profile)
    if case.extra > 0 and change.after != case.sent and case.is_new(change):
        return Outcome(Verdict.MENDED, (change,))
    return Outcome(Verdict.GIVEN_UP)


def _mended(case: Case, refusal: Refusal, asked: _Asked) -> Generator[Sent, Answer, Outcome]:
    """Mend place after place; when that does not lead anywhere, everything becomes text."""
    sent, done = case.sent, tuple[Change, ...]()
    for _ in range(PLACES_MAX):
        step = yield from _one_place(case, sent, refusal, asked)
        if step is None:
            break
        change, left = step
        sent, done = change.after, (*done, change)
        if left is None:
            return Outcome(Verdict.MENDED, done, checked=True)
        refusal = left
    return (yield from _as_text(case, asked))


def _one_place(
    case: Case, sent: Sent, refusal: Refusal, asked: _Asked
) -> Generator[Sent, Answer, tuple[Change, Refusal | None] | None]:
    """Find a change after which the refusal is gone, or is another one."""
    if refusal.message is not None and refusal.block is None:
        refusal = yield from _narrowed(case, sent, refusal, asked)
    for change in _new(case, sent, refusal):
        left = yield from _ask(change.after, asked)
        if left is None or _is_another(refusal, left):
            return change, left
    message, block = yield from _search(case, sent, asked)
    if (message, block) == rungs.place_of(sent.history, refusal):
        return None
    located = attrs.evolve(refusal, message=message, block=block, tool=None, ids=())
    for change in _new(case, sent, located):
        left = yield from _ask(change.after, asked)
        if left is None:
            return change, None
        if (yield from _is_clear(case, sent, change.after, message, asked)):
            return change, left
    return None


def _new(case: Case, sent: Sent, refusal: Refusal) -> Generator[Change]:
    for change in rungs.candidates(sent, refusal, case.scene):
        if case.is_new(change):
            yield change


def _is_another(refusal: Refusal, left: Refusal) -> bool:
    """Whether what is refused now is something else: another place, call or reason."""
    if refusal.is_placed and left.is_placed:
        same_block = None in {refusal.block, left.block} or refusal.block == left.block
        same = (refusal.message, refusal.tool, refusal.ids) == (left.message, left.tool, left.ids)
        return not (same and same_block)
    return left.fragment != refusal.fragment


def _is_clear(
    case: Case, sent: Sent, after: Sent, message: int, asked: _Asked
) -> Generator[Sent, Answer, bool]:
    """Ask whether the history is accepted up to a place now: the same words may mean the next."""
    tail = len(sent.history) - (message + 1)
    legal = repair(after.history[: len(after.history) - tail], profile=case.scene.profile).history
    return (yield from _ask(attrs.evolve(after, history=legal), asked)) is None


def _narrowed(
    case: Case, sent: Sent, refusal: Refusal, asked: _Asked
) -> Generator[Sent, Answer, Refusal]:
    """Find the block in a message that a refusal names as a whole."""
    place = rungs.place_of(sent.history, refusal)
    if place is None or place[1] is not None or refusal.ids:
        return refusal
    before = repair(sent.history[: place[0]], profile=case.scene.profile).history
    if before and (yield from _ask(attrs.evolve(sent, history=before), asked)) is not None:
        return refusal
    block = yield from _search_block(case, sent, place[0], asked)
    return attrs.evolve(refusal, block=block)


# -- the search ------------------------------------------------------------------------------------


def _search(case: Case, sent: Sent, asked: _Asked) -> Generator[Sent, Answer, tuple[int, int]]:
    """Find the part with which the refusal begins, by counting beginnings of the history."""
    search = bisection.first_refused(len(sent.history))
    message = yield from _counted(search, lambda length: sent.history[:length], case, sent, asked)
    return message, (yield from _search_block(case, sent, message, asked))


def _search_block(
    case: Case, sent: Sent, index: int, asked: _Asked
) -> Generator[Sent, Answer, int]:
    message = sent.history[index]

    def beginning(length: int) -> History:
        return (*sent.history[:index], attrs.evolve(message, blocks=message.blocks[:length]))

    search = bisection.first_refused(max(1, len(message.blocks)))
    return (yield from _counted(search, beginning, case, sent, asked))


def _counted(
    search: Generator[int, bool, int],
    beginning: Beginning,
    case: Case,
    sent: Sent,
    asked: _Asked,
) -> Generator[Sent, Answer, int]:
    try:
        length = next(search)
        while True:
            # A beginning must break no rule that is known, or it is refused for that.
            legal = repair(beginning(length), profile=case.scene.profile).history
            refused = yield from _ask(attrs.evolve(sent, history=legal), asked)
            length = search.send(refused is not None)
    except StopIteration as found:
        return int(found.value)


# -- everything as text ----------------------------------------------------------------------------


def _as_text(case: Case, asked: _Asked) -> Generator[Sent, Answer, Outcome]:
    """Everything as text; what is refused even then is withheld."""
    change = rungs.plain(case.sent, case.scene.profile)
    if case.extra < 1 or not case.is_new(change):
        return Outcome(Verdict.GIVEN_UP)
    sent, done = change.after, (change,) if change.after != case.sent else ()
    for _ in range(PLACES_MAX):
        if (yield from _ask(sent, asked)) is None:
            return Outcome(Verdict.MENDED, done, checked=True)
        message, block = yield from _search(case, sent, asked)
        hidden = rungs.withhold(sent, case.scene, message, block)
        if hidden is None or hidden.after == sent:
            break
        sent, done = hidden.after, (*done, hidden)
    return Outcome(Verdict.GIVEN_UP)
