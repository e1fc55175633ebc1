"""The local digest: what a session was about, without a model, in milliseconds.

Law: deterministic, never over its budget, and never an instruction: requests appear as facts with
their outcome (B21). Open items and the last exchange come first, the exchange to the letter
whenever it fits (B14); then every request, files changed, commands that failed. Where room is short
entries get narrower before the oldest go, and the count stays. A digest of a session that was
digested before keeps the facts of that digest (P4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.conversation.activity import Request, activity
from holdfast.conversation.clipping import clip
from holdfast.conversation.digest import earlier as before
from holdfast.conversation.digest import lines as form
from holdfast.conversation.digest.earlier import END, HEADING
from holdfast.conversation.digest.merging import Known, merge
from holdfast.conversation.digest.room import (
    SEPARATOR,
    Drawing,
    Step,
    both_ends,
    listing,
    newest,
    share_out,
    size,
    verbatim,
)
from holdfast.conversation.history import Message
from holdfast.conversation.tokens import BYTES_PER_TOKEN

__all__ = ["END", "HEADING", "digest"]

_SMALLEST_BYTES: Final = 700
"""Below this there is room for one fact only."""
_WIDTHS: Final = (2400, 1600, 1100, 800, 600, 450, 300, 240, 180, 120, 80, 60)
"""Bytes for the words of one request, the widest that fits; half of it for its answer."""
_REQUESTS_MAX: Final = 300
"""No budget shows more requests."""
_NARROW: Final = 300
_MIDDLE: Final = 800
_WORDS_CHARS_MAX: Final = 4_000
_CONTEXT_BYTES_MAX: Final = 1_500


def digest(history: Sequence[Message], budget_tokens: int, *, previous: str = "") -> str:
    """Return a record of `history` of at most `budget_tokens` estimated tokens.

    `previous` is the summary that stood for what came before this history: a digest, also one
    within other words, or any other text.
    """
    known = merge(before.read(previous), activity(history))
    bytes_max = int(max(budget_tokens, 0) * BYTES_PER_TOKEN)
    if bytes_max < _SMALLEST_BYTES:
        return _smallest(known, bytes_max)
    room = bytes_max - size(HEADING) - size(END) - 2 * len(SEPARATOR)
    parts = share_out(_steps(known, room), room + len(SEPARATOR))
    text = SEPARATOR.join([HEADING, *parts, END])
    return text if size(text) <= bytes_max else clip(text, bytes_max)


def _smallest(known: Known, bytes_max: int) -> str:
    """Return the one fact that matters most, what was asked for last, cut at its end."""
    words = "(A record, no instruction.)"
    if known.requests:
        number = known.first + len(known.requests) - 1
        last = known.requests[-1]
        asked, told = (both_ends(_one_line(part), 200) for part in (last.text, last.answer))
        words += "\n" + form.request_line(number, last, asked, told)
    return words.encode()[:bytes_max].decode(errors="ignore")


def _steps(known: Known, room: int) -> list[Step]:
    """Return what is drawn, in the order in which it may claim room."""
    requests = _Requests(known)
    open_items = listing(before.OPEN, known.open_items)
    exchange = _exchange(known, room)
    changed = _listed(known, before.CHANGED)
    failed = _listed(known, before.FAILED)
    completed = _listed(known, before.COMPLETED)
    summary = verbatim(before.SUMMARY, known.summary)
    agents = _listed(known, before.AGENTS)
    errors = _listed(known, before.ERRORS)
    decisions = _listed(known, before.DECISIONS)
    run = _listed(known, before.RUN)
    read = _listed(known, before.READ)
    context = verbatim(before.CONTEXT, clip(known.context, _CONTEXT_BYTES_MAX))
    expansion = verbatim(before.EXPANSION, known.expansion)
    others = _listed(known, before.OTHERS)
    return [
        Step(12, 0.30, open_items), Step(15, 1.0, exchange),
        Step(1, 0.60, requests.at_most(_NARROW)), Step(2, 0.20, changed), Step(4, 0.25, failed),
        Step(9, 0.10, completed), Step(0, 0.20, summary), Step(6, 0.08, agents),
        Step(7, 0.08, errors), Step(8, 0.08, decisions), Step(5, 0.08, run), Step(3, 0.06, read),
        Step(14, 0.05, context), Step(13, 0.05, expansion), Step(10, 0.02, others),
        Step(12, 1.0, open_items), Step(1, 1.0, requests.at_most(_NARROW)), Step(2, 1.0, changed),
        Step(4, 1.0, failed), Step(9, 1.0, completed), Step(15, 1.0, exchange),
        Step(0, 1.0, summary), Step(6, 1.0, agents), Step(7, 1.0, errors),
        Step(1, 1.0, requests.at_most(_MIDDLE)), Step(8, 1.0, decisions), Step(3, 1.0, read),
        Step(14, 1.0, context), Step(13, 0.15, expansion), Step(5, 1.0, run),
        Step(1, 1.0, requests.at_most(_WIDTHS[0])), Step(13, 1.0, expansion),
        Step(10, 1.0, others),
    ]  # fmt: skip


def _listed(known: Known, title: str) -> Drawing:
    found = known.lists.get(title, before.Listed())
    return listing(title, found.lines, left_out=found.left_out)


def _exchange(known: Known, room: int) -> Drawing:
    """Draw the last exchange whole; when it cannot be, in half of all the room."""
    if known.exchange is None:
        return verbatim(before.EXCHANGE, "")
    last = known.exchange
    heading = f"## {before.EXCHANGE} ({form.STATES[last.state]})\n"
    words = before.WROTE + last.text
    if last.answer:
        words += before.ANSWERED + last.answer

    def draw(given: int) -> str:
        inner = given - size(heading)
        if size(words) <= inner:
            return heading + words.encode(errors="replace").decode()
        return heading + clip(words, min(inner, room // 2)) if inner > 0 else ""

    return draw


class _Requests:
    """Draws every request with as many of its words as there is room for."""

    def __init__(self, known: Known) -> None:
        self._heading = f"## {before.REQUESTS}"
        self._requests = known.requests[-_REQUESTS_MAX:]
        self._first = known.first + len(known.requests) - len(self._requests)
        self._words = [(_one_line(r.text), _one_line(r.answer)) for r in self._requests]
        if self._words and known.exchange is not None:  # Its words stand in their own section.
            asked, told = self._words[-1]
            self._words[-1] = (both_ends(asked, _WIDTHS[-5]), both_ends(told, _WIDTHS[-3]))
        bare = [form.request_line(n, r, "", "x" if told else "")
                for n, r, (_, told) in self._numbered()]  # fmt: skip
        self._fixed = sum(size(line) + 1 for line in bare) + size(self._heading)
        self._sizes = [(size(asked), size(told)) for asked, told in self._words]

    def at_most(self, width_max: int) -> Drawing:
        """Return the section with at most `width_max` bytes of each request."""

        def draw(room: int) -> str:
            for width in (one for one in _WIDTHS if one <= width_max):
                words = sum(min(a, width) + min(b, width // 2) for a, b in self._sizes)
                if self._fixed + words <= room:
                    return "\n".join([self._heading, *self._lines(width)]) if self._words else ""
            lines = self._lines(_WIDTHS[-1])
            return newest(self._heading, lines, room, left_out=self._first - 1)

        return draw

    def _numbered(self) -> list[tuple[int, Request, tuple[str, str]]]:
        return [
            (number, request, words)
            for number, (request, words) in enumerate(
                zip(self._requests, self._words, strict=True), self._first
            )
        ]

    def _lines(self, width: int) -> list[str]:
        return [
            form.request_line(number, request, both_ends(asked, width), both_ends(told, width // 2))
            for number, request, (asked, told) in self._numbered()
        ]


def _one_line(text: str) -> str:
    """Return a text as one line; of a very long one its two ends."""
    if len(text) > _WORDS_CHARS_MAX:
        half = _WORDS_CHARS_MAX // 2
        text = f"{text[:half]} … {text[-half:]}"
    return " ".join(text.encode(errors="replace").decode().split())
