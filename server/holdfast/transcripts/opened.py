"""A transcript opened to be judged and mended: its rows, its chain and its active branch.

Law: every block of the active branch knows the row that it stands in. Opening writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import msgspec

from holdfast.conversation.history import History, Message
from holdfast.transcripts import chain, tree
from holdfast.transcripts.bodies import Bodies
from holdfast.transcripts.chain import Chain
from holdfast.transcripts.imported import Note
from holdfast.transcripts.index import TranscriptIndex
from holdfast.transcripts.rows import Row


@attrs.frozen
class Said:
    """A message of the active branch: its rows in order, and the row of each of its blocks."""

    message: Message
    rows: tuple[Row, ...]
    sources: tuple[Row, ...]


@attrs.define(eq=False, slots=False)
class Opened:
    """A transcript that is open. `said` is its active branch, with whole bodies."""

    index: TranscriptIndex
    said: tuple[Said, ...]
    _stream: BinaryIO
    _bodies: Bodies
    _chain: Chain

    @property
    def path(self) -> Path:
        """The file."""
        return self.index.path

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return self.index.size

    @property
    def rows(self) -> Sequence[Row]:
        """Every record of the file, in file order."""
        return self.index.rows

    @property
    def notes(self) -> Sequence[Note]:
        """What could not be read of the lines, or was mended to read them."""
        return self.index.notes

    @property
    def version(self) -> str:
        """The version of Claude Code that wrote last; empty when the file does not say."""
        return next(reversed(self.index.about.versions), "")

    @property
    def history(self) -> History:
        """What the model would be shown next, as it stands; `origin` is the first row's key."""
        return tuple(each.message for each in self.said)

    @property
    def by_key(self) -> Mapping[str, Row]:
        """The rows of the main track by their keys."""
        return self._chain.by_key

    @property
    def parents(self) -> Mapping[str, str | None]:
        """What each row of the main track follows, as it is taken to be."""
        return self._chain.parents

    @cached_property
    def side_keys(self) -> frozenset[str]:
        """The ids of the records of sub-agents."""
        return frozenset(row.uuid for row in self.rows if row.uuid) - self.by_key.keys()

    def leads_back(self, row: Row) -> bool:
        """Say whether a record follows one of a sub-agent that leads back to the main track.

        Claude Code goes up such a chain without looking at whose it is.
        """
        above, walked = row.parent, set[str]()
        while above in self._side and above not in walked:
            walked.add(above)
            above = self._side[above]
        return bool(walked) and above in self.by_key

    @cached_property
    def _side(self) -> Mapping[str, str]:
        return {row.uuid: row.parent for row in self.rows if row.uuid in self.side_keys}

    @cached_property
    def cut_off_by(self) -> Mapping[str, str | None]:
        """The compactions without a summary, and what each of them would follow as a plain record.

        Claude Code would begin behind them, with nothing of what was said before.
        """
        summed_up = {row.parent for row in self._chain.records if row.is_summary}
        found: dict[str, str | None] = {}
        previous: Row | None = None
        for row in self._chain.records:
            if row.is_boundary and row.key not in summed_up and not self._is_summed_up(row):
                above = row.logical_parent
                known = above if above in self.by_key else None
                found[row.key] = known or (previous.key if previous else None)
            previous = row
        return found

    def _is_summed_up(self, boundary: Row) -> bool:
        """Say whether a summary hangs below a compaction with nothing said between."""
        for row in self._chain.records:
            if row.is_summary and self._chain.spoken_parent(row.key) is boundary:
                return True
        return False

    def record(self, row: Row) -> dict[str, Any]:
        """Return a record as it stands in the file."""
        return self._bodies.record(row)

    def line(self, start: int, stop: int) -> bytes:
        """Return some bytes of the file."""
        self._stream.seek(start)
        return self._stream.read(stop - start)

    def is_plain_json(self, note: Note) -> bool:
        """Say whether a line that needed mending to be read is one that Claude Code reads too.

        It takes a byte-order mark, and puts replacements for bytes that are not UTF-8.
        """
        raw = self.line(note.start, note.stop).decode("utf-8-sig", "replace")
        try:
            msgspec.json.decode(raw)
        except ValueError:
            return False
        return True


@contextmanager
def open_transcript(path: Path) -> Iterator[Opened]:
    """Read a transcript of Claude Code. Raises `OSError`, and nothing for what is in the file."""
    index = TranscriptIndex.build(path)
    with path.open("rb") as stream:
        bodies = Bodies(stream)
        nodes = tree.active(index)
        said = tuple(
            Said(each.message, _rows(node, each), tuple(row for row, _ in each.places))
            for node in nodes
            for each in tree.messages([node], bodies.blocks)
        )
        yield Opened(index, said, stream, bodies, chain.build(index.rows, []))


def _rows(node: tree.Node, said: tree.Said) -> tuple[Row, ...]:
    return node.rows if node.kind == "message" else (said.places[0][0],)
