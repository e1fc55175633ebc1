"""Open documents, with the line ends of LSP and no others.

Law: a text of more than `KEPT_MAX` is not kept: each key typed into 100 MB would stop every session
for seconds. Whoever needs such a document reads its file.

A line ends in LF, CR LF or CR. Python's `splitlines`, which pygls 2.1.1 uses, also ends lines
at form feeds and Unicode separators; with those in a file, every position after them is wrong, and
so is the text after the next edit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

KEPT_MAX: Final = 8 * 1024 * 1024
"""Characters of a text that is kept."""
HEAD_MAX: Final = 256 * 1024
"""Characters that are kept of any other."""
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text, each with its end."""
    return tuple(_LINE.findall(text))


class Beginning(str):
    """The beginning of a text that is too large to be kept; `size` is that of the whole."""

    __slots__ = ("size",)
    size: int

    @classmethod
    def of(cls, head: str, size: int) -> Beginning:
        """Return what is kept."""
        kept = cls(head[:HEAD_MAX])
        kept.size = size
        return kept


class TextNotKept(LookupError):
    """The text of this document is not here; its file has to be read."""


class Document(TextDocument):
    """An open document. `is_kept`: its text is here. `size` is that of the text, about."""

    def __init__(self, uri: str, source: str | None = None, **more: Any) -> None:
        super().__init__(uri, source, **more)
        self._kept_only_if_small()

    @property
    def is_kept(self) -> bool:
        """Whether the text is here."""
        return not isinstance(self._source, Beginning)

    @property
    def head(self) -> str:
        """The beginning of the text; when that is not kept, as it was when it was opened."""
        return str(self._source if isinstance(self._source, Beginning) else self.source)[:HEAD_MAX]

    @property
    def size(self) -> int:
        """The size of the text, when it is not kept, as it was when it was opened."""
        return self._source.size if isinstance(self._source, Beginning) else len(self.source)

    @property
    def source(self) -> str:
        """The text. Raises `TextNotKept`."""
        if not self.is_kept:
            raise TextNotKept(self.uri)
        return str(super().source)

    @property
    def lines(self) -> Sequence[str]:
        """The document's lines, each with its end. Raises `TextNotKept`."""
        return split_lines(self.source)

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Take an edit, as far as the text is kept."""
        if self.is_kept or not isinstance(change, types.TextDocumentContentChangePartial):
            super().apply_change(change)
            self._kept_only_if_small()

    def _kept_only_if_small(self) -> None:
        source = self._source
        if source is not None and not isinstance(source, Beginning) and len(source) > KEPT_MAX:
            self._source = Beginning.of(source, len(source))


class Documents(Workspace):
    """The workspace of one connection: its folders and open documents."""

    @classmethod
    def like(
        cls, workspace: Workspace, folders: Sequence[types.WorkspaceFolder] | None
    ) -> Documents:
        """Return an empty workspace with the root and encoding of another."""
        return cls(
            workspace.root_uri,
            types.TextDocumentSyncKind.Incremental,
            folders,
            workspace.position_encoding,
        )

    def opened(self, uri: str) -> Document | None:
        """Return an open document."""
        found = self.text_documents.get(unquote(uri))
        return found if isinstance(found, Document) else None

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> Document:
        return Document(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=self._sync_kind,
            position_codec=self._position_codec,
        )
