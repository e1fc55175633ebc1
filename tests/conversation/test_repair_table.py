"""Repair by example: the ways in which sessions were seen to die, and how they live on."""

from __future__ import annotations

import hashlib

import pytest

from conversation.notation import parse, render
from conversation.strategies import PIXEL, thinking, tool_use
from holdfast.conversation.history import Block, History, assistant, to_wire, tool_result, user
from holdfast.conversation.outcomes import SENTENCES, Outcome
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate


def check_repair(broken: str, expected: str, profile: Profile = DEFAULT) -> None:
    """The one place in this file which knows the repair API."""
    history = parse(broken)
    repaired = repair(history, profile=profile).history
    assert render(repaired) == expected
    assert validate(repaired, profile) == ()


def derived(original: str, count: int) -> str:
    return "toolu_" + hashlib.sha256(f"{original}\0{count}\0".encode() + b"0").hexdigest()[:24]


# --- A01, A02: calls without results --------------------------------------------------------------


@pytest.mark.survives("A01")
def test_a_call_cut_off_by_a_crash_gets_a_result_that_says_its_outcome_is_unknown() -> None:
    check_repair("user: list / use t1: ls", "user: list / use t1: ls / error t1: [unknown]")


def test_a_missing_result_goes_before_what_the_user_said_next() -> None:
    check_repair(
        "user: list / use t1: ls / user: go on",
        "user: list / use t1: ls / error t1: [unknown] / user: go on",
    )


@pytest.mark.survives("A01")
def test_one_of_three_parallel_results_is_missing() -> None:
    check_repair(
        "user: go / use a: x / use b: x / use c: x / result a: 1 / result c: 3",
        "user: go / use a: x / use b: x / use c: x / result a: 1 / result c: 3 "
        "/ error b: [unknown]",
    )


@pytest.mark.survives("A02")
def test_an_orphan_in_the_middle_of_a_long_history_is_mended_too() -> None:
    check_repair(
        "user: go / use t1: x / user: hm / assistant: yes / user: more / use t2: y / result t2: ok",
        "user: go / use t1: x / error t1: [unknown] / user: hm / assistant: yes / user: more "
        "/ use t2: y / result t2: ok",
    )


def test_results_may_be_spread_over_messages_in_a_leading_run() -> None:
    fine = "user: go / use a: x / use b: x / result b: 2 / + result a: 1 / user: and / assistant: k"
    check_repair(fine + " / user: go on", fine + " / user: go on")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_p6_a_synthetic_result_says_what_is_known_of_the_call(outcome: Outcome) -> None:
    history = parse("user: go / use t1: x")
    result = repair(history, {"t1": outcome}).history[-1].blocks[0]
    assert result == tool_result("t1", SENTENCES[outcome], is_error=True)


def test_calls_that_still_run_are_left_open_and_nothing_is_said_after_them() -> None:
    history = parse("user: go / use t1: x / use t2: x / result t1: done")
    assert repair(history, open_ids=frozenset({"t2"})).history is history
    waiting = parse("user: go / use t1: x")
    assert repair(waiting, open_ids=frozenset({"t1"})).history is waiting


# --- A03, A07: results without calls, second results ----------------------------------------------


@pytest.mark.survives("A03")
def test_an_orphan_result_becomes_text_and_loses_no_word() -> None:
    check_repair(
        "user: hi / result t9: 42 files / user: and now?",
        "user: hi / user: [Result of a tool call whose request was lost]\n42 files "
        "/ user: and now?",
    )


def test_a_late_result_goes_back_to_its_call() -> None:
    check_repair(
        "user: go / use t1: x / user: wait / assistant: ok / result t1: done",
        "user: go / use t1: x / result t1: done / user: wait / assistant: ok / user: [resumed]",
    )


def test_a_result_written_before_its_call_goes_behind_it() -> None:
    check_repair(
        "user: go / result t1: done / use t1: x / user: and?",
        "user: go / use t1: x / result t1: done / user: and?",
    )


