"""Which failure an answer of a cloud is, or its credentials' refusal to be there.

Law: total and pure, like `classification`, which reads status and words first; what only a cloud
says - its own names of errors - is data here and goes before. A key that a cloud has refused is
never called an API key: people sign in to clouds with the clouds' own tools.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from holdfast.conversation import encoding
from holdfast.model import classification, transport_faults
from holdfast.model.clouds.places import NAMES
from holdfast.model.port import ModelFailed
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import Failure, FailureKind
from holdfast.settings import Kind

_READ_BYTES_MAX: Final = 1 << 20

Meaning: TypeAlias = tuple[FailureKind, Cause | None]

_EXPIRED: Final[Meaning] = (FailureKind.AUTHENTICATION, Cause.CLOUD_SIGN_IN_EXPIRED)
_REFUSED: Final[Meaning] = (FailureKind.AUTHENTICATION, Cause.CLOUD_SIGN_IN_REFUSED)
_MISSING: Final[Meaning] = (FailureKind.AUTHENTICATION, Cause.CLOUD_SIGN_IN_MISSING)
_NO_ACCESS: Final[Meaning] = (FailureKind.PERMISSION, Cause.CLOUD_NO_ACCESS)
_LIMITED: Final[Meaning] = (FailureKind.RATE_LIMITED, Cause.RATE_LIMITED)
_BUSY: Final[Meaning] = (FailureKind.OVERLOADED, Cause.OVERLOADED)
_GONE: Final[Meaning] = (FailureKind.MODEL_GONE, Cause.MODEL_GONE)
_BILLING: Final[Meaning] = (FailureKind.BILLING, Cause.BILLING)
_BROKEN: Final[Meaning] = (FailureKind.SERVER, Cause.SERVER_ERROR)
_LATE: Final[Meaning] = (FailureKind.TIMEOUT, Cause.GATEWAY_TIMEOUT)

# Names of errors without "Exception", as the clouds write them in headers, bodies and frames.
_AMAZON: Final[Mapping[str, Meaning]] = {
    "ExpiredToken": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "UnrecognizedClient": _REFUSED,
    "InvalidClientTokenId": _REFUSED,
    "InvalidSignature": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "IncompleteSignature": _REFUSED,
    "MissingAuthenticationToken": _REFUSED,
    "AccessDenied": _NO_ACCESS,
    "NotAuthorized": _NO_ACCESS,
    "OptInRequired": _NO_ACCESS,
    "FTUFormNotFilled": _NO_ACCESS,
    "Throttling": _LIMITED,
    "TooManyRequests": _LIMITED,
    "ServiceQuotaExceeded": _LIMITED,
    "ModelNotReady": _BUSY,
    "ServiceUnavailable": _BUSY,
    "ModelTimeout": _LATE,
    "ModelError": _BROKEN,
    "ModelStreamError": _BROKEN,
    "InternalServer": _BROKEN,
    "InternalFailure": _BROKEN,
    "ResourceNotFound": _GONE,
}
_GOOGLE: Final[Mapping[str, Meaning]] = {
    "UNAUTHENTICATED": _REFUSED,
    "PERMISSION_DENIED": _NO_ACCESS,
    "BILLING_DISABLED": _BILLING,
    "RESOURCE_EXHAUSTED": _LIMITED,
    "NOT_FOUND": _GONE,
    "UNAVAILABLE": _BUSY,
    "DEADLINE_EXCEEDED": _LATE,
    "INTERNAL": _BROKEN,
}
_AZURE: Final[Mapping[str, Meaning]] = {
    "401": _REFUSED,
    "Unauthorized": _REFUSED,
    "InvalidAuthenticationToken": _REFUSED,
    "ExpiredAuthenticationToken": _EXPIRED,
    "PermissionDenied": _NO_ACCESS,
    "AuthorizationFailed": _NO_ACCESS,
    "403": _NO_ACCESS,
    "DeploymentNotFound": _GONE,
    "unknown_model": _GONE,
    "429": _LIMITED,
    "RateLimitReached": _LIMITED,
    "too_many_requests": _LIMITED,
    "InternalServerError": _BROKEN,
}
_NAMED: Final[Mapping[Kind, Mapping[str, Meaning]]] = {
    Kind.BEDROCK: _AMAZON,
    Kind.VERTEX: _GOOGLE,
    Kind.FOUNDRY: _AZURE,
}


@attrs.frozen
class _Words:
    """Words that say more than the name that they come with; only with these kinds."""

    meaning: Meaning
    pattern: re.Pattern[str]
    kinds: frozenset[FailureKind]


def _words(meaning: Meaning, pattern: str, *kinds: FailureKind) -> _Words:
    return _Words(meaning, re.compile(pattern, re.IGNORECASE), frozenset(kinds))


_WORDS: Final = (
    _words(
        _EXPIRED,
        r"\b(?:token|credential\w*|key)\b.{0,60}\bexpired",
        FailureKind.AUTHENTICATION,
        FailureKind.PERMISSION,
    ),
    _words(
        _MISSING,
        r"failed to retrieve a token from the included credentials",
        FailureKind.AUTHENTICATION,
    ),
    _words(
        _REFUSED,
        r"authentication failed|api key is (?:not )?valid|security token .{0,30}is invalid",
        FailureKind.PERMISSION,
    ),
    _words(_NO_ACCESS, r"use case details have not been submitted", FailureKind.MODEL_GONE),
    _words(
        _NO_ACCESS,
        r"operation not allowed|not allowed to use publisher model",
        FailureKind.INVALID_REQUEST,
    ),
    _words(
        _GONE,
        r"model identifier is invalid|on-demand throughput isn.t supported|is not servable",
        FailureKind.INVALID_REQUEST,
    ),
)

# What `classification` calls the key of the API is the sign-in to the cloud here.
_TRANSLATED: Final[Mapping[Cause, Cause]] = {
    Cause.KEY_MISSING: Cause.CLOUD_SIGN_IN_MISSING,
    Cause.KEY_REFUSED: Cause.CLOUD_SIGN_IN_REFUSED,
    Cause.KEY_EXPIRED: Cause.CLOUD_SIGN_IN_EXPIRED,
    Cause.KEY_FORBIDDEN: Cause.CLOUD_NO_ACCESS,
}

# What the credentials' libraries raise, by class; the first that an exception's classes have.
_SIGN_IN: Final[Mapping[str, Meaning]] = {
    "UnauthorizedSSOTokenError": _EXPIRED,
    "SSOTokenLoadError": _EXPIRED,
    "TokenRetrievalError": _EXPIRED,
    "LoginRefreshRequired": _EXPIRED,
    "ReauthFailError": _EXPIRED,
    "RefreshError": _EXPIRED,
    "DefaultCredentialsError": _MISSING,
    "NoCredentialsError": _MISSING,
    "PartialCredentialsError": _MISSING,
    "ProfileNotFound": _MISSING,
    "ConfigNotFound": _MISSING,
    "CredentialUnavailableError": _MISSING,
    "CredentialRetrievalError": _REFUSED,
    "ClientAuthenticationError": _REFUSED,
    "GoogleAuthError": _REFUSED,
}
# These say that the place where one signs in was not reached, which passes.
_UNREACHED: Final = frozenset(
    {
        "TransportError",
        "EndpointConnectionError",
        "ConnectionClosedError",
        "HTTPClientError",
        "ServiceRequestError",
        "MetadataRetrievalError",
    }
)
_EXTRAS: Final[Mapping[Kind, str]] = {
    Kind.BEDROCK: "bedrock",
    Kind.VERTEX: "vertex",
    Kind.FOUNDRY: "foundry",
}


def from_response(
    cloud: Kind, status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str] = ()
) -> Failure:
    """Classify an answer with an error status."""
    failure = classification.from_response(status, headers, body, secrets)
    return _meant(cloud, failure, _names_in(headers, body), genuine=_is_genuine(headers))


def from_event(
    cloud: Kind, data: str, request_id: str | None = None, secrets: Sequence[str] = ()
) -> Failure:
    """Classify an `error` event, or a frame of Bedrock's stream that is one."""
    failure = classification.from_event(data, request_id, secrets)
    return _meant(cloud, failure, _names_in({}, data.encode()), genuine=True)


