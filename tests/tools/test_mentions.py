"""Mentioned files become text of the prompt: bounded, inside the workspace, never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.tools.mentions import ALL_BYTES_MAX, MEDIA_MAX, MENTION_BYTES_MAX, read
from holdfast.tools.port import Mention, ToolContext
from media import pictures as make
from tools.toolkit import EditorWithDocuments


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "outside.txt").write_text("not yours")
    return ToolContext(workspace=work)


def put(context: ToolContext, name: str, data: bytes) -> Path:
    assert context.workspace is not None
    path = context.workspace / name
    path.write_bytes(data)
    return path


async def one(
    context: ToolContext, path: str, start: int | None = None, end: int | None = None
) -> str:
    found = await read([Mention(path, start, end)], context)
    [text] = found.texts
    return text


async def test_a_file_is_shown_whole_under_its_path(context: ToolContext) -> None:
    path = put(context, "a.py", b"one\r\ntwo\n")
    for spelling in ("a.py", "./a.py", str(path)):
        assert await one(context, spelling) == '<file path="a.py">\none\ntwo\n</file>'


async def test_lines_are_counted_from_one_and_both_ends_belong(context: ToolContext) -> None:
    put(context, "a.py", b"1\n2\n3\n4\n")
    assert await one(context, "a.py", 2, 3) == '<file path="a.py" lines="2-3">\n2\n3\n</file>'
    assert await one(context, "a.py", 3) == '<file path="a.py" lines="3-4">\n3\n4\n</file>'
    assert await one(context, "a.py", 4, 99) == '<file path="a.py" lines="4-4">\n4\n</file>'
    assert "It has 4 lines; there are none from 9 to 4" in await one(context, "a.py", 9)
    assert "[Not shown" in await one(context, "a.py", 3, 2)


async def test_what_the_editor_shows_goes_before_the_disk(context: ToolContext) -> None:
    path = put(context, "a.py", b"on disk")
    editor = EditorWithDocuments({path: "unsaved"})
    assert "unsaved" in await one(ToolContext(context.workspace, editor), "a.py")


@pytest.mark.parametrize("path", ["../outside.txt", "link", "/etc/hostname", "\0", "a" * 5_000, ""])
async def test_P11_nothing_outside_the_workspace_is_read(context: ToolContext, path: str) -> None:
    assert context.workspace is not None
    (context.workspace / "link").symlink_to(context.workspace.parent / "outside.txt")
    text = await one(context, path)
    assert "[Not shown: " in text
    assert "not yours" not in text


async def test_what_cannot_be_shown_is_said_with_its_reason(context: ToolContext) -> None:
    put(context, "tool.bin", b"\x7fELF\0\0")
    put(context, "image.png", make.drawn("PNG")[:60])
    put(context, "empty", b"")
    assert "binary file of 6 bytes" in await one(context, "tool.bin")
    assert "could not be decoded" in await one(context, "image.png")
    assert "does not exist" in await one(context, "missing.py")
    assert "is a directory" in await one(context, ".")
    assert "[The file is empty.]" in await one(context, "empty")
    assert "no workspace folder" in await one(ToolContext(None), "a.py")


@pytest.mark.survives("A17", "A18", "A19")
async def test_a_mentioned_picture_is_attached_fit_and_its_text_says_where(
    context: ToolContext,
) -> None:
    put(context, "a.png", make.drawn("BMP", 3000, 30))
    put(context, "b.py", b"code")
    put(context, "c.pdf", make.pdf(2))
    found = await read([Mention("a.png"), Mention("b.py"), Mention("c.pdf")], context)
    assert [block.type for block in found.media] == ["image", "document"]
    assert make.opened(found.media[0]).size == (2000, 20)
    assert found.texts == (
        '<file path="a.png">\n[A picture, attached above as file number 1 of those that are no '
        "text.]\n[About the image above: It was scaled from 3000x30 to 2000x20 pixels.]\n</file>",
        '<file path="b.py">\ncode\n</file>',
        '<file path="c.pdf">\n[A PDF, attached above as file number 2 of those that are no text.]'
        "\n</file>",
    )


async def test_the_pictures_of_a_prompt_are_bounded_and_those_left_out_are_named(
    context: ToolContext,
) -> None:
    put(context, "a.png", make.drawn("PNG"))
    found = await read([Mention("a.png")] * (MEDIA_MAX + 1), context)
    assert len(found.media) == MEDIA_MAX
    assert f"{MEDIA_MAX} pictures already" in found.texts[-1]


async def test_a_long_file_is_clipped_and_that_is_said(context: ToolContext) -> None:
    put(context, "long", "é".encode() * MENTION_BYTES_MAX)
    text = await one(context, "long")
    assert f"the first {MENTION_BYTES_MAX} of {2 * MENTION_BYTES_MAX} bytes" in text
    assert len(text.encode()) < MENTION_BYTES_MAX + 300


async def test_all_files_of_a_prompt_together_are_bounded(context: ToolContext) -> None:
    put(context, "long", b"x" * MENTION_BYTES_MAX)
    texts = (await read([Mention("long")] * 20, context)).texts
    assert len(texts) == 20
    assert sum(len(text) for text in texts) < ALL_BYTES_MAX + 20 * 300
    assert "bytes already" in texts[-1]


@given(data=st.binary(max_size=200), path=st.text(st.characters(codec=None), max_size=30))
@settings(max_examples=60, deadline=None)
async def test_any_file_and_any_path_give_a_text_of_valid_utf8(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, path: str
) -> None:
    work = tmp_path_factory.mktemp("work")
    (work / "a").write_bytes(data)
    found = await read([Mention("a"), Mention(path)], ToolContext(work))
    for text in found.texts:
        assert text.encode().startswith(b'<file path="')
        assert text.endswith("\n</file>")
