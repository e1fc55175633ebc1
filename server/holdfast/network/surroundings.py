"""The subject of an examination, from the settings, the credentials and the environment.

Law: what is examined is what a request of this process would use at this moment; a key is never
sent to an address that it was not meant for.
"""

from __future__ import annotations

import platform
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Final

from holdfast import __version__
from holdfast.conversation.models import Endpoint
from holdfast.journal.looks import StoreLook
from holdfast.model.clouds import places
from holdfast.model.credentials import Credentials, resolve
from holdfast.model.endpoints import endpoint_of
from holdfast.model.switchboard import NO_KEY
from holdfast.model.trust import trust
from holdfast.network.subjects import Look, Subject
from holdfast.settings import DEFAULT_ENDPOINT, EndpointSetting, Settings

FIRST_PARTY_URL: Final = "https://api.anthropic.com"
_PACKAGES: Final = ("anthropic", "httpx2", "h11", "apsw", "pygls")


def subject_of(
    settings: Settings,
    credentials: Credentials,
    environment: Mapping[str, str],
    *,
    endpoint: str = "",
    compare_url: str | None = None,
    model: str | None = None,
    given: Credentials | None = None,
    look: Look | None = None,
    stored: Callable[[], StoreLook] | None = None,
) -> Subject:
    """Return what is to be examined: the first endpoint, or the one of the name `endpoint`.

    `credentials` are the first one's, `given` what a client handed over for the named one. With
    `model` a small streamed answer of it is measured. A cloud's endpoint is examined by its own
    client's `look` instead of a key.
    """
    base_url, problem = settings.base_url, None
    other = next((each for each in settings.endpoints if each.name == endpoint), None)
    if other is not None:
        if given is not None and given.secret is not None:
            credentials = given
        else:
            credentials = _key_of(other, credentials, environment)
        model = None if model is None else other.there(model)
        base_url, problem = _address_of(other, environment, model)
    elif endpoint not in ("", DEFAULT_ENDPOINT):
        base_url = ""
        problem = f"The setting holdfast.endpoints names no endpoint {endpoint!r}."
    cloud = other is not None and other.kind.is_cloud
    key_problem = None if cloud else credentials.problem()
    first_party = endpoint_of(base_url) is Endpoint.FIRST_PARTY
    bare = cloud or key_problem is not None
    return Subject(
        base_url=base_url,
        headers={} if bare else credentials.headers(first_party=first_party),
        key_problem=key_problem,
        address_problem=problem,
        proxies=urllib.request.getproxies(),
        compare_url=compare_url,
        model=model,
        data_dir=settings.data_dir,
        versions=versions(),
        look=look if cloud else None,
        stored=stored,
        trust=trust,
    )


def versions() -> Mapping[str, str]:
    """Return what a bug report needs to know of this installation."""
    found = {
        "holdfast": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # the SDK may come to use another HTTP library
    return found


def _key_of(
    other: EndpointSetting, first: Credentials, environment: Mapping[str, str]
) -> Credentials:
    if other.key_variable is not None:
        return resolve({}, api_key=environment.get(other.key_variable))
    return first if other.base_url is None else NO_KEY


def _address_of(
    other: EndpointSetting, environment: Mapping[str, str], model: str | None
) -> tuple[str, str | None]:
    """Return where an endpoint's requests go, and what keeps them from being addressed."""
    if not other.kind.is_cloud:
        return other.base_url or FIRST_PARTY_URL, None
    place = places.place_of(other, environment)
    problem = place.problem()
    if problem is not None:
        return "", problem
    return places.route_of(place, model or "").url, None
