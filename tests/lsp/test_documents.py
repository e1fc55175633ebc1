"""Open documents: their text is the editor's text, whatever characters are in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from holdfast.lsp.documents import Document, split_lines
from holdfast.lsp.editor import _text_edit, line_edit

# Line ends of LSP, what only Python takes for such, and characters of one and two UTF-16 units.
texts = st.text(st.sampled_from("ab\n\r\f\v\x1c\x85\u2028é😀"), max_size=40)


def utf16_position(text: str, offset: int) -> types.Position:
    """Return the position of an offset, counted as the specification counts."""
    before = split_lines(text[:offset])
    ended = not before or before[-1].endswith(("\n", "\r"))
    line = len(before) if ended else len(before) - 1
    tail = "" if ended else before[-1]
    return types.Position(line=line, character=len(tail.encode("utf-16-le")) // 2)


def inside_a_line_end(text: str, offset: int) -> bool:
    return text[offset - 1 : offset + 1] == "\r\n"


@given(texts)
def test_lines_end_only_where_lsp_ends_them(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert all(not set("\r\n") & set(line.rstrip("\r\n")) for line in lines)


@given(texts, st.integers(0, 40), st.integers(0, 40), texts)
def test_an_incremental_change_does_what_the_editor_did(
    text: str, one: int, other: int, new: str
) -> None:
    start, end = sorted((one % (len(text) + 1), other % (len(text) + 1)))
    if inside_a_line_end(text, start) or inside_a_line_end(text, end):
        return
    document = Document("file:///a.txt", source=text, version=1)
    document.apply_change(
        types.TextDocumentContentChangePartial(
            range=types.Range(utf16_position(text, start), utf16_position(text, end)), text=new
        )
    )
    assert document.source == text[:start] + new + text[end:]


@given(texts, texts)
def test_a_line_edit_turns_one_text_into_the_other(old: str, new: str) -> None:
    edit = line_edit(old, new)
    lines = split_lines(old)
    assert "".join(lines[: edit.first]) + edit.text + "".join(lines[edit.last :]) == new


@given(texts, texts)
def test_an_edit_sent_to_the_editor_gives_the_new_text_there(old: str, new: str) -> None:
    document = Document("file:///a.txt", source=old, version=1)
    edit = _text_edit(document, new)
    document.apply_change(
        types.TextDocumentContentChangePartial(range=edit.range, text=edit.new_text)
    )
    assert document.source == new


def test_an_edit_leaves_the_lines_around_it_alone() -> None:
    edit = line_edit("a\nb\nc\nd\n", "a\nB\nc\nd\n")
    assert (edit.first, edit.last, edit.text) == (1, 2, "B\n")
