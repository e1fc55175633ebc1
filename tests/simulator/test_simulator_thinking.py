"""Signatures hold and break as specification §2.7 says (R70 to R75)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.script import (
    RedactedThinkingItem,
    Respond,
    TextItem,
    ThinkingItem,
    ToolUseItem,
)
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator
from simulator.simulator_bodies import TOOL, Json, result, text, user
from simulator.simulator_conversation import CONTROLS, HIDDEN, SAID, THOUGHT, Conversation

ELSEWHERE = (
    "messages.{i}.content.{j}: Invalid `signature` in `thinking` block. The block is bound to a "
    "different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)
HEADER = (
    " That setting requires the `thinking-binding-controls-2026-08-01` value in the "
    "`anthropic-beta` header."
)


def grown(turns: int = 3, account: Account | None = None, **fields: Any) -> Conversation:
    """user, assistant(thinking, text) … and a last user message."""
    conversation = Conversation(account, **fields)
    for k in range(turns):
        conversation.ask(f"question {k}", THOUGHT, SAID)
    conversation.messages.append(user("and now?"))
    return conversation


def test_r71_a_history_as_it_was_received_is_accepted() -> None:
    conversation = grown()
    assert conversation.refusal() is None
    conversation.messages.pop()
    conversation.ask("call", THOUGHT, ToolUseItem(name="read", id="t1"), HIDDEN)
    conversation.ask([result("t1")], RedactedThinkingItem(), SAID)
    conversation.messages.append(user("more"))
    assert conversation.refusal() is None


def test_signatures_outlive_a_restart_of_the_simulator() -> None:
    conversation = grown()
    conversation.validator = Validator(Account(), Signer(), Ledger())
    assert conversation.refusal() is None


def test_another_key_knows_no_signature_of_ours() -> None:
    conversation = grown()
    conversation.validator = Validator(Account(), Signer(b"another key"), Ledger())
    refusal = conversation.refusal()
    assert refusal is not None
    assert refusal.rule == "R71a"


def _thoughts(messages: list[Json]) -> list[Json]:
    return [b for m in messages for b in m["content"] if isinstance(b, dict) and "signature" in b]


@pytest.mark.parametrize("turn", [1, 3, 5])
@pytest.mark.parametrize("tampered", ["", "x", "half", "flipped"])
def test_r71_a_changed_or_cut_signature_is_refused_wherever_it_stands(
    turn: int, tampered: str
) -> None:
    conversation = grown()
    block = conversation.messages[turn]["content"][0]
    signature = block["signature"]
    flipped = ("B" if signature[40] == "A" else "A").join((signature[:40], signature[41:]))
    variants = {"half": signature[: len(signature) // 2], "flipped": flipped}
    block["signature"] = variants.get(tampered, tampered)
    refusal = conversation.refusal()
    assert refusal is not None
    assert refusal.message == f"messages.{turn}.content.0: Invalid `signature` in `thinking` block"


def test_r71_an_older_thought_with_another_text_is_refused_for_its_signature() -> None:
    conversation = grown()
    conversation.messages[1]["content"][0]["thinking"] = "I weigh it not."
    refusal = conversation.refusal()
    assert refusal is not None
    assert (refusal.rule, "messages.1.content.0" in refusal.message) == ("R71a", True)


MODIFIED = (
    "messages.1.content.{j}: `thinking` or `redacted_thinking` blocks in the latest assistant "
    "message cannot be modified. These blocks must remain as they were in the original response."
)


def latest_with_three() -> Conversation:
    conversation = Conversation()
    thoughts = [ThinkingItem(text=f"thought {k}") for k in range(3)]
    conversation.ask("x", thoughts[0], TextItem(text="a"), thoughts[1], thoughts[2], SAID)
    conversation.messages.append(user("and now?"))
    return conversation


@pytest.mark.parametrize("dropped", [(0,), (2,), (3,), (0, 2), (2, 3)])
def test_r70_no_thinking_of_the_latest_turn_may_be_missing(dropped: tuple[int, ...]) -> None:
    conversation = latest_with_three()
    content = conversation.messages[1]["content"]
    conversation.messages[1]["content"] = [
        block for j, block in enumerate(content) if j not in dropped
    ]
    refusal = conversation.refusal()
    assert refusal is not None
    assert refusal.rule == "R70"


def test_r70_reordered_or_edited_thinking_of_the_latest_turn_is_refused() -> None:
    conversation = latest_with_three()
    content = conversation.messages[1]["content"]
    swapped = [content[2], content[1], content[0], *content[3:]]
    edited = [{**content[0], "thinking": "something else"}, *content[1:]]
    for blocks, j in ((swapped, 0), (edited, 0)):
        messages = [conversation.messages[0], {**conversation.messages[1], "content": blocks}]
        refusal = conversation.refusal([*messages, user("and now?")])
        assert refusal is not None
        assert refusal.message == MODIFIED.format(j=j)


def test_r70_all_thinking_of_the_latest_turn_may_be_removed() -> None:
    conversation = latest_with_three()
    content = conversation.messages[1]["content"]
    conversation.messages[1]["content"] = [b for b in content if b["type"] == "text"]
    assert conversation.refusal() is None


def test_r70_text_in_the_empty_field_of_an_omitted_block_is_ignored() -> None:
    conversation = Conversation()
    conversation.ask("x", HIDDEN, SAID)
    assert conversation.messages[1]["content"][0]["thinking"] == ""
    conversation.messages[1]["content"][0]["thinking"] = "what I imagine it thought"
    conversation.messages.append(user("y"))
    assert conversation.refusal() is None


def test_r70_of_a_cut_response_any_beginning_is_accepted() -> None:
    conversation = latest_with_three()
    conversation.ledger = Ledger()
    conversation.validator = Validator(Account(), conversation.signer, conversation.ledger)
    content = conversation.messages[1]["content"]
    seal = conversation.signer.read(content[0]["signature"])
    assert seal is not None
    for block in _thoughts(conversation.messages):
        conversation.ledger.issued(seal.response, block["signature"])
    conversation.messages[1]["content"] = content[:2]
    assert conversation.refusal() is None
    conversation.ledger.completed(seal.response)
    refusal = conversation.refusal()
    assert refusal is not None
    assert refusal.rule == "R70"


def _changed(conversation: Conversation, how: str) -> tuple[list[Json], Json]:
    messages, fields = deepcopy(conversation.messages), deepcopy(conversation.fields)
    match how:
        case "an edited user message":
            messages[0]["content"] = [text("question zero")]
        case "a removed first exchange":
            del messages[:2]
        case "an inserted exchange":
            messages[0:0] = [user("before"), {"role": "assistant", "content": [text("it all")]}]
        case "another system prompt":
            fields["system"] = "be strict"
        case "another tool":
            fields["tools"] = [TOOL, {**TOOL, "name": "write"}]
        case "a changed tool":
            fields["tools"] = [{**TOOL, "description": "Read it."}]
        case "an edited answer":
            messages[1]["content"][1]["text"] = "So it was."
        case _:
            raise AssertionError(how)
    return messages, fields


BREAKING = [
    "an edited user message",
    "a removed first exchange",
    "an inserted exchange",
    "another system prompt",
    "another tool",
    "a changed tool",
    "an edited answer",
]


@pytest.mark.parametrize("how", BREAKING)
def test_r72_a_changed_prefix_makes_later_thinking_foreign(how: str) -> None:
    conversation = grown()
    messages, fields = _changed(conversation, how)
    refusal = conversation.refusal(messages, **fields)
    assert refusal is not None
    assert refusal.rule == "R72"
    at = 3 if how in ("an edited answer", "an inserted exchange") else 1
    assert refusal.message == ELSEWHERE.format(i=at, j=0) + HEADER


@pytest.mark.parametrize("how", BREAKING)
def test_r72_without_thinking_any_prefix_is_accepted(how: str) -> None:
    conversation = grown()
    messages, fields = _changed(conversation, how)
    for message in messages:
        if message["role"] == "assistant":
            message["content"] = [b for b in message["content"] if b["type"] != "thinking"]
    assert conversation.refusal(messages, **fields) is None


def test_r72_the_sentence_about_the_header_is_left_out_when_it_was_sent() -> None:
    conversation = grown()
    messages, fields = _changed(conversation, "an edited user message")
    refusal = conversation.refusal(messages, CONTROLS, **fields)
    assert refusal is not None
    assert refusal.message == ELSEWHERE.format(i=1, j=0)


KEEPING: dict[str, Any] = {
    "moved cache marks": lambda m, f: m[0]["content"][0].update(
        cache_control={"type": "ephemeral"}
    ),
    "a string instead of one text block": lambda m, f: m[0].update(content="question 0"),
    "a deferred tool that nothing references": lambda m, f: f["tools"].append(
        {**TOOL, "name": "later", "defer_loading": True}
    ),
    "another effort": lambda m, f: f.update(output_config={"effort": "low"}),
    "more output tokens": lambda m, f: f.update(max_tokens=9),
    "an appended message": lambda m, f: m.append(user("and more")),
}


@pytest.mark.parametrize("how", KEEPING)
def test_r72_what_is_no_change_of_the_conversation_keeps_thinking_valid(how: str) -> None:
    conversation = grown()
    messages, fields = deepcopy(conversation.messages), deepcopy(conversation.fields)
    KEEPING[how](messages, fields)
    assert conversation.refusal(messages, **fields) is None


DROP = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


def test_r72_drop_block_removes_the_foreign_thinking_and_says_so() -> None:
    conversation = grown()
    messages, fields = _changed(conversation, "an edited user message")
    reported = conversation.transformations(messages, thinking=DROP, **fields)
    assert [entry["path"] for entry in reported] == [
        "messages.1.content.0",
        "messages.3.content.0",
        "messages.5.content.0",
    ]
    assert {entry["reason"] for entry in reported} == {"prefix_binding_mismatch"}
    assert {entry["type"] for entry in reported} == {"thinking_dropped"}


def test_r72_an_old_account_only_records_the_mismatch() -> None:
    conversation = grown(account=Account(enforce_prefix=False))
    messages, fields = _changed(conversation, "an edited user message")
    assert conversation.refusal(messages, **fields) is None
    reported = conversation.transformations(messages, **fields)
    assert {entry["type"] for entry in reported} == {"thinking_mismatch_allowed"}


def test_r72_the_newest_model_enforces_it_for_every_account() -> None:
    conversation = grown(account=Account(enforce_prefix=False), model="claude-fable-5-2")
    messages, fields = _changed(conversation, "an edited user message")
    assert conversation.refusal(messages, **fields) is not None


def test_r72_models_without_preserved_thinking_do_not_care_about_the_prefix() -> None:
    conversation = grown(model="claude-opus-4-8", thinking={"type": "adaptive"})
    messages, fields = _changed(conversation, "an edited user message")
    assert conversation.refusal(messages, **fields) is None


@pytest.mark.parametrize("kept", [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2), (0, 2)])
def test_r74_kept_thinking_is_an_unbroken_run(kept: tuple[int, ...]) -> None:
    """Removing from the start, from the end or all is legal; a hole is not."""
    conversation = grown(4)
    for k in range(3):
        if k not in kept:
            del conversation.messages[2 * k + 1]["content"][0]
    # The thinking of the fourth turn was made after all three.
    del conversation.messages[7]["content"][0]
    refusal = conversation.refusal()
    if kept == (0, 2):
        assert refusal is not None
        assert (refusal.rule, refusal.message) == ("R74", ELSEWHERE.format(i=5, j=0) + HEADER)
    else:
        assert refusal is None


def test_r74_a_removed_thought_may_not_come_back() -> None:
    conversation = Conversation()
    conversation.ask("a", THOUGHT, SAID)
    removed = conversation.messages[1]["content"].pop(0)
    conversation.ask("b", THOUGHT, SAID)
    conversation.messages.append(user("c"))
    assert conversation.refusal() is None
    conversation.messages[1]["content"].insert(0, removed)
    refusal = conversation.refusal()
    assert refusal is not None
    assert refusal.rule == "R74"


def test_r73_thinking_that_a_model_cannot_read_is_dropped_and_revives() -> None:
    conversation = Conversation()
    conversation.ask("a", THOUGHT, SAID)
    conversation.ask("b", THOUGHT, SAID, model="claude-sonnet-5-5")
    conversation.ask("c", THOUGHT, SAID)
    conversation.messages.append(user("d"))
    assert conversation.refusal() is None
    reported = conversation.transformations(conversation.messages)
    assert [(e["path"], e["reason"]) for e in reported] == [
        ("messages.3.content.0", "model_binding_mismatch")
    ]
    reported = conversation.transformations(conversation.messages, model="claude-sonnet-5-5")
    assert [e["path"] for e in reported] == ["messages.1.content.0", "messages.5.content.0"]


def test_r53_what_continues_a_paused_turn_belongs_to_that_turn() -> None:
    web = {"type": "web_search_20260318", "name": "web_search"}
    conversation = Conversation(tools=[web])
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    conversation.messages = [user("x"), {"role": "assistant", "content": [search]}]
    accepted = conversation.validator.check(conversation.body(), Envelope())
    answer = conversation.composer.compose(Respond(content=(THOUGHT, SAID)), accepted, {})
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    blocks = [found, *(piece.block for piece in answer.pieces)]
    conversation.messages.append({"role": "assistant", "content": blocks})
    conversation.messages.append(user("y"))
    assert conversation.refusal() is None


def test_thinking_that_is_off_is_not_made_and_manual_thinking_always_is() -> None:
    off = Conversation(model="claude-sonnet-5", thinking={"type": "disabled"})
    answer = off.ask("x", THOUGHT, SAID)
    assert [piece.block["type"] for piece in answer.pieces] == ["text"]
    manual = Conversation(
        model="claude-haiku-4-5",
        max_tokens=4096,
        thinking={"type": "enabled", "budget_tokens": 1024},
    )
    answer = manual.ask("x", SAID)
    assert [piece.block["type"] for piece in answer.pieces] == ["thinking", "text"]


def test_display_omitted_gives_an_empty_text_and_a_signature() -> None:
    conversation = Conversation(thinking={"type": "adaptive", "display": "omitted"})
    answer = conversation.ask("x", THOUGHT, SAID)
    block = answer.pieces[0].block
    assert block["thinking"] == ""
    assert block["signature"]
    assert [delta["type"] for delta in answer.pieces[0].deltas] == ["signature_delta"]