@pytest.mark.survives("A07")
def test_a_copy_of_a_result_is_dropped() -> None:
    check_repair(
        "user: go / use t1: x / result t1: ok / result t1: ok",
        "user: go / use t1: x / result t1: ok",
    )


@pytest.mark.survives("A07")
def test_a_second_result_becomes_text_and_the_one_without_error_counts() -> None:
    check_repair(
        "user: go / use t1: x / error t1: network / result t1: done",
        "user: go / use t1: x / result t1: done "
        "/ user: [Second result for the same tool call, which reported an error]\nnetwork",
    )


def test_results_come_before_text_in_their_turn() -> None:
    check_repair(
        "user: go / use t1: x / user: by the way / result t1: ok",
        "user: go / use t1: x / result t1: ok / user: by the way",
    )


# --- A04: server tools ----------------------------------------------------------------------------


@pytest.mark.survives("A04")
def test_a_server_call_cut_before_its_result_becomes_text() -> None:
    check_repair(
        "user: look / search srvtoolu_1 / user: well?",
        'user: look / assistant: [called web_search: {"query":"q"}] / user: well?',
    )


def test_a_server_call_at_the_very_end_is_left_for_the_api_to_go_on_with() -> None:
    check_repair("user: look / search srvtoolu_1", "user: look / search srvtoolu_1")


def test_a_pending_server_call_survives_a_turn_of_results_only() -> None:
    fine = "user: go / search srvtoolu_1 / use t1: x / result t1: ok"
    check_repair(fine, fine)
    check_repair(
        fine + " / user: hurry",
        'user: go / assistant: [called web_search: {"query":"q"}] / use t1: x / result t1: ok '
        "/ user: hurry",
    )


@pytest.mark.survives("A04")
def test_a_server_result_without_its_call_becomes_text() -> None:
    check_repair(
        "user: look / found srvtoolu_1 / user: well?",
        "user: look / assistant: [web_search_tool_result: []] / user: well?",
    )


# --- A05, A06: ids --------------------------------------------------------------------------------


@pytest.mark.survives("A05")
def test_the_same_call_twice_in_one_turn_is_one_call() -> None:
    check_repair(
        "user: go / use t1: x / use t1: x / result t1: ok", "user: go / use t1: x / result t1: ok"
    )


@pytest.mark.survives("A05")
def test_a_repeated_id_is_renamed_on_both_halves_and_each_call_keeps_its_own_result() -> None:
    again = derived("t1", 1)
    check_repair(
        "user: go / use t1: x / result t1: one / use t1: y / result t1: two",
        f"user: go / use t1: x / result t1: one / use {again}: y / result {again}: two",
    )


@pytest.mark.parametrize("bad", ["functions.edit:3", "", "ü"])
@pytest.mark.survives("A06")
def test_an_illegal_id_is_renamed_on_both_halves(bad: str) -> None:
    new = derived(bad, 0)
    check_repair(
        f"user: go / use {bad}: x / result {bad}: ok", f"user: go / use {new}: x / result {new}: ok"
    )


# --- A08-A10, A14: thinking and roles -------------------------------------------------------------


@pytest.mark.survives("A09")
def test_thinking_without_a_signature_leaves_the_view() -> None:
    check_repair(
        "user: go / think: / assistant: so / user: ok", "user: go / assistant: so / user: ok"
    )


@pytest.mark.survives("A08", "A32")
def test_two_assistant_messages_with_thinking_are_kept_apart() -> None:
    check_repair(
        "user: go / think: s1 / assistant: a / user: ␣ / think: s2 / assistant: b / user: ok",
        "user: go / think: s1 / assistant: a / user: (no content) / think: s2 / assistant: b "
        "/ user: ok",
    )


def test_a_call_is_never_dropped_from_a_turn_with_signed_thinking() -> None:
    call = tool_use("t1")
    history = (user("go"), assistant(thinking("", "sig"), call, call), user(tool_result("t1", "1")))
    spoken = repair(history).history[1].blocks
    assert [b.type for b in spoken] == ["thinking", "tool_use", "tool_use"]


