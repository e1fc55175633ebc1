"""Models behind the clouds, over real sockets and the clouds' own wires (P3, P11, C07)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from holdfast.conversation.profile import ON_DEMAND
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.clouds.adapter import CloudModel
from holdfast.model.credentials import Credentials
from holdfast.model.port import BlockClosed, ModelFailed, ModelRequest, ResponseEnded
from holdfast.model.switchboard import Switchboard
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure
from holdfast.session.failures import FailureKind as K
from holdfast.settings import EndpointSetting, Kind
from holdfast.simulator import Fault, Script, Simulator, Step
from model import cloud_fronts as fronts
from model.canned import request

RUNTIME = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MANTLE = "anthropic.claude-opus-5-5"
SIGNING = {
    "AWS_REGION": fronts.REGION,
    "AWS_ACCESS_KEY_ID": fronts.ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": fronts.SECRET_KEY,
    "AWS_SESSION_TOKEN": fronts.SESSION_TOKEN,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
KEY = {"AWS_REGION": fronts.REGION, "AWS_BEARER_TOKEN_BEDROCK": fronts.BEARER}
GOOGLE = {"CLOUD_ML_REGION": fronts.REGION, "KELP_TOKEN": fronts.GOOGLE_TOKEN}
GOOGLE_PROJECT = {"ANTHROPIC_VERTEX_PROJECT_ID": fronts.PROJECT}
AZURE = {"ANTHROPIC_FOUNDRY_API_KEY": fronts.AZURE_KEY}


def bedrock(door: fronts.Door) -> EndpointSetting:
    return EndpointSetting("aws", Kind.BEDROCK, door.base_url)


def vertex(door: fronts.Door) -> EndpointSetting:
    return EndpointSetting("gcp", Kind.VERTEX, f"{door.base_url}/v1", "KELP_TOKEN")


def foundry(door: fronts.Door) -> EndpointSetting:
    return EndpointSetting("azure", Kind.FOUNDRY, f"{door.base_url}/anthropic")


@asynccontextmanager
async def model_at(
    setting: EndpointSetting, environment: Mapping[str, str]
) -> AsyncIterator[CloudModel]:
    model = CloudModel(setting, environment)
    try:
        yield model
    finally:
        await model.close()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


async def answer(model: CloudModel, asked: ModelRequest) -> str:
    """Ask, and return the text of the answer, which has ended."""
    texts, ended = [], False
    async with model.stream(asked) as items:
        async for item in items:
            if isinstance(item, BlockClosed) and item.block.type == "text":
                texts.append(item.block.text_of("text"))
            ended = isinstance(item, ResponseEnded)
    assert ended
    return "".join(texts)


async def failure(model: CloudModel, asked: ModelRequest) -> Failure:
    with pytest.raises(ModelFailed) as failed:
        await answer(model, asked)
    return failed.value.failure


def says(text: str) -> Script:
    return Script.parse([{"respond": {"content": [{"type": "text", "text": text}]}, "times": None}])


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The variables that Amazon's own chain reads, which it takes from the process."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    for name, value in SIGNING.items():
        monkeypatch.setenv(name, value)
    return SIGNING


@pytest.mark.parametrize(("name", "service"), [(RUNTIME, "bedrock"), (MANTLE, "bedrock-mantle")])
async def test_bedrock_is_asked_with_a_signature_over_exactly_the_bytes_that_are_sent(
    name: str, service: str, simulator: Simulator, signing: Mapping[str, str]
) -> None:
    simulator.script(says("Kelp grows – 昆布 – fast."))
    async with (
        fronts.bedrock(simulator) as door,
        model_at(bedrock(door), signing) as model,
    ):
        long = "Wrack. " * 30_000
        assert await answer(model, request(long, model=name)) == "Kelp grows – 昆布 – fast."
        assert door.signed_with == [service]
        assert simulator.refusals == []


async def test_a_signature_with_another_secret_is_refused_and_told_as_such(
    simulator: Simulator, signing: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), signing) as model:
        failed = await failure(model, request(model=RUNTIME))
        assert failed.cause is Cause.CLOUD_SIGN_IN_REFUSED
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", fronts.SECRET_KEY)
        assert await answer(model, request(model=RUNTIME)), "C07: the next attempt reads it anew"


@pytest.mark.parametrize("name", [RUNTIME, MANTLE])
async def test_bedrock_is_asked_with_its_own_key_where_there_is_one(
    name: str, simulator: Simulator
) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        await answer(model, request(model=name))
        assert door.signed_with == ["key"]


async def test_the_older_interface_has_the_model_in_the_path_and_the_betas_in_the_body(
    simulator: Simulator,
) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        name = "global.anthropic.claude-opus-5-5"
        await answer(model, request(model=name, drop_mismatched_thinking=True))
        [asked] = door.asked("/model/")
        assert asked.path == f"/model/{name}/invoke-with-response-stream"
        body = json.loads(asked.body)
        assert next(iter(body)) == "anthropic_version"
        assert body["anthropic_beta"] == ["thinking-binding-controls-2026-08-01"]
        assert "anthropic-beta" not in asked.headers


async def test_vertex_is_asked_with_a_token_a_project_and_a_region_in_the_path(
    simulator: Simulator,
) -> None:
    simulator.script(says("From Google."))
    environment = {**GOOGLE, **GOOGLE_PROJECT}
    async with fronts.vertex(simulator) as door, model_at(vertex(door), environment) as model:
        asked = request(model="claude-haiku-4-5@20251001")
        assert await answer(model, asked) == "From Google."
        assert await model.count_tokens(asked) > 0
        path = door.requests[0].path
        assert path.endswith("/models/claude-haiku-4-5@20251001:streamRawPredict")
        assert simulator.refusals == []


async def test_foundry_is_asked_with_its_key(simulator: Simulator) -> None:
    simulator.script(says("From Azure."))
    async with fronts.foundry(simulator) as door, model_at(foundry(door), AZURE) as model:
        assert await answer(model, request()) == "From Azure."
        assert await model.count_tokens(request()) > 0
        assert [each.path for each in door.requests] == [
            "/anthropic/v1/messages",
            "/anthropic/v1/messages/count_tokens",
        ]


async def test_no_header_of_the_first_endpoint_reaches_a_cloud(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11"""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-the-first-endpoints")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "the-first-endpoints-token")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-secret: of-the-first-endpoint")
    environment = {**GOOGLE, **GOOGLE_PROJECT, **AZURE, **KEY}
    async with (
        fronts.bedrock(simulator) as first,
        fronts.vertex(simulator) as second,
        fronts.foundry(simulator) as third,
        model_at(bedrock(first), environment) as amazon,
        model_at(vertex(second), environment) as google,
        model_at(foundry(third), environment) as azure,
    ):
        await answer(amazon, request(model=RUNTIME))
        await answer(amazon, request(model=MANTLE))
        await answer(google, request())
        await answer(azure, request())
        for door in (first, second, third):
            for asked in door.requests:
                assert "first-endpoint" not in str(asked.headers)


