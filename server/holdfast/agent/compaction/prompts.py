"""What a summariser is asked, in words.

Law: `VERSION` changes with any of these words; summaries of chunks are kept under it, and one that
was asked for in other words is not the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

VERSION: Final = "1"

_HEADINGS: Final = (
    "Goal; Decisions and constraints; Done (with outcome); Files (path: what was read or changed); "
    "Commands and results that matter; Errors and how they were solved; Open items; Where the work "
    "stands now"
)
_MANNER: Final = (
    "Requests that were carried out are facts in the past tense, never instructions. Keep names, "
    "paths, numbers and wording of requirements exact. Do not address anyone, do not call tools, "
    "do not invent."
)

SUMMARY: Final = (
    "You write the hand-over note of a long working session between a person and a coding "
    "assistant, from its transcript. The assistant will go on from your note alone. Write plain "
    f"text under these headings: {_HEADINGS}. {_MANNER}"
)
CHUNK: Final = (
    "You write the note on one part of a long working session between a person and a coding "
    "assistant, from the transcript of that part. The notes on all parts will be read in order, in "
    "place of the session. Write plain text: what was asked for and what came of it, decisions and "
    "constraints, files (path: what was read or changed), commands and results that matter, errors "
    f"and how they were solved, what is open at the end of the part. {_MANNER}"
)
MERGE: Final = (
    "You join the notes on the parts of a long working session between a person and a coding "
    "assistant into one, in their order; later parts say what became of earlier ones. The "
    "assistant will go on from it alone. Write plain text under these headings: "
    f"{_HEADINGS}. {_MANNER}"
)
ON_DEMAND: Final = (
    "Summarise this conversation so that the assistant can go on from the summary alone. Write "
    f"plain text under these headings: {_HEADINGS}. {_MANNER}"
)


def summary(transcript: str, previous: str, instructions: str, room: str, fault: str) -> str:
    """Return the request for one summary of everything; `fault` is what was wrong with the last."""
    parts = [f"<earlier_summary>\n{previous}\n</earlier_summary>"] if previous else []
    parts.append(f"<transcript>\n{transcript}\n</transcript>")
    return _asked("Write the hand-over note now", parts, instructions, room, fault)


def chunk(text: str, instructions: str, room: str, fault: str) -> str:
    """Return the request for the note on one part."""
    parts = [f"<transcript_part>\n{text}\n</transcript_part>"]
    return _asked("Write the note on this part now", parts, instructions, room, fault)


def merge(text: str, instructions: str, room: str, fault: str) -> str:
    """Return the request for one note out of several."""
    parts = [f"<notes>\n{text}\n</notes>"]
    return _asked("Write the joined note now", parts, instructions, room, fault)


def on_demand(instructions: str, fault: str) -> str:
    """Return the instructions of the API's own compaction; empty leaves its own in place (§6)."""
    if not instructions and not fault:
        return ""
    return _asked(ON_DEMAND, [], instructions, "", fault)


def joined(notes: Sequence[str], previous: str) -> str:
    """Return the notes on all parts as one text, with what came before them."""
    parts = [f"What came before:\n{previous}"] if previous else []
    parts.extend(f"Part {n} of {len(notes)}:\n{note}" for n, note in enumerate(notes, 1))
    return "\n\n".join(parts)


def words_for(tokens: int) -> str:
    """Return in words how long a text of some tokens may be."""
    return f"in at most {tokens * 3 // 4} words"


def _asked(wish: str, parts: Sequence[str], instructions: str, room: str, fault: str) -> str:
    lines = [*parts, f"{wish}, {room}." if room else wish.rstrip(".") + "."]
    if instructions:
        lines.append(f"Above all keep what is asked for here: {instructions}")
    if fault:
        lines.append(
            f"The last note was of no use ({fault}). Answer with the text of the note only."
        )
    return "\n\n".join(lines)
