"""Where the clouds answer: Amazon Bedrock, Google Vertex AI, Microsoft Foundry.

Law: pure. What differs between the clouds' requests is a `Route`: address, path, envelope; no other
module knows a path. An address comes from the setting, then from the variables that the cloud's own
tools and the SDK read, then from the region; without a region nothing is guessed.

Bedrock answers at two hosts. Ids with a region in front, a revision behind, and ARNs of inference
profiles are those of its older interface (InvokeModel, a binary event stream); plain ids are those
of the newer one, which speaks the Messages API (specification §7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import quote

import attrs

from holdfast.model.request_body import MESSAGES, Envelope
from holdfast.settings import EndpointSetting, Kind

NAMES: Final[Mapping[Kind, str]] = {
    Kind.BEDROCK: "Amazon Bedrock",
    Kind.VERTEX: "Google Vertex AI",
    Kind.FOUNDRY: "Microsoft Foundry",
}
"""What the clouds are called before people."""

MESSAGES_PATH: Final = "/v1/messages"
COUNT_PATH: Final = "/v1/messages/count_tokens"

BEDROCK_VERSION: Final = "bedrock-2023-05-31"
VERTEX_VERSION: Final = "vertex-2023-10-16"

_INVOKED: Final = re.compile(r"arn:|[a-z][a-z-]*\.anthropic\.|.*-v\d+(?::\d+)?$", re.IGNORECASE)
_GOOGLE_HOSTS: Final[Mapping[str, str]] = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}


class Interface(StrEnum):
    """What is spoken: which of the SDK's clients sends a request."""

    RUNTIME = "bedrockRuntime"
    MANTLE = "bedrockMantle"
    VERTEX = "vertex"
    FOUNDRY = "foundry"


@attrs.frozen
class Place:
    """Where in a cloud an endpoint is, settings and variables taken together."""

    kind: Kind
    region: str | None = None
    project: str | None = None
    runtime_url: str | None = None
    url: str | None = None

    def problem(self) -> str | None:
        """Say what of the address is missing, or None when there is one.

        A project may still be missing: Google's credentials know theirs.
        """
        match self.kind:
            case Kind.BEDROCK if self.region is None:
                return _missing("region", "AWS_REGION")
            case Kind.VERTEX if self.region is None:
                return _missing("region", "CLOUD_ML_REGION")
            case Kind.FOUNDRY if self.url is None:
                return _missing("resource", "ANTHROPIC_FOUNDRY_RESOURCE")
            case _:
                return None


@attrs.frozen
class Route:
    """How one model is asked: `count_path` of None means that its tokens are never counted there.

    `count_envelope` is that of a count of tokens.
    """

    interface: Interface
    url: str
    path: str
    count_path: str | None
    envelope: Envelope = MESSAGES
    count_envelope: Envelope = MESSAGES


def place_of(setting: EndpointSetting, environment: Mapping[str, str]) -> Place:
    """Return where an endpoint in a cloud is; `problem()` of it tells what is missing."""
    match setting.kind:
        case Kind.BEDROCK:
            return _bedrock(setting, environment)
        case Kind.VERTEX:
            region = setting.region or _first(environment, "CLOUD_ML_REGION")
            variables = ("ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_CLOUD_PROJECT")
            project = setting.project or _first(environment, *variables)
            url = setting.base_url or _first(environment, "ANTHROPIC_VERTEX_BASE_URL")
            if url is None and region is not None:
                url = f"https://{_GOOGLE_HOSTS.get(region, _google_host(region))}/v1"
            return Place(Kind.VERTEX, region, project, url=url)
        case _:
            url = setting.base_url
            resource = setting.resource
            if url is None and resource is None:
                url = _first(environment, "ANTHROPIC_FOUNDRY_BASE_URL")
                resource = _first(environment, "ANTHROPIC_FOUNDRY_RESOURCE")
            if url is None and resource is not None:
                url = f"https://{resource}.services.ai.azure.com/anthropic"
            return Place(Kind.FOUNDRY, url=url)


def route_of(place: Place, model: str) -> Route:
    """Return how `model`, by the cloud's own name, is asked. Call it when nothing is missing."""
    assert place.url is not None, "a place without an address has a problem"
    match place.kind:
        case Kind.BEDROCK if _INVOKED.match(model):
            assert place.runtime_url is not None, "as above"
            path = f"/model/{quote(model, safe=':')}/invoke-with-response-stream"
            envelope = Envelope(model=False, stream=False, version=BEDROCK_VERSION, betas=True)
            return Route(Interface.RUNTIME, place.runtime_url, path, None, envelope)
        case Kind.BEDROCK:
            return Route(Interface.MANTLE, place.url, MESSAGES_PATH, COUNT_PATH)
        case Kind.VERTEX:
            models = (
                f"/projects/{quote(place.project or '', safe=':')}/locations/{place.region}"
                "/publishers/anthropic/models"
            )
            return Route(
                Interface.VERTEX,
                place.url,
                f"{models}/{quote(model, safe='@')}:streamRawPredict",
                f"{models}/count-tokens:rawPredict",
                Envelope(model=False, version=VERTEX_VERSION),
                Envelope(version=VERTEX_VERSION),
            )
        case _:
            return Route(Interface.FOUNDRY, place.url, MESSAGES_PATH, COUNT_PATH)


def address(setting: EndpointSetting, environment: Mapping[str, str]) -> str | None:
    """Return the address that an endpoint's requests go to; None when a part of it is missing."""
    return place_of(setting, environment).url


def problem(setting: EndpointSetting, environment: Mapping[str, str]) -> str | None:
    """Say in words what of an endpoint's place is missing; None when nothing is."""
    return place_of(setting, environment).problem()


def unowned() -> str:
    """Say in words that neither settings nor credentials name a project."""
    return _missing("project", "ANTHROPIC_VERTEX_PROJECT_ID")


def _bedrock(setting: EndpointSetting, environment: Mapping[str, str]) -> Place:
    """Return both hosts of a region. A person's own address stands for both of them."""
    region = setting.region or _first(environment, "AWS_REGION", "AWS_DEFAULT_REGION")
    if setting.base_url is not None:
        own = setting.base_url
        return Place(Kind.BEDROCK, region, runtime_url=own, url=f"{own}/anthropic")
    runtime = _first(environment, "ANTHROPIC_BEDROCK_BASE_URL")
    mantle = _first(environment, "ANTHROPIC_BEDROCK_MANTLE_BASE_URL")
    if region is not None:
        runtime = runtime or f"https://bedrock-runtime.{region}.amazonaws.com"
        mantle = mantle or f"https://bedrock-mantle.{region}.api.aws/anthropic"
    return Place(Kind.BEDROCK, region, runtime_url=runtime, url=mantle)


def _google_host(region: str) -> str:
    return f"{region}-aiplatform.googleapis.com"


def _missing(member: str, variable: str) -> str:
    return f"No {member} is set: name it in holdfast.endpoints ({member}) or in {variable}."


def _first(environment: Mapping[str, str], *names: str) -> str | None:
    return next((value for name in names if (value := environment.get(name, "").strip())), None)