@pytest.mark.survives("A14")
def test_a_history_that_ends_with_the_assistant_gets_a_last_word_of_the_user() -> None:
    check_repair("user: hi / assistant: bye", "user: hi / assistant: bye / user: [resumed]")


def test_an_interrupt_while_thinking_leaves_a_history_that_can_go_on() -> None:
    check_repair("user: hi / think: sig", "user: hi / think: sig / user: [resumed]")


def test_a_lost_first_line_leaves_a_history_that_can_go_on() -> None:
    check_repair(
        "assistant: here / user: thanks", "user: [beginning lost] / assistant: here / user: thanks"
    )


def test_an_empty_history_gets_something_to_answer() -> None:
    check_repair("", "user: [nothing said]")


@pytest.mark.survives("A13")
def test_a_prefill_is_kept_where_the_model_allows_it_but_for_its_last_blanks() -> None:
    profile = Profile(prefill_allowed=True)
    check_repair("user: hi / assistant: so ␣", "user: hi / assistant: so", profile)


def test_a_system_message_between_call_and_result_moves_behind_the_result() -> None:
    check_repair(
        "user: go / use t1: x / system: hush / result t1: ok / assistant: k / user: ok",
        "user: go / use t1: x / result t1: ok / system: hush / assistant: k / user: ok",
    )


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("system: hush / user: hi", "user: [System note] hush / + user: hi"),
        ("user: a / system: hush / user: b", "user: a / + user: [System note] hush / + user: b"),
        (
            "user: a / assistant: b / system: hush / assistant: c / user: d",
            "user: a / assistant: b / user: [System note] hush / assistant: c / user: d",
        ),
    ],
)
def test_a_misplaced_system_message_is_said_by_the_user(broken: str, expected: str) -> None:
    check_repair(broken, expected)


# --- A11, A12, A15, A16, A23: blanks, marks, characters -------------------------------------------


@pytest.mark.parametrize("blank", ["", "␣", "\n\n"])
@pytest.mark.survives("A11", "A12")
def test_blank_text_goes_wherever_it_stands(blank: str) -> None:
    check_repair(
        f"user: hi / assistant: {blank} / assistant: so / user: {blank} / user: ok",
        "user: hi / assistant: so / user: ok",
    )


def test_an_error_without_words_says_that_it_has_none() -> None:
    check_repair(
        "user: go / use t1: x / error t1: ", "user: go / use t1: x / error t1: (no output)"
    )


def test_a_result_without_output_and_without_error_is_left_alone() -> None:
    check_repair("user: go / use t1: x / result t1: ", "user: go / use t1: x / result t1: ")


@pytest.mark.survives("A16")
def test_too_many_cache_marks_are_all_taken_out() -> None:
    marked = [
        Block.of({"type": "text", "text": f"{n}", "cache_control": {"type": "ephemeral"}})
        for n in range(5)
    ]
    assert repair((user(*marked[:4]),)).steps == ()
    repaired = repair((user(*marked),)).history
    assert to_wire(repaired) == to_wire((user("0", "1", "2", "3", "4"),))


@pytest.mark.survives("A23")
def test_half_a_surrogate_pair_becomes_one_replacement_character() -> None:
    history: History = (user(Block('{"type":"text","text":"cut \\ud83d"}')),)
    assert [f.rule for f in validate(history)] == ["R5"]
    assert repair(history).history == (user("cut �"),)


# --- A27, A28, R31: shapes ------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ['{"path": "a', ["x"], None, 7])
@pytest.mark.survives("A27")
def test_arguments_that_are_no_object_are_kept_and_not_run(raw: object) -> None:
    call = Block.of({"type": "tool_use", "id": "t1", "name": "read", "input": raw})
    repaired = repair((user("go"), assistant(call))).history
    assert repaired[1].blocks[0].data["input"] == {"_unparsed": raw}
    assert repaired[2].blocks[0].data["content"] == SENTENCES[Outcome.BAD_INPUT]


