"""Answers that are no message: status errors and the pages of proxies.

Law: one row per named fault; a script may replace any part of a row. Source: specification §4.1
and the fault injection list of §8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from holdfast.simulator.refusals import error_body, refuse
from holdfast.simulator.script import Fault
from holdfast.simulator.wordings import BINDING_HEADER_SENTENCE, WORDINGS

_HTML: Final = (
    "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{message}</h1></center>"
    "\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An HTTP answer that is no message. With `html` the body is a proxy's page."""

    status: int
    type: str = "api_error"
    message: str = "Internal server error"
    error_code: str | None = None
    html: bool = False
    retry_after_s: float | None = None
    should_retry: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def adjusted(self, fault: Fault) -> ErrorAnswer:
        """Return this answer with the parts that the script gives."""
        given: dict[str, Any] = {
            name: value
            for name in (
                "status",
                "type",
                "message",
                "error_code",
                "html",
                "retry_after_s",
                "should_retry",
            )
            if (value := getattr(fault, name)) is not None
        }
        return replace(self, headers={**self.headers, **fault.headers}, **given)

    def response_headers(self) -> dict[str, str]:
        """Return the headers that belong to this answer, content type included."""
        headers = {"content-type": "text/html" if self.html else "application/json"}
        if self.retry_after_s is not None:
            headers["retry-after"] = f"{self.retry_after_s:g}"
        if self.should_retry is not None:
            headers["x-should-retry"] = "true" if self.should_retry else "false"
        return {**headers, **self.headers}

    def body(self, request_id: str, model: str) -> str | dict[str, Any]:
        """Return a page, or the API's error object. `{model}` in the message is filled in."""
        if self.html:
            return _HTML.format(status=self.status, message=self.message)
        details = {"error_code": self.error_code} if self.error_code else None
        message = self.message.replace("{model}", model)
        return error_body(self.type, message, request_id, details)


def _canonical(rule: str, **extra: Any) -> ErrorAnswer:
    wording = WORDINGS[rule]
    return ErrorAnswer(
        status=wording.status,
        type=wording.type,
        message=wording.text,
        error_code=wording.error_code,
        **extra,
    )


def _page(status: int, message: str) -> ErrorAnswer:
    return ErrorAnswer(status=status, message=message, html=True)


_RATE_LIMIT: Final = replace(_canonical("E429"), message=refuse("E429", n="30,000").message)
_SPEND: Final = "You have reached your specified API usage limits."

ERRORS: Final[Mapping[str, ErrorAnswer]] = {
    "status": ErrorAnswer(status=500),
    "server-error": _canonical("E500"),
    "gateway-timeout": _canonical("E504"),
    "overloaded": _canonical("E529"),
    "bad-gateway-html": _page(502, "502 Bad Gateway"),
    "unavailable-html": _page(503, "503 Service Temporarily Unavailable"),
    "gateway-timeout-html": _page(504, "504 Gateway Time-out"),
    "too-large": _canonical("R7"),
    "too-large-html": _page(413, "413 Request Entity Too Large"),
    "rate-limit": replace(_RATE_LIMIT, retry_after_s=1),
    "rate-limit-no-retry-after": _RATE_LIMIT,
    "rate-limit-hour": replace(_RATE_LIMIT, retry_after_s=3600),
    "spend-limit": replace(_RATE_LIMIT, message=_SPEND, error_code="enforced_spend_limit_reached"),
    "low-credit": _canonical("R100"),
    "unauthorized": _canonical("R1b"),
    "billing": ErrorAnswer(status=402, type="billing_error", message="Billing error"),
    "forbidden": ErrorAnswer(
        status=403,
        type="permission_error",
        message="Your API key does not have permission to use the specified resource",
    ),
    "model-gone": _canonical("R10"),
    "request-timeout": ErrorAnswer(
        status=408, type="invalid_request_error", message="Request timed out"
    ),
    "conflict": ErrorAnswer(status=409, type="conflict_error", message="Conflict"),
    "bad-request": ErrorAnswer(
        status=400, type="invalid_request_error", message="Something in the request is wrong"
    ),
    "prompt-too-long": ErrorAnswer(
        status=400,
        type="invalid_request_error",
        message=refuse("R89", n=1_000_001, max=1_000_000).message,
    ),
    "prefix-mismatch": ErrorAnswer(
        status=400,
        type="invalid_request_error",
        message=refuse("R72", i=1, j=0, header=BINDING_HEADER_SENTENCE).message,
    ),
    "prefix-mismatch-with-header": ErrorAnswer(
        status=400,
        type="invalid_request_error",
        message=refuse("R72", i=1, j=0, header="").message,
    ),
    "retry-forbidden": ErrorAnswer(status=500, should_retry=False),
    "retry-advised": ErrorAnswer(
        status=400, type="invalid_request_error", message="Try again", should_retry=True
    ),
    "compaction-unavailable": ErrorAnswer(
        status=529,
        type="overloaded_error",
        message="Compaction is temporarily unavailable",
        error_code="compaction_unavailable",
    ),
    "thread-not-found": _canonical("R98"),
    "html-200": _page(200, "Sign in to this network"),
}
