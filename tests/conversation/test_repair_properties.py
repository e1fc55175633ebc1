"""What repair promises for every history (P2, P4): properties, no examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import strategies as make
from holdfast.conversation import encoding
from holdfast.conversation.history import ASSISTANT, Block, History, user
from holdfast.conversation.passes import PASSES, Context, Log
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.conversation.turns import is_signed_thinking

PROFILES = [
    DEFAULT,
    Profile(prefill_allowed=True),
    Profile(system_role_allowed=False, cache_marks_max=0),
    Profile(leading_assistant_allowed=True, tool_names=None),
    DEFAULT.with_betas(["compact-2026-09-04", "mcp-client-2026-09-15"]),
]
profiles = st.sampled_from(PROFILES)
many = settings(max_examples=120, deadline=None)
some = settings(max_examples=40, deadline=None)


@many
@given(make.any_history, profiles)
def test_p2_the_api_accepts_whatever_repair_returns(history: History, profile: Profile) -> None:
    assert validate(repair(history, profile=profile).history, profile) == ()


@many
@given(make.any_history, profiles)
def test_repairing_twice_changes_nothing_more(history: History, profile: Profile) -> None:
    once = repair(history, profile=profile).history
    twice = repair(once, profile=profile)
    assert twice.history is once
    assert twice.steps == ()


@some
@given(make.valid_histories())
def test_a_valid_history_is_valid(history: History) -> None:
    assert validate(history) == ()


@some
@given(make.valid_histories())
def test_no_pass_touches_a_valid_history(history: History) -> None:
    for mend in PASSES:
        log = Log()
        assert mend(history, Context(), log) is history
        assert log.steps == []


@some
@given(make.any_history)
def test_repair_is_deterministic(history: History) -> None:
    copy = tuple(attrs_copy(message) for message in history)
    assert repair(history) == repair(copy)


def attrs_copy(message: Any) -> Any:
    return type(message)(message.role, tuple(Block(b.raw) for b in message.blocks), message.origin)


@some
@given(make.any_history)
def test_a_changed_history_says_what_was_done(history: History) -> None:
    repaired = repair(history)
    assert (repaired.history is history) == (repaired.steps == ())


@many
@given(make.any_history)
def test_p4_no_words_are_lost(history: History) -> None:
    kept = list(strings(repair(history).history))
    for said in spoken(history):
        assert any(said in candidate for candidate in kept), said


@some
@given(make.any_history)
def test_signed_thinking_of_the_assistant_stays_byte_for_byte_in_order(history: History) -> None:
    assert signed(repair(history).history) == signed(history)


@some
@given(make.any_history)
def test_a_call_in_a_turn_with_signed_thinking_is_never_removed(history: History) -> None:
    names = [calls_named(message.blocks) for message in history if is_signed(message)]
    kept = [calls_named(m.blocks) for m in repair(history).history if is_signed(m)]
    assert [len(n) for n in kept] == [len(n) for n in names]


@some
@given(make.any_history, make.words, make.valid_histories(prefix="later"))
def test_what_was_sent_stays_a_prefix_while_the_history_grows(
    history: History, prompt: str, more: History
) -> None:
    sent = (*history, user(prompt))
    later = tuple(more[1:])  # starts with the assistant, answers no earlier call
    before = repair(sent).history
    assert repair(sent + later).history[: len(before)] == before


@some
@given(make.any_history, st.frozensets(make.ids, max_size=3))
def test_only_calls_that_still_run_are_left_open(
    history: History, open_ids: frozenset[str]
) -> None:
    repaired = repair(history, open_ids=open_ids).history
    assert validate(repaired, open_ids=open_ids | renamed(repaired, open_ids)) == ()


def renamed(history: History, open_ids: frozenset[str]) -> frozenset[str]:
    """A running call with an illegal or repeated id runs on under its new one."""
    found = validate(history)
    missing = {i for f in found if f.rule == "R40" for i in f.ids}
    return frozenset(i for i in missing if open_ids and i.startswith("toolu_"))


@some
@given(make.any_history)
def test_blocks_survive_encoding_and_decoding(history: History) -> None:
    for message in repair(history).history:
        for block in message.blocks:
            again = encoding.encode(encoding.decode(block.raw))
            assert again == block.raw
            assert encoding.decode(again) == block.data


@pytest.mark.parametrize("mend", PASSES, ids=lambda mend: mend.__name__)
def test_every_pass_is_idempotent_on_what_repair_returns(mend: Any) -> None:
    @settings(max_examples=15, deadline=None)
    @given(make.any_history)
    def check(history: History) -> None:
        clean = repair(history).history
        assert mend(clean, Context(), Log()) is clean

    check()


# --- readings of a history -----------------------------------------------------------------------


def spoken(history: History) -> Iterator[str]:
    """Every text of a text block or a result, as far as it has visible characters."""
    for message in history:
        for block in message.blocks:
            data = encoding.without_lone_surrogates(dict(block.data))
            if block.type == "text":
                yield from visible(data.get("text"))
            if block.type == "tool_result":
                content = data.get("content")
                yield from visible(content)
                for item in content if isinstance(content, list) else ():
                    if isinstance(item, dict) and item.get("type") == "text":
                        yield from visible(item.get("text"))


def visible(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value


def strings(history: History) -> Iterator[str]:
    for message in history:
        for block in message.blocks:
            yield from deep_strings(block.data)


def deep_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from deep_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from deep_strings(item)


def signed(history: History) -> list[Any]:
    return [
        encoding.without_lone_surrogates(dict(block.data))
        for message in history
        if message.role == ASSISTANT
        for block in message.blocks
        if is_signed_thinking(block)
    ]


def is_signed(message: Any) -> bool:
    return message.role == ASSISTANT and any(is_signed_thinking(b) for b in message.blocks)


def calls_named(blocks: tuple[Block, ...]) -> list[str]:
    return [block.text_of("name") for block in blocks if block.type == "tool_use"]
