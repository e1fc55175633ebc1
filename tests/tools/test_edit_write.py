"""`edit` and `write`: exact, atomic, and in the editor when the file is open there."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.tools.edit import EditArguments, replace
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext
from tools.toolkit import EditorWithDocuments, SilentEditor, fails, succeeds, text_of, tool

few_letters = st.text(alphabet="ab\n\r é😀", max_size=30)


def arguments(old: str, new: str, *, every: bool = False) -> EditArguments:
    return EditArguments("x", old, new, every)


@given(few_letters, few_letters, few_letters, few_letters)
@settings(max_examples=200, deadline=None)
def test_a_unique_match_is_replaced_as_str_replace_would(
    before: str, old: str, after: str, new: str
) -> None:
    text = before + old + after
    if not old or old == new or text.count(old) != 1:
        return
    assert replace(text, arguments(old, new), "x").text == text.replace(old, new)


@given(few_letters, few_letters.filter(bool), few_letters, st.booleans())
@settings(max_examples=200, deadline=None)
def test_an_edit_either_replaces_or_says_why_not(
    text: str, old: str, new: str, every: bool
) -> None:
    try:
        done = replace(text, arguments(old, new, every=every), "x")
    except ToolFailure:
        assert old == new or text.count(old) != 1
    else:
        assert old != new
        assert done.count == len(done.lines)
        assert every or done.count == 1
        if old in text:
            assert done.text == text.replace(old, new)


async def test_an_edit_changes_the_file_and_names_the_line(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.py").write_text("one\ntwo\nthree\n")
    text = await succeeds(context, "edit", path="a.py", old_text="two", new_text="2")
    assert text == "Edited a.py: 1 place, line 2."
    assert (workspace / "a.py").read_text() == "one\n2\nthree\n"


async def test_an_ambiguous_edit_changes_nothing_and_names_the_lines(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.py").write_text("x\ny\nx\n")
    text = await fails(context, "edit", path="a.py", old_text="x", new_text="z")
    assert "occurs 2 times in a.py, lines 1, 3" in text
    assert (workspace / "a.py").read_text() == "x\ny\nx\n"
    await succeeds(context, "edit", path="a.py", old_text="x", new_text="z", replace_all=True)
    assert (workspace / "a.py").read_text() == "z\ny\nz\n"


@pytest.mark.parametrize(
    ("old", "hint"),
    [
        ("def f( ):\n  return 1", "read the file again"),
        ("def f():\n  return 1", "other white space is on line 2"),
        ("def f():\n    return 2", "first line is on line 2, but what follows differs"),
        ("def f()\n", "part of line 2"),
        ("nowhere", "read the file again"),
    ],
)
def test_a_miss_names_near_matches(old: str, hint: str) -> None:
    with pytest.raises(ToolFailure) as raised:
        replace("# top\ndef f():\n    return 1\n", arguments(old, ""), "a.py")
    assert hint.lower() in str(raised.value).lower()


async def test_every_other_byte_stays(context: ToolContext, workspace: Path) -> None:
    path = workspace / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\nthree\rcaf\xe9 \x0b\xe2\x80\xa8\n")
    await succeeds(context, "edit", path="a.txt", old_text="two", new_text="2")
    assert path.read_bytes() == b"\xef\xbb\xbfone\r\n2\nthree\rcaf\xe9 \x0b\xe2\x80\xa8\n"


async def test_an_edit_of_crlf_text_needs_no_knowledge_of_it(
    context: ToolContext, workspace: Path
) -> None:
    path = workspace / "a.txt"
    path.write_bytes(b"one\r\ntwo\r\nthree\r\n")
    await succeeds(context, "edit", path="a.txt", old_text="one\ntwo\n", new_text="1\n2\n")
    assert path.read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_encodings_are_not_mixed(context: ToolContext, workspace: Path) -> None:
    path = workspace / "a.txt"
    path.write_bytes(b"caf\xe9 one\n")
    assert "not UTF-8" in await fails(context, "edit", path="a.txt", old_text="one", new_text="é")
    assert path.read_bytes() == b"caf\xe9 one\n"


async def test_binary_files_folders_and_missing_files_are_not_edited(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.bin").write_bytes(b"a\0b")
    (workspace / "folder").mkdir()
    edit = {"old_text": "a", "new_text": "b"}
    assert "binary file" in await fails(context, "edit", path="a.bin", **edit)
    assert "is a directory" in await fails(context, "edit", path="folder", **edit)
    assert "does not exist" in await fails(context, "edit", path="none", **edit)
    assert (workspace / "a.bin").read_bytes() == b"a\0b"


async def test_an_edit_that_would_change_nothing_is_refused(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("a\n")
    text = await fails(context, "edit", path="a.txt", old_text="a", new_text="a")
    assert "nothing would change" in text


async def test_parallel_edits_of_one_file_all_take_effect(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("".join(f"<{n}>" for n in range(10)))
    await asyncio.gather(
        *(
            succeeds(context, "edit", path="a.txt", old_text=f"<{n}>", new_text=f"[{n}]")
            for n in range(10)
        )
    )
    assert (workspace / "a.txt").read_text() == "".join(f"[{n}]" for n in range(10))


@pytest.mark.parametrize(
    ("name", "call", "expected"),
    [
        ("edit", {"old_text": "unsaved", "new_text": "edited"}, "edited\n"),
        ("write", {"content": "whole\n"}, "whole\n"),
    ],
)
async def test_a_file_open_in_the_editor_is_changed_there(
    workspace: Path, name: str, call: dict[str, str], expected: str
) -> None:
    path = (workspace / "a.txt").resolve()
    path.write_text("saved\n")
    editor = EditorWithDocuments({path: "unsaved\n"})
    context = ToolContext(workspace=workspace, editor=editor)
    text = await succeeds(context, name, path="a.txt", **call)
    assert "in the editor (not saved to disk yet)" in text
    assert editor.documents[path] == expected
    assert editor.labels == [f"{name.capitalize()} a.txt"]
    assert path.read_text() == "saved\n"


@pytest.mark.parametrize(
    ("name", "call"),
    [("edit", {"old_text": "unsaved", "new_text": "x"}), ("write", {"content": "x"})],
)
async def test_a_refusal_of_the_editor_is_told(
    workspace: Path, name: str, call: dict[str, str]
) -> None:
    path = (workspace / "a.txt").resolve()
    editor = EditorWithDocuments({path: "unsaved\n"}, applies=False)
    context = ToolContext(workspace=workspace, editor=editor)
    assert "refused" in await fails(context, name, path="a.txt", **call)
    assert editor.documents == {path: "unsaved\n"}
    assert not path.exists()


async def test_p6_an_editor_that_never_answers_leaves_an_outcome_that_is_called_unknown(
    workspace: Path,
) -> None:
    path = (workspace / "a.txt").resolve()
    context = ToolContext(
        workspace=workspace, editor=SilentEditor({path: "unsaved\n"}), run_timeout_s=0.05
    )
    text = await fails(context, "write", path="a.txt", content="x")
    assert "unknown" in text


async def test_write_creates_folders_and_replaces_files(
    context: ToolContext, workspace: Path
) -> None:
    assert await succeeds(context, "write", path="a/b/c.txt", content="é") == (
        "Created a/b/c.txt: 2 bytes."
    )
    assert await succeeds(context, "write", path="a/b/c.txt", content="") == (
        "Replaced a/b/c.txt: 0 bytes."
    )
    assert (workspace / "a/b/c.txt").read_bytes() == b""
    assert [path.name for path in (workspace / "a/b").iterdir()] == ["c.txt"]


async def test_write_refuses_folders_pipes_and_files_in_the_way(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "folder").mkdir()
    (workspace / "file").write_text("x")
    assert "is a directory" in await fails(context, "write", path="folder", content="x")
    await fails(context, "write", path="file/below", content="x")
    assert (workspace / "file").read_text() == "x"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o664])
async def test_a_replaced_file_keeps_its_mode(
    context: ToolContext, workspace: Path, mode: int
) -> None:
    path = workspace / "script"
    path.write_text("one\n")
    path.chmod(mode)
    await succeeds(context, "edit", path="script", old_text="one", new_text="two")
    assert stat.S_IMODE(path.stat().st_mode) == mode


async def test_a23_lone_surrogates_of_the_model_do_not_reach_the_disk(
    context: ToolContext, workspace: Path
) -> None:
    await succeeds(context, "write", path="a.txt", content="a\ud83d")
    assert (workspace / "a.txt").read_text() == "a\N{REPLACEMENT CHARACTER}"


def test_questions_show_what_would_change(context: ToolContext, workspace: Path) -> None:
    (workspace / "old[1].txt").touch()
    edit = tool("edit").question(
        {"path": "./old[1].txt", "old_text": "a\nb", "new_text": "c"}, context
    )
    assert edit.title == "Edit `old[1].txt`?"
    assert edit.detail == "-a\n-b\n+c"
    assert edit.pattern == "old[[]1].txt"
    write = {"path": "new.txt", "content": "x"}
    assert tool("write").question(write, context).title == "Create `new.txt`?"
    replaced = tool("write").question({**write, "path": "old[1].txt"}, context)
    assert (replaced.title, replaced.detail) == ("Replace `old[1].txt`?", "+x")


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("a\n", "b\n", "-a\n+b"),
        ("a\n", "", "-a"),
        ("a\n\n", "a\n", "-a\n-\n+a"),
        ("\n", "b", "-\n+b"),
        ("a", "a\n", "-a\n+a\n+"),
        ("a\n", "a", "-a\n-\n+a"),
    ],
)
def test_a_question_shows_an_empty_line_only_where_one_goes_or_comes(
    context: ToolContext, old: str, new: str, detail: str
) -> None:
    arguments = {"path": "a.txt", "old_text": old, "new_text": new}
    assert tool("edit").question(arguments, context).detail == detail


async def test_todo_replaces_the_list(context: ToolContext) -> None:
    items = [{"text": "one", "status": "completed"}, {"text": "two", "status": "in_progress"}]
    output = await tool("todo").run({"items": items}, context)
    assert text_of(output) == "[x] one\n[>] two"
    assert [(todo.text, todo.status) for todo in output.todos or ()] == [
        ("one", "completed"),
        ("two", "in_progress"),
    ]
    assert output.summary == "1 of 2 done"
    cleared = await tool("todo").run({"items": []}, context)
    assert cleared.todos == ()


@pytest.mark.parametrize("item", [{"text": " ", "status": "pending"}, {"text": "a", "status": "x"}])
async def test_todo_takes_no_item_that_says_nothing(
    context: ToolContext, item: dict[str, str]
) -> None:
    output = await tool("todo").run({"items": [item]}, context)
    assert output.is_error
    assert output.todos is None
