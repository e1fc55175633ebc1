"""Which result answers which call.

Law: ids decide, nearness breaks ties. The next user turn is looked at first, then results that came
late, then results that were written before their call. Of several results in the next turn those
without error win (A07). What answers nothing is left over; nothing is guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import attrs

from holdfast.conversation.history import USER
from holdfast.conversation.turns import Place, Turn, calls


@attrs.define(eq=False)
class Call:
    """One client call: its turn (a number), its id as found, the id it gets, and its result."""

    turn: int
    place: Place
    found_id: str
    new_id: str = ""
    result: Place | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Where the call stands: message and block."""
        return self.place.message, self.place.block


@attrs.frozen
class Links:
    """The calls of a history with their results, and the results that answer no call."""

    calls: tuple[Call, ...]
    left: tuple[Place, ...]


def link(turns: Sequence[Turn]) -> Links:
    """Give each call of a history its result."""
    asked = tuple(
        Call(number, place, place.value.text_of("id"))
        for number, turn in enumerate(turns)
        for place in calls(turn)
    )
    by_id: dict[str, list[Call]] = defaultdict(list)
    for call in asked:
        by_id[call.found_id].append(call)
    answers = _answers(turns)
    claimed = _link_near(by_id, answers)
    left: list[Place] = []
    for turn, place in answers:
        if (place.message, place.block) in claimed:
            continue
        waiting = [call for call in by_id.get(_id_of(place), ()) if call.result is None]
        if waiting:
            _nearest(waiting, turn).result = place
        else:
            left.append(place)
    return Links(asked, tuple(left))


def _answers(turns: Sequence[Turn]) -> list[tuple[int, Place]]:
    return [
        (number, place)
        for number, turn in enumerate(turns)
        if turn.role == USER
        for place in turn.places
        if place.value.type == "tool_result"
    ]


def _link_near(
    by_id: dict[str, list[Call]], answers: Sequence[tuple[int, Place]]
) -> set[tuple[int, int]]:
    """Link the results that stand in the turn right after their call; return where they stand."""
    near: dict[tuple[int, str], list[Place]] = defaultdict(list)
    for turn, place in answers:
        near[turn - 1, _id_of(place)].append(place)
    claimed: set[tuple[int, int]] = set()
    for (turn, tool_id), results in near.items():
        takers = [call for call in by_id.get(tool_id, ()) if call.turn == turn]
        for call, place in zip(takers, _best(results, len(takers)), strict=False):
            call.result = place
            claimed.add((place.message, place.block))
    return claimed


def _best(results: Sequence[Place], count: int) -> list[Place]:
    """Return `count` results in order, preferring those without error."""
    good_first = sorted(results, key=lambda place: place.value.get("is_error") is True)[:count]
    return sorted(good_first, key=lambda place: (place.message, place.block))


def _nearest(waiting: Sequence[Call], turn: int) -> Call:
    earlier = [call for call in waiting if call.turn < turn]
    return earlier[-1] if earlier else waiting[0]


def _id_of(result: Place) -> str:
    return result.value.text_of("tool_use_id")
