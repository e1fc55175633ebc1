"""Events in the bytes of a stream, as many as have arrived whole.

Law: total. What is no event is passed over; nothing is said here about what events mean.
"""

from __future__ import annotations


def events(body: bytes) -> list[tuple[str, str]]:
    """Return the names and data of the whole events in a body."""
    found = []
    for part in body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n")[:-1]:
        name, data = "", ""
        for text in part.split("\n"):
            field, _, value = text.partition(":")
            if field == "event":
                name = value.strip()
            elif field == "data":
                data += value.strip()
        if name:
            found.append((name, data))
    return found


def alive(found: list[tuple[str, str]]) -> bool:
    """Whether the last that came was only a sign of life."""
    return bool(found) and found[-1][0] == "ping"
