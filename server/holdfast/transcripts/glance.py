"""What the two ends of a transcript tell: enough for a line in a list, whatever its size.

Law: pure, and total for any bytes. Only the head and the tail are looked at, so what is said about
health is what is seen there, and no more: `check` reads it all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from holdfast.transcripts.fields import mapping_field, text_field
from holdfast.transcripts.lines import value_at

END_BYTES: Final = 64 * 1024
"""How much of each end is looked at."""
TITLE_CHARS_MAX: Final = 100

_TAG: Final = re.compile(r"\s*<[a-z]+(-[a-z]+)+>")

Health: TypeAlias = Literal["healthy", "interrupted", "torn", "damaged", "empty", "unreadable"]
"""`interrupted`: a call waits for its result. `torn`: the last line is not whole."""


@attrs.frozen
class Glance:
    """What is seen of a transcript at its ends. `ids` are all session ids there, in order."""

    health: Health
    title: str = ""
    cwd: str = ""
    version: str = ""
    ids: tuple[str, ...] = ()


@attrs.define
class _Seen:
    titles: dict[str, str] = attrs.field(factory=dict)
    prompt: str = ""
    last_prompt: str = ""
    cwd: str = ""
    version: str = ""
    ids: dict[str, None] = attrs.field(factory=dict)
    message_id: str = ""
    open_calls: set[str] = attrs.field(factory=set)
    spoke: bool = False

    def take(self, record: Mapping[str, Any]) -> None:
        """Note what one record says."""
        kind = text_field(record, "type")
        self.cwd = text_field(record, "cwd") or self.cwd
        self.version = text_field(record, "version") or self.version
        if session_id := text_field(record, "sessionId"):
            self.ids[session_id] = None
        for of, name in (("custom-title", "customTitle"), ("ai-title", "aiTitle"),
                         ("summary", "summary")):  # fmt: skip
            if kind == of and text_field(record, name):
                self.titles[of] = text_field(record, name)
        self.last_prompt = text_field(record, "lastPrompt") or self.last_prompt
        if kind not in {"user", "assistant"} or record.get("isSidechain") is True:
            return
        self.spoke = True
        message = mapping_field(record, "message")
        content = message.get("content")
        if kind == "user":
            self._user(record, content)
        elif text_field(message, "id") != self.message_id:
            self.message_id = text_field(message, "id")
            self.open_calls.clear()  # Work went on: an older gap is for `check`.
        for block in content if isinstance(content, list) else ():
            if isinstance(block, Mapping) and block.get("type") == "tool_use":
                self.open_calls.add(text_field(block, "id"))
            elif isinstance(block, Mapping) and block.get("type") == "tool_result":
                self.open_calls.discard(text_field(block, "tool_use_id"))

    def _user(self, record: Mapping[str, Any], content: object) -> None:
        words = _first_words(content)
        if words:
            self.open_calls.clear()
        own = record.get("isMeta") is not True and record.get("isCompactSummary") is not True
        if own and not self.prompt:
            self.prompt = words

    def title(self) -> str:
        """Return a name: a person's, the program's, an old summary, or the first prompt."""
        kinds = ("custom-title", "ai-title", "summary")
        said = self.prompt or self.last_prompt
        named = next((self.titles[kind] for kind in kinds if kind in self.titles), said)
        line = " ".join(named.split())
        return line if len(line) <= TITLE_CHARS_MAX else line[: TITLE_CHARS_MAX - 1] + "…"


def glance(head: bytes, tail: bytes) -> Glance:
    """Look at the first and the last bytes of a file.

    `tail` is empty when `head` is the whole file; otherwise it begins anywhere, and what stands
    before its first line break is passed over.
    """
    seen = _Seen()
    damaged = False
    for lines in (head.split(b"\n")[:-1], tail.split(b"\n")[1:-1]):
        if tail:
            seen.open_calls.clear()  # What the head leaves open was answered between the ends.
        for line in _without_blanks(lines):
            record = _record(line)
            damaged = damaged or record is None
            if record is not None:
                seen.take(record)
    last = (tail or head).rpartition(b"\n")[2]
    torn = bool(last) and _record(last) is None
    if last and not torn and (record := _record(last)) is not None:
        seen.take(record)
    return Glance(
        health=_health(seen, damaged=damaged, torn=torn),
        title=seen.title(),
        cwd=seen.cwd,
        version=seen.version,
        ids=tuple(seen.ids),
    )


def _health(seen: _Seen, *, damaged: bool, torn: bool) -> Health:
    if damaged:
        return "damaged"
    if torn:
        return "torn"
    if not seen.spoke:
        return "empty"
    return "interrupted" if seen.open_calls else "healthy"


def _without_blanks(lines: Sequence[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line.strip(b" \t\r"))


def _record(line: bytes) -> Mapping[str, Any] | None:
    """Return the one object of a line; None when it is damaged in any way."""
    try:
        said = line.decode().strip()
    except UnicodeDecodeError:
        return None
    value, end = value_at(said, 0)
    return value if isinstance(value, dict) and end == len(said) else None


def _first_words(content: object) -> str:
    if isinstance(content, str):
        words = content
    else:
        blocks = content if isinstance(content, list) else ()
        texts = (b for b in blocks if isinstance(b, Mapping) and b.get("type") == "text")
        words = next((text_field(block, "text") for block in texts), "")
    # Commands, notices and reminders are wrapped in tags; they are no person's words.
    return "" if _TAG.match(words) else words.strip()
