"""Shortcuts of the validation: each says no more than the long way would."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import strategies as make
from conversation.test_repair_properties import profiles
from holdfast.conversation.history import (
    ASSISTANT,
    SYSTEM,
    USER,
    Block,
    History,
    Message,
    Role,
    assistant,
    tool_result,
    user,
)
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.rules import BLOCK_RULES, NEEDS, pairing, validate
from holdfast.conversation.rules.growth import extends_valid
from holdfast.conversation.rules.traits import is_paired, is_plain, traits

many = settings(max_examples=60, deadline=None)
roles: st.SearchStrategy[Role] = st.sampled_from([USER, ASSISTANT, SYSTEM])


def unknown(history: History) -> History:
    """The same history as other objects: nothing is remembered of it."""
    return tuple(
        Message(m.role, tuple(Block(block.raw) for block in m.blocks), m.origin) for m in history
    )


@many
@given(make.valid_histories(), st.one_of(make.any_history, make.valid_histories(prefix="u")))
def test_a_history_that_grew_is_judged_as_if_it_was_new(start: History, more: History) -> None:
    assert validate(start) == ()
    grown = (*start, *more)
    assert validate(grown) == validate(unknown(grown))
    longer = (*start, assistant("so"), *more)
    assert validate(longer) == validate(unknown(longer))


def test_a_call_id_of_an_earlier_turn_is_found_in_a_turn_that_was_added() -> None:
    history: History = (user("go"),)
    for number in range(4):
        call = make.tool_use(f"t{number}")
        history = (*history, assistant(call), user(tool_result(f"t{number}", "ok")))
        assert validate(history) == ()
    again = (*history, assistant(make.tool_use("t1")), user(tool_result("t1", "ok")))
    assert [found.rule for found in validate(again)] == ["R44"]


def test_two_histories_that_grow_from_one_do_not_know_of_each_other() -> None:
    history: History = (user("go"),)
    assert validate(history) == ()
    turn = (assistant(make.tool_use("t1")), user(tool_result("t1", "ok")))
    for _fork in range(2):
        assert validate((*history, *turn)) == ()


def test_another_profile_is_another_question() -> None:
    history = (user("go"), Message(SYSTEM, (Block.of({"type": "text", "text": "short"}),)))
    assert validate(history) == ()
    assert [f.rule for f in validate(history, Profile(system_role_allowed=False))] == ["R28"]


def test_a_turn_on_a_known_history_asks_about_the_turn_only() -> None:
    history = (*make_long(50), user("next"))
    assert validate(history) == ()
    grown = (*history, assistant("ok"), user("more"))
    asked: list[int] = []

    def is_valid(tail: History) -> bool:
        asked.append(len(tail))
        return True

    assert extends_valid(grown, DEFAULT, is_valid)
    assert asked == [3]  # a word of the user and the two messages


def make_long(turns: int) -> History:
    return tuple(m for n in range(turns) for m in (user(f"{n}"), assistant(f"ok {n}")))


@many
@given(make.blocks, roles, profiles)
def test_a_plain_block_breaks_no_rule_of_single_blocks(
    block: Block, role: Role, profile: Profile
) -> None:
    if is_plain(block, role, profile):
        for inspect in BLOCK_RULES.values():
            assert inspect(block, role, profile) == ()


@many
@given(make.any_history, profiles)
def test_a_rule_has_nothing_to_say_where_the_trait_it_needs_is_missing(
    history: History, profile: Profile
) -> None:
    present = {trait for message in history for trait in traits(message).found}
    for rule, trait in NEEDS.items():
        if trait not in present:
            assert list(rule(history, profile)) == []


@many
@given(st.one_of(make.valid_histories(), make.mutated_histories()))
def test_a_paired_history_breaks_no_rule_of_pairs(history: History) -> None:
    if is_paired(history):
        assert list(pairing.call_pairs(history, DEFAULT)) == []
