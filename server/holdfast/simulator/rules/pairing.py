"""Step 9: every call has its one result, where the API looks for it (R40 to R44, R48, R50, R54).

Law: results answer an assistant turn only in the leading run of `tool_result` blocks after it;
the run crosses the borders of user messages and ends at the first other block (R40, R41).
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import (
    SERVER_USES,
    JsonObject,
    Located,
    Turn,
    nested_blocks,
)
from holdfast.simulator.rules.server_tools import ServerCalls

_CLIENT_USE: Final = "tool_use"
_USES: Final = SERVER_USES | {_CLIENT_USE}
_TOOLSET_CONTENT: Final = frozenset({"text", "image", "browser_state"})


def check_pairing(body: JsonObject, turns: list[Turn]) -> None:
    """Check the turns in order: an assistant turn with what follows it, then user turns."""
    seen: set[str] = set()
    server_calls = ServerCalls(body, turns)
    for k, turn in enumerate(turns):
        following = turns[k + 1] if k + 1 < len(turns) else None
        if turn.role == "assistant":
            _check_unique(turn, seen)
            _check_answered(turn, following)
            server_calls.check(k)
            _check_container(body, turn, turns)
        elif turn.role == "user":
            previous = turns[k - 1] if k and turns[k - 1].role == "assistant" else None
            _check_results(turn, previous)


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


def _check_results(turn: Turn, previous: Turn | None) -> None:
    uses = {
        place.data["id"]: place.data
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
        _check_toolset(place, uses[place.data["tool_use_id"]])


def _check_error_result(place: Located) -> None:
    if place.data.get("is_error") is not True:
        return
    if not place.data.get("content"):
        raise refuse("R48", i=place.message, j=place.index)
    if any(inner["type"] != "text" for inner in nested_blocks(place.data)):
        raise refuse("R48b", i=place.message, j=place.index)


def _check_toolset(place: Located, use: JsonObject) -> None:
    """The result of a toolset's member names the toolset and shows only what it can (R50)."""
    toolset = use.get("toolset_name")
    if place.data.get("toolset_name") != toolset:
        raise refuse("R50a", i=place.message, j=place.index, toolset=toolset)
    if toolset and any(b["type"] not in _TOOLSET_CONTENT for b in nested_blocks(place.data)):
        raise refuse("R50b", i=place.message, j=place.index)


def _check_container(body: JsonObject, turn: Turn, turns: list[Turn]) -> None:
    """Calls made by code that still runs can only be answered into its container (R54)."""
    spoken = [other for other in turns if other.role != "system"]
    if len(spoken) < 2 or spoken[-2] is not turn or spoken[-1].role != "user":
        return
    called_by_code = {
        place.data["id"]
        for place in turn.blocks
        if place.type == _CLIENT_USE
        and (place.data.get("caller") or {}).get("type", "direct") != "direct"
    }
    if not called_by_code:
        return
    if body.get("container") is None:
        raise refuse("R54")
    for place in spoken[-1].blocks:
        if place.type != "tool_result":
            raise refuse("R54b", i=place.message)
        texts_only = all(inner["type"] == "text" for inner in nested_blocks(place.data))
        if place.data["tool_use_id"] in called_by_code and not texts_only:
            raise refuse("R54c", i=place.message, j=place.index)