def from_sign_in(cloud: Kind, error: BaseException, secrets: Sequence[str] = ()) -> Failure:
    """Classify what was raised while the cloud's credentials were looked for."""
    names = [kind.__name__ for link in _chain(error) for kind in type(link).__mro__]
    if any(name in _UNREACHED for name in names):
        failure = transport_faults.from_exception(error, headers_received=False, secrets=secrets)
        late = failure.cause is Cause.CONNECT_TIMEOUT
        kind = FailureKind.TIMEOUT if late else FailureKind.NETWORK
        return msgspec.structs.replace(failure, kind=kind)
    meaning = next((_SIGN_IN[name] for name in names if name in _SIGN_IN), _MISSING)
    says = classification.excerpt(str(error).strip() or type(error).__name__, secrets)
    for words in _WORDS:
        if meaning[0] in words.kinds and words.pattern.search(says):
            meaning = words.meaning
            break
    return _failure(meaning, f"{NAMES[cloud]}: {says.splitlines()[0][:500]}", raw=says)


def client_missing(cloud: Kind, module: str) -> ModelFailed:
    """Return the failure of an endpoint whose extra is not installed, with the command for it."""
    # Double quotes are quotes in every shell, also in that of Windows.
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    command = f'{python} -m pip install "holdfast[{_EXTRAS[cloud]}]"'
    words = f"{NAMES[cloud]} needs the package {module}. Install it with: {command}"
    return ModelFailed(_failure((FailureKind.AUTHENTICATION, Cause.CLOUD_CLIENT_MISSING), words))


