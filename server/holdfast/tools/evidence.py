"""What a file was before a call changed it.

Law: evidence names the bytes, it does not hold them. It goes into the write-ahead record of a
mutating call (P6), so that after a crash one can see whether the change took place.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from holdfast.tools import files


def file_evidence(path: Path) -> dict[str, Any] | None:
    """Return path, SHA-256 (hex) and size of a regular file; None when there is none to read.

    Blocking: the whole file is read. Files above `files.FILE_BYTES_MAX` have `sha256` None, as
    no tool changes those.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        digest = None
        if status.st_size <= files.FILE_BYTES_MAX:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # unreadable is the same as absent: there is nothing to name
    return {"path": os.fspath(path), "sha256": digest, "bytes": status.st_size}
