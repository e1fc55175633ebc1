"""The bytes of a request: stored blocks unchanged, cache marks on copies (R70-R74, R79-R81)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import Block, Message, assistant, text, tool_result, user
from holdfast.model import request_body
from model.canned import request

TOOLS = (
    {"name": "read", "description": "Read", "input_schema": {"type": "object"}},
    {"name": "run", "input_schema": {"type": "object"}},
    {"name": "rare", "input_schema": {"type": "object"}, "defer_loading": True},
)
MARK = {"type": "ephemeral"}


def body(**changes: Any) -> dict[str, Any]:
    built = json.loads(request_body.build(request(**changes)))
    assert isinstance(built, dict)
    return built


def marks(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(map(marks, value.values()))
    return sum(map(marks, value)) if isinstance(value, list) else 0


def test_a_plain_request_has_these_fields_and_no_others() -> None:
    assert body() == {
        "model": "claude-opus-5-5",
        "max_tokens": 1000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "hello", "cache_control": MARK}],
            }
        ],
        "stream": True,
    }


def test_a_blank_system_prompt_is_left_out() -> None:
    """R17"""
    assert "system" not in body(system="")
    assert "system" not in body(system=" \n")


def test_tools_are_switched_off_by_choice_and_stay_listed() -> None:
    """R87: taking the tools away would break the cache and bound thinking."""
    assert "tool_choice" not in body(tools=TOOLS)
    assert body(tools=TOOLS, tools_allowed=False)["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in body(tools_allowed=False)
    assert "tools" not in body()


def test_the_mark_of_the_tools_is_on_the_last_one_that_is_loaded() -> None:
    tools = body(tools=TOOLS)["tools"]
    assert ["cache_control" in tool for tool in tools] == [False, True, False]


def test_the_last_two_user_messages_are_marked_on_their_last_cacheable_block() -> None:
    image = Block.of({"type": "image", "source": {"type": "url", "url": "https://x.example"}})
    messages = (
        user("one"),
        assistant("a"),
        user(tool_result("t1", "r"), text("two")),
        assistant("b"),
        user("three", image, Block.of({"type": "brand_new"}), " "),
    )
    sent = body(messages=messages)["messages"]
    positions = [
        (i, j)
        for i, message in enumerate(sent)
        for j, block in enumerate(message["content"])
        if "cache_control" in block
    ]
    assert positions == [(2, 1), (4, 1)]


def test_a_message_without_a_cacheable_block_is_sent_unmarked() -> None:
    message = user(Block.of({"type": "brand_new"}))
    assert body(messages=(message,))["messages"] == [
        {"role": "user", "content": [{"type": "brand_new"}]}
    ]


def test_a_history_with_marks_of_its_own_gets_none_from_us() -> None:
    own = Block.of({"type": "text", "text": "hi", "cache_control": {**MARK, "ttl": "1h"}})
    assert marks(body(messages=(user(own),), tools=TOOLS)) == 1
    quoted = user('say "cache_control" twice')
    assert marks(body(messages=(quoted,))) == 2


def test_marks_can_be_left_out_for_endpoints_that_refuse_them() -> None:
    built = request_body.build(request(tools=TOOLS), cache_marks=False)
    assert marks(json.loads(built)) == 0


blocks = st.builds(
    lambda kind, value: Block.of({"type": kind, kind: value, "z": 1, "a": None}),
    st.sampled_from(["text", "image", "thinking", "tool_result", "brand_new"]),
    st.text(max_size=8) | st.integers() | st.lists(st.text(max_size=3), max_size=2),
)
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "system"]),
    st.lists(blocks, max_size=4).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(messages, max_size=6).map(tuple), st.booleans())
def test_the_bytes_of_every_block_are_in_the_body_and_marks_are_at_most_four(
    history: tuple[Message, ...], with_tools: bool
) -> None:
    tools = TOOLS if with_tools else ()
    built = request_body.build(request(messages=history, tools=tools)).decode()
    assert marks(json.loads(built)) <= 4
    position = 0
    for message in history:
        for block in message.blocks:
            # A marked block is its own bytes with the mark before the closing brace.
            found = built.find(block.raw[:-1], position)
            assert found >= 0
            position = found + len(block.raw) - 1
    unmarked = request_body.build(request(messages=history, tools=tools), cache_marks=False)
    wire = ",".join(message.wire for message in history)
    assert f'"messages":[{wire}]' in unmarked.decode()
    assert built.replace(',"cache_control":{"type":"ephemeral"}', "") == unmarked.decode()
