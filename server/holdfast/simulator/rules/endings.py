"""Step 11: how a history may end (R22, R23, R39, R68, R69).

Law: current models take no prefill, so the last to speak is the user; the exceptions are a paused
turn and a request for compaction. A system message after the assistant changes nothing about it.
"""

from __future__ import annotations

from typing import Final

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.parameters import thinking_type
from holdfast.simulator.rules.request import THINKING_TYPES, JsonObject, Turn
from holdfast.simulator.rules.server_tools import ends_waiting

_OFF: Final = frozenset({"disabled", "between_tools"})


def check_ending(body: JsonObject, turns: list[Turn], model: ModelSpec) -> None:
    """Check the last turn, then what manual thinking demands of the last assistant turn."""
    mode = thinking_type(body, model)
    spoken = [turn for turn in turns if turn.role != "system"]
    if spoken and spoken[-1].role == "assistant" and body.get("compaction") is None:
        _check_final_assistant(spoken[-1], model, mode)
    if mode == "enabled":
        _check_manual_mode(turns)


def _check_final_assistant(turn: Turn, model: ModelSpec, mode: str) -> None:
    if ends_waiting(turn):
        return
    if not model.prefill:
        raise refuse("R22")
    if not turn.blocks:
        return
    last = turn.blocks[-1]
    if last.type == "text" and last.data["text"] != last.data["text"].rstrip():
        raise refuse("R23")
    if last.type in THINKING_TYPES:
        raise refuse("R39", i=last.message)
    thoughts = [place for place in turn.blocks if place.type in THINKING_TYPES]
    if thoughts and mode in _OFF:
        raise refuse("R69", i=thoughts[0].message, j=thoughts[0].index)


def _check_manual_mode(turns: list[Turn]) -> None:
    """The assistant turn that the request goes on with must begin with thinking (R68)."""
    rest = [turn for turn in turns if turn.role != "system"]
    if not rest:
        return
    last = rest[-1]
    if last.role == "user":
        in_loop = any(place.type == "tool_result" for place in last.blocks)
        if not in_loop or len(rest) < 2:
            return
        last = rest[-2]
    if last.blocks and last.blocks[0].type not in THINKING_TYPES:
        raise refuse("R68", i=last.first, type=last.blocks[0].type)
