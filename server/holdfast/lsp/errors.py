"""What errors become on the wire: one table, one conversion.

Law: every error the agent raises on purpose has a row here. A client gets a sentence, a code and
`data: {kind, retryable, action}`; never a traceback. Whatever has no row is a fault of our own:
it is logged in full by the one guard and answered in one sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import attrs
from pygls.exceptions import JsonRpcException

from holdfast.agent import errors as agent
from holdfast.journal import store
from holdfast.model.port import ModelFailed
from holdfast.session.failures import POLICIES, Remedy, explain, told

logger = logging.getLogger(__name__)

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_NOT_INITIALIZED: Final = -32002
REQUEST_FAILED: Final = -32803
REQUEST_CANCELLED: Final = -32800


@attrs.frozen
class Row:
    """A JSON-RPC code, and whether the same request may succeed later without other changes."""

    code: int
    retryable: bool = False


ERROR_CODES: Final[Mapping[type[Exception], Row]] = {
    store.StoreError: Row(REQUEST_FAILED),
    store.SessionUnknown: Row(INVALID_PARAMS),
    store.SessionOwnedElsewhere: Row(REQUEST_FAILED, retryable=True),
    store.LeaseLost: Row(REQUEST_FAILED, retryable=True),
    store.StoreTooNew: Row(REQUEST_FAILED),
    store.StoreUnreadable: Row(REQUEST_FAILED, retryable=True),
    store.StoreDamaged: Row(REQUEST_FAILED),
    store.StoreBusy: Row(REQUEST_FAILED, retryable=True),
    store.StoreUnavailable: Row(REQUEST_FAILED, retryable=True),
    agent.AgentError: Row(REQUEST_FAILED),
    agent.NothingToCompact: Row(REQUEST_FAILED),
    agent.NotWhileBusy: Row(REQUEST_FAILED, retryable=True),
    agent.UnknownQuestion: Row(INVALID_PARAMS),
    agent.UnknownPrompt: Row(INVALID_PARAMS),
    agent.UnknownToolCall: Row(INVALID_PARAMS),
    agent.UnknownCompaction: Row(INVALID_PARAMS),
    agent.BadPrompt: Row(INVALID_PARAMS),
    agent.UnknownModel: Row(INVALID_PARAMS),
    agent.UnknownEndpoint: Row(INVALID_PARAMS),
    agent.UnsupportedFormat: Row(INVALID_PARAMS),
    ModelFailed: Row(REQUEST_FAILED, retryable=True),
}


def failed(
    code: int, kind: str, message: str, action: str, *, retryable: bool = False
) -> JsonRpcException:
    """Return an error for the wire."""
    return JsonRpcException(message, code, {"kind": kind, "retryable": retryable, "action": action})


def invalid_params(message: str) -> JsonRpcException:
    """Return the error for arguments that do not fit; `message` names the field."""
    return failed(
        INVALID_PARAMS,
        "InvalidParams",
        message,
        "Correct the arguments; docs/protocol.md lists them with examples.",
    )


def converted(error: Exception, what: str) -> JsonRpcException:
    """Convert any error for the wire. The unexpected is logged with its traceback.

    `what` names the request in the log and in the sentence.
    """
    match error:
        case JsonRpcException():
            return error
        case ModelFailed(failure=failure):
            policy = POLICIES[failure.kind]
            retryable = policy.remedy in (Remedy.RETRY, Remedy.CONTINUE)
            advice = explain(failure).advice
            return failed(
                REQUEST_FAILED, failure.kind.value, told(failure), advice, retryable=retryable
            )
        case store.StoreError() | agent.AgentError():
            row = next(ERROR_CODES[kind] for kind in type(error).__mro__ if kind in ERROR_CODES)
            return failed(
                row.code, type(error).__name__, str(error), error.action, retryable=row.retryable
            )
        case _:
            logger.error("%s failed unexpectedly", what, exc_info=error)
            return failed(
                INTERNAL_ERROR,
                "InternalError",
                f"Holdfast failed inside while handling {what} ({type(error).__name__}).",
                "Nothing durable is lost. Look at the server's log, and report it.",
            )


def wire(error: JsonRpcException) -> dict[str, Any]:
    """Return the `error` member of a response."""
    content = {"code": error.code, "message": error.message}
    return content if error.data is None else {**content, "data": error.data}
