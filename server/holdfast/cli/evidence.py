"""What the demo claims, computed from the simulator's log and from the journal.

Law: no claim is printed that was not computed here from what others wrote down: the simulator about
what it was asked and refused, the journal about what happened, the file system about what ran.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from holdfast.cli import plot
from holdfast.simulator import Simulator


@attrs.define
class Facts:
    """What was seen from outside while the demo played."""

    imported: int = 0
    broken_rules: list[str] = attrs.Factory(list)
    sent: dict[str, str] = attrs.Factory(dict)
    compaction_began: float = 0.0
    compaction_s: float | None = None
    journal_before_kill: list[dict[str, Any]] = attrs.Factory(list)
    journal: list[dict[str, Any]] = attrs.Factory(list)
    messages: list[dict[str, Any]] = attrs.Factory(list)
    deployments: list[str] = attrs.Factory(list)
    trouble: str = ""

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's events of one type, with their `seq`."""
        return [
            {**line["event"], "seq": line["seq"]}
            for line in self.journal
            if line["event"]["type"] == kind
        ]

    def turn_of(self, scene: plot.Scene) -> str:
        """Return the id of the turn that answered a prompt."""
        return self.sent.get(scene.prompt_id, "")

    def end_of(self, scene: plot.Scene) -> int | None:
        """Return the number of the event that completed a prompt's turn, if it was completed."""
        ends = [
            event["seq"]
            for event in self.of_type("turnEnded")
            if event["turnId"] == self.turn_of(scene) and event["reason"] == "completed"
        ]
        return ends[0] if len(ends) == 1 else None


@attrs.frozen
class Check:
    """One line of the table."""

    what: str
    survived: str
    held: bool


def checks(facts: Facts, simulator: Simulator) -> list[Check]:
    """Return all lines of the table."""
    return [
        _past(facts),
        _prompts(facts),
        _compaction(facts, simulator),
        _meanwhile(facts),
        _parts(facts, simulator),
        _gateway(facts, simulator),
        _stall(facts),
        _kill(facts),
        _memory(facts),
        _refusals(simulator),
        _once(facts),
        *([Check("The play itself", facts.trouble, held=False)] if facts.trouble else []),
    ]


def _past(facts: Facts) -> Check:
    imported = len(facts.of_type("messageImported"))
    repaired = facts.of_type("historyRepaired")
    rules = sorted({note["rule"] for event in repaired for note in event["notes"]})
    return Check(
        f"Past of {imported} messages, broken by {', '.join(facts.broken_rules) or 'nothing'}",
        f"all kept; repaired once ({', '.join(rules) or 'not at all'}), can be undone",
        bool(imported) and imported == facts.imported and len(repaired) == 1 and bool(rules),
    )


def _prompts(facts: Facts) -> Check:
    scenes = [scene for scene in vars(plot).values() if isinstance(scene, plot.Scene)]
    answered = [scene for scene in scenes if facts.end_of(scene) is not None]
    accepted = {event["promptId"] for event in facts.of_type("promptAccepted")}
    return Check(
        f"{len(scenes)} prompts sent",
        f"{len(answered)} answered, {len(accepted)} in the journal",
        len(answered) == len(scenes) and {scene.prompt_id for scene in scenes} == accepted,
    )


def _compaction(facts: Facts, simulator: Simulator) -> Check:
    failed = [entry for entry in simulator.log if entry.step == "compaction 504"]
    committed = facts.of_type("compactionCommitted")
    rungs = {event["compactionId"]: event["rung"] for event in facts.of_type("compactionPrepared")}
    rung = rungs.get(committed[0]["compactionId"]) if committed else None
    seconds = facts.compaction_s
    took = "never" if seconds is None else f"after {seconds:.1f} s"
    limit = 20.0
    return Check(
        f"Compaction: {len(failed)} calls, each answered 504",
        f"{rung or 'nothing'} in force {took} (deadline {limit:.0f} s)",
        bool(failed)
        and all(entry.status == 504 for entry in failed)
        and rung == "digest"
        and seconds is not None
        and seconds <= limit,
    )


def _meanwhile(facts: Facts) -> Check:
    began = [event["seq"] for event in facts.of_type("compactionStarted")]
    committed = [event["seq"] for event in facts.of_type("compactionCommitted")]
    end = facts.end_of(plot.MEANWHILE)
    sent = [
        event["seq"]
        for event in facts.of_type("promptAccepted")
        if event["promptId"] == plot.MEANWHILE.prompt_id
    ]
    during = bool(began and committed and sent) and began[0] < sent[0] < committed[0]
    return Check(
        "A prompt while compaction was failing",
        "answered" if end is not None else "not answered",
        during and end is not None,
    )


