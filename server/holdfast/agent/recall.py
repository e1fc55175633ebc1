"""What the model can look up of its own past: the whole history, whatever was compacted.

Law: it is read from the session's state, which no compaction and no clearing touches (P4); an
entry is all that comes from one record, and its number is the record's. What recall itself found
before is no past: it would find itself. Without a usable index the history is read through.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from holdfast.conversation import casting, encoding
from holdfast.conversation.history import ASSISTANT, SYSTEM, Block, Message
from holdfast.conversation.profile import is_server_result, is_server_use
from holdfast.journal.search import SearchIndex, SearchUnavailable, terms_of
from holdfast.session.state import SessionState
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import Found, PastEntry, Place
from holdfast.tools.recall import READ, SEARCH

EXCERPT_CHARS: Final = 300
_BEFORE_CHARS: Final = 80
_RENDERING: Final = b"1"  # part of every digest: texts made otherwise are indexed anew
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_SPEAKERS: Final = {ASSISTANT: "assistant", SYSTEM: "system"}

_log: Final = logging.getLogger(__name__)


class SessionRecall:
    """The `Recall` of one session. `state` is only read."""

    def __init__(self, index: SearchIndex | None, session_id: str, state: SessionState) -> None:
        """Search by `index`; without one by reading through."""
        self._index = index
        self._session_id = session_id
        self._state = state

    async def search(self, query: str, limit: int) -> Found:
        """Return the places of the history that hold the query's words, the best first."""
        past = SessionPast(self._state.messages)
        terms = terms_of(query)
        if not terms:
            raise ToolFailure("There are no words to search for.")
        entries: list[int] = []
        note = ""
        if self._index is not None:
            try:
                entries = await self._index.search(self._session_id, past, terms, limit)
            except SearchUnavailable as error:
                _log.warning("session %s: %s", self._session_id, error)
                note = f"{error} The history was read through instead."
        if not entries:  # An index knows words and their beginnings; a reader finds any part.
            entries = await asyncio.to_thread(past.read_through, terms, limit)
        places = await asyncio.to_thread(lambda: [past.place(e, terms) for e in entries])
        return Found(tuple(places), note)

    async def read(self, entry: int) -> PastEntry:
        """Return an entry in full. Raises `ToolFailure` for a number that there is not."""
        return await asyncio.to_thread(SessionPast(self._state.messages).entry, entry)


class SessionPast:
    """A history by its entries, as it is now. A `journal.search.Past`.

    What recall itself found before is only there in a `whole` one.
    """

    def __init__(self, messages: Sequence[Message], *, whole: bool = False) -> None:
        self._messages = tuple(messages)
        self._whole = whole

    @cached_property
    def _entries(self) -> Mapping[int, tuple[Message, ...]]:
        found: dict[int, list[Message]] = {}
        for message in self._messages:
            number = message.origin.partition(".")[0]
            if number.isdigit():
                found.setdefault(int(number), []).append(message)
        return {number: tuple(messages) for number, messages in found.items()}

    @cached_property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(self._entries)

    @cached_property
    def _positions(self) -> Mapping[int, int]:
        return {number: position for position, number in enumerate(self._numbers)}

    @cached_property
    def digests(self) -> Mapping[int, bytes]:
        """What identifies the content of each entry."""
        return {number: _digest(messages) for number, messages in self._entries.items()}

    def text_of(self, entry: int) -> str:
        """Return all words of an entry, one part after the other; thinking is not kept."""
        return "\n\n".join(words for _, words in self.parts(entry))

    def entry(self, number: int) -> PastEntry:
        """Return an entry with its neighbours. Raises `ToolFailure` when there is none."""
        if number not in self._entries:
            near = sorted(self._numbers, key=lambda other: abs(other - number))[:4]
            there = ", ".join(map(str, sorted(near)))
            hint = f" There are entries near it: {there}." if near else ""
            raise ToolFailure(f"There is no entry {number} in this session.{hint}")
        at = self._positions[number]
        return PastEntry(
            number=number,
            who=self.who(number),
            kind=self._kinds(number),
            text=self.text_of(number) or "(no words)",
            before=self._numbers[at - 1] if at else None,
            after=self._numbers[at + 1] if at + 1 < len(self._numbers) else None,
        )

    def place(self, number: int, terms: Sequence[str]) -> Place:
        """Return the part of an entry that holds most of the terms, as an excerpt."""
        parts = self.parts(number) or [("nothing", "")]
        kind, words = max(parts, key=lambda part: _holding(part[1], terms))
        return Place(number, self.who(number), kind, _excerpt(words, terms))

    def read_through(self, terms: Sequence[str], limit: int) -> list[int]:
        """Return the entries that hold most of the terms anywhere, the newest of equals first."""
        counted = ((_holding(self.text_of(number), terms), number) for number in self._entries)
        best = sorted(((count, number) for count, number in counted if count), reverse=True)
        return [number for _, number in best[:limit]]

    def who(self, number: int) -> str:
        """Return who said an entry, or began it."""
        role = self._entries[number][0].role
        return _SPEAKERS.get(role, "user")

    def results(self) -> Iterator[tuple[int, str, str]]:
        """Yield the results of calls: the entry, the call's id, and the words."""
        for number in self._entries:
            names = self._names(number)
            for _, block in self._blocks(number):
                if block.type == "tool_result":
                    yield number, block.text_of("tool_use_id"), _words(block, names)

    def _kinds(self, number: int) -> str:
        return " and ".join(dict.fromkeys(kind for kind, _ in self.parts(number))) or "nothing"

    def parts(self, number: int) -> list[tuple[str, str]]:
        """Return what an entry consists of: what it is, and its words."""
        names = self._names(number)
        return [
            (_kind(message, block, names), words)
            for message, block in self._blocks(number)
            if self._whole or not _is_recall(block, names)
            if (words := _words(block, names)).strip()
        ]

    def _blocks(self, number: int) -> Iterator[tuple[Message, Block]]:
        """Yield an entry's blocks as copies that keep nothing decoded once they are read: the
        session's own would, for its whole history.
        """
        for message in self._entries[number]:
            for block in message.blocks:
                yield message, Block(block.raw)

    def _names(self, number: int) -> Mapping[str, str]:
        """Return the tools that were called here and, for imported histories, just before."""
        at = self._positions[number]
        return {
            block.text_of("id"): block.text_of("name")
            for near in self._numbers[max(0, at - 1) : at + 1]
            for message, block in self._blocks(near)
            if message.role == ASSISTANT and block.type == "tool_use"
        }


