"""The way to the endpoint, hop by hop: its name, its addresses, the proxy, TLS.

Law: each step uses what the one before has found, and says what it saw itself; what a person should
do about it is not said here but in the table of causes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import attrs

from holdfast.network import certificates
from holdfast.network.certificates import Certificate
from holdfast.network.reports import Check, State
from holdfast.network.subjects import Address, Place, Resolve, Route
from holdfast.network.threads import beside
from holdfast.network.wire import Connection, Patience, Step, Trouble, connect, connect_ms
from holdfast.session.causes import Cause

NAMES: Final = "names"
CONNECT: Final = "connect"
PROXY: Final = "proxy"
TLS: Final = "tls"

FAMILIES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
ONE_FAMILY_SILENT: Final = "oneFamilySilent"

# Documentation addresses (RFC 5737, RFC 3849): nothing is sent to them, the system is only asked
# whether it would know the way.
_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_UNTRUSTED: Final = frozenset({18, 19, 20, 21})  # X509_V_ERR_*: no known authority has signed it
_OUT_OF_TIME: Final = frozenset({9, 10})  # not valid yet, expired
_OTHER_NAME: Final = frozenset({62, 64})  # of another host, of another address
_SAME_TIME: Final = timedelta(days=1)
_MS: Final = 1000.0


def has_a_route() -> bool:
    """Say whether this machine has a route to anywhere else. Sends nothing."""
    for family, address in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
        except OSError:
            continue
        return True
    return False


async def names(place: Place, resolve: Resolve, patience: Patience) -> tuple[Check, list[Address]]:
    """Look up the host that is connected to."""
    if place.is_address:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        check = Check(name=NAMES, state=State.SKIPPED, says=f"{place.host} is an address already.")
        return check, [(family, place.host)]
    cause = Cause.NAME_SERVER_SILENT
    try:
        async with asyncio.timeout(patience.name_s):
            found = await beside(lambda: resolve(place.host, place.port), f"resolve {place.host}")
    except TimeoutError:
        says = f"The name server did not answer for {place.host} within {patience.name_s:.0f} s."
    except (OSError, UnicodeError) as error:
        if not isinstance(error, socket.gaierror) or error.errno != socket.EAI_AGAIN:
            cause = Cause.NAME_NOT_FOUND
        says = f"The name {place.host} was not resolved: {_words(error)}."
    else:
        counts = {name: sum(f is family for f, _ in found) for family, name in FAMILIES.items()}
        says = f"{place.host} has {_counted(counts)}."
        facts = {"addresses": [address for _, address in found]}
        return Check(name=NAMES, state=State.GOOD, says=says, facts=facts), found
    return Check(name=NAMES, state=State.BAD, says=says, cause=cause), []


@attrs.frozen
class Attempt:
    """One try to connect: `outcome` is `connected`, or how it failed."""

    address: Address
    outcome: str
    ms: float


async def attempt(address: Address, port: int, within_s: float) -> Attempt:
    """Connect to one address and hang up."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(within_s):
            took = await connect_ms(*address, port)
    except TimeoutError:
        return Attempt(address, "silent", within_s * _MS)
    except OSError as error:
        return Attempt(address, _OUTCOMES.get(error.errno or 0, _words(error)), _since(begun))
    return Attempt(address, "connected", took)


async def connects(
    route: Route, addresses: Sequence[Address], patience: Patience
) -> tuple[Check, Address | None]:
    """Connect to every address at once; return the check and the quickest address."""
    tries = await asyncio.gather(
        *(attempt(address, route.hop.port, patience.connect_s) for address in addresses)
    )
    good = sorted((each for each in tries if each.outcome == "connected"), key=lambda e: e.ms)
    facts = {
        "attempts": [
            {"address": each.address[1], "outcome": each.outcome, "ms": round(each.ms)}
            for each in tries
        ]
    }
    if not good:
        outcome = next((o for o in _TELLING if any(e.outcome == o for e in tries)), "")
        cause = (
            Cause.PROXY_UNREACHABLE if route.proxied else _CAUSES.get(outcome, Cause.UNREACHABLE)
        )
        what = "The proxy" if route.proxied else "The server"
        how = outcome or (tries[0].outcome if tries else "no address")
        says = f"{what} {route.hop} cannot be connected to ({_SAID.get(how, how)})."
        return Check(name=CONNECT, state=State.BAD, says=says, cause=cause, facts=facts), None
    best = good[0]
    says = f"{route.hop} was connected to in {best.ms:.0f} ms"
    silent = [FAMILIES.get(e.address[0], "?") for e in tries if e.outcome == "silent"]
    if silent:
        says += f"; its {silent[0]} address does not answer"
        return (
            Check(
                name=CONNECT,
                state=State.WARNING,
                says=f"{says}.",
                cause=ONE_FAMILY_SILENT,
                facts=facts,
            ),
            best.address,
        )
    return Check(name=CONNECT, state=State.GOOD, says=f"{says}.", facts=facts), best.address


