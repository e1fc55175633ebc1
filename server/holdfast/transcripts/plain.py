"""Reports about transcripts as plain data: the JSON that the command line and the server give.

Law: the names are those of the interface; a newer version adds members and takes none away.
"""

from __future__ import annotations

from typing import Any

from holdfast.transcripts.discovery import Relation, Session
from holdfast.transcripts.findings import Finding, Report
from holdfast.transcripts.repairing import RepairReport


def report(checked: Report) -> dict[str, Any]:
    """Return what a check found in a file."""
    return {
        "path": str(checked.path),
        "format": checked.format,
        "version": checked.version,
        "entries": checked.entries,
        "messages": checked.messages,
        "findings": [finding(found) for found in checked.findings],
        "healthy": checked.healthy,
    }


def finding(found: Finding) -> dict[str, Any]:
    """Return one finding. `bytes` is where it begins and where it ends in the file."""
    return {
        "rule": found.rule,
        "severity": str(found.severity),
        "line": found.line,
        "bytes": [found.start, found.stop],
        "message": found.message,
        "repair": found.repair,
        "related": list(found.related),
    }


def repaired(done: RepairReport) -> dict[str, Any]:
    """Return what a repair did."""
    return {
        "path": str(done.path),
        "output": None if done.output is None else str(done.output),
        "backup": None if done.backup is None else str(done.backup),
        "repairs": [
            {"rule": each.rule, "line": each.line, "action": each.action, "kept": each.kept}
            for each in done.repairs
        ],
        "unrepaired": [finding(found) for found in done.unrepaired],
    }


def session(found: Session, relation: Relation | None = None) -> dict[str, Any]:
    """Return a session of Claude Code, and what it has to do with the folder that was asked for."""
    return {
        "sessionId": found.session_id,
        "path": str(found.path),
        "ids": list(found.ids),
        "title": found.title,
        "cwd": found.cwd,
        "version": found.version,
        "size": found.size,
        "usedAtMs": int(found.used_at * 1000),
        "health": found.health,
        "deletedInDays": round(found.deleted_in_days, 2),
        **({} if relation is None else {"relation": relation}),
    }