@pytest.mark.parametrize(
    ("bad", "clean"),
    [
        ('Task" >\n<parameter name="description', "Task_parameter_name_description"),
        ("", "unnamed_tool"),
        ("a.b", "a_b"),
        ("n" * 201, "n" * 64),
    ],
)
@pytest.mark.survives("A28")
def test_a_tool_name_that_the_api_refuses_is_cleaned(bad: str, clean: str) -> None:
    history = (user("go"), assistant(tool_use("t1", bad)), user(tool_result("t1", "ok")))
    assert repair(history).history[1].blocks[0].data["name"] == clean


def test_an_unknown_block_becomes_text() -> None:
    block = Block.of({"type": "hologram", "text": "see me", "size": 3})
    assert repair((user(block),)).history == (user('[hologram] see me {"size":3}'),)


@pytest.mark.survives("A31")
def test_a_stale_tool_reference_becomes_text_and_the_rest_of_the_result_stays() -> None:
    found = [{"type": "tool_reference", "tool_name": "Gone"}, {"type": "text", "text": "1 found"}]
    result = Block.of({"type": "tool_result", "tool_use_id": "t1", "content": found})
    history = (user("find"), assistant(tool_use("t1")), user(result))
    assert [f.rule for f in validate(history)] == ["A31"]
    assert validate(history, Profile(tool_names=frozenset({"Gone"}))) == ()
    content = repair(history).history[2].blocks[0].data["content"]
    assert content == [{"type": "text", "text": "[tool found: Gone]"}, found[1]]


def test_a_picture_in_an_error_result_stays_and_the_error_is_told_in_words() -> None:
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
    }
    data = {"type": "tool_result", "tool_use_id": "t1", "content": [picture], "is_error": True}
    history = (user("go"), assistant(tool_use("t1")), user(Block.of(data)))
    result = repair(history).history[2].blocks[0].data
    assert result["content"] == [{"type": "text", "text": "[The tool reported an error.]"}, picture]
    assert "is_error" not in result


def test_a_step_names_the_rule_the_record_and_what_was_kept() -> None:
    history = (user("go"), assistant(tool_use("t1"), origin="record-7"))
    step = repair(history).steps[0]
    assert (step.rule, step.origin, step.kept) == ("R40", "record-7", "the call")
    assert repair(history).history[-1].origin == ""


# --- A10, A15, A33: manual thinking, marks on nothing, histories of other providers ---------------


@pytest.mark.survives("A10")
def test_a_turn_need_not_begin_with_thinking_because_no_request_thinks_manually() -> None:
    loop = "user: go / use t1: x / result t1: ok / think: s / use t2: x / result t2: ok"
    check_repair(loop, loop)


@pytest.mark.survives("A15")
def test_a_mark_on_an_empty_text_goes_with_the_text() -> None:
    empty = Block.of({"type": "text", "text": "", "cache_control": {"type": "ephemeral"}})
    history = (user("go", empty),)
    assert [found.rule for found in validate(history)] == ["R81"]
    assert repair(history).history == (user("go"),)


@pytest.mark.survives("A33")
def test_a_history_of_another_provider_keeps_every_call_with_its_result() -> None:
    first, second = derived("functions.edit:3", 0), derived("", 0)
    calls = [
        Block.of({"type": "tool_use", "id": "functions.edit:3", "name": "edit", "input": '{"a":1'}),
        Block.of({"type": "tool_use", "id": "", "name": "read.file", "input": {}}),
    ]
    results = [tool_result("functions.edit:3", "done"), tool_result("", "text")]
    repaired = repair((user("go"), assistant(*calls), user(*results))).history
    assert render(repaired) == (
        f"user: go / use {first}: edit / use {second}: read_file "
        f"/ result {first}: done / result {second}: text"
    )
    assert repaired[1].blocks[0].get("input") == {"_unparsed": '{"a":1'}
    assert validate(repaired) == ()


@pytest.mark.survives("A33")
def test_a_chat_saved_with_an_open_call_goes_on() -> None:
    check_repair(
        "user: go / use call_1: x / use call_2: x / user: never mind",
        "user: go / use call_1: x / use call_2: x / error call_1: [unknown] "
        "/ error call_2: [unknown] / user: never mind",
    )
