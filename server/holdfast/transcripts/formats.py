"""Which reader a file is for: told by what is in it, never by its name alone.

Law: a new format is a module with `FORMAT`, `read` and `recognises`, and one line in `READERS`;
nobody else has to know. The head of the file is looked at, no more. What nobody recognises is
read as Claude Code's: its reader takes everything, and says what it could not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from holdfast.transcripts import claude_code, codex, messages_list
from holdfast.transcripts.imported import ImportedHistory
from holdfast.transcripts.lines import value_at

HEAD_BYTES: Final = 256 * 1024
"""How much of a file is looked at."""


class Reader(Protocol):
    """What reads one format: it never writes, and raises nothing but `OSError`."""

    @property
    def format(self) -> str:
        """The name of the format, as `ImportedHistory.format` says it."""

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Say whether an object of the file is one of this format's own."""

    def read(self, path: Path) -> ImportedHistory:
        """Read a file."""


@attrs.frozen
class _Module:
    """A reader that is a module."""

    format: str
    _recognises: Callable[[Mapping[str, Any]], bool]
    _read: Callable[[Path], ImportedHistory]

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """See `Reader`."""
        return self._recognises(record)

    def read(self, path: Path) -> ImportedHistory:
        """See `Reader`."""
        return self._read(path)


def _is_claude_codes(record: Mapping[str, Any]) -> bool:
    own = {"uuid", "parentUuid", "sessionId", "leafUuid"}
    return isinstance(record.get("type"), str) and not record.keys().isdisjoint(own)


CLAUDE_CODE: Final[Reader] = _Module(claude_code.FORMAT, _is_claude_codes, claude_code.read)
CODEX: Final[Reader] = _Module(codex.FORMAT, codex.recognises, codex.read)
MESSAGES: Final[Reader] = _Module(
    messages_list.FORMAT, messages_list.recognises, messages_list.read
)
READERS: Final = (CLAUDE_CODE, CODEX, MESSAGES)
"""All readers; the first wins when two recognise as much."""


def read(path: Path) -> ImportedHistory:
    """Read a transcript of any known format. Raises `OSError`, and nothing else."""
    return reader_of(path).read(path)


def reader_of(path: Path) -> Reader:
    """Return the reader for a file. Raises `OSError` when it cannot be read."""
    return recognised(path) or CLAUDE_CODE


def recognised(path: Path) -> Reader | None:
    """Return the reader that knows a file as its own, if one does. Raises `OSError`."""
    with path.open("rb") as stream:
        return sniff(stream.read(HEAD_BYTES))


def sniff(head: bytes) -> Reader | None:
    """Return the reader that knows a file that begins with these bytes."""
    said = head.replace(b"\0", b"").decode(errors="replace").removeprefix("\ufeff").lstrip()
    votes: Counter[int] = Counter()
    for record in _objects(said):
        votes.update(n for n, reader in enumerate(READERS) if reader.recognises(record))
    if votes:
        return READERS[max(votes, key=lambda number: (votes[number], -number))]
    if messages_list.is_document(said):
        return MESSAGES
    if _begins_a_session(said):
        return CLAUDE_CODE
    return CODEX if _begins_a_rollout(said) else None


def _objects(said: str) -> Iterator[Mapping[str, Any]]:
    """Yield the object at the beginning of each line, where there is one."""
    for line in said.split("\n"):
        value, _ = value_at(line.lstrip(), 0)
        if isinstance(value, dict):
            yield value


def _begins_a_session(said: str) -> bool:
    """Say so of a first line that is longer than the head: a prompt with a picture can be."""
    return "\n" not in said and '"parentUuid"' in said[:400]


def _begins_a_rollout(said: str) -> bool:
    """Say so of a first line that is longer than the head: instructions can be."""
    return '"payload"' in said[:400] and any(f'"{kind}"' in said[:400] for kind in codex.KINDS)
