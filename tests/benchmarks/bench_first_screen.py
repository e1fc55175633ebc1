"""S9: what it costs to show a session that is known, whatever its size.

A transcript of Claude Code: its line in the list of sessions, whether its index is current, and
the newest 50 messages of its active branch with their bodies. A session of Holdfast whose history
was imported: what `holdfast.session.open` answers, the newest 50 items and the session itself,
encoded. Seconds of CPU for 100 MB against those for 1 MB, in turn. None of the history was
compacted, which is the hard case: all 100 MB are what the model would be sent.

`python bench_first_screen.py 1000` compares a transcript of so many MB instead.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import bench_stream
from bench_transcripts import USUAL, transcript
from table import Row, print_table

from holdfast.agent.clock import SystemWorld
from holdfast.agent.services import AgentSettings, Services
from holdfast.agent.supervisor import Supervisor
from holdfast.journal.sqlite import SqliteStore
from holdfast.lsp import wire
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import Credentials
from holdfast.tools.registry import Toolbox
from holdfast.transcripts import bodies, tree
from holdfast.transcripts.discovery import Catalogue
from holdfast.transcripts.index import TranscriptIndex

ROUNDS: Final = 41
SHOWN: Final = 50
SMALL_MB, LARGE_MB = 1, 100
TARGET: Final = 3.0
NEVER: Final = 1 << 62
SESSION_ID: Final = "8d1f2a60-5bd0-4d1c-9a31-0c6a0d6c1a11"


def written(directory: Path, megabytes: int) -> Path:
    """Write a transcript where Claude Code would, below `directory`, and return its path."""
    path = _path(directory, megabytes)
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.writelines(transcript(megabytes * 1_000_000, USUAL, compacted=NEVER))
    return path


def _path(directory: Path, megabytes: int) -> Path:
    return directory / f"{megabytes}" / "projects" / "-srv-app" / f"{SESSION_ID}.jsonl"


class Known:
    """A transcript that was looked at before."""

    def __init__(self, path: Path) -> None:
        """Look at it."""
        self._catalogue = Catalogue((path.parents[2],))
        self._index = TranscriptIndex.build(path)
        self._nodes = tree.active(self._index)
        self.show()

    def show(self) -> None:
        """Show it again."""
        (line,) = self._catalogue.sessions(time.time())
        assert line.title
        assert self._index.extended() is self._index
        with bodies.opened(self._index.path) as opened:
            said = list(tree.messages(self._nodes[-SHOWN:], opened.blocks))
        assert len(said) == SHOWN


def transcripts(directory: Path, large_mb: int) -> Row:
    """Measure the first screen of a transcript."""
    small, large = (Known(written(directory, size)) for size in (SMALL_MB, large_mb))
    gc.collect()
    costs = [(_seconds(large), _seconds(small)) for _ in range(ROUNDS)]
    return _row(f"line in the list and newest {SHOWN} messages, {large_mb} MB | 1 MB", costs)


def _seconds(known: Known) -> float:
    began = time.process_time()
    known.show()
    return time.process_time() - began


async def sessions(directory: Path) -> Row:
    """Measure the first screen of a session of Holdfast."""
    services = Services(
        store=await SqliteStore.open(directory / "holdfast.db"),
        model=AnthropicModel(
            lambda: Credentials(api_key="k"), transport=bench_stream.transport([])
        ),
        tools=Toolbox(),
        world=SystemWorld(),
        settings=AgentSettings(model=bench_stream.MODEL, context_window_tokens=NEVER),
    )
    supervisor = Supervisor(services, owner="bench", preload=lambda: None)
    paths = (_path(directory, size) for size in (SMALL_MB, LARGE_MB))
    small, large = [
        await supervisor.import_transcript(path, title=None, workspace_uri=None) for path in paths
    ]
    for session_id in (small, large):
        await opened(supervisor, session_id)
    gc.collect()
    costs = []
    for _ in range(ROUNDS):
        pair = []
        for session_id in (large, small):
            began = time.process_time()
            await opened(supervisor, session_id)
            pair.append(time.process_time() - began)
        costs.append((pair[0], pair[1]))
    await supervisor.close()
    return _row(f"session.open with the newest {SHOWN} items, {LARGE_MB} MB imported | 1 MB", costs)


async def opened(supervisor: Supervisor, session_id: str) -> None:
    """Answer as `holdfast.session.open` does."""
    found = await supervisor.items.open(session_id, since_seq=None, limit=SHOWN)
    view = await supervisor.view(session_id)
    assert found.items is not None
    assert len(found.items) == SHOWN
    wire.encode({"session": wire.plain(view), "items": found.items, "more": found.more})


def _row(what: str, costs: list[tuple[float, float]]) -> Row:
    ours, floor = (statistics.median(side) * 1000 for side in zip(*costs, strict=True))
    ratio = ours / floor
    return Row("S9", what, ours, floor, "ms CPU", ratio, f"at most {TARGET}x", ratio <= TARGET)


def rows(large_mb: int = LARGE_MB) -> list[Row]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        found = [transcripts(directory, large_mb)]
        return [*found, asyncio.run(sessions(directory))] if large_mb == LARGE_MB else found


if __name__ == "__main__":
    print_table(rows(int(sys.argv[1]) if len(sys.argv) > 1 else LARGE_MB))
