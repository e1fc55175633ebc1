"""Error codes, fragments, types and statuses, each with the failure it means.

Law: this is the whole knowledge of how the API and the gateways in front of it word their errors
(specification §4.1, §4.4, R1-R100). A new wording is a new row here and a new row in the test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from holdfast.session.causes import Cause
from holdfast.session.failures import FailureKind

REQUEST_ID_HEADERS: Final = (
    "request-id",
    "x-request-id",
    "x-amzn-requestid",
    "x-litellm-call-id",
    "cf-ray",
)

# `error.details.error_code`, and `error.code` of servers in OpenAI's style.
CODES: Final[Mapping[str, FailureKind]] = {
    "contract_spend_limit_reached": FailureKind.SPEND_LIMIT,
    "enforced_spend_limit_reached": FailureKind.SPEND_LIMIT,
    "linked_organization_spend_limit_reached": FailureKind.SPEND_LIMIT,
    "ramp_limit_exceeded": FailureKind.RATE_LIMITED,
    "compaction_unavailable": FailureKind.OVERLOADED,
    "organization_on_hold": FailureKind.BILLING,
    "linked_organization_billing_unavailable": FailureKind.BILLING,
    "claude_code_version_too_old": FailureKind.PERMISSION,
    "claude_code_key_creator_not_member": FailureKind.PERMISSION,
    "organization_type_not_supported": FailureKind.PERMISSION,
    "parent_organization_required": FailureKind.PERMISSION,
    "sandbox_egress_restricted": FailureKind.PERMISSION,
    "cmek_key_disabled": FailureKind.PERMISSION,
    "cmek_key_network_blocked": FailureKind.PERMISSION,
    "cmek_key_unreachable": FailureKind.SERVER,
    "cmek_context_unavailable": FailureKind.SERVER,
    "skill_read_blocked_undecryptable": FailureKind.PERMISSION,
    "request_body_timeout": FailureKind.TIMEOUT,
    "request_body_too_large_after_decoding": FailureKind.TOO_LARGE,
    "context_length_exceeded": FailureKind.TOO_LONG,
    "insufficient_quota": FailureKind.BILLING,
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "model_not_found": FailureKind.MODEL_GONE,
    "invalid_api_key": FailureKind.AUTHENTICATION,
}

CODE_PREFIXES: Final = (
    ("user_profile_billing_", FailureKind.BILLING),
    ("user_profile_", FailureKind.PERMISSION),
)


@attrs.frozen
class Fragment:
    """Words that stand for a kind; with `statuses`, only in answers with one of them."""

    kind: FailureKind
    pattern: re.Pattern[str]
    statuses: frozenset[int] = frozenset()


def _fragment(kind: FailureKind, *alternatives: str, statuses: tuple[int, ...] = ()) -> Fragment:
    return Fragment(kind, re.compile("|".join(alternatives), re.IGNORECASE), frozenset(statuses))


RATE_WORDING: Final = re.compile(
    r"rate.?limit|per (?:minute|min|hour|day)\b|tokens? per|\b[TR]P[MD]\b", re.IGNORECASE
)

WAIT_WORDING: Final = re.compile(r"\bTry again in (\d+(?:\.\d+)?) seconds")

# Anchored as closely as the wordings allow: a 400 of another kind that merely speaks of a
# "context" must not start a compaction that removes nothing (B23).
FRAGMENTS: Final = (
    _fragment(
        FailureKind.TOO_LONG,
        r"prompt is too long",  # R89
        r"input length and `?max_tokens`? exceed context limit",  # R90
        r"extra usage is required for long context",  # B19: the tier ends at a smaller window
        r"exceeds? (?:the |this model'?s )?(?:maximum |available )?context "
        r"(?:length|window|limit|size)",
        r"maximum context length",
        r"context[ _]length[ _]exceeded|ContextWindowExceededError",
        r"input is too long for requested model",
        r"input token count\b.{0,40}\bexceeds",
    ),
    _fragment(
        FailureKind.TOO_LARGE,
        r"request exceeds the maximum size",
        r"request (?:entity |body )?(?:is )?too large",
        r"payload too large",
        r"failed to buffer the request body",
        r"body exceeded .{0,30}limit",
    ),
    _fragment(
        FailureKind.SPEND_LIMIT,
        r"reached your specified\b.{0,40}\busage limits",  # R100
        r"\bspend(?:ing)? limit",
        r"budget has been exceeded|BudgetExceededError",
    ),
    _fragment(
        FailureKind.BILLING,
        r"credit balance is too low",  # R100
        r"insufficient (?:credits?|funds|balance|quota)",
        r"requires more credits",
    ),
    _fragment(
        FailureKind.SERVER,  # LiteLLM calls it a rate limit, whatever the failures were
        r"No deployments available for selected model",
    ),
    _fragment(
        FailureKind.OVERLOADED,  # the type is lost in a translation, the word is not
        r"(?:Exception|Error) - Overloaded\b",
    ),
    _fragment(
        FailureKind.CUT,  # a gateway tells of the end of its own connection by an error event
        r"Response payload is not completed",
        r"Stream ended before a finish_reason was received",
        statuses=(200,),
    ),
    _fragment(FailureKind.STALLED, r"Timeout on reading data from socket", statuses=(200,)),
    _fragment(
        FailureKind.MODEL_GONE,
        r"^model: \S+$",  # R10
        r"\bmodel:? [`'\"]?[^\s`'\"]+[`'\"]?,? (?:was )?not found",
        r"\bmodel [`'\"]?[^\s`'\"]+[`'\"]? (?:does not exist|has been retired|is not available)",
        r"\b(?:invalid|unknown|no such) model\b",
        r"no endpoints found for",
        statuses=(200, 400, 404, 410, 422),
    ),
)

# LiteLLM's words for a key, a team and so on that may not use a model.
MODEL_DENIED: Final = frozenset(
    f"{whose}_model_access_denied"
    for whose in ("key", "team", "user", "customer", "org", "project", "agent")
)

# Types that say what is the matter whatever the status; with HTTP 200 they are all there is.
SPECIFIC_TYPES: Final[Mapping[str | None, FailureKind]] = {
    "authentication_error": FailureKind.AUTHENTICATION,
    "billing_error": FailureKind.BILLING,
    "permission_error": FailureKind.PERMISSION,
    "request_too_large": FailureKind.TOO_LARGE,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "timeout_error": FailureKind.TIMEOUT,
    "overloaded_error": FailureKind.OVERLOADED,
    "conflict_error": FailureKind.SERVER,
    # LiteLLM's own. Without a database it knows one key, and cannot look up another.
    "no_db_connection": FailureKind.AUTHENTICATION,
    "token_not_found_in_db": FailureKind.AUTHENTICATION,
    "expired_key": FailureKind.AUTHENTICATION,
    "auth_error": FailureKind.AUTHENTICATION,
    "budget_exceeded": FailureKind.SPEND_LIMIT,
    **dict.fromkeys(MODEL_DENIED, FailureKind.PERMISSION),
}

# Types that servers use for everything; a telling status knows better.
GENERAL_TYPES: Final[Mapping[str | None, FailureKind]] = {
    "invalid_request_error": FailureKind.INVALID_REQUEST,
    "api_error": FailureKind.SERVER,
}

STATUSES: Final[Mapping[int, FailureKind]] = {
    401: FailureKind.AUTHENTICATION,
    402: FailureKind.BILLING,
    403: FailureKind.PERMISSION,
    407: FailureKind.NETWORK,  # the proxy, not the API, wants a password
    408: FailureKind.TIMEOUT,
    409: FailureKind.SERVER,
    410: FailureKind.MODEL_GONE,  # what is gone for good behind a gateway is a model (A34)
    413: FailureKind.TOO_LARGE,
    425: FailureKind.SERVER,
    429: FailureKind.RATE_LIMITED,
    431: FailureKind.INTERNAL,  # our headers; no repair of the history makes them smaller
    499: FailureKind.TIMEOUT,  # a gateway gave up in our name
    504: FailureKind.TIMEOUT,
    511: FailureKind.NETWORK,  # a captive portal
    522: FailureKind.TIMEOUT,
    524: FailureKind.TIMEOUT,
    529: FailureKind.OVERLOADED,
}

# A page was written by something in between, so its 400 or 404 says nothing about the request.
# A firewall's 403 is no word about the key: it passes with another network or a VPN.
HTML_STATUSES: Final[Mapping[int, FailureKind]] = {
    status: kind for status, kind in STATUSES.items() if status not in {409, 425, 431}
} | {403: FailureKind.NETWORK}

# LiteLLM names its own exception in the message when it quotes no body of the API.
WRAPPERS: Final[Mapping[str, FailureKind]] = {
    "AuthenticationError": FailureKind.AUTHENTICATION,
    "PermissionDeniedError": FailureKind.PERMISSION,
    "BadRequestError": FailureKind.INVALID_REQUEST,
    "UnprocessableEntityError": FailureKind.INVALID_REQUEST,
    "NotFoundError": FailureKind.MODEL_GONE,
    "RateLimitError": FailureKind.RATE_LIMITED,
    "Timeout": FailureKind.TIMEOUT,
}

# -- causes, below the kinds -----------------------------------------------------------------------

# Statuses that only a proxy or gateway gives, whatever it writes with them.
CAUSES_OF_STATUSES: Final[Mapping[int, Cause]] = {
    407: Cause.PROXY_LOGIN,
    511: Cause.SIGN_IN_PAGE,
    499: Cause.GATEWAY_TIMEOUT,
    502: Cause.GATEWAY_PAGE,
    522: Cause.GATEWAY_TIMEOUT,
    524: Cause.GATEWAY_TIMEOUT,
}

CAUSES_OF_CODES: Final[Mapping[str, Cause]] = {"request_body_timeout": Cause.UPLOAD_STUCK}

# Kinds that say who and why by themselves.
CAUSES_OF_KINDS: Final[Mapping[FailureKind, Cause]] = {
    FailureKind.OVERLOADED: Cause.OVERLOADED,
    FailureKind.RATE_LIMITED: Cause.RATE_LIMITED,
    FailureKind.SPEND_LIMIT: Cause.SPEND_LIMIT,
    FailureKind.BILLING: Cause.BILLING,
    FailureKind.MODEL_GONE: Cause.MODEL_GONE,
    FailureKind.CUT: Cause.CUT_STREAM,
    FailureKind.STALLED: Cause.SILENT_STREAM,
}

# What an answer without the API's envelope shows: the API always writes one.
CAUSES_OF_STRANGERS: Final[Mapping[FailureKind, Cause]] = {
    FailureKind.TOO_LARGE: Cause.TOO_LARGE_FOR_PROXY,
    FailureKind.TIMEOUT: Cause.GATEWAY_TIMEOUT,
    FailureKind.NETWORK: Cause.GATEWAY_PAGE,
    FailureKind.PERMISSION: Cause.GATEWAY_PAGE,
    FailureKind.SERVER: Cause.GATEWAY_PAGE,
}


@attrs.frozen
class CauseFragment:
    """Words that show a cause, in failures of one kind."""

    kind: FailureKind
    cause: Cause
    pattern: re.Pattern[str]


def _shows(kind: FailureKind, cause: Cause, *alternatives: str) -> CauseFragment:
    return CauseFragment(kind, cause, re.compile("|".join(alternatives), re.IGNORECASE))


# What gateways say of themselves in the API's envelope: their HTTP libraries' words, in the main.
CAUSES_OF_FRAGMENTS: Final = (
    _shows(FailureKind.SERVER, Cause.GATEWAY_COOLDOWN, r"No deployments available for selected"),
    _shows(
        FailureKind.SERVER,
        Cause.GATEWAY_UPSTREAM,
        r"Cannot connect to host",
        r"Exception - Server disconnected",
        r"\bConnection reset by peer\b",
        r"^fetch failed\b",
        r"Response payload is not completed",
    ),
    _shows(FailureKind.TIMEOUT, Cause.GATEWAY_TIMEOUT, r"\blitellm\.Timeout\b"),
)

FORBIDDING: Final = MODEL_DENIED | {"permission_error"}
"""Types of a refusal that is about the key, and about nothing else."""

KEY_EXPIRED: Final = re.compile(r"\bexpired\b", re.IGNORECASE)
KEY_MISSING: Final = re.compile(
    r"(?:key|token|authorization|header)s?\b.{0,30}\b(?:required|missing|not (?:set|provided))"
    r"|\b(?:no|missing) (?:api[ -]?key|authentication|authorization|credentials|token)\b",
    re.IGNORECASE,
)
