"""The adapter over real sockets and the real SDK: every stream ends, and ends as promised."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import Block, assistant, text, user
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import Credentials
from holdfast.model.port import (
    BlockClosed,
    Capabilities,
    ModelFailed,
    ResponseEnded,
    ResponseOpened,
    StreamItem,
)
from holdfast.session.failures import Failure
from holdfast.session.failures import FailureKind as K
from model.canned import (
    MESSAGE_START,
    PING,
    RECORDED,
    RECORDED_BLOCKS,
    Pieces,
    Play,
    Received,
    TinyServer,
    head,
    plays,
    request,
    serving,
    sse,
    whole,
)

KEY = "sk-ant-test-0123456789"
WIRE = sse(RECORDED)


@asynccontextmanager
async def model_at(url: str, key: str | None = KEY) -> AsyncIterator[AnthropicModel]:
    model = AnthropicModel(lambda: Credentials(api_key=key), url)
    try:
        yield model
    finally:
        await model.close()


async def items_from(model: AnthropicModel, **changes: Any) -> list[StreamItem]:
    async with model.stream(request(**changes)) as stream:
        return [item async for item in stream]


async def outcome(play: Play, **changes: Any) -> list[StreamItem] | Failure:
    """Play one exchange; the whole of it is bounded by the test's own patience."""
    async with serving(play) as server, model_at(server.url) as model, asyncio.timeout(20):
        try:
            return await items_from(model, **changes)
        except ModelFailed as failed:
            return failed.failure


async def failure(play: Play, **changes: Any) -> Failure:
    ended = await outcome(play, **changes)
    assert isinstance(ended, Failure)
    return ended


# -- the good way ---------------------------------------------------------------------------


async def test_an_answer_is_streamed_and_the_connection_used_again() -> None:
    async with serving(plays(whole(WIRE))) as server, model_at(server.url) as model:
        for _ in range(3):
            items = await items_from(model)
            assert items[0] == ResponseOpened("msg_1", "claude-opus-5-5", "req_1", 330)
            closed = [item.block.raw for item in items if isinstance(item, BlockClosed)]
            assert tuple(closed) == RECORDED_BLOCKS
            assert isinstance(items[-1], ResponseEnded)
        assert (len(server.requests), server.connections) == (3, 1)


async def test_the_server_sees_our_bytes_and_headers_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R70-R74: blocks are sent in their own bytes. Hidden inputs of the SDK are neutralised."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-from-the-environment")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-hidden: 1\nauthorization: Bearer hidden")
    odd = Block.of({"zeta": None, "type": "brand_new", "alpha": "ü\u2028</script>", "n": 1.50})
    history = (user("first"), assistant(odd, text("second")), user("third"))
    async with serving(plays(whole(WIRE))) as server, model_at(server.url) as model:
        await items_from(model, messages=history)
    (seen,) = server.requests
    for message in history[:-1]:
        for block in message.blocks:
            assert block.raw[:-1].encode() in seen.body
    assert history[1].wire.encode() in seen.body
    assert json.loads(seen.body)["stream"] is True
    assert (seen.method, seen.path) == ("POST", "/v1/messages")
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["content-length"] == str(len(seen.body))
    assert "transfer-encoding" not in seen.headers
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["x-api-key"] == KEY
    assert seen.headers["anthropic-version"]
    assert "x-hidden" not in seen.headers


async def test_a_big_body_arrives_whole() -> None:
    big = "seaweed " * 200_000
    async with serving(plays(whole(WIRE))) as server, model_at(server.url) as model:
        await items_from(model, messages=(user(big),))
    sent = json.loads(server.requests[0].body)["messages"][0]["content"][0]["text"]
    assert sent == big


async def test_a_renewed_key_is_used_for_the_next_request() -> None:
    """C07"""
    keys = iter(["sk-ant-old", "sk-ant-new"])
    async with serving(plays(whole(WIRE))) as server:
        model = AnthropicModel(lambda: Credentials(api_key=next(keys)), server.url)
        await items_from(model)
        await items_from(model)
        await model.close()
    sent = [seen.headers["authorization"] for seen in server.requests]
    assert sent == ["Bearer sk-ant-old", "Bearer sk-ant-new"]


async def test_a_compressed_answer_is_read() -> None:
    packed = whole(gzip.compress(WIRE), content_encoding="gzip")
    assert isinstance(await outcome(plays(packed)), list)


