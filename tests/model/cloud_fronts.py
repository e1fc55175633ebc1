"""The clouds' doors in front of the simulator: real sockets, their wires, their refusals.

Law: written from the clouds' own specifications. A door checks what its cloud checks - the
signature with the secret that both sides know, the token, what stands in the body and what in the
path - takes the request out of the cloud's form and asks the simulator; what comes back it puts
into the cloud's form again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote

import attrs
import httpx2
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from holdfast.simulator import Simulator
from model.canned import Received, TinyServer

ACCESS_KEY = "AKIAWRACKLINE"
SECRET_KEY = "the-secret-of-the-signature"
SESSION_TOKEN = "a-session-token-that-ends-some-day"
BEARER = "a-bedrock-key-of-its-own"
GOOGLE_TOKEN = "ya29.a-token-of-google"
AZURE_KEY = "an-azure-key-of-the-resource"
AZURE_TOKEN = "an-entra-token"
SECRETS = (SECRET_KEY, SESSION_TOKEN, BEARER, GOOGLE_TOKEN, AZURE_KEY, AZURE_TOKEN)
REGION = "eu-central-1"
PROJECT = "kelp-forest"

_INVOKE = re.compile(r"/model/([^/]+)/invoke-with-response-stream$")
_PREDICT = re.compile(
    rf"/v1/projects/{PROJECT}/locations/{REGION}/publishers/anthropic/models/"
    r"([^/:]+):(streamRawPredict|rawPredict)$"
)


@attrs.frozen
class Refusal:
    """An answer in place of the cloud's next one; `frame` comes in the middle of a stream."""

    status: int = 200
    headers: Mapping[str, str] = attrs.Factory(dict)
    body: str = ""
    frame: tuple[str, str] | None = None
    damage: bool = False


def amazon(status: int, name: str, message: str) -> Refusal:
    """A refusal as Amazon writes it."""
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/", **_AMZN}
    return Refusal(status, headers, json.dumps({"message": message}))


def google(status: int, name: str, message: str, reason: str = "") -> Refusal:
    """A refusal as Google writes it; streams wrap it in a list."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": status, "message": message, "status": name}
    return Refusal(
        status, {}, json.dumps([{"error": {**error, **({"details": details} if reason else {})}}])
    )


def azure(status: int, code: str, message: str, **headers: str) -> Refusal:
    """A refusal as Azure writes it."""
    body = json.dumps({"error": {"code": code, "message": message}})
    return Refusal(status, {"apim-request-id": "az-1", **headers}, body)


@attrs.define
class Door:
    """A cloud's address. `refusals` are given in order before anything is let through."""

    server: TinyServer
    refusals: list[Refusal] = attrs.Factory(list)
    signed_with: list[str] = attrs.Factory(list)

    @property
    def base_url(self) -> str:
        return self.server.url

    @property
    def requests(self) -> list[Received]:
        return self.server.requests

    def asked(self, part: str) -> list[Received]:
        """The requests to paths that hold `part`."""
        return [each for each in self.requests if part in each.path]


