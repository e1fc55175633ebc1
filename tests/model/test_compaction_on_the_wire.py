"""Compaction on demand through the real SDK: parameter, header, block, bill (spec §6, R91-R95)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from holdfast.conversation.history import Block, Message, assistant, user
from holdfast.model import request_body
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.compaction import INSTRUCTIONS_CHARS_MAX, betas, billed, refused_as_such
from holdfast.model.credentials import Credentials
from holdfast.model.port import BlockClosed, ModelFailed, ResponseEnded, StreamItem
from holdfast.session.failures import Failure, FailureKind
from holdfast.simulator import Fault, Simulator, Step
from holdfast.simulator.script import Match, Respond, TextItem, ToolUseItem
from model.canned import request

HEADER = "compact-2026-09-04"
TALK = (user("what is kelp?"), assistant("A seaweed."))


async def answered(simulator: Simulator, *requests: Any) -> list[list[StreamItem]]:
    """Send requests one after the other and return what came back."""
    model = AnthropicModel(lambda: Credentials(api_key="k"), simulator.base_url)
    answers: list[list[StreamItem]] = []
    try:
        for sent in requests:
            async with asyncio.timeout(20), model.stream(sent) as stream:
                answers.append([item async for item in stream])
    finally:
        await model.close()
    return answers


def compacting(**changes: Any) -> Any:
    return request(**{"messages": TALK, "max_output_tokens": 4000, "compaction": "", **changes})


async def test_a_compaction_is_one_signed_block_that_the_next_request_may_carry() -> None:
    async with Simulator() as simulator:
        ((*_, closed, ended),) = await answered(simulator, compacting())
        assert isinstance(closed, BlockClosed)
        assert isinstance(ended, ResponseEnded)
        assert (closed.block.type, ended.stop_reason) == ("compaction", "compaction")
        assert closed.block.text_of("content").startswith("A conversation of 2 messages")
        assert closed.block.text_of("signature")
        history = (Message("assistant", (closed.block,)), user("and dulse?"))
        await answered(simulator, request(messages=history))
        assert simulator.refusals == []
        assert [entry.betas for entry in simulator.log] == [[HEADER], [HEADER]]
        assert simulator.log[0].body["compaction"] == {"type": "summarize"}
        assert "compaction" not in simulator.log[1].body


async def test_what_a_compaction_costs_is_in_its_iteration() -> None:
    """§5.2: the totals at the top leave it out."""
    async with Simulator() as simulator:
        ((*_, ended),) = await answered(simulator, compacting())
    assert isinstance(ended, ResponseEnded)
    assert ended.usage["output_tokens"] == 0
    paid = billed(ended.usage)
    assert paid["output_tokens"] > 0
    assert paid["input_tokens"] + paid["cache_creation_input_tokens"] > 0


def test_the_bill_is_the_sum_of_the_iterations_and_the_totals_where_nothing_was_compacted() -> None:
    compaction = {"type": "compaction", "input_tokens": 100, "output_tokens": 7}
    message = {"type": "message", "input_tokens": 20, "output_tokens": 3}
    usage = {"input_tokens": 20, "output_tokens": 3, "iterations": [compaction, message]}
    assert {k: billed(usage)[k] for k in ("input_tokens", "output_tokens")} == {
        "input_tokens": 120,
        "output_tokens": 10,
    }
    for plain in ({"output_tokens": 3}, {"iterations": None}, {"iterations": [message, 5]}):
        assert billed(plain) is plain


@pytest.mark.parametrize(
    ("respond", "stop_reason"),
    [
        (Respond(content=(TextItem(text="word " * 9_000),)), "max_tokens"),
        (Respond(content=(ToolUseItem(name="read", input={"path": "a"}),)), "tool_use"),
        (Respond(stop_reason="refusal"), "refusal"),
        (Respond(), "end_turn"),
        (
            Respond(stop_reason="model_context_window_exceeded"),
            "model_context_window_exceeded",
        ),
    ],
)
async def test_a_compaction_that_failed_is_an_answer_without_content(
    respond: Respond, stop_reason: str
) -> None:
    async with Simulator() as simulator:
        simulator.script([Step(match=Match(has_compaction=True), respond=respond)])
        (items,) = await answered(simulator, compacting(max_output_tokens=1000))
    assert not any(isinstance(item, BlockClosed) for item in items)
    assert isinstance(items[-1], ResponseEnded)
    assert items[-1].stop_reason == stop_reason


async def test_an_unavailable_compaction_is_an_overload() -> None:
    async with Simulator() as simulator:
        simulator.script([Step(fault=Fault(name="compaction-unavailable"))])
        with pytest.raises(ModelFailed) as failed:
            await answered(simulator, compacting())
    assert failed.value.failure.kind is FailureKind.OVERLOADED
    assert failed.value.failure.error_code == "compaction_unavailable"
    assert not refused_as_such(failed.value.failure)


async def test_a_model_without_it_refuses_it_as_such() -> None:
    """R95d"""
    async with Simulator() as simulator:
        with pytest.raises(ModelFailed) as failed:
            await answered(simulator, compacting(model="claude-haiku-4-5"))
    assert refused_as_such(failed.value.failure)


async def test_a_history_that_cannot_be_compacted_is_not_refused_for_asking() -> None:
    """R95: a call without its result says nothing about the next compaction."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
    tools = ({"name": "read", "input_schema": {"type": "object"}},)
    open_turn = (user("go"), Message("assistant", (Block.of(call),)))
    async with Simulator() as simulator:
        with pytest.raises(ModelFailed) as failed:
            await answered(simulator, compacting(messages=open_turn, tools=tools))
    assert failed.value.failure.kind is FailureKind.INVALID_REQUEST
    assert not refused_as_such(failed.value.failure)


