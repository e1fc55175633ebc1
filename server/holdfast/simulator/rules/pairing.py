"""Step 9: every call has its one result, where the API looks for it (R40 to R44, R48, R51 to R55).

Law: results answer an assistant turn only in the leading run of `tool_result` blocks after it;
the run crosses the borders of user messages and ends at the first other block (R40, R41).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Final

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.placement import is_server_result, unanswered_server_uses
from holdfast.simulator.rules.request import (
    SERVER_USES,
    JsonObject,
    Located,
    Turn,
    nested_blocks,
)

_CLIENT_USE: Final = "tool_use"
_USES: Final = SERVER_USES | {_CLIENT_USE}


def check_pairing(body: JsonObject, turns: list[Turn]) -> None:
    """Check the turns in order: an assistant turn with what follows it, then user turns."""
    seen: set[str] = set()
    answered_in = {
        place.data["tool_use_id"]: k
        for k, turn in enumerate(turns)
        for place in turn.blocks
        if is_server_result(place.data)
    }
    for k, turn in enumerate(turns):
        following = turns[k + 1] if k + 1 < len(turns) else None
        if turn.role == "assistant":
            _check_unique(turn, seen)
            _check_answered(turn, following)
            _check_server_results(turn, seen)
            _check_server_uses(turns, k, answered_in, body)
        elif turn.role == "user":
            previous = turns[k - 1] if k and turns[k - 1].role == "assistant" else None
            _check_results(turn, previous)
    _check_container(body, turns)


def leading_results(turn: Turn | None) -> list[Located]:
    """Return the leading run of `tool_result` blocks of a user turn."""
    if turn is None or turn.role != "user":
        return []
    return list(takewhile(lambda place: place.type == "tool_result", turn.blocks))


def _check_unique(turn: Turn, seen: set[str]) -> None:
    for place in turn.blocks:
        if place.type in _USES:
            if place.data["id"] in seen:
                raise refuse("R44", i=place.message, j=place.index)
            seen.add(place.data["id"])


def _check_answered(turn: Turn, following: Turn | None) -> None:
    answered = {place.data["tool_use_id"] for place in leading_results(following)}
    missing = [
        place
        for place in turn.blocks
        if place.type == _CLIENT_USE and place.data["id"] not in answered
    ]
    if missing:
        ids = ", ".join(place.data["id"] for place in missing)
        raise refuse("R40", i=missing[0].message, ids=ids)


def _check_server_results(turn: Turn, seen: set[str]) -> None:
    """A server tool's result may come later than its call, never without one (R55)."""
    for place in turn.blocks:
        if is_server_result(place.data) and place.data["tool_use_id"] not in seen:
            identifier = place.data["tool_use_id"]
            raise refuse("R55", i=place.message, j=place.index, type=place.type, id=identifier)


def _check_server_uses(
    turns: list[Turn], k: int, answered_in: Mapping[str, int], body: JsonObject
) -> None:
    """A call without a result in its own turn has one in a later turn, or may wait (R51)."""
    turn = turns[k]
    pending = [use for use in unanswered_server_uses(turn) if answered_in.get(use, 0) <= k]
    if not pending:
        return
    place = next(p for p in turn.blocks if p.data.get("id") == pending[0])
    tool = str(place.data["name"]) if place.type == "server_tool_use" else "mcp"
    if not _may_be_pending(turns, k):
        raise refuse("R51", i=place.message, tool=tool, id=pending[0])
    types = [str(t.get("type", "")) for t in body.get("tools", ())]
    if place.type == "server_tool_use" and not any(kind.startswith(tool) for kind in types):
        raise refuse("R52", i=place.message, tool=tool, id=pending[0])


def _may_be_pending(turns: list[Turn], k: int) -> bool:
    """A call may wait at the end (R53), or beside client calls whose results end it (R51)."""
    rest = [turn for turn in turns[k + 1 :] if turn.role != "system"]
    if not rest:
        return True
    mixed = any(place.type == _CLIENT_USE for place in turns[k].blocks)
    only_results = all(place.type == "tool_result" for place in rest[0].blocks)
    return mixed and only_results and len(rest) == 1


def _check_results(turn: Turn, previous: Turn | None) -> None:
    uses = {
        place.data["id"]
        for place in (previous.blocks if previous else ())
        if place.type == _CLIENT_USE
    }
    results = [place for place in turn.blocks if place.type == "tool_result"]
    for place in results:
        if place.data["tool_use_id"] not in uses:
            identifier = place.data["tool_use_id"]
            raise refuse("R42", i=place.message, j=place.index, id=identifier)
    answered: set[str] = set()
    for place in results:
        identifier = place.data["tool_use_id"]
        if identifier in answered:
            raise refuse("R43", i=place.message, j=place.index, id=identifier)
        answered.add(identifier)
    for place in results:
        _check_error_result(place)


def _check_error_result(place: Located) -> None:
    if place.data.get("is_error") is not True:
        return
    if not place.data.get("content"):
        raise refuse("R48", i=place.message, j=place.index)
    if any(inner["type"] != "text" for inner in nested_blocks(place.data)):
        raise refuse("R48b", i=place.message, j=place.index)


def _check_container(body: JsonObject, turns: list[Turn]) -> None:
    """Calls made by code that still runs can only be answered into its container (R54)."""
    if body.get("container") is not None or len(turns) < 2 or turns[-1].role != "user":
        return
    callers = [
        (place.data.get("caller") or {}).get("type", "direct")
        for place in turns[-2].blocks
        if place.type == _CLIENT_USE
    ]
    if any(caller != "direct" for caller in callers):
        raise refuse("R54")
