"""What the endpoint answers: a free question, a large upload, and a small streamed answer.

Law: answers are judged by the same classification as those of a turn; what a proxy does to a stream
is told by when its pieces arrive, never by who the proxy says it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from holdfast.conversation import encoding
from holdfast.model.classification import from_event, from_response
from holdfast.model.failure_tables import REQUEST_ID_HEADERS
from holdfast.network.path import server_time
from holdfast.network.reports import Check, State
from holdfast.network.subjects import Subject
from holdfast.network.wire import Answer, Step, Trouble
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure

ANSWER: Final = "answer"
UPLOAD: Final = "upload"
STREAM: Final = "stream"
LIMITS: Final = "limits"
CLOCK: Final = "clock"

HELD_BACK: Final = "streamHeldBack"
CLOCK_WRONG: Final = "clockWrong"

UPLOAD_BYTES: Final = 128 * 1024
STREAM_TOKENS: Final = 40
_SKEW_S: Final = 120.0
_LITTLE: Final = 0.1
# An answer that took this long in the making cannot arrive within so small a part of it, unless
# something has collected it.
_MADE_MS: Final = 500.0
_BURST: Final = 0.05
_DELTAS_MIN: Final = 4
_NOT_OFFERED: Final = frozenset({404, 405, 501})


def question(subject: Subject) -> tuple[str, dict[str, str]]:
    """Return path and headers of the free question: which models are there."""
    return "/v1/models?limit=1", {**subject.headers, "anthropic-version": "2023-06-01"}


def upload_body(subject: Subject) -> bytes:
    """Return a body of 128 KB whose tokens are to be counted, which is free."""
    return _body(subject, "- " * (UPLOAD_BYTES // 2))


def stream_body(subject: Subject) -> bytes:
    """Return a request for a small streamed answer."""
    more = {"max_tokens": STREAM_TOKENS, "stream": True}
    return _body(subject, "Count from 1 to 30 in words.", **more)


def _body(subject: Subject, text: str, **more: Any) -> bytes:
    message = {"role": "user", "content": text}
    model = subject.model or "claude-opus-5-5"
    return encoding.encode({"model": model, "messages": [message], **more}).encode()


# -- judging, pure ---------------------------------------------------------------------------------


def answered(subject: Subject, answer: Answer | Trouble) -> Check:
    """Judge the answer to the free question."""
    if isinstance(answer, Trouble):
        return _unanswered(ANSWER, answer)
    facts: dict[str, Any] = {"status": answer.status, "ms": round(answer.first_ms)}
    facts |= {name: value for name in _TOLD if (value := answer.headers.get(name))}
    if answer.status < 300:
        return _taken(subject, answer, facts)
    if answer.status in _NOT_OFFERED and not _html(answer):
        says = "The endpoint answers; it has no list of models, as many gateways."
        return Check(name=ANSWER, state=State.GOOD, says=says, facts=facts)
    failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
    return _refused(ANSWER, subject, failure, facts)


def uploaded(subject: Subject, answer: Answer | Trouble) -> Check:
    """Judge what came of the large upload, when the small question had been answered."""
    size = f"{UPLOAD_BYTES // 1024} KB"
    facts: dict[str, Any] = {"bytes": UPLOAD_BYTES}
    if isinstance(answer, Trouble):
        if answer.timed_out:
            says = (
                f"A small request is answered, one of {size} is not: large packets get lost on the "
                "way (a wrong MTU, often of a VPN), or a proxy keeps them."
            )
            cause = Cause.UPLOAD_STUCK
        else:
            says, cause = f"The connection was reset while {size} were sent.", Cause.RESET
        return Check(name=UPLOAD, state=State.BAD, says=says, cause=cause, facts=facts)
    facts |= {"status": answer.status, "ms": round(answer.first_ms)}
    if answer.status == 413:
        failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
        says = f"A request of {size} is refused as too large: {failure.message}"
        cause = Cause.TOO_LARGE_FOR_PROXY
        return Check(name=UPLOAD, state=State.BAD, says=says, cause=cause, facts=facts)
    return Check(name=UPLOAD, state=State.GOOD, says=f"{size} go through.", facts=facts)


def streamed(subject: Subject, answer: Answer | Trouble) -> Check:
    """Judge a streamed answer by what arrived and when."""
    if isinstance(answer, Trouble):
        return _unanswered(STREAM, answer)
    facts: dict[str, Any] = {"status": answer.status, "firstByteMs": round(answer.first_ms)}
    if answer.status >= 300:
        failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
        return _refused(STREAM, subject, failure, facts)
    events = _events(answer.body)
    deltas = sum(name == "content_block_delta" for name, _ in events)
    first, last = (answer.pieces[0][0], answer.pieces[-1][0]) if answer.pieces else (0.0, 0.0)
    facts |= {"events": len(events), "pieces": len(answer.pieces)}
    facts |= {"firstPieceMs": round(first), "lastPieceMs": round(last)}
    for name, data in events:
        if name == "error":
            return _refused(STREAM, subject, from_event(data, None, subject.secrets), facts)
    ended = any(name == "message_stop" for name, _ in events)
    if not ended:
        return _unfinished(answer, events, deltas, last, facts)
    if deltas >= _DELTAS_MIN and last >= _MADE_MS and last - first <= _BURST * last:
        says = (
            f"The whole answer arrived at once after {last / 1000:.1f} s: something on the way "
            "collects the stream before it passes it on."
        )
        return Check(name=STREAM, state=State.WARNING, says=says, cause=HELD_BACK, facts=facts)
    says = f"An answer began after {first / 1000:.1f} s and arrived piece by piece."
    if deltas < _DELTAS_MIN or len(answer.pieces) < 2:
        says = "A streamed answer arrived whole; it was too short to say more."
    return Check(name=STREAM, state=State.GOOD, says=says, facts=facts)


def _unfinished(
    answer: Answer, events: list[tuple[str, str]], deltas: int, last: float, facts: dict[str, Any]
) -> Check:
    silent = answer.trouble is not None and answer.trouble.timed_out
    if not events and not silent:
        cause, says = Cause.GATEWAY_PAGE, "What came in place of a stream is none."
        if not answer.body:
            cause, says = Cause.CUT_STREAM, "The answer ended before it had begun."
    elif not silent:
        cause, says = Cause.CUT_STREAM, f"The stream was cut after {last / 1000:.1f} s."
    elif _alive(events):
        cause, says = Cause.NO_PROGRESS, _ALIVE
    else:
        cause, says = Cause.SILENT_STREAM, f"The stream went silent after {last / 1000:.1f} s."
    facts |= {"deltas": deltas}
    return Check(name=STREAM, state=State.BAD, says=says, cause=cause, facts=facts)


def headroom(headers: Mapping[str, str]) -> Check:
    """Say how much of the account's rate limits is left, when the endpoint says it."""
    left: dict[str, float] = {}
    facts: dict[str, Any] = {}
    for name, value in headers.items():
        kind, found, what = name.removeprefix("anthropic-ratelimit-").rpartition("-")
        if not found or kind == name or what != "remaining":
            continue
        limit = headers.get(f"anthropic-ratelimit-{kind}-limit", "")
        facts[kind] = {"remaining": value, "limit": limit}
        if value.isdigit() and limit.isdigit() and int(limit):
            left[kind] = int(value) / int(limit)
    if not left:
        says = "The endpoint does not say how much of its limits is left."
        return Check(name=LIMITS, state=State.SKIPPED, says=says, facts=facts)
    least = min(left, key=lambda kind: left[kind])
    says = f"{left[least]:.0%} of the limit of {least.replace('-', ' ')} is left."
    state = State.WARNING if left[least] < _LITTLE else State.GOOD
    cause = Cause.RATE_LIMITED if left[least] <= 0 else ""
    return Check(name=LIMITS, state=state, says=says, cause=cause, facts=facts)


