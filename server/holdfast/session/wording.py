"""What the model is told in Holdfast's own voice.

Law: these texts are part of the wire history: they are deterministic, never blank, and never
changed for records that exist (R72). A new wording is a new function, used by new events only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.session.events import CutCause, FileEvidence, ToolOutcome

STOPPED: Final = "[The user stopped this turn here.]"

OUTCOME_TEXTS: Final = {
    ToolOutcome.REFUSED: "[Not run: the user did not allow this call.]",
    ToolOutcome.NOT_STARTED: "[Not run: the turn was interrupted before this call started.]",
    ToolOutcome.INTERRUPTED: (
        "[Interrupted by the user while it was running. It may have taken effect in part; "
        "check before relying on it.]"
    ),
    ToolOutcome.UNKNOWN: (
        "[Started, outcome unknown: the server stopped while this call was running. It may or may "
        "not have taken effect. Check the actual state before doing it again.]"
    ),
}

CUT_AT_OUTPUT_LIMIT: Final = (
    "[Not run: the call was cut at the output limit and is incomplete. Do it in smaller parts.]"
)

UNPARSED_INPUT: Final = (
    "[Not run: the arguments were not a valid JSON object. Make the call again with valid ones.]"
)


_CUTS: Final = {
    CutCause.OUTPUT_LIMIT: "Your previous reply reached the output limit and ended above.",
    CutCause.WINDOW_FULL: (
        "The context window was full and your previous reply ended above; the earlier part of "
        "the conversation has been compacted since."
    ),
}


def continuation(tools: Sequence[str], cause: CutCause) -> str:
    """Ask the model to go on after a cut that left text (specification §3.5, C03)."""
    happened = _CUTS.get(cause, "The connection was lost and your previous reply ended above.")
    begun = (
        f" Calls that had begun ({', '.join(tools)}) were not run; make them again if needed."
        if tools
        else ""
    )
    return f"[{happened} Continue exactly where it stopped, without repeating it.{begun}]"


def unknown_with_evidence(before: FileEvidence, after: FileEvidence | None) -> str:
    """Tell the model what the file of an interrupted change shows (P6, C10)."""
    if after is None:
        shows = "cannot be read now"
    elif (before.sha256, before.size) == (after.sha256, after.size):
        shows = (
            "does not exist, as before the call"
            if after.size is None
            else ("is the same as before the call, so the change seems not to have taken place")
        )
    elif after.size is None:
        shows = "existed before the call and does not exist now"
    elif before.size is None:
        shows = f"did not exist before the call and has {after.size} bytes now"
    else:
        shows = f"differs from before the call ({before.size} bytes then, {after.size} bytes now)"
    return (
        f"[Started, outcome unknown: the server stopped while this call was running. The file "
        f"{before.path} {shows}. Look at it before doing anything again.]"
    )
