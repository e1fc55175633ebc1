"""Damage to a transcript, as it was seen in the field: each takes whole lines and gives a file.

Where a file has nothing that could be damaged in a way, the damage gives None.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from media.pictures import noise
from transcripts.transcript_files import Transcript

Json = dict[str, Any]
Lines = list[bytes]

WORDS: Final = ("amber", "birch", "cedar", "dahlia", "elder", "fern", "gorse")
"""One word of each record of `story` that says something."""
NOWHERE: Final = "00000000-0000-4000-8000-00000000dead"


def identity(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def story() -> Transcript:
    """A session of three prompts and a tool call, as Claude Code writes it."""
    told = Transcript()
    told.user(identity(0), "What is the first colour? amber")
    told.says(identity(1), "msg_1", "birch white")
    told.user(identity(2), "And the second? Look it up: cedar")
    told.calls(identity(3), "msg_2", "toolu_1")
    told.result(identity(4), "toolu_1", "dahlia red")
    told.says(identity(5), "msg_3", "elder black")
    told.user(identity(6), "I like fern green")
    told.says(identity(7), "msg_4", "gorse yellow")
    for number, line in enumerate(told.lines):
        line |= {"timestamp": f"2026-11-01T10:00:{number:02d}.000Z", "userType": "external"}
        if line["type"] == "assistant":
            line["message"] |= {"type": "message", "stop_reason": "end_turn", "usage": {}}
    return told


def lines_of(transcript: bytes) -> Lines:
    return transcript.splitlines(keepends=True)


@attrs.frozen
class Damage:
    """A kind of damage: its class, what it does, the words of `story` it destroys for good."""

    rule: str
    strike: Callable[[Lines], bytes | None]
    gone: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.strike.__name__


def _records(lines: Lines, kind: str) -> Iterator[tuple[int, Json]]:
    """Yield the records of one type on the main track that hold blocks or a text."""
    for number, raw in enumerate(lines):
        record = json.loads(raw)
        if record.get("type") == kind and not record.get("isSidechain") and record.get("uuid"):
            yield number, record


def _block(lines: Lines, kind: str, block: str) -> tuple[int, Json, Json] | None:
    """Return the second record with such a block, or the first where there is only one."""
    found = [
        (number, record, item)
        for number, record in _records(lines, kind)
        if isinstance(record["message"]["content"], list)
        for item in record["message"]["content"]
        if item.get("type") == block
    ]
    return found[len(found) > 1] if found else None


def _prompt(lines: Lines) -> tuple[int, Json] | None:
    """Return the last prompt of a person that is not the first record of the file."""
    found = [
        (number, record)
        for number, record in _records(lines, "user")
        if isinstance(record["message"]["content"], str) and number and not record.get("isMeta")
    ]
    return found[-1] if found else None


def _with(lines: Lines, number: int, record: Json) -> bytes:
    changed = (json.dumps(record) + "\n").encode()
    return b"".join([*lines[:number], changed, *lines[number + 1 :]])


def blank_prompt(lines: Lines) -> bytes | None:
    found = _prompt(lines)
    if found is None:
        return None
    found[1]["message"]["content"] = " \n\t"
    return _with(lines, *found)


def string_input(lines: Lines) -> bytes | None:
    found = _block(lines, "assistant", "tool_use")
    if found is None:
        return None
    found[2]["input"] = json.dumps(found[2]["input"])
    return _with(lines, *found[:2])


def unknown_block(lines: Lines) -> bytes | None:
    found = _block(lines, "assistant", "text")
    if found is None:
        return None
    found[1]["message"]["content"].append({"type": "hologram", "words": "a colour nobody knows"})
    return _with(lines, *found[:2])


def unknown_field(lines: Lines) -> bytes | None:
    found = _block(lines, "user", "tool_result")
    if found is None:
        return None
    found[2]["duration_s"] = 3
    return _with(lines, *found[:2])


def unknown_part_of_a_result(lines: Lines) -> bytes | None:
    found = _block(lines, "user", "tool_result")
    if found is None:
        return None
    said = found[2].get("content")
    parts = [{"type": "text", "text": said}] if isinstance(said, str) else list(said or ())
    found[2]["content"] = [*parts, {"type": "hologram"}]
    return _with(lines, *found[:2])


def unfit_tool_id(lines: Lines) -> bytes | None:
    found = _block(lines, "assistant", "tool_use")
    if found is None:
        return None
    return b"".join(lines).replace(found[2]["id"].encode(), b"call of the tool 1")


def large_picture(lines: Lines) -> bytes | None:
    found = _prompt(lines)
    if found is None:
        return None
    data = base64.b64encode(noise("PNG", 1200, 1100)).decode()
    assert len(data) > 5 * 1024 * 1024
    words = {"type": "text", "text": found[1]["message"]["content"]}
    source = {"type": "base64", "media_type": "image/png", "data": data}
    found[1]["message"]["content"] = [words, {"type": "image", "source": source}]
    return _with(lines, *found)


def lost_first_prompt(lines: Lines) -> bytes | None:
    """The head of the file is gone, up to the first word of the assistant."""
    first = next(_records(lines, "assistant"), None)
    if first is None or first[1].get("parentUuid") is None or first[1].get("isApiErrorMessage"):
        return None
    return b"".join(lines[first[0] :])


def lost_call(lines: Lines) -> bytes | None:
    found = _block(lines, "assistant", "tool_use")
    if found is None:
        return None
    return b"".join([*lines[: found[0]], *lines[found[0] + 1 :]])


def glued_records(lines: Lines) -> bytes | None:
    found = _prompt(lines)
    if found is None:
        return None
    at = found[0]
    return b"".join([*lines[: at - 1], lines[at - 1].rstrip(b"\n"), *lines[at:]])


def torn_and_fused(lines: Lines) -> bytes | None:
    """A crash while a record was written; the next one went on in the same line."""
    found = _block(lines, "user", "tool_result")
    if found is None or found[0] + 1 == len(lines):
        return None
    return b"".join([*lines[: found[0]], lines[found[0]][:90], *lines[found[0] + 1 :]])


def zero_bytes(lines: Lines) -> bytes | None:
    """A loss of power while the file grew."""
    found = _prompt(lines)
    if found is None:
        return None
    return b"".join([*lines[: found[0]], bytes(500), *lines[found[0] :]])


def hung_on_a_sub_agent(lines: Lines) -> bytes | None:
    """A prompt that was sent again after a failure hangs on a sub-agent's record."""
    found = _prompt(lines)
    if found is None:
        return None
    number, record = found
    beside = record | {"uuid": NOWHERE, "parentUuid": None, "isSidechain": True}
    other = (json.dumps(beside) + "\n").encode()
    hung = (json.dumps(record | {"parentUuid": NOWHERE}) + "\n").encode()
    return b"".join([*lines[:number], other, hung, *lines[number + 1 :]])


