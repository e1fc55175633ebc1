"""Transcripts as an editor has them: the text, its positions, its edits (LSP 3.17)."""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from holdfast.lsp.transcripts.view import View
from transcripts.damages import DAMAGES, HARMLESS, Damage, lines_of, story

Json = dict[str, Any]

SHIPPED: Final = Path(__file__).parents[1] / "corpora" / "claude-code"
REAL: Final = sorted(Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED)).rglob("*.jsonl"))
ALL_DAMAGES: Final = (*DAMAGES, *HARMLESS)
STORY: Final = b"".join((json.dumps(line) + "\n").encode() for line in story().lines)
WHOLE: Final = {"start": {"line": 0, "character": 0}, "end": {"line": 10**6, "character": 0}}

_UNITS: Final = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
_LINE_END: Final = re.compile("\r\n|\n|\r")


def name_of(case: Path | Damage) -> str:
    return case.name


def damaged(damage: Damage, transcript: bytes = STORY) -> bytes:
    struck = damage.strike(lines_of(transcript))
    assert struck is not None
    return struck


@attrs.frozen(slots=False)
class Document:
    """A text in an editor that counts in one of LSP's encodings."""

    text: str
    encoding: str = "utf-16"

    @cached_property
    def lines(self) -> list[str]:
        return _LINE_END.split(self.text)

    @cached_property
    def starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    def units(self, text: str) -> int:
        codec, size = _UNITS[self.encoding]
        return len(text.encode(codec)) // size

    def position(self, offset: int) -> Json:
        """Return the position of a character."""
        line = bisect_right(self.starts, offset) - 1
        return {"line": line, "character": self.units(self.text[self.starts[line] : offset])}

    def offset(self, position: Json) -> int:
        """Return the character at a position. Fails where there is no such position."""
        assert position["line"] < len(self.starts), f"{position} is behind the last line"
        codec, size = _UNITS[self.encoding]
        line = self.lines[position["line"]].encode(codec)
        assert position["character"] * size <= len(line), f"{position} is behind its line"
        before = line[: position["character"] * size].decode(codec)  # fails within a character
        return self.starts[position["line"]] + len(before)

    def at(self, range_: Json) -> str:
        return self.text[self.offset(range_["start"]) : self.offset(range_["end"])]

    def edited(self, edit: Json) -> str:
        """Apply a workspace edit of this one document, as LSP has it: all at once."""
        (change,) = edit["documentChanges"]
        text, spans = self.text, []
        for number, each in enumerate(change["edits"]):
            start, stop = self.offset(each["range"]["start"]), self.offset(each["range"]["end"])
            spans.append((start, number, stop, each["newText"]))
        for start, _, stop, new in sorted(spans, reverse=True):
            text = text[:start] + new + text[stop:]
        return text


@attrs.define
class Asked:
    """A view, and an editor's questions to it."""

    view: View
    encoding: str = "utf-16"
    uri: str = "file:///sessions/story.jsonl"

    def __call__(self, method: str, **params: Any) -> Any:
        params |= {"textDocument": {"uri": self.uri}, "encoding": self.encoding, "version": 7}
        answer = self.view.answer(f"textDocument/{method}", params)
        return msgspec.json.decode(msgspec.json.encode(answer))

    def actions(self, range_: Json = WHOLE, **context: Any) -> list[Json]:
        found: list[Json] = self("codeAction", range=range_, context=context)
        return found

    def everything(self, positions: list[Json]) -> Iterator[Any]:
        """Ask about the document and about some places in it."""
        yield list(self.view.diagnostics(self.uri, self.encoding))
        for method in ("documentSymbol", "foldingRange", "codeLens"):
            yield self(method)
        yield self("inlayHint", range=WHOLE)
        yield self.actions()
        for position in positions:
            yield self("hover", position=position)
            yield self("definition", position=position)
            yield self("references", position=position, context={"includeDeclaration": True})


def of_bytes(folder: Path, raw: bytes) -> View:
    path = folder / "story.jsonl"
    path.write_bytes(raw)
    return View.of_path(path)


def walk(value: Any, visit: Callable[[Json], None]) -> None:
    """Visit all objects in a JSON value."""
    if isinstance(value, dict):
        visit(value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            walk(item, visit)
