"""Frames of the base protocol: headers, an empty line, and a body of so many bytes.

Law: any chunking of the same bytes gives the same frames, and a broken frame costs itself and
nothing after it. JSON cannot hold a raw line end inside a string, so a header line within a body
is always the start of a later frame; that is what makes finding the way back safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

HEADER_BYTES_MAX: Final = 64 * 1024
BODY_BYTES_MAX: Final = 256 * 1024 * 1024

# Tolerant on purpose: any case, any spacing, bare line feeds, further headers, noise before it.
_LENGTH: Final = re.compile(rb"content-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?\n", re.IGNORECASE)
_END: Final = re.compile(rb"\r?\n\r?\n")
_HEADER_LINE_MAX: Final = 64


@attrs.frozen
class BrokenFrame:
    """Bytes that are no frame; `problem` says in plain words what is wrong with them."""

    problem: str


Frame: TypeAlias = bytes | BrokenFrame


def frame(body: bytes) -> bytes:
    """Return `body` with its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class FrameParser:
    """Cuts a stream of bytes into bodies. Holds at most one frame and one chunk."""

    def __init__(self, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._body_bytes_max = body_bytes_max
        self._buffer = bytearray()
        self._wanted: int | None = None
        self._lost = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in more bytes and yield what is complete. Consume it before feeding again."""
        self._buffer += data
        while True:
            if self._wanted is None:
                problem = self._read_header()
                if problem is None:
                    return
                # One report for one gap, however many pieces of noise are passed over in it.
                if problem and not self._lost:
                    yield BrokenFrame(problem)
                self._lost = bool(problem)
            elif len(self._buffer) >= self._wanted:
                body = bytes(self._buffer[: self._wanted])
                del self._buffer[: self._wanted]
                self._wanted = None
                yield body
            else:
                return

    def rejected(self, body: bytes) -> None:
        """Say that `body`, just yielded, is no JSON: its length was probably wrong.

        When a header stands in it, reading goes on from there.
        """
        found = _LENGTH.search(body)
        if found is not None:
            self._buffer[:0] = body[found.start() :]
        self._lost = True

    def _read_header(self) -> str | None:
        """Take one header off the buffer.

        Returns None when more bytes are needed, `""` when it is good, else what is wrong with it.
        """
        end = _END.search(self._buffer)
        if end is None:
            if len(self._buffer) <= HEADER_BYTES_MAX:
                return None
            # Whatever this is, the next header may have begun in its last bytes.
            del self._buffer[:-_HEADER_LINE_MAX]
            return "there is no header in it"
        lines = bytes(self._buffer[: end.start()]) + b"\n"
        del self._buffer[: end.end()]
        # With noise before it, the last one is the one that belongs to the body.
        lengths = _LENGTH.findall(lines)
        if not lengths:
            return "its header has no usable Content-Length"
        length = int(lengths[-1])
        if length > self._body_bytes_max:
            # Its bytes are passed over in search of the next header, not collected.
            return f"its {length} bytes are more than the {self._body_bytes_max} allowed"
        self._wanted = length
        return ""
