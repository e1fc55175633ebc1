"""Sessions as text for other programs and for people.

Law: an export is made from the journal, whole; nothing of the history is left out of `jsonl`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from holdfast.agent import reading
from holdfast.agent.api import ExportFormat
from holdfast.agent.errors import UnsupportedFormat
from holdfast.conversation import encoding
from holdfast.conversation.history import ASSISTANT, USER, Message
from holdfast.journal.store import Record
from holdfast.session.state import SessionState
from holdfast.transcripts.imported import Todo
from holdfast.transcripts.todos import todos_of

_VERSION: Final = "2.1.330"
_MODEL: Final = "holdfast-export"
_NAMESPACE: Final = uuid.UUID("8f4c1f0e-6f0a-4b9a-9f7e-0d6f5a3c2b11")


def export(
    session_id: str,
    records: Sequence[Record],
    state: SessionState,
    format: ExportFormat,  # noqa: A002
) -> str:
    """Return the session in `format`. Raises `UnsupportedFormat`."""
    match format:
        case "jsonl":
            return "".join(
                f'{{"seq":{r.seq},"atMs":{r.at_ms},"version":{r.version},'
                f'"event":{r.payload.decode()}}}\n'
                for r in records
            )
        case "markdown":
            return markdown(state)
        case "claude-code":
            return claude_code(session_id, state)
        case _:
            raise UnsupportedFormat(
                f"There is no export format {format!r}; there are jsonl, markdown, claude-code."
            )


def markdown(state: SessionState) -> str:
    """Return the conversation as a document for people."""
    parts = [f"# {state.title}"]
    for message in state.messages:
        who = "Assistant" if message.role == ASSISTANT else "User"
        body = reading.text_of(message.blocks)
        if body.strip():
            parts.append(f"## {who}\n\n{body}")
    return "\n\n".join(parts) + "\n"


def claude_code(session_id: str, state: SessionState) -> str:
    """Return the conversation as a transcript that `claude --resume` reads.

    One line a content block for assistant messages, one line a message otherwise; identifiers are
    derived from the session's, so that exporting twice gives the same file. Blocks are as they
    were taken in: calls keep their ids, thinking its signatures. The task list stands on the last
    line of the user, as Claude Code kept it, unless the history's own calls say the same.
    """
    session = str(uuid.uuid5(_NAMESPACE, session_id))
    common = {
        "isSidechain": False,
        "userType": "external",
        "cwd": _folder(state.workspace_uri),
        "sessionId": session,
        "version": _VERSION,
        "timestamp": _timestamp(state.updated_at_ms),
    }
    records: list[dict[str, Any]] = []
    for number, message in enumerate(state.messages):
        role = ASSISTANT if message.role == ASSISTANT else USER
        for part, body in enumerate(_bodies(session, number, message, state)):
            parent = records[-1]["uuid"] if records else None
            line_id = str(uuid.uuid5(_NAMESPACE, f"{session}/{number}/{part}"))
            record = {"parentUuid": parent, **common}
            records.append(record | {"type": role, "message": body, "uuid": line_id})
    _add_todos(records, state)
    if state.title:
        records.append({"type": "custom-title", "customTitle": state.title, "sessionId": session})
    return "".join(f"{encoding.encode(record)}\n" for record in records)


def _bodies(
    session: str, number: int, message: Message, state: SessionState
) -> list[dict[str, Any]]:
    blocks = [dict(block.data) for block in message.blocks]
    if message.role != ASSISTANT:
        return [{"role": USER, "content": blocks}]
    envelope = {
        "id": f"msg_{uuid.uuid5(_NAMESPACE, f'{session}/{number}').hex}",
        "type": "message",
        "role": ASSISTANT,
        "model": state.usage_model or state.model or _MODEL,
        "stop_reason": None,
        "stop_sequence": None,
    }
    return [{**envelope, "content": [block]} for block in blocks]


def _add_todos(records: list[dict[str, Any]], state: SessionState) -> None:
    asked = [record for record in records if record["type"] == USER]
    todos = tuple(Todo(todo.text, todo.status) for todo in state.todos)
    if asked and todos_of(state.messages, ()) != todos:
        asked[-1]["todos"] = [
            {"content": todo.text, "status": todo.status, "activeForm": todo.text} for todo in todos
        ]


def _folder(uri: str | None) -> str:
    """Return the path of a workspace as its own system writes it."""
    parts = urlsplit(uri or "")
    path = unquote(parts.path)
    if re.match(r"/[A-Za-z]:(/|$)", path):
        return path[1:].replace("/", "\\")
    if parts.netloc and parts.netloc != "localhost":
        return f"//{parts.netloc}{path}".replace("/", "\\")
    return path or "/"


def _timestamp(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
