"""What went on in a history: requests and their outcome, files, commands, decisions, open items.

Law: only facts that stand in the history, in its order; nothing is judged, and a heuristic is
called one.
"""

from __future__ import annotations

from holdfast.conversation.activity.collecting import activity
from holdfast.conversation.activity.facts import (
    Activity,
    Decision,
    Ending,
    FileUse,
    Lines,
    Request,
    Run,
    State,
    Task,
)
from holdfast.conversation.activity.reading import words_in
from holdfast.conversation.history import Block

__all__ = [
    "Activity",
    "Decision",
    "Ending",
    "FileUse",
    "Lines",
    "Request",
    "Run",
    "State",
    "Task",
    "activity",
    "output_of",
]


def output_of(result: Block) -> str:
    """Return the words of a tool result."""
    return words_in(result.get("content"))
