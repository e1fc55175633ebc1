"""The editor as tools see it: the documents that are open on one connection.

Law: what is open in the editor is read from there and changed there, through one versioned edit
that the editor may refuse; nothing here touches the disk. Every wait for the editor is bounded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.uris import to_fs_path, uri_scheme

from holdfast.lsp.documents import Document, split_lines

if TYPE_CHECKING:
    from pygls.workspace import TextDocument

    from holdfast.lsp.bars import Link

logger = logging.getLogger(__name__)

APPLY_TIMEOUT_S: Final = 15.0


@attrs.frozen
class LineEdit:
    """Replace the lines from `first` up to, but not including, `last` by `text`."""

    first: int
    last: int
    text: str


def line_edit(old: str, new: str) -> LineEdit:
    """Return the smallest edit in whole lines that turns `old` into `new`.

    Small edits keep the cursor, folds and marks of a person who is reading the file.
    """
    before, after = split_lines(old), split_lines(new)
    shorter = min(len(before), len(after))
    first = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    same = next(
        (i for i in range(shorter - first) if before[-1 - i] != after[-1 - i]), shorter - first
    )
    return LineEdit(first, len(before) - same, "".join(after[first : len(after) - same]))


class ConnectionEditor:
    """Implements `tools.port.Editor` for one connection."""

    def __init__(
        self,
        link: Link,
        documents: Callable[[], Mapping[str, TextDocument]],
        capabilities: types.ClientCapabilities,
    ) -> None:
        self._link = link
        self._documents = documents
        self._can_apply = bool(get_capability(capabilities, "workspace.apply_edit", False))
        self._versioned = bool(
            get_capability(capabilities, "workspace.workspace_edit.document_changes", False)
        )
        self._paths: dict[str, Path | None] = {}

    def open_text(self, path: Path) -> str | None:
        """Return the unsaved text of an open document, or None when it is not open."""
        document = self._document(path)
        return None if document is None else str(document.source)

    async def replace_text(self, path: Path, text: str, label: str) -> bool:
        """Replace an open document's text. False when it is not open, or the editor refuses."""
        document = self._document(path)
        if document is None or not self._can_apply:
            return False
        if document.source == text:
            return True
        params = types.ApplyWorkspaceEditParams(edit=self._edit(document, text), label=label)
        try:
            result = await self._link.ask(types.WORKSPACE_APPLY_EDIT, params, APPLY_TIMEOUT_S)
        except (JsonRpcException, TimeoutError) as error:
            logger.warning("the editor did not apply an edit: %r", error)
            return False
        return bool(result is not None and result.applied)

    def _edit(self, document: TextDocument, text: str) -> types.WorkspaceEdit:
        edit = _text_edit(document, text)
        if not self._versioned:
            return types.WorkspaceEdit(changes={document.uri: [edit]})
        # The version makes the editor refuse when the person has typed meanwhile.
        identifier = types.OptionalVersionedTextDocumentIdentifier(
            uri=document.uri, version=document.version
        )
        return types.WorkspaceEdit(
            document_changes=[types.TextDocumentEdit(text_document=identifier, edits=[edit])]
        )

    def _document(self, path: Path) -> TextDocument | None:
        documents = self._documents()
        self._paths = {uri: found for uri, found in self._paths.items() if uri in documents}
        for uri, document in documents.items():
            if uri not in self._paths:
                self._paths[uri] = _resolved(uri)
            if self._paths[uri] == path:
                kept = not isinstance(document, Document) or document.is_kept
                return document if kept else None
        return None


def _text_edit(document: TextDocument, text: str) -> types.TextEdit:
    edit = line_edit(document.source, text)
    return types.TextEdit(
        range=types.Range(
            start=_line_start(document, edit.first), end=_line_start(document, edit.last)
        ),
        new_text=edit.text,
    )


def _line_start(document: TextDocument, line: int) -> types.Position:
    """Return where a line begins; for the one after the last, where the text ends."""
    lines = document.lines
    if line < len(lines) or not lines or lines[-1].endswith(("\n", "\r")):
        return types.Position(line=line, character=0)
    units = document.position_codec.client_num_units(lines[-1])
    return types.Position(line=line - 1, character=units)


def _resolved(uri: str) -> Path | None:
    """Return a document's path as tools name it; None for what is no file."""
    path = to_fs_path(uri) if uri_scheme(uri) == "file" else None
    return Path(path).resolve() if path else None
