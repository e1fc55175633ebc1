"""`docs/protocol.md`, made from the table of commands and the table of errors.

`python -m holdfast.lsp.reference` prints it; a test compares it with the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from holdfast.lsp import commands, errors
from holdfast.session.events import EVENT_TYPES

if TYPE_CHECKING:
    from holdfast.lsp.rows import Command

_INTRODUCTION: Final = """\
# The protocol

Holdfast speaks LSP 3.17 over stdio. All it can do is reached by standard means (P10): commands by
`workspace/executeCommand`, long work by work-done progress, permission questions by
`window/showMessageRequest`, edits by `workspace/applyEdit`. Notifications of its own add comfort,
never capability.

This page is made from the server's own tables; `python -m holdfast.lsp.reference` prints it.

## Start and end

Settings come as `initializationOptions` or from the section `holdfast` of
`workspace/configuration`; a wrong one is named in a `window/showMessage` and by
`holdfast.server.info`, and its default is used. Unfinished turns of the workspace's folders, whose
server died, go on after `initialized`; with the setting `holdfast.continueInterrupted` "ask" they
are paused with the reason `interrupted` until a person resumes them. `shutdown` and `exit` end the
connection, not the sessions' work: it goes on when the session is opened next. The exit code is 0
after `shutdown`, else 1. When the editor's end of the pipe closes, the process ends by itself with
0.

A client with a view of its own says so in `capabilities.experimental`:

```json
{"holdfast": {"questions": true, "status": true}}
```

`questions`: it shows permission questions, so no `window/showMessageRequest` is sent. `status`: it
shows statuses, so no `window/showMessage` tells of a paused turn, and no bar of one that waits.

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

`holdfast/items`: what changed in the session's items, to a connection that opened it with the
view `items`. `session` is there when it differs from the last one sent otherwise than by its
status.

```json
{"sessionId": "s_8f2c", "seq": 42,
 "changes": [{"op": "append", "id": "17.0", "text": "The parser"}]}
```

`holdfast/status`: what the session is doing now; members that do not apply are left out. `phase` is
`idle`, `queued`, `compacting`, `requesting`, `streaming`, `asking`, `runningTools`, `repairing` (it
is being found out what the API refuses of a request), `waiting` or `paused`. `silentMs` is how long
an open stream has been silent; `retryAt` is then when it is cut and the turn goes on. `readOnly`
names the server that owns the session when it is not this one. `label` is the whole state in a few
words for lists and status bars, empty when idle.

Of a failure, `message` is what was seen, `cause` its name (docs/failures.md has them all; left out
when only the kind, `reason`, is known), `tried` what Holdfast does about it by itself, `advice`
what a person can do, `attempt` the number of the try and `troubleAt` when the trouble began.

`banner` is what a person should be told while the session waits, is paused, silent, compacting,
repairing or read only: `tone` (`info`, `warning` or `error`), `title`, `text`, `raw` (the API's own
words) and `actions` (each a `title`, a `command` and perhaps `argument` and `primary`). `due` is
when what the title says happens, for a countdown behind it; `since` is when the trouble began, for
a clock beside it. An action without `argument` needs a person's input for its command first.

```json
{"sessionId": "s_8f2c", "phase": "waiting", "reason": "overloaded", "cause": "overloaded",
 "message": "The API is overloaded. (Overloaded)", "attempt": 2, "troubleAt": 1770000002000,
 "retryAt": 1770000012000, "label": "waiting, compacting 40 %",
 "progress": {"compactionId": "c_5d01", "rung": "chunks", "step": "asking the model for a summary",
              "percentage": 40, "elapsedMs": 4200, "attempt": 1, "receivedTokens": 203,
              "chunk": 2, "chunks": 5},
 "banner": {"tone": "warning", "title": "Trying again", "due": 1770000012000,
            "text": "The API is overloaded. Attempt 2 comes next. Wait, or choose another model; …",
            "since": 1770000002000,
            "raw": "status: 529\\ntype: overloaded_error\\nmessage: Overloaded",
            "actions": [{"title": "Retry now", "command": "holdfast.turn.retry",
                         "argument": {"sessionId": "s_8f2c"}, "primary": true}]}}
```

`progress` is there while a compaction is prepared: `rung` is the step of the ladder (as in
`holdfast.session.compactions`), `step` what is happening, in plain words, `chunk` of `chunks` how
many parts of the history are summarised, `receivedTokens` an estimate of what has arrived,
`attempt` counts tries of one rung, `cause` is why the last one did not hold, and `retryAt` when the
next one begins. `percentage` never goes back.