def half_a_compaction(lines: Lines) -> bytes | None:
    """The end of a compaction was written, its summary was not."""
    found = _prompt(lines)
    if found is None:
        return None
    number, record = found
    boundary = {
        **{key: value for key, value in record.items() if key != "message"},
        "type": "system",
        "subtype": "compact_boundary",
        "uuid": NOWHERE,
        "parentUuid": None,
        "logicalParentUuid": record["parentUuid"],
        "compactMetadata": {"trigger": "auto", "preTokens": 150_000},
    }
    cut = (json.dumps(boundary) + "\n").encode()
    hung = (json.dumps(record | {"parentUuid": NOWHERE}) + "\n").encode()
    return b"".join([*lines[:number], cut, hung, *lines[number + 1 :]])


def second_root(lines: Lines) -> bytes | None:
    """An answer in the middle that follows nothing."""
    found = _block(lines, "assistant", "text")
    if found is None or not found[1].get("parentUuid"):
        return None
    return _with(lines, found[0], found[1] | {"parentUuid": None})


def record_broken_over_lines(lines: Lines) -> bytes | None:
    """A line's end in the middle of a record."""
    found = _prompt(lines)
    if found is None:
        return None
    number, raw = found[0], lines[found[0]]
    place = raw.index(b'"content"') + 12
    return b"".join([*lines[:number], raw[:place], b"\n", raw[place:], *lines[number + 1 :]])


DAMAGES: Final = (
    Damage("R33", blank_prompt, frozenset({"fern"})),
    Damage("R47", string_input),
    Damage("R31", unknown_block),
    Damage("R8", unknown_field),
    Damage("R31", unknown_part_of_a_result),
    Damage("R45", unfit_tool_id),
    Damage("R61", large_picture),
    Damage("R21", lost_first_prompt, frozenset({"amber"})),
    Damage("R42", lost_call),
    Damage("D06", glued_records),
    Damage("D06", torn_and_fused, frozenset({"dahlia"})),
    Damage("D05", zero_bytes),
    Damage("D04", hung_on_a_sub_agent),
    Damage("D01", half_a_compaction),
    Damage("D01", second_root),
    Damage("D06", record_broken_over_lines),
)


def phantom_parent(lines: Lines) -> bytes | None:
    found = _prompt(lines)
    return found and _with(lines, found[0], found[1] | {"parentUuid": NOWHERE})


def ring_of_parents(lines: Lines) -> bytes | None:
    """A prompt that follows what hangs below it."""
    found = _prompt(lines)
    if found is None or found[0] + 1 == len(lines):
        return None
    below = json.loads(lines[found[0] + 1]).get("uuid")
    return below and _with(lines, found[0], found[1] | {"parentUuid": below})


def open_call(lines: Lines) -> bytes | None:
    """A file that was copied in the middle of a session: its last call has no result yet."""
    found = _block(lines, "assistant", "tool_use")
    return found and b"".join(lines[: found[0] + 1])


def blank_text_beside_words(lines: Lines) -> bytes | None:
    found = _prompt(lines)
    if found is None:
        return None
    words = {"type": "text", "text": found[1]["message"]["content"]}
    found[1]["message"]["content"] = [words, {"type": "text", "text": "\n"}]
    return _with(lines, *found)


HARMLESS: Final = (
    Damage("D01", phantom_parent),
    Damage("D01", ring_of_parents),
    Damage("R40", open_call, frozenset({"dahlia", "elder", "fern", "gorse"})),
    Damage("R33", blank_text_beside_words),
)
"""What the newest Claude Code mends by itself, and which words are gone with it."""
