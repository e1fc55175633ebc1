"""How the command line writes things for people: sizes, times, wrapped lines.

Law: plain text that reads well in a terminal of any width and in a pipe.
"""

from __future__ import annotations

import shutil
import textwrap
from datetime import UTC, datetime
from pathlib import Path


def width() -> int:
    """Return how many characters fit on a line."""
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 140))


def size(count: int) -> str:
    """Return a number of bytes for people."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def moment(seconds: float) -> str:
    """Return a time as a clock on the wall here shows it."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M}"


def counted(count: int, what: str, plural: str = "") -> str:
    """Return `1 message`, `2 messages`."""
    return f"{count:,} {what if count == 1 else plural or what + 's'}"


def clean(words: str) -> str:
    """Return words of a file on one line, without what a terminal would obey or cannot show."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())


def entry(label: str, *paragraphs: str) -> str:
    """Return a labelled entry; its paragraphs stand below each other behind the label."""
    indent = " " * len(label)
    lines: list[str] = []
    for paragraph in paragraphs:
        room = max(30, width() - len(label))
        lines += textwrap.wrap(clean(paragraph), room, break_on_hyphens=False)
    return "\n".join(
        f"{indent if number else label}{line}" for number, line in enumerate(lines or [""])
    ).rstrip()


def fitted(line: str) -> str:
    """Return a line that is no longer than the terminal is wide."""
    limit = width()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def unknown(path: Path) -> str:
    """Return what is said of a file that is no transcript."""
    return (
        f"{path} is no transcript that Holdfast knows: there are Claude Code's, Codex's, and lists "
        "of Messages API messages."
    )
