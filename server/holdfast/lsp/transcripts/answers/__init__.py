"""What an editor asks about a transcript, a module for each kind of question.

Law: an answer is a function of a view and of the request's params. It is asked for while a person
waits, so it reads no more of the file than the records it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdfast.lsp.transcripts.answers.actions import code_actions, code_lenses
from holdfast.lsp.transcripts.answers.hints import inlay_hints
from holdfast.lsp.transcripts.answers.hover import hover
from holdfast.lsp.transcripts.answers.links import definition, references
from holdfast.lsp.transcripts.answers.outline import document_symbols, folding_ranges

if TYPE_CHECKING:
    from holdfast.lsp.transcripts.view import View

Answer: TypeAlias = Callable[["View", dict[str, Any]], Any]

ANSWERS: Final[Mapping[str, Answer]] = {
    "textDocument/hover": hover,
    "textDocument/definition": definition,
    "textDocument/references": references,
    "textDocument/documentSymbol": document_symbols,
    "textDocument/foldingRange": folding_ranges,
    "textDocument/inlayHint": inlay_hints,
    "textDocument/codeLens": code_lenses,
    "textDocument/codeAction": code_actions,
}
"""The answer to each method of LSP that a view knows."""