async def test_the_importing_of_the_adapter_imports_no_sdk() -> None:
    """S2"""
    code = (
        "import sys, holdfast.model.anthropic_adapter as adapter; "
        "adapter.AnthropicModel(lambda: adapter.Credentials(), None); "
        "print([n for n in ('anthropic', 'httpx2', 'pydantic') if n in sys.modules])"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# -- the bad ways ---------------------------------------------------------------------------


async def test_without_a_key_nothing_is_sent() -> None:
    async with serving(plays(whole(WIRE))) as server, model_at(server.url, key=None) as model:
        with pytest.raises(ModelFailed) as failed:
            await items_from(model)
        assert await model.capabilities("claude-opus-4-5") == Capabilities(
            "claude-opus-4-5", 200_000, 64_000, "table"
        )
    assert failed.value.failure.kind is K.AUTHENTICATION
    assert "ANTHROPIC_API_KEY" in failed.value.failure.message
    assert server.connections == 0


BEGUN = head() + sse(RECORDED[:9])
CHUNKED = head(transfer_encoding="chunked")
CUTS = {
    "closed before the headers": (plays(then="close"), K.NETWORK),
    "reset before the headers": (plays(then="reset"), K.NETWORK),
    "not HTTP at all": (plays(b"SSH-2.0-OpenSSH_9.9\r\n", then="close"), K.NETWORK),
    "silent before the headers": (plays(), K.TIMEOUT),
    "silent within the headers": (plays(b"HTTP/1.1 200 OK\r\ncont"), K.TIMEOUT),
    "silent after the headers": (plays(head()), K.STALLED),
    "silent within the answer": (plays(BEGUN), K.STALLED),
    "reset within the answer": (plays(BEGUN, then="reset"), K.CUT),
    "closed within the answer": (plays(BEGUN, then="close"), K.CUT),
    "cut by its length": (plays(whole(WIRE)[:-400], then="close"), K.CUT),
    "a chunk too short": (plays(CHUNKED, b"ffff\r\nevent: ping\n", then="close"), K.CUT),
    "ended too early by chunks": (
        plays(CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(WIRE[:900]), WIRE[:900])), K.CUT,
    ),
    "half an event": (plays(head() + b"event: message_st", then="close"), K.CUT),
    "half a character": (plays(BEGUN + 'data: "ü'.encode()[:-1], then="close"), K.CUT),
    "pings only": (plays(head() + sse([PING, PING]), then="close"), K.CUT),
    "empty": (plays(whole(b"")), K.UNREADABLE),
    "a page": (plays(whole(b"<html>Log in to the hotel network</html>")), K.UNREADABLE),
    "an answer that is no stream": (plays(whole(b'{"type":"message"}')), K.UNREADABLE),
    "an error with status 200": (
        plays(whole(b'{"type":"error","error":{"type":"overloaded_error","message":"o"}}')),
        K.OVERLOADED,
    ),
    "invalid UTF-8": (plays(BEGUN + b'data: "\xff"\n\n', then="stay"), K.UNREADABLE),
    "invalid JSON": (
        plays(BEGUN + b"event: content_block_stop\ndata: {nope\n\n"), K.UNREADABLE,
    ),
    "damaged compression": (plays(whole(b"garbage", content_encoding="gzip")), K.UNREADABLE),
    "an error event": (
        plays(BEGUN + sse([{"type": "error", "error": {"type": "api_error", "message": "x"}}])),
        K.SERVER,
    ),
    "an error status": (
        plays(whole(b'{"type":"error","error":{"type":"overloaded_error"}}', status=529)),
        K.OVERLOADED,
    ),
    "an error page": (plays(whole(b"<html>Bad gateway</html>", status=502)), K.SERVER),
    "an error status without end": (plays(head(status=500) + b"{"), K.TIMEOUT),
    "a redirect": (plays(whole(b"", status=307, location="http://other.example/")), K.NETWORK),
    "a refusal that quotes the key": (
        plays(whole(f"no {KEY}".encode(), status=401)), K.AUTHENTICATION,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CUTS)
async def test_each_way_to_break_an_exchange_ends_in_its_failure(name: str) -> None:
    """P3, P7, C01-C03: bounded, classified, never a finished answer."""
    play, kind = CUTS[name]
    failed = await failure(play, first_byte_timeout_s=0.3, idle_cut_s=0.3)
    assert failed.kind is kind
    assert failed.message
    assert KEY not in failed.message + failed.raw


async def test_an_answer_cut_after_its_stop_reason_is_whole() -> None:
    """§3.4: message_delta seen, no message_stop."""
    for then in ("close", "reset", "stay"):
        items = await outcome(plays(head() + sse(RECORDED[:-1]), then=then), idle_cut_s=0.3)
        assert isinstance(items, list)
        assert isinstance(items[-1], ResponseEnded)


async def test_a_connection_that_stays_open_after_the_answer_does_not_hold_up_the_turn() -> None:
    items = await outcome(plays(head() + WIRE), idle_cut_s=60.0)
    assert isinstance(items, list)
    assert isinstance(items[-1], ResponseEnded)


async def test_a_refused_connection_is_named() -> None:
    async with serving(plays()) as server:
        url = server.url
    async with model_at(url) as model:
        with pytest.raises(ModelFailed) as failed:
            await items_from(model)
    assert failed.value.failure.kind is K.NETWORK
    assert "refused" in failed.value.failure.message


async def test_a_base_url_that_is_none_is_our_fault_and_says_so() -> None:
    for url in ("ftp://127.0.0.1", "not a url"):
        async with model_at(url) as model:
            with pytest.raises(ModelFailed) as failed:
                await items_from(model)
            assert failed.value.failure.kind is K.INTERNAL


async def test_a_tool_that_is_no_json_is_our_fault_and_nothing_is_sent() -> None:
    async with serving(plays(whole(WIRE))) as server, model_at(server.url) as model:
        with pytest.raises(ModelFailed) as failed:
            await items_from(model, tools=({"name": "x", "bad": object()},))
    assert failed.value.failure.kind is K.INTERNAL
    assert server.requests == []


async def test_the_raw_error_and_its_ids_are_kept() -> None:
    """P12"""
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.0: x"}}'
    failed = await failure(plays(whole(body, status=400, retry_after="7")))
    assert (failed.status, failed.type) == (400, "invalid_request_error")
    assert (failed.request_id, failed.retry_after_ms) == ("req_1", 7000)
    assert failed.raw == body.decode()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(200, 599),
    st.fixed_dictionaries(
        {},
        optional={
            "content-type": st.sampled_from(["text/event-stream", "text/html; charset=x", "é"]),
            "content-encoding": st.sampled_from(["gzip", "deflate", "nonsense"]),
            "retry-after": st.text(st.characters(codec="latin-1", categories=["L", "N"])),
        },
    ),
    st.lists(st.binary(max_size=30) | st.sampled_from([WIRE, WIRE[:700], b"\n\n", b"data:"])),
)
def test_any_answer_at_all_ends_in_one_of_the_two_ways(
    status: int, headers: dict[str, str], pieces: list[bytes]
) -> None:
    """P3"""
    raw_headers = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers=raw_headers, stream=Pieces(pieces))

    async def play() -> list[StreamItem] | Failure:
        model = AnthropicModel(
            lambda: Credentials(api_key=KEY), transport=httpx2.MockTransport(answer)
        )
        try:
            return await items_from(model)
        except ModelFailed as failed:
            return failed.failure
        finally:
            await model.close()

    ended = asyncio.run(play())
    if isinstance(ended, Failure):
        assert ended.message
        assert ended.kind is not K.INTERNAL or status == 431
    else:
        assert isinstance(ended[-1], ResponseEnded)


