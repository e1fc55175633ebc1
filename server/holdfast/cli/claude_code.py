"""Claude Code's own sessions on the command line: list them, find one by its id, keep a copy.

Law: an id is exact, or it is refused with the way to see all; nothing is guessed (D12, D13).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.cli import tables
from holdfast.cli.errors import Refused
from holdfast.conversation import encoding
from holdfast.transcripts import discovery, plain
from holdfast.transcripts.discovery import Catalogue, Relation, Session

WARN_DAYS = 7
"""From how many days before its deletion on a session is marked."""


def catalogue() -> Catalogue:
    """Return the sessions of this user."""
    return Catalogue(discovery.config_dirs(os.environ, Path.home()))


def located(given: Path) -> Path:
    """Return the file that is meant: a path as it is, or a session by its exact id.

    Raises `Refused` when there is neither, or more than one of that id.
    """
    if given.exists() or given.name != str(given):
        return given
    found = catalogue().find(given.stem if given.suffix == ".jsonl" else given.name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise Refused(
            f"There is no file {given} and no session of that id. "
            "`holdfast sessions list --claude-code` shows those there are."
        )
    several = ", ".join(map(str, found))
    raise Refused(f"Several files hold the session {given}: {several}. Name one of them.")


def show(*, folder: Path | None, as_json: bool) -> int:
    """Print Claude Code's sessions, all or those that have to do with a folder."""
    known = catalogue()
    found = known.sessions(time.time())
    related: Sequence[tuple[Session, Relation | None]] = [(each, None) for each in found]
    if folder is not None:
        related = discovery.of_folder(found, folder)
    if as_json:
        print(encoding.encode([plain.session(session, relation) for session, relation in related]))
    elif found and not related:
        print(f"No session of Claude Code has to do with {folder}.")
    elif not related:
        places = ", ".join(str(path / "projects") for path in known.config_dirs)
        print(f"Claude Code has no sessions {f'in {places}' if places else 'on this machine'}.")
    else:
        for session, relation in related:
            print(_shown(session, relation))
        _warn([session for session, _ in related])
    return 0


def keep(given: Path, directory: Path, *, as_json: bool) -> int:
    """Keep a copy of a session where Claude Code does not delete it, and print where it is."""
    path = located(given)
    copy = discovery.keep(path, directory)
    print(encoding.encode({"path": str(path), "kept": str(copy)}) if as_json else copy)
    return 0


def _shown(session: Session, relation: Relation | None) -> str:
    where = tables.clean(session.cwd) or "(folder unknown)"
    hint = f"  ({relation})" if relation not in (None, "here") else ""
    first = (
        f"{tables.moment(session.used_at)}  {tables.size(session.size):>7}  "
        f"{session.health:<11}  {_left(session):<15}  {tables.clean(session.title) or '(no title)'}"
    )
    return f"{tables.fitted(first)}\n    {session.session_id}  {where}{hint}"


def _left(session: Session) -> str:
    days = session.deleted_in_days
    if days <= 0:
        return "! to be deleted"
    mark = "! " if days <= WARN_DAYS else ""
    return f"{mark}{days:.0f} days left" if days >= 1.5 else f"{mark}1 day left"


def _warn(sessions: Sequence[Session]) -> None:
    near = [session for session in sessions if session.deleted_in_days <= WARN_DAYS]
    if near:
        print(
            f"\nClaude Code deletes {tables.counted(len(near), 'session')} within {WARN_DAYS} days "
            "(`cleanupPeriodDays`). To keep one: holdfast sessions keep ID",
            file=sys.stderr,
        )