@pytest.mark.parametrize(
    ("cloud", "secret"),
    [
        ("bedrock", fronts.BEARER),
        ("vertex", fronts.GOOGLE_TOKEN),
        ("foundry", fronts.AZURE_KEY),
    ],
)
async def test_C07_a_key_that_a_client_gives_for_a_cloud_is_used_and_the_first_ones_never(
    cloud: str, secret: str, simulator: Simulator
) -> None:
    own = Credentials(api_key="sk-ant-the-first-endpoints")
    environment = {"AWS_REGION": fronts.REGION, "CLOUD_ML_REGION": fronts.REGION, **GOOGLE_PROJECT}
    async with getattr(fronts, cloud)(simulator) as door:
        setting = {"bedrock": bedrock, "vertex": vertex, "foundry": foundry}[cloud](door)
        first = AnthropicModel(lambda: own)
        board = Switchboard(
            first,
            lambda: own,
            environment,
            lambda at, given: CloudModel(at, environment, given),
            [setting],
        )
        source = board.credentials_at(setting.name)
        assert source is not None
        source.give(secret, None)
        async with board.at(setting.name).stream(request(model="claude-opus-5-5")) as items:
            assert isinstance([item async for item in items][-1], ResponseEnded)
        await board.close()
        await first.close()
        assert not any("first-endpoint" in str(each.headers) for each in door.requests)


