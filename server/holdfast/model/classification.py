"""Which failure an answer of the API is.

Law: classification is total and pure: any status, headers and bytes give one `Failure`, with the
server's own words kept (P12) and secrets blotted out (P11). The order of trust is: error code,
stable fragments of the message, specific error type, status, general error type. Codes and
fragments are data in `failure_tables`; this module only reads bodies and walks the tables.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import attrs

from holdfast.conversation import encoding
from holdfast.model import failure_tables as tables
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind

RAW_BYTES_MAX: Final = 4096
_READ_BYTES_MAX: Final = 1 << 20
_MESSAGE_CHARS_MAX: Final = 1000
_RETRY_AFTER_MS_MAX: Final = 366 * 24 * 3600 * 1000

_SECRET: Final = re.compile(
    r"\bsk-[A-Za-z0-9_-]{8,}|(?<=bearer )[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE
)
_TITLE: Final = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_HTML: Final = re.compile(r"\s*(?:<!doctype html|<html|<head|<body|<!--)", re.IGNORECASE)
_WRAPPER: Final = re.compile(r"\blitellm\.(?:exceptions\.)?(\w+)")
# A gateway behind a gateway quotes a quotation; nobody stacks four of them.
_QUOTATIONS_MAX: Final = 4
_QUOTED_PAGE: Final = re.compile(r"<!doctype html|<html[\s>]", re.IGNORECASE)
_HEADING: Final = re.compile(r"<(?:title|h1)[^>]*>([^<]{1,200})", re.IGNORECASE)
_STACK_TRACE: Final = re.compile(r"(?:(?:[A-Z]\w*)?Error: [^\n]*)?\n\s+at \S")
_BLOTTED: Final = "[redacted]"


@attrs.frozen
class _Reading:
    """What a body says, whatever its shape.

    `structured` is whether it had the API's envelope (or a gateway's imitation of it); `status` is
    the HTTP status that some gateways write in place of a code. `quoted`: a gateway has quoted what
    it was told itself, and these are the words of who was behind it.
    """

    message: str = ""
    type: str | None = None
    code: str | None = None
    request_id: str | None = None
    structured: bool = False
    html: bool = False
    status: int | None = None
    quoted: bool = False


def from_response(
    status: int, headers: Mapping[str, str], body: bytes | str, secrets: Sequence[str] = ()
) -> Failure:
    """Classify an answer with an error status (specification §4.1, §4.4).

    `headers` are the response's, with names in any case. Request headers have no place here.
    """
    known = {name.lower(): value for name, value in headers.items()}
    text = _text(body)
    reading = _read(text)
    kind = _kind(status, reading)
    retry_after_ms = _retry_after_ms(known, kind, reading.message)
    kind = _advised(kind, known.get("x-should-retry"), retry_after_ms)
    return Failure(
        kind=kind,
        message=_redacted(_words_for(status, text, reading, known.get("location")), secrets),
        status=status,
        type=reading.type,
        error_code=reading.code,
        request_id=request_id(known) or reading.request_id,
        retry_after_ms=retry_after_ms,
        cause=_cause(kind, status, reading, empty=not text.strip()),
        raw=excerpt(text, secrets),
    )


def from_event(data: str, request: str | None = None, secrets: Sequence[str] = ()) -> Failure:
    """Classify an `error` event, which arrives after HTTP 200 (§3.3). Its type decides.

    `request` is the request id of the response's headers, which the event may repeat.
    """
    reading = _read(data)
    status = reading.status or 200
    kind = _kind(status, reading)
    return Failure(
        kind=kind,
        message=_redacted(reading.message or "The stream reported an error.", secrets),
        status=200,
        type=reading.type,
        error_code=reading.code,
        request_id=request or reading.request_id,
        cause=_cause(kind, status, reading, empty=not data.strip()),
        raw=excerpt(data, secrets),
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id under which the server knows a request. Names must be in lower case, unless
    `headers` ignores case.
    """
    return next((headers[name] for name in tables.REQUEST_ID_HEADERS if headers.get(name)), None)


