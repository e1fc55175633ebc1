"""Blocks are assembled from raw events: the grammar of specification §3.3 and its abuses."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anthropic
import attrs
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation import encoding
from holdfast.model.assembly import UNPARSED, Assembler
from holdfast.model.port import (
    BlockClosed,
    BlockDelta,
    BlockOpened,
    Heartbeat,
    ModelFailed,
    ResponseEnded,
    ResponseOpened,
    StreamItem,
)
from holdfast.session.failures import FailureKind
from model.canned import (
    MESSAGE_START,
    MESSAGE_STOP,
    PING,
    RECORDED,
    RECORDED_BLOCKS,
    Pieces,
    answer,
    delta,
    message_delta,
    sse,
    start,
    stop,
)


def assemble(events: Iterable[Mapping[str, Any]]) -> list[StreamItem]:
    """The one place that feeds whole events."""
    assembler = Assembler("req_1")
    items: list[StreamItem] = []
    for event in events:
        items.extend(assembler.feed(event.get("type"), json.dumps(event)))
    items.extend(assembler.finish())
    return items


def blocks(items: Iterable[StreamItem]) -> tuple[str, ...]:
    return tuple(item.block.raw for item in items if isinstance(item, BlockClosed))


def block_of(*events: Mapping[str, Any]) -> Mapping[str, Any]:
    (raw,) = blocks(assemble(answer(*events)))
    return encoding.decode(raw)


def ended(items: Sequence[StreamItem]) -> ResponseEnded:
    last = items[-1]
    assert isinstance(last, ResponseEnded)
    return last


def failure_of(events: Iterable[Mapping[str, Any]]) -> FailureKind:
    with pytest.raises(ModelFailed) as failed:
        assemble(events)
    return failed.value.failure.kind


# -- the grammar ----------------------------------------------------------------------------


def test_a_recorded_answer_becomes_its_blocks_with_the_keys_in_the_order_received() -> None:
    assert blocks(assemble(RECORDED)) == RECORDED_BLOCKS


def test_items_come_in_the_order_of_the_stream() -> None:
    events = answer(
        start(0, {"type": "text", "text": ""}), PING, delta(0, "text_delta", text="Hi"), stop(0)
    )
    kinds = [type(item) for item in assemble(events)]
    assert kinds == [
        ResponseOpened, BlockOpened, Heartbeat, BlockDelta, BlockClosed, ResponseEnded,
    ]  # fmt: skip


def test_the_opening_counts_the_whole_prompt_cached_parts_included() -> None:
    assert assemble(RECORDED)[0] == ResponseOpened("msg_1", "claude-opus-5-5", "req_1", 330)


def test_a_tool_use_is_announced_with_its_name() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "grep", "input": {}}
    items = assemble(answer(start(0, block), stop(0)))
    assert BlockOpened(0, "tool_use", "grep") in items


def test_a_signature_replaces_and_is_never_concatenated() -> None:
    block = block_of(
        start(0, {"type": "thinking", "thinking": "", "signature": "placeholder"}),
        delta(0, "signature_delta", signature="first"),
        delta(0, "signature_delta", signature="final"),
        stop(0),
    )
    assert block == {"type": "thinking", "thinking": "", "signature": "final"}


def test_citations_are_collected_in_order() -> None:
    block = block_of(
        start(0, {"type": "text", "text": "", "citations": [{"n": 1}]}),
        delta(0, "citations_delta", citation={"n": 2}),
        delta(0, "text_delta", text="x"),
        delta(0, "citations_delta", citation={"n": 3}),
        stop(0),
    )
    assert block == {"type": "text", "text": "x", "citations": [{"n": 1}, {"n": 2}, {"n": 3}]}


def test_a_compaction_delta_replaces_the_content() -> None:
    block = block_of(
        start(0, {"type": "compaction", "content": None}),
        delta(0, "compaction_delta", content="summary", encrypted_content="e"),
        stop(0),
    )
    assert block == {"type": "compaction", "content": "summary", "encrypted_content": "e"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"b": 1}]},
        {"type": "brand_new", "zeta": {"y": 1, "x": None}, "alpha": []},
    ],
)
def test_a_block_that_comes_whole_is_kept_as_it_is_unknown_ones_too(block: dict[str, Any]) -> None:
    items = assemble(answer(start(0, block), delta(0, "brand_new_delta", more=1), stop(0)))
    assert blocks(items) == (encoding.encode(block),)


def test_usage_is_overwritten_and_what_is_absent_or_null_is_kept() -> None:
    events = [
        MESSAGE_START,
        message_delta(None, output_tokens=7, cache_read_input_tokens=None),
        message_delta("end_turn", output_tokens=9),
        MESSAGE_STOP,
    ]
    assert ended(assemble(events)).usage == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 9,
    }


def test_the_details_of_a_refusal_are_given_out() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "no"}
    last = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    end = ended(assemble([MESSAGE_START, last, MESSAGE_STOP]))
    assert (end.stop_reason, end.stop_details) == ("refusal", details)


# -- tool input -----------------------------------------------------------------------------


def tool_input(*parts: str, start_input: Any = None, stopped: bool = True) -> Any:
    block = {"type": "tool_use", "id": "t1", "name": "run", "input": start_input}
    deltas = [delta(0, "input_json_delta", partial_json=part) for part in parts]
    return block_of(start(0, block), *deltas, *([stop(0)] if stopped else []))["input"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), {}),
        (("", " "), {}),
        (('{"b":', '1,"a":[2]}'), {"b": 1, "a": [2]}),
        (('{"b": "cut',), {UNPARSED: '{"b": "cut'}),
        (("[1]",), {UNPARSED: "[1]"}),
        (('"text"',), {UNPARSED: '"text"'}),
        (("null",), {UNPARSED: "null"}),
        (("[" * 10_000,), {UNPARSED: "[" * 10_000}),
    ],
)
def test_tool_input_is_an_object_and_what_is_none_is_kept_as_text(
    parts: tuple[str, ...], expected: Mapping[str, Any]
) -> None:
    assert tool_input(*parts, start_input={}) == expected


def test_tool_input_that_came_with_the_start_is_kept_when_no_delta_follows() -> None:
    assert tool_input(start_input={"path": "x"}) == {"path": "x"}
    assert tool_input(start_input="path=x") == {UNPARSED: '"path=x"'}
    assert tool_input(start_input=None) == {}


def test_a_call_that_was_never_stopped_is_not_taken_for_a_call_without_arguments() -> None:
    assert tool_input(start_input={}, stopped=False) == {UNPARSED: ""}
    assert tool_input('{"a":1', start_input={}, stopped=False) == {UNPARSED: '{"a":1'}
    assert tool_input('{"a":1}', start_input={}, stopped=False) == {"a": 1}


def test_server_tools_get_their_input_parsed_too() -> None:
    block = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    part = delta(0, "input_json_delta", partial_json='{"query":"kelp"}')
    assert block_of(start(0, block), part, stop(0))["input"] == {"query": "kelp"}


# -- ends -----------------------------------------------------------------------------------


def test_a_cut_at_any_event_is_a_cut_or_a_whole_answer_and_never_changes_a_closed_block() -> None:
    """C03: recorded stream, one cut after every event."""
    for kept in range(len(RECORDED) + 1):
        assembler = Assembler()
        items: list[StreamItem] = []
        for event in RECORDED[:kept]:
            items.extend(assembler.feed(event["type"], json.dumps(event)))
        closed = blocks(items)
        assert closed == RECORDED_BLOCKS[: len(closed)]
        if kept >= len(RECORDED) - 1:  # the stop reason was seen: the answer is whole (§3.4)
            assert assembler.complete
            assert ended([*items, *assembler.finish()]).stop_reason == "tool_use"
        else:
            assert not assembler.complete
            with pytest.raises(ModelFailed) as failed:
                assembler.finish()
            assert failed.value.failure.kind is FailureKind.CUT


def test_what_is_open_at_a_cut_can_be_asked_for() -> None:
    assembler = Assembler()
    for event in RECORDED[:14]:
        assembler.feed(event["type"], json.dumps(event))
    assert assembler.open_blocks == (BlockOpened(2, "tool_use", "write"),)


def test_an_error_event_is_a_failure_of_its_type() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert failure_of([MESSAGE_START, error]) is FailureKind.OVERLOADED


def test_an_error_without_event_name_or_type_is_seen_as_one() -> None:
    data = '{"error":{"message":"litellm.APIError: upstream","type":"None","code":"500"}}'
    with pytest.raises(ModelFailed) as failed:
        Assembler().feed(None, data)
    assert failed.value.failure.kind is FailureKind.SERVER


def test_an_error_after_the_stop_reason_takes_nothing_from_the_answer() -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "late"}}
    assert ended(assemble([*RECORDED[:-1], error])).stop_reason == "tool_use"


def test_an_answer_without_a_stop_reason_gets_the_one_that_its_blocks_imply() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "run", "input": {}}
    assert ended(assemble([MESSAGE_START, MESSAGE_STOP])).stop_reason == "end_turn"
    called = [MESSAGE_START, start(0, call), stop(0), MESSAGE_STOP]
    assert ended(assemble(called)).stop_reason == "tool_use"


def test_data_of_a_known_event_that_is_no_json_is_unreadable_and_shown() -> None:
    with pytest.raises(ModelFailed) as failed:
        Assembler("req_1").feed("content_block_delta", '{"type": "content_blo')
    failure = failed.value.failure
    assert failure.kind is FailureKind.UNREADABLE
    assert (failure.raw, failure.request_id) == ('{"type": "content_blo', "req_1")


# -- tolerance ------------------------------------------------------------------------------


def test_repeated_starts_stops_and_ends_change_nothing() -> None:
    repeated = [
        event
        for event in RECORDED
        for _ in range(1 if event["type"] == "content_block_delta" else 2)
    ]
    assert blocks(assemble(repeated)) == RECORDED_BLOCKS
    assert ended(assemble(repeated)) == ended(assemble(RECORDED))


@pytest.mark.parametrize(
    ("name", "data"),
    [("brand_new", "{}"), ("brand_new", "<>"), (None, "[DONE]"), (None, ""), ("ping", "")],
)
def test_unknown_events_only_say_that_the_connection_lives(name: str | None, data: str) -> None:
    assert list(Assembler().feed(name, data)) == [Heartbeat()]


def test_blocks_are_kept_apart_when_a_gateway_numbers_them_all_zero() -> None:
    items = assemble(
        answer(
            start(0, {"type": "text", "text": ""}), delta(0, "text_delta", text="a"), stop(0),
            start(0, {"type": "text", "text": ""}), delta(0, "text_delta", text="b"), stop(0),
        )
    )  # fmt: skip
    closed = [item for item in items if isinstance(item, BlockClosed)]
    assert [(item.index, item.block.get("text")) for item in closed] == [(0, "a"), (1, "b")]


def test_text_without_a_block_start_or_message_start_is_not_lost() -> None:
    items = assemble([delta(0, "text_delta", text="lost?"), stop(0), MESSAGE_STOP])
    assert isinstance(items[0], ResponseOpened)
    assert blocks(items) == ('{"type":"text","text":"lost?"}',)


def test_a_delta_of_another_kind_does_not_get_into_a_block() -> None:
    block = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
    odd = delta(0, "text_delta", text="chatter")
    part = delta(0, "input_json_delta", partial_json='{"a":1}')
    assert block_of(start(0, block), odd, part, stop(0))["input"] == {"a": 1}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(codec=None, exclude_categories=[]), max_size=5), max_size=6))
def test_what_was_shown_is_what_is_kept_even_when_characters_are_cut_in_two(
    parts: list[str],
) -> None:
    """A23: servers in UTF-16 languages cut deltas inside a character."""
    halves = ["x\ud83d", "\udea8y", *parts, "\ud800"]
    deltas = [delta(0, "text_delta", text=part) for part in halves]
    items = assemble(answer(start(0, {"type": "text", "text": "start "}), *deltas, stop(0)))
    shown = "".join(item.text for item in items if isinstance(item, BlockDelta))
    (raw,) = blocks(items)
    assert encoding.decode(raw)["text"] == shown
    assert shown.startswith("start x\U0001f6a8y")
    assert shown.encode()


# -- properties -----------------------------------------------------------------------------


async def items_of(pieces: Iterable[bytes]) -> list[StreamItem]:
    """Through the SDK's own decoder, as in the adapter."""
    response = httpx2.Response(200, stream=Pieces(pieces))
    assembler = Assembler("req_1")
    items: list[StreamItem] = []
    async for event in anthropic.AsyncStream.raw_events(response):
        items.extend(assembler.feed(event.event, event.data))
    return [*items, *assembler.finish()]