def clock(headers: Mapping[str, str], now: datetime) -> Check:
    """Compare this machine's clock with the server's."""
    there = server_time(headers.get("date", ""))
    if there is None:
        return Check(name=CLOCK, state=State.SKIPPED, says="The server does not say its time.")
    off = (now - there).total_seconds()
    facts = {"offSeconds": round(off)}
    if abs(off) <= _SKEW_S:
        return Check(name=CLOCK, state=State.GOOD, says="The clock is right.", facts=facts)
    says = f"This machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} theirs."
    return Check(name=CLOCK, state=State.WARNING, says=says, cause=CLOCK_WRONG, facts=facts)


def _taken(subject: Subject, answer: Answer, facts: dict[str, Any]) -> Check:
    """Judge an answer with a good status: it must be the API's."""
    if _is_json(answer.body):
        says = f"The endpoint answered after {answer.first_ms:.0f} ms and took the key."
        return Check(name=ANSWER, state=State.GOOD, says=says, facts=facts)
    if answer.trouble is not None:
        says, cause = "The answer broke off in the middle.", Cause.CUT_STREAM
        if answer.trouble.timed_out:
            says, cause = "The answer began and then stopped.", Cause.SILENT_STREAM
            if _alive(_events(answer.body)):
                says, cause = _ALIVE, Cause.NO_PROGRESS
        return Check(name=ANSWER, state=State.BAD, says=says, cause=cause, facts=facts)
    failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
    facts["excerpt"] = failure.raw[:300]
    says = "A web page answered in place of the API: most likely a sign-in page of this network."
    cause = Cause.SIGN_IN_PAGE
    if not _html(answer):
        says, cause = "What answered is not the API.", Cause.WRONG_ADDRESS
    return Check(name=ANSWER, state=State.BAD, says=says, cause=cause, facts=facts)


