"""Sessions that a cloud answers: the real server, the SDK's clients, the clouds' own wires."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from e2e.nursery import Nursery
from e2e.server import Server, start
from holdfast.simulator import Script, Simulator
from model import cloud_fronts as fronts

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = [
    {
        "match": {"last_user_contains": "Look"},
        "respond": {
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "name": "run", "input": {"command": "echo dulse"}},
            ],
        },
        "times": 1,
    },
    {"respond": {"content": [{"type": "text", "text": "It is dulse."}]}, "times": None},
]
NOT_HERE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_GCE_CHECK": "true",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
}
"""What keeps the clouds' libraries from looking for a machine of theirs around this one."""


class Cloud:
    """One cloud as a person sets it up: an endpoint, and credentials in a file or a service."""

    def __init__(self, door: fronts.Door, home: Path) -> None:
        self.door, self.home = door, home

    name: str
    simulated: str = "firstParty"
    model = "claude-opus-5-5"
    expired: fronts.Refusal

    def endpoint(self) -> dict[str, Any]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def sign_in(self) -> None:
        """Give the machine credentials that the cloud takes."""

    def take_away(self) -> str:
        """Leave the machine without credentials; return the cause that has to be named."""
        raise NotImplementedError

    def sign_out(self) -> None:
        """Have the next request refused for its credentials."""
        self.door.refusals.append(self.expired)


class Mantle(Cloud):
    name, simulated = "bedrock", "bedrock"

    def endpoint(self) -> dict[str, Any]:
        return {"kind": "bedrock", "region": fronts.REGION, "baseUrl": self.door.base_url}

    def environment(self) -> dict[str, str]:
        self.sign_in()
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "credentials"),
            "AWS_CONFIG_FILE": str(self.home / "config"),
        }

    def sign_in(self) -> None:
        self._write(fronts.SESSION_TOKEN)

    def sign_out(self) -> None:
        self._write("a-session-token-of-yesterday")

    def take_away(self) -> str:
        (self.home / "credentials").unlink()
        return "cloudSignInMissing"

    def _write(self, token: str) -> None:
        (self.home / "credentials").write_text(
            f"[default]\naws_access_key_id = {fronts.ACCESS_KEY}\n"
            f"aws_secret_access_key = {fronts.SECRET_KEY}\naws_session_token = {token}\n"
        )


class Runtime(Mantle):
    name, simulated = "bedrock-runtime", "bedrockLegacy"

    def endpoint(self) -> dict[str, Any]:
        there = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
        return {**super().endpoint(), "models": {self.model: there}}


class Vertex(Cloud):
    name, simulated = "vertex", "vertex"
    expired = fronts.google(401, "UNAUTHENTICATED", "The access token has expired.")

    def endpoint(self) -> dict[str, Any]:
        return {"kind": "vertex", "region": fronts.REGION, "baseUrl": f"{self.door.base_url}/v1"}

    def environment(self) -> dict[str, str]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        account = {
            "type": "service_account",
            "project_id": fronts.PROJECT,
            "private_key": pem.decode(),
            "client_email": "kelp@example.com",
            "token_uri": f"{self.door.base_url}/token",
        }
        (self.home / "account.json").write_text(json.dumps(account))
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(self.home / "account.json")}

    def take_away(self) -> str:
        revoked = {"error": "invalid_grant", "error_description": "Token has been revoked."}
        self.door.refusals.append(fronts.Refusal(400, {}, json.dumps(revoked)))
        return "cloudSignInExpired"


class Foundry(Cloud):
    name = "foundry"
    expired = fronts.azure(401, "Unauthorized", "The access token has expired.")

    def endpoint(self) -> dict[str, Any]:
        return {"kind": "foundry", "baseUrl": f"{self.door.base_url}/anthropic"}

    def environment(self) -> dict[str, str]:
        return {
            "IDENTITY_ENDPOINT": f"{self.door.base_url}/identity",
            "IDENTITY_HEADER": "of-the-machine",
        }

    def take_away(self) -> str:
        self.door.refusals.append(fronts.Refusal(400, {}, '{"message": "no identity here"}'))
        return "cloudSignInMissing"


DOORS = {Mantle: fronts.bedrock, Runtime: fronts.bedrock, Vertex: fronts.vertex}
CLOUDS = [
    pytest.param(kind, marks=pytest.mark.survives("C07"), id=kind.name)
    for kind in (Mantle, Runtime, Vertex, Foundry)
]


@asynccontextmanager
async def cloudy(
    kind: type[Cloud],
    root: Path,
    nursery: Nursery | None,
    more: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Server, Cloud, Simulator, Simulator]]:
    """A server whose endpoint `cloud` is a cloud, and whose first endpoint is the API."""
    async with (
        Simulator() as first,
        Simulator(endpoint=kind.simulated, organization="of-the-cloud") as behind,
        DOORS.get(kind, fronts.foundry)(behind) as door,
    ):
        behind.script(Script.parse(CALLS))
        home = root / "machine"
        home.mkdir()
        cloud = kind(door, home)
        environment = {**NOT_HERE, "HOME": str(home), **cloud.environment(), **(more or {})}
        endpoints = [{"name": "cloud", **cloud.endpoint()}]
        server = await start(
            first, root, nursery, environment, **{"endpoints": endpoints, **options}
        )
        try:
            yield server, cloud, first, behind
        finally:
            assert server.client is not None
            await server.client.stop()


async def session_at(server: Server, root: Path, endpoint: str | None) -> str:
    made = await server.command("session.create", workspaceUri=root.as_uri())
    session_id = str(made["sessionId"])
    await server.open(session_id)
    if endpoint is not None:
        await server.command("model.select", sessionId=session_id, endpoint=endpoint)
    return session_id


