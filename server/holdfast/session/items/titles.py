"""Tool calls in plain words: what a call is about, in one line, and what may be shown of it.

Law: total. Arguments are foreign JSON; whatever they are, there is a title, and nothing here is
longer than its limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from holdfast.conversation import encoding
from holdfast.conversation.clipping import clip, clip_line

INPUT_BYTES_MAX: Final = 2_000
"""How long a string inside a call's input may be when it is shown."""
OUTPUT_BYTES_MAX: Final = 4_000
DEPTH_MAX: Final = 16
"""What is nested deeper inside a call's input is shown as one string of JSON."""
TITLE_BYTES_MAX: Final = 120
DETAIL_BYTES_MAX: Final = 8_000

CHANGES: Final = frozenset({"edit", "write"})
"""Our own tools whose calls `holdfast.tool.diff` can explain."""

_PATHS: Final = ("path", "file_path", "notebook_path", "filename", "file")
_VERBS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "read": ("Read", _PATHS),
    "edit": ("Edit", _PATHS),
    "multiedit": ("Edit", _PATHS),
    "notebookedit": ("Edit", _PATHS),
    "write": ("Write", _PATHS),
    "run": ("Run", ("command",)),
    "bash": ("Run", ("command",)),
    "grep": ("Search for", ("pattern",)),
    "glob": ("Find", ("pattern",)),
    "list": ("List", _PATHS),
    "ls": ("List", _PATHS),
    "webfetch": ("Fetch", ("url",)),
    "web_fetch": ("Fetch", ("url",)),
    "websearch": ("Search the web for", ("query",)),
    "web_search": ("Search the web for", ("query",)),
    "recall_search": ("Search the session's past for", ("query",)),
    "task": ("Task:", ("description", "prompt")),
    "agent": ("Task:", ("description", "prompt")),
}
"""The words for a call by its tool, in lower case, and the arguments that say what it is about."""
_TASKS: Final = frozenset({"todo", "todowrite"})
_MAIN: Final = (*_PATHS, "command", "pattern", "query", "url", "description")


def title(name: str, arguments: Mapping[str, Any], folder: str) -> str:
    """Return what a call does, in plain words: "Edit src/a.py", "Run npm test"."""
    kind = name.lower()
    if kind in _TASKS:
        return "Update the task list"
    if kind == "recall_read" and isinstance(arguments.get("entry"), int):
        return f"Read entry {arguments['entry']} of the session's past"
    verb, keys = _VERBS.get(kind, (f"{name or 'tool'}:", _MAIN))
    about = within(_first(arguments, keys), folder)
    if not about:
        return clip_line(name or "A tool call", TITLE_BYTES_MAX)
    words = f"{verb} {about}"
    if kind == "read":
        words += _lines(arguments)
    elif kind in {"grep", "glob"} and _first(arguments, _PATHS) not in {"", "."}:
        words += f" in {within(_first(arguments, _PATHS), folder)}"
    return clip_line(words, TITLE_BYTES_MAX)


def writing(name: str) -> str:
    """Return the title of a call whose arguments are still arriving."""
    verb, _ = _VERBS.get(name.lower(), (f"{name or 'tool'}:", _MAIN))
    return clip_line(f"{verb.rstrip(':')} …", TITLE_BYTES_MAX)


def path_of(arguments: Mapping[str, Any]) -> str | None:
    """Return the file or folder that a call is about."""
    return _first(arguments, _PATHS) or None


def within(path: str, folder: str) -> str:
    """Return a path as it is called inside the session's folder."""
    return path.removeprefix(f"{folder.rstrip('/')}/") if folder else path


def shown_input(arguments: Any) -> dict[str, Any]:
    """Return arguments as an object whose long strings are clipped."""
    if not isinstance(arguments, Mapping):
        return {} if arguments is None else {"input": _clipped(arguments)}
    return {str(key): _clipped(value) for key, value in arguments.items()}


def shown_output(text: str) -> tuple[str, bool]:
    """Return an output, clipped in the middle, and whether it was."""
    whole = len(text.encode(errors="replace")) <= OUTPUT_BYTES_MAX
    return (text, False) if whole else (clip(text, OUTPUT_BYTES_MAX), True)


def shown_detail(text: str) -> str:
    """Return fine print of bounded length."""
    return clip(text.strip(), DETAIL_BYTES_MAX)


def _clipped(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return clip(value, INPUT_BYTES_MAX)
    if not isinstance(value, Mapping | list):
        return value
    if depth == DEPTH_MAX:
        return clip(encoding.encode(value), INPUT_BYTES_MAX)
    if isinstance(value, Mapping):
        return {str(key): _clipped(item, depth + 1) for key, item in value.items()}
    return [_clipped(item, depth + 1) for item in value]


def _first(arguments: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = arguments.get(key)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, list) and value:
            return encoding.encode(value)
    return ""


def _lines(arguments: Mapping[str, Any]) -> str:
    offset, limit = arguments.get("offset"), arguments.get("limit")
    first = offset if isinstance(offset, int) else 1
    if isinstance(limit, int):
        return f" {first}-{first + limit - 1}"
    return f" from line {first}" if first > 1 else ""
