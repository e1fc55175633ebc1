"""Histories for property tests: valid ones by construction, mutated ones, and pure garbage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import strategies as st

from holdfast.conversation.history import (
    ASSISTANT,
    SYSTEM,
    USER,
    Block,
    History,
    Message,
    assistant,
    from_wire,
    text,
    tool_result,
    user,
)

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
words = st.sampled_from(["list the files", "done", "ärger ✓ 😀", "x", "  padded  ", "line\nline"])
blanks = st.sampled_from(["", " ", "\n\n", "\t"])
broken_words = st.sampled_from(["cut \ud83d", "\udc00", "a\ud800b"])
long_words = st.sampled_from(["long " * 3000, "\u00e4\U0001f600" * 2000])
any_words = st.one_of(words, blanks, broken_words, st.text(max_size=12), long_words)
ids = st.sampled_from(["t1", "t2", "t3", "", "a.b:1", "srvtoolu_1", "srvtoolu_2", "x" * 300])
names = st.sampled_from(["run", "read", "", "a.b", "n" * 201, 'Task" >\n<parameter'])
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), any_words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def tool_use(tool_id: str, name: str = "run", **arguments: Any) -> Block:
    return Block.of({"type": "tool_use", "id": tool_id, "name": name, "input": arguments})


def thinking(words_: str = "", signature: str = "sig") -> Block:
    return Block.of({"type": "thinking", "thinking": words_, "signature": signature})


def server_use(tool_id: str, name: str = "web_search") -> Block:
    data = {"type": "server_tool_use", "id": tool_id, "name": name, "input": {"query": "q"}}
    return Block.of(data)


def server_result(tool_id: str) -> Block:
    data = {"type": "web_search_tool_result", "tool_use_id": tool_id, "content": []}
    return Block.of(data)


# --- garbage -------------------------------------------------------------------------------------

_TYPES = [
    "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking",
    "server_tool_use", "web_search_tool_result", "mcp_tool_use", "compaction", "made_up",
    "search_result", "container_upload", "tool_reference", "mcp_tool_result", "browser_state",
    "code_execution_tool_result", "tool_addition", "tool_removal",
]  # fmt: skip
marks = st.one_of(
    st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, None]),
    st.sampled_from([{"type": "ephemeral", "ttl": "9h"}, {"type": "ephemeral", "by": "x"}, {}]),
)
sources = st.one_of(
    st.just({"type": "base64", "media_type": "image/png", "data": PIXEL}),
    st.just({"type": "text", "media_type": "text/plain", "data": "a page"}),
    st.builds(
        lambda parts, extra: {"type": "content", "content": parts, **extra},
        st.one_of(any_words, st.lists(st.deferred(lambda: block_data), max_size=2)),
        st.sampled_from([{}, {}, {"note": "mine"}]),
    ),
)
callers = st.sampled_from(
    [
        {"type": "direct"},
        {"type": "direct", "more": 1},
        {"type": "code_execution_20260521", "tool_id": "srvtoolu_1"},
        {"type": "code", "tool_id": "srvtoolu_1"},
        None,
    ]
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.one_of(any_words, json_values),
    "id": st.one_of(ids, json_values),
    "tool_use_id": st.one_of(ids, json_values),
    "name": st.one_of(names, json_values),
    "input": json_values,
    "content": st.one_of(
        any_words, json_values, st.lists(st.deferred(lambda: block_data), max_size=3)
    ),
    "is_error": st.one_of(st.booleans(), json_values),
    "thinking": any_words,
    "signature": st.sampled_from(["sig", ""]),
    "data": any_words,
    "source": st.one_of(json_values, sources, sources),
    "cache_control": st.one_of(marks, json_values),
    "citations": st.sampled_from([[], [{"type": "char_location"}], None, {"enabled": True}, 3]),
    "caller": callers,
    "toolset_name": st.sampled_from(["computer", None, 3]),
    "tool": st.sampled_from([{"type": "tool_reference", "name": "gone"}, {"definition": {}}]),
    "index": st.integers(0, 3),
    "_note": any_words,
    "title": any_words,
    "tool_name": names,
}  # fmt: skip


@st.composite
def _block_data(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(_FIELDS)), max_size=6, unique=True))
    data: dict[str, Any] = {}
    if draw(st.integers(0, 9)):
        data["type"] = draw(st.sampled_from(_TYPES))
    return data | {name: draw(_FIELDS[name]) for name in chosen}


block_data = _block_data()
likely_blocks = st.one_of(
    any_words.map(text),
    st.builds(lambda i, n: tool_use(i, n, command="make"), ids, names),
    st.builds(lambda i, w, e: tool_result(i, w, is_error=e), ids, any_words, st.booleans()),
    st.builds(server_use, ids),
    st.builds(server_result, ids),
    st.builds(thinking, any_words, st.sampled_from(["sig", ""])),
)
surrogate_blocks = st.builds(
    lambda kind: Block(f'{{"type":"text","text":"half {kind} pair"}}'),
    st.sampled_from(["\\ud83d", "\\udc00"]),
)
special_blocks = st.builds(
    lambda block, extra: Block.of({**block.data, **extra}),
    likely_blocks,
    st.fixed_dictionaries(
        {},
        optional={
            "cache_control": marks,
            "caller": callers,
            "toolset_name": st.sampled_from(["computer", None]),
            "index": st.just(1),
        },
    ),
)
blocks = st.one_of(
    likely_blocks, likely_blocks, special_blocks, block_data.map(Block.of), surrogate_blocks
)
messages = st.builds(
    Message,
    st.sampled_from([USER, ASSISTANT, USER, ASSISTANT, SYSTEM]),
    st.lists(blocks, max_size=4).map(tuple),
)
garbage: st.SearchStrategy[History] = st.lists(messages, max_size=8).map(tuple)


# What a client may find in a file: wrong roles, strings for lists and for blocks, nothing at all.
wire_contents = st.one_of(
    any_words, json_values, st.lists(st.one_of(block_data, any_words, json_values), max_size=3)
)
wire_messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", None, 3])},
    optional={"content": wire_contents, "id": st.just("msg_1")},
)
wire_histories: st.SearchStrategy[History] = st.lists(wire_messages, max_size=6).map(from_wire)


# --- valid by construction -----------------------------------------------------------------------


@st.composite
def valid_histories(draw: st.DrawFn, *, turns_max: int = 5, prefix: str = "t") -> History:
    """A history that the API accepts, ending with the user."""
    history: list[Message] = [user(draw(words))]
    counter = 0
    for number in range(draw(st.integers(0, turns_max))):
        spoken: list[Block] = []
        if draw(st.booleans()):
            spoken.append(thinking(draw(st.sampled_from(["", "hm"])), f"sig{prefix}{number}"))
        if draw(st.booleans()):
            spoken.append(text(draw(words)))
        if draw(st.integers(0, 3)) == 0:
            server_id = f"srvtoolu_{prefix}{number}"
            spoken += [server_use(server_id), server_result(server_id)]
        called = []
        for _ in range(draw(st.integers(0, 3))):
            counter += 1
            called.append(f"{prefix}_{counter}")
            spoken.append(tool_use(called[-1], command=draw(words)))
        spoken = spoken or [text("done")]
        if draw(st.integers(0, 3)) == 0 and len(spoken) > 1:
            history += [assistant(spoken[0]), assistant(*spoken[1:])]
        else:
            history.append(assistant(*spoken))
        history += draw(_answers(draw(st.permutations(called))))
        if draw(st.integers(0, 3)) == 0 and history[-1].role == USER and number % 2:
            history.append(Message(SYSTEM, (text("be brief"),)))
            history.append(assistant("ok"))
            history.append(user(draw(words)))
    return tuple(history)


@st.composite
def _answers(draw: st.DrawFn, called: list[str]) -> list[Message]:
    results = [
        tool_result(tool_id, draw(words), is_error=draw(st.booleans())) for tool_id in called
    ]
    if not results or draw(st.booleans()):
        results.append(text(draw(words)))
    if len(results) > 1 and draw(st.booleans()):
        return [user(*results[:1]), user(*results[1:])]
    return [user(*results)]


# --- mutated -------------------------------------------------------------------------------------

Mutation = Callable[[list[Message], int], list[Message]]


def _without(history: list[Message], at: int) -> list[Message]:
    return history[:at] + history[at + 1 :]


def _twice(history: list[Message], at: int) -> list[Message]:
    return history[: at + 1] + history[at:]


def _cut(history: list[Message], at: int) -> list[Message]:
    return history[:at]


def _swapped(history: list[Message], at: int) -> list[Message]:
    return history[:at] + history[at : at + 2][::-1] + history[at + 2 :]


def _reversed_blocks(history: list[Message], at: int) -> list[Message]:
    return _with_blocks(history, at, history[at].blocks[::-1])


def _first_block_lost(history: list[Message], at: int) -> list[Message]:
    return _with_blocks(history, at, history[at].blocks[1:])


def _blank_added(history: list[Message], at: int) -> list[Message]:
    return _with_blocks(history, at, (text("\n\n"), *history[at].blocks))


def _thinking_cut(history: list[Message], at: int) -> list[Message]:
    half = Block.of({"type": "thinking", "thinking": "and then"})
    return _with_blocks(history, at, (*history[at].blocks, half))


def _with_blocks(history: list[Message], at: int, found: tuple[Block, ...]) -> list[Message]:
    changed = attrs.evolve(history[at], blocks=found)
    return [*history[:at], changed, *history[at + 1 :]]


MUTATIONS: list[Mutation] = [
    _without, _twice, _cut, _swapped, _reversed_blocks, _first_block_lost, _blank_added,
    _thinking_cut,
]  # fmt: skip


@st.composite
def mutated_histories(draw: st.DrawFn) -> History:
    """A valid history after one to three accidents."""
    history = list(draw(valid_histories()))
    for mutate in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3)):
        if history:
            history = mutate(history, draw(st.integers(0, len(history) - 1)))
    return tuple(history)


any_history: st.SearchStrategy[History] = st.one_of(
    garbage, wire_histories, mutated_histories(), valid_histories()
)
