"""A look at the endpoint: free, bounded, and it says what is there (P3, P12)."""

from __future__ import annotations

import asyncio
import socket

import pytest

from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import Credentials
from holdfast.model.port import ModelFailed, Probe, ResponseEnded
from holdfast.session.failures import FailureKind as K
from model.canned import RECORDED, Received, plays, request, serving, sse, whole

KEY = "sk-ant-test-0123456789"
LISTED = b'{"data":[{"id":"claude-opus-5-5","type":"model"}],"has_more":true}'
PAGE = b"<!doctype html><title>Welcome to the hotel</title>"


def json_answer(body: bytes, status: int = 200, **headers: str) -> bytes:
    return whole(body, status, content_type="application/json", **headers)


async def looked(answer: bytes, key: str | None = KEY) -> tuple[Probe, list[Received]]:
    async with serving(plays(answer)) as server, asyncio.timeout(10):
        model = AnthropicModel(lambda: Credentials(api_key=key), f"{server.url}/prefix")
        found = await model.probe()
        await model.close()
        return found, server.requests


async def test_a_healthy_endpoint_is_asked_for_one_model_and_nothing_is_generated() -> None:
    found, requests = await looked(json_answer(LISTED))
    assert (found.ok, found.failure) == (True, None)
    assert [(r.method, r.path, r.body) for r in requests] == [
        ("GET", "/prefix/v1/models?limit=1", b"")
    ]
    assert requests[0].headers["authorization"] == f"Bearer {KEY}"


REFUSED = b'{"type":"error","error":{"type":"authentication_error","message":"no"}}'
BUSY = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'


@pytest.mark.parametrize(
    ("answer", "ok", "kind"),
    [
        (json_answer(REFUSED, 401), True, K.AUTHENTICATION),
        (whole(b"not here", 404), True, K.SERVER),
        (whole(PAGE, 405, content_type="text/html"), True, K.SERVER),
        (json_answer(BUSY, 529), False, K.OVERLOADED),
        (whole(PAGE, 502, content_type="text/html"), False, K.SERVER),
        (whole(PAGE, 200, content_type="text/html"), False, K.UNREADABLE),
        (whole(b"", 302, location="http://portal.invalid/"), False, K.NETWORK),
    ],
)
async def test_whoever_answers_for_the_endpoint_is_told_from_whoever_stands_in_its_place(
    answer: bytes, ok: bool, kind: K
) -> None:
    found, _ = await looked(answer)
    assert found.failure is not None
    assert (found.ok, found.failure.kind) == (ok, kind)


async def test_without_a_key_none_is_sent_and_the_endpoint_is_looked_at_all_the_same() -> None:
    found, requests = await looked(json_answer(LISTED), key=None)
    assert found.ok
    assert not {"authorization", "x-api-key"} & set(requests[0].headers)


async def test_a_closed_port_is_no_endpoint_and_does_not_raise() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    model = AnthropicModel(lambda: Credentials(api_key=KEY), url)
    found = await model.probe()
    await model.close()
    assert found.failure is not None
    assert (found.ok, found.failure.kind) == (False, K.NETWORK)


async def test_dropped_connections_are_not_used_again_and_open_answers_go_on() -> None:
    """C09: after a sleep no pooled connection can be trusted; a stream that lives is left alone."""
    async with serving(plays(whole(sse(RECORDED)))) as server, asyncio.timeout(10):
        model = AnthropicModel(lambda: Credentials(api_key=KEY), server.url)
        await model.drop_connections()  # Nothing was opened yet: nothing happens.
        async with model.stream(request()) as items:
            assert await anext(aiter(items)) is not None
            await model.drop_connections()
            await model.drop_connections()
            rest = [item async for item in items]
            assert isinstance(rest[-1], ResponseEnded)
        async with model.stream(request()) as items:
            assert isinstance([item async for item in items][-1], ResponseEnded)
        assert (len(server.requests), server.connections) == (2, 2)
        await model.close()


async def test_a_request_that_fails_leaves_its_retired_connections_closed() -> None:
    async with serving(plays(json_answer(REFUSED, 401))) as server, asyncio.timeout(10):
        model = AnthropicModel(lambda: Credentials(api_key=KEY), server.url)
        await model.probe()
        await model.drop_connections()
        await asyncio.wait_for(server.hung_up.wait(), 5)
        with pytest.raises(ModelFailed):
            async with model.stream(request()):
                pass
        await model.close()
