"""All faults by name, and what the model says under each.

Law: every fault belongs to one stage: it replaces the answer by an error (`errors`), breaks the
connection, changes or interrupts the stream (`interruptions`), or changes what the model says
(here). `FAULTS` names them all, so that a test can loop over every one. Source: the fault
injection list of specification §8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from holdfast.simulator.errors import ERRORS
from holdfast.simulator.interruptions import BREAKS, EVENT_CHANGES, STREAM_BREAKS
from holdfast.simulator.script import (
    Fault,
    Item,
    Respond,
    ServerToolUseItem,
    TextItem,
    ThinkingItem,
    ToolUseItem,
)


class UnknownFault(ValueError):
    """A fault name that is not in `FAULTS`."""


_CALL: Final = ToolUseItem(name="read", input={"path": "a.txt", "reason": "to see what is there"})


def _said(*items: Item, stop_reason: str | None = None) -> Respond:
    return Respond(content=items, stop_reason=stop_reason)


# What the model says in faults of content; a step's own `respond` does not change these.
CONTENTS: Final[Mapping[str, Respond]] = {
    "empty-content": _said(stop_reason="end_turn"),
    "blank-text": _said(TextItem(text="\n\n")),
    "blank-text-before-tool": _said(TextItem(text="\n\n"), _CALL),
    "max-tokens-in-tool-use": _said(
        TextItem(text="I will read it."),
        ToolUseItem(name="read", raw_input='{"path":"a.txt","rea'),
        stop_reason="max_tokens",
    ),
    "max-tokens": _said(TextItem(text="This goes on and"), stop_reason="max_tokens"),
    "window-exceeded": _said(
        TextItem(text="This goes on and"), stop_reason="model_context_window_exceeded"
    ),
    "refusal": _said(stop_reason="refusal"),
    "refusal-mid-stream": _said(TextItem(text="The first step is"), stop_reason="refusal"),
    "pause-turn": _said(
        TextItem(text="I search."),
        ServerToolUseItem(input={"query": "seaweed"}),
        stop_reason="pause_turn",
    ),
    "mixed-turn": _said(
        ServerToolUseItem(input={"query": "seaweed"}), _CALL, stop_reason="tool_use"
    ),
    "unknown-stop-reason": _said(TextItem(text="Enough."), stop_reason="moon_phase"),
    "long-tool-name": _said(ToolUseItem(name="read" * 75, input={"path": "a.txt"})),
    "duplicate-tool-ids": _said(
        ToolUseItem(name="read", input={"path": "a"}, id="toolu_twice"),
        ToolUseItem(name="read", input={"path": "b"}, id="toolu_twice"),
    ),
    "bad-tool-id": _said(ToolUseItem(name="read", input={"path": "a"}, id="call:1/2")),
    "lone-surrogate-input": _said(ToolUseItem(name="read", raw_input='{"path":"\\ud83d.txt"}')),
    "lone-surrogate-text": _said(TextItem(text="half a smile: \ud83d")),
    "invalid-tool-json": _said(ToolUseItem(name="read", raw_input='{"path": a.txt}')),
}

# What the model says when a step names one of these faults and no answer of its own.
_THOUGHTFUL: Final = _said(
    ThinkingItem(text="First I look at the file, then I answer."),
    TextItem(text="I will read the file now and then answer."),
    _CALL,
)
_BASES: Final[Mapping[str, Respond]] = {
    "cut-in-tool-json": _said(TextItem(text="I will read it."), _CALL),
    "cut-in-thinking": _THOUGHTFUL,
    "cut-before-signature": _THOUGHTFUL,
}

PACED: Final = frozenset({"slow-drip"})

FAULTS: Final[tuple[str, ...]] = (
    *ERRORS,
    *BREAKS,
    *STREAM_BREAKS,
    *EVENT_CHANGES,
    *CONTENTS,
    *sorted(PACED),
)


def check_known(fault: Fault) -> None:
    """Raise `UnknownFault` when there is no such fault."""
    if fault.name not in FAULTS:
        raise UnknownFault(f"there is no fault {fault.name!r}; known: {', '.join(FAULTS)}")


def what_is_said(fault: Fault | None, scripted: Respond | None) -> Respond | None:
    """Return what the model says under a fault; None leaves it to the default responder."""
    if fault is None:
        return scripted
    if fault.name in CONTENTS:
        said = CONTENTS[fault.name]
        if scripted is None:
            return said
        # The fault decides what is said, the script how: its pace, headers and usage.
        return msgspec.structs.replace(scripted, content=said.content, stop_reason=said.stop_reason)
    return scripted or _BASES.get(fault.name)
