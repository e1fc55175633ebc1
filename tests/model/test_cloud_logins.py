"""The clouds' own credentials, found by the clouds' own libraries (P11, C07)."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import DefaultCredentialsError

from holdfast.model.clouds.logins import Grant, Login, login_of
from holdfast.model.credentials import Credentials
from holdfast.model.port import ModelFailed
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind
from holdfast.settings import EndpointSetting, Kind
from holdfast.simulator import Simulator
from model import cloud_fronts as fronts

BEDROCK = EndpointSetting("aws", Kind.BEDROCK)
VERTEX = EndpointSetting("gcp", Kind.VERTEX)
FOUNDRY = EndpointSetting("azure", Kind.FOUNDRY)
PROCESS = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE IDENTITY_ENDPOINT"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home in which nobody has signed in anywhere; the chains look no further."""
    for name in PROCESS.split():
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "HOME": str(tmp_path),
        "PATH": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_GCE_CHECK": "true",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "AZURE_TOKEN_CREDENTIALS": "dev",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
async def door() -> AsyncIterator[fronts.Door]:
    async with Simulator() as simulator, fronts.vertex(simulator) as door:
        yield door


async def failure(login: Login) -> Failure:
    with pytest.raises(ModelFailed) as failed:
        await login.grant()
    return failed.value.failure


def static(home: Path, secret: str) -> None:
    lines = ["[default]", "aws_access_key_id = AKIA", f"aws_secret_access_key = {secret}"]
    (home / "credentials").write_text("\n".join(lines))


def process(home: Path, expires: str, secret: str) -> None:
    """A program that gives credentials and counts how often it was asked."""
    given = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": secret, "Expiration": expires}
    tool = home / "tool.py"
    tool.write_text(
        f"open({str(home / 'asked')!r}, 'a').write('x')\nprint({json.dumps(json.dumps(given))})\n"
    )
    (home / "config").write_text(f"[default]\ncredential_process = {sys.executable} {tool}\n")


def service_account(home: Path, token_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": fronts.PROJECT,
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "kelp@example.com",
        "token_uri": token_uri,
    }
    (home / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(home / "account.json"))


async def test_C07_credentials_in_a_file_are_read_anew_for_every_attempt(home: Path) -> None:
    login = login_of(BEDROCK, {})
    static(home, "the-old-one")
    assert (await login.grant()).secret_key == "the-old-one"
    static(home, "the-new-one")
    assert (await login.grant()).secret_key == "the-new-one"


async def test_credentials_that_renew_themselves_are_kept_until_they_are_refused(
    home: Path,
) -> None:
    process(home, "2099-01-01T00:00:00Z", "from-a-tool")
    login = login_of(BEDROCK, {})
    for _ in range(3):
        assert (await login.grant()).secret_key == "from-a-tool"
    assert (home / "asked").read_text() == "x"
    login.forget()
    await login.grant()
    assert (home / "asked").read_text() == "xx"


async def test_a_key_of_bedrock_goes_before_the_chain_and_is_read_at_every_attempt(
    home: Path,
) -> None:
    static(home, "of-the-chain")
    environment = {"AWS_BEARER_TOKEN_BEDROCK": "first"}
    login = login_of(BEDROCK, environment)
    assert (await login.grant()).auth_token == "first"
    environment["AWS_BEARER_TOKEN_BEDROCK"] = "second"
    assert (await login.grant()).auth_token == "second"
    del environment["AWS_BEARER_TOKEN_BEDROCK"]
    assert (await login.grant()).secret_key == "of-the-chain"


async def test_a_sign_in_by_sso_that_has_ended_is_said_to_have_expired(home: Path) -> None:
    (home / "config").write_text(
        "[default]\nsso_start_url = https://kelp.awsapps.com/start\nsso_region = eu-central-1\n"
        "sso_account_id = 123456789012\nsso_role_name = diver\nregion = eu-central-1\n"
    )
    failed = await failure(login_of(BEDROCK, {}))
    assert failed.cause is Cause.CLOUD_SIGN_IN_EXPIRED


@pytest.mark.parametrize("setting", [BEDROCK, VERTEX, FOUNDRY], ids=lambda each: each.name)
async def test_a_machine_on_which_nobody_has_signed_in_says_so(
    setting: EndpointSetting, home: Path
) -> None:
    failed = await failure(login_of(setting, {}))
    assert (failed.kind, failed.cause) == (
        FailureKind.AUTHENTICATION,
        Cause.CLOUD_SIGN_IN_MISSING,
    )