def _refused(name: str, subject: Subject, failure: Failure, facts: dict[str, Any]) -> Check:
    cause: str = failure.cause or failure.kind
    if failure.status == 401 and subject.key_problem is not None:
        cause = Cause.KEY_MISSING if not subject.headers else Cause.KEY_REFUSED
        return Check(name=name, state=State.BAD, says=subject.key_problem, cause=cause, facts=facts)
    facts["kind"] = failure.kind.value
    if failure.request_id:
        facts["requestId"] = failure.request_id
    says = f"The endpoint says {failure.status}: {failure.message}"
    return Check(name=name, state=State.BAD, says=says, cause=cause, facts=facts)


def _unanswered(name: str, trouble: Trouble) -> Check:
    cause, says = Cause.RESET, "The connection was closed without an answer."
    if trouble.timed_out:
        cause, says = Cause.NO_FIRST_BYTE, "The request was taken and nothing came back."
    elif isinstance(trouble.error, ValueError):
        cause, says = Cause.WRONG_ADDRESS, f"{str(trouble.error).capitalize()}."
    elif trouble.step in (Step.PROXY, Step.CONNECT, Step.TLS):
        says = "The connection could not be opened again."
    return Check(name=name, state=State.BAD, says=says, cause=cause)


def _events(body: bytes) -> list[tuple[str, str]]:
    """Return the names and data of the whole events in a body."""
    found = []
    for part in body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n")[:-1]:
        name, data = "", ""
        for text in part.split("\n"):
            field, _, value = text.partition(":")
            if field == "event":
                name = value.strip()
            elif field == "data":
                data += value.strip()
        if name:
            found.append((name, data))
    return found


def _alive(events: list[tuple[str, str]]) -> bool:
    """Whether the last that came was only a sign of life."""
    return bool(events) and events[-1][0] == "ping"


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _html(answer: Answer) -> bool:
    head = answer.body[:512].lstrip().lower()
    kind = answer.headers.get("content-type", "").lower()
    return "html" in kind or head.startswith((b"<!doctype html", b"<html"))


_ALIVE: Final = "The stream sends signs of life and no answer."
_TOLD: Final = ("server", "via", "x-cache", *REQUEST_ID_HEADERS)
