"""What repair promises for every history (P2, P4): properties, no examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conversation import strategies as make
from holdfast.conversation import encoding
from holdfast.conversation.history import ASSISTANT, Block, History, user
from holdfast.conversation.models import MODELS, Endpoint, profile_of
from holdfast.conversation.passes import PASSES, Context, Log
from holdfast.conversation.profile import DEFAULT, THINKING_BLOCKS, Profile
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.conversation.turns import is_signed_thinking

OF_MODELS = list(dict.fromkeys(profile_of(m, e) for m in (*MODELS, "new") for e in Endpoint))
BETAS = ["compact-2026-09-04", "mcp-client-2026-09-15", "inline-tools-2026-09-15"]
OTHERS = [
    Profile(system_role_allowed=False, cache_marks_max=0, server_tools=frozenset()),
    Profile(leading_assistant_allowed=True, tool_names=None, strict_alternation=True),
    DEFAULT.with_betas(BETAS),
    profile_of("claude-opus-4-5").with_betas(["compact-2026-01-12"]),
]
profiles = st.sampled_from([*OF_MODELS, *OTHERS])
many = settings(max_examples=80, deadline=None)
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
@given(make.any_history, profiles)
def test_one_round_of_the_passes_is_enough(history: History, profile: Profile) -> None:
    context = Context(profile)
    for mend in PASSES:
        history = mend(history, context, Log())
    for mend in PASSES:
        log = Log()
        assert mend(history, context, log) is history
        assert log.steps == []


@some
@given(make.any_history, profiles)
def test_a_history_that_breaks_no_rule_is_returned_as_it_is(
    history: History, profile: Profile
) -> None:
    if validate(history, profile) == ():
        assert repair(history, profile=profile).history is history
    else:
        assert repair(history, profile=profile).history is not history


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
@given(make.any_history, profiles)
def test_p4_no_words_are_lost(history: History, profile: Profile) -> None:
    kept = list(strings(repair(history, profile=profile).history))
    for said in map(str.strip, spoken(history)):
        quoted = encoding.encode(said)[1:-1]  # a call as text holds its arguments as JSON
        assert any(said in there or quoted in there for there in kept), said


@some
@given(make.any_history)
def test_signed_thinking_of_the_assistant_stays_byte_for_byte_in_order(history: History) -> None:
    unbound = profile_of("claude-opus-5")
    assert signed(repair(history, profile=unbound).history) == signed(history)


@some
@given(make.any_history)
def test_r74_bound_thinking_is_shortened_from_its_start_and_only_for_a_hole(
    history: History,
) -> None:
    kept, before = signed(repair(history).history), signed(history)
    assert kept == before[len(before) - len(kept) :]
    if not any(is_half(block) for m in history for block in m.blocks if m.role == ASSISTANT):
        assert kept == before


@some
@given(make.any_history, profiles)
def test_a_call_in_a_turn_with_signed_thinking_is_never_removed(
    history: History, profile: Profile
) -> None:
    history = numbered(history)
    signed_ones = [m for m in history if is_signed(m)]
    taken = {"thinking", "tool_use"} <= profile.assistant_blocks and not profile.strict_alternation
    assume(signed_ones and taken)
    kept = {m.origin: len(calls_named(m.blocks)) for m in repair(history, profile=profile).history}
    for message in signed_ones:
        assert kept.get(message.origin, 0) == len(calls_named(message.blocks))


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


WORDS_OF = {
    "text": ("text",),
    "tool_use": ("input",),
    "server_tool_use": ("input",),
    "tool_result": ("content",),
    "search_result": ("title", "content"),
    "document": ("title", "context", "source"),
    "compaction": ("content",),
    "made_up": ("text", "content", "input", "title"),
}


def spoken(history: History) -> Iterator[str]:
    """Every string with a visible character in the fields that carry words."""
    for message in history:
        for block in message.blocks:
            yield from words_in(encoding.without_lone_surrogates(dict(block.data)))


def words_in(data: dict[str, Any]) -> Iterator[str]:
    kind = data.get("type")
    for field in WORDS_OF.get(kind if isinstance(kind, str) else "", ()):
        value = data.get(field)
        if field == "content" and isinstance(value, list):
            for item in value:
                yield from words_in(item) if isinstance(item, dict) else visible(item)
        elif field == "source" and isinstance(value, dict):
            yield from source_words(value)
        else:
            for said in deep_strings(value):
                yield from visible(said)


def source_words(source: dict[str, Any]) -> Iterator[str]:
    if source.get("type") == "text":
        yield from visible(source.get("data"))
    content = source.get("content") if source.get("type") == "content" else None
    for item in content if isinstance(content, list) else [content]:
        yield from words_in(item) if isinstance(item, dict) else visible(item)


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


def numbered(history: History) -> History:
    return tuple(attrs.evolve(m, origin=f"record {n}") for n, m in enumerate(history))


def is_half(block: Block) -> bool:
    return block.type in THINKING_BLOCKS and not is_signed_thinking(block)


def is_signed(message: Any) -> bool:
    return message.role == ASSISTANT and any(is_signed_thinking(b) for b in message.blocks)


def calls_named(blocks: tuple[Block, ...]) -> list[str]:
    return [block.text_of("name") for block in blocks if block.type == "tool_use"]
