"""The faults that a place on the way to an API can have, and what each is.

Law: data. What a place does with it is `stage.py`'s, what it plays to a request `plays.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import frozen

from network import plays
from network.plays import Play

LOOPBACK_4: Final = "127.0.0.1"
LOOPBACK_6: Final = "::1"
NO_SUCH_NAME: Final = "http://api.holdfast.invalid"


class Door(Enum):
    """What happens to a connection before anything is said on it."""

    OPEN = "accepted"
    SUSPENDED = "completed by the system, accepted by nobody"
    FULL = "its first packets are dropped"
    SHUT = "refused"


class Named(Enum):
    """What a name server says of a place's name. It answers well when the fault is gone."""

    UNKNOWN = "that there is no such name"
    SILENT = "nothing"
    BOTH_FAMILIES = "two addresses, of which the sixth family's leads nowhere, fault or not"


@frozen
class Fault:
    """One fault of a place.

    `certificate` is what the place shows (a name of `Certificates.chains`; None: no TLS), `secure`
    says that the client expects TLS. With `proxy` the client reaches the place by its environment;
    with `stale_proxy` its environment names a proxy that is not there, until the fault is gone.
    `api` says that the API itself answers so, and nothing on the way. A fault with an `address` is
    there, and the place is never reached. A place that is `named` is reached by a name, and only by
    a process that asks the stage's name server.
    """

    says: str
    play: Play = plays.relay
    door: Door = Door.OPEN
    certificate: str | None = None
    secure: bool = False
    proxy: bool = False
    host: str = LOOPBACK_4
    stale_proxy: bool = False
    api: bool = False
    address: str = ""
    named: Named | None = None


FAULTS: Final[Mapping[str, Fault]] = {
    # Nothing comes through.
    "name not found": Fault("no name server knows the host", address=NO_SUCH_NAME),
    "name unknown here": Fault("a name server does not know the host yet", named=Named.UNKNOWN),
    "name server silent": Fault("no name server answers", named=Named.SILENT),
    "refused": Fault("nothing listens at the port", door=Door.SHUT),
    "black hole": Fault("packets are dropped", door=Door.FULL),
    "suspended": Fault("the server is stopped, its system is not", door=Door.SUSPENDED),
    "never answers": Fault("the request is taken and nothing said", plays.never_answers),
    "reset": Fault("the connection is reset", plays.resets),
    "closed": Fault("the connection is closed without an answer", plays.closes),
    "not http": Fault("what listens speaks no HTTP", plays.no_event_stream),
    # An answer begins.
    "half-open": Fault("the answer stops and the connection stays", plays.half_open),
    "slow drip": Fault("the answer comes drop by drop", plays.drips),
    "buffering proxy": Fault("a proxy holds the answer back until it is whole", plays.holds_back),
    "cut at T": Fault("a proxy cuts every answer at one age", plays.cuts),
    "pings only": Fault("the stream lives and says nothing", plays.pings, api=True),
    # TLS.
    "interception": Fault(
        "a proxy shows a certificate of its own authority", certificate="intercepted", secure=True
    ),
    "certificate expired": Fault(
        "the certificate is over, or the clock ahead", certificate="expired", secure=True
    ),
    "wrong clock": Fault(
        "the certificate begins in the future: the clock is behind",
        certificate="not yet valid",
        secure=True,
    ),
    "other name": Fault(
        "the certificate is for another host", certificate="other name", secure=True
    ),
    "plain on a TLS port": Fault("TLS is answered by plain HTTP", secure=True),
    # Proxies of the environment.
    "proxy unreachable": Fault(
        "the proxy is not there", plays.lets_through, door=Door.SHUT, proxy=True
    ),
    "proxy with login": Fault("the proxy wants a login", plays.asks_for_login, proxy=True),
    "proxy refuses": Fault(
        "the proxy lets nobody there", plays.page(403, "Blocked by policy"), proxy=True
    ),
    "proxy switched off": Fault("the environment names a proxy of another place", stale_proxy=True),
    # Pages of what stands between.
    "html 502": Fault("a gateway's page: 502", plays.page(502, "502 Bad Gateway")),
    "html 504": Fault("a gateway's page: 504", plays.page(504, "504 Gateway Time-out")),
    "413 at a proxy": Fault("a proxy takes no large requests", plays.too_small),
    "sign-in page": Fault("a sign-in page instead of the API", plays.page(200, "Sign in to Wi-Fi")),
    "sign-in redirect": Fault(
        "a redirect to a sign-in page", plays.page(302, "Found", location="http://portal.example/")
    ),
    "wrong address": Fault("no API at this address", plays.page(404, "404 Not Found")),
    # What the API itself says.
    "revoked key": Fault("401 until there is a new key", plays.knows_a_new_key, api=True),
    "billing": Fault(
        "402", plays.says(402, "billing_error", "Your credit balance is too low."), api=True
    ),
    "forbidden": Fault(
        "403", plays.says(403, "permission_error", "Your key may not do this."), api=True
    ),
    "429 with retry-after": Fault(
        "429 and when to come again",
        plays.says(429, "rate_limit_error", "Too many requests.", retry_after="1"),
        api=True,
    ),
    "429 without retry-after": Fault(
        "429 and no word of when", plays.says(429, "rate_limit_error", "Slow down."), api=True
    ),
    "529 storm": Fault(
        "529 to everything", plays.says(529, "overloaded_error", "Overloaded"), api=True
    ),
    # No fault at all.
    "healthy": Fault("nothing is wrong"),
    "healthy TLS": Fault("nothing is wrong, over TLS", certificate="good", secure=True),
    "healthy proxy": Fault("nothing is wrong, through a proxy", plays.lets_through, proxy=True),
    "IPv6 only": Fault("only the sixth family of addresses listens", host=LOOPBACK_6),
    "IPv6 half-broken": Fault(
        "packets to the host's IPv6 address are dropped, its IPv4 address is fine",
        named=Named.BOTH_FAMILIES,
    ),
}
