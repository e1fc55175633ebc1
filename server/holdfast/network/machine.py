"""This machine: where sessions are kept, whether there is room for more, and who has them open.

Law: what is written for a look is removed at once; no session is opened. Judging is pure.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from holdfast.journal.looks import Holder, Standing, StoreLook
from holdfast.network.reports import Check, State

DISK: Final = "disk"
DISK_FULL: Final = "diskFull"
DISK_SLOW: Final = "diskSlow"
NETWORK_DISK: Final = "dataOnNetworkDisk"
NOT_WRITABLE: Final = "dataNotWritable"

STORE: Final = "store"
STORE_FAILED: Final = "storeFailed"
STORE_BUSY: Final = "storeBusy"

_LOW_BYTES: Final = 500 << 20
_FULL_BYTES: Final = 10 << 20
_PROBE_BYTES: Final = 64 * 1024
_SLOW_MS: Final = 1_000
_SILENT_S: Final = 30.0
_FULL: Final = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}

_MOUNTS: Final = Path("/proc/self/mounts")
# SQLite's log needs memory that all who use it share: no file system of another machine has that.
_OF_ANOTHER_MACHINE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "lustre", "glusterfs"}
    | {"fuse.glusterfs", "fuse.sshfs"}
)


def disk(data_dir: Path) -> Check:
    """Look whether sessions can be written, and how fast. Blocks: call it in a thread."""
    place = _nearest(data_dir)
    try:
        free = shutil.disk_usage(place).free
        with tempfile.NamedTemporaryFile(dir=place, prefix=".holdfast-look-") as probe:
            probe.write(b"\0" * _PROBE_BYTES)
            probe.flush()
            begun = time.monotonic()
            os.fsync(probe.fileno())
            took_ms = round((time.monotonic() - begun) * 1000)
    except OSError as error:
        full = error.errno in _FULL
        says = f"The folder of sessions cannot be written: {error.strerror or error}."
        cause = DISK_FULL if full else NOT_WRITABLE
        return Check(name=DISK, state=State.BAD, says=says, cause=cause)
    return room(free, took_ms, file_system(place))


def room(free: int, sync_ms: int = 0, kind: str = "") -> Check:
    """Judge the free space in bytes, how long a write took and the file system. Pure."""
    says = f"The folder of sessions can be written; {free / 1e9:.1f} GB are free."
    facts = {"freeBytes": free, "syncMs": sync_ms, "fileSystem": kind}
    if free < _FULL_BYTES:
        return Check(name=DISK, state=State.BAD, says=says, cause=DISK_FULL, facts=facts)
    state, cause = State.GOOD, ""
    if kind in _OF_ANOTHER_MACHINE:
        state, cause = State.WARNING, NETWORK_DISK
        says = f"{says} It lies on another machine's disk ({kind})."
    elif sync_ms > _SLOW_MS:
        state, cause = State.WARNING, DISK_SLOW
        says = f"{says} Writing 64 KB for good took {sync_ms / 1000:.1f} s."
    elif free < _LOW_BYTES:
        state = State.WARNING
    return Check(name=DISK, state=state, says=says, cause=cause, facts=facts)


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str:
    """Return the kind of the file system a folder lies on; empty where the system does not tell."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    above = {str(each) for each in (folder.absolute(), *folder.absolute().parents)}
    found = [
        fields for fields in map(str.split, lines) if len(fields) > 2 and _path(fields) in above
    ]
    return max(found, key=lambda fields: len(_path(fields)))[2] if found else ""


def store(look: StoreLook) -> Check:
    """Judge a look at the store. Pure."""
    if not look.exists:
        says = "There is no store of sessions yet; the first session makes it."
        return Check(name=STORE, state=State.GOOD, says=says)
    if look.problem:
        says = f"The store of sessions cannot be used: {look.problem}"
        return Check(name=STORE, state=State.BAD, says=says, cause=STORE_FAILED)
    facts = {
        "sessions": look.sessions,
        "bytes": look.size_bytes,
        "logBytes": look.log_bytes,
        "holders": [
            {
                "pid": each.pid,
                "sessions": each.sessions,
                "silentSeconds": round(each.silent_s),
                "standing": each.standing.value,
            }
            for each in look.holders
        ],
    }
    says = f"{_counted(look.sessions)} can be read ({look.size_bytes / 1e6:.1f} MB); "
    says += _owners(look.holders)
    if look.locked_s:
        says = f"{says} Another program has kept the store locked for {look.locked_s:.1f} s."
        return Check(name=STORE, state=State.WARNING, says=says, cause=STORE_BUSY, facts=facts)
    if look.suspect:
        says = f"{says} It has shown damage: it is checked and mended at the next start."
        return Check(name=STORE, state=State.WARNING, says=says, facts=facts)
    return Check(name=STORE, state=State.GOOD, says=says, facts=facts)


def _owners(holders: Iterable[Holder]) -> str:
    parts = [_owner(each) for each in holders]
    return f"{', '.join(parts)}." if parts else "none is open."


def _owner(holder: Holder) -> str:
    """Say who has sessions open, and whether he still answers for them."""
    count = _counted(holder.sessions)
    match holder.standing:
        case Standing.HERE:
            return f"{count} open in this server"
        case Standing.GONE:
            return f"{count} of a server that is gone (process {holder.pid}), free to be opened"
        case Standing.ELSEWHERE:
            return f"{count} open in process {holder.pid} of {holder.host}"
        case Standing.ALIVE:
            silent = holder.silent_s > _SILENT_S
            more = f", silent for {holder.silent_s:.0f} s" if silent else ""
            return f"{count} open in another server (process {holder.pid}{more})"


def _counted(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _path(fields: list[str]) -> str:
    """Return the folder of a mount; blanks in it are written in octal (getmntent(3))."""
    return fields[1].encode().decode("unicode_escape") if "\\" in fields[1] else fields[1]


def _nearest(folder: Path) -> Path:
    """Return a folder, or the first above it that is there already."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path(folder.anchor))
