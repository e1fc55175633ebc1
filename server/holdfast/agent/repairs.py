"""Checking a session's history on request, mending it by a record, and taking one back.

Law: a dry run and a repair find and say the same; only the second writes, one record that can be
taken back (P4). What is told to people is the data of the report in words, no more (P12).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from holdfast.agent.api import RepairChange, RepairReport
from holdfast.agent.driver import Driver
from holdfast.agent.errors import NotWhileBusy
from holdfast.agent.limits import model_of, profile
from holdfast.agent.registry import Registry
from holdfast.agent.services import Services
from holdfast.conversation import casting
from holdfast.conversation.clipping import clip
from holdfast.conversation.findings import Finding, RepairStep
from holdfast.conversation.history import Block, Message
from holdfast.model.capabilities import from_table
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import preflight
from holdfast.session.state import SessionState

WORDS_BYTES_MAX: Final = 2_000
"""How much of a message is shown before and after a change."""

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})


async def repair(
    sessions: Registry, services: Services, session_id: str, *, dry_run: bool
) -> RepairReport:
    """Check the whole history and mend it, once, by a record that can be undone."""
    driver = await sessions.reach(session_id)
    if not dry_run:
        driver = await sessions.at_rest(session_id)
    state = await sessions.state_of(session_id)
    live = driver.capabilities if isinstance(driver, Driver) else None
    grammar = profile(services, state, live or from_table(model_of(services, state)))
    history = tuple(state.messages)
    findings = preflight.check(history, grammar)
    event, steps = preflight.mend(history, services.world.new_id("r"), grammar)
    if dry_run or not isinstance(driver, Driver) or event is None:
        return _report(state, findings, steps, event, applied=False)
    report = _report(state, findings, steps, event, applied=True)
    await driver.ask(inp.Note((event,), at_rest="paused"))
    if event.repair_id not in (await sessions.state_of(session_id)).repairs:
        raise NotWhileBusy("A turn began meanwhile.")
    return report


async def undo(sessions: Registry, session_id: str, repair_id: str) -> None:
    """Take a repair back."""
    driver = await sessions.at_rest(session_id)
    undone = ev.RepairUndone(repair_id=repair_id)
    await driver.ask(inp.Note((undone,), at_rest="paused"))
    if repair_id in (await sessions.state_of(session_id)).repairs:
        raise NotWhileBusy("A turn began meanwhile.")


def _report(
    state: SessionState,
    findings: Sequence[Finding],
    steps: Sequence[RepairStep],
    event: ev.HistoryRepaired | None,
    *,
    applied: bool,
) -> RepairReport:
    history = tuple(state.messages)
    changes = tuple(_changes(history, event, steps)) if event is not None else ()
    return RepairReport(
        findings=tuple(_finding(finding, history) for finding in findings),
        repairs=tuple(
            {"rule": s.rule, "origin": s.origin, "action": s.action, "kept": s.kept} for s in steps
        ),
        applied=applied,
        repair_id=event.repair_id if event is not None and applied else None,
        changes=changes,
        in_force=tuple(state.repairs),
        report=_in_words(state, findings, changes, event, applied=applied),
    )


def _finding(finding: Finding, history: Sequence[Message]) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "block": finding.block,
        "detail": finding.detail,
        "origin": _origin(history, finding.message),
    }


def _origin(history: Sequence[Message], index: int | None) -> str:
    return history[index].origin if index is not None and index < len(history) else ""


def _changes(
    history: Sequence[Message], event: ev.HistoryRepaired, steps: Sequence[RepairStep]
) -> list[RepairChange]:
    found = []
    for edit in event.edits:
        here = [step for step in steps if step.origin == edit.origin]
        found.append(
            RepairChange(
                origin=edit.origin,
                before=_said((m.role, m.blocks) for m in history if m.origin == edit.origin),
                after=_said((role, ev.blocks_of(content)) for role, content in edit.messages),
                rules=tuple(dict.fromkeys(step.rule for step in here)),
                actions=tuple(dict.fromkeys(step.action for step in here)),
                kept=tuple(dict.fromkeys(step.kept for step in here)),
            )
        )
    return found


def _said(messages: Any) -> str:
    """Return messages as words: who says what, calls and results as lines."""
    lines = [f"{role}: {_words(blocks)}" for role, blocks in messages]
    return clip("\n".join(lines), WORDS_BYTES_MAX)


def _words(blocks: Sequence[Block]) -> str:
    return "\n".join(
        f"[{block.type}]" if block.type in _THINKING else casting.as_text(block) for block in blocks
    )


# -- for people ------------------------------------------------------------------------------------


def _in_words(
    state: SessionState,
    findings: Sequence[Finding],
    changes: Sequence[RepairChange],
    event: ev.HistoryRepaired | None,
    *,
    applied: bool,
) -> str:
    """Return the report as Markdown."""
    lines = [f"# Repair of “{state.title}”", ""]
    if not findings and event is None:
        lines += ["The history is in order. Nothing need be changed.", ""]
    else:
        were = "was" if len(changes) == 1 else "were"
        done = were if applied else "would be"
        places = "one place" if len(changes) == 1 else f"{len(changes)} places"
        problems = "One problem" if len(findings) == 1 else f"{len(findings)} problems"
        lines += [f"{problems} found; {places} {done} changed. The records stay as they are.", ""]
    if findings:
        lines += ["## Found", ""]
        lines += [
            f"- **{f.rule}** ({f.severity.value}{_at(f, state)}): {f.detail}" for f in findings
        ]
        lines.append("")
    for change in changes:
        rules = f" ({', '.join(change.rules)})" if change.rules else ""
        lines += [f"## Record {change.origin}{rules}", ""]
        lines += [f"- {action[:1].upper()}{action[1:]}" for action in change.actions]
        lines += [f"- Kept: {', '.join(change.kept)}", ""] if change.kept else [""]
        lines += ["Before:", "", *_quoted(change.before), ""]
        lines += ["After:", "", *(_quoted(change.after) or ["> (nothing)"]), ""]
    lines += ["## Undo", "", _undo_words(state, event, applied=applied)]
    return "\n".join(lines).rstrip() + "\n"


def _at(finding: Finding, state: SessionState) -> str:
    origin = _origin(state.messages, finding.message)
    return f", record {origin}" if origin else ""


def _quoted(words: str) -> list[str]:
    return [f"> {line}".rstrip() for line in words.splitlines()]


def _undo_words(state: SessionState, event: ev.HistoryRepaired | None, *, applied: bool) -> str:
    known = [*state.repairs, *([event.repair_id] if event is not None and applied else [])]
    if known:
        ids = ", ".join(f"`{repair_id}`" for repair_id in known)
        return f"`holdfast.session.repair` with `undo` takes a repair back. In force: {ids}."
    return "A repair is one record; `holdfast.session.repair` with `undo` takes it back."
