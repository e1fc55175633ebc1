"""What the endpoint answers: to a free question and to a large upload.

Law: pure. Answers are judged by the same classification as those of a turn, and what became of an
upload by what the other side has acknowledged. Streams are judged in `streams`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from holdfast.conversation import encoding
from holdfast.model.classification import from_response
from holdfast.model.failure_tables import REQUEST_ID_HEADERS
from holdfast.model.port import Probe
from holdfast.network import event_stream
from holdfast.network.path import server_time
from holdfast.network.reports import Check, State
from holdfast.network.secrets import Blotter
from holdfast.network.subjects import Subject
from holdfast.network.wire import Answer, Step, Trouble
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure

ANSWER: Final = "answer"
UPLOAD: Final = "upload"
LIMITS: Final = "limits"
CLOCK: Final = "clock"

CLOCK_WRONG: Final = "clockWrong"

UPLOAD_BYTES: Final = 128 * 1024
_SKEW_S: Final = 120.0
_LITTLE: Final = 0.1
_NOT_OFFERED: Final = frozenset({404, 405, 501})


def question(subject: Subject) -> tuple[str, dict[str, str]]:
    """Return path and headers of the free question: which models are there."""
    return "/v1/models?limit=1", {**subject.headers, "anthropic-version": "2023-06-01"}


def upload_body(subject: Subject) -> bytes:
    """Return a body of 128 KB whose tokens are to be counted, which is free."""
    return body(subject, "- " * (UPLOAD_BYTES // 2))


def body(subject: Subject, text: str, **more: Any) -> bytes:
    """Return a request that says `text`, of the model that is measured."""
    message = {"role": "user", "content": text}
    model = subject.model or "claude-opus-5-5"
    return encoding.encode({"model": model, "messages": [message], **more}).encode()


# -- judging, pure ---------------------------------------------------------------------------------


def answered(subject: Subject, answer: Answer | Trouble) -> Check:
    """Judge the answer to the free question."""
    if isinstance(answer, Trouble):
        return unanswered(ANSWER, answer)
    facts: dict[str, Any] = {"status": answer.status, "ms": round(answer.first_ms)}
    facts |= {name: value for name in _TOLD if (value := answer.headers.get(name))}
    if answer.status < 300:
        return _taken(subject, answer, facts)
    if answer.status in _NOT_OFFERED and not _html(answer):
        says = "The endpoint answers; it has no list of models, as many gateways."
        return Check(name=ANSWER, state=State.GOOD, says=says, facts=facts)
    failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
    return refused(ANSWER, subject, failure, facts)


def uploaded(subject: Subject, answer: Answer | Trouble) -> Check:
    """Judge what came of the large upload, when the small question had been answered."""
    size = f"{UPLOAD_BYTES // 1024} KB"
    facts: dict[str, Any] = {"bytes": UPLOAD_BYTES}
    if isinstance(answer, Trouble):
        cause, says = _not_uploaded(answer, size)
        if answer.unsent is not None:
            facts["unacknowledged"] = answer.unsent
        return Check(name=UPLOAD, state=State.BAD, says=says, cause=cause, facts=facts)
    facts |= {"status": answer.status, "ms": round(answer.first_ms)}
    if answer.status == 413:
        failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
        says = f"A request of {size} is refused as too large: {failure.message}"
        cause = Cause.TOO_LARGE_FOR_PROXY
        return Check(name=UPLOAD, state=State.BAD, says=says, cause=cause, facts=facts)
    return Check(name=UPLOAD, state=State.GOOD, says=f"{size} go through.", facts=facts)


def _not_uploaded(trouble: Trouble, size: str) -> tuple[Cause, str]:
    """Say what became of an upload that has no answer.

    What the other side has acknowledged has arrived there: bytes that stay unacknowledged are lost
    on the way, bytes that become fewer are slow, and when none are left the silence is an answer's.
    """
    begun = f"A small request is answered, one of {size} is not"
    if not trouble.timed_out:
        return Cause.RESET, f"The connection was closed while {size} were sent."
    if trouble.moving:
        return Cause.UPLOAD_STUCK, f"{begun} in time: it is still being sent. The line is slow."
    if trouble.unsent == 0:
        return Cause.NO_FIRST_BYTE, f"{begun}, though all of it has arrived."
    why = (
        "packets get lost on the way when they are large (a wrong MTU, often of a VPN), or "
        "something on it does not take them."
    )
    if trouble.unsent is None:
        return Cause.UPLOAD_STUCK, f"{begun}: {why}"
    return Cause.UPLOAD_STUCK, f"{begun}. {_kilobytes(trouble.unsent)} have not arrived: {why}"


def _kilobytes(count: int) -> str:
    return f"{-(-count // 1024)} KB"


def looked(subject: Subject, probe: Probe) -> Check:
    """Judge what the endpoint's own client has seen at a free look, its sign-in included."""
    facts: dict[str, Any] = {"ms": probe.latency_ms}
    if probe.failure is not None:
        facts["status"] = probe.failure.status
        return refused(ANSWER, subject, probe.failure, facts)
    says = f"The endpoint answered after {probe.latency_ms} ms, and this machine can sign in to it."
    return Check(name=ANSWER, state=State.GOOD, says=says, facts=facts)


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
            if event_stream.alive(event_stream.events(answer.body)):
                says, cause = ALIVE, Cause.NO_PROGRESS
        return Check(name=ANSWER, state=State.BAD, says=says, cause=cause, facts=facts)
    failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
    facts["excerpt"] = Blotter(subject.secrets).text(failure.raw)[:300]
    says = "A web page answered in place of the API: most likely a sign-in page of this network."
    cause = Cause.SIGN_IN_PAGE
    if not _html(answer):
        says, cause = "What answered is not the API.", Cause.WRONG_ADDRESS
    return Check(name=ANSWER, state=State.BAD, says=says, cause=cause, facts=facts)


def refused(name: str, subject: Subject, failure: Failure, facts: dict[str, Any]) -> Check:
    """Say what the endpoint has refused with, in its own words."""
    cause: str = failure.cause or failure.kind
    if failure.status == 401 and subject.key_problem is not None:
        cause = Cause.KEY_MISSING if not subject.headers else Cause.KEY_REFUSED
        return Check(name=name, state=State.BAD, says=subject.key_problem, cause=cause, facts=facts)
    facts["kind"] = failure.kind.value
    if failure.request_id:
        facts["requestId"] = failure.request_id
    who = f"The endpoint says {failure.status}: " if failure.status else ""
    says = f"{who}{failure.message}"
    return Check(name=name, state=State.BAD, says=says, cause=cause, facts=facts)


def unanswered(name: str, trouble: Trouble) -> Check:
    """Judge a request that got no answer at all."""
    cause, says = Cause.RESET, "The connection was closed without an answer."
    if trouble.timed_out:
        cause, says = Cause.NO_FIRST_BYTE, "The request was taken and nothing came back."
    elif isinstance(trouble.error, ValueError):
        cause, says = Cause.WRONG_ADDRESS, f"{str(trouble.error).capitalize()}."
    elif trouble.step in (Step.PROXY, Step.CONNECT, Step.TLS):
        says = "The connection could not be opened again."
    return Check(name=name, state=State.BAD, says=says, cause=cause)


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _html(answer: Answer) -> bool:
    head = answer.body[:512].lstrip().lower()
    kind = answer.headers.get("content-type", "").lower()
    return "html" in kind or head.startswith((b"<!doctype html", b"<html"))


ALIVE: Final = "The stream sends signs of life and no answer."
_TOLD: Final = ("server", "via", "x-cache", *REQUEST_ID_HEADERS)
