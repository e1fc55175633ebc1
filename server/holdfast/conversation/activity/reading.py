"""Reading blocks for their facts, without decoding what nobody looks at.

Law: total and cheap. A block's few telling fields are decoded, everything else is skipped over as
bytes; of a long output only the two ends are ever decoded. What does not have the expected shape is
read the slow way and gives the same fields, as far as they are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import msgspec

from holdfast.conversation import casting, encoding
from holdfast.conversation.history import Block

Raw = msgspec.Raw
_NOTHING: Final = Raw(b"")


class Arguments(msgspec.Struct, frozen=True, gc=False):
    """The arguments of a call that say what it is about, under the names that agents give them."""

    command: str = ""
    cmd: str = ""
    script: str = ""
    path: str = ""
    file_path: str = ""
    filePath: str = ""  # noqa: N815 (the name on the wire)
    notebook_path: str = ""
    target_file: str = ""
    absolute_path: str = ""
    filename: str = ""
    file: str = ""
    description: str = ""
    subject: str = ""
    status: str = ""
    offset: Raw = _NOTHING
    limit: Raw = _NOTHING
    start_line: Raw = _NOTHING
    end_line: Raw = _NOTHING
    view_range: Raw = _NOTHING
    todos: Raw = _NOTHING
    items: Raw = _NOTHING
    plan: Raw = _NOTHING
    questions: Raw = _NOTHING
    prompt: Raw = _NOTHING
    message: Raw = _NOTHING
    input: Raw = _NOTHING
    patch: Raw = _NOTHING
    taskId: Raw = _NOTHING  # noqa: N815 (the name on the wire)
    task_id: Raw = _NOTHING
    bash_id: Raw = _NOTHING
    shell_id: Raw = _NOTHING
    shellId: Raw = _NOTHING  # noqa: N815 (the name on the wire)
    session_id: Raw = _NOTHING


NO_ARGUMENTS: Final = Arguments()
_TEXTS: Final = tuple(n for n in Arguments.__struct_fields__ if getattr(NO_ARGUMENTS, n) == "")


class Reading(msgspec.Struct, frozen=True, gc=False):
    """The fields of a block that facts come from. `is_error` is None where it is not said."""

    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: Arguments = NO_ARGUMENTS
    tool_use_id: str = ""
    is_error: bool | None = None
    content: Raw = _NOTHING


_decode: Final = msgspec.json.Decoder(Reading).decode


def read(block: Block) -> Reading:
    """Read a block."""
    raw = block.raw
    try:
        # Encoding what is not ASCII here keeps the string from holding a second copy of itself.
        return _decode(raw if raw.isascii() else raw.encode())
    except (msgspec.MsgspecError, UnicodeError):
        return _read_loosely(block.data)


_TEXT: Final = '{"type":"text"'
_BY_BEGINNING: Final = {
    '{"type":"text","text': "text",
    '{"type":"tool_use","': "tool_use",
    '{"type":"thinking","': "thinking",
}
"""Types by the first 20 characters of a block, as these three nearly always begin."""
_RESULT: Final = '{"type":"tool_result","tool_use_id":"'  # 37 characters
_RESULT_ID: Final = '{"tool_use_id":"'  # 16 characters
_RESULT_TYPE: Final = '","type":"tool_result"'


def type_of(block: Block) -> str:
    """Return the type of a block from its first bytes, where it nearly always stands."""
    known = _BY_BEGINNING.get(block.raw[:20])
    return read(block).type if known is None else known


def result_of(block: Block) -> str | None:
    """Return which call a block is the result of, None when it is no result."""
    raw = block.raw
    if raw.startswith(_RESULT):
        found = raw[37 : raw.index('"', 37)]
        return found if "\\" not in found else read(block).tool_use_id
    if raw.startswith(_TEXT):
        return None
    if raw.startswith(_RESULT_ID):
        end = raw.index('"', 16)
        found = raw[16:end]
        if raw.startswith(_RESULT_TYPE, end) and "\\" not in found:
            return found
    reading = read(block)
    return reading.tool_use_id if reading.type == "tool_result" else None


def _read_loosely(data: Mapping[str, Any]) -> Reading:
    given = data.get("input")
    arguments = NO_ARGUMENTS
    if isinstance(given, Mapping):
        values = {name: given[name] for name in Arguments.__struct_fields__ if name in given}
        fits = {n: v for n, v in values.items() if n in _TEXTS and isinstance(v, str)}
        raws = {n: _raw(v) for n, v in values.items() if n not in _TEXTS}
        arguments = msgspec.structs.replace(NO_ARGUMENTS, **fits, **raws)
    names = ("type", "text", "id", "name", "tool_use_id")
    words = {name: data[name] for name in names if isinstance(data.get(name), str)}
    failed = data.get("is_error")
    return Reading(
        **words,
        input=arguments,
        is_error=failed if isinstance(failed, bool) else None,
        content=_raw(data.get("content")),
    )


def _raw(value: Any) -> Raw:
    return Raw(encoding.encode(value).encode())


def value_of(raw: Raw) -> Any:
    """Return the value of raw JSON, None when there is none."""
    return encoding.decode(bytes(raw)) if memoryview(raw).nbytes else None


def text_of(raw: Raw) -> str:
    """Return the value of raw JSON when it is a string, else `""`."""
    value = value_of(raw)
    return value if isinstance(value, str) else ""


def number_of(raw: Raw) -> int | None:
    """Return the value of raw JSON when it is a number of lines, else None."""
    value = value_of(raw) if memoryview(raw).nbytes <= 12 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def name_of(raw: Raw) -> str:
    """Return a short identifier, which some send as a number."""
    value = value_of(raw) if memoryview(raw).nbytes <= 200 else None
    return str(value) if isinstance(value, (str, int)) else ""


# --- the ends of outputs ---------------------------------------------------------------------

WHOLE_BYTES_MAX: Final = 8_000
END_BYTES: Final = 3_000
_NOT_IN_ESCAPES: Final = re.compile(rb'[^\\"/bfnrtu0-9a-fA-F\x80-\xbf]')


@attrs.frozen
class Ends:
    """The beginning and the end of an output; the same text twice when it is short."""

    head: str
    tail: str


def start_of(content: Raw, size: int = 300) -> bytes:
    """Return the first bytes of raw JSON."""
    return memoryview(content)[:size].tobytes()


def ends(content: Raw) -> Ends:
    """Return the ends of a result's words."""
    size = memoryview(content).nbytes
    if size <= WHOLE_BYTES_MAX:
        whole = words_in(value_of(content))
        return Ends(whole, whole)
    first = start_of(content, 1)
    if first == b'"':
        return Ends(_head(content), _tail(content))
    parts = _text_parts(content) if first == b"[" else None
    if not parts:
        whole = words_in(value_of(content))
        return Ends(whole[:END_BYTES], whole[-END_BYTES:])
    return Ends(ends(parts[0]).head, ends(parts[-1]).tail)


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    text: Raw = _NOTHING


