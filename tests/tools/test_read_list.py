"""`read` shows what the user sees; `list` shows one folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from holdfast.tools import files
from holdfast.tools.port import ToolContext
from media import pictures as make
from tools.toolkit import EditorWithDocuments, call, fails, succeeds, text_of


async def test_lines_are_numbered(context: ToolContext, workspace: Path) -> None:
    (workspace / "a.txt").write_text("one\ntwo\n")
    assert await succeeds(context, "read", path="a.txt") == "     1\tone\n     2\ttwo"


async def test_a_part_is_read_and_the_way_on_is_named(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("".join(f"line {n}\n" for n in range(1, 11)))
    text = await succeeds(context, "read", path="a.txt", offset=3, limit=2)
    assert text == "     3\tline 3\n     4\tline 4\n[lines 3-4 of 10; continue with offset 5]"


async def test_a22_a_long_file_is_read_to_its_end_in_pages(workspace: Path) -> None:
    context = ToolContext(workspace=workspace, output_bytes_max=1000)
    written = [f"line {n}" for n in range(1, 301)]
    (workspace / "a.txt").write_text("\n".join(written))
    seen: list[str] = []
    while len(seen) < 300:
        page = await succeeds(context, "read", path="a.txt", offset=len(seen) + 1)
        lines = [line.split("\t")[1] for line in page.split("\n") if "\t" in line]
        assert lines
        seen += lines
    assert seen == written


async def test_a22_one_endless_line_is_cut(context: ToolContext, workspace: Path) -> None:
    (workspace / "a.js").write_text("x" * 1_000_000)
    assert "[998000 more characters]" in await succeeds(context, "read", path="a.js")


async def test_an_offset_past_the_end_says_how_long_the_file_is(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("one\n")
    assert "a.txt has 1 lines" in await fails(context, "read", path="a.txt", offset=2)


async def test_an_empty_file_is_called_empty(context: ToolContext, workspace: Path) -> None:
    (workspace / "a.txt").touch()
    assert await succeeds(context, "read", path="a.txt") == "(the file is empty)"


async def test_the_editors_unsaved_text_wins(workspace: Path) -> None:
    path = workspace / "a.txt"
    path.write_text("saved\n")
    editor = EditorWithDocuments({path.resolve(): "unsaved\n"})
    context = ToolContext(workspace=workspace, editor=editor)
    text = await succeeds(context, "read", path="a.txt")
    assert "unsaved" in text
    assert "open in the editor" in text


async def test_line_ends_and_encodings_are_told(context: ToolContext, workspace: Path) -> None:
    (workspace / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    (workspace / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "[lines end in CRLF]" in await succeeds(context, "read", path="crlf.txt")
    assert "not valid UTF-8" in await succeeds(context, "read", path="latin.txt")


async def test_a22_a_binary_file_is_described_not_shown(
    context: ToolContext, workspace: Path
) -> None:
    data = bytes(range(256)) * 20
    (workspace / "a.bin").write_bytes(data)
    text = await succeeds(context, "read", path="a.bin")
    assert text == f"a.bin: binary file; 5120 bytes, sha256 {hashlib.sha256(data).hexdigest()}"


async def test_a22_a_huge_file_is_refused_unread(context: ToolContext, workspace: Path) -> None:
    with (workspace / "huge.log").open("wb") as file:
        file.truncate(files.FILE_BYTES_MAX + 1)
    assert "not read" in await fails(context, "read", path="huge.log")


async def test_a_pipe_or_a_folder_does_not_hang_reading(
    context: ToolContext, workspace: Path
) -> None:
    os.mkfifo(workspace / "pipe")
    (workspace / "folder").mkdir()
    assert "not a regular file" in await fails(context, "read", path="pipe")
    assert "is a directory" in await fails(context, "read", path="folder")
    assert "does not exist" in await fails(context, "read", path="nothing")


@pytest.mark.parametrize("form", make.TYPES)
@pytest.mark.survives("A19")
async def test_r59_an_image_is_handed_on_with_the_type_that_its_bytes_have(
    context: ToolContext, workspace: Path, form: str
) -> None:
    data, media_type = make.drawn(form, 3, 5), make.TYPES[form]
    (workspace / "misnamed.txt").write_bytes(data)
    output = await call(context, "read", path="misnamed.txt")
    assert text_of(output) == f"misnamed.txt: {media_type}, 3x5 pixels, {len(data)} bytes"
    assert output.content[1] == make.image(data, media_type)


async def test_other_pictures_and_pdfs_are_handed_on_too(
    context: ToolContext, workspace: Path
) -> None:
    for data, kind, media_type in (
        (make.drawn("BMP"), "image", "image/bmp"),
        (make.drawn("TIFF"), "image", "image/tiff"),
        (make.drawn("AVIF"), "image", "image/avif"),
        (make.pdf(), "document", "application/pdf"),
    ):
        (workspace / "file").write_bytes(data)
        output = await call(context, "read", path="file")
        assert text_of(output) == f"file: {media_type}, {len(data)} bytes"
        assert output.content[1].type == kind
        assert output.content[1].get("source") == make.source_of(data, media_type)


async def test_a_folder_is_listed_sorted(context: ToolContext, workspace: Path) -> None:
    (workspace / "b.txt").write_text("12345")
    (workspace / "a").mkdir()
    (workspace / "c").symlink_to("b.txt")
    assert await succeeds(context, "list") == "a/\nb.txt  (5 bytes)\nc -> b.txt"


async def test_an_empty_folder_is_called_empty(context: ToolContext) -> None:
    assert await succeeds(context, "list") == "(the folder is empty)"


async def test_a_large_folder_is_listed_in_part_and_says_so(
    context: ToolContext, workspace: Path
) -> None:
    for number in range(1010):
        (workspace / f"{number:04}").touch()
    text = await succeeds(context, "list")
    assert text.startswith("0000  ")
    assert text.endswith("[10 more entries not shown]")


async def test_what_is_no_folder_is_not_listed(context: ToolContext, workspace: Path) -> None:
    (workspace / "a.txt").touch()
    assert "not a directory" in await fails(context, "list", path="a.txt")


async def test_a23_names_that_are_no_text_are_listed_safely(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / os.fsdecode(b"\xff\x1b[31m\n.txt")).touch()
    assert len((await succeeds(context, "list")).split("\n")) == 1
