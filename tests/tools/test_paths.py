"""Paths stay in the workspace (P11)."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.tools.port import ToolContext
from tools.toolkit import fails, succeeds, tool

WAYS_OUT = [
    "../outside/secret.txt",
    "link",
    "folder-link/secret.txt",
    "in/../../outside/secret.txt",
]


@pytest.fixture
def links(workspace: Path) -> None:
    (workspace / "in").mkdir()
    (workspace / "link").symlink_to(workspace.parent / "outside" / "secret.txt")
    (workspace / "folder-link").symlink_to(workspace.parent / "outside")


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("path", [*WAYS_OUT, "<absolute>"])
@pytest.mark.parametrize("name", ["read", "list", "glob", "grep", "edit", "write"])
async def test_p11_no_tool_leaves_the_workspace(
    context: ToolContext, workspace: Path, name: str, path: str
) -> None:
    secret = workspace.parent / "outside" / "secret.txt"
    arguments = {
        "path": str(secret) if path == "<absolute>" else path,
        "pattern": "s", "old_text": "secret", "new_text": "x", "content": "x",
    }  # fmt: skip
    fields = tool(name).definition["input_schema"]["properties"]
    fitting = {key: value for key, value in arguments.items() if key in fields}
    assert "outside the workspace" in await fails(context, name, **fitting)
    assert secret.read_text() == "secret\n"


@pytest.mark.usefixtures("links")
async def test_p11_a_new_file_is_not_written_through_a_link_to_the_outside(
    context: ToolContext, workspace: Path
) -> None:
    await fails(context, "write", path="folder-link/new.txt", content="x")
    assert not (workspace.parent / "outside" / "new.txt").exists()


@pytest.mark.usefixtures("links")
async def test_p11_searches_do_not_follow_links(context: ToolContext) -> None:
    assert "No line matches" in await succeeds(context, "grep", pattern="secret")
    assert "No file matches" in await succeeds(context, "glob", pattern="**/secret.txt")


async def test_links_inside_the_workspace_work(context: ToolContext, workspace: Path) -> None:
    (workspace / "real.txt").write_text("old\n")
    (workspace / "alias.txt").symlink_to("real.txt")
    await succeeds(context, "write", path="alias.txt", content="new\n")
    assert (workspace / "alias.txt").is_symlink()
    assert (workspace / "real.txt").read_text() == "new\n"


async def test_a_workspace_that_is_a_link_itself_works(workspace: Path, tmp_path: Path) -> None:
    (workspace / "a.txt").write_text("hello\n")
    alias = tmp_path / "alias"
    alias.symlink_to(workspace)
    context = ToolContext(workspace=alias)
    assert "hello" in await succeeds(context, "read", path="a.txt")
    assert "hello" in await succeeds(context, "read", path=str(alias / "a.txt"))


@pytest.mark.parametrize("path", ["a\0b", "loop", "x" * 5000])
async def test_unusable_paths_are_refused_in_words(
    context: ToolContext, workspace: Path, path: str
) -> None:
    (workspace / "loop").symlink_to("loop")
    await fails(context, "read", path=path)
    await fails(context, "write", path=path, content="x")


@pytest.mark.parametrize("spelling", ["a/b.txt", "./a//b.txt", "x/../a/b.txt", "l/b.txt", "<abs>"])
def test_p11_every_spelling_of_a_path_is_one_target(
    context: ToolContext, workspace: Path, spelling: str
) -> None:
    (workspace / "a").mkdir()
    (workspace / "x").mkdir()
    (workspace / "l").symlink_to("a")
    path = spelling.replace("<abs>", str(workspace / "a" / "b.txt"))
    assert (
        tool("edit").target({"path": path, "old_text": "x", "new_text": ""}, context) == "a/b.txt"
    )


def test_a_target_outside_is_its_absolute_path(context: ToolContext, workspace: Path) -> None:
    target = tool("read").target({"path": "../outside/secret.txt"}, context)
    assert target == (workspace.parent / "outside" / "secret.txt").as_posix()


def test_a_target_without_a_context_is_the_tidy_spelling() -> None:
    assert tool("read").target({"path": "./src/../a.py"}) == "a.py"
    assert tool("list").target({}) == "."
    assert tool("run").target({"command": "make test"}) == "make test"
