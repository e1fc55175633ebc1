"""What the outside knows of sessions whose servers are killed, and what became of them, as a table.

Law: an oracle trusts no server: what one showed and acknowledged is kept here, in the killer's
process, and compared with the journal that the next server has.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.load import Work


class Lost(Exception):
    """Something that was shown or acknowledged is gone, or happened twice."""


class Dead(Exception):
    """A session does not go on."""


@dataclass
class Story:
    """What the outside knows of one session: shown, acknowledged, under way."""

    session_id: str
    workspace: Path
    head: int = 0
    """The last event that was compared; what was shown after it is in `shown`."""
    shown: dict[int, dict[str, Any]] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    accepted: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    started: Counter[str] = field(default_factory=Counter)
    compacting: bool = False
    left_in: str = "idle"

    def take(self, event: dict[str, Any]) -> None:
        """Note one event of the journal, in order."""
        match event["type"]:
            case "promptAccepted":
                self.accepted[event["promptId"]] = event["turnId"]
            case "turnEnded":
                self.ended.add(event["turnId"])
            case "toolStarted":
                self.started[event["toolUseId"]] += 1
            case "compactionStarted":
                self.compacting = True
            case "compactionCommitted" | "compactionEnded":
                self.compacting = False
            case "sessionRecovered":
                beside = self.compacting and event["phase"] != "compacting"
                self.left_in = event["phase"] + (" beside a compaction" if beside else "")

    def unfinished(self, live: Iterable[dict[str, Any]] = ()) -> set[str]:
        """Return the turns that were accepted and have not ended, as far as events tell."""
        accepted, ended = set(self.accepted.values()), set(self.ended)
        for event in live:
            if event["type"] == "promptAccepted":
                accepted.add(event["turnId"])
            elif event["type"] == "turnEnded":
                ended.add(event["turnId"])
        return accepted - ended

    def compare(self, journal: dict[int, dict[str, Any]], head: int) -> None:
        """Check what the journal holds after the last head. Raises `Lost`."""
        if list(journal) != list(range(self.head + 1, head + 1)):
            raise Lost(f"the journal has gaps after {self.head}: {list(journal)}")
        for seq, shown in self.shown.items():
            if journal.get(seq) != shown:
                raise Lost(f"P1: seq {seq} was shown as {shown}, now it is {journal.get(seq)}")
        for event in journal.values():
            self.take(event)
        self.head, self.shown = head, {}
        if missing := self.acknowledged - set(self.accepted):
            raise Lost(f"P1: acknowledged prompts {missing} are not in the journal")
        if twice := [call for call, count in self.started.items() if count > 1]:
            raise Lost(f"P6: calls {twice} were started twice")
        for prompt_id, turn_id in self.accepted.items():
            self.acknowledged.add(prompt_id)
            if turn_id in self.ended:
                self.works.pop(prompt_id, None)


@dataclass
class Tally:
    """Phases at the moment of a kill, with what became of the sessions that were in them."""

    points: int = 0
    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def total(tallies: Iterable[Tally]) -> Tally:
    """Add tallies."""
    found = Tally()
    for tally in tallies:
        found.points += tally.points
        found.table.update(tally.table)
        found.failures += tally.failures
    return found


def table(tally: Tally) -> str:
    """Return the table of phases and outcomes as text."""
    by_phase: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (phase, outcome), count in tally.table.items():
        by_phase[phase][outcome] += count
    lines = [f"{'phase at the kill':<58} {'recovered':>9} {'lost':>5} {'dead':>5}"]
    for phase in sorted(by_phase):
        row = by_phase[phase]
        lines.append(f"{phase:<58} {row['recovered']:>9} {row['lost']:>5} {row['dead']:>5}")
    return "\n".join(lines)