`holdfast/sessions`: to a connection that asked `holdfast.session.list` with `follow`. `sessions`
holds the lines that are new or look different now, whole, `removed` the ids that are gone. Text
that streams in changes no line: its title, model, phase, label, reason, `retryAt`, percentage and
whether it is archived do. At most four a second. What other servers do is found when the list is
read next.

```json
{"sessions": [{"sessionId": "s_8f2c", "title": "Fix the parser", "phase": "waiting",
               "createdAt": 1770000000000, "updatedAt": 1770000009000, "headSeq": 41,
               "archived": false, "status": {"sessionId": "s_8f2c", "phase": "waiting"}}],
 "removed": ["s_77b0"]}
```

## Usage

`usage` of a session: `contextTokens` is an estimate of the next request, of `windowTokens`; the
other counts are sums of what the API reported for complete answers, and for the summaries of
compactions. `cost` is there only when the setting `holdfast.prices` names every model that was
used: a list of `{model, input, output, cacheRead, cacheWrite}`, dollars per million tokens; `model`
is a pattern, and the first that matches counts.

## Items

A session as a person sees it: a list of items, folded from its journal. All have `id` (the same
after a restart), `kind`, `seq`, `atMs` and perhaps `turnId`; members that do not apply are left
out.

- `prompt`: `promptId` (empty for one from elsewhere), `text`, `state` (`queued` or `sent`),
  `images`, `mentions`.
- `text`: `text` (Markdown), `state` (`streaming`, `done` or `cut`), `model`.
- `thinking`: `text` (may be empty), `state`, `elapsedMs`.
- `tool`: `toolUseId`, `name`, `title`, `input` (long strings are clipped), `state`, `output`
  (clipped), `outputClipped`, `path`, `hasDiff`, `questionId`, `startedAt`, `endedAt`.
- `notice`: `code`, `level` (`info`, `warning` or `error`), `text`, `detail` (the raw error, or the
  fine print), `actions` (each a `title`, a `command` and its `argument`).

The state of a tool call is `writing`, `requested`, `asking`, `running`, `finished`, `failed`,
`refused`, `interrupted`, `notStarted` or `unknown`. The code of a notice is `compacted`,
`compactionPointless`, `compactionRecast`, `compactionRedone`, `compactionUndone`, `repaired`,
`repairUndone`, `rewound`, `recovered`, `cut`, `requestFailed`, `paused`, `stopped`, `refused`,
`modelSelected`, `endpointSelected`, `imported` or `forked`. An action with the command
`holdfast.session.compactionText` asks the client to show the text that it returns.

Changes are applied in order:

- `{"op": "put", "item": ..., "after": ...}`: replace the item with this id where it stands. One
  that is not held is inserted behind the item `after`, without `after` at the end. When `after` is
  its own id, it is not new and belongs to a page that was not loaded: pass it over. When another
  `after` is not held, insert it at the beginning.
- `{"op": "append", "id": ..., "text": ...}`: add to its text.
- `{"op": "remove", "id": ...}`: remove it.

Ids that are not held are passed over. The `seq` of an answer or a notification is what the client
is at when its changes are applied: `sinceSeq` when it opens the session again.

## Progress

Every compaction, and every turn that waits for the model, is shown by work-done progress on each
connection that created the session, opened it or sent to it, if the client has
`window.workDoneProgress`: `create`, one `begin`, a `report` at least every second, one `end`.
`window/workDoneProgress/cancel` cancels the compaction at once, however far it is, or stops the
turn. `workDoneToken` in the argument of `holdfast.session.compact` is used instead of a token of
ours, and stays valid until its `end`.

## Questions

A permission question is shown by `window/showMessageRequest` with the actions `Allow`, `Always
allow` and `Deny`, once on each connection that cares about the session. A dialog that is dismissed
answers nothing: the question stays open, `holdfast.session.state` lists it and
`holdfast.permission.answer` answers it. When it is answered elsewhere, the request is cancelled.

## Transcripts

Transcripts of Claude Code are documents of the editor: hover, definition (a call's result) and
references back, symbols, folding, inlay hints, code lenses and code actions. A document is taken
for one by what is in it; others are answered with nothing. Diagnostics are pulled by clients that
say they can, and sent to all others: what is wrong with the lines first, then with the chain, then
with what the API would be sent. A file that grows is looked at every two seconds and judged again;
clients that pull are told by `workspace/diagnostic/refresh`. A text that is not saved is judged as
it stands up to 8 MB; a larger document as its file is saved, and its text is not kept. What takes
more than a second has a progress bar that stops it.

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


def _section(row: Command) -> str:
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