async def test_google_exchanges_what_is_in_the_file_for_a_token_and_knows_the_project(
    home: Path, door: fronts.Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_account(home, f"{door.base_url}/token", monkeypatch)
    login = login_of(VERTEX, {})
    grant = await login.grant()
    assert (grant.auth_token, grant.project) == (fronts.GOOGLE_TOKEN, fronts.PROJECT)
    await login.grant()
    assert len(door.requests) == 1, "a token is used as long as it is valid"
    login.forget()
    await login.grant()
    assert len(door.requests) == 2


async def test_a_grant_that_google_has_revoked_is_said_to_have_expired(
    home: Path, door: fronts.Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_account(home, f"{door.base_url}/token", monkeypatch)
    revoked = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    door.refusals.append(fronts.Refusal(400, {}, json.dumps(revoked)))
    login = login_of(VERTEX, {})
    assert (await failure(login)).cause is Cause.CLOUD_SIGN_IN_EXPIRED
    assert (await login.grant()).auth_token == fronts.GOOGLE_TOKEN, "and signing in again heals it"


async def test_a_token_server_that_is_not_reached_is_a_matter_of_the_network(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Simulator() as simulator:
        nobody = simulator.base_url
    service_account(home, f"{nobody}/token", monkeypatch)
    failed = await failure(login_of(VERTEX, {}))
    assert (failed.kind, failed.cause) == (FailureKind.NETWORK, Cause.REFUSED)


async def test_azure_takes_the_identity_of_the_machine_where_there_is_no_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Simulator() as simulator, fronts.foundry(simulator) as door:
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{door.base_url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "of-the-machine")
        login = login_of(FOUNDRY, {})
        assert (await login.grant()).auth_token == fronts.AZURE_TOKEN
        assert "resource=https://ai.azure.com" in door.requests[0].path
        key = login_of(FOUNDRY, {"ANTHROPIC_FOUNDRY_API_KEY": "a-key"})
        assert (await key.grant()).api_key == "a-key"


class Hanging:
    """A tool that waits for a person, as some do in a browser."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = threading.Event()

    def __call__(self) -> Grant:
        self.asked += 1
        self.answered.wait(20)
        return Grant(auth_token="granted")

    def forget(self) -> None: ...


async def test_P7_a_sign_in_that_hangs_is_waited_for_no_longer_than_its_limit_and_asked_once() -> (
    None
):
    tool = Hanging()
    login = Login(Kind.BEDROCK, tool, limit_s=0.02)
    try:
        for _ in range(3):
            assert (await failure(login)).kind is FailureKind.TIMEOUT
        assert tool.asked == 1
    finally:
        tool.answered.set()
    patient = Login(Kind.BEDROCK, tool)
    assert (await patient.grant()).auth_token == "granted"


class Fruitless(Hanging):
    """A chain that takes long to find out that nobody has signed in."""

    def __call__(self) -> Grant:
        super().__call__()
        raise DefaultCredentialsError("Your default credentials were not found.")


async def test_P12_a_chain_that_is_slow_to_find_nothing_says_so_at_the_next_attempt() -> None:
    chain = Fruitless()
    login = Login(Kind.VERTEX, chain, limit_s=0.2)
    assert (await failure(login)).kind is FailureKind.TIMEOUT
    chain.answered.set()
    while (failed := await failure(login)).kind is FailureKind.TIMEOUT:
        pass  # The thread has not been let on yet; each attempt waits for it.
    assert failed.cause is Cause.CLOUD_SIGN_IN_MISSING
    assert chain.asked == 1


@pytest.mark.parametrize(
    ("setting", "hidden", "extra"),
    [
        (BEDROCK, ("botocore", "botocore.session"), "holdfast[bedrock]"),
        (VERTEX, ("google.auth",), "holdfast[vertex]"),
        (FOUNDRY, ("azure.identity",), "holdfast[foundry]"),
    ],
    ids=["bedrock", "vertex", "foundry"],
)
async def test_an_extra_that_is_not_installed_is_named_with_the_command_that_installs_it(
    setting: EndpointSetting,
    hidden: tuple[str, ...],
    extra: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as installed:
        for name in hidden:
            installed.setitem(sys.modules, name, None)  # type: ignore[arg-type]  # Python's "none"
        login = login_of(setting, {})
        failed = await failure(login)
    assert failed.cause is Cause.CLOUD_CLIENT_MISSING
    assert f'{sys.executable} -m pip install "{extra}"' in failed.message
    assert (await failure(login)).cause is Cause.CLOUD_SIGN_IN_MISSING, "found without a restart"


def test_P11_no_secret_is_part_of_what_a_grant_shows() -> None:
    values: dict[str, Any] = {
        "api_key": "the-key",
        "auth_token": "the-token",
        "access_key": "the-access-key",
        "secret_key": "the-secret-key",
        "session_token": "the-session-token",
    }
    grant = Grant(**values)
    assert not any(value in repr(grant) for value in values.values())
    assert set(grant.secrets) == set(values.values())
    assert isinstance(grant, Credentials)