async def opened(
    route: Route, address: Address, context: ssl.SSLContext | None, patience: Patience
) -> Connection:
    """Return a connection on which requests can be sent. Raises `Trouble`."""
    connection = await connect(route, address[1], patience)
    try:
        if route.target.secure:
            if route.proxied:
                await connection.tunnel(patience)
            if context is not None:
                await connection.secure(context, patience)
    except BaseException:
        await connection.__aexit__()
        raise
    return connection


async def proxy(route: Route, address: Address, patience: Patience) -> Check:
    """Ask the proxy for the way. A target without TLS is asked for with each request instead."""
    if not route.proxied:
        return Check(name=PROXY, state=State.SKIPPED, says="No proxy is set for this address.")
    said = f"The proxy {route.hop}"
    if not route.target.secure:
        return Check(name=PROXY, state=State.GOOD, says=f"{said} is used.")
    try:
        connection = await opened(route, address, None, patience)
    except Trouble as trouble:
        facts = {"status": trouble.status} if trouble.status else {}
        cause = Cause.PROXY_LOGIN if trouble.status == 407 else Cause.PROXY_REFUSED
        how = f"refuses with {trouble.status}" if trouble.status else "does not answer"
        if trouble.status == 407:
            how = "wants a login" if not route.login else "does not take the login that is set"
        elif not trouble.status:
            cause = Cause.PROXY_UNREACHABLE
        return Check(name=PROXY, state=State.BAD, says=f"{said} {how}.", cause=cause, facts=facts)
    await connection.__aexit__()
    return Check(name=PROXY, state=State.GOOD, says=f"{said} opens the way to {route.target}.")


async def tls(
    route: Route, address: Address, context: ssl.SSLContext, patience: Patience, now: datetime
) -> Check:
    """Set up TLS as requests do; what is refused is looked at without trusting it."""
    if not route.target.secure:
        return Check(name=TLS, state=State.SKIPPED, says="The address is not encrypted (http).")
    try:
        connection = await opened(route, address, None, patience)
        async with connection:
            agreed = await connection.secure(context, patience)
            return _agreed(agreed)
    except Trouble as trouble:
        if isinstance(trouble.error, ssl.SSLCertVerificationError):
            seen, server_time = await _unverified(route, address, patience)
            return refused(route.target.host, trouble.error, seen, now, server_time)
        return _failed(trouble)


def refused(
    host: str,
    error: ssl.SSLCertVerificationError,
    seen: Certificate | None,
    now: datetime,
    server_time: datetime | None,
) -> Check:
    """Judge a certificate that OpenSSL refused. Pure.

    A wrong clock is told from an old certificate by the server's own time: the certificate is valid
    there. Somebody in between is said to be there only when the issuer is known for that.
    """
    facts = {"reason": error.verify_message, "code": error.verify_code}
    if seen is not None:
        facts |= {"issuer": seen.issuer, "subject": seen.subject}
        facts |= {"notBefore": _iso(seen.not_before), "notAfter": _iso(seen.not_after)}
    by = f" It is signed by {seen.issuer}." if seen is not None and seen.issuer else ""
    cause, says = Cause.TLS_REFUSED, f"The certificate is refused: {error.verify_message}.{by}"
    if error.verify_code in _UNTRUSTED:
        cause = Cause.TLS_INTERCEPTED
        says = f"Nobody whom this machine trusts has signed the certificate of {host}.{by}"
        if seen is not None and seen.interceptor:
            says = f"Something on the way to {host} shows its own certificate.{by}"
    elif error.verify_code in _OTHER_NAME:
        cause = Cause.TLS_NAME
    elif error.verify_code in _OUT_OF_TIME:
        facts |= {"here": _iso(now), "there": _iso(server_time)}
        cause = Cause.TLS_CLOCK
        if server_time is None:
            says += " This machine's clock may be wrong."
        elif seen is not None and seen.valid_at(server_time):
            off = abs((now - server_time).total_seconds()) / 86_400
            says = f"This machine's clock is {off:.0f} days away from the server's."
        elif abs(now - server_time) < _SAME_TIME:
            cause = Cause.TLS_REFUSED
            says += " This machine's clock is the same as the server's."
    return Check(name=TLS, state=State.BAD, says=says, cause=cause, facts=facts)


