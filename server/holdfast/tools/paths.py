"""Paths stay in the workspace (P11).

Law: a tool touches only what `resolve` returned: absolute, symbolic links followed, inside the
workspace. Whatever a path is spelled like, `target` gives permission rules one spelling for it.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext


def workspace(context: ToolContext) -> Path:
    """Return the resolved workspace folder. Raises `ToolFailure` when there is none."""
    if context.workspace is None:
        raise ToolFailure(
            "This session has no workspace folder, so tools cannot touch files or run commands. "
            "Ask the user to open a folder."
        )
    root = _root(context)
    if root is None:
        raise ToolFailure("The session's workspace folder is not a usable path.")
    return root


def resolve(path: str, context: ToolContext) -> Path:
    """Return `path` (absolute, or relative to the workspace) resolved to a place inside it.

    Raises `ToolFailure` when it leads elsewhere or nowhere.
    """
    root = workspace(context)
    found = _follow(root, path)
    if found is None:
        raise ToolFailure(f"{path!r} is not a usable path.")
    if not found.is_relative_to(root):
        raise ToolFailure(
            f"{path!r} lies outside the workspace; tools only reach files inside it. "
            "Use a path relative to the workspace folder."
        )
    return found


def target(path: str, context: ToolContext | None) -> str:
    """Return the spelling that permission patterns are matched against; never fails.

    Relative to the workspace, with `/`, links and `..` resolved; the absolute path when it lies
    outside. Without a context only the spelling is normalised: links cannot be seen then.
    """
    lexical = posixpath.normpath(path.replace("\\", "/")) if path else "."
    root = _root(context) if context else None
    found = _follow(root, path) if root else None
    if root is None or found is None:
        return lexical
    return (found.relative_to(root) if found.is_relative_to(root) else found).as_posix()


def shown(path: str | Path, context: ToolContext) -> str:
    """Return a path for people and the model: relative to the workspace where it can be."""
    found, root = Path(path), _root(context)
    inside = root is not None and found.is_relative_to(root)
    return (found.relative_to(root) if root and inside else found).as_posix()


def _root(context: ToolContext) -> Path | None:
    return None if context.workspace is None else _follow(context.workspace, ".")


def _follow(root: Path, path: str) -> Path | None:
    """Follow all links. None for NUL bytes, unencodable names and loops of links."""
    try:
        return (root / path).resolve()
    except (OSError, ValueError, RuntimeError):
        # pathlib raises RuntimeError for a loop of links before Python 3.13, OSError after.
        return None
