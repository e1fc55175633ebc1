"""Summaries of real transcripts, kept in `golden_summaries.json`: counts and digests, no words.

Law: what a later version reads in a file differs from what an earlier one read only where somebody
looked at the difference. `python -m transcripts.golden_summaries` writes them anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final, TypeAlias

from holdfast.conversation.history import to_wire
from holdfast.transcripts.claude_code import read
from holdfast.transcripts.findings import check
from transcripts.mutant_campaign import subjects

GOLDEN: Final = Path(__file__).with_name("golden_summaries.json")

Summary: TypeAlias = dict[str, Any]


def summary(path: Path) -> Summary:
    """Return what is read in a file: how much of everything, and a digest of the history."""
    history = read(path)
    report = check(path)
    blocks = Counter(block.type for message in history.messages for block in message.blocks)
    said = json.dumps(to_wire(history.messages), sort_keys=True).encode()
    return {
        "file": hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        "entries": history.entries,
        "messages": len(history.messages),
        "blocks": dict(sorted(blocks.items())),
        "history": hashlib.sha256(said).hexdigest()[:16],
        "todos": len(history.todos),
        "titled": bool(history.title),
        "versions": list(history.versions),
        "notes": dict(sorted(Counter(note.kind for note in history.notes).items())),
        "findings": dict(
            sorted(Counter(f"{f.rule} {f.severity}" for f in report.findings).items())
        ),
        "healthy": report.healthy,
    }


def golden() -> dict[str, Summary]:
    """Return the kept summaries by the name of the file."""
    kept: dict[str, Summary] = json.loads(GOLDEN.read_text())
    return kept


def main() -> int:
    """Write the summaries of all real files that are there, and keep those of the others."""
    kept = golden() if GOLDEN.exists() else {}
    kept |= {subject.path.name: summary(subject.path) for subject in subjects()}
    lines = (f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept))
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