def is_error_body(body: str) -> bool:
    """Say whether a body is an error envelope, as some gateways send with HTTP 200."""
    reading = _read(body)
    return reading.structured and not reading.html


def excerpt(text: str, secrets: Sequence[str] = ()) -> str:
    """Return at most 4 KB (as UTF-8) of `text`, without secrets and without broken characters."""
    clean = _redacted(text[:_READ_BYTES_MAX], secrets, RAW_BYTES_MAX)
    return clean.encode()[:RAW_BYTES_MAX].decode(errors="ignore")


def _redacted(text: str, secrets: Sequence[str], chars_max: int = _MESSAGE_CHARS_MAX) -> str:
    """Blot out secrets first and shorten after that, so that no half of one survives the cut."""
    for secret in secrets:
        text = text.replace(secret, _BLOTTED)
    clean = encoding.without_lone_surrogates(_SECRET.sub(_BLOTTED, text))
    return str(clean)[:chars_max]


def _kind(status: int, reading: _Reading) -> FailureKind:
    if 300 <= status < 400:
        return FailureKind.NETWORK
    by_words = _by_code(reading.code) or _by_fragment(status, reading.message)
    if by_words is not None:
        return by_words
    if reading.html:
        return tables.HTML_STATUSES.get(status, FailureKind.SERVER)
    if status in {404, 405} or reading.type == "not_found_error":
        return _not_found(status, reading)
    if reading.type in tables.SPECIFIC_TYPES:
        return tables.SPECIFIC_TYPES[reading.type]
    if status in tables.STATUSES:
        return tables.STATUSES[status]
    if reading.type in tables.GENERAL_TYPES:
        return tables.GENERAL_TYPES[reading.type]
    wrapper = _WRAPPER.search(reading.message)
    if wrapper is not None and wrapper[1] in tables.WRAPPERS:
        return tables.WRAPPERS[wrapper[1]]
    return FailureKind.INVALID_REQUEST if 400 <= status < 500 else FailureKind.SERVER


def _cause(kind: FailureKind, status: int, reading: _Reading, *, empty: bool) -> Cause | None:
    """Return what the answer shows to be wrong below its kind, or None: nothing is guessed.

    The API writes its envelope with every error, so that another body is somebody else's.
    """
    if 300 <= status < 400:
        return Cause.REDIRECTED
    by_words = tables.CAUSES_OF_CODES.get(reading.code or "")
    if by_words is not None:
        return by_words
    stranger = reading.html or not (reading.structured or empty)
    untyped = reading.type is None and not empty
    if kind is FailureKind.SERVER and status in {404, 405} and (stranger or untyped):
        return Cause.WRONG_ADDRESS
    for rule in tables.CAUSES_OF_FRAGMENTS:
        if rule.kind is kind and rule.pattern.search(reading.message):
            return rule.cause
    if status in tables.CAUSES_OF_STATUSES and not reading.structured:
        return tables.CAUSES_OF_STATUSES[status]
    if kind in tables.CAUSES_OF_KINDS:
        return tables.CAUSES_OF_KINDS[kind]
    if kind is FailureKind.AUTHENTICATION:
        return Cause.GATEWAY_PAGE if reading.html else _key_trouble(reading)
    if stranger:
        return tables.CAUSES_OF_STRANGERS.get(kind)
    if kind is FailureKind.PERMISSION and reading.type in tables.FORBIDDING and not reading.code:
        return Cause.KEY_FORBIDDEN
    return Cause.SERVER_ERROR if kind is FailureKind.SERVER and reading.structured else None


def _key_trouble(reading: _Reading) -> Cause:
    """Tell a person's key from that of a gateway, which no new key of a person's mends."""
    if reading.quoted:
        return Cause.GATEWAY_KEY_REFUSED
    if tables.KEY_EXPIRED.search(reading.message):
        return Cause.KEY_EXPIRED
    return Cause.KEY_MISSING if tables.KEY_MISSING.search(reading.message) else Cause.KEY_REFUSED


