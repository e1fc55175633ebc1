"""Transcripts as documents of an editor: LSP's requests about one, passed on to a worker.

Law: a document that is no transcript is answered at once, with nothing. Answers are passed on as
they come, encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lsprotocol import types
from pygls.capabilities import get_capability

from holdfast.lsp import errors
from holdfast.lsp.transcripts import messages as m
from holdfast.lsp.transcripts.asking import Ask, Told
from holdfast.lsp.transcripts.diagnostics import Diagnostics
from holdfast.lsp.transcripts.workers import WorkerRefused

if TYPE_CHECKING:
    from pathlib import Path

    import msgspec
    from pygls.exceptions import JsonRpcException

    from holdfast.lsp.server import HoldfastServer

CONTENT_MODIFIED: Final = -32801
PASSED_ON: Final = (
    types.TEXT_DOCUMENT_HOVER,
    types.TEXT_DOCUMENT_DEFINITION,
    types.TEXT_DOCUMENT_REFERENCES,
    types.TEXT_DOCUMENT_DOCUMENT_SYMBOL,
    types.TEXT_DOCUMENT_FOLDING_RANGE,
    types.TEXT_DOCUMENT_INLAY_HINT,
    types.TEXT_DOCUMENT_CODE_LENS,
    types.TEXT_DOCUMENT_CODE_ACTION,
)
"""Requests that a view answers."""
ACTION_KINDS: Final = (types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll)


class Transcripts:
    """What one connection does with transcripts."""

    def __init__(self, server: HoldfastServer) -> None:
        """Start nothing; the first transcript that is opened starts a worker."""
        self._server = server
        self.ask = Ask(server)
        self.diagnostics = Diagnostics(server, self.ask)

    def register(self) -> None:
        """Tell the server which methods are handled here."""
        options: Mapping[str, Any] = {
            types.TEXT_DOCUMENT_CODE_ACTION: types.CodeActionOptions(
                code_action_kinds=list(ACTION_KINDS)
            ),
            types.TEXT_DOCUMENT_DIAGNOSTIC: types.DiagnosticOptions(
                identifier="holdfast", inter_file_dependencies=False, workspace_diagnostics=False
            ),
            types.TEXT_DOCUMENT_DID_SAVE: types.SaveOptions(include_text=False),
        }
        handlers: dict[str, Callable[[Any], Any]] = {
            method: partial(self._pass_on, method) for method in PASSED_ON
        }
        handlers |= {
            types.TEXT_DOCUMENT_DIAGNOSTIC: partial(self._diagnostic),
            types.TEXT_DOCUMENT_DID_OPEN: partial(self._did_open),
            types.TEXT_DOCUMENT_DID_CHANGE: partial(self._did_change),
            types.TEXT_DOCUMENT_DID_SAVE: partial(self._did_save),
            types.TEXT_DOCUMENT_DID_CLOSE: partial(self._did_close),
        }
        for method, handler in handlers.items():
            self._server.feature(method, options.get(method))(handler)

    async def close(self) -> None:
        """End with the connection."""
        await self.diagnostics.close()
        await self.ask.workers.close()

    async def about_file(
        self, method: str, path: Path, params: dict[str, Any], title: str, token: int | str | None
    ) -> msgspec.Raw:
        """See `Ask.about_file`. Raises `JsonRpcException`."""
        try:
            return await self.ask.about_file(method, path, params, title, token)
        except WorkerRefused as refused:
            raise converted(refused) from None

    async def with_bar(
        self,
        title: str,
        work: Callable[[Told], Coroutine[Any, Any, msgspec.Raw]],
        token: int | str | None,
    ) -> msgspec.Raw:
        """See `Ask.with_bar`. Raises `JsonRpcException`, and what the work raises."""
        try:
            return await self.ask.with_bar(title, work, token)
        except WorkerRefused as refused:
            raise converted(refused) from None

    # -- documents -------------------------------------------------------------------------------

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        document = self._server.documents.opened(params.text_document.uri)
        if document is not None:
            self.diagnostics.opened(document)

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        document = self._server.documents.opened(params.text_document.uri)
        if document is not None:
            self.diagnostics.changed(document)

    def _did_save(self, params: types.DidSaveTextDocumentParams) -> None:
        self.diagnostics.saved(params.text_document.uri)

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.diagnostics.closed(params.text_document.uri)

    # -- requests --------------------------------------------------------------------------------

    async def _diagnostic(self, params: types.DocumentDiagnosticParams) -> msgspec.Raw:
        return await self.diagnostics.pull(params.text_document.uri, params.previous_result_id)

    async def _pass_on(self, method: str, params: Any) -> msgspec.Raw | None:
        uri = params.text_document.uri
        place = await self.diagnostics.place(uri)
        if place is None:
            return None
        given = self._server.protocol.plain(params)
        given["encoding"] = self.ask.encoding()
        given["version"] = place.document_version
        given["documentChanges"] = self._can("workspace.workspace_edit.document_changes")
        given["edits"] = not self.diagnostics.is_stale(uri)
        formats = self._capability("text_document.hover.content_format")
        if method == types.TEXT_DOCUMENT_HOVER and formats:
            given["contentFormat"] = [str(getattr(each, "value", each)) for each in formats]
        try:
            return await self.ask.ask(place, method, given)
        except WorkerRefused as refused:
            raise converted(refused) from None

    def _can(self, capability: str) -> bool:
        return bool(self._capability(capability))

    def _capability(self, name: str) -> Any:
        return get_capability(self._server.client_capabilities, name, None)


def converted(refused: WorkerRefused) -> JsonRpcException:
    """Return what a worker's refusal is on the wire."""
    code = {
        m.CANCELLED: errors.REQUEST_CANCELLED,
        "ContentModified": CONTENT_MODIFIED,
        "InternalError": errors.INTERNAL_ERROR,
    }.get(refused.kind, errors.REQUEST_FAILED)
    retryable = refused.kind in {"ContentModified", "FileChanged", "WorkerUnavailable"}
    return errors.failed(code, refused.kind, refused.message, refused.action, retryable=retryable)
