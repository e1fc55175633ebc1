"""Sessions as text for other programs and for people.

Law: an export is made from the journal, whole; nothing of the history is left out of `jsonl`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from holdfast.agent import reading
from holdfast.agent.api import ExportFormat, UnsupportedFormat
from holdfast.conversation import encoding
from holdfast.conversation.history import ASSISTANT, Message
from holdfast.journal.store import Record
from holdfast.session.state import SessionState

_VERSION: Final = "2.1.330"
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
    derived from the session's, so that exporting twice gives the same file.
    """
    session = str(uuid.uuid5(_NAMESPACE, session_id))
    common = {
        "isSidechain": False,
        "userType": "external",
        "cwd": state.workspace_uri.removeprefix("file://") if state.workspace_uri else "/",
        "sessionId": session,
        "version": _VERSION,
        "timestamp": _timestamp(state.updated_at_ms),
    }
    lines: list[str] = []
    parent: str | None = None
    for number, message in enumerate(state.messages):
        for part, body in enumerate(_bodies(session, number, message)):
            line_id = str(uuid.uuid5(_NAMESPACE, f"{session}/{number}/{part}"))
            record: dict[str, Any] = {"parentUuid": parent, **common}
            record |= {"type": message.role, "message": body, "uuid": line_id}
            lines.append(encoding.encode(record))
            parent = line_id
    return "".join(f"{line}\n" for line in lines)


def _bodies(session: str, number: int, message: Message) -> list[dict[str, Any]]:
    blocks = [dict(block.data) for block in message.blocks]
    if message.role != ASSISTANT:
        return [{"role": message.role, "content": blocks}]
    envelope = {
        "id": f"msg_{uuid.uuid5(_NAMESPACE, f'{session}/{number}').hex}",
        "type": "message",
        "role": ASSISTANT,
        "model": "holdfast-export",
        "stop_reason": None,
        "stop_sequence": None,
    }
    return [{**envelope, "content": [block]} for block in blocks]


def _timestamp(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
