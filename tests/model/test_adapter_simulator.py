"""Every named fault of the simulator, through the real SDK: each ends, and ends as it should."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import pytest

from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.assembly import UNPARSED
from holdfast.model.credentials import Credentials
from holdfast.model.port import BlockClosed, ModelFailed, ResponseEnded, StreamItem
from holdfast.session.failures import FailureKind as K
from holdfast.simulator import FAULTS, Fault, Simulator, Step
from model.canned import request

# A fault that is not named here ends in an answer.
FAILURES: Mapping[str, K] = {
    "status": K.SERVER,
    "server-error": K.SERVER,
    "gateway-timeout": K.TIMEOUT,
    "overloaded": K.OVERLOADED,
    "bad-gateway-html": K.SERVER,
    "unavailable-html": K.SERVER,
    "gateway-timeout-html": K.TIMEOUT,
    "too-large": K.TOO_LARGE,
    "too-large-html": K.TOO_LARGE,
    "rate-limit": K.RATE_LIMITED,
    "rate-limit-no-retry-after": K.RATE_LIMITED,
    "rate-limit-hour": K.RATE_LIMITED,
    "spend-limit": K.SPEND_LIMIT,
    "low-credit": K.BILLING,
    "unauthorized": K.AUTHENTICATION,
    "billing": K.BILLING,
    "forbidden": K.PERMISSION,
    "model-gone": K.MODEL_GONE,
    "request-timeout": K.TIMEOUT,
    "conflict": K.SERVER,
    "bad-request": K.INVALID_REQUEST,
    "prompt-too-long": K.TOO_LONG,
    "prefix-mismatch": K.INVALID_REQUEST,
    "prefix-mismatch-with-header": K.INVALID_REQUEST,
    "retry-forbidden": K.SERVER,
    "retry-advised": K.SERVER,
    "compaction-unavailable": K.OVERLOADED,
    "thread-not-found": K.INVALID_REQUEST,
    "html-200": K.UNREADABLE,
    "close-before-headers": K.NETWORK,
    "reset-before-headers": K.NETWORK,
    "headers-never": K.TIMEOUT,
    "headers-then-silence": K.STALLED,
    "empty-body": K.UNREADABLE,
    "silence": K.STALLED,
    "ping-storm": K.CUT,
    "reset": K.CUT,
    "clean-end": K.CUT,
    "eof": K.CUT,
    "chunk-cut": K.CUT,
    "half-event": K.CUT,
    "invalid-utf8": K.UNREADABLE,
    "invalid-json": K.UNREADABLE,
    "error-event-overloaded": K.OVERLOADED,
    "error-event-api": K.SERVER,
    "error-event-rate-limit": K.RATE_LIMITED,
    "error-event-timeout": K.TIMEOUT,
    "error-event-invalid-request": K.INVALID_REQUEST,
    "error-event-authentication": K.AUTHENTICATION,
    "error-event-permission": K.PERMISSION,
    "error-event-billing": K.BILLING,
    "error-event-not-found": K.INVALID_REQUEST,
    "cut-in-tool-json": K.CUT,
    "cut-in-thinking": K.CUT,
    "cut-before-signature": K.CUT,
}


async def played(name: str, simulator: Simulator) -> tuple[list[StreamItem], ModelFailed | None]:
    """Play one fault; return what arrived before the end, and the failure if there was one."""
    simulator.script([Step(fault=Fault(name=name, hold_ms=600, interval_ms=0))])
    model = AnthropicModel(lambda: Credentials(api_key="k"), simulator.base_url)
    items: list[StreamItem] = []
    try:
        async with (
            asyncio.timeout(20),
            model.stream(request(first_byte_timeout_s=0.3, idle_cut_s=0.3)) as stream,
        ):
            async for item in stream:
                items.append(item)  # noqa: PERF401 -- what came before a failure counts
    except ModelFailed as failed:
        return items, failed
    finally:
        await model.close()
    return items, None


def test_every_failure_in_the_table_is_a_fault_of_the_simulator() -> None:
    assert set(FAILURES) <= set(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
async def test_each_named_fault_ends_in_an_answer_or_in_its_failure(name: str) -> None:
    """P3, P7: within the limits of silence, and nothing after a failure is taken for an answer."""
    async with Simulator(hold_max_s=2.0) as simulator:
        items, failed = await played(name, simulator)
        assert simulator.refusals == []
        assert simulator.unused_steps == []
    if name not in FAILURES:
        assert failed is None
        assert isinstance(items[-1], ResponseEnded)
        return
    assert failed is not None
    assert failed.failure.kind is FAILURES[name]
    assert failed.failure.message
    assert not any(isinstance(item, ResponseEnded) for item in items)


async def test_how_long_to_wait_is_handed_on() -> None:
    async with Simulator() as simulator:
        _, failed = await played("rate-limit-hour", simulator)
    assert failed is not None
    assert failed.failure.retry_after_ms == 3_600_000
    assert re.match("req_", failed.failure.request_id or "")


@pytest.mark.parametrize("name", ["invalid-tool-json", "max-tokens-in-tool-use"])
async def test_a_broken_tool_call_is_kept_as_text_and_marked(name: str) -> None:
    """A27"""
    async with Simulator() as simulator:
        items, _ = await played(name, simulator)
    calls = [i.block for i in items if isinstance(i, BlockClosed) and i.block.type == "tool_use"]
    assert [list(call.get("input")) for call in calls] == [[UNPARSED]]
