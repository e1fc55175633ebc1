"""Hover: what a record is, in words.

Law: an editor may render what is said here as Markdown, and a file may hold any words, so every
word of the file stands in a code span that it cannot end, or is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import attrs

from holdfast.lsp.transcripts.answers import records
from holdfast.lsp.transcripts.answers.records import Block, Record

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.positions import Json, Places
    from holdfast.lsp.transcripts.view import View
    from holdfast.transcripts.rows import Row

RECORDS_MAX: Final = 5
"""How many records of one line are told of, of those that were glued together."""
CALLS_MAX: Final = 20
"""How many calls or results of one record are told of."""
QUOTE: Final = "'"
"""Stands for a backtick, which would end a code span."""
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>#&|~!])")


@attrs.frozen
class Style:
    """How words are written: as Markdown, or plain."""

    markdown: bool

    def strong(self, text: str) -> str:
        """Write a heading."""
        return f"**{self.plain(text)}**" if self.markdown else text

    def code(self, text: str) -> str:
        """Write a name or a text of the file, on one line."""
        text = records.label(text)
        return f"`{text.replace('`', QUOTE)}`" if self.markdown else text

    def plain(self, text: str) -> str:
        """Write words as they are."""
        return _MARKUP.sub(r"\\\1", text) if self.markdown else text

    def document(self, paragraphs: list[list[str]]) -> Json:
        """Put lines and paragraphs together."""
        kind, end = ("markdown", "  \n") if self.markdown else ("plaintext", "\n")
        return {"kind": kind, "value": "\n\n".join(end.join(lines) for lines in paragraphs)}


def hover(view: View, params: Json) -> Json | None:
    """Tell what stands on a line: `textDocument/hover`.

    `contentFormat` among the params is what the editor takes; Markdown when it is not there.
    """
    style = Style("markdown" in params.get("contentFormat", ("markdown",)))
    with view.source.opened(params.get("encoding", "")) as places:
        line = params["position"]["line"]
        rows = places.rows_of(line)
        said = [list(_of_record(view, places, row, style)) for row in rows[:RECORDS_MAX]]
        findings = view.findings_on(places.line(rows[0]) if rows else line)
        if findings:
            # Named and no more: an editor shows the diagnostics of a place beside its hover.
            named = dict.fromkeys(f"{found.severity.value} {found.rule}" for found in findings)
            said.append([style.plain(f"Findings: {', '.join(named)}")])
        return {"contents": style.document(said)} if said else None


def _of_record(view: View, places: Places, row: Row, style: Style) -> Iterator[str]:
    # Of bookkeeping there is nothing to tell, and it may be long.
    record = records.record_of(places, row) if row.role else Record()
    where = [f"Line {row.line}", records.size(row.stop - row.start)]
    where += [style.code(said) for said in (row.timestamp, row.model) if said]
    if row.sidechain:
        where.append("of a sub-agent")
    yield style.strong(records.clean(records.kind(row)))
    yield " · ".join(where)
    usage = record.message.usage
    if usage is not None and (usage.sent or usage.output_tokens):
        cached = f", {usage.from_cache:,} of them from the cache" if usage.from_cache else ""
        yield f"Tokens: {usage.sent:,} in{cached}, {usage.output_tokens or 0:,} out"
    for block in record.message.blocks[:CALLS_MAX]:
        yield from _of_pair(view, places, row, block, style)


def _of_pair(view: View, places: Places, row: Row, block: Block, style: Style) -> Iterator[str]:
    """Tell of a call and its result where the other one is."""
    if block.type == "tool_use" and block.id is not None:
        what = records.about(block.input)
        called = style.code(block.name or "a tool")
        yield f"Calls {called}: {style.code(what)}" if what else f"Calls {called}"
        lines = [str(each.line) for each in view.links.results(block.id, row)]
        yield f"Its result is on line {', '.join(lines)}" if lines else "It has no result"
    elif block.type == "tool_result" and block.tool_use_id is not None:
        call = view.links.call(block.tool_use_id, row.line)
        if call is None:
            yield f"Answers a call that is not there: {style.code(block.tool_use_id)}"
            return
        blocks = records.record_of(places, call).message.blocks
        names = (each.name for each in blocks if each.id == block.tool_use_id and each.name)
        failed = ", which failed" if block.is_error else ""
        yield f"Answers {style.code(next(names, 'a call'))} of line {call.line}{failed}"
