"""What happened in a history: requests and their outcome, files, commands, errors.

Law: only facts that stand in the history, in its order. A request counts as done when the
assistant's turn after it ended with words and without an open call; what the words claim is not
judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from holdfast.conversation import casting
from holdfast.conversation.history import ASSISTANT, USER, Block, Message

Kind: TypeAlias = Literal["read", "change", "command"]
State: TypeAlias = Literal["done", "interrupted", "open"]

TOOL_KINDS: Final[Mapping[str, Kind]] = {
    "read": "read", "view": "read", "cat": "read", "read_file": "read", "notebookread": "read",
    "edit": "change", "write": "change", "multiedit": "change", "notebookedit": "change",
    "create": "change", "write_file": "change", "edit_file": "change", "apply_patch": "change",
    "str_replace_based_edit_tool": "change", "str_replace_editor": "change",
    "run": "command", "bash": "command", "shell": "command", "execute": "command",
    "execute_bash": "command", "run_command": "command",
}  # fmt: skip
"""What a tool does, by its name in lower case: ours, Claude Code's and other agents' names."""

_PATHS: Final = ("path", "file_path", "notebook_path", "filename", "file")
_COMMANDS: Final = ("command", "cmd", "script")
_NOT_SAID_BY_A_PERSON: Final = (
    "<system-reminder>", "<local-command-", "<command-", "Caveat: The messages below",
    "[The session was interrupted", "[The beginning of this conversation", "[System note]",
    "[Nothing has been said",
)  # fmt: skip
_INTERRUPTION: Final = "[Request interrupted by user"


@attrs.frozen
class Request:
    """What a person asked for, the assistant's last words about it, and how far it came."""

    text: str
    answer: str
    state: State


@attrs.frozen
class Command:
    """A command that was run: its line, what it printed, and whether it failed."""

    line: str
    output: str
    failed: bool


@attrs.frozen
class Activity:
    """The facts of a history. Paths come in the order in which they were last touched."""

    requests: tuple[Request, ...]
    files_read: tuple[str, ...]
    files_changed: tuple[str, ...]
    commands: tuple[Command, ...]
    errors: tuple[str, ...]


def activity(history: Sequence[Message]) -> Activity:
    """Collect the facts of a history."""
    results = {
        block.text_of("tool_use_id"): block
        for message in history
        for block in message.blocks
        if block.type == "tool_result"
    }
    files: dict[Kind, dict[str, None]] = {"read": {}, "change": {}}
    commands: list[Command] = []
    errors: list[str] = []
    for call in _calls(history):
        result = results.get(call.text_of("id"))
        failed = result is not None and result.get("is_error") is True
        kind = _kind(call)
        if failed and result is not None:
            errors.append(f"{call.text_of('name')}: {output_of(result)}")
        if kind == "command":
            output = output_of(result) if result is not None else ""
            commands.append(Command(_argument(call, _COMMANDS), output, failed))
        elif kind is not None and not failed and (path := _argument(call, _PATHS)):
            files[kind].pop(path, None)
            files[kind][path] = None
    changed = tuple(files["change"])
    read = tuple(path for path in files["read"] if path not in files["change"])
    return Activity(requests(history), read, changed, tuple(commands), tuple(errors))


def _calls(history: Sequence[Message]) -> Iterable[Block]:
    for message in history:
        if message.role == ASSISTANT:
            yield from (block for block in message.blocks if block.type == "tool_use")


def _kind(call: Block) -> Kind | None:
    name = call.text_of("name").lower()
    given = call.get("input")
    if isinstance(given, Mapping) and given.get("command") == "view":
        return "read"
    return TOOL_KINDS.get(name)


def _argument(call: Block, names: Iterable[str]) -> str:
    given = call.get("input")
    if not isinstance(given, Mapping):
        return ""
    return next((given[name] for name in names if isinstance(given.get(name), str)), "")


def output_of(result: Block) -> str:
    """Return the words of a tool result."""
    parts = map(casting.item_text, casting.items(result.get("content")))
    return "\n".join(part for part in parts if part.strip())


def said_by_person(message: Message) -> str:
    """Return what a person wrote in a message; "" when it holds only results and reminders."""
    if message.role != USER:
        return ""
    said = [block.text_of("text").strip() for block in message.blocks if block.type == "text"]
    return "\n".join(t for t in said if t and not t.startswith(_NOT_SAID_BY_A_PERSON))


def answer_in(message: Message) -> str:
    """Return the words of an assistant message."""
    if message.role != ASSISTANT:
        return ""
    said = [block.text_of("text").strip() for block in message.blocks if block.type == "text"]
    return "\n".join(filter(None, said))


def requests(history: Sequence[Message]) -> tuple[Request, ...]:
    """Return what was asked for, in order; requests in a row without an answer share one."""
    asked = [index for index, message in enumerate(history) if _is_request(message)]
    found = []
    for position, index in enumerate(asked):
        last = position + 1 == len(asked)
        stop = len(history) if last else asked[position + 1]
        span = history[index + 1 : stop]
        found.append(Request(said_by_person(history[index]), _answer(span), _state(span, last)))
    return tuple(found)


def _is_request(message: Message) -> bool:
    said = said_by_person(message)
    return bool(said) and not said.startswith(_INTERRUPTION)


def _answer(span: Sequence[Message]) -> str:
    return next((said for message in reversed(span) if (said := answer_in(message))), "")


def _state(span: Sequence[Message], last: bool) -> State:
    if any(said_by_person(message).startswith(_INTERRUPTION) for message in span):
        return "interrupted"
    final = next((message for message in reversed(span) if message.role == ASSISTANT), None)
    ended = final is not None and all(block.type != "tool_use" for block in final.blocks)
    if ended and answer_in(final or span[-1]):
        return "done"
    return "open" if last else "interrupted"