_decode_items: Final = msgspec.json.Decoder(list[_Item]).decode


def _text_parts(content: Raw) -> list[Raw] | None:
    """Return the texts of a result that is a list of blocks; None when it is another list."""
    try:
        items = _decode_items(content)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    texts = [item.text for item in items if item.type == "text"]
    return texts if all(start_of(text, 1) == b'"' for text in texts) else None


def _head(content: Raw) -> str:
    """Decode the beginning of a long JSON string, cut before an escape that may be broken."""
    piece = memoryview(content)[1:END_BYTES].tobytes()
    last = piece.rfind(b"\\", len(piece) - 12)
    if last >= 0:
        piece = piece[:last].rstrip(b"\\")
    return _decoded(piece)


def _tail(content: Raw) -> str:
    """Decode the end of a long JSON string, from the first byte that no escape can hold."""
    size = memoryview(content).nbytes
    piece = memoryview(content)[size - END_BYTES : size - 1].tobytes()
    found = _NOT_IN_ESCAPES.search(piece)
    return _decoded(piece[found.start() :]) if found else ""


def _decoded(piece: bytes) -> str:
    text = encoding.decode('"' + piece.decode(errors="ignore") + '"')
    return text if isinstance(text, str) else ""


def words_in(content: Any) -> str:
    """Return the words of a result's decoded content."""
    return joined(map(casting.item_text, casting.items(content)))


def joined(parts: Iterable[str]) -> str:
    """Join what is not blank, a line each."""
    return "\n".join(part for part in parts if part.strip())
