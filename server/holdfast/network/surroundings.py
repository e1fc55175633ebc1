"""The subject of an examination, from the settings, the credentials and the environment.

Law: what is examined is what a request of this process would use at this moment; a key is never
sent to an address that it was not meant for.
"""

from __future__ import annotations

import platform
import urllib.request
from collections.abc import Mapping
from importlib import metadata
from typing import Final

from holdfast import __version__
from holdfast.conversation.models import Endpoint
from holdfast.model.credentials import Credentials, resolve
from holdfast.model.endpoints import endpoint_of
from holdfast.model.switchboard import NO_KEY
from holdfast.model.trust import trust
from holdfast.network.subjects import Subject
from holdfast.settings import EndpointSetting, Settings

FIRST_PARTY_URL: Final = "https://api.anthropic.com"
_PACKAGES: Final = ("anthropic", "httpx2", "apsw", "pygls")


def subject_of(
    settings: Settings,
    credentials: Credentials,
    environment: Mapping[str, str],
    *,
    endpoint: str = "",
    compare_url: str | None = None,
    model: str | None = None,
) -> Subject:
    """Return what is to be examined: the first endpoint, or the one of the name `endpoint`.

    `credentials` are the first one's. With `model` a small streamed answer of it is measured.
    """
    other = next((each for each in settings.endpoints if each.name == endpoint), None)
    base_url = settings.base_url
    if other is not None:
        base_url = other.base_url or FIRST_PARTY_URL
        credentials = _key_of(other, credentials, environment)
        model = None if model is None else other.there(model)
    problem = credentials.problem()
    first_party = endpoint_of(base_url) is Endpoint.FIRST_PARTY
    return Subject(
        base_url=base_url,
        headers={} if problem is not None else credentials.headers(first_party=first_party),
        key_problem=problem,
        proxies=urllib.request.getproxies(),
        compare_url=compare_url,
        model=model,
        data_dir=settings.data_dir,
        versions=versions(),
        trust=trust,
    )


def versions() -> Mapping[str, str]:
    """Return what a bug report needs to know of this installation."""
    found = {
        "holdfast": __version__,
        "python": platform.python_version(),
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