def _by_code(code: str | None) -> FailureKind | None:
    if code is None:
        return None
    if code in tables.CODES:
        return tables.CODES[code]
    for prefix, kind in tables.CODE_PREFIXES:
        if code.startswith(prefix):
            return kind
    return None


def _by_fragment(status: int, message: str) -> FailureKind | None:
    """Match the stable fragments. Talk of rates vetoes what is said about sizes: "too large for
    the limit of 30 000 tokens per minute" is a rate limit, and compaction would not help.
    """
    about_rates = tables.RATE_WORDING.search(message) is not None
    for rule in tables.FRAGMENTS:
        if rule.statuses and status not in rule.statuses:
            continue
        if about_rates and rule.kind in (FailureKind.TOO_LONG, FailureKind.TOO_LARGE):
            continue
        if rule.pattern.search(message):
            return rule.kind
    return None


def _not_found(status: int, reading: _Reading) -> FailureKind:
    """The model's absence is a fragment; what else the API misses is named in the request.

    Without the API's envelope nobody knows: a proxy in deployment, or a wrong base URL.
    """
    if reading.type == "not_found_error":
        return FailureKind.INVALID_REQUEST
    wrapper = _WRAPPER.search(reading.message)
    if status == 404 and wrapper is not None and wrapper[1] == "NotFoundError":
        return FailureKind.MODEL_GONE
    return FailureKind.SERVER


def _advised(
    kind: FailureKind, should_retry: str | None, retry_after_ms: int | None
) -> FailureKind:
    """Follow `x-should-retry` where the kind alone is a guess (§4.2).

    It never sends a person's problem (key, billing) into a retry loop, and a server's own fault is
    always tried again, if slowly: a session stays alive (P3).
    """
    if should_retry == "true" and kind is FailureKind.INVALID_REQUEST:
        return FailureKind.SERVER
    if should_retry == "false" and kind is FailureKind.RATE_LIMITED and retry_after_ms is None:
        return FailureKind.SPEND_LIMIT
    if kind is FailureKind.SPEND_LIMIT and retry_after_ms is not None and should_retry != "false":
        return FailureKind.RATE_LIMITED
    return kind


def _read(text: str) -> _Reading:
    """Read the API's envelope, a gateway's imitation of one, an HTML page or plain words."""
    if _HTML.match(text):
        return _Reading(html=True)
    try:
        value = encoding.decode(text)
    except (ValueError, RecursionError):
        return _unwrapped(_Reading(message=text.strip()[:_MESSAGE_CHARS_MAX]))
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return _Reading(message=text.strip()[:_MESSAGE_CHARS_MAX])
    return _unwrapped(_from_object(value))


def _from_object(value: Mapping[str, Any]) -> _Reading:
    error = value.get("error")
    request_id = _string(value.get("request_id"))
    if isinstance(error, dict):
        details = error.get("details")
        code = details.get("error_code") if isinstance(details, dict) else error.get("code")
        status = _status_in(code)
        return _Reading(
            message=_words(error.get("message")),
            type=_string(error.get("type")),
            code=_string(code) if status is None else None,
            request_id=request_id,
            structured=True,
            status=status,
        )
    words = next(
        (
            found
            for key in ("error", "message", "detail", "errors")
            if (found := _words(value.get(key)))
        ),
        "",
    )
    return _Reading(message=words, request_id=request_id, structured=isinstance(error, str))


