"""Small transcripts for tests, written as Claude Code writes them."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs

from holdfast.transcripts.claude_code import read_stream
from holdfast.transcripts.imported import ImportedHistory

Line = dict[str, Any]


@attrs.define
class Transcript:
    """Lines under construction. Each record follows the one before unless told otherwise."""

    lines: list[Line] = attrs.field(factory=list)
    last: str | None = None

    def add(self, kind: str, uuid: str, *, parent: str | None = "", **fields: Any) -> Transcript:
        line = {
            "parentUuid": self.last if parent == "" else parent,
            "isSidechain": False,
            "type": kind,
            "uuid": uuid,
            "sessionId": "s1",
            "version": "2.1.49",
            "cwd": "/w",
        }
        self.lines.append(line | fields)
        self.last = uuid
        return self

    def user(self, uuid: str, content: Any, **fields: Any) -> Transcript:
        return self.add("user", uuid, message={"role": "user", "content": content}, **fields)

    def result(self, uuid: str, tool_id: str, words: str = "ok", **fields: Any) -> Transcript:
        block = {"type": "tool_result", "tool_use_id": tool_id, "content": words}
        return self.user(uuid, [block], **fields)

    def says(self, uuid: str, message_id: str, words: str, **fields: Any) -> Transcript:
        return self.piece(uuid, message_id, {"type": "text", "text": words}, **fields)

    def calls(self, uuid: str, message_id: str, tool_id: str, **fields: Any) -> Transcript:
        block = {"type": "tool_use", "id": tool_id, "name": "Bash", "input": {"command": "ls"}}
        return self.piece(uuid, message_id, block, **fields)

    def piece(self, uuid: str, message_id: str, block: Any, **fields: Any) -> Transcript:
        message = {"id": message_id, "model": "claude-x", "role": "assistant", "content": [block]}
        return self.add("assistant", uuid, message=message, **fields)

    def side(self, kind: str, **fields: Any) -> Transcript:
        self.lines.append({"type": kind, "sessionId": "s1", **fields})
        return self

    def without(self, uuid: str) -> Transcript:
        self.lines = [line for line in self.lines if line.get("uuid") != uuid]
        return self

    def bytes(self) -> bytes:
        return "".join(json.dumps(line) + "\n" for line in self.lines).encode()

    def read(self) -> ImportedHistory:
        return read_bytes(self.bytes())


def read_bytes(content: bytes) -> ImportedHistory:
    return read_stream(io.BytesIO(content))


def shown(history: ImportedHistory) -> list[str]:
    """Return the messages in short: role and, for each block, its words or ids."""
    return [
        f"{message.role}: " + " ".join(_short(dict(b.data)) for b in message.blocks)
        for message in history.messages
    ]


def _short(block: Line) -> str:
    kind = block.get("type")
    if kind == "text":
        return str(block["text"])
    return f"<{kind} {block.get('id') or block.get('tool_use_id') or ''}>".replace(" >", ">")
