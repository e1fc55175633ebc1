"""What is found in a history: by tools of many agents, cheaply, and never by guessing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import strategies as make
from holdfast.conversation import encoding
from holdfast.conversation.activity import Activity, activity
from holdfast.conversation.activity.reading import ends, read, result_of, type_of
from holdfast.conversation.history import Block, History, assistant, text, tool_result, user


def used(name: str, result: str | Block = "ok", **given_: Any) -> Activity:
    """Return the facts of a history with one call."""
    use = Block.of({"type": "tool_use", "id": "t1", "name": name, "input": given_})
    block = tool_result("t1", result) if isinstance(result, str) else result
    return activity((user("Go."), assistant(use), user(block)))


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("Edit", "file_path"), ("Write", "file_path"), ("MultiEdit", "file_path"),
        ("NotebookEdit", "notebook_path"), ("edit", "path"), ("write", "path"),
        ("write_file", "path"), ("str_replace_editor", "path"), ("edit", "filePath"),
        ("mcp__files__write_file", "path"), ("edit_file", "target_file"),
        ("replace", "absolute_path"),
    ],
)  # fmt: skip
def test_files_that_any_agents_tools_changed_are_found(name: str, argument: str) -> None:
    assert [use.path for use in used(name, **{argument: "/w/a.py"}).files_changed] == ["/w/a.py"]


def test_the_files_of_a_patch_are_found() -> None:
    patch = "*** Begin Patch\n*** Update File: a.go\n@@\n-x\n+y\n*** Add File: b/c.go\n+z\n"
    found = used("apply_patch", input=patch)
    assert [use.path for use in found.files_changed] == ["a.go", "b/c.go"]


@pytest.mark.parametrize(
    ("given_", "result", "lines"),
    [
        ({"offset": 10, "limit": 5}, "    10→x", ((10, 14),)),
        ({}, "     1→a\n     2→b\n     3→c", ((1, 3),)),
        ({}, "    41\tx\n    42\ty\n[lines 41-42 of 90]", ((41, 42),)),
        ({"view_range": [3, 8]}, "whatever", ((3, 8),)),
        ({"offset": "ten"}, "a picture", ()),
        ({"offset": -4, "limit": 2}, "x", ((1, 2),)),
    ],
)
def test_lines_are_told_where_the_call_or_the_result_tells_them(
    given_: dict[str, Any], result: str, lines: tuple[tuple[int, int], ...]
) -> None:
    assert used("Read", result, file_path="a.py", **given_).files_read[0].lines == lines


def test_a_change_that_failed_is_an_error_and_changed_nothing() -> None:
    failed = tool_result("t1", "<tool_use_error>File not read yet.</tool_use_error>", is_error=True)
    found = used("Edit", failed, file_path="a.py")
    assert found.files_changed == ()
    assert found.errors == (("Edit: a.py: File not read yet.", 1),)


def test_a_file_that_was_changed_is_not_listed_as_read_too() -> None:
    history: History = (user("Go."),)
    for n, name in enumerate(["Read", "Edit", "Read"]):
        use = Block.of(
            {"type": "tool_use", "id": f"t{n}", "name": name, "input": {"file_path": "a.py"}}
        )
        history += (assistant(use), user(tool_result(f"t{n}", "ok")))
    found = activity(history)
    assert found.files_read == ()
    assert [use.path for use in found.files_changed] == ["a.py"]


# --- commands --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "argument", "result", "ended"),
    [
        ("Bash", "command", "fine", "ok"),
        ("run", "command", "[exit code 0 after 0.10 s]\nfine", "ok"),
        ("exec_command", "cmd", "Chunk ID: 1\nProcess exited with code 0\nOutput:\nx", "ok"),
        ("exec_command", "cmd", "Chunk ID: 1\nProcess exited with code 2\nOutput:\nx", "failed"),
        ("bash", "command", "x\n<shellId: 1 completed with exit code 127>", "failed"),
        ("run_command", "command", '{"output":"x","metadata":{"exit_code":1}}', "failed"),
    ],
)
def test_commands_end_as_their_result_says_where_no_mark_says_it(
    name: str, argument: str, result: str, ended: str
) -> None:
    [run] = used(name, result, **{argument: "make"}).commands
    assert (run.line, run.ended) == ("make", ended)


def test_a_mark_that_says_no_error_outweighs_a_printed_exit_code() -> None:
    data = {"type": "tool_result", "tool_use_id": "t1", "content": "exit code 1", "is_error": False}
    assert used("Bash", Block.of(data), command="cat log").commands[0].ended == "ok"


def test_what_a_person_refused_is_called_so() -> None:
    said = "The user doesn't want to proceed with this tool use. STOP."
    found = used("Bash", tool_result("t1", said, is_error=True), command="rm -rf x")
    assert found.commands[0].ended == "refused"


def test_of_a_failure_the_line_that_names_it_is_told() -> None:
    output = "[exit code 2 after 1.00 s]\nbuilding\n" + "ok\n" * 9_000 + "E   error: no brace\nbye"
    found = used("run", tool_result("t1", output, is_error=True), command="make")
    assert found.commands[0].said == "E   error: no brace"


def test_a_command_that_ran_often_is_one_entry_with_its_last_outcome() -> None:
    history: History = (user("Go."),)
    for n, failed in enumerate([True, True, False]):
        use = Block.of(
            {"type": "tool_use", "id": f"t{n}", "name": "run", "input": {"command": "make"}}
        )
        history += (assistant(use), user(tool_result(f"t{n}", "x", is_error=failed)))
    [run] = activity(history).commands
    assert (run.ended, run.times, run.failures) == ("ok", 3, 2)


# --- what runs on, what was asked ------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "open_"),
    [
        (user("Still there?"), {"b12": "make serve"}),
        (user("<task-notification><task-id>b12</task-id><status>killed</status>"), {}),
        (user("<task-notification><task-id>b99</task-id><status>killed</status>"),
         {"b12": "make serve"}),
    ],
)  # fmt: skip
def test_what_was_started_in_the_background_is_open_until_its_end_is_told(
    ending: Any, open_: dict[str, str]
) -> None:
    use = Block.of(
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make serve"}}
    )
    said = "Command running in background with ID: b12. Output is being written to: x"
    found = activity((user("Serve it."), assistant(use), user(tool_result("t1", said)), ending))
    assert found.in_background == open_


def test_an_answer_to_a_question_is_a_decision() -> None:
    said = 'User has answered your questions: "Which database?"="SQLite"'
    [decision] = used("AskUserQuestion", said, questions=[{"question": "Which?"}]).decisions
    assert (decision.by, decision.sentence, decision.request) == ("user", said, 1)


def test_sentences_that_sound_like_decisions_are_picked_by_their_wording() -> None:
    history = (
        user("Mend it. " + "x" * 200 + ". The store must stay readable by the old release."),
        assistant("The log is long. I decided to keep the old format for one more release. Done."),
    )
    assert [(d.by, d.sentence) for d in activity(history).decisions] == [
        ("user", "The store must stay readable by the old release."),
        ("assistant", "I decided to keep the old format for one more release."),
    ]


# --- who said it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "<system-reminder>be nice</system-reminder>",
        "  <system-reminder>never closed",
        "<local-command-stdout>Compacted</local-command-stdout>",
        "<command-name>/clear</command-name>",
        "<task-notification>x</task-notification>",
        "<environment_context>\n<cwd>/w</cwd>",
        "[Request interrupted by user]",
        'Base directory for this skill: "/x"',
        '<file path="a.py">\nDelete everything.\n</file>',
        "This session is being continued from a previous conversation. Delete X.",
    ],
)
def test_what_programs_put_into_a_user_message_is_no_request(said: str) -> None:
    assert activity((user(said), assistant("Yes."))).requests == ()


def test_reminders_inside_a_prompt_are_left_out_and_the_rest_is_verbatim() -> None:
    said = "  Mend\n  the parser.\n<system-reminder>\nx\n</system-reminder>"
    assert activity((user(said),)).requests[0].text == "Mend\n  the parser."


def test_a_slash_command_is_a_request_as_it_was_typed_and_not_what_it_stands_for() -> None:
    typed = (
        "<command-message>quick</command-message>\n<command-name>/quick</command-name>\n"
        "<command-args>bring back the footer</command-args>"
    )
    [request] = activity((user(typed), user("Execute small tasks: ..."))).requests
    assert (request.text, request.expansion) == (
        "/quick bring back the footer", "Execute small tasks: ...",
    )  # fmt: skip


def test_a_summary_of_another_program_is_carried_over_as_one() -> None:
    said = "This session is being continued from a previous conversation. We built X."
    assert activity((user(said), assistant("Going on."))).summaries == (said,)


# --- reading cheaply means reading the same --------------------------------------------------


@given(make.any_history)
def test_the_first_bytes_of_a_block_tell_its_type_and_its_call(history: History) -> None:
    for message in history:
        for block in message.blocks:
            assert type_of(block) == block.type
            is_result = block.type == "tool_result"
            assert result_of(block) == (block.text_of("tool_use_id") if is_result else None)
            assert read(block).text == block.text_of("text")


@pytest.mark.parametrize("key_order", [0, 1, 2])
def test_the_order_of_keys_does_not_matter(key_order: int) -> None:
    keys = ["type", "tool_use_id", "content"]
    data = {"type": "tool_result", "tool_use_id": 't"1', "content": "x"}
    block = Block.of({key: data[key] for key in keys[key_order:] + keys[:key_order]})
    assert result_of(block) == 't"1'


@given(st.text(st.characters(exclude_categories=()), min_size=1), st.integers(3_000, 20_000))
def test_the_ends_of_a_long_output_are_its_ends_whatever_is_escaped(
    piece: str, length: int
) -> None:
    whole = encoding.without_lone_surrogates(piece * (length // len(piece) + 1))
    block = text(whole)
    raw = read(Block.of({"type": "tool_result", "tool_use_id": "t", "content": whole})).content
    found = ends(raw)
    assert whole.startswith(found.head)
    assert whole.endswith(found.tail)
    assert read(block).text == whole


def test_of_an_output_of_several_texts_the_first_and_the_last_are_looked_at() -> None:
    parts = [{"type": "text", "text": word * 9_000} for word in ("begin ", "middle ", "end ")]
    parts.insert(1, {"type": "image", "source": {"type": "base64", "data": "A" * 90}})
    found = ends(read(Block.of({"type": "tool_result", "content": parts})).content)
    assert found.head.startswith("begin ")
    assert found.tail.endswith("end ")
