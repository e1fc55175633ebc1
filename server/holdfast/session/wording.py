"""What the model is told in Holdfast's own voice.

Law: these texts are part of the wire history: they are deterministic, never blank, and never
changed for records that exist (R72). A new wording is a new function, used by new events only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.session.events import CommandEvidence, CutCause, FileEvidence, ToolOutcome

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
    CutCause.PIECE: "Your previous reply reached the length that was asked for and ended above.",
    CutCause.WINDOW_FULL: (
        "The context window was full and your previous reply ended above; the earlier part of "
        "the conversation has been compacted since."
    ),
    CutCause.GIVEN_UP: "Nothing more was heard and your previous reply ended above.",
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


_COMMANDS: Final = {
    "ended": (
        "The server stopped before the result of this command was recorded. The command itself "
        "went on and {end}."
    ),
    "cut": (
        "Started, outcome unknown: this command was stopped before its end, together with the "
        "server or at its time limit. It may have taken effect in part; check the actual state "
        "before doing it again."
    ),
    "stopped": (
        "Started, outcome unknown: the server stopped while this command was running. It was still "
        "running when the server came back (process {pid}) and was stopped then. It may have taken "
        "effect in part; check the actual state before doing it again."
    ),
    "running": (
        "Started, outcome unknown: the server stopped while this command was running. It is still "
        "running (process {pid}) and could not be stopped. Deal with it before doing it again."
    ),
    "vanished": (
        "Started, outcome unknown: the server stopped while this command was running. It had begun "
        "(process {pid}) and left no exit status; what it started may still be running. Check the "
        "actual state before doing it again."
    ),
    "nothing": (
        "Started, outcome unknown: the server stopped when this command was about to run, and the "
        "command left no trace. It may or may not have run. Check the actual state before doing it "
        "again."
    ),
}


def command_after_a_crash(evidence: CommandEvidence, output: str) -> str:
    """Tell the model what an interrupted command has left (P6, C10)."""
    said = _COMMANDS[evidence.found].format(pid=evidence.pid, end=_end(evidence.exit_code))
    if output:
        return f"[{said} Its last output:]\n{output}"
    quiet = " It printed nothing." if evidence.found == "ended" else ""
    return f"[{said}{quiet}]"


def command_after_a_crash_in_short(evidence: CommandEvidence) -> str:
    """Tell a person the same in one line."""
    if evidence.found == "ended":
        return f"the command {_end(evidence.exit_code)} while the server was gone"
    return {
        "cut": "the command was stopped before its end",
        "stopped": f"the command was still running (process {evidence.pid}) and was stopped",
        "running": f"the command is still running (process {evidence.pid})",
        "vanished": "the command had begun and left no exit status",
        "nothing": "the command may or may not have run",
    }[evidence.found]


def _end(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by signal {-exit_code}"
    return f"ended with exit status {exit_code}"
