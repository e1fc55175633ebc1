"""Go to definition and find references: from a result to its call, from a record to its parent.

Law: definition and references are inverse to each other. A place is found by the name of its field,
so no word of a message is taken for an id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.positions import Json, Places
    from holdfast.lsp.transcripts.view import View
    from holdfast.transcripts.rows import Row

_ID_CHARS_MAX: Final = 400


@attrs.frozen
class Target:
    """What an id names: the call or the record, and the field in which it gives the id."""

    name: str
    field: str
    row: Row


def definition(view: View, params: Json) -> list[Json]:
    """Return where the id under the cursor was given: `textDocument/definition`."""
    with view.source.opened(params.get("encoding", "")) as places:
        found = _target(view, places, params["position"])
        return [] if found is None else [_given(places, found, _uri(params))]


def references(view: View, params: Json) -> list[Json]:
    """Return where the id under the cursor is used: `textDocument/references`."""
    with view.source.opened(params.get("encoding", "")) as places:
        found = _target(view, places, params["position"])
        if found is None:
            return []
        uses = _results if found.field == "id" else _followers
        located = [
            _location(places, _uri(params), *at) for at in _unique(uses(view, places, found))
        ]
        if params.get("context", {}).get("includeDeclaration"):
            located.insert(0, _given(places, found, _uri(params)))
        return located


def _target(view: View, places: Places, position: Json) -> Target | None:
    on_line = places.rows_of(position["line"])
    if not on_line:
        return None
    name = _quoted(*places.text_at(on_line[0], position))
    if not name:
        return None
    call = view.links.call(name, on_line[0].line)
    if call is not None:
        return Target(name, "id", call)
    named = view.links.record(name)
    return Target(name, "uuid", named) if named is not None else None


def _quoted(text: str, at: int) -> str:
    """Return the string of a line that a place is in, its quotes included."""
    if text[at : at + 1] == '"' and text[at - 1 : at] in (":", " ", "[", ",", "{"):
        at += 1
    start = text.rfind('"', max(0, at - _ID_CHARS_MAX), at) + 1
    stop = text.find('"', at, at + _ID_CHARS_MAX)
    return text[start:stop] if 0 < start <= stop else ""


def _results(view: View, places: Places, found: Target) -> Iterator[tuple[int, int]]:
    for row in view.links.results(found.name, found.row):
        yield from _spans(places, row, "tool_use_id", found.name)


def _followers(view: View, places: Places, found: Target) -> Iterator[tuple[int, int]]:
    for row in view.links.followers(found.name):
        for field in ("parentUuid", "logicalParentUuid"):
            yield from _spans(places, row, field, found.name)


def _given(places: Places, found: Target, uri: str) -> Json:
    start = found.row.start
    span = next(_spans(places, found.row, found.field, found.name), (start, start))
    return _location(places, uri, *span)


def _spans(places: Places, row: Row, field: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield where a field of a line has a value, as byte offsets without the quotes."""
    value = re.escape(name.encode(errors="surrogatepass"))
    wanted = re.compile(b'"' + field.encode() + rb'"\s*:\s*"(' + value + b')"')
    for match in wanted.finditer(places.read(row.start, row.stop)):
        yield row.start + match.start(1), row.start + match.end(1)


def _unique(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    return list(dict.fromkeys(spans))


def _location(places: Places, uri: str, start: int, stop: int) -> Json:
    return {"uri": uri, "range": places.span(start, stop)}


def _uri(params: Json) -> Any:
    return params["textDocument"]["uri"]