@attrs.frozen
class Upstream:
    """The simulator behind a door."""

    client: httpx2.AsyncClient

    @asynccontextmanager
    async def asked(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request in the form of the Messages API."""
        known = {"anthropic-version": "2026-10-21", "authorization": "Bearer upstream", **headers}
        async with self.client.stream("POST", path, json=body, headers=known) as response:
            yield response


@asynccontextmanager
async def bedrock(simulator: Simulator) -> AsyncIterator[Door]:
    """Open both of Bedrock's interfaces at one address."""
    async with _open(simulator, _bedrock) as door:
        yield door


@asynccontextmanager
async def vertex(simulator: Simulator) -> AsyncIterator[Door]:
    """Open Vertex AI, with Google's token server at `/token`."""
    async with _open(simulator, _vertex) as door:
        yield door


@asynccontextmanager
async def foundry(simulator: Simulator) -> AsyncIterator[Door]:
    """Open a resource of Foundry, with a managed identity's token server at `/identity`."""
    async with _open(simulator, _foundry) as door:
        yield door


@asynccontextmanager
async def _open(
    simulator: Simulator,
    serve: Callable[[Door, Received, asyncio.StreamWriter, Upstream], Awaitable[None]],
) -> AsyncIterator[Door]:
    async with httpx2.AsyncClient(base_url=simulator.base_url, timeout=30.0) as client:
        upstream = Upstream(client)

        async def play(request: Received, writer: asyncio.StreamWriter) -> None:
            await serve(door, request, writer, upstream)

        async with TinyServer(play) as server:
            door = Door(server)
            yield door


# -- Bedrock ---------------------------------------------------------------------------------------

_AMZN = {"x-amzn-requestid": "0f1e2d3c-amzn"}


async def _bedrock(
    door: Door, request: Received, writer: asyncio.StreamWriter, upstream: Upstream
) -> None:
    if "authorization" not in request.headers:
        words = {"message": "Missing Authentication Token"}
        return await _answer(writer, 403, json.dumps(words), **_AMZN)
    service = "bedrock-mantle" if request.path.startswith("/anthropic/") else "bedrock"
    problem = _signature(door, request, service)
    if problem is not None:
        return await _refuse(writer, problem)
    frame = None
    if door.refusals:
        refusal = door.refusals.pop(0)
        if refusal.frame is None and not refusal.damage:
            return await _refuse(writer, refusal)
        frame = refusal
    invoked = _INVOKE.match(request.path)
    if invoked is None:
        path = request.path.removeprefix("/anthropic")
        body = _named(request, json.loads(request.body)["model"])
        async with upstream.asked(path, body, _betas(request)) as response:
            return await _relay(writer, response, _AMZN)
    body = json.loads(request.body)
    if "model" in body or "stream" in body or body.pop("anthropic_version", "") != _BEDROCK:
        return await _refuse(writer, amazon(400, "ValidationException", "Malformed input request"))
    betas = {"anthropic-beta": ",".join(body.pop("anthropic_beta"))} if _BETA in body else {}
    body = {**body, "model": _plain(unquote(invoked[1])), "stream": True}
    async with upstream.asked("/v1/messages", body, betas) as response:
        if response.status_code != 200:
            error = json.loads(await response.aread())["error"]
            named = amazon(response.status_code, "ValidationException", error["message"])
            return await _refuse(writer, named)
        _head(writer, 200, {"content-type": "application/vnd.amazon.eventstream", **_AMZN})
        async for data in _events(response):
            if frame is not None and "content_block_delta" in data:
                _piece(writer, _broken_frame(frame))
                break
            _piece(writer, chunk_of(data))
            await writer.drain()
        return await _end(writer)


_BEDROCK = "bedrock-2023-05-31"
_BETA = "anthropic_beta"


def _signature(door: Door, request: Received, service: str) -> Refusal | None:
    """Check a key, or the signature: computed anew with the secret that both sides know."""
    given = request.headers["authorization"]
    if given.startswith("Bearer "):
        door.signed_with.append("key")
        known = given == f"Bearer {BEARER}"
        words = "Authentication failed: Please make sure your API Key is valid."
        return None if known else amazon(403, "AccessDeniedException", words)
    if request.headers.get("x-amz-security-token", SESSION_TOKEN) != SESSION_TOKEN:
        words = "The security token included in the request is expired"
        return amazon(403, "ExpiredTokenException", words)
    signed = re.search(r"SignedHeaders=([^,]+)", given)
    assert signed is not None
    again = AWSRequest(
        method=request.method,
        url=f"{door.base_url}{request.path}",
        headers={name: request.headers[name] for name in signed[1].split(";") if name != "host"},
        data=request.body,
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, REGION)
    string = signer.string_to_sign(again, signer.canonical_request(again))
    door.signed_with.append(service)
    if given.endswith(f"Signature={signer.signature(string, again)}"):
        return None
    words = "The request signature we calculated does not match the signature you provided."
    return amazon(403, "InvalidSignatureException", words)


def chunk_of(data: str) -> bytes:
    """Return the frame in which Bedrock wraps an event."""
    payload = json.dumps({"bytes": base64.b64encode(data.encode()).decode(), "p": "abc"})
    fields = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return frame_of(fields, payload.encode())


def _broken_frame(refusal: Refusal) -> bytes:
    if refusal.frame is None:
        whole = bytearray(chunk_of('{"type":"ping"}'))
        whole[-6] ^= 0xFF
        return bytes(whole)
    name, message = refusal.frame
    fields = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame_of(fields, json.dumps({"message": message}).encode())


def frame_of(fields: Mapping[str, str], payload: bytes) -> bytes:
    """Return a frame of Amazon's event stream: lengths, headers, payload, two checksums."""
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + _sized(value.encode())
        for name, value in fields.items()
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    start = prelude + struct.pack("!I", zlib.crc32(prelude))
    body = start + headers + payload
    return body + struct.pack("!I", zlib.crc32(body))


def _sized(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value


# -- Vertex ----------------------------------------------------------------------------------------


async def _vertex(
    door: Door, request: Received, writer: asyncio.StreamWriter, upstream: Upstream
) -> None:
    if request.path == "/token":
        assertion = parse_qs(request.body.decode())["assertion"][0]
        assert assertion.count(".") == 2, "a signed JWT is exchanged for a token"
        if (
            door.refusals
            and door.refusals[0].status == 400
            and "invalid_grant" in door.refusals[0].body
        ):
            return await _refuse(writer, door.refusals.pop(0))
        granted = {"access_token": GOOGLE_TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        return await _answer(writer, 200, json.dumps(granted))
    if request.headers.get("authorization") != f"Bearer {GOOGLE_TOKEN}":
        words = "Request had invalid authentication credentials."
        return await _refuse(writer, google(401, "UNAUTHENTICATED", words))
    if door.refusals:
        return await _refuse(writer, door.refusals.pop(0))
    asked = _PREDICT.match(request.path)
    if asked is None:
        return await _answer(writer, 404, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>")
    body = json.loads(request.body)
    if body.pop("anthropic_version", "") != "vertex-2023-10-16":
        words = "anthropic_version: Field required"
        return await _refuse(writer, google(400, "INVALID_ARGUMENT", words))
    if asked[1] == "count-tokens":
        body, path = {**body, "model": _plain(body["model"])}, "/v1/messages/count_tokens"
    else:
        assert "model" not in body
        body, path = {**body, "model": _plain(asked[1])}, "/v1/messages"
    async with upstream.asked(path, body, _betas(request)) as response:
        return await _relay(writer, response, {"request-id": "req_vrtx_1"})


# -- Foundry ---------------------------------------------------------------------------------------


async def _foundry(
    door: Door, request: Received, writer: asyncio.StreamWriter, upstream: Upstream
) -> None:
    if request.path.startswith("/identity"):
        if door.refusals:
            return await _refuse(writer, door.refusals.pop(0))
        token = {"access_token": AZURE_TOKEN, "expires_on": "4102444800", "token_type": "Bearer"}
        return await _answer(writer, 200, json.dumps(token))
    key = request.headers.get("x-api-key") == request.headers.get("api-key") == AZURE_KEY
    if not key and request.headers.get("authorization") != f"Bearer {AZURE_TOKEN}":
        words = "Access denied due to invalid subscription key or wrong API endpoint."
        return await _refuse(writer, azure(401, "401", words))
    if door.refusals:
        return await _refuse(writer, door.refusals.pop(0))
    path = request.path.removeprefix("/anthropic")
    if not path.startswith("/v1/messages"):
        return await _refuse(writer, azure(404, "404", "Resource not found"))
    async with upstream.asked(path, json.loads(request.body), _betas(request)) as response:
        return await _relay(writer, response, {"request-id": "req_az_1"})


# -- what all of them do ---------------------------------------------------------------------------


def _plain(model: str) -> str:
    """Return a model's name as the API has it."""
    name = model[model.index("claude-") :].replace("@", "-")
    return re.sub(r"-v\d+(:\d+)?$", "", name)


def _named(request: Received, model: str) -> dict[str, object]:
    return {**json.loads(request.body), "model": _plain(model)}


def _betas(request: Received) -> dict[str, str]:
    given = request.headers.get("anthropic-beta")
    return {} if given is None else {"anthropic-beta": given}


async def _events(response: httpx2.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


async def _relay(
    writer: asyncio.StreamWriter, response: httpx2.Response, more: Mapping[str, str]
) -> None:
    kind = response.headers.get("content-type", "application/json")
    _head(writer, response.status_code, {"content-type": kind, **more})
    async for piece in response.aiter_bytes():
        _piece(writer, piece)
        await writer.drain()
    await _end(writer)


async def _refuse(writer: asyncio.StreamWriter, refusal: Refusal) -> None:
    await _answer(writer, refusal.status, refusal.body, **refusal.headers)


async def _answer(writer: asyncio.StreamWriter, status: int, body: str, **headers: str) -> None:
    kind = "text/html" if body.startswith("<") else "application/json"
    fields = {"content-type": kind, "content-length": str(len(body.encode())), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n{body}".encode())


def _head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    fields = {**headers, "transfer-encoding": "chunked"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _piece(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