def _unwrapped(reading: _Reading) -> _Reading:
    """Take the words of who was behind a gateway out of the gateway's message: the API's envelope,
    or the page of a proxy. What a program adds to them, its stack included, is in `raw`.
    """
    for _ in range(_QUOTATIONS_MAX):
        inner = _quotation(reading.message)
        if inner is None:
            break
        reading = attrs.evolve(
            inner,
            message=inner.message or reading.message,
            type=inner.type or reading.type,
            request_id=inner.request_id or reading.request_id,
            structured=True,
            quoted=True,
        )
    page = _QUOTED_PAGE.search(reading.message)
    if page is not None:
        headings = _HEADING.findall(reading.message, page.start())
        words = max(headings, key=len, default="A page in place of an answer.")
        return attrs.evolve(reading, message=words, html=True, structured=False, quoted=True)
    trace = _STACK_TRACE.search(reading.message)
    if trace is None or not reading.message[: trace.start()].strip():
        return reading
    return attrs.evolve(reading, message=reading.message[: trace.start()].rstrip())


def _quotation(message: str) -> _Reading | None:
    """Return the error that is quoted as JSON in a message, or as Python prints its bytes."""
    start = message.find('{"')
    if start < 0:
        return None
    quoted = message[start:]
    if message[:start].endswith(("b'", 'b"')):
        quoted = re.sub(r"\\(['\"\\])", r"\1", quoted)
    try:
        value, _ = json.JSONDecoder().raw_decode(quoted)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("error"), dict):
        return None
    return _from_object(value)


def _words_for(status: int, text: str, reading: _Reading, location: str | None) -> str:
    """Return the body's words, or what can be said when it has none of its own."""
    if reading.message and not 300 <= status < 400:
        return reading.message
    try:
        words = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = f"HTTP {status}"
    title = _TITLE.search(text) if reading.html else None
    if title is not None:
        words += f": {title[1].strip()}"
    if 300 <= status < 400:
        words += f" to {location or 'nowhere'} (a sign-in page, or the base URL has moved)"
    elif status in {404, 405} and not reading.structured:
        words += " (not an answer of the API: is the base URL right?)"
    return words


def _retry_after_ms(headers: Mapping[str, str], kind: FailureKind, message: str) -> int | None:
    """Return how long the server wants us to wait. Dates count from the server's own clock."""
    wait_ms = _number(headers.get("retry-after-ms"))
    if wait_ms is None:
        after = headers.get("retry-after", "")
        seconds = _number(after)
        if seconds is None:
            seconds = _seconds_until(_http_date(after), headers)
        if seconds is None:
            seconds = _seconds_said(message)
        if seconds is None and kind is FailureKind.RATE_LIMITED:
            seconds = _seconds_until_reset(headers)
        wait_ms = None if seconds is None else seconds * 1000
    if wait_ms is None or wait_ms <= 0:
        return None
    return min(math.ceil(wait_ms), _RETRY_AFTER_MS_MAX)


def _seconds_said(message: str) -> float | None:
    """Read how long a gateway wants us to wait, which LiteLLM has in its words alone."""
    said = tables.WAIT_WORDING.search(message)
    return None if said is None else _number(said[1])


def _seconds_until_reset(headers: Mapping[str, str]) -> float | None:
    """Read the reset times of the limits that are used up (C08); the last of them decides."""
    waits = [
        seconds
        for name, value in headers.items()
        if name.startswith("anthropic-ratelimit-")
        and name.endswith("-reset")
        and headers.get(name.removesuffix("reset") + "remaining") == "0"
        and (seconds := _seconds_until(_rfc3339(value), headers)) is not None
    ]
    return max(waits, default=None)


def _seconds_until(moment: datetime | None, headers: Mapping[str, str]) -> float | None:
    now = _http_date(headers.get("date", ""))
    if moment is None or now is None:
        return None
    return (moment - now).total_seconds()


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _rfc3339(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(body: bytes | str) -> str:
    if isinstance(body, str):
        return body[:_READ_BYTES_MAX]
    return body[:_READ_BYTES_MAX].decode("utf-8", "replace")


def _status_in(code: Any) -> int | None:
    """Return a code that is an error status, as LiteLLM writes it: 429 or "429"."""
    digits = str(code)
    return int(digits) if re.fullmatch("[45][0-9][0-9]", digits) else None


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    return encoding.encode(value) if isinstance(value, list | dict) and value else ""


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
