"""`glob` and `grep`: bounded, deterministic, and deaf to patterns that never end."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.tools.globs import Glob, TooManyAlternatives
from holdfast.tools.port import ToolContext
from tools.toolkit import call, fails, succeeds, text_of

EVIL = "(a+)+$"
EVIL_LINE = "a" * 60 + "!\n"


@pytest.fixture
def tree(workspace: Path) -> Path:
    for path in ["a.py", "src/b.py", "src/deep/c.ts", "src/deep/d.py", ".git/e.py",
                 "node_modules/f.py", ".venv/g.py"]:  # fmt: skip
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(f"first\nI am {path}\n")
    return workspace


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "a.py", True),
        ("*.py", "src/deep/a.py", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/x/y/a.py", True),
        ("**/x/**/a.py", "1/x/2/3/a.py", True),
        ("**/x/**/a.py", "1/y/2/3/a.py", False),
        ("src/**", "src/a/b", True),
        ("./src/a", "src/a", True),
        ("*.{py,ts}", "a.ts", True),
        ("{a,b}/{c,d}.txt", "b/c.txt", True),
        ("{a,{b,c}}", "c", True),
        ("{a}", "{a}", True),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("*.PY", "a.py", False),
    ],
)
def test_globs_mean_what_people_expect(pattern: str, path: str, matches: bool) -> None:
    assert Glob(pattern).matches(path) is matches


def match_slowly(pattern: list[str], path: list[str]) -> bool:
    """The definition, without cleverness."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(match_slowly(pattern[1:], path[cut:]) for cut in range(len(path) + 1))
    return (
        bool(path)
        and fnmatch.fnmatchcase(path[0], pattern[0])
        and match_slowly(pattern[1:], path[1:])
    )


