"""This machine: where sessions are kept, and whether there is room for more.

Law: what is written for a look is removed at once; no file of a session is opened.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from holdfast.network.reports import Check, State

DISK: Final = "disk"
DISK_FULL: Final = "diskFull"
NOT_WRITABLE: Final = "dataNotWritable"

_LOW_BYTES: Final = 500 << 20
_FULL_BYTES: Final = 10 << 20
_PROBE_BYTES: Final = 64 * 1024
_FULL: Final = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def disk(data_dir: Path) -> Check:
    """Look whether sessions can be written. Blocks: call it in a thread."""
    place = _nearest(data_dir)
    try:
        free = shutil.disk_usage(place).free
        with tempfile.NamedTemporaryFile(dir=place, prefix=".holdfast-look-") as probe:
            probe.write(b"\0" * _PROBE_BYTES)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        full = error.errno in _FULL
        says = f"The folder of sessions cannot be written: {error.strerror or error}."
        cause = DISK_FULL if full else NOT_WRITABLE
        return Check(name=DISK, state=State.BAD, says=says, cause=cause)
    return room(free)


def room(free: int) -> Check:
    """Judge the free space, in bytes. Pure."""
    says = f"The folder of sessions can be written; {free / 1e9:.1f} GB are free."
    facts = {"freeBytes": free}
    if free < _FULL_BYTES:
        return Check(name=DISK, state=State.BAD, says=says, cause=DISK_FULL, facts=facts)
    state = State.WARNING if free < _LOW_BYTES else State.GOOD
    return Check(name=DISK, state=state, says=says, cause="", facts=facts)


def _nearest(folder: Path) -> Path:
    """Return a folder, or the first above it that is there already."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path(folder.anchor))