def _parts(facts: Facts, simulator: Simulator) -> Check:
    asked = [entry for entry in simulator.log if entry.step == plot.PART]
    finished = Counter(
        str(entry.body["messages"]) for entry in asked if entry.outcome == "answered"
    )
    parts = {event["key"]: event["seq"] for event in facts.of_type("compactionChunkSummarised")}
    starts = facts.of_type("compactionStarted")
    ends = [event["seq"] for event in facts.of_type("compactionCommitted")]
    deaths = [event["seq"] for event in facts.of_type("sessionRecovered")]
    inside = len(starts) > 1 and len(ends) > 1 and starts[1]["seq"] < deaths[0] < ends[1]
    before = sum(seq < deaths[0] for seq in parts.values()) if deaths else 0
    twice = sum(count > 1 for count in finished.values())
    return Check(
        f"kill -9 while {len(parts)} parts of the history were summarised",
        f"{before} that were finished were used again, {twice} asked for twice",
        inside and 0 < before < len(parts) and not twice,
    )


def _gateway(facts: Facts, simulator: Simulator) -> Check:
    failed = [entry for entry in simulator.log if entry.step == "gateway fails"]
    turn_id = facts.turn_of(plot.GATEWAY)
    retries = [event for event in facts.of_type("requestFailed") if event["turnId"] == turn_id]
    raw = [event for event in retries if event["failure"].get("requestId")]
    return Check(
        f"{len(failed)} times 504 on one prompt",
        f"answered by itself after {len(retries)} retries, raw error kept",
        len(failed) == len(retries) == len(raw) == plot.GATEWAY_FAILURES
        and facts.end_of(plot.GATEWAY) is not None,
    )


def _stall(facts: Facts) -> Check:
    cuts = facts.of_type("responseCut")
    texts = [message["text"] for message in facts.messages if message["role"] == "assistant"]
    kept = [text for text in texts if text and plot.LONG_ANSWER.startswith(text)]
    went_on = any(plot.LONG_REST in text for text in texts)
    return Check(
        "The stream went silent in mid-sentence",
        f"{len(kept[0]) if kept else 0} characters shown, all kept; the answer went on",
        len(cuts) == 1 and bool(kept) and went_on and facts.end_of(plot.LONG) is not None,
    )


def _kill(facts: Facts) -> Check:
    before, after = facts.journal_before_kill, facts.journal
    unknown = [e for e in facts.of_type("toolFinished") if e["outcome"] == "unknown"]
    return Check(
        "kill -9 between tool call and result",
        f"{len(before)} records before, all there after; outcome told as unknown",
        bool(before) and after[: len(before)] == before and len(unknown) == 1,
    )


def _memory(facts: Facts) -> Check:
    answers = [message["text"] for message in facts.messages if message["role"] == "assistant"]
    knows = bool(answers) and plot.SECRET in answers[-1]
    return Check(
        "The secret word of the first prompt",
        f"“{plot.SECRET}” still known" if knows else "forgotten",
        knows,
    )


def _refusals(simulator: Simulator) -> Check:
    sent = [entry for entry in simulator.log if entry.path == "/v1/messages"]
    return Check(
        f"{len(sent)} requests to the strict API",
        f"{len(simulator.refusals)} refused"
        + "".join(f" ({entry.rule})" for entry in simulator.refusals[:3]),
        bool(sent) and not simulator.refusals,
    )


def _once(facts: Facts) -> Check:
    starts = Counter(event["toolUseId"] for event in facts.of_type("toolStarted"))
    twice = [tool_use_id for tool_use_id, count in starts.items() if count > 1]
    return Check(
        f"{len(starts)} tool calls, one of them deployed",
        f"{len(twice)} run twice, {len(facts.deployments)} deployment",
        bool(starts) and not twice and facts.deployments == ["deployed"],
    )


def show(console: Console, found: list[Check], seconds: float) -> None:
    """Print the table and the verdict."""
    table = Table(title="What happened, what survived", title_style="bold", title_justify="left")
    table.add_column("What happened")
    table.add_column("What survived")
    table.add_column("", justify="center")
    for check in found:
        mark = "[green]✔[/]" if check.held else "[bold red]✘[/]"
        survived = check.survived if check.held else f"[red]did not hold:[/] {check.survived}"
        table.add_row(check.what, survived, mark)
    console.print()
    console.print(table)
    lost = sum(not check.held for check in found)
    verdict = "Everything survived." if not lost else f"{lost} claims did not hold."
    console.print(f"[bold]{verdict}[/] ({seconds:.0f} s)")
