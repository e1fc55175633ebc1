"""Open documents, with the line ends of LSP and no others.

Law: a line ends in LF, CR LF or CR. Python's `splitlines`, which pygls 2.1.1 uses, also ends lines
at form feeds and Unicode separators; with those in a file, every position after them is wrong, and
so is the text after the next edit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text, each with its end."""
    return tuple(_LINE.findall(text))


class Document(TextDocument):
    """An open document."""

    @property
    def lines(self) -> Sequence[str]:
        """The document's lines, each with its end."""
        return split_lines(self.source)


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

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> TextDocument:
        return Document(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=self._sync_kind,
            position_codec=self._position_codec,
        )
