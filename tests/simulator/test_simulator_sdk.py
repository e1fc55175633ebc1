"""The official client takes the simulator for the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from holdfast.simulator import Fault, Match, Respond, Simulator, Step, TextItem, ToolUseItem
from holdfast.simulator.script import ThinkingItem

REQUEST: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "hello"}],
}
CONTENT = (
    ThinkingItem(text="I weigh it."),
    TextItem(text="I will read the file."),
    ToolUseItem(name="read", input={"path": "ä/\N{WAVE DASH}.txt", "lines": [1, 2]}),
)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    steps = [
        Step(match=Match(last_user_contains="hello"), respond=Respond(content=CONTENT), times=None),
        Step(match=Match(last_user_contains="storm"), fault=Fault(name="overloaded")),
    ]
    async with Simulator(steps, api_key="sk-test") as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Any]:
    async with anthropic.AsyncAnthropic(
        api_key="sk-test", base_url=simulator.base_url, max_retries=0
    ) as made:
        yield made


async def test_the_client_reads_a_stream_and_its_message_may_be_sent_back(client: Any) -> None:
    async with client.messages.stream(**REQUEST) as stream:
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[0].thinking == "I weigh it."
    assert message.content[2].input == CONTENT[2].input
    assert message.stop_reason == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": message.content[2].id, "content": "done"}]
    history = [
        *REQUEST["messages"],
        {"role": "assistant", "content": [block.to_dict() for block in message.content]},
        {"role": "user", "content": results},
    ]
    answer = await client.messages.create(**{**REQUEST, "messages": history})
    assert answer.content[0].text == "The tool answered: done"


async def test_the_client_sees_the_same_message_streamed_raw_and_whole(client: Any) -> None:
    types = [event.type async for event in await client.messages.create(**REQUEST, stream=True)]
    assert (types[0], types[-1]) == ("message_start", "message_stop")
    message = await client.messages.create(**REQUEST)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]


async def test_the_client_knows_refusals_and_faults_by_their_classes(client: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.messages.create(**{**REQUEST, "messages": []})
    assert "messages: at least one message is required" in str(refused.value)
    assert refused.value.request_id.startswith("req_")
    storm = {**REQUEST, "messages": [{"role": "user", "content": "storm"}]}
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        await client.messages.create(**storm)
    assert overloaded.value.status_code == 529
    with pytest.raises(anthropic.AuthenticationError):
        await client.with_options(api_key="wrong").messages.create(**REQUEST)


async def test_the_client_lists_models_and_counts_tokens(client: Any) -> None:
    models = [model.id async for model in client.models.list(limit=7)]
    assert "claude-opus-5-5" in models
    assert len(models) == 22
    info = await client.models.retrieve("claude-opus-5-5")
    assert (info.max_input_tokens, info.lifecycle) == (1_000_000, "active")
    assert info.capabilities.thinking.types.adaptive.supported is True
    counted = await client.messages.count_tokens(
        model=REQUEST["model"], messages=REQUEST["messages"]
    )
    assert counted.input_tokens > 0
