"""Code actions and lenses: mend one thing, mend all, mend a copy, go on with the session.

Law: what changes the document is an edit of the editor's own, so that it can be undone there; what
writes another file, or would be too large to send, is a command. Nothing is offered that would
change nothing. Edits that need each other are one action.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from holdfast.lsp.transcripts.answers.records import clean
from holdfast.lsp.transcripts.positions import UTF_16, Json, Places
from holdfast.transcripts.findings import Finding, Severity

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.view import View
    from holdfast.transcripts.repairing import Edit

EDIT_BYTES_MAX: Final = 2_000_000
"""The most new text that is sent as an edit."""
FIXES_MAX: Final = 100
"""How many things are offered to be mended one by one."""
CHECK: Final = "holdfast.transcript.check"
REPAIR: Final = "holdfast.transcript.repair"
IMPORT: Final = "holdfast.transcript.import"
WITHOUT_RESULT: Final = "R40"
"""A call has no result."""
QUICK_FIX: Final = "quickfix"
FIX_ALL: Final = "source.fixAll.holdfast"
SOURCE: Final = "source.holdfast"

_REPAIR_ALL: Final = "Repair all"
_REPAIR_COPY: Final = "Repair into a copy"
_CONTINUE: Final = "Continue in Holdfast"


def code_actions(view: View, params: Json) -> list[Json]:
    """Return what can be done about some lines: `textDocument/codeAction`.

    Among the params `version` is that of the document; `documentChanges` says whether the editor
    takes versioned edits (yes, when it is not there), `edits` whether the document is as the view
    has it, so that edits fit it (yes, when it is not there).
    """
    uri, encoding = params["textDocument"]["uri"], params.get("encoding", UTF_16)
    view.settle(uri, encoding)
    here = view.reported_between(*(params["range"][end]["line"] for end in ("start", "end")))
    only = params.get("context", {}).get("only")
    kinds = [kind for kind in (QUICK_FIX, FIX_ALL, SOURCE) if not only or _is_wanted(kind, only)]
    with view.source.opened(encoding) as places:
        offered: list[Json] = []
        if QUICK_FIX in kinds and here:
            offered.extend(_mending(view, here, places, params))
        elif QUICK_FIX in kinds:
            kinds.remove(QUICK_FIX)
        offered.extend(_whole_file(view, kinds, places, params))
        return offered


def code_lenses(view: View, params: Json) -> list[Json]:
    """Return what stands above the first line: `textDocument/codeLens`."""
    uri = params["textDocument"]["uri"]
    commands = [_health(view, uri)]
    if view.is_repairable and not view.is_healthy:
        commands.append(_command(_REPAIR_COPY, REPAIR, {"uri": uri}))
    commands.append(_command(_CONTINUE, IMPORT, {"uri": uri}))
    at = {"line": 0, "character": 0}
    return [{"range": {"start": at, "end": at}, "command": command} for command in commands]


def _health(view: View, uri: str) -> Json:
    """Say in words how a file is; a click repairs it, or checks it again."""
    if not view.is_settled:
        return _command("Check", CHECK, {"uri": uri})
    counts = view.counts
    words = [
        f"{counts[severity]} {severity.value}{'s' if counts[severity] > 1 else ''}"
        for severity in (Severity.ERROR, Severity.WARNING)
        if counts[severity]
    ]
    if not counts[Severity.ERROR]:
        return _command(", ".join(["Healthy", *words]), CHECK, {"uri": uri})
    if not view.is_repairable:
        return _command(", ".join(words), CHECK, {"uri": uri})
    return _command(f"{', '.join(words)}: repair all", REPAIR, {"uri": uri, "inPlace": True})


# -- actions ---------------------------------------------------------------------------------------


def _mending(
    view: View, here: Sequence[tuple[Finding, Json]], places: Places, params: Json
) -> Iterator[Json]:
    """Yield an action for each group of edits that mends something on the lines."""
    mended: dict[int, list[tuple[Finding, Json]]] = defaultdict(list)
    for finding, diagnostic in here if params.get("edits", True) else ():
        group = view.group_of.get((finding.rule, finding.line))
        if group is not None and (group in mended or len(mended) < FIXES_MAX):
            mended[group].append((finding, diagnostic))
    for group, mends in mended.items():
        edits = view.groups[group]
        if sum(len(edit.text) for edit in edits) <= EDIT_BYTES_MAX:
            yield {
                "title": _title(mends[0][0]),
                "kind": QUICK_FIX,
                "diagnostics": [diagnostic for _, diagnostic in mends],
                "isPreferred": True,
                "edit": _workspace_edit(edits, places, params),
            }


def _title(finding: Finding) -> str:
    if finding.rule == WITHOUT_RESULT:
        return "Insert interrupted result"
    return f"Mend: {clean(finding.repair.removeprefix('is '))}"


def _whole_file(view: View, kinds: Sequence[str], places: Places, params: Json) -> Iterator[Json]:
    """Yield what can be done with the file, once for each kind that it is offered as."""
    argument = {"uri": params["textDocument"]["uri"]}
    beside = [kind for kind in kinds if kind != FIX_ALL]
    if view.is_repairable and not view.is_healthy:
        in_document = [kind for kind in kinds if kind != SOURCE]
        repaired = _repair_all(view, places, params) if in_document else {}
        for kind in in_document:
            yield {"title": _REPAIR_ALL, "kind": kind, **repaired}
        for kind in beside:
            command = _command(_REPAIR_COPY, REPAIR, argument)
            yield {"title": _REPAIR_COPY, "kind": kind, "command": command}
    for kind in beside:
        command = _command(_CONTINUE, IMPORT, argument)
        yield {"title": _CONTINUE, "kind": kind, "command": command}


def _repair_all(view: View, places: Places, params: Json) -> Json:
    wanted = [edit for edit in view.edits if not edit.left_alone]
    small = wanted and sum(len(edit.text) for edit in wanted) <= EDIT_BYTES_MAX
    if small and params.get("edits", True):
        return {"edit": _workspace_edit(wanted, places, params)}
    uri = params["textDocument"]["uri"]
    return {"command": _command(_REPAIR_ALL, REPAIR, {"uri": uri, "inPlace": True})}


def _workspace_edit(edits: Sequence[Edit], places: Places, params: Json) -> Json:
    uri = params["textDocument"]["uri"]
    changes = [
        {
            "range": places.span(edit.start, edit.stop),
            "newText": edit.text.decode(errors="replace"),
        }
        for edit in edits
    ]
    if not params.get("documentChanges", True):
        return {"changes": {uri: changes}}
    document = {"uri": uri, "version": params.get("version")}
    return {"documentChanges": [{"textDocument": document, "edits": changes}]}


def _command(title: str, command: str, argument: Json) -> Json:
    return {"title": title, "command": command, "arguments": [argument]}


def _is_wanted(kind: str, only: Sequence[Any]) -> bool:
    return any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in only)