@given(
    st.lists(st.sampled_from(["**", "*", "a", "b*", "?"]), min_size=2, max_size=6),
    st.lists(st.sampled_from(["a", "b", "bb", "ab"]), min_size=1, max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_matching_agrees_with_the_definition(pattern: list[str], path: list[str]) -> None:
    assert Glob("/".join(pattern)).matches("/".join(path)) is match_slowly(pattern, path)


def test_a_glob_made_to_backtrack_does_not() -> None:
    assert not Glob("*a" * 60 + "b").matches("a" * 250)
    assert not Glob("/".join(["**", "a"] * 30 + ["b"])).matches("/".join("a" * 200))


def test_braces_are_bounded() -> None:
    with pytest.raises(TooManyAlternatives):
        Glob("{a,b}" * 30)


async def test_glob_finds_sorted_paths_and_passes_over_ignored_folders(
    context: ToolContext, tree: Path
) -> None:
    assert await succeeds(context, "glob", pattern="*.py") == "a.py\nsrc/b.py\nsrc/deep/d.py"
    assert await succeeds(context, "glob", pattern="*.py", path="src/deep") == "src/deep/d.py"


async def test_glob_looks_into_ignored_folders_when_asked(context: ToolContext, tree: Path) -> None:
    text = await succeeds(context, "glob", pattern="*.py", include_ignored=True)
    assert {".git/e.py", "node_modules/f.py", ".venv/g.py"} < set(text.split("\n"))
    assert await succeeds(context, "glob", pattern="*", path="node_modules") == "node_modules/f.py"


async def test_glob_is_bounded_and_says_so(context: ToolContext, tree: Path) -> None:
    text = await succeeds(context, "glob", pattern="*.py", limit=2)
    assert text == "a.py\nsrc/b.py\n[more than 2 files match; narrow the pattern]"


async def test_glob_says_when_nothing_or_no_folder_is_there(
    context: ToolContext, tree: Path
) -> None:
    assert "No file matches" in await succeeds(context, "glob", pattern="*.rs")
    assert "not a folder" in await fails(context, "glob", pattern="*", path="a.py")
    assert "Invalid pattern" in await fails(context, "glob", pattern="{a,b}" * 30)


async def test_grep_names_path_line_and_text(context: ToolContext, tree: Path) -> None:
    text = await succeeds(context, "grep", pattern=r"^I am \S+\.py$")
    assert text == (
        "a.py:2: I am a.py\nsrc/b.py:2: I am src/b.py\nsrc/deep/d.py:2: I am src/deep/d.py\n"
        "[4 files searched]"
    )


async def test_grep_filters_by_glob_folder_and_case(context: ToolContext, tree: Path) -> None:
    text = await succeeds(
        context, "grep", pattern="i AM", path="src", glob="*.{ts,rs}", ignore_case=True
    )
    assert text == "src/deep/c.ts:2: I am src/deep/c.ts\n[1 files searched]"
    one_file = await succeeds(context, "grep", pattern="first", path="src/b.py")
    assert one_file == "src/b.py:1: first\n[1 files searched]"


async def test_a22_grep_passes_over_binary_and_huge_files(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.bin").write_bytes(b"needle\0")
    (workspace / "huge.txt").write_bytes(b"needle\n" * 700_000)
    (workspace / "line.txt").write_text("x" * 5000 + "needle" + "y" * 5000)
    output = await call(context, "grep", pattern="needle")
    text = text_of(output)
    assert output.summary == "needle: 1 lines"
    assert "1 binary files passed over" in text
    assert "1 huge files passed over" in text
    assert len(text) < 600


async def test_grep_is_bounded_and_says_so(context: ToolContext, workspace: Path) -> None:
    (workspace / "a.txt").write_text("x\n" * 50)
    text = await succeeds(context, "grep", pattern="x", limit=3)
    assert text == (
        "a.txt:1: x\na.txt:2: x\na.txt:3: x\n"
        "[1 files searched]\n[only the first 3 matching lines are shown]"
    )
    exactly = await succeeds(context, "grep", pattern="x", limit=50)
    assert "only the first" not in exactly


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<n", "a{2,1}", "\\", "(?<=a*)b"])
async def test_grep_explains_a_wrong_pattern(context: ToolContext, pattern: str) -> None:
    assert "Invalid regular expression" in await fails(context, "grep", pattern=pattern)


async def test_grep_explains_a_wrong_glob_and_a_missing_path(context: ToolContext) -> None:
    assert "Invalid `glob`" in await fails(context, "grep", pattern="x", glob="{a,b}" * 30)
    assert "neither a file nor a folder" in await fails(context, "grep", pattern="x", path="no")


async def test_p7_a_catastrophic_pattern_stops_at_its_limit_and_keeps_what_was_found(
    workspace: Path,
) -> None:
    context = ToolContext(workspace=workspace, run_timeout_s=0.7)
    (workspace / "a.txt").write_text("aaa\n")
    (workspace / "b.txt").write_text(EVIL_LINE)
    text = await succeeds(context, "grep", pattern=EVIL)
    assert text.startswith("a.txt:1: aaa\n[The search was stopped after ")
    assert "without nested repeats" in await fails(context, "grep", pattern=EVIL, path="b.txt")


async def test_p7_other_work_goes_on_while_a_pattern_runs_away(workspace: Path) -> None:
    context = ToolContext(workspace=workspace, run_timeout_s=15.0)
    (workspace / "b.txt").write_text(EVIL_LINE)
    runaway = asyncio.ensure_future(call(context, "grep", pattern=EVIL))
    for _ in range(20):
        await succeeds(context, "read", path="b.txt")
    assert not runaway.done()
    runaway.cancel()
    with pytest.raises(asyncio.CancelledError):
        await runaway


def test_a_runaway_search_ends_by_itself_when_its_server_is_gone(workspace: Path) -> None:
    (workspace / "b.txt").write_text(EVIL_LINE)
    request = {
        "pattern": EVIL, "glob": "", "ignore_case": False, "include_ignored": False, "limit": 1,
        "root": str(workspace), "cpu_s": 1,
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "holdfast.tools.grep_worker"],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode < 0


async def test_p11_a_module_in_the_workspace_is_not_imported(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "re.py").write_text("raise SystemExit('taken over')\n")
    (workspace / "holdfast").mkdir()
    (workspace / "holdfast" / "__init__.py").write_text("raise SystemExit('taken over')\n")
    text = await succeeds(context, "grep", pattern="taken", path="re.py")
    assert text.startswith("re.py:1: ")


async def test_a23_what_grep_finds_in_broken_text_is_clean(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.txt").write_bytes(b"needle \xff\x1b[0m \xed\xa0\x80\r\n")
    assert (await succeeds(context, "grep", pattern="needle")).startswith("a.txt:1: needle ")
