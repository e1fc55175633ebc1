"""What is read in real transcripts stays what it was, and looking at them changes nothing (P8, V9).

`HOLDFAST_TRANSCRIPTS` names a directory with more of them; without it the shipped ones are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from holdfast.agent.intake import transcript_events
from holdfast.transcripts.claude_code import read
from holdfast.transcripts.discovery import look
from holdfast.transcripts.findings import check
from holdfast.transcripts.index import TranscriptIndex
from holdfast.transcripts.repairing import repair
from transcripts.damages import DAMAGES, lines_of, story
from transcripts.golden_summaries import golden, summary
from transcripts.mutant_campaign import CORPUS, subjects

FILES = [subject.path for subject in subjects()]
GOLDEN = golden()
LOOKS: Mapping[str, Callable[[Path], object]] = {
    "index": TranscriptIndex.build,
    "glance": look,
    "read": read,
    "check": check,
    "dry run": lambda path: repair(path, dry_run=True),
    "import": lambda path: transcript_events(path, "", ""),
}


def fingerprints(root: Path) -> dict[Path, tuple[str, int, int]]:
    """Return digest, mode and time of change of all files and folders; folders have their names."""
    return {
        path: (
            hashlib.sha256(
                path.read_bytes() if path.is_file() else str(sorted(path.iterdir())).encode()
            ).hexdigest(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in (root, *root.rglob("*"))
    }


def test_every_shipped_file_has_a_summary() -> None:
    assert {path.name for path in CORPUS.glob("*.jsonl")} <= GOLDEN.keys()


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name in GOLDEN], ids=lambda path: path.name
)
def test_a_real_transcript_is_read_as_it_always_was(path: Path) -> None:
    assert summary(path) == GOLDEN[path.name]


@pytest.mark.parametrize("way", LOOKS)
def test_p8_looking_at_real_transcripts_changes_no_file_and_no_folder(way: str) -> None:
    for root in {path.parent for path in FILES}:
        before = fingerprints(root)
        for path in FILES:
            if path.parent == root:
                LOOKS[way](path)
        assert fingerprints(root) == before


@pytest.mark.parametrize("way", LOOKS)
def test_p8_looking_at_damaged_transcripts_changes_no_file_and_no_folder(
    way: str, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for damage in DAMAGES:
        content = damage.strike(lines_of(story().bytes()))
        assert content is not None
        (root / f"{damage.name}.jsonl").write_bytes(content)
    before = fingerprints(root)
    for path in sorted(root.iterdir()):
        LOOKS[way](path)
    assert fingerprints(root) == before
