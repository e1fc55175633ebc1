"""The event stream keeps the grammar of specification §3.3, whatever a script says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.simulator import tokens
from holdfast.simulator.answers import Answer, Composer, Identifiers
from holdfast.simulator.events import events_of
from holdfast.simulator.prompt_cache import PromptCache
from holdfast.simulator.rules.request import Account
from holdfast.simulator.script import (
    Item,
    RedactedThinkingItem,
    Respond,
    ServerToolUseItem,
    TextItem,
    ThinkingItem,
    ToolUseItem,
)
from holdfast.simulator.thinking import Signer
from simulator.simulator_bodies import Json, body, check, user
from simulator.simulator_client import assembled, parse_events

COMPOSER = Composer(Identifiers("seed"), Signer())
INPUT = {"input_tokens": 10}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
CHUNK = st.integers(1, 20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(TextItem, text=TEXT, chunk=CHUNK),
    st.builds(ThinkingItem, text=TEXT, chunk=CHUNK),
    st.just(RedactedThinkingItem()),
    st.builds(
        ToolUseItem,
        name=st.sampled_from(["read", "run"]),
        input=st.dictionaries(TEXT, JSON, max_size=3),
        chunk=CHUNK,
    ),
    st.builds(ServerToolUseItem, input=st.dictionaries(TEXT, JSON, max_size=2)),
)


def answer(*items: Item, request: Json | None = None, **respond: Any) -> Answer:
    accepted = check(request or body())
    return COMPOSER.compose(Respond(content=items, **respond), accepted, INPUT)


def events(made: Answer) -> list[Json]:
    return parse_events(b"".join(event.encoded() for event in events_of(made)))


GRAMMAR = re.compile(r"S(?:BP?D*E)*P?MX\Z")
LETTERS = {
    "message_start": "S",
    "content_block_start": "B",
    "content_block_delta": "D",
    "content_block_stop": "E",
    "ping": "P",
    "message_delta": "M",
    "message_stop": "X",
}


@settings(max_examples=150, deadline=None)
@given(content=st.lists(ITEMS, max_size=5))
def test_the_stream_is_grammatical_and_holds_the_same_blocks_as_the_message(
    content: list[Item],
) -> None:
    made = answer(*content)
    streamed = events(made)
    letters = "".join(LETTERS[event["type"]] for event in streamed)
    assert GRAMMAR.match(letters)
    assert letters.count("P") == 1
    assert assembled(streamed) == made.message()["content"]
    assert streamed[0]["message"]["content"] == []
    assert streamed[0]["message"]["stop_reason"] is None
    assert streamed[-2]["delta"]["stop_reason"] == made.stop_reason
    assert streamed[-2]["usage"]["output_tokens"] == made.usage["output_tokens"] >= 1


@settings(max_examples=40, deadline=None)
@given(content=st.lists(ITEMS, min_size=1, max_size=5))
def test_every_id_is_new_and_every_call_names_its_caller(content: list[Item]) -> None:
    messages = [answer(*content).message() for _ in range(2)]
    blocks = [block for message in messages for block in message["content"]]
    ids = [message["id"] for message in messages] + [b["id"] for b in blocks if "id" in b]
    assert len(set(ids)) == len(ids)
    assert all(b["caller"] == {"type": "direct"} for b in blocks if b["type"].endswith("tool_use"))
    assert all(message["stop_details"] is None for message in messages)


def test_the_first_events_are_start_block_and_ping() -> None:
    types = [event["type"] for event in events(answer(TextItem(text="hello")))]
    assert types == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_thinking_ends_with_exactly_one_signature_which_replaces_the_empty_one() -> None:
    made = events(answer(ThinkingItem(text="one two three", chunk=4), TextItem(text="so")))
    deltas = [
        event["delta"]["type"] for event in made if event.get("index") == 0 and "delta" in event
    ]
    assert deltas == [*["thinking_delta"] * 4, "signature_delta"]
    assert made[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}


def test_the_first_piece_of_a_tools_input_is_empty_and_no_input_is_no_text() -> None:
    made = events(answer(ToolUseItem(name="read", input={"path": "a"}), ToolUseItem(name="ls")))
    pieces = [
        (event["index"], event["delta"]["partial_json"])
        for event in made
        if event["type"] == "content_block_delta"
    ]
    assert pieces == [(0, ""), (0, '{"path":"a"}'), (1, "")]


def test_a_refusal_has_details_and_other_reasons_have_none() -> None:
    refused = events(answer(stop_reason="refusal"))[-2]["delta"]
    assert refused["stop_details"] == {"type": "refusal", "category": None, "explanation": None}
    assert events(answer(TextItem(text="x")))[-2]["delta"]["stop_details"] is None


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 4000), cap=st.integers(1, 400))
def test_a_text_is_cut_at_max_tokens_and_says_so(length: int, cap: int) -> None:
    made = answer(TextItem(text="x" * length), request=body(max_tokens=cap))
    sent = made.message()["content"][0]["text"]
    if tokens.of_bytes(length) <= cap:
        assert (len(sent), made.stop_reason) == (length, "end_turn")
    else:
        assert made.stop_reason in ("max_tokens", "end_turn")
        assert len(sent) == min(length, int(cap * tokens.BYTES_PER_TOKEN))


def test_max_tokens_inside_a_call_leaves_its_json_open() -> None:
    item = ToolUseItem(name="write", input={"text": "x" * 500})
    made = answer(item, request=body(max_tokens=20))
    raw = "".join(delta["partial_json"] for delta in made.pieces[0].deltas)
    assert made.stop_reason == "max_tokens"
    assert raw.startswith('{"text":"xxx')
    assert not raw.endswith("}")


def test_r90_a_full_window_stops_the_answer_instead_of_refusing_it() -> None:
    account = Account(window_tokens=100)
    accepted = check(body(user("x" * 250), max_tokens=50_000), account=account)
    respond = Respond(content=(TextItem(text="y" * 4000),))
    made = COMPOSER.compose(respond, accepted, INPUT)
    assert made.stop_reason == "model_context_window_exceeded"
    assert accepted.input_tokens + made.usage["output_tokens"] <= 100 + 15  # and the block's frame


def test_zero_max_tokens_gives_no_content() -> None:
    made = answer(TextItem(text="x"), request=body(max_tokens=0))
    assert (made.message()["content"], made.stop_reason) == ([], "max_tokens")


LONG = "x" * 7000
MARK = {"type": "ephemeral"}


def marked(*texts: str) -> Json:
    blocks: list[Json] = [{"type": "text", "text": value} for value in texts]
    blocks[-1]["cache_control"] = MARK
    return body({"role": "user", "content": blocks})


def test_the_prompt_cache_reads_what_an_earlier_request_wrote() -> None:
    cache = PromptCache()
    first = cache.usage(check(marked(LONG)))
    assert first["cache_read_input_tokens"] == 0
    assert first["cache_creation_input_tokens"] > 2000
    second = cache.usage(check(marked(LONG, "more")))
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert second["cache_creation_input_tokens"] > 0


@pytest.mark.parametrize("changed", ["y" + LONG[1:], LONG + "x"])
def test_the_prompt_cache_misses_when_one_byte_has_changed(changed: str) -> None:
    cache = PromptCache()
    cache.usage(check(marked(LONG)))
    assert cache.usage(check(marked(changed, "more")))["cache_read_input_tokens"] == 0


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.integers(1, 9000).map(lambda n: "x" * n), min_size=1, max_size=4))
def test_input_tokens_exclude_the_cache_and_the_sum_is_the_whole_prompt(texts: list[str]) -> None:
    cache = PromptCache()
    for request in (marked(*texts), marked(*texts), body(user(*texts))):
        accepted = check(request)
        usage = cache.usage(accepted)
        parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        assert sum(usage[part] for part in parts) == accepted.input_tokens
        assert all(usage[part] >= 0 for part in parts)
