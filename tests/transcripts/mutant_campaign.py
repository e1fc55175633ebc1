"""Read, check and repair mutants of real transcripts: `python -m transcripts.mutant_campaign`.

Law, for each mutant (V9, P4, P8): nothing raises; the repaired copy is healthy, and what it says is
taken by the grammar and by the simulator; a second repair changes no byte. Over all mutants, no
less than `KEPT_MIN` of the intact text is kept. Intact is what the records said that were on the
active branch of the original and whose bytes the mutation did not touch.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import attrs

from holdfast.conversation.history import Block, History
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.rules import validate
from holdfast.transcripts import tree
from holdfast.transcripts.bodies import opened
from holdfast.transcripts.claude_code import read
from holdfast.transcripts.findings import MENDED_BY_CLAUDE_CODE, Severity, check
from holdfast.transcripts.index import TranscriptIndex
from holdfast.transcripts.repairing import repair
from transcripts.mutants import Mutant, Original, mutant
from transcripts.sendable import NEXT, refused

CORPUS: Final = Path(__file__).parents[1] / "corpora" / "claude-code"
KEPT_MIN: Final = 0.999
OPEN_CALL: Final = "R40"
"""Calls at the very end get a result from Claude Code."""
_NO_WORDS: Final = frozenset({"type", "id", "tool_use_id", "signature", "data", "media_type"})


@attrs.frozen
class Trial:
    """What became of one mutant. `wrong` says which promise was broken; empty: none."""

    name: str
    wrong: str
    intact_bytes: int = 0
    lost_bytes: int = 0
    repairs: int = 0

    @property
    def raised(self) -> bool:
        """Say whether something raised."""
        return self.wrong.startswith("Traceback")


@attrs.define
class Subject:
    """A real file, and what its records said on the active branch, by line."""

    path: Path

    @cached_property
    def original(self) -> Original:
        """The lines of the file."""
        return Original(self.path.name, tuple(self.path.read_bytes().splitlines(keepends=True)))

    @cached_property
    def said(self) -> Mapping[int, tuple[str, ...]]:
        """The texts of each line."""
        found: dict[int, list[str]] = {}
        index = TranscriptIndex.build(self.path)
        with opened(self.path) as bodies:
            for said in tree.messages(tree.active(index), bodies.blocks):
                for block, (row, _) in zip(said.message.blocks, said.places, strict=True):
                    found.setdefault(row.line, []).extend(texts(block))
        return {line: tuple(words) for line, words in found.items()}


def subjects() -> list[Subject]:
    """Return the shipped files, and those that `HOLDFAST_TRANSCRIPTS` names, the smallest first."""
    roots = {CORPUS, Path(os.environ.get("HOLDFAST_TRANSCRIPTS", CORPUS))}
    paths = {path.name: path for root in roots for path in root.rglob("*.jsonl")}
    mine = (path for path in paths.values() if "other-agents" not in path.parts)
    return [Subject(path) for path in sorted(mine, key=lambda path: (path.stat().st_size, path))]


def texts(block: Block) -> Iterator[str]:
    """Yield the words in a block: of a text, a thought, a call's input or a result."""
    yield from _texts(block.data)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name not in _NO_WORDS:
                yield from _texts(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _texts(item)


def lost_of(intact: Sequence[str], history: History) -> list[str]:
    """Return the texts that are not in a history as often as they should be."""
    there = Counter(
        text for message in history for block in message.blocks for text in texts(block)
    )
    missing = Counter(intact) - there
    everything = "\0".join(there) if missing else ""
    return [text for text, count in missing.items() for _ in range(count) if text not in everything]


# -- one mutant ------------------------------------------------------------------------------------


def trial(subject: Subject, number: int, seed: int, folder: Path) -> Trial | None:
    """Play one mutant in an empty folder; None when the file has nothing to damage in that way."""
    found = mutant(subject.original, number, seed)
    if found is None:
        return None
    kind, struck = found
    name = f"{kind} --file {subject.path.name} --number {number} --seed {seed}"
    path = folder / "session.jsonl"
    path.write_bytes(struck.content)
    try:
        return _played(subject, struck, path, name)
    except Exception:  # noqa: BLE001  # any of them is what the campaign looks for
        return Trial(name, traceback.format_exc(limit=-6))
    finally:
        for each in folder.iterdir():
            each.unlink()


def _played(subject: Subject, struck: Mutant, path: Path, name: str) -> Trial:
    intact = [
        text for line, words in subject.said.items() if line not in struck.touched for text in words
    ]
    output, again = path.with_name("repaired.jsonl"), path.with_name("again.jsonl")
    read(path)
    before = check(path)
    repairs = repair(path, output=output).repairs
    history = read(output).messages
    lost = lost_of(intact, history)
    wrong = _wrong(path, output, again, history, healthy=before.healthy)
    if path.read_bytes() != struck.content:
        wrong = "the file itself was changed"
    return Trial(name, wrong, _size(intact), _size(lost), len(repairs))


def _wrong(path: Path, output: Path, again: Path, history: History, *, healthy: bool) -> str:
    errors = [f for f in check(output).findings if f.severity is Severity.ERROR]
    if errors:
        return f"not healthy: {errors[0]}"
    if healthy and output.read_bytes() != path.read_bytes():
        return "a healthy file was changed"
    allowed = MENDED_BY_CLAUDE_CODE | {"R33"} if healthy else {OPEN_CALL}
    broken = {found.rule for found in validate((*history, NEXT), ANY_TOOLS)} if history else set()
    if not broken <= allowed:
        return f"the grammar finds {sorted(broken - allowed)}"
    refusal = refused(history)
    if refusal:
        return f"the simulator refuses it: {refusal}"
    if repair(output, output=again).repairs or again.read_bytes() != output.read_bytes():
        return "a second repair changes it"
    return ""


def _size(words: Sequence[str]) -> int:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in words)


