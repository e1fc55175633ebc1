"""The protocol: what a decoded message becomes, and how answers leave.

Law: every request is answered exactly once, also one that does not fit its type, comes too early
or too late, or meets a fault of our own; every notification that cannot be used is logged, without
its content. Only the message itself is read as a message: JSON inside it is data, whatever its
keys are. (pygls 2.1.1 leaves the first unanswered and takes nested objects for messages.)
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cattrs import transform_error
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.protocol.json_rpc import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
)

from holdfast.lsp import errors, wire
from holdfast.lsp.framing import frame

if TYPE_CHECKING:
    from pygls.workspace import Workspace

    from holdfast.lsp.outbox import Outbox
    from holdfast.lsp.server import HoldfastServer

logger = logging.getLogger(__name__)

_CAPABILITY_GROUPS: Final = (
    "workspace",
    "textDocument",
    "notebookDocument",
    "window",
    "general",
    "experimental",
)


class HoldfastProtocol(LanguageServerProtocol):
    """pygls' protocol with total handling of messages and a writer that never waits."""

    _server: HoldfastServer
    outbox: Outbox | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._after: dict[Any, list[Callable[[], None]]] = {}
        self.on_exit: Callable[[int], None] = lambda _: None

    # -- messages in -----------------------------------------------------------------------------

    def receive(self, data: Any) -> None:
        """Take one decoded message. Total: whatever it is, it is handled or answered."""
        if not isinstance(data, dict):
            self.refuse(None, errors.INVALID_REQUEST, "A message must be one JSON object.")
            return
        msg_id = data.get("id")
        if "method" not in data:
            self._receive_response(msg_id, data)
            return
        is_request = "id" in data
        if is_request and (isinstance(msg_id, bool) or not isinstance(msg_id, int | str)):
            self.refuse(None, errors.INVALID_REQUEST, "An id must be a string or an integer.")
            return
        method = data["method"]
        if not isinstance(method, str):
            if is_request:
                self.refuse(msg_id, errors.INVALID_REQUEST, "A method must be a string.")
            return
        refusal = self._untimely(method)
        if refusal is not None:
            if is_request:
                self.refuse(msg_id, *refusal)
            return
        try:
            message = self.structure_message(data)
        except JsonRpcException as error:
            if is_request:
                self._answer_error(msg_id, error)
            else:
                logger.warning("ignoring a notification %r: %s", method[:100], error)
            return
        self._dispatch(message, is_request=is_request)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Give the top level of a message its type. Raises `JsonRpcException` when it cannot.

        Methods that LSP does not know keep plain dicts. The arguments of commands are not looked
        at here: they have their own types.
        """
        method, params = data["method"], data.get("params")
        if method == types.WORKSPACE_EXECUTE_COMMAND:
            return types.ExecuteCommandRequest(data.get("id", 0), _execute_params(params))
        kind = self.get_message_type(method)
        if kind is None:
            if "id" in data:
                return JsonRPCRequestMessage(data["id"], method, self.VERSION, params)
            return JsonRPCNotification(method, self.VERSION, params)
        message = {**data, "jsonrpc": self.VERSION}
        if method == types.INITIALIZE:
            message["params"] = self._usable_initialize(params)
        try:
            structured = self._converter.structure(message, kind)
        except Exception as error:  # noqa: BLE001 (cattrs raises whatever its hooks meet)
            raise errors.invalid_params(f"{method}: {_complaint(error)}") from None
        if method == types.TEXT_DOCUMENT_DID_OPEN:
            # Of a very large text there is only its beginning, which the converter would not tell.
            structured.params.text_document.text = data["params"]["textDocument"]["text"]
        return structured

    def _usable_initialize(self, params: Any) -> Any:
        """Leave out groups of capabilities that do not fit, so that any editor can start (P10)."""
        if not isinstance(params, dict):
            return params
        given = params.get("capabilities")
        usable = {}
        for name, group in given.items() if isinstance(given, dict) else ():
            if name not in _CAPABILITY_GROUPS:
                continue
            try:
                self._converter.structure({name: group}, types.ClientCapabilities)
            except Exception as error:  # noqa: BLE001 (see above)
                logger.warning("ignoring the capabilities %r: %s", name, _complaint(error))
            else:
                usable[name] = group
        return {"processId": None, "rootUri": None, **params, "capabilities": usable}

    def _untimely(self, method: str) -> tuple[int, str] | None:
        """Say why a method may not come now, if so."""
        if method == types.EXIT:
            return None
        if self._shutdown:
            return errors.INVALID_REQUEST, "The server is shutting down."
        if method == types.INITIALIZE:
            if self._workspace is None:
                return None
            return errors.INVALID_REQUEST, "The server is initialized already."
        if self._workspace is None:
            return errors.SERVER_NOT_INITIALIZED, "Send `initialize` first."
        return None

    def _dispatch(self, message: Any, *, is_request: bool) -> None:
        context = contextvars.copy_context()
        if is_request:
            context.run(self._handle_request, message.id, message.method, message.params)
        else:
            context.run(self._handle_notification, message.method, message.params)

    def _receive_response(self, msg_id: Any, data: dict[str, Any]) -> None:
        if "error" not in data and "result" not in data:
            self.refuse(None, errors.INVALID_REQUEST, "A message needs a method or a result.")
            return
        kind = self._result_types.pop(msg_id, None) if isinstance(msg_id, int | str) else None
        future = self._request_futures.pop(msg_id, None) if isinstance(msg_id, int | str) else None
        if future is None or future.done():
            logger.info("a response to a request that does not wait any more")
            return
        if (error := data.get("error")) is not None:
            words = error if isinstance(error, dict) else {}
            future.set_exception(JsonRpcException(str(words.get("message", "")), words.get("code")))
            return
        try:
            result = data.get("result")
            if kind is not None:
                response = {"id": msg_id, "jsonrpc": self.VERSION, "result": result}
                result = self._converter.structure(response, kind).result
        except Exception as failure:  # noqa: BLE001 (see above)
            future.set_exception(errors.invalid_params(_complaint(failure)))
        else:
            future.set_result(result)

    # -- requests of our own ---------------------------------------------------------------------

    async def ask(self, method: str, params: Any, timeout_s: float | None) -> Any:
        """Send a request and return its result.

        When it is not waited for any more (time-out or cancellation) the client is told so.
        `timeout_s` None is for questions to a person, which may stay open for ever. Raises
        `TimeoutError`, and `JsonRpcException` when the client answers with an error.
        """
        msg_id = str(uuid.uuid4())
        future = asyncio.wrap_future(self.send_request(method, params, msg_id=msg_id))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except (TimeoutError, asyncio.CancelledError):
            self.notify(types.CANCEL_REQUEST, types.CancelParams(id=msg_id))
            raise
        finally:
            self._request_futures.pop(msg_id, None)
            self._result_types.pop(msg_id, None)

    def in_flight(self) -> list[asyncio.Task[Any]]:
        """Return the requests of the client that are being handled."""
        futures: Iterable[Any] = self._request_futures.values()
        return [future for future in futures if isinstance(future, asyncio.Task)]

    def use_workspace(self, workspace: Workspace) -> None:
        """Keep documents there from now on."""
        self._workspace = workspace

    def after_response(self, callback: Callable[[], None]) -> None:
        """Call `callback` right after the request that is being handled has been answered."""
        self._after.setdefault(self.msg_id, []).append(callback)

    def _answered(self, msg_id: Any) -> None:
        for callback in self._after.pop(msg_id, ()):
            callback()

    # -- messages out ----------------------------------------------------------------------------

    def refuse(self, msg_id: Any, code: int, message: str) -> None:
        """Answer with an error that has no data; the id is null when it is not known."""
        self._answer_error(msg_id, JsonRpcException(message, code))

    def send(self, body: bytes) -> None:
        """Send one encoded message."""
        if self.outbox is not None:
            self.outbox.write(frame(body))

    def _answer_error(self, msg_id: Any, error: JsonRpcException) -> None:
        self.send(wire.encode({"jsonrpc": "2.0", "id": msg_id, "error": errors.wire(error)}))

    def _send_response(self, msg_id: Any, result: Any = None, error: Any = None) -> None:
        if error is not None:
            self._answer_error(msg_id, JsonRpcException(error.message, error.code, error.data))
        else:
            try:
                self.send(
                    b'{"jsonrpc":"2.0","id":%b,"result":%b}'
                    % (wire.encode(msg_id), wire.encode(self._unstructured(result)))
                )
            except Exception as failure:  # noqa: BLE001 (an answer is owed in any case)
                self._answer_error(msg_id, errors.converted(failure, "an answer"))
        self._answered(msg_id)

    def _unstructured(self, result: Any) -> Any:
        # Results of commands are encoded already; only LSP's own types need the converter.
        return result if isinstance(result, msgspec.Raw) else self._converter.unstructure(result)

    def plain(self, value: Any) -> Any:
        """Return one of LSP's values as plain data."""
        return self._converter.unstructure(value)

    def _send_data(self, data: Any) -> None:
        self.send(wire.encode(self._converter.unstructure(data)))

    def _send_handler_result(self, future: Future[Any], *, msg_id: Any) -> None:
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            error: BaseException | None = JsonRpcException(
                "The request was cancelled.", errors.REQUEST_CANCELLED
            )
        else:
            error = future.exception()
        if error is None:
            self._send_response(msg_id, future.result())
        elif isinstance(error, Exception):
            self._answer_error(msg_id, errors.converted(error, "a request"))
            self._answered(msg_id)

    def _check_handler_result(self, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, Exception):
            errors.converted(error, "a notification")

    # -- built-in methods ------------------------------------------------------------------------

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(  # type: ignore[override]  # pygls runs both kinds
        self, params: types.ExecuteCommandParams
    ) -> Any:
        """Run one of our commands."""
        return await self._server.execute(params.command, params.arguments)

    @lsp_method(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    async def lsp_work_done_progress_cancel(
        self, params: types.WorkDoneProgressCancelParams
    ) -> None:
        """Cancel what the token stands for."""
        await self._server.cancel_progress(params.token)

    @lsp_method(types.SHUTDOWN)
    async def lsp_shutdown(self, *_: Any) -> None:  # type: ignore[override]  # see above
        """End everything that belongs to the connection; sessions go on (P9)."""
        self._shutdown = True
        await self._server.end_connection()

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> None:  # type: ignore[override]  # see above
        """End the connection; the process's exit code is 0 after `shutdown`, else 1."""
        self.on_exit(0 if self._shutdown else 1)


def _execute_params(params: Any) -> types.ExecuteCommandParams:
    """Read the parameters of `workspace/executeCommand`, leaving the arguments as they are."""
    if not isinstance(params, dict):
        raise errors.invalid_params("workspace/executeCommand needs an object as params.")
    command, arguments = params.get("command"), params.get("arguments")
    if not isinstance(command, str):
        raise errors.invalid_params("workspace/executeCommand: `command` must be a string.")
    if arguments is not None and not isinstance(arguments, list | dict):
        raise errors.invalid_params("workspace/executeCommand: `arguments` must be a list.")
    return types.ExecuteCommandParams(
        command, [arguments] if isinstance(arguments, dict) else arguments
    )


def _complaint(error: Exception) -> str:
    """Return what is wrong and where, without the value itself: it may be anything."""
    found: list[str] = []
    with contextlib.suppress(Exception):  # a description must not fail where structuring did
        found = transform_error(error, path="params")
    return "; ".join(found[:3]) or "the parameters do not fit"
