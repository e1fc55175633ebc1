"""Which kind of endpoint a base URL leads to.

Law: what can be told by the address is told here and nowhere else; what the kinds differ in is data
(`conversation.models.ENDPOINTS`). An address that nobody knows is a proxy in front of Claude.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from holdfast.conversation.models import Endpoint
from holdfast.settings import EndpointSetting, Kind

_DOMAINS: Final[Mapping[str, Endpoint]] = {
    "anthropic.com": Endpoint.FIRST_PARTY,
    "amazonaws.com": Endpoint.BEDROCK,
    "googleapis.com": Endpoint.VERTEX,
    "azure.com": Endpoint.FOUNDRY,
}


def kind_at(setting: EndpointSetting) -> Endpoint:
    """Return the kind of a further endpoint: what a person says of it, and of Anthropic's own the
    address.
    """
    match setting.kind:
        case Kind.ANTHROPIC:
            return endpoint_of(setting.base_url)
        case Kind.GATEWAY:
            return Endpoint.GATEWAY
        case Kind.COMPATIBLE:
            return Endpoint.COMPATIBLE
        case Kind.BEDROCK:
            return Endpoint.BEDROCK
        case Kind.VERTEX:
            return Endpoint.VERTEX
        case Kind.FOUNDRY:
            return Endpoint.FOUNDRY


def endpoint_of(base_url: str | None) -> Endpoint:
    """Return the kind of endpoint behind `base_url`; None is the first-party API."""
    if base_url is None:
        return Endpoint.FIRST_PARTY
    host = urlsplit(base_url).hostname or ""
    for domain, endpoint in _DOMAINS.items():
        if f".{host}".endswith(f".{domain}"):
            return endpoint
    return Endpoint.GATEWAY