WIRE = sse(RECORDED)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(1, len(WIRE) - 1), max_size=40),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_any_chunking_of_the_bytes_gives_the_same_items(cuts: set[int], newline: bytes) -> None:
    wire = WIRE.replace(b"\n", newline)
    edges = [0, *sorted(cuts), len(wire)]
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
    assert asyncio.run(items_of(pieces)) == assemble(RECORDED)


def test_bytes_that_arrive_one_by_one_give_the_same_items() -> None:
    assert asyncio.run(items_of(WIRE[k : k + 1] for k in range(len(WIRE)))) == assemble(RECORDED)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
odd = st.sampled_from([0, 0, 1, 2, -1, True, "0", None, [], 10**30]) | json_values
delta_types = st.sampled_from(
    ["text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta",
     "compaction_delta", "new_delta", None, 3],
)  # fmt: skip
deltas = st.fixed_dictionaries(
    {"type": delta_types},
    optional={
        key: odd | st.sampled_from(["{", '{"a":', "1}", "}", "\ud83d", "\ude00"])
        for key in ("text", "thinking", "partial_json", "signature", "citation", "content",
                    "stop_reason", "stop_details")
    },
)  # fmt: skip
block_starts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "server_tool_use", "new", 1, None])},
    optional=dict.fromkeys(("text", "thinking", "input", "name", "id", "citations"), odd),
)
event_types = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
     "message_delta", "message_stop", "ping", "error", "new", None, 7],
)  # fmt: skip
any_event = st.fixed_dictionaries(
    {"type": event_types},
    optional={
        "index": odd,
        "delta": deltas | json_values,
        "content_block": block_starts | json_values,
        "message": json_values,
        "usage": json_values,
        "error": json_values,
    },
)
any_feed = st.tuples(
    event_types.map(lambda kind: kind if isinstance(kind, str) else None),
    any_event.map(json.dumps) | st.text() | st.just("[" * 20_000),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(any_feed, max_size=20))
