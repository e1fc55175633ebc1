"""Reading a session of Codex: `~/.codex/sessions/<year>/<month>/<day>/rollout-*.jsonl`.

Law: as for every reader: one streaming pass, no writing, no exception for any content. What Codex
told its own model about itself, and reasoning that only its own model could read, is left out and
counted; everything else that was said, called or answered comes through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs

from holdfast.conversation import encoding
from holdfast.conversation.history import ASSISTANT, USER, Block, Message, Role, text
from holdfast.transcripts.fields import mapping_field, text_field
from holdfast.transcripts.imported import ImportedHistory, Note, Todo
from holdfast.transcripts.lines import Found, read_objects
from holdfast.transcripts.todos import STATUSES

FORMAT: Final = "codex"
KINDS: Final = frozenset(
    {"session_meta", "turn_context", "response_item", "event_msg", "compacted"}
)

_ITEMS: Final = frozenset(
    {
        "message", "reasoning", "function_call", "function_call_output", "local_shell_call",
        "custom_tool_call", "custom_tool_call_output", "web_search_call",
    }
)  # fmt: skip
_CONTEXT: Final = ("<environment_context>", "<user_instructions>", "# AGENTS.md instructions")
"""How messages begin that Codex writes in its user's name, and that begin no turn."""


def recognises(record: Mapping[str, Any]) -> bool:
    """Say whether an object is a line of a rollout, of today's form or the first one."""
    kind = text_field(record, "type")
    if kind in KINDS:
        return isinstance(record.get("payload"), Mapping)
    first = {"id", "timestamp", "instructions"} <= record.keys()
    return first or (kind in _ITEMS and kind != "message" and "uuid" not in record)


def read(path: Path) -> ImportedHistory:
    """Read a rollout. Raises `OSError` when the file cannot be read, and nothing else."""
    with path.open("rb") as stream:
        return read_stream(stream)


def read_stream(stream: BinaryIO) -> ImportedHistory:
    """Read a rollout from an open binary file."""
    notes: list[Note] = []
    session = _Session(notes)
    for found in read_objects(stream, notes, is_record=recognises):
        session.take(found)
    for what, count in session.left_out.items():
        notes.append(Note("left out", f"{what}: {count}"))
    return ImportedHistory(
        format=FORMAT,
        versions=tuple(session.versions),
        session_id=session.session_id,
        title=session.title,
        cwd=session.cwd,
        model=session.model,
        messages=tuple(_messages(session.said)),
        todos=session.todos,
        notes=tuple(notes),
        entries=session.entries,
    )


@attrs.frozen
class _Said:
    """One block that was said, and by whom. `alone` blocks of a user are a message of their own."""

    role: Role
    blocks: tuple[Block, ...]
    origin: str
    alone: bool = False
    begins_turn: bool = False


