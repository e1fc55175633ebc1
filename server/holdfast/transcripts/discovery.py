"""Finding the sessions that Claude Code has on this machine.

Law: the folders are scanned, every time; an index, our own or Claude Code's, only saves reading
again what has not changed (D14). A session is found by its exact id wherever it lies, never as
"the latest" (D12, D13). Nothing here changes a foreign file; keeping a copy writes ours (P8, D18).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from holdfast.transcripts import folders
from holdfast.transcripts.glance import END_BYTES, Glance, Health, glance

RETENTION_DAYS: Final = 30
"""How long Claude Code keeps a session that is not used, unless its settings say otherwise."""
DAY_S: Final = 86_400

Relation: TypeAlias = Literal["here", "same repository", "perhaps moved"]


@attrs.frozen
class Session:
    """A session of Claude Code on disk, as a list shows it.

    `session_id` is the name of its file, which is what `claude --resume` goes by; `ids` are all
    that stand in it. `used_at` is the file's mtime, in seconds; `deleted_in_days` counts from now
    until Claude Code may delete it, and is negative when it is overdue.
    """

    path: Path
    session_id: str
    ids: tuple[str, ...]
    title: str
    cwd: str
    version: str
    size: int
    used_at: float
    health: Health
    deleted_in_days: float


@attrs.define
class Catalogue:
    """The sessions below some configuration directories; glances are kept by size and mtime."""

    config_dirs: tuple[Path, ...]
    _glances: dict[tuple[Path, int, int], Glance] = attrs.field(factory=dict)

    def sessions(self, now: float) -> list[Session]:
        """Return all sessions, the one used last first. `now` is in seconds."""
        found = [
            session
            for config_dir in self.config_dirs
            for path in files(config_dir)
            if (session := self._session(path, now, retention_days(config_dir))) is not None
        ]
        return sorted(found, key=lambda session: (-session.used_at, session.session_id))

    def find(self, session_id: str) -> list[Path]:
        """Return the files of exactly this session: by their names, else by what is in them."""
        everything = [path for config_dir in self.config_dirs for path in files(config_dir)]
        named = [path for path in everything if path.stem == session_id]
        return named or [path for path in everything if holds(path, session_id)]

    def _session(self, path: Path, now: float, days: float) -> Session | None:
        try:
            status = path.stat()
        except OSError:
            return None  # It went away while we looked.
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in self._glances:
            self._glances[key] = look(path)
        seen = self._glances[key]
        return Session(
            path=path,
            session_id=path.stem,
            ids=seen.ids,
            title=seen.title,
            cwd=seen.cwd,
            version=seen.version,
            size=status.st_size,
            used_at=status.st_mtime,
            health=seen.health,
            deleted_in_days=days_left(status.st_mtime, now, days),
        )


def config_dirs(environ: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Return where Claude Code keeps its things: where it is told to, and where it does untold."""
    told = environ.get("CLAUDE_CONFIG_DIR", "").strip()
    wanted = [Path(told).expanduser()] if told else []
    wanted += [home / ".claude", home / ".config" / "claude"]
    there: dict[Path, Path] = {}
    for path in wanted:
        if (path / "projects").is_dir():
            there.setdefault(path.resolve(), path)
    return tuple(there.values())


def files(config_dir: Path) -> Iterator[Path]:
    """Yield the session files of all projects; those of sub-agents are parts of other sessions."""
    try:
        projects = sorted(path for path in (config_dir / "projects").iterdir() if path.is_dir())
    except OSError:
        return
    for project in projects:
        with contextlib.suppress(OSError):  # A folder that is not ours to read hides no other.
            inside = sorted(project.glob("*.jsonl"))
            yield from (p for p in inside if not p.name.startswith("agent-") and p.is_file())


def look(path: Path) -> Glance:
    """Look at both ends of a file."""
    try:
        with path.open("rb") as stream:
            head = stream.read(END_BYTES)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(len(head), size - END_BYTES))
            rest = stream.read(END_BYTES)
    except OSError:
        return Glance("unreadable")
    if size <= len(head) + END_BYTES:
        return glance(head + rest, b"")
    return glance(head, rest)