def test_P11_without_a_given_key_a_cloud_is_told_of_no_other_endpoints_key() -> None:
    own = Credentials(api_key="sk-ant-the-first-endpoints")
    told: list[Callable[[], Credentials]] = []

    def build(at: EndpointSetting, given: Callable[[], Credentials]) -> CloudModel:
        told.append(given)
        return CloudModel(at, {}, given)

    endpoints = [
        EndpointSetting("aws", Kind.BEDROCK),
        EndpointSetting("own", Kind.FOUNDRY, "http://own/anthropic"),
    ]
    board = Switchboard(AnthropicModel(lambda: own), lambda: own, {}, build, endpoints)
    for each in endpoints:
        board.at(each.name)
    assert [given() for given in told] == [Credentials(), Credentials()]


async def test_the_older_interface_counts_no_tokens_and_nothing_is_sent_for_it(
    simulator: Simulator,
) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        with pytest.raises(ModelFailed) as failed:
            await model.count_tokens(request(model=RUNTIME))
        assert failed.value.failure.status == 404
        assert door.requests == []
        assert await model.count_tokens(request(model=MANTLE)) > 0


async def test_a_cloud_has_no_list_of_models_and_the_table_knows_their_sizes(
    simulator: Simulator,
) -> None:
    async with fronts.foundry(simulator) as door, model_at(foundry(door), AZURE) as model:
        with pytest.raises(ModelFailed, match="Microsoft Foundry has no list of models"):
            await model.models()
        known = await model.capabilities(RUNTIME)
        assert (known.window_tokens, known.source) == (200_000, "table")
        assert door.requests == []


@pytest.mark.parametrize("cloud", ["bedrock", "vertex", "foundry"])
async def test_P3_a_free_look_sends_no_credentials_and_nothing_that_costs(
    cloud: str, simulator: Simulator
) -> None:
    makers = {"bedrock": bedrock, "vertex": vertex, "foundry": foundry}
    environment = {**KEY, **GOOGLE, **GOOGLE_PROJECT, **AZURE}
    async with (
        getattr(fronts, cloud)(simulator) as door,
        model_at(makers[cloud](door), environment) as model,
    ):
        looked = await model.probe()
        assert (looked.ok, looked.failure) == (True, None)
        assert [each.method for each in door.requests] == ["GET"]
        assert not {"authorization", "x-api-key", "api-key"} & set(door.requests[0].headers)
        await model.drop_connections()
        assert (await model.probe()).ok
    assert simulator.log == []


async def test_P3_a_free_look_says_that_nobody_could_sign_in_and_that_the_cloud_is_there(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, SIGNING[name])
    region = {"AWS_REGION": fronts.REGION}
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), region) as model:
        looked = await model.probe()
        assert looked.ok
        assert looked.failure is not None
        assert looked.failure.cause is Cause.CLOUD_SIGN_IN_MISSING


async def test_P3_a_free_look_says_what_stands_in_the_way(simulator: Simulator) -> None:
    async with fronts.foundry(simulator) as door:
        setting = foundry(door)
    async with model_at(setting, {}) as model:
        looked = await model.probe()
    assert not looked.ok
    assert looked.failure is not None
    assert looked.failure.cause is Cause.REFUSED


