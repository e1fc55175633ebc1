"""Which messages of a Claude Code transcript the model would see, and in what order (D01-D04)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.transcripts.imported import ImportedHistory, Todo
from transcripts.transcript_files import Transcript, shown

STORY = ["user: one", "assistant: first", "user: two", "assistant: second", "user: three"]


def test_pieces_of_one_api_message_are_one_message() -> None:
    file = Transcript().user("u1", "go").says("a1", "m1", "I look.").calls("a2", "m1", "t1")
    file.result("r1", "t1").says("a3", "m2", "Done.")
    history = file.read()
    assert shown(history) == [
        "user: go",
        "assistant: I look. <tool_use t1>",
        "user: <tool_result t1>",
        "assistant: Done.",
    ]
    assert [message.origin for message in history.messages] == ["u1", "a1", "r1", "a3"]


def test_d03_parallel_results_are_collected_from_every_branch_they_hang_on() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m1", "t2")
    file.calls("a3", "m1", "t3").result("r1", "t1", parent="a1").result("r2", "t2", parent="a2")
    file.result("r3", "t3", parent="a3").says("a4", "m2", "Done.", parent="r2")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1> <tool_use t2> <tool_use t3>",
        "user: <tool_result t1>",
        "user: <tool_result t2>",
        "user: <tool_result t3>",
        "assistant: Done.",
    ]


def test_d03_a_result_written_last_does_not_hide_what_hangs_on_another_result() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m1", "t2")
    file.result("r2", "t2").says("a3", "m2", "Done.").result("r1", "t1", parent="a1")
    assert shown(file.read())[-1] == "assistant: Done."


def test_a_piece_written_while_another_piece_was_already_answered_joins_its_message() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").result("r1", "t1")
    file.calls("a2", "m1", "t2").result("r2", "t2").says("a3", "m2", "Done.")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1> <tool_use t2>",
        "user: <tool_result t1>",
        "user: <tool_result t2>",
        "assistant: Done.",
    ]


def test_a_result_whose_call_is_lost_is_kept_between_the_pieces_of_its_message() -> None:
    file = Transcript().user("u1", "go").says("a1", "m1", "Both.").calls("a2", "m1", "t1")
    file.result("r1", "t1").calls("a3", "m1", "t2").result("r2", "t2").says("a4", "m2", "Done.")
    assert "user: <tool_result t1>" in shown(file.without("a2").read())


@pytest.mark.parametrize("lost", ["a1", "a2", "a3"])
def test_results_of_parallel_calls_that_were_lost_are_kept_beside_the_others(lost: str) -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m1", "t2")
    file.calls("a3", "m1", "t3").result("r1", "t1", parent="a1").result("r2", "t2", parent="a2")
    file.result("r3", "t3", parent="a3").says("a4", "m2", "Done.")
    found = shown(file.without(lost).read())
    assert {line for line in found if "result" in line} == {
        "user: <tool_result t1>", "user: <tool_result t2>", "user: <tool_result t3>",
    }  # fmt: skip
    assert found[-1] == "assistant: Done."


def test_results_whose_calls_were_lost_on_an_abandoned_branch_stay_there() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m1", "t2")
    file.result("r2", "t2", parent="a2").says("a3", "m2", "Old.").says(
        "b1", "m3", "New.", parent="a1"
    )
    assert shown(file.without("a2").read()) == [
        "user: go", "assistant: <tool_use t1>", "assistant: New.",
    ]  # fmt: skip


@pytest.mark.parametrize("message_id", [None, 7, "x"])
def test_a_piece_that_lost_the_id_of_its_message_is_a_piece_of_it(message_id: Any) -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", message_id, "t2")
    file.calls("a3", "m1", "t3").result("r1", "t1", parent="a1").result("r2", "t2", parent="a2")
    file.result("r3", "t3", parent="a3").says("a4", "m2", "Done.")
    assert shown(file.read())[1] == "assistant: <tool_use t1> <tool_use t2> <tool_use t3>"


def test_results_of_several_messages_in_one_record_stand_behind_the_last_of_them() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m2", "t2")
    results = [
        {"type": "tool_result", "tool_use_id": each, "content": "ok"} for each in ("t1", "t2")
    ]
    assert shown(file.user("r1", results).says("a3", "m3", "Done.").read()) == [
        "user: go",
        "assistant: <tool_use t1>",
        "assistant: <tool_use t2>",
        "user: <tool_result t1> <tool_result t2>",
        "assistant: Done.",
    ]


def test_a_result_that_hangs_on_a_later_result_of_the_same_message_is_kept() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m1", "t2")
    file.result("r2", "t2", parent="r1").result("r1", "t1", parent="a1")
    file.says("a3", "m2", "Done.", parent="r2")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1> <tool_use t2>",
        "user: <tool_result t2>",
        "user: <tool_result t1>",
        "assistant: Done.",
    ]


def test_results_between_the_pieces_of_their_message_stand_once() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").result("r1", "t1")
    file.calls("a2", "m1", "t2").says("a3", "m2", "Done.", parent="a2")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1> <tool_use t2>",
        "user: <tool_result t1>",
        "assistant: Done.",
    ]


def test_a_result_that_stands_before_its_call_comes_after_it() -> None:
    file = Transcript().user("u1", "go").result("r1", "t1", parent="a1")
    file.calls("a1", "m1", "t1", parent="u1").says("a2", "m2", "Done.", parent="r1")
    assert shown(file.read())[1:] == [
        "assistant: <tool_use t1>",
        "user: <tool_result t1>",
        "assistant: Done.",
    ]


def test_a_rewind_leaves_the_abandoned_branch_out() -> None:
    file = Transcript().user("u1", "one").says("a1", "m1", "first")
    file.user("u2", "wrong way").says("a2", "m2", "lost")
    file.user("u3", "right way", parent="a1").says("a3", "m3", "kept")
    assert shown(file.read()) == [
        "user: one",
        "assistant: first",
        "user: right way",
        "assistant: kept",
    ]


def test_a_rewind_without_a_new_prompt_is_told_by_the_last_prompt_record() -> None:
    file = Transcript().user("u1", "one").says("a1", "m1", "first").user("u2", "undone")
    file.side("last-prompt", lastPrompt="one", leafUuid="a1")
    assert shown(file.read()) == ["user: one", "assistant: first"]


def test_a_leaf_that_was_named_before_the_last_words_is_out_of_date() -> None:
    file = Transcript().user("u1", "one").side("last-prompt", leafUuid="u1")
    file.says("a1", "m1", "first")
    assert shown(file.read()) == ["user: one", "assistant: first"]


def test_a_leaf_that_was_written_twice_with_the_end_of_the_file_cuts_nothing_off() -> None:
    file = Transcript().user("u1", "one").says("a1", "m1", "first").user("u2", "two")
    file.side("last-prompt", leafUuid="a1").says("a2", "m2", "second")
    file.lines += file.lines[-2:]
    assert shown(file.read()) == STORY[:4]


def test_d02_records_that_say_nothing_are_looked_through() -> None:
    file = Transcript().add("progress", "p0", data={}).user("u1", "go")
    file.add("attachment", "x1", attachment={"type": "task_reminder"})
    file.add("something-new", "x2").add("system", "x3", subtype="turn_duration")
    file.says("a1", "m1", "Done.")
    assert shown(file.read()) == ["user: go", "assistant: Done."]


def test_d01_a_missing_parent_is_bridged_to_the_line_before_and_said_so() -> None:
    file = Transcript().user("u1", "one").says("a1", "m1", "lost line").user("u2", "two")
    history = file.without("a1").read()
    assert shown(history) == ["user: one", "user: two"]
    (note,) = history.notes
    assert (note.kind, note.line) == ("bridged", 2)


def test_d04_a_parent_on_the_track_of_a_sub_agent_is_bridged() -> None:
    file = Transcript().user("u1", "one").says("a1", "m1", "first")
    file.user("side1", "sub-agent work", isSidechain=True, parent=None)
    file.user("u2", "two", parent="side1")
    assert shown(file.read()) == ["user: one", "assistant: first", "user: two"]


def story_with_parents(**parents: str | None) -> ImportedHistory:
    """A story of five records, u1 a1 u2 a2 u3, some of which follow another than the one before."""
    file = Transcript().user("u1", "one").says("a1", "m1", "first").user("u2", "two")
    file.says("a2", "m2", "second").user("u3", "three")
    for line in file.lines:
        line["parentUuid"] = parents.get(line["uuid"], line["parentUuid"])
    return file.read()


@pytest.mark.parametrize(
    ("record", "parent"), [("u1", "u1"), ("u1", "u3"), ("a1", "u2"), ("u2", "u3"), ("a2", "u3")]
)
def test_d01_a_ring_of_parents_is_bridged_to_the_line_before_and_nothing_is_lost(
    record: str, parent: str
) -> None:
    history = story_with_parents(**{record: parent})
    assert shown(history) == STORY
    assert [note.kind for note in history.notes] == ["bridged"] * (record != "u1" or parent != "u1")


def test_d01_rings_within_rings_are_all_bridged() -> None:
    assert shown(story_with_parents(u1="a2", a1="u3", u2="u2")) == STORY


@given(st.lists(st.sampled_from(["u1", "a1", "u2", "a2", "u3"]), min_size=5, max_size=5))
@settings(max_examples=100, deadline=None)
def test_d01_no_parents_lead_round_for_ever(parents: list[str]) -> None:
    linked = dict(zip(["u1", "a1", "u2", "a2", "u3"], parents, strict=True))
    history = story_with_parents(**linked)
    assert "user: three" in shown(history) or "assistant: second" in shown(history)


@pytest.mark.parametrize("record", ["a1", "a2"])
def test_d01_a_root_that_is_no_beginning_follows_the_line_before(record: str) -> None:
    history = story_with_parents(**{record: None})
    assert shown(history) == STORY
    assert [note.kind for note in history.notes] == ["bridged"]


@pytest.mark.parametrize("place", range(4))
def test_neighbours_that_were_swapped_are_no_broken_links(place: int) -> None:
    file = Transcript().user("u1", "one").says("a1", "m1", "first").user("u2", "two")
    file.says("a2", "m2", "second").user("u3", "three")
    file.lines[place : place + 2] = file.lines[place : place + 2][::-1]
    assert shown(file.read()) == STORY
    assert file.read().notes == ()


def test_d01_a_root_that_says_nothing_is_judged_by_what_hangs_below_it() -> None:
    file = Transcript().user("u1", "one").add("attachment", "x1", parent=None, attachment={})
    file.add("attachment", "x2", attachment={}).says("a1", "m1", "first")
    assert shown(file.read()) == ["user: one", "assistant: first"]
    file.user("u2", "two").add("attachment", "x3", parent=None, attachment={}).user("u3", "three")
    assert shown(file.read()) == ["user: three"]


def test_d01_a_remark_of_the_program_is_no_beginning() -> None:
    file = Transcript().user("u1", "one").add("system", "x1", parent=None).user("u2", "two")
    assert shown(file.read()) == ["user: one", "user: two"]


def test_a_prompt_that_follows_nothing_is_a_new_beginning() -> None:
    assert shown(story_with_parents(u2=None)) == STORY[2:]


def test_the_file_of_a_sub_agent_is_read_as_its_own_session() -> None:
    file = Transcript().user("u1", "task", isSidechain=True)
    file.says("a1", "m1", "report", isSidechain=True)
    assert shown(file.read()) == ["user: task", "assistant: report"]


def test_the_file_of_a_sub_agent_stays_one_when_a_record_does_not_say_whose_it_is() -> None:
    file = Transcript().user("u1", "go", isSidechain=True).says("a1", "m1", "I look.")
    del file.lines[-1]["isSidechain"]
    file.user("u2", "more", isSidechain=True).says("a2", "m2", "Done.", isSidechain=True)
    assert len(shown(file.read())) == 4


def test_error_messages_that_the_model_never_said_are_left_out() -> None:
    file = Transcript().user("u1", "go")
    file.says("e1", "x", "API Error: 529", isApiErrorMessage=True)
    file.piece("e2", "y", {"type": "text", "text": "No response requested."})
    file.lines[-1]["message"]["model"] = "<synthetic>"
    history = file.user("u2", "again").read()
    assert shown(history) == ["user: go", "user: again"]
    assert [note.kind for note in history.notes] == ["left out"]


def test_a_prompt_that_was_queued_during_the_turn_is_not_lost() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").result("r1", "t1")
    queued = {"type": "queued_command", "prompt": "also check the docs"}
    file.add("attachment", "q1", attachment=queued).says("a2", "m2", "Done.", parent="r1")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1>",
        "user: <tool_result t1>",
        "user: also check the docs",
        "assistant: Done.",
    ]


def test_what_came_before_a_compaction_is_replaced_by_its_summary() -> None:
    file = Transcript().user("u1", "old").says("a1", "m1", "old answer")
    file.add("system", "b1", parent=None, subtype="compact_boundary", logicalParentUuid="a1")
    file.user("s1", "Summary.", isCompactSummary=True, isVisibleInTranscriptOnly=True)
    file.user("u2", "new")
    assert shown(file.read()) == ["user: Summary.", "user: new"]


def test_messages_that_a_compaction_preserved_hang_behind_its_summary() -> None:
    file = Transcript().user("u1", "old").says("a1", "m1", "kept answer")
    kept = {"preservedMessages": {"anchorUuid": "s1", "uuids": ["a1"], "allUuids": ["a1"]}}
    file.add("system", "b1", parent=None, subtype="compact_boundary", compactMetadata=kept)
    file.user("s1", "Summary.", isCompactSummary=True).user("u2", "new")
    assert shown(file.read()) == ["user: Summary.", "assistant: kept answer", "user: new"]


def test_a_preserved_segment_is_walked_from_its_tail_to_its_head() -> None:
    file = Transcript().user("u0", "older").user("u1", "head").says("a1", "m1", "tail")
    kept = {"preservedSegment": {"headUuid": "u1", "anchorUuid": "s1", "tailUuid": "a1"}}
    file.add("system", "b1", parent=None, subtype="compact_boundary", compactMetadata=kept)
    file.user("s1", "Summary.", isCompactSummary=True).user("u2", "new")
    assert shown(file.read()) == [
        "user: Summary.",
        "user: head",
        "assistant: tail",
        "user: new",
    ]


def test_a_compaction_that_died_before_its_summary_hides_nothing() -> None:
    file = Transcript().user("u1", "old").says("a1", "m1", "old answer")
    file.add("system", "b1", parent=None, subtype="compact_boundary", logicalParentUuid="a1")
    file.user("u2", "new")
    assert shown(file.read()) == ["user: old", "assistant: old answer", "user: new"]


@pytest.mark.parametrize("follows", ["nobody", "u2", "b1", None])
def test_a_compaction_without_a_summary_that_names_nothing_before_it_hides_nothing(
    follows: str | None,
) -> None:
    file = Transcript().user("u1", "old").says("a1", "m1", "old answer")
    file.add("system", "b1", parent=None, subtype="compact_boundary", logicalParentUuid=follows)
    file.user("u2", "new")
    assert shown(file.read()) == ["user: old", "assistant: old answer", "user: new"]


@pytest.mark.survives("A05")
def test_an_id_that_two_calls_share_leaves_each_its_own_result() -> None:
    file = Transcript().user("u1", "go")
    file.calls("a1", "m1", "t1").result("u2", "t1", "in a")
    file.calls("a2", "m2", "t1").result("u3", "t1", "in b")
    file.says("a3", "m3", "Both read.").user("u4", "Good.")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1>",
        "user: <tool_result t1>",
        "assistant: <tool_use t1>",
        "user: <tool_result t1>",
        "assistant: Both read.",
        "user: Good.",
    ]
    results = [dict(message.blocks[0].data).get("content") for message in file.read().messages]
    assert [results[2], results[4]] == ["in a", "in b"]


def test_a_result_that_lost_its_chain_answers_the_last_call_before_it() -> None:
    file = Transcript().user("u1", "go")
    file.calls("a1", "m1", "t1").result("u2", "t1", "in a").calls("a2", "m2", "t1")
    file.result("u3", "t1", "in b", parent=None)
    assert [line for line in shown(file.read()) if "t1" in line] == [
        "assistant: <tool_use t1>",
        "user: <tool_result t1>",
        "assistant: <tool_use t1>",
        "user: <tool_result t1>",
    ]


def test_what_was_said_between_a_call_and_its_result_is_not_lost() -> None:
    file = Transcript().user("u1", "go").calls("a1", "m1", "t1").calls("a2", "m2", "t2")
    file.result("r2", "t2").user("u2", "Are you there?").result("r1", "t1")
    file.says("a3", "m3", "Done.")
    assert shown(file.read()) == [
        "user: go",
        "assistant: <tool_use t1>",
        "assistant: <tool_use t2>",
        "user: <tool_result t2>",
        "user: Are you there?",
        "user: <tool_result t1>",
        "assistant: Done.",
    ]


said = st.tuples(st.sampled_from(["user", "call", "result"]), st.sampled_from(["t1", "t2", "t3"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(said, max_size=12))
def test_where_nothing_was_rewound_no_message_is_lost_whatever_ids_calls_and_results_have(
    turns: list[tuple[str, str]],
) -> None:
    file = Transcript().user("first", "go")
    for number, (kind, tool_id) in enumerate(turns):
        if kind == "user":
            file.user(f"r{number}", "And now?")
        elif kind == "call":
            file.calls(f"r{number}", f"m{number}", tool_id)
        else:
            file.result(f"r{number}", tool_id)
    shown_keys = [message.origin for message in file.read().messages]
    assert sorted(shown_keys) == sorted(line["uuid"] for line in file.lines)


def test_a_result_that_was_written_before_its_call_hides_nothing() -> None:
    file = Transcript().user("u1", "go").result("r1", "t1").calls("a1", "m1", "t1")
    assert shown(file.read()) == [
        "user: go",
        "user: <tool_result t1>",
        "assistant: <tool_use t1>",
    ]


def test_a_record_that_stands_twice_is_one_record() -> None:
    file = Transcript().user("u1", "go").says("a1", "m1", "Done.")
    file.lines.append(dict(file.lines[-1]))
    assert shown(file.read()) == ["user: go", "assistant: Done."]


def test_what_is_known_about_the_session_comes_along() -> None:
    file = Transcript().user("u1", "go").says("a1", "m1", "Done.")
    file.side("ai-title", aiTitle="A guess").side("custom-title", customTitle="My name for it")
    file.side("ai-title", aiTitle="A later guess")
    history = file.read()
    assert history.format == "claude-code"
    assert history.title == "My name for it"
    assert (history.session_id, history.cwd, history.model) == ("s1", "/w", "claude-x")
    assert history.versions == ("2.1.49",)


def test_the_task_list_is_the_last_one_that_was_written() -> None:
    todos = [{"content": "a", "status": "completed"}, {"content": "b", "status": "odd"}]
    block = {"type": "tool_use", "id": "t1", "name": "TodoWrite", "input": {"todos": todos}}
    file = Transcript().user("u1", "go").piece("a1", "m1", block)
    assert file.read().todos == (Todo("a", "completed"), Todo("b", "pending"))


def test_tasks_made_and_changed_one_by_one_are_followed() -> None:
    def use(number: int, name: str, **given: str) -> dict[str, object]:
        return {"type": "tool_use", "id": f"t{number}", "name": name, "input": given}

    file = Transcript().user("u1", "go")
    file.piece("a1", "m1", use(1, "TaskCreate", subject="a", description="…"))
    file.piece("a2", "m1", use(2, "TaskCreate", subject="b", description="…"))
    file.piece("a3", "m2", use(3, "TaskUpdate", taskId="2", status="in_progress"))
    assert file.read().todos == (Todo("a", "pending"), Todo("b", "in_progress"))
