"""A diagnosis for people, and for a bug report.

Law: the verdict stands on top, in plain words, with the next thing to do; figures follow. A bundle
holds no secret, no text of a session and no name of a person's home (P11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from holdfast.conversation import encoding
from holdfast.network.reports import Diagnosis, State, plain
from holdfast.network.secrets import Blotter

MARKS: Final[Mapping[State, str]] = {
    State.GOOD: "✓",
    State.WARNING: "!",
    State.BAD: "✗",
    State.SKIPPED: "·",
}

ASCII_MARKS: Final[Mapping[State, str]] = {
    State.GOOD: "+",
    State.WARNING: "!",
    State.BAD: "x",
    State.SKIPPED: "-",
}
"""For terminals that have no other characters."""


def markdown(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a document, the verdict on top."""
    head = "Nothing wrong here" if diagnosis.healthy else "What is wrong"
    parts = (f"**{_line(diagnosis.title)}**", _line(diagnosis.seen), _line(diagnosis.advice))
    lines = [f"# {head}", ""]
    for part in filter(None, parts):
        lines += [part, ""]
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
    blot = Blotter(secrets)
    diagnosis = attrs.evolve(
        diagnosis,
        says=blot.text(diagnosis.says),
        headline=blot.text(diagnosis.headline),
        advice=blot.text(diagnosis.advice),
        endpoint=blot.text(diagnosis.endpoint),
        checks=tuple(map(blot.check, diagnosis.checks)),
    )
    versions = [f"- {name} {version}" for name, version in diagnosis.versions.items()]
    refused = [f"- {_line(blot.text(problem))}" for problem in problems]
    parts = [markdown(diagnosis), "## Versions", "", *versions, ""]
    if refused:
        parts += ["## Settings that were not taken", "", *refused, ""]
    parts += ["## Figures", "", "```json", encoding.encode(plain(diagnosis)), "```", ""]
    text = "\n".join(parts)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def _line(words: str) -> str:
    """Return words as they may stand in a table."""
    return " ".join(words.split()).replace("|", "\\|")
