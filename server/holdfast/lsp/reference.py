"""`docs/protocol.md`, made from the table of commands and the table of errors.

`python -m holdfast.lsp.reference` prints it; a test compares it with the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from holdfast.lsp import commands, errors
from holdfast.session.events import EVENT_TYPES

_INTRODUCTION: Final = """\
# The protocol

Holdfast speaks LSP 3.17 over stdio. All it can do is reached by standard means (P10): commands by
`workspace/executeCommand`, long work by work-done progress, permission questions by
`window/showMessageRequest`, edits by `workspace/applyEdit`. Two notifications of its own add
comfort, never capability.

This page is made from the server's own tables; `python -m holdfast.lsp.reference` prints it.

## Start and end

Settings come as `initializationOptions` or from the section `holdfast` of
`workspace/configuration`; a wrong one is named in a `window/showMessage` and by
`holdfast.server.info`, and its default is used. Unfinished turns of the workspace's folders, whose
server died, go on after `initialized`. `shutdown` and `exit` end the connection, not the sessions'
work: it goes on when the session is opened next. The exit code is 0 after `shutdown`, else 1. When
the editor's end of the pipe closes, the process ends by itself with 0.

A client with a view of its own says so in `capabilities.experimental`:

```json
{"holdfast": {"questions": true, "status": true}}
```

`questions`: it shows permission questions, so no `window/showMessageRequest` is sent. `status`: it
shows statuses, so no `window/showMessage` tells of a paused turn.

## Notifications

They go to a connection that opened a session with `holdfast.session.open`, in order and without a
gap, at the pace at which the editor reads. Times are milliseconds since 1970.

`holdfast/event`: one event of the session's journal. Text that streams in is joined to pieces of a
few milliseconds.

```json
{"sessionId": "s_8f2c", "seq": 42, "atMs": 1770000010000,
 "event": {"type": "blockDelta", "index": 0, "kind": "text", "text": "The parser"}}
```

Types of events: EVENTS.

`holdfast/status`: what the session is doing now; members that do not apply are left out. `phase`
is `idle`, `queued`, `compacting`, `requesting`, `streaming`, `asking`, `runningTools`, `waiting` or
`paused`. `silentMs` is how long an open stream has been silent, `readOnly` names the server that
owns the session when it is not this one.

```json
{"sessionId": "s_8f2c", "phase": "waiting", "reason": "overloaded", "message": "Overloaded",
 "attempt": 2, "retryAt": 1770000012000,
 "progress": {"compactionId": "c_5d01", "step": "asking the model for a summary",
              "percentage": 40, "elapsedMs": 4200, "attempt": 1, "receivedChars": 812}}
```

## Progress

Every compaction, and every turn that waits for the model, is shown by work-done progress on each
connection that created the session, opened it or sent to it, if the client has
`window.workDoneProgress`: `create`, one `begin`, a `report` at least every second, one `end`.
`window/workDoneProgress/cancel` cancels the compaction, or stops the turn. `workDoneToken` in the
argument of `holdfast.session.compact` is used instead of a token of ours, and stays valid until its
`end`.

## Questions

A permission question is shown by `window/showMessageRequest` with the actions `Allow`, `Always
allow` and `Deny`, once on each connection that cares about the session. A dialog that is dismissed
answers nothing: the question stays open, `holdfast.session.state` lists it and
`holdfast.permission.answer` answers it. When it is answered elsewhere, the request is cancelled.

## Commands

`workspace/executeCommand` with one object in `arguments`; none means `{}`. Members that the server
does not know are ignored; a known member with a wrong value is refused by name.
"""

_ERRORS: Final = """\
## Errors

`data` is `{kind, retryable, action}`: what it is, whether the same request may succeed later, and
the next step in plain words. A failure of the API itself (`holdfast.model.list`) has the kind of
failure, such as `rateLimited`, and the API's own words. Arguments that do not fit are -32602 with
the kind `InvalidParams`, unknown commands -32602 `UnknownCommand`, faults of our own -32603
`InternalError`; those are logged in full.

| kind | code | retryable | action |
|---|---|---|---|
"""


def render() -> str:
    """Return the whole page."""
    events = ", ".join(f"`{name}`" for name in EVENT_TYPES)
    sections = (_section(row) for row in commands.COMMANDS.values())
    page = [_INTRODUCTION.replace("EVENTS", events), *sections, _ERRORS + _error_rows()]
    return "\n".join(page)


def _section(row: commands.Command) -> str:
    lines = [f"### `{row.name}`", "", row.summary, ""]
    members = list(_members(row.params))
    if members:
        lines += ["| member | value | |", "|---|---|---|", *members, ""]
    lines += ["```json", _json(row.example), _json(row.result), "```", ""]
    return "\n".join(lines)


def _members(params: type[msgspec.Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(params):
        need = "required" if field.required else "optional"
        yield f"| `{field.encode_name}` | {_kind(field.type)} | {need} |"


def _kind(annotation: Any) -> str:
    if annotation is type(None):
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if getattr(annotation, "__metadata__", None):
        return _kind(annotation.__origin__)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return "object"
    if arguments and (origin is Union or "|" in str(annotation)):
        return " or ".join(_kind(part) for part in arguments if part is not type(None))
    return {str: "string", int: "integer", bool: "true or false"}.get(annotation, str(annotation))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _error_rows() -> str:
    rows = []
    for kind, row in errors.ERROR_CODES.items():
        action = getattr(kind, "action", "As the failure's kind says.")
        retryable = "yes" if row.retryable else "no"
        rows.append(f"| {kind.__name__} | {row.code} | {retryable} | {action} |\n")
    return "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(render())
