"""What a tool may put into a history (A22, A23).

Law: every text is valid UTF-8 without control characters, is never blank, and has at most the
context's `output_bytes_max` bytes, cut between characters, with a marker that says how much is
missing. What enters here clean never has to be repaired later.
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.conversation import encoding, history
from holdfast.conversation.history import Block
from holdfast.tools.port import Todo, ToolContext, ToolOutput

NOTHING: Final = "(no output)"
SUMMARY_CHARS_MAX: Final = 120

_LINE_ENDS: Final = re.compile(r"\r\n?")
_TERMINAL_CODES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])"
)
_CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))
# C0 controls become their visible pictures, so that the model sees that they were there.
_CONTROLS: Final = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def safe(text: str) -> str:
    """Return `text` without lone surrogates and control characters, lines ended by LF."""
    unified = _LINE_ENDS.sub("\n", encoding.without_lone_surrogates(text))
    return unified.translate(_CONTROLS)


def without_terminal_codes(text: str) -> str:
    """Remove colours and cursor movements, which cost tokens and mean nothing to a model."""
    return _TERMINAL_CODES.sub("", text)


def clip(text: str, bytes_max: int) -> str:
    """Return at most `bytes_max` (>= 1) bytes of safe text: its head and tail around a marker."""
    return join(text, "", 0, bytes_max)


def join(head: str, tail: str, left_out: int, bytes_max: int) -> str:
    """Put safe head and tail together, with one marker for what is missing between them.

    `left_out` counts bytes that were dropped before; what is cut here is added to it. The result
    has at most `bytes_max` (>= 1) bytes and is never blank.
    """
    first, last = head.encode(), tail.encode()
    if left_out == 0:
        first, last = first + last, b""
        if len(first) <= bytes_max:
            return _not_blank(first.decode(), bytes_max)
        middle = len(first) // 2
        first, last = first[:middle], first[middle:]
    total = left_out + len(first) + len(last)
    room = max(0, bytes_max - len(_marker(total)))
    last_kept = min(len(last), room // 2)
    first_kept = min(len(first), room - last_kept)
    last_kept = min(len(last), room - first_kept)
    kept_head = first[:first_kept].decode(errors="ignore")
    kept_tail = last[len(last) - last_kept :].decode(errors="ignore")
    missing = total - len(kept_head.encode()) - len(kept_tail.encode())
    joined = kept_head.encode() + _marker(missing) + kept_tail.encode()
    return _not_blank(joined[:bytes_max].decode(errors="ignore"), bytes_max)


class HeadAndTail:
    """Keeps the first and the last bytes of a stream of any length, in bounded memory."""

    def __init__(self, bytes_max: int) -> None:
        """Keep at most about `bytes_max` bytes, half of them from the end."""
        self._half = max(1, bytes_max // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._tail_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail_bytes += len(chunk)
        self._tail += chunk[-self._half :]
        if len(self._tail) > 4 * self._half:  # trimmed seldom, so that adding stays cheap
            del self._tail[: -self._half]

    @property
    def head(self) -> bytes:
        """The first bytes of the stream."""
        return bytes(self._head)

    def text(self, bytes_max: int) -> str:
        """Return what was kept as safe text of at most `bytes_max` bytes, with a marker."""
        tail = bytes(self._tail[-self._half :])
        left_out = self._tail_bytes - len(tail)
        if left_out == 0:
            return clip(_readable(bytes(self._head) + tail), bytes_max)
        whole = tail.lstrip(_CONTINUATION_BYTES)  # the cut may have gone through a character
        left_out += len(tail) - len(whole)
        return join(_readable(_whole_end(self.head)), _readable(whole), left_out, bytes_max)


def succeeded(
    text: str,
    context: ToolContext,
    summary: str,
    *,
    media: tuple[Block, ...] = (),
    todos: tuple[Todo, ...] | None = None,
) -> ToolOutput:
    """Make the result of a call that did what it was asked."""
    return ToolOutput(
        content=(history.text(clip(safe(text), context.output_bytes_max)), *media),
        summary=one_line(summary),
        todos=todos,
    )


def failed(text: str, context: ToolContext, summary: str = "") -> ToolOutput:
    """Make the result of a call that did not."""
    return ToolOutput(
        content=(history.text(clip(safe(text), context.output_bytes_max)),),
        is_error=True,
        summary=one_line(summary or text),
    )


def one_line(text: str, chars_max: int = SUMMARY_CHARS_MAX) -> str:
    """Return text as one safe line of at most `chars_max` characters."""
    line = " ".join(safe(text[: 4 * chars_max]).split())
    return line if len(line) <= chars_max else line[: chars_max - 1] + "…"


def _readable(data: bytes) -> str:
    return safe(without_terminal_codes(data.decode(errors="replace")))


def _whole_end(data: bytes) -> bytes:
    """Drop a character that was cut in two at the end of `data`."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if width > back else data
    return data


def _marker(missing: int) -> bytes:
    return f"\n[… {missing} bytes left out …]\n".encode()


def _not_blank(text: str, bytes_max: int) -> str:
    return text if text.strip() else NOTHING[:bytes_max]