def holds(path: Path, session_id: str) -> bool:
    """Say whether records of this session stand in a file, whatever the file is called (D13)."""
    if not session_id:
        return False
    sought = json.dumps(session_id).encode()
    field = re.compile(rb'"sessionId"\s*:\s*$')
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            at = content.find(sought)
            while at >= 0:
                if field.search(content[max(0, at - 32) : at]):
                    return True
                at = content.find(sought, at + 1)
    except (OSError, ValueError):
        pass  # An empty file cannot be mapped, and one that cannot be read tells nothing.
    return False


def retention_days(config_dir: Path) -> float:
    """Return after how many days without use Claude Code deletes a session, by its settings."""
    try:
        settings = json.loads((config_dir / "settings.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return RETENTION_DAYS
    days = settings.get("cleanupPeriodDays") if isinstance(settings, dict) else None
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not days >= 0:
        return RETENTION_DAYS
    return days


def days_left(used_at: float, now: float, days: float) -> float:
    """Return how many days are left until the sweep; it goes by mtime and by nothing else (D18)."""
    return days - (now - used_at) / DAY_S


def spellings(folder: Path) -> frozenset[str]:
    """Return the keys of a folder as it is spelled and as links resolve."""
    absolute = folder.absolute()
    try:
        resolved = absolute.resolve()
    except (OSError, ValueError):  # A ring of links, or what can be no path on this machine.
        resolved = absolute
    return frozenset({folders.key(str(absolute)), folders.key(str(resolved))})


def related(session: Session, folder: Path) -> Relation | None:
    """Say what a session has to do with a folder: a fact, or a hint for a project that moved (D15).

    A session is of a repository when its own folder is a clone of the same remote; it is perhaps
    of a folder when its own is gone and was called the same.
    """
    if not session.cwd:
        return None
    keys = spellings(folder)
    own = Path(session.cwd)
    if folders.key(session.cwd) in keys or (
        own.is_absolute() and not keys.isdisjoint(spellings(own))
    ):
        return "here"
    if is_folder(own):
        remote = git_remote(own)
        return "same repository" if remote and remote == git_remote(folder) else None
    called_the_same = any(folders.name(session.cwd) == folders.name(each) for each in keys)
    return "perhaps moved" if called_the_same else None


def is_folder(path: Path) -> bool:
    """Say whether a path that stood in a foreign file is a folder here; never raises."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # Too long for a name, or no name at all.
        return False


def git_remote(folder: Path) -> str:
    """Return the address of a clone's remote, without what differs between users; "" for none."""
    try:
        git = next(p / ".git" for p in (folder, *folder.parents) if (p / ".git").exists())
        if git.is_file():  # A worktree names the place of its repository.
            place = Path(git.read_text("utf-8").removeprefix("gitdir:").strip())
            common = place / "commondir"
            place = git.parent / place
            git = place / common.read_text("utf-8").strip() if common.is_file() else place
        config = (git / "config").read_text("utf-8", errors="replace")
    except (OSError, StopIteration, UnicodeError):
        return ""
    urls = re.findall(r"^\s*url\s*=\s*(\S+)", config, re.MULTILINE)
    return _remote_key(urls[0]) if urls else ""


def _remote_key(url: str) -> str:
    """Return `host/path` of an address: https, ssh and scp-like spellings are one."""
    plain = re.sub(r"^[a-z+]+://", "", url.strip())
    plain = re.sub(r"^[^/@]*@", "", plain)
    plain = re.sub(r"^([^/:]+):(?:\d+/)?", r"\1/", plain)
    return plain.rstrip("/").removesuffix(".git").lower()


def keep(path: Path, directory: Path) -> Path:
    """Keep a copy of a session and return where it is. Raises `OSError`.

    The copy has a current mtime. The same state of a file is kept once; a later state is a copy of
    its own, so that damage to the file never reaches what was kept before.
    """
    status = path.stat()
    state = f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}"
    target = directory / f"{path.stem}.{hashlib.sha256(state.encode()).hexdigest()[:12]}.jsonl"
    if target.exists():
        return target
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=directory, prefix=".keeping-")
    try:
        with os.fdopen(handle, "wb") as copy, path.open("rb") as source:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def of_folder(sessions: Iterable[Session], folder: Path) -> Sequence[tuple[Session, Relation]]:
    """Return the sessions that have to do with a folder, its own ones first."""
    found = [(each, relation) for each in sessions if (relation := related(each, folder))]
    return sorted(found, key=lambda pair: pair[1] != "here")