# -- the campaign ----------------------------------------------------------------------------------


@attrs.define
class Outcome:
    """What became of many mutants."""

    trials: Counter[str] = attrs.field(factory=Counter)
    losses: Counter[str] = attrs.field(factory=Counter)
    intact_bytes: int = 0
    lost_bytes: int = 0
    repaired: int = 0
    broken: list[Trial] = attrs.field(factory=list)

    @property
    def exceptions(self) -> int:
        """How many raised."""
        return sum(one.raised for one in self.broken)

    @property
    def invalid(self) -> int:
        """How many broke another promise."""
        return len(self.broken) - self.exceptions

    @property
    def kept(self) -> float:
        """The share of the intact text that is there after the repair."""
        return 1 - self.lost_bytes / self.intact_bytes if self.intact_bytes else 1.0

    def add(self, one: Trial) -> None:
        """Count one mutant."""
        self.trials[one.name.split()[0]] += 1
        self.losses[one.name] += one.lost_bytes
        self.intact_bytes += one.intact_bytes
        self.lost_bytes += one.lost_bytes
        self.repaired += bool(one.repairs)
        if one.wrong:
            self.broken.append(one)


def campaign(files: Sequence[Subject], numbers: range, seed: int) -> Iterator[Trial]:
    """Play mutants, the files in turn; each time round, the kinds move on by one."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for number in numbers:
            turn, which = divmod(number, len(files))
            played = trial(files[which], turn + which, seed + turn, Path(folder))
            if played is not None:
                yield played


def main() -> int:
    """Return 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--first", type=int, default=0, help="the first (default 0)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--file", help="replay: the file")
    parser.add_argument("--number", type=int, help="replay: the number")
    options = parser.parse_args()
    files, began, outcome = subjects(), time.monotonic(), Outcome()
    numbers = range(options.first, options.first + options.mutants)
    trials = campaign(files, numbers, options.seed)
    if options.file is not None:
        trials = _replayed(files, options.file, options.number, options.seed)
    for one in trials:
        outcome.add(one)
        if one.wrong:
            print(f"{one.name}: {one.wrong}", flush=True)
        if time.monotonic() - began > options.seconds:
            break
    show(outcome, time.monotonic() - began)
    return int(bool(outcome.broken) or outcome.kept < KEPT_MIN)


def _replayed(files: Sequence[Subject], name: str, number: int, seed: int) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        subject = next(each for each in files if each.path.name == name)
        played = trial(subject, number, seed, Path(folder))
        if played is not None:
            yield played


def show(outcome: Outcome, took_s: float) -> None:
    """Print where text was lost, and the figures."""
    for name, lost in outcome.losses.most_common(20):
        if lost:
            print(f"{lost:>9} bytes lost: {name}")
    by_kind: Counter[str] = Counter()
    for name, lost in outcome.losses.items():
        by_kind[name.split()[0]] += lost
    print(", ".join(f"{kind} {n}" for kind, n in sorted(outcome.trials.items())))
    print("lost by kind: " + ", ".join(f"{kind} {n}" for kind, n in by_kind.most_common() if n))
    print(
        f"mutants: {outcome.trials.total()} in {took_s:.0f} s, {outcome.repaired} repaired, "
        f"{outcome.exceptions} exceptions, {outcome.invalid} invalid, "
        f"{outcome.kept:.4%} of {outcome.intact_bytes} bytes of intact text kept"
    )


if __name__ == "__main__":
    sys.exit(main())