def untrusting(error: OSError) -> Check:
    """Say that the list of authorities to trust cannot be used, so that no request can be sent."""
    says = (
        f"The authorities to trust (SSL_CERT_FILE, SSL_CERT_DIR) cannot be read: {_words(error)}."
    )
    return Check(name=TLS, state=State.BAD, says=says, cause=Cause.TLS_REFUSED)


async def _unverified(
    route: Route, address: Address, patience: Patience
) -> tuple[Certificate | None, datetime | None]:
    """Look at a certificate, and ask the time, without trusting either. No secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    seen: Certificate | None = None
    try:
        async with await opened(route, address, None, patience) as connection:
            agreed = await connection.secure(context, patience)
            seen = certificates.read(agreed.getpeercert(binary_form=True) or b"")
            answer = await connection.exchange("HEAD", "/", {}, patience, body_s=0.0)
            return seen, server_time(answer.headers.get("date", ""))
    except Trouble:
        return seen, None


def server_time(date: str) -> datetime | None:
    """Read a `Date` header; None when it is none."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _agreed(agreed: ssl.SSLObject) -> Check:
    found: dict[str, Any] = dict(agreed.getpeercert() or {})
    issuer = ", ".join(
        str(value)
        for group in found.get("issuer", ())
        for key, value in group
        if key in {"organizationName", "commonName"}
    )
    facts = {"version": agreed.version(), "issuer": issuer, "notAfter": found.get("notAfter")}
    says = f"{agreed.version()}, certificate by {issuer or 'an unnamed authority'}."
    state = State.GOOD
    if certificates.INTERCEPTORS.search(issuer):
        state = State.WARNING
        says += " It reads the connection; this machine trusts it."
    return Check(name=TLS, state=state, says=says, facts=facts)


def _failed(trouble: Trouble) -> Check:
    """Judge a handshake that failed for another reason than the certificate."""
    cause, error = Cause.TLS_REFUSED, trouble.error
    if trouble.timed_out:
        cause = Cause.NO_FIRST_BYTE
        says = (
            "The server takes the connection and then says nothing. Its certificate may get lost "
            "on the way, as all large packets do where the MTU is wrong (often of a VPN)."
        )
    elif trouble.step is not Step.TLS:
        cause, says = Cause.RESET, "The connection could not be opened a second time."
    elif isinstance(error, ssl.SSLEOFError | ConnectionError | EOFError):
        cause, says = Cause.RESET, "The connection was closed during the TLS handshake."
    else:
        says = f"TLS could not be set up: {_words(error)}."
    return Check(name=TLS, state=State.BAD, says=says, cause=cause)


_OUTCOMES: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.ETIMEDOUT: "silent",
}
# What a refusal says is worth more than silence, which says nothing.
_TELLING: Final = ("refused", "reset", "silent", "unreachable")
_CAUSES: Final = {
    "refused": Cause.REFUSED,
    "reset": Cause.RESET,
    "silent": Cause.CONNECT_TIMEOUT,
    "unreachable": Cause.UNREACHABLE,
}
_SAID: Final = {
    "refused": "the connection is refused",
    "reset": "the connection is reset",
    "silent": "nothing answers",
    "unreachable": "there is no route",
}


def _counted(counts: dict[str, int]) -> str:
    parts = [
        f"{count} {family} address{'es' if count > 1 else ''}"
        for family, count in counts.items()
        if count
    ]
    return " and ".join(parts) or "no address"


def _words(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _since(begun: float) -> float:
    return (time.monotonic() - begun) * _MS
