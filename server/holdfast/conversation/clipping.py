"""Shortening text so that its ends survive.

Law: what is left out is said where it was, the result never exceeds its limit, and a character is
never cut in two. Limits are UTF-8 bytes, because token estimates are.
"""

from __future__ import annotations

from typing import Final

HEAD_SHARE: Final = 0.6
"""How much of the room goes to the beginning; the rest to the end."""


def clip(value: str, bytes_max: int) -> str:
    """Return a text of at most `bytes_max` bytes: whole, or its head and tail around a note."""
    raw = value.encode(errors="replace")
    if len(raw) <= bytes_max:
        return value if value.isascii() else raw.decode()
    note = f"\n[… {len(raw)} bytes in all, the middle is left out …]\n"
    room = bytes_max - len(note.encode())
    if room < 0:
        return raw[: max(bytes_max, 0)].decode(errors="ignore")
    head = int(room * HEAD_SHARE)
    start = raw[:head].decode(errors="ignore")
    end = raw[len(raw) - (room - head) :].decode(errors="ignore")
    return start + note + end


def clip_line(value: str, bytes_max: int) -> str:
    """Return a text as one line of at most `bytes_max` bytes, cut at the end."""
    raw = " ".join(value.split()).encode(errors="replace")
    if len(raw) <= bytes_max:
        return raw.decode()
    mark = "…"
    room = bytes_max - len(mark.encode())
    return raw[:room].decode(errors="ignore").rstrip() + mark if room >= 0 else ""


def first_line(value: str) -> str:
    """Return the first line with a visible character, stripped; "" when there is none."""
    return next((line.strip() for line in value.splitlines() if line.strip()), "")
