"""The port of the search in a session's past.

Law: an index is derived data. It may be missing, old or damaged at any moment; then it is made
again from the history, which is the caller's. No words that are searched for are an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

TERMS_MAX: Final = 32
"""How many words of a query count."""

_TERMS: Final = re.compile(r'"([^"]+)"|(\S+)')


class SearchUnavailable(Exception):
    """The index cannot be used now; the message says why, in words. Nothing else is affected."""


class Past(Protocol):
    """A history to be searched: numbered entries. Asked in a worker thread; never changes."""

    @property
    def digests(self) -> Mapping[int, bytes]:
        """What identifies the content of each entry, in the entries' order."""
        ...

    def text_of(self, entry: int) -> str:
        """Return all words of an entry."""
        ...


class SearchIndex(Protocol):
    """Finds entries by their words. One index serves all sessions."""

    async def search(
        self, session_id: str, past: Past, terms: Sequence[str], limit: int
    ) -> list[int]:
        """Return at most `limit` entries of `past` that hold the terms, the best first.

        Those with all terms come before those with some, or with longer words that begin so. The
        index is brought in line with `past` first. Raises `SearchUnavailable`.
        """
        ...

    async def forget(self, session_id: str) -> None:
        """Remove what is kept for a session, for good. Raises `SearchUnavailable`."""
        ...


def terms_of(query: str) -> tuple[str, ...]:
    """Return the words of any text; what stands in double quotes is one term. Never fails."""
    found = dict.fromkeys(term for term in _terms(query) if term)
    return tuple(found)[:TERMS_MAX]


def _terms(query: str) -> Iterator[str]:
    for quoted, word in _TERMS.findall(query):
        yield " ".join((quoted or word).replace('"', " ").split())
