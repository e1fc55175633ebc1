"""Reading and replacing files on disk.

Law: a file is replaced as a whole or not at all: temporary file beside it, fsync, rename, fsync of
the folder. A write that fails leaves the old file and no temporary one. Only regular files are
read, at most `FILE_BYTES_MAX` of them, and opening never waits (a pipe in the workspace would).
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from holdfast.tools.errors import ToolFailure

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
BINARY_PROBE_BYTES: Final = 8192

_READ_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_WRITE_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()


def lock_for(path: Path) -> asyncio.Lock:
    """Return the lock under which `path` is read, changed and written, or one edit undoes another.

    Parallel calls of one turn may name the same file.
    """
    lock = _locks.get(path)
    if lock is None:
        lock = _locks[path] = asyncio.Lock()
    return lock


def read_bytes(path: Path) -> bytes:
    """Return a regular file's bytes. Raises `ToolFailure` for other kinds and huge files."""
    descriptor = os.open(path, _READ_FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise ToolFailure(f"{path.name!r} is not a regular file.")
        if status.st_size > FILE_BYTES_MAX:
            raise _too_large(path, status.st_size)
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise _too_large(path, len(data))
    return data


def is_binary(data: bytes) -> bool:
    """Say whether bytes are no text: a NUL near the start, as git judges."""
    return b"\0" in data[:BINARY_PROBE_BYTES]


def write_atomic(path: Path, data: bytes) -> None:
    """Replace or create `path` (resolved, no link) with `data`; parent folders are made.

    An existing file keeps its permission bits. Raises `OSError`; the old file is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = _mode_to_keep(path)
    temporary = path.parent / f".holdfast-{secrets.token_hex(8)}.tmp"
    # A new file gets what the umask leaves; a replaced one stays private until it has its mode.
    descriptor = os.open(temporary, _WRITE_FLAGS, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _mode_to_keep(path: Path) -> int | None:
    """Return the permission bits of the file to be replaced, None when there is none.

    A rename would happily replace a write-protected file; that is refused here.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise ToolFailure(f"{path.name!r} is not a regular file and cannot be replaced.")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected", str(path))
    return stat.S_IMODE(status.st_mode)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets folders be synced at all."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _too_large(path: Path, size: int) -> ToolFailure:
    return ToolFailure(
        f"{path.name!r} has {size} bytes; files above {FILE_BYTES_MAX} bytes are not read. "
        "Use `grep`, or `run` with a command that prints the part you need."
    )