@pytest.mark.parametrize(
    ("refusal", "kind", "cause"),
    [
        (
            fronts.amazon(403, "ExpiredTokenException", "The security token is expired"),
            K.AUTHENTICATION,
            Cause.CLOUD_SIGN_IN_EXPIRED,
        ),
        (
            fronts.amazon(403, "UnrecognizedClientException", "The security token is invalid."),
            K.AUTHENTICATION,
            Cause.CLOUD_SIGN_IN_REFUSED,
        ),
        (
            fronts.amazon(
                403, "AccessDeniedException", "You don't have access to the model with this ID."
            ),
            K.PERMISSION,
            Cause.CLOUD_NO_ACCESS,
        ),
        (
            fronts.amazon(
                404,
                "ResourceNotFoundException",
                "Model use case details have not been submitted for this account.",
            ),
            K.PERMISSION,
            Cause.CLOUD_NO_ACCESS,
        ),
        (
            fronts.amazon(429, "ThrottlingException", "Too many tokens, please wait."),
            K.RATE_LIMITED,
            Cause.RATE_LIMITED,
        ),
        (
            fronts.amazon(400, "ValidationException", "The provided model identifier is invalid."),
            K.MODEL_GONE,
            Cause.MODEL_GONE,
        ),
        (
            fronts.amazon(400, "ValidationException", "Input is too long for requested model."),
            K.TOO_LONG,
            None,
        ),
        (
            fronts.amazon(503, "ServiceUnavailableException", "Bedrock is unable to process it."),
            K.OVERLOADED,
            Cause.OVERLOADED,
        ),
        (
            fronts.amazon(500, "InternalServerException", "The system encountered an error."),
            K.SERVER,
            Cause.SERVER_ERROR,
        ),
        (
            fronts.amazon(408, "ModelTimeoutException", "Too long."),
            K.TIMEOUT,
            Cause.GATEWAY_TIMEOUT,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_P12_what_bedrock_refuses_has_its_kind_its_cause_and_its_own_name(
    refusal: fronts.Refusal, kind: K, cause: Cause | None, simulator: Simulator
) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        door.refusals.append(refusal)
        failed = await failure(model, request(model=RUNTIME))
        assert (failed.kind, failed.cause) == (kind, cause)
        assert failed.request_id == "0f1e2d3c-amzn"
        assert failed.type is not None
        assert refusal.headers["x-amzn-errortype"].startswith(failed.type)
        assert await answer(model, request(model=RUNTIME)), "the next request is none the worse"


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (("throttlingException", "Too many requests, please wait."), K.RATE_LIMITED),
        (("modelStreamErrorException", "The model broke off."), K.SERVER),
        (("internalServerException", "An error."), K.SERVER),
        (("serviceUnavailableException", "Try later."), K.OVERLOADED),
        (("modelTimeoutException", "It took too long."), K.TIMEOUT),
    ],
)
async def test_P12_a_frame_that_is_an_error_ends_the_stream_with_its_kind(
    frame: tuple[str, str], kind: K, simulator: Simulator
) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        door.refusals.append(fronts.Refusal(frame=frame))
        failed = await failure(model, request(model=RUNTIME))
        assert failed.kind is kind
        assert failed.message == frame[1]


async def test_P7_a_damaged_frame_is_no_answer(simulator: Simulator) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        door.refusals.append(fronts.Refusal(damage=True))
        failed = await failure(model, request(model=RUNTIME))
        assert failed.kind is K.UNREADABLE


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("silence", K.STALLED), ("clean-end", K.CUT), ("reset", K.CUT), ("headers-never", K.TIMEOUT)],
)
async def test_P7_silence_and_cuts_of_bedrocks_stream_are_seen(
    fault: str, kind: K, simulator: Simulator
) -> None:
    simulator.script([Step(fault=Fault(name=fault, hold_ms=2_000))])
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), KEY) as model:
        asked = request(model=RUNTIME, first_byte_timeout_s=1.0, idle_cut_s=0.3)
        assert (await failure(model, asked)).kind is kind


