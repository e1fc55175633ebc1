"""On-demand compaction: the block, its place, and what stays valid after it (R91 to R95, §6)."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from holdfast.simulator import Simulator
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Envelope
from holdfast.simulator.script import Respond, TextItem, ThinkingItem, ToolUseItem
from simulator.simulator_bodies import Json, user
from simulator.simulator_conversation import SAID, THOUGHT, Conversation

COMPACT = Envelope(betas=frozenset({"compact-2026-09-04"}))


def compacted(conversation: Conversation, *items: Any) -> Json:
    """Ask for a compaction of everything so far; return the message object."""
    request = conversation.body(compaction={"type": "summarize"})
    accepted = conversation.validator.check(request, COMPACT)
    content = items or (TextItem(text="The user asked questions."),)
    answer = conversation.composer.compose(Respond(content=content), accepted, {"input_tokens": 9})
    return answer.message()


@pytest.fixture
def conversation() -> Conversation:
    made = Conversation()
    made.envelope = COMPACT
    for k in range(3):
        made.ask(f"question {k}", THOUGHT, SAID)
    return made


def refusal_of(conversation: Conversation, *messages: Json) -> Refusal | None:
    return conversation.refusal(list(messages))


def test_a_compaction_answers_with_one_signed_block_and_its_own_usage(
    conversation: Conversation,
) -> None:
    message = compacted(conversation)
    (block,) = message["content"]
    assert (block["type"], block["content"]) == ("compaction", "The user asked questions.")
    assert message["stop_reason"] == "compaction"
    assert message["usage"]["output_tokens"] == 0
    assert [entry["type"] for entry in message["usage"]["iterations"]] == ["compaction"]


@pytest.mark.parametrize("stop_reason", ["max_tokens", "tool_use", "refusal", "end_turn"])
def test_a_failed_compaction_is_an_empty_answer_with_its_reason(
    conversation: Conversation, stop_reason: str
) -> None:
    request = conversation.body(compaction={"type": "summarize"})
    accepted = conversation.validator.check(request, COMPACT)
    respond = Respond(stop_reason=stop_reason)
    message = conversation.composer.compose(respond, accepted, {"input_tokens": 9}).message()
    assert (message["content"], message["stop_reason"]) == ([], stop_reason)


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_r92_the_block_stands_first_in_place_of_what_it_summarises(
    conversation: Conversation, role: str
) -> None:
    (block,) = compacted(conversation)["content"]
    leading = {"role": role, "content": [block]}
    assert refusal_of(conversation, leading, user("go on")) is None
    refusal = refusal_of(conversation, *conversation.messages, user(block, "go on"))
    assert refusal is not None
    assert refusal.rule == "R92"


def test_r93_there_is_only_one_block(conversation: Conversation) -> None:
    (block,) = compacted(conversation)["content"]
    refusal = refusal_of(conversation, user(block, block, "go on"))
    assert refusal is not None
    assert (refusal.rule, refusal.details) == (
        "R93",
        {"error_code": "compaction_block_ambiguous"},
    )


def test_r94_a_changed_summary_is_refused(conversation: Conversation) -> None:
    (block,) = compacted(conversation)["content"]
    refusal = refusal_of(conversation, user({**block, "content": "Other things."}, "go on"))
    assert refusal is not None
    assert (refusal.rule, refusal.details) == (
        "R94b",
        {"error_code": "compaction_content_mismatch"},
    )


def test_r94_tool_changes_that_were_never_made_are_refused(conversation: Conversation) -> None:
    (block,) = compacted(conversation)["content"]
    changed = {**block, "tool_changes": [{"type": "tool_addition"}]}
    refusal = refusal_of(conversation, user(changed, "go on"))
    assert refusal is not None
    assert (refusal.rule, refusal.details) == (
        "R94c",
        {"error_code": "compaction_tool_changes_mismatch"},
    )


def test_without_its_header_the_block_does_not_exist(conversation: Conversation) -> None:
    (block,) = compacted(conversation)["content"]
    refusal = conversation.refusal([user(block, "go on")], Envelope())
    assert refusal is not None
    assert refusal.rule == "R31"
    assert "Input tag 'compaction' found" in refusal.message


def test_the_signed_block_keeps_the_thinking_of_the_turns_that_follow(
    conversation: Conversation,
) -> None:
    """Background compaction: the conversation went on while the summary was made (§6)."""
    conversation.messages.append(user("question 3"))
    (block,) = compacted(conversation)["content"]
    summarised = len(conversation.messages)
    conversation.messages.pop()
    conversation.ask("question 3", ThinkingItem(text="new"), SAID)
    conversation.ask("question 4", ThinkingItem(text="newer"), SAID)
    kept = conversation.messages[summarised:]
    assert kept[0]["role"] == "assistant"
    assert refusal_of(conversation, user(block), *kept, user("go on")) is None
    refusal = refusal_of(conversation, user("A summary."), *kept, user("go on"))
    assert refusal is not None
    assert refusal.rule == "R72"


def test_under_another_system_prompt_the_block_keeps_nothing(conversation: Conversation) -> None:
    conversation.messages.append(user("question 3"))
    (block,) = compacted(conversation)["content"]
    conversation.messages.pop()
    conversation.ask("question 3", ThinkingItem(text="new"), SAID)
    kept = conversation.messages[-1]
    messages = [user(block), kept, user("go on")]
    assert conversation.refusal(messages) is None
    refusal = conversation.refusal(messages, system="be strict")
    assert refusal is not None
    assert refusal.rule == "R72"


def test_r95_a_finished_assistant_turn_may_end_a_request_for_compaction(
    conversation: Conversation,
) -> None:
    assert conversation.messages[-1]["role"] == "assistant"
    assert conversation.refusal(compaction={"type": "summarize"}) is None
    refusal = conversation.refusal()
    assert refusal is not None
    assert refusal.rule == "R22"


@pytest.mark.parametrize(
    ("items", "stop_reason"),
    [
        ((TextItem(text="x" * 8_000),), "max_tokens"),
        ((TextItem(text="Let me look."), ToolUseItem(name="read", input={})), "tool_use"),
        ((TextItem(text=" "),), "end_turn"),
    ],
)
def test_a_compaction_that_calls_says_nothing_or_too_much_has_no_content(
    conversation: Conversation, items: tuple[Any, ...], stop_reason: str
) -> None:
    request = {**conversation.body(compaction={"type": "summarize"}), "max_tokens": 1_000}
    accepted = conversation.validator.check(request, COMPACT)
    answer = conversation.composer.compose(Respond(content=items), accepted, {"input_tokens": 9})
    message = answer.message()
    assert (message["content"], message["stop_reason"]) == ([], stop_reason)


def test_r95_instructions_have_a_limit(conversation: Conversation) -> None:
    wish = {"type": "summarize", "instructions": "x" * 16_384}
    assert conversation.refusal(compaction=wish) is None
    refusal = conversation.refusal(compaction={**wish, "instructions": "x" * 16_385})
    assert refusal is not None


async def test_the_list_tells_of_compaction_only_behind_its_header_and_the_log_who_asked() -> None:
    """§5.3; by the log tests count what a summariser was asked."""
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with Simulator() as simulator, httpx2.AsyncClient(base_url=simulator.base_url) as client:
        plain = await client.get("/v1/models", headers=headers)
        assert all("compaction" not in m["capabilities"] for m in plain.json()["data"])
        beta = {**headers, "anthropic-beta": "compact-2026-09-04"}
        told = await client.get("/v1/models", headers=beta)
        listed = {
            m["id"]: m["capabilities"]["compaction"]["supported"] for m in told.json()["data"]
        }
        assert listed["claude-opus-5-5"]
        assert not listed["claude-haiku-4-5"]
        body = {
            "model": "claude-opus-5-5",
            "max_tokens": 4_000,
            "system": "Be brief.",
            "messages": [user("hello"), {"role": "assistant", "content": "Hello."}],
            "compaction": {"type": "summarize"},
        }
        answer = await client.post("/v1/messages", headers=beta, json=body)
        assert answer.json()["stop_reason"] == "compaction"
        entry = simulator.log[-1]
        assert (entry.compaction, entry.system) == (True, "Be brief.")
