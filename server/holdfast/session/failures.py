"""The closed set of ways in which a call to the model can fail, and what is done about each.

Law: every failure of transport or API is one `FailureKind`, and every kind has one row in
`POLICIES`. The policy is data: no other module decides by status code or by words.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs
import msgspec

from holdfast.session.causes import CAUSES, Cause, Explanation, Offer


class FailureKind(StrEnum):
    """What went wrong, grouped by what can be done about it (specification §4.1)."""

    NETWORK = "network"  # nothing reached the API: refused, DNS, TLS, reset before headers
    TIMEOUT = "timeout"  # no answer in time: connect, first byte, 408, 504, timeout_error
    STALLED = "stalled"  # the stream went silent and was cut by the idle watchdog
    CUT = "cut"  # the stream broke or ended without `message_stop`
    OVERLOADED = "overloaded"  # 529, overloaded_error
    RATE_LIMITED = "rateLimited"  # 429 that passes by itself
    SPEND_LIMIT = "spendLimit"  # 429/400 limits that a person must lift
    SERVER = "server"  # 5xx, api_error, 409, HTML from a proxy
    AUTHENTICATION = "authentication"  # 401, or no key at all
    BILLING = "billing"  # 402, low credit
    PERMISSION = "permission"  # 403
    MODEL_GONE = "modelGone"  # 404 for the model
    TOO_LONG = "tooLong"  # more tokens than the window
    TOO_LARGE = "tooLarge"  # 413: more bytes than the endpoint takes
    INVALID_REQUEST = "invalidRequest"  # any other 4xx: the request itself is refused
    UNREADABLE = "unreadable"  # an answer that is no answer: bad JSON, bad UTF-8, empty body
    INTERNAL = "internal"  # a fault of our own while building or sending


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One failed request, with the server's own words (P12).

    `status` is the HTTP status (200 for an `error` event inside a stream, None without headers).
    `retry_after_ms` is what the server asked for. `raw` is at most 4 KB of the original body.
    `cause` is what was seen to be wrong, None when the kind says all that is known.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    type: str | None = None
    error_code: str | None = None
    request_id: str | None = None
    retry_after_ms: int | None = None
    cause: Cause | None = None
    raw: str = ""


class Remedy(StrEnum):
    """The family of answers to a failure."""

    RETRY = "retry"  # wait and send the same request again
    CONTINUE = "continue"  # like RETRY, but what was already shown is kept and continued
    RESHAPE = "reshape"  # the request must become smaller or valid first
    ASK = "ask"  # only a person can lift the cause


@attrs.frozen
class Policy:
    """What is done about one kind of failure. Times in milliseconds, full jitter applied later.

    `probe_ms` is how often a paused turn tries by itself whether the cause is gone;
    None means that it never does. `advice` is the next step in plain words.
    """

    remedy: Remedy
    base_ms: int
    probe_ms: int | None
    says: str
    advice: str
    actions: tuple[Offer, ...] = (Offer.RESUME, Offer.OTHER_MODEL, Offer.EDIT, Offer.DIAGNOSE)


UNSEEN: Final = frozenset(
    {FailureKind.BILLING, FailureKind.SPEND_LIMIT, FailureKind.MODEL_GONE},
)
"""What a free look at an endpoint does not see: it answers all the same."""

TRIED: Final[Mapping[Remedy, str]] = {
    Remedy.RETRY: "The same request is sent again by itself.",
    Remedy.CONTINUE: "What arrived is kept, and the turn goes on from there by itself.",
    Remedy.RESHAPE: "The request is made to fit, and sent again.",
    Remedy.ASK: "The turn waits; nothing is lost, and nothing is sent until you say so.",
}
"""What Holdfast does by itself about a failure, by the family of its answer."""

POLICIES: Final[Mapping[FailureKind, Policy]] = {
    FailureKind.NETWORK: Policy(
        Remedy.RETRY,
        1_000,
        30_000,
        "The API could not be reached.",
        "Check the network, VPN or proxy; the turn goes on by itself when the API answers.",
    ),
    FailureKind.TIMEOUT: Policy(
        Remedy.RETRY,
        1_000,
        60_000,
        "The API did not answer in time.",
        "Nothing is lost; the turn goes on by itself when the API answers.",
    ),
    FailureKind.STALLED: Policy(
        Remedy.CONTINUE,
        500,
        30_000,
        "The answer stopped arriving.",
        "What arrived is kept; the turn goes on from there.",
    ),
    FailureKind.CUT: Policy(
        Remedy.CONTINUE,
        500,
        30_000,
        "The answer was cut off.",
        "What arrived is kept; the turn goes on from there.",
    ),
    FailureKind.OVERLOADED: Policy(
        Remedy.RETRY,
        4_000,
        60_000,
        "The API is overloaded.",
        "Wait, or choose another model; the turn goes on by itself.",
    ),
    FailureKind.RATE_LIMITED: Policy(
        Remedy.RETRY,
        5_000,
        60_000,
        "The rate limit is reached.",
        "The turn goes on by itself when the limit allows it.",
    ),
    FailureKind.SPEND_LIMIT: Policy(
        Remedy.ASK,
        0,
        None,
        "A spend limit is reached.",
        "Raise the limit in the Console, then resume the turn.",
        (Offer.RESUME, Offer.SET_KEY, Offer.OTHER_MODEL, Offer.DIAGNOSE),
    ),
    FailureKind.SERVER: Policy(
        Remedy.RETRY,
        1_000,
        60_000,
        "The API reported an error of its own.",
        "Nothing is lost; the turn goes on by itself when the API answers.",
    ),
    FailureKind.AUTHENTICATION: Policy(
        Remedy.ASK,
        0,
        None,
        "The API key is missing or was refused.",
        "Give a valid API key, in your editor or as ANTHROPIC_API_KEY; then resume the turn.",
        (Offer.SET_KEY, Offer.RESUME, Offer.OTHER_MODEL, Offer.DIAGNOSE),
    ),
    FailureKind.BILLING: Policy(
        Remedy.ASK,
        0,
        None,
        "The account cannot be billed.",
        "Check Plans & Billing, then resume the turn.",
        (Offer.RESUME, Offer.SET_KEY, Offer.OTHER_MODEL, Offer.DIAGNOSE),
    ),
    FailureKind.PERMISSION: Policy(
        Remedy.ASK,
        0,
        None,
        "The key may not use this resource.",
        "Use another key or model, then resume the turn.",
        (Offer.SET_KEY, Offer.OTHER_MODEL, Offer.RESUME, Offer.DIAGNOSE),
    ),
    FailureKind.MODEL_GONE: Policy(
        Remedy.ASK,
        0,
        None,
        "The model is not available.",
        "Choose another model (setting holdfast.model), then resume the turn.",
        (Offer.OTHER_MODEL, Offer.RESUME, Offer.DIAGNOSE),
    ),
    FailureKind.TOO_LONG: Policy(
        Remedy.RESHAPE,
        0,
        None,
        "The conversation does not fit the model's window.",
        "Choose a model with a larger window or edit the prompt, then resume the turn.",
    ),
    FailureKind.TOO_LARGE: Policy(
        Remedy.RESHAPE,
        0,
        None,
        "The request has more bytes than the endpoint takes.",
        "Take pictures or long texts out of the prompt, then resume the turn.",
    ),
    FailureKind.INVALID_REQUEST: Policy(
        Remedy.RESHAPE,
        0,
        None,
        "The API refused the request.",
        "Repair the session, edit the prompt, or choose another model; nothing is lost.",
        (Offer.EDIT, Offer.OTHER_MODEL, Offer.RESUME, Offer.DIAGNOSE),
    ),
    FailureKind.UNREADABLE: Policy(
        Remedy.CONTINUE,
        1_000,
        60_000,
        "The answer could not be read.",
        "A proxy may change the stream; the turn goes on by itself.",
    ),
    FailureKind.INTERNAL: Policy(
        Remedy.ASK,
        0,
        None,
        "Holdfast failed to send the request.",
        "Nothing is lost; report this, then resume the turn.",
    ),
}


def explain(failure: Failure) -> Explanation:
    """Return what is told of a failure: its cause's row, else its kind's. No reason is invented."""
    policy = POLICIES[failure.kind]
    tried = TRIED[policy.remedy]
    if failure.cause is None or failure.cause is Cause.UNKNOWN:
        return Explanation(policy.says, policy.advice, tried, policy.actions)
    row = CAUSES[failure.cause]
    return attrs.evolve(row, tried=tried, actions=row.actions or policy.actions)


def told(failure: Failure) -> str:
    """Return what was seen, and in brackets the words it was seen by, if they say more."""
    says, words = explain(failure).says, failure.message
    if not words or words in says:
        return says
    return words if words.startswith(says) else f"{says} ({words})"


def raw_words(failure: Failure) -> str:
    """Return what the server really said (P12)."""
    lines = (
        ("status", failure.status),
        ("type", failure.type),
        ("code", failure.error_code),
        ("message", failure.message),
        ("requestId", failure.request_id),
        ("body", failure.raw),
    )
    return "\n".join(f"{name}: {value}" for name, value in lines if value not in (None, ""))
