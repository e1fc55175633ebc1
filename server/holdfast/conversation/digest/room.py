"""Sharing a budget of bytes among the sections of a text.

Law: exact. No section is ever longer than the room it was given, and a section says how many of
its entries are not shown. Sections are drawn in steps: first each within its share, so that none
starves another, then again with what was left over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import attrs

from holdfast.conversation.clipping import clip, clip_line

Drawing: TypeAlias = Callable[[int], str]
"""Draws a section in at most so many bytes; "" when it has nothing, or no room for anything."""

SEPARATOR: Final = "\n\n"
_WIDTHS: Final = (400, 240, 160)
_GAP: Final = " … "
ENOUGH: Final = 120
"""Bytes below which an excerpt says nothing."""


@attrs.frozen
class Step:
    """Draw the section at `place` of the text once more, with at most `share` of all the room added
    to what it has.
    """

    place: int
    share: float
    draw: Drawing


def size(text: str) -> int:
    """Return the bytes of a text."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def cost(part: str) -> int:
    """Return what a section costs, its separator included."""
    return size(part) + len(SEPARATOR) if part else 0


def share_out(steps: Sequence[Step], room: int) -> list[str]:
    """Draw sections within `room` bytes, separators included, in the order of their places."""
    total = left = max(room, 0)
    drawn: dict[int, str] = {}
    for step in steps:
        known = drawn.get(step.place, "")
        given = cost(known) + min(int(total * step.share), left)
        part = step.draw(given - len(SEPARATOR))
        if cost(part) <= given and cost(part) > cost(known):
            left -= cost(part) - cost(known)
            drawn[step.place] = part
    return [drawn[place] for place in sorted(drawn)]


def verbatim(title: str, body: str) -> Drawing:
    """Return a section that shows a text whole or its two ends."""
    heading = f"## {title}\n"
    body = body.strip()

    def draw(room: int) -> str:
        inner = room - size(heading)
        return heading + clip(body, inner) if body and inner >= min(size(body), ENOUGH) else ""

    return draw


def listing(title: str, lines: Sequence[str], *, left_out: int = 0) -> Drawing:
    """Return a section of one line an entry: all, narrower ones, or the newest that fit.

    `left_out` counts entries that were not shown before either.
    """
    heading = f"## {title}"
    entries = [f"- {line}" for line in lines]

    def draw(room: int) -> str:
        return newest(heading, entries, room, left_out=left_out)

    return draw


def newest(heading: str, lines: Sequence[str], room: int, *, left_out: int = 0) -> str:
    """Return a heading and as many of the last lines as fit, with the count of the others."""
    if not lines:
        return ""
    room -= size(heading)
    note = f"- ({len(lines) + left_out} in all; the earlier ones are left out)"
    noted = size(note) + 1
    sizes = [size(line) + 1 for line in lines]
    for width in (max(sizes), *_WIDTHS):
        if sum(min(one, width + 1) for one in sizes) + (noted if left_out else 0) <= room:
            shown = [clip_line(line, width) if size(line) > width else line for line in lines]
            return "\n".join([heading, *([note] if left_out else []), *shown])
    kept: list[str] = []
    left = room - noted
    for line in reversed(lines):
        narrow = clip_line(line, _WIDTHS[-1]) if size(line) > _WIDTHS[-1] else line
        left -= size(narrow) + 1
        if left < 0:
            break
        kept.append(narrow)
    return "\n".join([heading, note, *reversed(kept)]) if kept else ""


def both_ends(line: str, width: int) -> str:
    """Return one line of at most `width` bytes: its beginning, and its end when that fits too."""
    if size(line) <= width:
        return line
    head = int(width * 0.7)
    if head < 200:
        return clip_line(line, width)
    raw = line.encode(errors="replace")
    tail = width - head - len(_GAP.encode())
    start = raw[:head].decode(errors="ignore").rstrip()
    return f"{start}{_GAP}{raw[len(raw) - tail :].decode(errors='ignore').lstrip()}"
