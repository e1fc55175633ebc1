"""What a tool call is about: its kind, its file, its lines, its command.

Law: by name and arguments only, as ours, Claude Code's and other agents' tools have them. A tool
that nobody knows is "other", never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from holdfast.conversation.activity.facts import Lines
from holdfast.conversation.activity.reading import (
    Arguments,
    Ends,
    Reading,
    number_of,
    read,
    text_of,
    value_of,
)
from holdfast.conversation.history import Block

Kind: TypeAlias = Literal[
    "read", "change", "patch", "command", "agent", "tasks", "question", "plan", "stop", "poll",
    "other",
]  # fmt: skip

TOOL_KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(
        ("read", "view", "cat", "open_file", "read_file", "readfile", "notebookread"), "read"
    ),
    **dict.fromkeys(
        ("edit", "write", "multiedit", "notebookedit", "create", "replace", "write_file",
         "edit_file", "create_file", "write_to_file", "replace_in_file", "apply_diff",
         "insert_content", "search_and_replace", "search_replace", "str_replace_editor",
         "str_replace_based_edit_tool", "file_editor", "patch_file"), "change"
    ),
    **dict.fromkeys(("apply_patch", "applypatch", "patch"), "patch"),
    **dict.fromkeys(
        ("run", "bash", "shell", "execute", "execute_bash", "execute_command", "exec_command",
         "run_command", "run_shell_command", "run_terminal_cmd", "terminal", "local_shell",
         "powershell"), "command"
    ),
    **dict.fromkeys(("task", "agent", "subagent", "spawn_agent", "new_task", "workflow"), "agent"),
    **dict.fromkeys(
        ("todo", "todowrite", "todo_write", "update_plan", "taskcreate", "taskupdate"), "tasks"
    ),
    **dict.fromkeys(("askuserquestion", "ask_user", "ask_followup_question"), "question"),
    **dict.fromkeys(("exitplanmode", "exit_plan_mode"), "plan"),
    **dict.fromkeys(("taskstop", "killshell", "killbash", "stop_bash"), "stop"),
    **dict.fromkeys(("taskoutput", "bashoutput", "read_bash", "write_stdin"), "poll"),
}  # fmt: skip
"""What a tool does, by the last part of its name in lower case."""

_PATCHED: Final = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
_NUMBERED: Final = re.compile(r"^\s*(\d+)(?:→|\t)", re.MULTILINE)
_NAMED_LINES: Final = re.compile(r"\blines? ((?:\d+(?:-\d+)?(?:, )?)+)")
_EXIT_CODE: Final = re.compile(r"\bexit(?:ed)?(?: with)?(?: code| status|_code\"?:)[: ]*(-?\d+)")
_SEARCHED_CHARS: Final = 2_500
_QUESTIONS_BYTES_MAX: Final = 20_000


def kind_of(call: Reading) -> Kind:
    """Return what a call does."""
    name = call.name.lower()
    kind = TOOL_KINDS.get(name)
    if kind is None and "__" in name:
        kind = TOOL_KINDS.get(name.rpartition("__")[2])
    if kind == "change" and call.input.command == "view":
        return "read"
    return kind or "other"


def path_of(given: Arguments) -> str:
    """Return the file that a call names, "" when it names none."""
    return (
        given.file_path or given.path or given.notebook_path or given.filePath
        or given.target_file or given.absolute_path or given.filename or given.file
    )  # fmt: skip


def patched_paths(given: Arguments) -> tuple[str, ...]:
    """Return the files that a patch names."""
    body = text_of(given.input) or text_of(given.patch)
    named = tuple(dict.fromkeys(path.strip() for path in _PATCHED.findall(body)))
    single = path_of(given)
    return named or ((single,) if single else ())


def command_of(given: Arguments) -> str:
    """Return the command line of a call."""
    return given.command or given.cmd or given.script


def agent_task(call: Reading) -> str:
    """Return what a sub-agent was told to do, in short."""
    given = call.input
    return given.description or text_of(given.message) or text_of(given.prompt) or call.name


def questions(given: Arguments) -> tuple[str, ...]:
    """Return what a call asks a person."""
    if not 0 < memoryview(given.questions).nbytes <= _QUESTIONS_BYTES_MAX:
        return ()
    asked = value_of(given.questions)
    items = asked if isinstance(asked, list) else ()
    found = (item.get("question") for item in items if isinstance(item, Mapping))
    return tuple(words for words in found if isinstance(words, str) and words.strip())


def label(call: Reading) -> str:
    """Return a call in a few words, for a list of calls."""
    given = call.input
    about = (
        command_of(given) or path_of(given) or "; ".join(questions(given))
        or given.description or given.subject
    )  # fmt: skip
    return f"{call.name or 'a tool without a name'}: {about}" if about else call.name


# --- lines -----------------------------------------------------------------------------------


def called_lines(given: Arguments) -> tuple[int, int] | None:
    """Return the range of lines that the arguments ask for."""
    offset, limit = number_of(given.offset), number_of(given.limit)
    if offset is not None and limit is not None:
        return _range(max(offset, 1), max(offset, 1) + limit - 1)
    start, end = number_of(given.start_line), number_of(given.end_line)
    if start is not None and end is not None:
        return _range(start, end)
    if 0 < memoryview(given.view_range).nbytes < 40:
        view: Any = value_of(given.view_range)
        if isinstance(view, list) and len(view) == 2 and all(isinstance(n, int) for n in view):
            return _range(view[0], view[1])
    return None


def told_lines(output: Ends) -> Lines:
    """Return the lines that a result shows or names."""
    first = _NUMBERED.match(output.head) or _NUMBERED.search(output.head[:_SEARCHED_CHARS])
    if first:
        last = _NUMBERED.findall(output.tail[-_SEARCHED_CHARS:])
        shown = _range(int(first[1]), int(last[-1])) if last else None
        return (shown,) if shown else ()
    named = _NAMED_LINES.search(output.head[:500])
    if named is None:
        return ()
    pairs = (part.partition("-") for part in named[1].strip(", ").split(", "))
    found = (_range(int(start), int(end or start)) for start, _, end in pairs)
    return merged(pair for pair in found if pair)


def _range(start: int, end: int) -> tuple[int, int] | None:
    return (start, end) if 0 < start <= end else None


def merged(ranges: Iterable[tuple[int, int]]) -> Lines:
    """Return ranges in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


# --- how a call ended ------------------------------------------------------------------------


def refused(result: Block) -> bool:
    """Say whether a person did not let a call run."""
    said = result.raw[:400]
    return "user doesn't want to proceed" in said or "user did not allow this call" in said


def has_failed(result: Block) -> bool:
    """Say whether a result tells of a failure; by the exit code it names where nothing says so.

    The mark is looked for at the ends only: nearly everybody writes it before or after the content,
    and its bare quotes cannot stand inside a text.
    """
    raw = result.raw
    if raw.endswith('"is_error":false}'):
        return False
    if raw.endswith('"is_error":true}'):
        return True
    said = raw if len(raw) <= 400 else raw[:250] + raw[-150:]
    if '"is_error":' in said and (marked := read(result).is_error) is not None:
        return marked
    if "exit" not in said:
        return False
    code = _EXIT_CODE.search(said.replace('\\"', '"'))
    return code is not None and code[1] != "0"