def _digest(messages: Sequence[Message]) -> bytes:
    digest = hashlib.blake2b(_RENDERING, digest_size=16)
    for message in messages:
        digest.update(message.role.encode())
        for block in message.blocks:
            digest.update(block.raw.encode(errors="surrogatepass"))
            digest.update(b"\n")
    return digest.digest()


def _is_recall(block: Block, names: Mapping[str, str]) -> bool:
    name = block.text_of("name") or names.get(block.text_of("tool_use_id"), "")
    return name in {SEARCH, READ} and block.type in {"tool_use", "tool_result"}


def _kind(message: Message, block: Block, names: Mapping[str, str]) -> str:
    kind = block.type
    if kind == "tool_use" or is_server_use(kind):
        return f"call of {block.text_of('name') or 'a tool'}"
    if kind == "tool_result" or is_server_result(kind):
        name = names.get(block.text_of("tool_use_id"), "")
        return f"result of {name}" if name else "result of a call"
    if kind == "text":
        return "answer" if message.role == ASSISTANT else "prompt"
    return kind or "block"


def _words(block: Block, names: Mapping[str, str]) -> str:
    """Return a block's words, whole: thinking has none, media are named."""
    if block.type in _THINKING:
        return ""
    try:
        words: str = encoding.without_lone_surrogates(_said(block, names))
    except RecursionError:  # arguments nested deeper than can be read
        return block.raw
    return words


def _said(block: Block, names: Mapping[str, str]) -> str:
    if block.type == "tool_use" or is_server_use(block.type):
        name = block.text_of("name") or "a tool without a name"
        return "\n".join([f"[called {name}]", *_lines(block.get("input"))])
    if block.type == "tool_result":
        called = names.get(block.text_of("tool_use_id"), "")
        return casting.result_text(block.data, f"result of {called}" if called else "result")
    return casting.as_text(block)


def _lines(value: Any) -> Iterator[str]:
    """Yield a call's arguments as a person would read them: texts with their line ends."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            words = "\n".join(_lines(item))
            yield f"{key}:\n{words}" if "\n" in words else f"{key}: {words}"
    elif isinstance(value, list):
        for item in value:
            yield from _lines(item)
    else:
        yield value if isinstance(value, str) else encoding.encode(value)


def _holding(words: str, terms: Sequence[str]) -> int:
    """Return how many of the terms stand somewhere in the words."""
    folded = words.casefold()
    return sum(term.casefold() in folded for term in terms)


def _excerpt(words: str, terms: Sequence[str]) -> str:
    """Return the words around the first term that stands in them, as one line."""
    wanted = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    found = re.search(wanted, words, re.IGNORECASE)
    start = max(0, found.start() - _BEFORE_CHARS) if found else 0
    cut = words[start : start + EXCERPT_CHARS]
    line = " ".join(cut.split())
    end = "…" if start + EXCERPT_CHARS < len(words) else ""
    return f"{'…' if start else ''}{line}{end}"