def test_no_sequence_of_events_raises_anything_but_model_failed(
    events: list[tuple[str | None, str]],
) -> None:
    assembler = Assembler()
    items: list[StreamItem] = []
    try:
        for name, data in events:
            items.extend(assembler.feed(name, data))
        items.extend(assembler.finish())
    except ModelFailed:
        assert not any(isinstance(item, ResponseEnded) for item in items)
    else:
        assert isinstance(items[-1], ResponseEnded)
        opened = [item.index for item in items if isinstance(item, BlockOpened)]
        closed = [item.index for item in items if isinstance(item, BlockClosed)]
        assert sorted(opened) == sorted(closed) == sorted(set(opened))
    for item in items:
        for value in attrs.astuple(item, recurse=False):
            assert json.dumps(value, ensure_ascii=False, default=str).encode()
        if isinstance(item, BlockClosed):
            assert encoding.encode(encoding.decode(item.block.raw)) == item.block.raw
            if item.block.type == "tool_use":
                assert isinstance(item.block.get("input"), dict)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_never_give_a_finished_answer_with_other_blocks(data: st.DataObject) -> None:
    """Cut anywhere inside the bytes: either a failure, or the whole answer."""
    end = data.draw(st.integers(0, len(WIRE)))
    try:
        items = asyncio.run(items_of([WIRE[:end]]))
    except (ModelFailed, UnicodeDecodeError):
        return
    assert blocks(items) == RECORDED_BLOCKS
