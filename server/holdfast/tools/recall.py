"""The tools `recall_search` and `recall_read`: the session's own past.

Law: what a compaction summarised or left out is not gone; here the model finds it again and reads
it in full. Nothing is changed and nothing outside the session is read. Any text is a query.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from holdfast.tools import output
from holdfast.tools.base import BaseTool
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import Found, PastEntry, Recall, ToolContext, ToolOutput

SEARCH: Final = "recall_search"
READ: Final = "recall_read"

QUERY_CHARS_MAX: Final = 1_000
FOUND_MAX: Final = 50
FOUND_DEFAULT: Final = 10
_NOTES_BYTES: Final = 400  # kept free for what is said about the text


class SearchArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`limit` is how many entries are wanted at most."""

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=QUERY_CHARS_MAX)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=FOUND_MAX)] = FOUND_DEFAULT


class ReadArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`entry` is a number that a search or a summary gave, `offset` a number of characters."""

    entry: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0


class RecallSearchTool(BaseTool[SearchArguments]):
    """Finds entries of the past by their words."""

    name = SEARCH
    description = (
        "Search the full history of this session by words. Use it when an earlier part was "
        "compacted into a summary, or the output of a call was left out, and you need what was "
        "said or found there exactly. Returns entries, the best first: number, who said it, what "
        f"it is, and an excerpt. Words in double quotes are one phrase. Read one with `{READ}`."
    )
    properties: ClassVar[dict[str, Any]] = {
        "query": {
            "type": "string",
            "minLength": 1,
            "maxLength": QUERY_CHARS_MAX,
            "description": "Words, names, paths or numbers to look for.",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": FOUND_MAX,
            "description": f"Number of entries to return. Default {FOUND_DEFAULT}.",
        },
    }
    required = ("query",)
    arguments_type = SearchArguments

    def target_of(self, arguments: SearchArguments, context: ToolContext | None) -> str:  # noqa: ARG002 - the session's own
        """Return `""`: nothing outside the session is named."""
        return ""

    async def perform(self, arguments: SearchArguments, context: ToolContext) -> ToolOutput:
        """Search."""
        found = await _recall(context).search(arguments.query, arguments.limit)
        count = len(found.places)
        summary = f"{count} {'entry' if count == 1 else 'entries'}"
        return output.succeeded(_listed(found), context, summary)


class RecallReadTool(BaseTool[ReadArguments]):
    """Shows one entry of the past in full."""

    name = READ
    description = (
        f"Read one entry of this session's full history, by its number (`{SEARCH}` finds it), as "
        "it was before any compaction. Long entries come in pages: continue with `offset`."
    )
    properties: ClassVar[dict[str, Any]] = {
        "entry": {"type": "integer", "minimum": 0, "description": "The entry's number."},
        "offset": {
            "type": "integer",
            "minimum": 0,
            "description": "Characters to pass over, as the page before says. Default 0.",
        },
    }
    required = ("entry",)
    arguments_type = ReadArguments

    def target_of(self, arguments: ReadArguments, context: ToolContext | None) -> str:  # noqa: ARG002 - the session's own
        """Return `""`: nothing outside the session is named."""
        return ""

    async def perform(self, arguments: ReadArguments, context: ToolContext) -> ToolOutput:
        """Read a page of an entry."""
        entry = await _recall(context).read(arguments.entry)
        text = output.safe(entry.text)
        if arguments.offset >= len(text):
            raise ToolFailure(
                f"Entry {entry.number} has {len(text)} characters; offset {arguments.offset} is "
                "past its end."
            )
        page = _page(text, arguments.offset, context.output_bytes_max - _NOTES_BYTES)
        end = arguments.offset + len(page)
        notes = [_heading(entry, len(text)), page]
        if arguments.offset or end < len(text):
            more = f"; continue with offset {end}" if end < len(text) else ""
            notes.append(f"[characters {arguments.offset}-{end} of {len(text)}{more}]")
        return output.succeeded("\n".join(notes), context, f"entry {entry.number}: {entry.kind}")


def _recall(context: ToolContext) -> Recall:
    if context.recall is None:
        raise ToolFailure("There is no history to look into here.")
    return context.recall


def _listed(found: Found) -> str:
    lines = [
        f"entry {place.number} · {place.who} · {place.kind}\n    {place.excerpt}"
        for place in found.places
    ]
    if not lines:
        lines = ["Nothing in this session's history holds these words. Try others, or fewer."]
    return "\n".join([*lines, *([f"[{found.note}]"] if found.note else [])])


def _heading(entry: PastEntry, length: int) -> str:
    near = [
        f"the entry {word} it is {number}"
        for word, number in (("before", entry.before), ("after", entry.after))
        if number is not None
    ]
    said = [f"entry {entry.number}", entry.who, entry.kind, f"{length} characters", *near]
    return f"[{output.one_line(' · '.join(said), 300)}]"


def _page(text: str, offset: int, room: int) -> str:
    """Return what fits into `room` bytes from a character on; at least one character."""
    cut = text[offset : offset + max(1, room)].encode()[: max(1, room)]
    return cut.decode(errors="ignore") or text[offset]
