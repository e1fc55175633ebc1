"""Step 9, server tools: calls that the API runs itself, and who called (R49, R51, R52, R55).

Law: a result stands after its call and answers it once (R55); a call that code made stands after
the call that runs the code (R49); a call without a result may wait only while nothing but results
of client calls has been said since (R51, R53).
"""

from __future__ import annotations

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.placement import is_server_result, unanswered_server_uses
from holdfast.simulator.rules.request import SERVER_USES, JsonObject, Located, Turn


class ServerCalls:
    """The server calls of a history, seen turn by turn.

    `_open` are the calls that have no result yet, `_known` all that there were.
    """

    def __init__(self, body: JsonObject, turns: list[Turn]) -> None:
        self._body = body
        self._turns = turns
        self._open: set[str] = set()
        self._known: set[str] = set()
        self._answers: dict[str, list[int]] = {}
        for k, turn in enumerate(turns):
            for place in turn.blocks:
                if is_server_result(place.data):
                    self._answers.setdefault(place.data["tool_use_id"], []).append(k)

    def check(self, k: int) -> None:
        """Check assistant turn `k`, after all those before it."""
        unasked: list[Located] = []
        strangers: list[Located] = []
        for place in self._turns[k].blocks:
            source = (place.data.get("caller") or {}).get("tool_id")
            if source is not None and source not in self._known:
                strangers.append(place)
            if place.type in SERVER_USES:
                self._open.add(place.data["id"])
                self._known.add(place.data["id"])
            elif is_server_result(place.data):
                if place.data["tool_use_id"] not in self._open:
                    unasked.append(place)
                self._open.discard(place.data["tool_use_id"])
        self._check_waiting(k)
        for place in unasked:
            identifier = place.data["tool_use_id"]
            raise refuse("R55", i=place.message, j=place.index, type=place.type, id=identifier)
        for place in strangers:
            source = place.data["caller"]["tool_id"]
            raise refuse("R49", i=place.message, j=place.index, id=source)

    def _check_waiting(self, k: int) -> None:
        waiting = unanswered_server_uses(self._turns[k])
        if not waiting:
            return
        place = next(p for p in self._turns[k].blocks if p.data.get("id") == waiting[0])
        tool = str(place.data["name"]) if place.type == "server_tool_use" else "mcp"
        if not all(self._may_wait(k, use) for use in waiting):
            raise refuse("R51", i=place.message, tool=tool, id=waiting[0])
        types = [str(t.get("type", "")) for t in self._body.get("tools") or ()]
        goes_on = not self._answered_after(k, waiting[0]) and place.type == "server_tool_use"
        if goes_on and not any(kind.startswith(tool) for kind in types):
            raise refuse("R52", i=place.message, tool=tool, id=waiting[0])

    def _may_wait(self, k: int, use: str) -> bool:
        """Tell whether call `use` of turn `k` may go without a result in its own turn.

        It may when the history ends with it (R53), or when the turn also calls the client's tools
        and what follows is their results alone, up to the turn that answers it or to the end.
        """
        answered = self._answered_after(k, use)
        between = self._turns[k + 1 : answered]
        if not between:
            return ends_waiting(self._turns[k])
        if not any(place.type == "tool_use" for place in self._turns[k].blocks):
            return False
        users = [turn for turn in between if turn.role != "assistant"]
        results_only = all(
            turn.role == "user" and all(place.type == "tool_result" for place in turn.blocks)
            for turn in users
        )
        # Nobody speaks after the results of a call that never gets its own.
        return results_only and (answered is not None or len(between) == 1)

    def _answered_after(self, k: int, use: str) -> int | None:
        """Return the next turn after `k` that holds a result of call `use`."""
        return next((turn for turn in self._answers.get(use, ()) if turn > k), None)


def ends_waiting(turn: Turn) -> bool:
    """Tell whether a turn ends with a server call that the API is to go on with (R22, R53)."""
    last = turn.blocks[-1] if turn.blocks else None
    return last is not None and last.data.get("id") in unanswered_server_uses(turn)
