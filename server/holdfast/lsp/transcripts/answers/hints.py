"""Inlay hints: when a record was written, and the tokens of the request behind it.

Law: only the lines that are asked for are read, and of them no more than `READ_BYTES_MAX`; behind
that, and for the lines behind `HINTS_MAX`, less is said rather than waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.lsp.transcripts.answers.records import clean, tokens, usage_of

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.positions import Json, Places
    from holdfast.lsp.transcripts.view import View
    from holdfast.transcripts.rows import Row

READ_BYTES_MAX: Final = 8_000_000
HINTS_MAX: Final = 1000
PIECES_MAX: Final = 20
"""How many records behind one are looked at for another piece of its message."""


def inlay_hints(view: View, params: Json) -> list[Json]:
    """Return the hints of some lines, at the beginning of each: `textDocument/inlayHint`.

    The tokens of a message that is written in several records stand at the last of them, which has
    the final figures.
    """
    asked = params["range"]
    made: list[Json] = []
    left = READ_BYTES_MAX
    with view.source.opened(params.get("encoding", "")) as places:
        for place in places.between(asked["start"]["line"], asked["end"]["line"]):
            if len(made) == HINTS_MAX:
                break
            row = places.rows[place]
            left -= row.stop - row.start if row.role == "assistant" else 0
            words = _words(places, row, read=left >= 0 and _is_last(places, place))
            if words and not row.piece:
                made.append({"position": places.start(row), "label": words, "paddingRight": True})
    return made


def _is_last(places: Places, place: int) -> bool:
    row, behind = places.rows[place], places.rows[place + 1 : place + 1 + PIECES_MAX]
    return not row.message_id or all(other.message_id != row.message_id for other in behind)


def _words(places: Places, row: Row, *, read: bool) -> str:
    usage = usage_of(places, row) if read and row.role == "assistant" else None
    said = [clean(row.timestamp[11:19])] if row.timestamp[10:11] == "T" else []
    if usage is not None and usage.sent:
        said.append(f"{tokens(usage.sent)} in")
    if usage is not None and usage.output_tokens:
        said.append(f"{tokens(usage.output_tokens)} out")
    return " · ".join(said)
