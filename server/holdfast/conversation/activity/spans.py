"""Requests and what became of each: the turns of a history as a person sees them.

Law: a request counts as done when the assistant's turn after it ended with words and without an
open call. Requests in a row are answered together. Words stay bytes until somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.conversation.activity.decisions import Words
from holdfast.conversation.activity.facts import Request, State
from holdfast.conversation.activity.reading import read
from holdfast.conversation.history import Block

CLOSELY_MAX: Final = 300
"""So many of the newest requests are looked at closely; no budget shows an older one."""


class Span:
    """A request, and what was said until the next one."""

    __slots__ = ("_called", "expansion", "heard_of", "interrupted", "said", "text")

    def __init__(self, text: str = "", expansion: str = "") -> None:
        self.text = text
        self.expansion = expansion
        self.heard_of = False
        self.interrupted = False
        self.said: list[list[Block]] = []
        self._called = True

    def heard(self, texts: list[Block], *, called: bool) -> None:
        """Take in one message of the assistant: its texts, and whether it called a tool."""
        self.heard_of = True
        self._called = called or not texts
        if texts:
            self.said.append(texts)

    @property
    def answer(self) -> str:
        """The last words."""
        return next((words for texts in reversed(self.said) if (words := words_of(texts))), "")

    def state(self, *, last: bool, closely: bool = True) -> State:
        """Say how far it came; `closely` looks whether the last texts hold any words."""
        if self.interrupted:
            return "interrupted"
        if not self._called and (not closely or words_of(self.said[-1])):
            return "done"
        return "open" if last else "interrupted"


def words_of(texts: list[Block]) -> str:
    """Return the words of one message."""
    return "\n".join(filter(None, (read(block).text.strip() for block in texts)))


class Spans:
    """All requests of a history, in order; `before` is what came before the first, `current` the
    one that is being answered.
    """

    def __init__(self) -> None:
        self.before = Span()
        self._spans: list[Span] = []
        self.current = self.before

    def __len__(self) -> int:
        return len(self._spans)

    def ask(self, text: str) -> None:
        """Begin a request, unless the text is what the slash command before it stands for."""
        current = self.current
        if current.text.startswith("/") and not current.heard_of and not current.expansion:
            current.expansion = text
        else:
            self.begin(text)

    def begin(self, text: str, expansion: str = "") -> None:
        """Begin a request; a slash command may have its expansion with it."""
        self.current = Span(text, expansion)
        self._spans.append(self.current)

    @property
    def preceding(self) -> Request:
        """What was done before the first request."""
        state = self.before.state(last=not self._spans)
        return Request("", self.before.answer, state)

    def requests(self) -> tuple[Request, ...]:
        """Return the requests; those in a row without an answer between them share their state."""
        found: list[Request] = []
        state: State = "open"
        closely_from = len(self._spans) - CLOSELY_MAX
        for index in range(len(self._spans) - 1, -1, -1):
            span = self._spans[index]
            last = index == len(self._spans) - 1
            if last or span.heard_of or span.interrupted:
                state = span.state(last=last, closely=index >= closely_from)
            answer = span.answer if index >= closely_from else ""
            found.append(Request(span.text, answer, state, span.expansion))
        return tuple(reversed(found))

    def words(self) -> Iterator[Words]:
        """Yield what was said, newest first."""
        for number in range(len(self._spans), 0, -1):
            span = self._spans[number - 1]
            for texts in reversed(span.said):
                yield Words("assistant", words_of(texts), number)
            yield Words("user", span.text, number)
        for texts in reversed(self.before.said):
            yield Words("assistant", words_of(texts), 0)