@pytest.mark.parametrize(
    ("kind", "message", "as_such"),
    [
        (FailureKind.INVALID_REQUEST, "compaction: Extra inputs are not permitted", True),
        (
            FailureKind.INVALID_REQUEST,
            "Unexpected value(s) `compact-2026-09-04` for the `anthropic-beta` header.",
            True,
        ),
        (
            FailureKind.INVALID_REQUEST,
            "compaction: the `compaction` parameter requires anthropic-beta: compact-2026-09-04",
            True,
        ),
        (FailureKind.INVALID_REQUEST, "messages.3: text content blocks must be non-empty", False),
        (FailureKind.SERVER, "compaction failed", False),
        (FailureKind.TOO_LONG, "compaction: prompt is too long", False),
    ],
)
def test_a_refusal_of_compaction_as_such_is_told_by_its_words(
    kind: FailureKind, message: str, *, as_such: bool
) -> None:
    assert refused_as_such(Failure(kind=kind, message=message)) is as_such


def test_instructions_take_the_place_of_the_apis_own_and_are_cut_to_what_it_takes() -> None:
    body = json.loads(request_body.build(compacting(compaction="Keep the names.")))
    assert body["compaction"] == {"type": "summarize", "instructions": "Keep the names."}
    long = json.loads(request_body.build(compacting(compaction="x" * 20_000)))
    assert len(long["compaction"]["instructions"]) == INSTRUCTIONS_CHARS_MAX


def test_a_count_carries_the_header_but_not_the_wish() -> None:
    """§5.1: counting ignores the parameter; the block must be readable all the same."""
    assert "compaction" not in json.loads(request_body.build_count(compacting()))
    block = Block.of({"type": "compaction", "content": "so far", "signature": "s"})
    assert betas(None, (Message("user", (block,)),)) == (HEADER,)
    assert betas(None, TALK) == ()
    assert betas(None, (user('the word "compaction"'),)) == ()


async def test_capabilities_say_whether_a_model_compacts() -> None:
    """§5.3: the list says it only behind the header."""
    async with Simulator() as simulator:
        model = AnthropicModel(lambda: Credentials(api_key="k"), simulator.base_url)
        try:
            found = await model.capabilities("claude-opus-5-5")
            without = await model.capabilities("claude-haiku-4-5")
        finally:
            await model.close()
        assert (found.compaction, found.source) == (True, "endpoint")
        assert not without.compaction
        assert [entry.betas for entry in simulator.log] == [[HEADER]]


async def test_an_endpoint_that_refuses_the_header_still_lists_its_models() -> None:
    async with Simulator() as simulator:
        refusal = Fault(name="bad-request", message="Unexpected value(s) for `anthropic-beta`")
        simulator.script([Step(match=Match(kind="models"), fault=refusal)])
        model = AnthropicModel(lambda: Credentials(api_key="k"), simulator.base_url)
        try:
            found = await model.capabilities("claude-opus-5-5")
        finally:
            await model.close()
        assert (found.window_tokens, found.compaction) == (1_000_000, True)
        assert [entry.betas for entry in simulator.log] == [[HEADER], []]