async def say(server: Server, session_id: str, text: str) -> str:
    sent = await server.command("turn.send", sessionId=session_id, text=text)
    return str(sent["turnId"])


def shows_no_secret(root: Path) -> None:
    written = (
        b"".join(path.read_bytes() for path in (root / "data").rglob("*") if path.is_file())
        + (root / "server.log").read_bytes()
    )
    assert [secret for secret in fronts.SECRETS if secret.encode() in written] == []


@pytest.mark.parametrize("kind", CLOUDS)
async def test_C07_a_turn_with_tools_is_answered_by_a_cloud_and_outlives_its_credentials(
    kind: type[Cloud], tmp_path: Path, nursery: Nursery
) -> None:
    async with cloudy(kind, tmp_path, nursery) as (server, cloud, first, behind):
        session_id = await session_at(server, tmp_path, "cloud")
        turn = await say(server, session_id, "Look what is there.")
        await server.ended(session_id, turn)
        assert await server.last_answer(session_id) == "It is dulse."
        assert len(server.of(session_id, "toolStarted")) == 1
        assert behind.refusals == []
        assert not [entry for entry in first.log if entry.path == "/v1/messages"]

        cloud.sign_out()
        turn = await say(server, session_id, "And now?")
        assert await server.settled(session_id, turn) == "paused"
        assert server.statuses[session_id]["cause"] == "cloudSignInExpired"
        cloud.sign_in()
        await server.command("turn.resume", sessionId=session_id)
        await server.ended(session_id, turn)
        assert await server.last_answer(session_id) == "It is dulse."
        shows_no_secret(tmp_path)


@pytest.mark.parametrize("kind", CLOUDS)
async def test_P3_a_session_goes_on_at_a_cloud_when_the_first_endpoint_is_down_in_mid_task(
    kind: type[Cloud], tmp_path: Path, nursery: Nursery
) -> None:
    options = {
        "failover": ["default", "cloud"],
        "retry": {"maxDelaySeconds": 0.1, "budgetSeconds": 20, "failoverSeconds": 0.3},
        "permissions": [{"tool": "*", "pattern": "*", "answer": "ask"}],
    }
    async with cloudy(kind, tmp_path, nursery, **options) as (server, _, first, _behind):
        thinking = {"type": "thinking", "text": "The file will tell."}
        respond = {"content": [thinking, *CALLS[0]["respond"]["content"]]}  # type: ignore[index]
        first.script(Script.parse([{**CALLS[0], "respond": respond}]))
        session_id = await session_at(server, tmp_path, None)
        turn = await say(server, session_id, "Look what is there.")
        asked = await server.until(lambda: server.of(session_id, "questionAsked"), "the question")
        await first.stop()
        question = asked[0]["questionId"]
        await server.command("permission.answer", questionId=question, answer="allow")
        await server.ended(session_id, turn)
        assert await server.last_answer(session_id) == "It is dulse."
        assert len(server.of(session_id, "toolStarted")) == 1, "P6: nothing runs twice"
        [moved] = server.of(session_id, "endpointSelected")
        assert (moved["endpoint"], moved["reason"]) == ("cloud", "failover")


@pytest.mark.parametrize("kind", [Mantle, Vertex, Foundry], ids=lambda kind: kind.name)
async def test_P12_the_doctor_examines_a_cloud_and_names_a_sign_in_that_is_missing_or_over(
    kind: type[Cloud], tmp_path: Path, nursery: Nursery
) -> None:
    async with cloudy(kind, tmp_path, nursery) as (server, cloud, _, behind):
        cause = cloud.take_away()
        found = await server.command("doctor.run", endpoint="cloud")
        assert found["verdict"] == cause, found
        cloud.sign_in()
        found = await server.command("doctor.run", endpoint="cloud")
        assert found["verdict"] == "healthy", found
        assert behind.log == [], "nothing is generated, nothing is asked for"
        shows_no_secret(tmp_path)


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [
        pytest.param(Runtime, "botocore", "holdfast[bedrock]", id="bedrock"),
        pytest.param(Vertex, "google.auth", "holdfast[vertex]", id="vertex"),
        pytest.param(Foundry, "azure.identity", "holdfast[foundry]", id="foundry"),
    ],
)
async def test_P3_a_turn_waits_for_an_extra_that_is_not_installed_and_goes_on_without_a_restart(
    kind: type[Cloud], package: str, extra: str, tmp_path: Path
) -> None:
    hidden = tmp_path / "not-installed"
    hidden.write_text(package)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDING.format(flag=str(hidden)))
    more = {"PYTHONPATH": str(tmp_path / "site")}
    async with cloudy(kind, tmp_path, None, more) as (server, _, _first, _behind):
        session_id = await session_at(server, tmp_path, "cloud")
        turn = await say(server, session_id, "Look what is there.")
        assert await server.settled(session_id, turn) == "paused"
        assert server.statuses[session_id]["cause"] == "cloudClientMissing"
        [failed] = server.of(session_id, "requestFailed")
        assert f'-m pip install "{extra}"' in failed["failure"]["message"]

        hidden.unlink()
        await server.command("turn.resume", sessionId=session_id)
        await server.ended(session_id, turn)
        assert await server.last_answer(session_id) == "It is dulse."


HIDING = '''
"""Hides a package for as long as a file is there, as if it had not been installed."""

import pathlib
import sys

FLAG = pathlib.Path({flag!r})


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if FLAG.exists() and (name + ".").startswith(FLAG.read_text() + "."):
            raise ModuleNotFoundError(name)
        return None


sys.meta_path.insert(0, Hidden())
'''
