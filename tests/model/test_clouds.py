"""Where the clouds answer and what they refuse, as pure functions (specification §7)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropicFoundry
from anthropic.lib.bedrock import AsyncAnthropicBedrock, AsyncAnthropicBedrockMantle
from anthropic.lib.vertex import AsyncAnthropicVertex
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model import request_body
from holdfast.model.clouds import failures
from holdfast.model.clouds.places import Interface, address, place_of, problem, route_of
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import FailureKind
from holdfast.settings import EndpointSetting, Kind
from model import cloud_fronts as fronts
from model.canned import request

AWS = EndpointSetting("aws", Kind.BEDROCK, region="ap-southeast-2")
GCP = EndpointSetting("gcp", Kind.VERTEX, region="europe-west1", project="example.com:kelp")
AZURE = EndpointSetting("azure", Kind.FOUNDRY, resource="tide-pool")
CLOUDS = st.sampled_from([Kind.BEDROCK, Kind.VERTEX, Kind.FOUNDRY])


def plain(url: object) -> str:
    return str(url).rstrip("/")


def test_the_addresses_are_those_that_the_sdk_takes_for_the_same_places() -> None:
    place = place_of(AWS, {})
    keys: dict[str, Any] = {"api_key": "k", "aws_region": "ap-southeast-2"}
    assert place.runtime_url == plain(AsyncAnthropicBedrock(**keys).base_url)
    assert place.url == plain(AsyncAnthropicBedrockMantle(**keys).base_url)
    foundry = AsyncAnthropicFoundry(resource="tide-pool", api_key="k")
    assert address(AZURE, {}) == plain(foundry.base_url)


@pytest.mark.parametrize("region", ["global", "us", "eu", "europe-west1"])
def test_each_region_of_google_has_the_address_that_the_sdk_takes_for_it(region: str) -> None:
    sdk = AsyncAnthropicVertex(region=region, project_id="p", access_token="t")
    assert address(EndpointSetting("g", Kind.VERTEX, region=region), {}) == plain(sdk.base_url)


@pytest.mark.parametrize(
    ("kind", "environment", "expected"),
    [
        (Kind.BEDROCK, {"AWS_REGION": "r-1", "AWS_DEFAULT_REGION": "r-2"}, "bedrock-mantle.r-1."),
        (Kind.BEDROCK, {"AWS_DEFAULT_REGION": "r-2"}, "bedrock-mantle.r-2."),
        (
            Kind.BEDROCK,
            {"AWS_REGION": "r-1", "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": "http://own/anthropic"},
            "http://own/anthropic",
        ),
        (Kind.VERTEX, {"CLOUD_ML_REGION": "us"}, "aiplatform.us.rep."),
        (
            Kind.VERTEX,
            {"CLOUD_ML_REGION": "us", "ANTHROPIC_VERTEX_BASE_URL": "http://own/v1"},
            "http://own/v1",
        ),
        (Kind.FOUNDRY, {"ANTHROPIC_FOUNDRY_RESOURCE": "pool"}, "https://pool.services.ai."),
        (Kind.FOUNDRY, {"ANTHROPIC_FOUNDRY_BASE_URL": "http://own/anthropic"}, "http://own"),
    ],
)
def test_what_the_settings_leave_out_is_taken_from_the_clouds_own_variables(
    kind: Kind, environment: dict[str, str], expected: str
) -> None:
    setting = EndpointSetting("cloud", kind)
    assert expected in (address(setting, environment) or "")
    assert problem(setting, environment) is None
    assert problem(setting, {}) is not None


def test_what_the_settings_say_goes_before_every_variable() -> None:
    other = {"ANTHROPIC_FOUNDRY_BASE_URL": "http://other", "ANTHROPIC_FOUNDRY_RESOURCE": "other"}
    assert address(AZURE, other) == "https://tide-pool.services.ai.azure.com/anthropic"
    own = EndpointSetting("own", Kind.BEDROCK, "http://gateway.example", region="r-1")
    place = place_of(own, {"ANTHROPIC_BEDROCK_BASE_URL": "http://other"})
    assert (place.runtime_url, place.url) == (
        "http://gateway.example",
        "http://gateway.example/anthropic",
    )


@pytest.mark.parametrize(
    ("model", "interface"),
    [
        ("anthropic.claude-opus-5-5", Interface.MANTLE),
        ("anthropic.claude-haiku-4-5", Interface.MANTLE),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Interface.RUNTIME),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", Interface.RUNTIME),
        ("global.anthropic.claude-opus-4-6-v1", Interface.RUNTIME),
        ("us-gov.anthropic.claude-opus-4-8", Interface.RUNTIME),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/kelp", Interface.RUNTIME),
    ],
)
def test_bedrock_is_asked_over_the_interface_that_the_form_of_an_id_belongs_to(
    model: str, interface: Interface
) -> None:
    assert route_of(place_of(AWS, {}), model).interface is interface


def test_a_name_with_slashes_stays_one_part_of_the_path() -> None:
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/kelp"
    path = route_of(place_of(AWS, {}), arn).path
    assert path.count("/") == 3
    assert path.endswith("application-inference-profile%2Fkelp/invoke-with-response-stream")
    path = route_of(place_of(GCP, {}), "a/../b").path
    assert path.endswith("/models/a%2F..%2Fb:streamRawPredict")


@pytest.mark.parametrize(
    ("kind", "model", "there"),
    [
        (Kind.BEDROCK, "claude-opus-5-5", "anthropic.claude-opus-5-5"),
        (Kind.BEDROCK, "claude-haiku-4-5-20251001", "anthropic.claude-haiku-4-5"),
        (Kind.BEDROCK, "eu.anthropic.claude-opus-4-6-v1", "eu.anthropic.claude-opus-4-6-v1"),
        (Kind.VERTEX, "claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"),
        (Kind.VERTEX, "claude-opus-5-5", "claude-opus-5-5"),
        (Kind.FOUNDRY, "claude-opus-5-5", "claude-opus-5-5"),
        (Kind.GATEWAY, "claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"),
    ],
)
def test_an_id_that_is_not_set_otherwise_is_spelled_as_the_cloud_spells_it(
    kind: Kind, model: str, there: str
) -> None:
    assert EndpointSetting("x", kind).there(model) == there
    assert EndpointSetting("x", kind, models=((model, "own"),)).there(model) == "own"


def test_the_envelope_of_a_cloud_changes_no_byte_of_the_prompt() -> None:
    """R70-R74: what is signed and cached is the prompt; only what stands around it differs."""
    asked = request("Kelp – 昆布", "and wrack")
    usual = request_body.build(asked)
    envelope = route_of(place_of(AWS, {}), "us.anthropic.claude-opus-5-5").envelope
    there = request_body.build(asked, envelope=envelope, betas=("a", "b"))
    prompt = usual[usual.index(b'"system"') : usual.index(b',"max_tokens"')]
    assert prompt in there
    assert {name: json.loads(there).get(name) for name in ("model", "stream")} == {
        "model": None,
        "stream": None,
    }
    assert json.loads(there)["anthropic_beta"] == ["a", "b"]


@given(
    CLOUDS,
    st.integers(400, 599),
    st.dictionaries(st.sampled_from(["x-amzn-errortype", "retry-after", "x"]), st.text()),
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "code", "message", "status", "details", "__type", "reason"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
@settings(max_examples=200, deadline=None)
def test_P12_whatever_a_cloud_answers_is_one_failure_with_words_and_a_known_cause(
    cloud: Kind, status: int, headers: dict[str, str], body: bytes
) -> None:
    failed = failures.from_response(cloud, status, headers, body)
    assert failed.message
    assert failed.status == status
    assert failed.cause is None or failed.cause in CAUSES
    assert failed.cause not in {Cause.KEY_MISSING, Cause.KEY_REFUSED, Cause.KEY_EXPIRED}
    event = failures.from_event(cloud, body.decode(errors="replace"))
    assert event.kind in FailureKind


@given(CLOUDS, st.sampled_from(fronts.SECRETS), st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_P11_no_secret_gets_out_of_what_a_cloud_or_its_library_says(
    cloud: Kind, secret: str, before: str, after: str
) -> None:
    words = f"{before} {secret} {after}"
    answered = failures.from_response(
        cloud, 403, {}, json.dumps({"message": words}).encode(), (secret,)
    )
    raised = failures.from_sign_in(cloud, ValueError(words), (secret,))
    assert secret not in f"{answered} {raised}"