@pytest.mark.parametrize(
    ("refusal", "kind", "cause"),
    [
        (
            fronts.google(401, "UNAUTHENTICATED", "Request had invalid credentials."),
            K.AUTHENTICATION,
            Cause.CLOUD_SIGN_IN_REFUSED,
        ),
        (
            fronts.google(403, "PERMISSION_DENIED", "Permission denied on resource."),
            K.PERMISSION,
            Cause.CLOUD_NO_ACCESS,
        ),
        (
            fronts.google(
                403, "PERMISSION_DENIED", "This API needs billing.", reason="BILLING_DISABLED"
            ),
            K.BILLING,
            Cause.BILLING,
        ),
        (
            fronts.google(429, "RESOURCE_EXHAUSTED", "Quota exceeded for tokens per minute."),
            K.RATE_LIMITED,
            Cause.RATE_LIMITED,
        ),
        (
            fronts.google(404, "NOT_FOUND", "Publisher Model `x` was not found."),
            K.MODEL_GONE,
            Cause.MODEL_GONE,
        ),
        (
            fronts.google(400, "FAILED_PRECONDITION", "x is not servable in region y."),
            K.MODEL_GONE,
            Cause.MODEL_GONE,
        ),
        (fronts.google(503, "UNAVAILABLE", "Try later."), K.OVERLOADED, Cause.OVERLOADED),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_P12_what_vertex_refuses_has_its_kind_and_cause(
    refusal: fronts.Refusal, kind: K, cause: Cause, simulator: Simulator
) -> None:
    environment = {**GOOGLE, **GOOGLE_PROJECT}
    async with fronts.vertex(simulator) as door, model_at(vertex(door), environment) as model:
        door.refusals.append(refusal)
        failed = await failure(model, request())
        assert (failed.kind, failed.cause, failed.status) == (kind, cause, refusal.status)


@pytest.mark.parametrize(
    ("refusal", "kind", "cause"),
    [
        (
            fronts.azure(401, "401", "Access denied due to invalid subscription key."),
            K.AUTHENTICATION,
            Cause.CLOUD_SIGN_IN_REFUSED,
        ),
        (
            fronts.azure(401, "Unauthorized", "The access token has expired."),
            K.AUTHENTICATION,
            Cause.CLOUD_SIGN_IN_EXPIRED,
        ),
        (
            fronts.azure(401, "PermissionDenied", "Principal lacks the data action."),
            K.PERMISSION,
            Cause.CLOUD_NO_ACCESS,
        ),
        (
            fronts.azure(404, "DeploymentNotFound", "The deployment does not exist."),
            K.MODEL_GONE,
            Cause.MODEL_GONE,
        ),
        (
            fronts.azure(429, "RateLimitReached", "Too many.", **{"retry-after": "7"}),
            K.RATE_LIMITED,
            Cause.RATE_LIMITED,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_P12_what_foundry_refuses_has_its_kind_and_cause(
    refusal: fronts.Refusal, kind: K, cause: Cause, simulator: Simulator
) -> None:
    async with fronts.foundry(simulator) as door, model_at(foundry(door), AZURE) as model:
        door.refusals.append(refusal)
        failed = await failure(model, request())
        assert (failed.kind, failed.cause, failed.status) == (kind, cause, refusal.status)
        assert failed.retry_after_ms == (7_000 if "retry-after" in refusal.headers else None)


async def test_what_the_api_itself_says_behind_a_cloud_keeps_its_kind(simulator: Simulator) -> None:
    simulator.script(
        [Step(fault=Fault(name="prompt-too-long")), Step(fault=Fault(name="overloaded"))]
    )
    environment = {**GOOGLE, **GOOGLE_PROJECT}
    async with fronts.vertex(simulator) as door, model_at(vertex(door), environment) as model:
        assert (await failure(model, request())).kind is K.TOO_LONG
        assert (await failure(model, request())).kind is K.OVERLOADED


async def test_P11_a_secret_that_a_cloud_quotes_is_blotted_out(
    simulator: Simulator, signing: Mapping[str, str]
) -> None:
    async with fronts.bedrock(simulator) as door, model_at(bedrock(door), signing) as model:
        quoted = f"{fronts.SECRET_KEY} and {fronts.SESSION_TOKEN} are wrong"
        door.refusals.append(fronts.amazon(403, "AccessDeniedException", quoted))
        failed = await failure(model, request(model=RUNTIME))
        assert not any(secret in f"{failed}" for secret in fronts.SECRETS)


@pytest.mark.parametrize(
    ("setting", "says_what"),
    [
        (EndpointSetting("a", Kind.BEDROCK), "No region is set"),
        (EndpointSetting("a", Kind.VERTEX), "No region is set"),
        (EndpointSetting("a", Kind.FOUNDRY), "No resource is set"),
    ],
    ids=["bedrock", "vertex", "foundry"],
)
async def test_an_endpoint_that_does_not_say_where_it_is_says_what_is_missing(
    setting: EndpointSetting, says_what: str
) -> None:
    async with model_at(setting, {}) as model:
        failed = await failure(model, request())
        assert failed.kind is K.AUTHENTICATION, "a person's to mend; an endpoint to leave at once"
        assert says_what in failed.message
        looked = await model.probe()
        assert looked.failure is not None
        assert says_what in looked.failure.message


async def test_a_compaction_on_demand_carries_its_header_to_a_cloud_that_takes_one(
    simulator: Simulator,
) -> None:
    environment = {**GOOGLE, **GOOGLE_PROJECT}
    async with fronts.vertex(simulator) as door, model_at(vertex(door), environment) as model:
        async with model.stream(request("One.", compaction="")) as items:
            ended = [item async for item in items][-1]
        assert isinstance(ended, ResponseEnded)
        assert ended.stop_reason == "compaction"
        assert door.requests[0].headers["anthropic-beta"] == ON_DEMAND