# -- stopping -------------------------------------------------------------------------------


async def test_cancelling_hangs_up_at_once() -> None:
    """P7: the peer sees the end of the connection; cancellation passes through."""
    streaming = asyncio.Event()

    async def read(model: AnthropicModel) -> None:
        async with model.stream(request()) as stream:
            async for item in stream:
                if isinstance(item, ResponseOpened):
                    streaming.set()

    begun = plays(head() + sse([MESSAGE_START]))
    async with serving(begun) as server, model_at(server.url) as model:
        task = asyncio.create_task(read(model))
        async with asyncio.timeout(10):
            await streaming.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.hung_up.wait()


async def test_cancelling_before_the_headers_hangs_up_too() -> None:
    asked = asyncio.Event()

    async def play(_: Received, _writer: asyncio.StreamWriter) -> None:
        asked.set()

    async with serving(play) as server, model_at(server.url) as model:
        task = asyncio.create_task(items_from(model))
        async with asyncio.timeout(10):
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.hung_up.wait()


async def test_leaving_the_context_early_hangs_up() -> None:
    async with TinyServer(plays(BEGUN)) as server, model_at(server.url) as model:
        async with model.stream(request()) as stream:
            first = await anext(stream)
        assert isinstance(first, ResponseOpened)
        async with asyncio.timeout(10):
            await server.hung_up.wait()


# -- capabilities ---------------------------------------------------------------------------

LISTING = b'{"data":[{"id":"m-1","max_input_tokens":50000,"max_tokens":4000}]}'


async def test_capabilities_come_from_the_endpoint_and_are_asked_for_once() -> None:
    answer = plays(whole(LISTING, content_type="application/json"))
    async with serving(answer) as server, model_at(server.url) as model:
        known = await asyncio.gather(*(model.capabilities("m-1") for _ in range(5)))
        assert set(known) == {Capabilities("m-1", 50_000, 4_000, "endpoint")}
        assert (await model.capabilities("claude-opus-4-5")).source == "table"
        assert len(server.requests) == 1
        assert server.requests[0].path == "/v1/models?limit=1000"
        assert list(await model.models()) == [known[0]]


@pytest.mark.parametrize(
    "play",
    [
        plays(then="close"),
        plays(whole(b"", status=404)),
        plays(whole(b"<html>", content_type="text/html")),
        plays(whole(b"[]", content_type="application/json")),
    ],
    ids=["closed", "404", "html", "no listing"],
)
async def test_capabilities_never_fail_and_a_failing_endpoint_is_not_asked_again(
    play: Play,
) -> None:
    async with serving(play) as server, model_at(server.url) as model:
        for _ in range(3):
            assert (await model.capabilities("claude-opus-5-5")).source == "table"
        assert len(server.requests) == 1


async def test_a_listing_that_fails_is_a_failure_for_those_who_ask_for_it() -> None:
    async with serving(plays(whole(b"", status=401))) as server, model_at(server.url) as model:
        with pytest.raises(ModelFailed) as failed:
            await model.models()
    assert failed.value.failure.kind is K.AUTHENTICATION
