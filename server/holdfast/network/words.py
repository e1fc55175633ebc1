"""A diagnosis for people, and for a bug report.

Law: the verdict stands on top, in plain words, with the next thing to do; figures follow. A bundle
holds no secret, no text of a session and no name of a person's home (P11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from holdfast.conversation import encoding
from holdfast.network.reports import Diagnosis, State, plain

MARKS: Final[Mapping[State, str]] = {
    State.GOOD: "✓",
    State.WARNING: "!",
    State.BAD: "✗",
    State.SKIPPED: "·",
}


def markdown(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a document, the verdict on top."""
    head = "Nothing wrong here" if diagnosis.healthy else "What is wrong"
    lines = [f"# {head}", "", f"**{_line(diagnosis.says)}**", "", _line(diagnosis.advice), ""]
    if diagnosis.also:
        lines += [f"Also seen: {', '.join(diagnosis.also)}.", ""]
    lines += ["| | step | what was seen | time |", "|---|---|---|---:|"]
    for check in filter(lambda check: check.reached, diagnosis.checks):
        seen = _line(check.says)
        if check.advice and check.state in {State.BAD, State.WARNING}:
            seen += f" *{_line(check.advice)}*"
        took = f"{check.ms} ms" if check.state is not State.SKIPPED else ""
        lines.append(f"| {MARKS[check.state]} | {check.title} | {seen} | {took} |")
    seconds = diagnosis.ms / 1000
    lines += ["", f"Endpoint `{diagnosis.endpoint}`, examined in {seconds:.1f} s.", ""]
    return "\n".join(lines)


def bundle(diagnosis: Diagnosis, secrets: Sequence[str], problems: Sequence[str] = ()) -> str:
    """Return what may be pasted into a public bug report. `problems` are those of the settings."""
    versions = [f"- {name} {version}" for name, version in diagnosis.versions.items()]
    text = "\n".join(
        [
            markdown(diagnosis),
            "## Versions",
            "",
            *versions,
            "",
            *(["## Settings that were not taken", ""] if problems else []),
            *(f"- {problem}" for problem in problems),
            *([""] if problems else []),
            "## Figures",
            "",
            "```json",
            encoding.encode(plain(diagnosis)),
            "```",
            "",
        ]
    )
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def _line(words: str) -> str:
    """Return words as they may stand in a table."""
    return " ".join(words.split()).replace("|", "\\|")
