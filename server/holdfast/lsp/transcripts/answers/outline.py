"""The outline of a transcript: symbols for prompts, calls and compactions; turns that fold.

Law: what an editor gets is made once for a view and kept encoded. A turn reaches from its prompt to
the next one; what sub-agents said is one entry, however many records it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from holdfast.lsp.transcripts.answers.records import about, calls_of, kind, label, record_of
from holdfast.lsp.transcripts.positions import UTF_16, Json, Places

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.view import View
    from holdfast.transcripts.rows import Row

_Make: TypeAlias = Callable[["Sequence[Part]", Places], Iterator[Json]]

_COMPACTION: Final = 3
"""LSP's symbol kinds: a namespace,"""
_AGENT: Final = 2
"""a module,"""
_CALL: Final = 12
"""a function,"""
_PROMPT: Final = 24
"""an event."""


@attrs.define
class Part:
    """Rows that belong together, by their places: a turn, a sub-agent's run, one call."""

    kind: int
    start: int
    stop: int
    parts: list[Part]


_NONE: Final[list[Part]] = []
_NO_SYMBOLS: Final[list[Json]] = []


def document_symbols(view: View, params: Json) -> msgspec.Raw:
    """Return prompts with what was called in their turns: `textDocument/documentSymbol`."""
    return _kept(view, "symbols", params, _symbols)


def folding_ranges(view: View, params: Json) -> msgspec.Raw:
    """Return turns and the runs of sub-agents: `textDocument/foldingRange`."""
    return _kept(view, "folding", params, _folds)


def _kept(view: View, name: str, params: Json, make: _Make) -> msgspec.Raw:
    encoding = params.get("encoding", UTF_16)
    made = view.made.get((name, encoding))
    if made is None:
        with view.source.opened(encoding) as places:
            # One at a time: a hundred thousand small objects would keep the collector busy.
            values = map(msgspec.json.encode, make(parts_of(places.rows), places))
            made = view.made[name, encoding] = msgspec.Raw(b"[" + b",".join(values) + b"]")
    return made


def parts_of(rows: Sequence[Row]) -> list[Part]:
    """Divide the rows of a file."""
    outermost: list[Part] = []
    turn: Part | None = None
    agent: Part | None = None
    mixed = any(row.speaks and not row.sidechain for row in rows)
    for place, row in enumerate(rows):
        if row.sidechain and mixed:
            if agent is None:
                agent = Part(_AGENT, place, place + 1, [])
                (turn.parts if turn else outermost).append(agent)
            agent.stop = place + 1
            continue
        if not row.key:
            continue
        agent = None
        if row.is_boundary or _is_prompt(row):
            turn = Part(_COMPACTION if row.is_boundary else _PROMPT, place, place + 1, [])
            outermost.append(turn)
        if row.calls and row.speaks:
            (turn.parts if turn else outermost).append(Part(_CALL, place, place + 1, _NONE))
    for number, part in enumerate(outermost, 1):
        if part.kind in (_PROMPT, _COMPACTION):
            part.stop = outermost[number].start if number < len(outermost) else len(rows)
    return outermost


def _is_prompt(row: Row) -> bool:
    said = row.speaks and row.role == "user" and not row.answers
    return said and not (row.is_meta or row.is_summary or row.twice)


def _symbols(parts: Sequence[Part], places: Places) -> Iterator[Json]:
    for part in parts:
        start, end = places.start(places.rows[part.start]), places.behind(part.stop - 1)
        range_ = {"start": start, "end": end}
        if part.stop - part.start == 1:
            selection = range_
        else:
            selection = {"start": start, "end": places.behind(part.start)}
        for name, detail in _names(part, places):
            yield {
                "name": name,
                "detail": detail,
                "kind": part.kind,
                "range": range_,
                "selectionRange": selection,
                "children": list(_symbols(part.parts, places)) if part.parts else _NO_SYMBOLS,
            }


def _names(part: Part, places: Places) -> Iterator[tuple[str, str]]:
    """Yield name and detail of a part; those of each call of a record. No name is blank."""
    row = places.rows[part.start]
    if part.kind == _AGENT:
        yield "Sub-agent", f"{part.stop - part.start} records"
    elif part.kind == _CALL:
        for call in calls_of(places, row):
            yield label(call.name or "") or "Call", about(call.input)
    elif part.kind == _COMPACTION:
        yield "Compaction", _when(row)
    else:
        blocks = record_of(places, row).message.blocks
        said = (label(block.text) for block in blocks if block.text)
        yield next(filter(None, said), kind(row)), _when(row)


def _when(row: Row) -> str:
    return label(row.timestamp[:16].replace("T", " "))


def _folds(parts: Sequence[Part], places: Places) -> Iterator[Json]:
    for part in parts:
        first = places.line(places.rows[part.start])
        last = places.line(places.rows[part.stop - 1])
        if last > first:
            yield {"startLine": first, "endLine": last, "kind": "region"}
        yield from _folds(part.parts, places)
