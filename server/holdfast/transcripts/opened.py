"""A transcript opened to be judged and mended: its rows, its chain and its active branch.

Law: every block of the active branch knows the row that it stands in, and its place there. What is
in memory follows the number of records; whole bodies are read when they are asked for. Opening
writes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import msgspec

from holdfast.conversation.history import Block, Message
from holdfast.transcripts import tree
from holdfast.transcripts.bodies import Bodies
from holdfast.transcripts.chain import Chain
from holdfast.transcripts.imported import Note
from holdfast.transcripts.index import PROGRESS_BYTES, Progress, TranscriptIndex, gc_paused
from holdfast.transcripts.rows import Row
from holdfast.transcripts.skeleton import skeleton_of


class FileChangedError(OSError):
    """The file was written to while it was looked at; its session may still be running."""


@attrs.frozen
class Said:
    """A message of the active branch, its long strings shortened (see `skeleton`).

    `rows` are its records in order; each block has the row that it stands in (`sources`) and its
    place among the blocks of that row (`places`).
    """

    message: Message
    rows: tuple[Row, ...]
    sources: tuple[Row, ...]
    places: tuple[int, ...]


@attrs.define(eq=False, slots=False)
class Opened:
    """A transcript that is open. `said` is its active branch."""

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

    def whole(self, said: Said) -> Message:
        """Return a message with its whole blocks.

        Raises `FileChangedError` when they are not there any more.
        """
        found: dict[str, tuple[Block, ...]] = {}
        blocks: list[Block] = []
        for row, place in zip(said.sources, said.places, strict=True):
            if row.key not in found:
                found[row.key] = self._bodies.blocks(row)
            if place >= len(found[row.key]):
                raise FileChangedError(f"{self.path} was written to meanwhile")
            blocks.append(found[row.key][place])
        return attrs.evolve(said.message, blocks=tuple(blocks))

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
        before: dict[str | None, None] = {}  # a record follows what stands before it, else a ring
        for row in self._chain.records:
            if row.is_boundary and row.key not in summed_up and not self._is_summed_up(row):
                known = row.logical_parent if row.logical_parent in before else None
                found[row.key] = known or next(reversed(before), None)
            before[row.key] = None
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
        raw = self.line(note.start, note.stop)
        if b"\n" in raw.rstrip():
            return False  # a record on several lines
        try:
            msgspec.json.decode(raw.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            return False
        return True


@contextmanager
def open_transcript(
    path: Path,
    *,
    index: TranscriptIndex | None = None,
    data: bytes | None = None,
    progress: Progress | None = None,
) -> Iterator[Opened]:
    """Read a transcript of Claude Code. Raises `OSError`, and nothing for what is in the file.

    `index` is that of the file as it is now, when it is known. `data` is read instead of the file:
    a text of an editor that is not saved. `progress` is told bytes, twice those of the file in all;
    what it raises is passed on.
    """
    with ExitStack() as stack:
        stream: BinaryIO
        if data is None:
            stream = stack.enter_context(path.open("rb"))
            index = index or TranscriptIndex.build(path, progress=part_of(progress, 0, 2))
        else:
            stream = io.BytesIO(data)
            index = index or attrs.evolve(TranscriptIndex.of_stream(stream), path=path)
        bodies = Bodies(stream)
        with gc_paused():
            branch = tree.branch(index)
            said = tuple(_said(branch.nodes, bodies, index.size, part_of(progress, 1, 2)))
        yield Opened(index, said, stream, bodies, branch.chain)


def part_of(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Return what tells the progress of one of `count` parts of equal length, from 0."""
    if progress is None:
        return None
    tell = progress

    def told(done: int, total: int) -> None:
        tell(number * total + done, count * total)

    return told


def _said(
    nodes: Iterable[tree.Node], bodies: Bodies, size: int, progress: Progress | None
) -> Iterator[Said]:
    """Yield the messages of the active branch. `size` are the bytes of the file."""
    read = told = 0

    def skeletons(row: Row) -> tuple[Block, ...]:
        nonlocal read, told
        read += row.stop - row.start
        if progress is not None and read - told >= PROGRESS_BYTES:
            told = read
            progress(min(read, size), size)
        return tuple(map(skeleton_of, bodies.blocks(row)))

    for node in nodes:
        for each in tree.messages([node], skeletons):
            sources, places = zip(*each.places, strict=True)
            yield Said(each.message, _rows(node, each), sources, places)
    if progress is not None:
        progress(size, size)


def _rows(node: tree.Node, said: tree.Said) -> tuple[Row, ...]:
    return node.rows if node.kind == "message" else (said.places[0][0],)