def misplaced(problem: str) -> ModelFailed:
    """Return the failure of an endpoint that does not say where it is."""
    return ModelFailed(_failure((FailureKind.AUTHENTICATION, None), problem))


def signed_in_too_late(cloud: Kind, waited_s: float) -> ModelFailed:
    """Return the failure of credentials that were looked for in vain until time was up."""
    words = f"Signing in to {NAMES[cloud]} took longer than {waited_s:g} s."
    return ModelFailed(_failure((FailureKind.TIMEOUT, None), words))


def not_offered(cloud: Kind, what: str) -> ModelFailed:
    """Return the answer to what a cloud does not have, as a server gives it: 404."""
    failure = Failure(kind=FailureKind.SERVER, message=f"{NAMES[cloud]} has no {what}.", status=404)
    return ModelFailed(failure)


def _meant(cloud: Kind, failure: Failure, names: Sequence[str], *, genuine: bool) -> Failure:
    """Return a failure as the cloud's own name and words for it mean it."""
    named = _NAMED[cloud]
    name = next((each for each in names if each in named), None)
    kind, cause = failure.kind, failure.cause
    kept = kind in {FailureKind.TOO_LONG, FailureKind.TOO_LARGE}
    if name is not None and not kept:
        kind, cause = named[name]
    for words in _WORDS:
        if kind in words.kinds and words.pattern.search(failure.message):
            kind, cause = words.meaning
            break
    if cause is not None:
        cause = _TRANSLATED.get(cause, cause)
    if kind is FailureKind.PERMISSION and (cause is None or genuine):
        cause = Cause.CLOUD_NO_ACCESS
    elif cause is Cause.GATEWAY_PAGE and genuine:
        cause = Cause.SERVER_ERROR if kind is FailureKind.SERVER else None
    shown = name or next(iter(names), None) or failure.type
    return msgspec.structs.replace(failure, kind=kind, cause=cause, type=shown)


def _names_in(headers: Mapping[str, str], body: bytes) -> tuple[str, ...]:
    """Return the names of the error that a cloud's answer holds, the most special first."""
    known = {name.lower(): value for name, value in headers.items()}
    found = [_plain(known.get("x-amzn-errortype", ""))]
    try:
        value = encoding.decode(body[:_READ_BYTES_MAX].decode(errors="replace"))
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        found += _names_of(value)
    return tuple(name for name in found if name)


def _names_of(value: Mapping[str, Any]) -> Iterator[str]:
    error = value.get("error")
    if isinstance(error, dict):
        for detail in error.get("details") or () if isinstance(error.get("details"), list) else ():
            if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
                yield detail["reason"]
        for member in ("status", "code", "type"):
            named = error.get(member)
            if isinstance(named, str):
                yield _plain(named)
    for member in ("__type", "code", "Code", "statusCode"):
        named = value.get(member)
        if isinstance(named, str | int):
            yield _plain(str(named))


def _plain(name: str) -> str:
    """Return Amazon's name of an error without what it is wrapped in: a URL, a namespace."""
    plain = name.partition(":")[0].rpartition("#")[2].strip().removesuffix("Exception")
    is_frame = name.endswith("Exception") and plain[:1].islower()
    return plain[:1].upper() + plain[1:] if is_frame else plain


def _is_genuine(headers: Mapping[str, str]) -> bool:
    """Say whether an answer carries what only the clouds' own servers write."""
    known = {name.lower() for name in headers}
    return bool(known & {"x-amzn-requestid", "x-amzn-errortype", "apim-request-id", "x-ms-region"})


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(16):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _failure(meaning: Meaning, words: str, raw: str = "") -> Failure:
    kind, cause = meaning
    said = words if cause is None else f"{CAUSES[cause].says} ({words})"
    return Failure(kind=kind, message=said, cause=cause, raw=raw)
