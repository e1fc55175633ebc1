"""What each fault on the way to the API costs: the numbers behind the survival page.

Law: written here once, asserted by `test_weather.py` for every fault of the stage, printed by
`survival.py`; a number that no test holds is not on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from e2e.weather import Heals
from holdfast.session.causes import Cause
from holdfast.session.failures import FailureKind as Kind

ONCE: Final = 1
SILENCES: Final = 3
RETRIES: Final = 12
"""How many requests fit into the scaled budget: one that ends the turn's luck at once, those that
each wait for a limit, those that are refused at once."""

VISIBLE_S: Final = 2.0
SILENCE_VISIBLE_S: Final = 3.0
"""How long until a person sees a fault, and one that is nothing but silence: the silence that is
told, the second of the status, and what a shared machine adds.
"""


@dataclass(frozen=True)
class Weathered:
    """One row: by what a request fails, what makes the turn go on, and how many requests were made
    until it was paused, at most. Without a `kind` the turn is not stopped at all.
    """

    heals: Heals
    requests: int
    kind: Kind | None = None
    cause: Cause | None = None

    @property
    def visible_s(self) -> float:
        """Return within how many seconds a person sees it: at once, unless it is a silence."""
        return SILENCE_VISIBLE_S if self.requests == SILENCES else VISIBLE_S

    @property
    def verdict(self) -> str:
        """Return kind and cause as the journal has them."""
        return "/".join(part.value for part in (self.kind, self.cause) if part is not None)


def _retried(kind: Kind, cause: Cause, requests: int = RETRIES) -> Weathered:
    return Weathered("itself", requests, kind, cause)


def _unseen(kind: Kind, cause: Cause, requests: int = RETRIES) -> Weathered:
    return Weathered("asking", requests, kind, cause)


def _asked(kind: Kind, cause: Cause, heals: Heals = "a person") -> Weathered:
    return Weathered(heals, ONCE, kind, cause)


_HARMLESS: Final = Weathered("no harm", ONCE)
_CONTINUED: Final = Weathered("no harm", RETRIES)

WEATHER: Final[Mapping[str, Weathered]] = {
    "name not found": Weathered("elsewhere", RETRIES, Kind.NETWORK, Cause.NAME_NOT_FOUND),
    "name unknown here": _retried(Kind.NETWORK, Cause.NAME_NOT_FOUND),
    "name server silent": _retried(Kind.NETWORK, Cause.NAME_SERVER_SILENT),
    "refused": _retried(Kind.NETWORK, Cause.REFUSED),
    "black hole": _retried(Kind.TIMEOUT, Cause.CONNECT_TIMEOUT, SILENCES),
    "suspended": _retried(Kind.TIMEOUT, Cause.NO_FIRST_BYTE, SILENCES),
    "never answers": _retried(Kind.TIMEOUT, Cause.NO_FIRST_BYTE, SILENCES),
    "reset": _retried(Kind.NETWORK, Cause.RESET),
    "closed": _retried(Kind.NETWORK, Cause.RESET),
    "not http": _retried(Kind.NETWORK, Cause.RESET),
    "half-open": _retried(Kind.STALLED, Cause.SILENT_STREAM, SILENCES),
    "slow drip": _CONTINUED,
    "buffering proxy": _CONTINUED,
    "cut at T": Weathered("no harm", RETRIES, Kind.CUT, Cause.CUT_STREAM),
    "pings only": _unseen(Kind.STALLED, Cause.NO_PROGRESS, SILENCES),
    "interception": _retried(Kind.NETWORK, Cause.TLS_INTERCEPTED),
    "certificate expired": _retried(Kind.NETWORK, Cause.TLS_CLOCK),
    "wrong clock": _retried(Kind.NETWORK, Cause.TLS_CLOCK),
    "other name": _retried(Kind.NETWORK, Cause.TLS_NAME),
    "plain on a TLS port": _retried(Kind.NETWORK, Cause.TLS_REFUSED),
    "proxy unreachable": _retried(Kind.NETWORK, Cause.PROXY_UNREACHABLE),
    "proxy with login": _retried(Kind.NETWORK, Cause.PROXY_LOGIN),
    "proxy refuses": _retried(Kind.NETWORK, Cause.PROXY_REFUSED),
    "proxy switched off": Weathered("a restart", RETRIES, Kind.NETWORK, Cause.PROXY_UNREACHABLE),
    "html 502": _retried(Kind.SERVER, Cause.GATEWAY_PAGE),
    "html 504": _retried(Kind.TIMEOUT, Cause.GATEWAY_TIMEOUT),
    "413 at a proxy": _asked(Kind.TOO_LARGE, Cause.TOO_LARGE_FOR_PROXY),
    "sign-in page": _retried(Kind.UNREADABLE, Cause.SIGN_IN_PAGE),
    "sign-in redirect": _retried(Kind.NETWORK, Cause.REDIRECTED),
    "wrong address": _unseen(Kind.SERVER, Cause.WRONG_ADDRESS),
    "revoked key": _asked(Kind.AUTHENTICATION, Cause.KEY_REFUSED, "a new key"),
    "billing": _asked(Kind.BILLING, Cause.BILLING),
    "forbidden": _asked(Kind.PERMISSION, Cause.KEY_FORBIDDEN),
    "429 with retry-after": _retried(Kind.RATE_LIMITED, Cause.RATE_LIMITED),
    "429 without retry-after": _retried(Kind.RATE_LIMITED, Cause.RATE_LIMITED),
    "529 storm": _retried(Kind.OVERLOADED, Cause.OVERLOADED),
    "healthy": _HARMLESS,
    "healthy TLS": _HARMLESS,
    "healthy proxy": _HARMLESS,
    "IPv6 only": _HARMLESS,
    "IPv6 half-broken": _HARMLESS,
}