@attrs.define
class _Session:
    """A rollout as far as it has been read."""

    notes: list[Note]
    said: list[_Said] = attrs.field(factory=list)
    versions: dict[str, None] = attrs.field(factory=dict)
    left_out: Counter[str] = attrs.field(factory=Counter)
    session_id: str = ""
    title: str = ""
    cwd: str = ""
    model: str = ""
    todos: tuple[Todo, ...] = ()
    entries: int = 0

    def take(self, found: Found) -> None:
        """Take in one line."""
        self.entries += 1
        kind, payload = text_field(found.value, "type"), mapping_field(found.value, "payload")
        match kind:
            case "session_meta":
                self._about(payload)
            case "turn_context":
                self.model = text_field(payload, "model") or self.model
                self.cwd = text_field(payload, "cwd") or self.cwd
            case "event_msg":
                self._event(found, payload)
            case "compacted":
                self._compacted(found, payload)
            case "response_item":
                self.said += self._item(payload, f"line:{found.line}")
            case _ if kind in _ITEMS:
                self.said += self._item(found.value, f"line:{found.line}")
            case "":
                self._about(found.value)
            case _:
                pass  # A type of another version says nothing that we could pass on.

    def _about(self, meta: Mapping[str, Any]) -> None:
        """The first one counts: a fork repeats its parent's lines behind its own."""
        self.session_id = self.session_id or text_field(meta, "id")
        self.cwd = self.cwd or text_field(meta, "cwd")
        if version := text_field(meta, "cli_version"):
            self.versions[version] = None

    def _event(self, found: Found, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        if kind == "user_message":
            self.title = self.title or text_field(event, "message").strip()
        elif kind == "thread_name_updated":
            self.title = text_field(event, "thread_name") or self.title
        elif kind == "thread_rolled_back":
            self._roll_back(found, event.get("num_turns"))

    def _roll_back(self, found: Found, turns: object) -> None:
        if not isinstance(turns, int) or turns < 1:
            return
        starts = [index for index, said in enumerate(self.said) if said.begins_turn]
        if starts:
            del self.said[starts[max(0, len(starts) - turns)] :]
            what = f"{turns} turns that were rolled back"
            self.notes.append(Note("left out", what, found.line, found.start, found.stop))

    def _compacted(self, found: Found, payload: Mapping[str, Any]) -> None:
        """Put what a compaction left in the place of what was said before it.

        A summary that only Codex's own service can read stands for nothing here: then everything
        stays.
        """
        items = payload.get("replacement_history")
        origin = f"line:{found.line}"
        place = (found.line, found.start, found.stop)
        if isinstance(items, list):
            kept = [item for item in items if isinstance(item, Mapping)]
            if any(text_field(item, "encrypted_content") for item in kept):
                self.notes.append(
                    Note(
                        "mended",
                        "a sealed summary was passed over; what it stands for is kept",
                        *place,
                    )
                )
                return
            replaced = [said for item in kept for said in self._item(item, origin)]
        else:
            replaced = [said for said in self.said if said.role == USER and said.alone]
        if summary := text_field(payload, "message").strip():
            replaced.append(_Said(USER, (text(summary),), origin, alone=True))
        if replaced:
            self.notes.append(
                Note("left out", f"{len(self.said)} items from before a compaction", *place)
            )
            self.said = replaced

    def _item(self, item: Mapping[str, Any], origin: str) -> Sequence[_Said]:
        match text_field(item, "type"):
            case "message":
                return self._message(item, origin)
            case "reasoning":
                self.left_out["pieces of reasoning that only the model itself can read"] += 1
                return ()
            case "function_call":
                return (_call(item, _arguments(item.get("arguments")), origin),)
            case "custom_tool_call":
                return (_call(item, {"input": item.get("input")}, origin),)
            case "local_shell_call":
                action = mapping_field(item, "action")
                return (_call({"name": "local_shell", **item}, action, origin),)
            case "function_call_output" | "custom_tool_call_output":
                self._take_plan(item)
                return (_Said(USER, (_result(item),), origin),)
            case "web_search_call":
                query = text_field(mapping_field(item, "action"), "query")
                return (_Said(ASSISTANT, (text(f"(Searched the web: {query})"),), origin),)
            case kind:
                self.left_out[f"items of the unknown type {kind!r}"] += 1
                return ()

    def _message(self, item: Mapping[str, Any], origin: str) -> Sequence[_Said]:
        role = item.get("role")
        if role not in (USER, ASSISTANT):
            self.left_out["instructions of Codex to its own model"] += 1
            return ()
        blocks = tuple(_content(item.get("content")))
        if not blocks:
            return ()
        if role == ASSISTANT:
            return (_Said(ASSISTANT, blocks, origin),)
        words = blocks[0].text_of("text").lstrip()
        return (
            _Said(USER, blocks, origin, alone=True, begins_turn=not words.startswith(_CONTEXT)),
        )

    def _take_plan(self, output: Mapping[str, Any]) -> None:
        """A plan counts once its call was answered."""
        made = text_field(output, "call_id")
        for said in reversed(self.said):
            for block in said.blocks:
                if block.type == "tool_use" and block.get("id") == made:
                    if block.get("name") == "update_plan":
                        self.todos = tuple(_plan(block.get("input")))
                    return


def _messages(said: Sequence[_Said]) -> Iterator[Message]:
    """Group what was said: an answer with all its calls, then all their results."""
    group: list[_Said] = []
    for each in said:
        if group and (each.role != group[0].role or each.alone or group[0].alone):
            yield _message_of(group)
            group = []
        group.append(each)
    if group:
        yield _message_of(group)


def _message_of(group: Sequence[_Said]) -> Message:
    blocks = tuple(block for said in group for block in said.blocks)
    return Message(group[0].role, blocks, group[0].origin)


def _call(item: Mapping[str, Any], given: Mapping[str, Any], origin: str) -> _Said:
    block = {
        "type": "tool_use",
        "id": text_field(item, "call_id") or text_field(item, "id"),
        "name": text_field(item, "name"),
        "input": dict(given),
    }
    return _Said(ASSISTANT, (Block.of(block),), origin)


def _arguments(raw: object) -> Mapping[str, Any]:
    """Return the arguments of a call; what is no object stays as the words it is."""
    try:
        value = encoding.decode(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        value = raw
    return value if isinstance(value, Mapping) else {"arguments": value}


def _result(item: Mapping[str, Any]) -> Block:
    output, failed = _output(item.get("output"))
    data: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": text_field(item, "call_id"),
        "content": output,
    }
    return Block.of({**data, "is_error": True} if failed else data)


def _output(output: object) -> tuple[object, bool]:
    """Return what a tool brought back, out of its wrapping, and whether it failed."""
    if isinstance(output, str) and output.startswith('{"output":'):
        wrapped = _arguments(output)
        if isinstance(wrapped.get("output"), str):
            code = mapping_field(wrapped, "metadata").get("exit_code")
            return wrapped["output"], isinstance(code, int) and code != 0
    if isinstance(output, str):
        return output, False
    if isinstance(output, Mapping):
        content, _ = _output(output.get("content"))
        return content, output.get("success") is False
    return [dict(block.data) for block in _content(output)], False


def _content(content: object) -> Iterator[Block]:
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, Mapping):
            yield text(part if isinstance(part, str) else encoding.encode(part))
        elif part.get("type") == "input_image":
            yield _image(text_field(part, "image_url"))
        else:
            said = part.get("text", part.get("refusal"))
            yield text(said if isinstance(said, str) else encoding.encode(part))


def _image(url: str) -> Block:
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64")
        source = {"type": "base64", "media_type": media_type, "data": data}
        return Block.of({"type": "image", "source": source})
    if url.startswith("https://"):
        return Block.of({"type": "image", "source": {"type": "url", "url": url}})
    return text(f"(A picture: {url[:200]})")


def _plan(given: object) -> Iterator[Todo]:
    steps = given.get("plan") if isinstance(given, Mapping) else None
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, Mapping) and text_field(step, "step"):
            status = text_field(step, "status")
            yield Todo(text_field(step, "step"), status if status in STATUSES else "pending")
