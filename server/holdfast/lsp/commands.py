"""The table of commands: registration, validation and documentation all come from it.

Law: a command exists if and only if it has a row here; `docs/protocol.md` is made from the rows,
and a test fails when one changes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from holdfast.lsp import doctor, errors, examples, models
from holdfast.lsp import params as p
from holdfast.lsp import session_commands as session
from holdfast.lsp import turn_commands as turn
from holdfast.lsp.rows import Command
from holdfast.lsp.transcripts import commands as transcripts

_ID: Final = {"sessionId": "s_8f2c"}
_STATUS: Final = {
    "sessionId": "s_8f2c",
    "phase": "waiting",
    "reason": "overloaded",
    "label": "waiting",
}

_ROWS: Final = (
    Command(
        "holdfast.session.create",
        p.CreateParams,
        session.create,
        "Create a session.",
        {"workspaceUri": "file:///home/me/project", "title": "Fix the parser"},
        _ID,
    ),
    Command(
        "holdfast.session.list",
        p.ListParams,
        session.list_sessions,
        "List all sessions, newest first. `status` is there for sessions that are open in this "
        "server. With `follow` this connection gets `holdfast/sessions` from now on.",
        {"follow": True},
        {
            "sessions": [
                {
                    **_ID,
                    "title": "Fix the parser",
                    "workspaceUri": "file:///home/me/project",
                    "phase": "idle",
                    "createdAt": 1770000000000,
                    "updatedAt": 1770000009000,
                    "headSeq": 41,
                    "archived": False,
                    "status": {**_ID, "phase": "idle", "label": ""},
                }
            ]
        },
    ),
    Command(
        "holdfast.session.open",
        p.OpenParams,
        session.open_session,
        "Return a session and the events after `sinceSeq`. From `seq` on, this connection gets "
        "every event as `holdfast/event` and every change of state as `holdfast/status`. Without "
        "`sinceSeq` no past events are sent; read the history with `holdfast.session.messages`.\n\n"
        "With `view` `items` the session comes as a person sees it ([Items](#items)): the result "
        "has `items`, the newest `limit`, oldest first, and `more`, whether there are older ones; "
        "with `sinceSeq` it has `changes` since then instead, unless they are too many. "
        "`holdfast/items` takes the place of `holdfast/event`.",
        {**_ID, "sinceSeq": 40},
        {
            "session": examples.SESSION,
            "events": [
                {
                    "seq": 41,
                    "atMs": 1770000009000,
                    "event": {"type": "turnEnded", "turnId": "t_1", "reason": "completed"},
                }
            ],
            "seq": 41,
        },
    ),
    Command(
        "holdfast.session.state",
        p.OnSession,
        session.state,
        "Say what a session is doing, what it asks and what it waits for.",
        _ID,
        {
            **_STATUS,
            "message": "Overloaded",
            "advice": "Wait, or choose another model; the turn goes on by itself.",
            "attempt": 2,
            "retryAt": 1770000012000,
            "seq": 44,
            "usage": examples.USAGE,
            "questions": [],
            "todos": [{"text": "Write a test", "status": "pending"}],
            "queue": [{"promptId": "p_2", "turnId": "t_2", "text": "And the docs?"}],
        },
    ),
    Command(
        "holdfast.session.messages",
        p.MessagesParams,
        session.messages,
        "Return a page of the history as a person would read it: the newest `limit` messages, or "
        "those before the one whose `origin` is `before`.",
        {**_ID, "limit": 1},
        {
            "messages": [
                {
                    "role": "user",
                    "origin": "2",
                    "text": "Fix the parser.",
                    "content": [{"type": "text", "text": "Fix the parser."}],
                }
            ]
        },
    ),
    Command(
        "holdfast.session.items",
        p.ItemsParams,
        session.items,
        "Return a page of the session's items ([Items](#items)), oldest first: the newest `limit`, "
        "or those before the item `before`. `more`: there are older ones.",
        {**_ID, "limit": 2},
        {"items": [examples.PROMPT_ITEM, examples.TOOL_ITEM], "more": False},
    ),
    Command(
        "holdfast.session.rename",
        p.RenameParams,
        session.rename,
        "Give a session a title.",
        {**_ID, "title": "Fix the parser"},
        {},
    ),
    Command(
        "holdfast.session.archive",
        p.ArchiveParams,
        session.archive,
        "Hide a session from lists; with `archived` false, bring it back.",
        {**_ID, "archived": True},
        {},
    ),
    Command(
        "holdfast.session.delete",
        p.OnSession,
        session.delete,
        "Delete a session with all it holds. This cannot be undone.",
        _ID,
        {},
    ),
    Command(
        "holdfast.session.fork",
        p.ForkParams,
        session.fork,
        "Create a session with another's history, up to before a prompt when one is named.",
        {**_ID, "title": "Another way", "beforePromptId": "p_2"},
        {"sessionId": "s_91aa"},
    ),
    Command(
        "holdfast.session.rewind",
        p.RewindParams,
        session.rewind,
        "Hide a prompt and everything after it. The records stay.",
        {**_ID, "promptId": "p_2"},
        {},
    ),
    Command(
        "holdfast.session.export",
        p.ExportParams,
        session.export,
        "Return a session as text: `jsonl`, `markdown` or `claude-code`.",
        {**_ID, "format": "markdown"},
        {"format": "markdown", "content": "# Fix the parser\n"},
    ),
    Command(
        "holdfast.session.import",
        p.ImportParams,
        session.import_session,
        "Make a session of a transcript. The file is only read.",
        {"uri": "file:///home/me/old.jsonl", "title": "The old one"},
        {"sessionId": "s_77b0"},
    ),
    Command(
        "holdfast.session.compact",
        p.CompactParams,
        session.compact,
        "Begin a compaction and answer at once. It is reported by work-done progress, on "
        "`workDoneToken` when one is given, and by events; the session stays usable.",
        {**_ID, "instructions": "Keep the error messages.", "workDoneToken": "mine-1"},
        {"compactionId": "c_5d01"},
    ),
    Command(
        "holdfast.session.cancelCompaction",
        p.OnSession,
        session.cancel_compaction,
        "Cancel the compaction under way. Nothing of the history changes.",
        _ID,
        {},
    ),
    Command(
        "holdfast.session.undoCompaction",
        p.OnSession,
        session.undo_compaction,
        "Take the newest compaction back: the model is sent what it was sent before, byte for "
        "byte. `compactionId` is null when there is none.",
        _ID,
        {"compactionId": "c_5d01"},
    ),
    Command(
        "holdfast.session.redoCompaction",
        p.OnSession,
        session.redo_compaction,
        "Put back the compaction that was taken back last, until another one comes into force. "
        "`compactionId` is null when there is none.",
        _ID,
        {"compactionId": "c_5d01"},
    ),
    Command(
        "holdfast.session.compactions",
        p.OnSession,
        session.compactions,
        "Say what became of each compaction, the oldest first. `state` is `running`, `committed`, "
        "`undone` or `ended` (it never came into force; `outcome` is `cancelled`, `superseded` or "
        "`pointless`). `rung` is the step of the ladder that held, or the last one tried: "
        "`cleared` (old outputs left out), `onDemand` (the API's own compaction), `summary`, "
        "`chunks`, `digest` (made without the model) or `floor`. `attempts` are the tries that did "
        "not hold, each with its reason. `tokensMeasured` is what the API counted afterwards; the "
        "other sizes are estimates. `label`, `sizes` and `reasons` say it in plain words; `report` "
        "says all of it for people, in Markdown.",
        _ID,
        {"compactions": [examples.COMPACTION], "report": "# Compactions of “Fix the parser”\n"},
    ),
    Command(
        "holdfast.session.compactionText",
        p.CompactionTextParams,
        session.compaction_text,
        "Return, in Markdown, what a compaction covers (`part` `covered`) or what stands for it "
        "(`summary`), to be shown or compared. Very long texts are clipped in the middle; "
        "`holdfast.session.export` has everything.",
        {**_ID, "compactionId": "c_5d01", "part": "summary"},
        {"title": "Summary of Fix the parser", "text": "# Summary of Fix the parser\n"},
    ),
    Command(
        "holdfast.session.repair",
        p.RepairParams,
        session.repair,
        "Check the history and mend it, once, by a record that can be undone. With `dryRun` "
        "nothing is changed. `changes` holds the words of each changed record before and after "
        "(clipped) and what is kept, `inForce` the repairs that were there before, `report` all of "
        'it for people, in Markdown. With `undo: "r_1"` that repair is taken back, and the result '
        'is `{"undone": "r_1"}`.',
        {**_ID, "dryRun": True},
        examples.REPAIR,
    ),
    Command(
        "holdfast.turn.send",
        p.SendParams,
        turn.send,
        "Send a prompt: either `text`, or `content` with text, image and document blocks. The "
        "answer comes when it is on disk. The same `promptId` twice is one prompt. Files in "
        "`mentions` (`path`, and perhaps `startLine` and `endLine`, from 1) are read now, inside "
        "the workspace only, and become part of the prompt as text, pictures and PDFs as what they "
        "are; what cannot be shown is said there. Pictures of any size and type are made fit for "
        "the API (at most 2000 pixels a side); one that cannot be decoded becomes words.",
        {
            **_ID,
            "text": "Fix the parser.",
            "promptId": "p_1",
            "mentions": [{"path": "src/parser.py", "startLine": 1, "endLine": 40}],
        },
        {"turnId": "t_1", "promptId": "p_1", "seq": 3, "queued": False},
    ),
    Command(
        "holdfast.turn.stop",
        p.OnSession,
        turn.stop,
        "Stop the turn at once. Queued prompts are held until `resume` or the next prompt.",
        _ID,
        {"phase": "idle"},
    ),
    Command(
        "holdfast.turn.resume",
        p.OnSession,
        turn.resume,
        "Let a paused, waiting or held session go on now.",
        _ID,
        {"phase": "requesting"},
    ),
    Command(
        "holdfast.turn.retry",
        p.OnSession,
        turn.retry,
        "Send a failed request again now, without waiting for its time.",
        _ID,
        {"phase": "requesting"},
    ),
    Command(
        "holdfast.tool.output",
        p.OnToolCall,
        session.tool_output,
        "Return the whole output of a tool call; it is empty while there is none.",
        {**_ID, "toolUseId": "toolu_01"},
        {"text": "Replaced 1 occurrence."},
    ),
    Command(
        "holdfast.tool.diff",
        p.OnToolCall,
        session.tool_diff,
        "Return the text of a file before and after a call that edits or writes it. `state` is "
        "`proposed` while the call has not started (by what the file is now), `applied` when it "
        "has run, `unknown` otherwise; then, and when a text is null, `reason` says why. A file "
        "that does not exist is null.",
        {**_ID, "toolUseId": "toolu_01"},
        {
            "uri": "file:///home/me/project/src/parser.py",
            "before": "depth = 1\n",
            "after": "depth = 2\n",
            "state": "applied",
        },
    ),
    Command(
        "holdfast.permission.answer",
        p.AnswerParams,
        turn.answer,
        "Answer a permission question: `allow`, `allowAlways` (what its pattern matches, in this "
        "session) or `deny`.",
        {"questionId": "s_8f2c:q_1", "answer": "allow"},
        {},
    ),
    Command(
        "holdfast.credentials.set",
        p.CredentialsParams,
        turn.set_credentials,
        "Hand over an API key or a bearer token. It is kept in memory only, is used before the "
        "environment's from the next attempt on, and turns that wait for it go on at once. With "
        "neither it is forgotten. `endpoint` names one of the settings; without it, it is for the "
        "first. `source` says what is used now: `client`, `environment` or `none`.",
        {"apiKey": "..."},
        {"source": "client"},
    ),
    Command(
        "holdfast.server.info",
        p.NoParams,
        turn.info,
        "Say what this server is, where it keeps its data, which settings it did not take, and "
        "whether its store is usable. Answers also when the store is not.",
        {},
        examples.SERVER_INFO,
    ),
)

COMMANDS: Final[Mapping[str, Command]] = {
    row.name: row for row in (*_ROWS, *models.ROWS, *doctor.ROWS, *transcripts.ROWS)
}


def command(name: str) -> Command:
    """Return a command. Raises the error for an unknown one."""
    found = COMMANDS.get(name)
    if found is None:
        raise errors.failed(
            errors.INVALID_PARAMS,
            "UnknownCommand",
            f"There is no command {name[:200]!r}.",
            "docs/protocol.md lists the commands.",
        )
    return found


def arguments(row: Command, given: Sequence[Any] | None) -> p.Params:
    """Return the checked argument of a command. Raises an error that names the wrong field."""
    if given is not None and len(given) > 1:
        raise errors.invalid_params(f"{row.name} takes one object, not {len(given)} arguments.")
    argument = given[0] if given else None
    try:
        return msgspec.convert({} if argument is None else argument, row.params)
    except msgspec.ValidationError as error:
        complaint = str(error).replace("at `$.", "at `").replace(" - at `$`", "")
        raise errors.invalid_params(f"{row.name}: {complaint}") from None
