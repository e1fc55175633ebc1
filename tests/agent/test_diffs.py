"""What a call makes of its file: before it runs, after it ran, and when nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.stage import Room, room, step
from holdfast.agent import diffs
from holdfast.agent.api import ToolDiff
from holdfast.agent.errors import UnknownToolCall
from holdfast.journal.sqlite import SqliteStore
from holdfast.session.events import (
    BlockFinished,
    QuestionAsked,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    blocks_of,
)

ALLOW = [{"tool": "*", "pattern": "*", "answer": "allow"}]
EDIT = {"path": "a.py", "old_text": "one", "new_text": "two"}


def calling(name: str, **arguments: Any) -> list[dict[str, Any]]:
    return [
        step({"last_user_contains": "go"}, calls=[(name, arguments)]),
        step(say="Done."),
    ]


async def diff_of_the_call(session: Room) -> ToolDiff:
    found = await session.until(
        BlockFinished, lambda e: blocks_of((e.block,))[0].type == "tool_use"
    )
    tool_use_id = blocks_of((found.block,))[0].text_of("id")
    return await session.supervisor.tool_diff(session.session_id, tool_use_id)


def file(tmp_path: Path, content: bytes | None = b"one\r\nrest\n", name: str = "a.py") -> Path:
    (tmp_path / "workspace").mkdir(exist_ok=True)
    path = tmp_path / "workspace" / name
    if content is not None:
        path.write_bytes(content)
    return path


async def test_a_call_that_asks_is_shown_by_what_the_file_is_now(tmp_path: Path) -> None:
    path = file(tmp_path)
    async with room(tmp_path, *calling("edit", **EDIT)) as session:
        await session.prompt("go")
        await session.until(QuestionAsked)
        uri = path.as_uri()
        found = await diff_of_the_call(session)
        assert found == ToolDiff(uri, "one\r\nrest\n", "two\r\nrest\n", "proposed")
        path.write_text("another one")
        assert (await diff_of_the_call(session)).after == "another two"
        path.write_text("nothing like it")
        found = await diff_of_the_call(session)
        assert (found.before, found.after, found.state) == ("nothing like it", None, "proposed")
        assert found.reason is not None
        assert "does not occur" in found.reason
        path.unlink()
        assert (await diff_of_the_call(session)).before is None


@pytest.mark.parametrize(
    ("name", "arguments", "content", "before", "after"),
    [
        ("edit", EDIT, b"one\n", "one\n", "two\n"),
        ("write", {"path": "a.py", "content": "new"}, b"old", "old", "new"),
        ("write", {"path": "a.py", "content": "new"}, None, None, "new"),
        ("edit", EDIT, b"one \xff", "one �", "two �"),
    ],
)
async def test_an_applied_call_is_shown_by_what_it_found_whatever_came_later(
    tmp_path: Path,
    name: str,
    arguments: dict[str, Any],
    content: bytes | None,
    before: str | None,
    after: str,
) -> None:
    path = file(tmp_path, content)
    async with room(tmp_path, *calling(name, **arguments), permissions=ALLOW) as session:
        await session.prompt("go")
        await session.until(TurnEnded)
        path.write_text("changed by the person since")
        found = await diff_of_the_call(session)
        assert found == ToolDiff(path.as_uri(), before, after, "applied")
    async with room(tmp_path) as other:
        started = session.of(ToolStarted)[0].tool_use_id
        assert await other.supervisor.tool_diff(session.session_id, started) == found


@pytest.mark.parametrize(
    ("name", "arguments", "content", "reason"),
    [
        ("edit", EDIT, b"nothing like it", "failed"),
        ("edit", {**EDIT, "path": "../out.py"}, b"one", "does not change one file"),
        ("run", {"command": "true"}, b"one", "does not change one file"),
        ("write", {"path": "a.py", "content": "x"}, b"\0binary", "was not kept"),
        ("write", {"path": "a.py", "content": "x"}, b"x" * (diffs.KEPT_BYTES_MAX + 1), "not kept"),
    ],
)
async def test_what_is_not_known_is_not_shown_and_the_reason_is_said(
    tmp_path: Path, name: str, arguments: dict[str, Any], content: bytes, reason: str
) -> None:
    file(tmp_path, content)
    async with room(tmp_path, *calling(name, **arguments), permissions=ALLOW) as session:
        await session.prompt("go")
        await session.until(TurnEnded)
        found = await diff_of_the_call(session)
    assert (found.before, found.after, found.state) == (None, None, "unknown")
    assert found.reason is not None
    assert reason in found.reason


async def test_a_call_that_was_denied_is_said_not_to_have_run(tmp_path: Path) -> None:
    file(tmp_path)
    async with room(tmp_path, *calling("edit", **EDIT)) as session:
        await session.prompt("go")
        asked = await session.until(QuestionAsked)
        await session.supervisor.answer(asked.question_id, "deny")
        await session.until(ToolFinished)
        assert (await diff_of_the_call(session)).reason == "The call was not run."


async def test_a_call_that_nobody_made_is_unknown(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        with pytest.raises(UnknownToolCall):
            await session.supervisor.tool_diff(session.session_id, "toolu_none")


async def test_deleting_a_session_deletes_the_texts_that_were_kept_for_it(tmp_path: Path) -> None:
    file(tmp_path, b"never-to-be-kept-for-ever")
    arguments = {"path": "a.py", "content": "new"}
    async with room(tmp_path, *calling("write", **arguments), permissions=ALLOW) as session:
        await session.prompt("go")
        await session.until(TurnEnded)
        [started] = session.of(ToolStarted)
        assert started.before.content is not None
        await session.supervisor.delete(session.session_id)
    store = await SqliteStore.open(tmp_path / "data" / "holdfast.db")
    with pytest.raises(KeyError):
        await store.get_blob(started.before.content)
    await store.close()
