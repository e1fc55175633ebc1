"""Walking a folder: always the same order, never out of it, never for ever.

Law: symbolic links are not followed, so a walk ends and stays inside; entries come sorted, so the
same folder gives the same answer; `should_stop` is asked at every entry. Only the standard library
is imported here: the search worker starts fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

IGNORED_FOLDERS: Final = frozenset({
    ".git", ".hg", ".svn", ".venv", ".tox", "node_modules", "__pycache__", ".mypy_cache",
    ".ruff_cache", ".pytest_cache",
})  # fmt: skip


def files_below(
    root: str, *, include_ignored: bool, should_stop: Callable[[], bool]
) -> Iterator[str]:
    """Yield the regular files below `root` as relative paths with `/`, sorted folder by folder.

    Folders that cannot be read are passed over; what they hide nobody may see anyway.
    """
    pending = [""]
    while pending and not should_stop():
        relative = pending.pop()
        try:
            with os.scandir(os.path.join(root, relative)) as found:  # noqa: PTH118 - hot loop
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            continue
        folders = []
        for entry in entries:
            if should_stop():
                return
            if entry.is_dir(follow_symlinks=False):
                if include_ignored or entry.name not in IGNORED_FOLDERS:
                    folders.append(f"{relative}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield f"{relative}{entry.name}"
        pending += reversed(folders)
