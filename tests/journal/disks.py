"""Disks that fail, stall, forget or lose power: real SQLite VFSes over the system's own.

Law: a disk is chosen by its name when a store is opened, and everything that SQLite asks of its
files passes through it (shared memory aside, which no disk ever sees).
"""

from __future__ import annotations

import itertools
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import apsw
import attrs

SECTOR_BYTES = 512

_numbers = itertools.count(1)


def disk_full() -> apsw.Error:
    """ENOSPC."""
    return apsw.FullError("no space left on this disk")


def io_error() -> apsw.Error:
    """EIO."""
    error = apsw.IOError("this disk is broken")
    error.extendedresult = apsw.SQLITE_IOERR_WRITE
    return error


class Disk(apsw.VFS):
    """The system's disk, not slowed down by real syncs, with a hook before each operation.

    Use as a context manager; `name` is then the name of the VFS. Whoever holds `still` sees the
    files between two operations, as a killed process would leave them.
    """

    def __init__(self) -> None:
        self.name = f"disk-{next(_numbers)}"
        self.still = threading.RLock()
        super().__init__(self.name, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        with self.still:
            self.before("open", path or "")
            return File(self, path or "", name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self.still:
            self.before("delete", filename)
            super().xDelete(filename, syncdir)

    def before(self, operation: str, path: str, data: bytes = b"", offset: int = 0) -> None:
        """Called before every operation; what it raises is what the operation meets."""


class File(apsw.VFSFile):
    """One open file of a `Disk`."""

    def __init__(
        self, disk: Disk, path: str, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self.disk, self.path = disk, path
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        with self.disk.still:
            try:
                self.disk.before("write", self.path, bytes(data), offset)
            except apsw.Error:
                super().xWrite(data[: len(data) // 2], offset)  # a write may fail halfway
                raise
            super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        with self.disk.still:
            self.disk.before("truncate", self.path, offset=newsize)
            super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self.disk.before("sync", self.path)


class FaultyDisk(Disk):
    """Fails its n-th operation, or every one from the n-th on, until it is repaired.

    Without `first` it is sound until `break_down`. `suffix` limits the fault to some files.
    """

    def __init__(
        self,
        fault: Callable[[], apsw.Error],
        *,
        first: int | None = None,
        lasting: bool = True,
        suffix: str = "",
    ) -> None:
        super().__init__()
        self.fault, self.lasting, self.suffix = fault, lasting, suffix
        self.steps_left = first
        self.failed = False

    def break_down(self) -> None:
        self.steps_left = 1

    def repair(self) -> None:
        self.steps_left = None

    def before(self, operation: str, path: str, data: bytes = b"", offset: int = 0) -> None:
        if self.steps_left is None or not path.endswith(self.suffix):
            return
        self.steps_left -= 1
        if self.steps_left == 0 or (self.steps_left < 0 and self.lasting):
            self.failed = True
            raise self.fault()


class SyncGate(Disk):
    """Counts syncs of the log, and can hold the next one until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0
        self.reached = threading.Event()
        self._open = threading.Event()
        self._open.set()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Within this block a sync does not come back."""
        self.reached.clear()
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def before(self, operation: str, path: str, data: bytes = b"", offset: int = 0) -> None:
        if operation == "sync" and path.endswith("-wal"):
            self.syncs += 1
            self.reached.set()
            assert self._open.wait(timeout=30)


DIRECTORY = "."


@attrs.define
class Step:
    """One thing that happened to a file; `forgotten` when the kernel lost it for good.

    A sync of `DIRECTORY` makes earlier deletions last.
    """

    operation: str
    path: str
    data: bytes = b""
    offset: int = 0
    forgotten: bool = False


class RecordingDisk(Disk):
    """Remembers every step, so that the files can be made as power loss would leave them.

    With `failing_sync` the n-th sync of the log fails as on Linux: it is reported once, and what
    was not yet on disk never gets there, although reads still show it and later syncs succeed.
    """

    def __init__(self, failing_sync: int | None = None) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._failing_sync = failing_sync
        self._in_directory: set[str] = set()

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._in_directory.discard(Path(filename).name)
        if syncdir:
            self.steps.append(Step("sync", DIRECTORY))

    def before(self, operation: str, path: str, data: bytes = b"", offset: int = 0) -> None:
        if operation == "open":
            return
        if operation == "sync" and path.endswith("-wal") and self._failing_sync is not None:
            self._failing_sync -= 1
            if self._failing_sync == 0:
                self._forget(path)
                raise io_error()
        name = Path(path).name
        self.steps.append(Step(operation, name, data, offset))
        if operation == "sync" and name not in self._in_directory:
            # SQLite syncs the directory with the first sync of a new journal or log.
            self._in_directory.add(name)
            self.steps.append(Step("sync", DIRECTORY))

    def _forget(self, path: str) -> None:
        for step in reversed(self.steps):
            if step.path == Path(path).name:
                if step.operation == "sync":
                    break
                step.forgotten = True

    def lose_power(self, after_steps: int, directory: Path, chance: random.Random) -> None:
        """Write into `directory` what a disk may hold when power fails after that many steps.

        What was synced is there. Of the rest every sector may or may not be.
        """
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        past = self.steps[:after_steps]
        synced = {step.path: index for index, step in enumerate(past) if step.operation == "sync"}
        contents: dict[str, bytearray] = {}
        for index, step in enumerate(past):
            lasts_with = DIRECTORY if step.operation == "delete" else step.path
            certain = index < synced.get(lasts_with, -1)
            if not step.forgotten and (certain or chance.random() < 0.7):
                _apply(contents, step, None if certain else chance)
        for name, content in contents.items():
            (directory / name).write_bytes(content)


def _apply(contents: dict[str, bytearray], step: Step, chance: random.Random | None) -> None:
    """Do a step to the contents, wholly, or with `chance` only to some of its sectors."""
    if step.operation == "delete":
        contents.pop(step.path, None)
    if step.operation in ("delete", "sync"):
        return
    content = contents.setdefault(step.path, bytearray())
    if step.operation == "truncate":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
    else:
        end = step.offset + len(step.data)
        content.extend(bytes(max(0, end - len(content))))
        for start in range(step.offset, end, SECTOR_BYTES):
            if chance is None or chance.random() < 0.7:
                stop = min(start + SECTOR_BYTES, end)
                content[start:stop] = step.data[start - step.offset : stop - step.offset]
