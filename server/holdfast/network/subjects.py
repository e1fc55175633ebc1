"""What is examined: one endpoint as requests reach it, and the machine they leave from.

Law: a subject never shows its secrets (P11), and which way a request takes - direct or by a proxy -
is decided as the SDK decides it.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from holdfast.journal.looks import StoreLook
from holdfast.model.port import Probe
from holdfast.network.past import Past
from holdfast.network.reports import TITLES, Check

Address: TypeAlias = tuple[socket.AddressFamily, str]
Resolve: TypeAlias = Callable[[str, int], list[Address]]
"""Return the addresses of a name, for a port. May block; raises `OSError`."""

Look: TypeAlias = Callable[[], Awaitable[Probe]]
"""Look at the endpoint for free as a turn does (`Model.probe`). Bounded, never raises."""

PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Reached:
    """How far an examination is: steps done of all, and the one that ended last."""

    done: int
    total: int
    name: str

    @property
    def title(self) -> str:
        """What the step is called before people."""
        return TITLES.get(self.name, self.name)


def system_resolver(host: str, port: int) -> list[Address]:
    """Return what the system's resolver says, of both families, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    pairs = [(family, str(address[0])) for family, _, _, _, address in found]
    return list(dict.fromkeys(pairs))


@attrs.frozen
class Place:
    """A host and a port, with TLS or without."""

    host: str
    port: int
    secure: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an address already, so that no name has to be looked up."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine, as far as its name tells."""
        if self.is_address:
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost" or self.host.endswith(".localhost")


@attrs.frozen(kw_only=True)
class Subject:
    """One endpoint. `headers` authenticate and are never shown; `key_problem` says why they
    cannot, when they cannot, `address_problem` why no request can be addressed. `proxies` are by
    scheme, as `urllib.request.getproxies` has them.

    With `model` a small streamed answer of it is measured, which costs some forty tokens; without,
    everything is free. With `long` two answers are measured for as long as the limit lets them
    last, some thousand tokens: what cuts by the clock is told from what cuts by chance. `past` is
    what a session has met already. `trust` makes the TLS context that requests use. `stored` looks
    at the store of sessions and may block. `own_checks` are what the caller has found itself;
    `versions` too.

    An endpoint whose requests are signed by its own client (a cloud's) has a `look` in place of
    `headers`: what is sent from here to it has no credentials then, and no stream is measured.
    """

    base_url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    key_problem: str | None = None
    address_problem: str | None = None
    proxies: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    compare_url: str | None = None
    model: str | None = None
    long: bool = False
    past: Past = attrs.field(factory=Past)
    look: Look | None = attrs.field(default=None, repr=False)
    data_dir: Path | None = None
    stored: Callable[[], StoreLook] | None = None
    own_checks: tuple[Check, ...] = ()
    versions: Mapping[str, str] = attrs.field(factory=dict)
    resolve: Resolve = system_resolver
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be blotted out of everything that others wrote."""
        values = [value.removeprefix("Bearer ") for value in self.headers.values()]
        for url in map(urlsplit, (*self.proxies.values(), self.base_url, self.compare_url or "")):
            if url.password:
                name, password = unquote(url.username or ""), unquote(url.password)
                values += [password, f"{name}:{password}"]  # a login travels as both in one
        return tuple(value for value in values if len(value) > 3)


@attrs.frozen
class Route:
    """The way to an endpoint: `hop` is what is connected to, `target` what is talked to.

    They differ when there is a proxy. `login` is what the proxy gets to know, `name:password`.
    """

    url: SplitResult
    target: Place
    hop: Place
    login: str = attrs.field(default="", repr=False)

    @property
    def proxied(self) -> bool:
        """Whether there is a proxy in between."""
        return self.hop != self.target

    def path(self, path: str) -> str:
        """Return the path of one of the endpoint's resources."""
        return f"{self.url.path.rstrip('/')}{path}"


class WrongUrl(Exception):
    """An address that no request can be sent to."""


def place_of(url: SplitResult) -> Place:
    """Return where a URL leads. Raises `WrongUrl`."""
    try:
        port = url.port
    except ValueError as error:
        raise WrongUrl(str(error)) from None
    if url.scheme not in PORTS or not url.hostname:
        raise WrongUrl("it is no http or https address")
    return Place(url.hostname, port or PORTS[url.scheme], url.scheme == "https")


def route_of(base_url: str, proxies: Mapping[str, str]) -> Route:
    """Return the way that a request to `base_url` takes. Raises `WrongUrl`."""
    url = urlsplit(base_url)
    target = place_of(url)
    address = ""
    if not bypasses(target, proxies.get("no", "")):
        address = proxies.get(url.scheme) or proxies.get("all") or ""
    if not address:
        return Route(url, target, target)
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    login = ""
    if proxy.username is not None:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return Route(url, target, place_of(proxy), login)


def bypasses(target: Place, no_proxy: str) -> bool:
    """Say whether `NO_PROXY` takes a host out: a name stands for itself and all below it."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*":
            return True
        name, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if not name or (port and port != str(target.port)):
            continue
        if target.is_address:
            if _covers(name.strip("[]"), target.host):
                return True
        elif f".{target.host.lower()}".endswith(f".{name.removeprefix('*').lstrip('.')}"):
            return True
    return False


def shown(address: str) -> str:
    """Return an address as people may see it: without a login, query or fragment."""
    try:
        place = place_of(urlsplit(address if "://" in address else f"http://{address}"))
    except (WrongUrl, ValueError):
        return "(not an address)"
    url = urlsplit(address if "://" in address else f"http://{address}")
    host = f"[{place.host}]" if ":" in place.host else place.host
    port = "" if place.port == PORTS[url.scheme] else f":{place.port}"
    return f"{url.scheme}://{host}{port}{url.path}"


def _covers(entry: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False)
    except (ValueError, TypeError):
        return False
