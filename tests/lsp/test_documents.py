"""Open documents: their text is the editor's text, whatever characters are in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from holdfast.lsp.documents import HEAD_MAX, KEPT_MAX, Beginning, Document, TextNotKept, split_lines
from holdfast.lsp.editor import ConnectionEditor, _text_edit, line_edit
from holdfast.lsp.large import _head, opening
from lsp.scripted import RecordingLink

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


# -- large documents -------------------------------------------------------------------------------


def did_open(text: str, **more: object) -> bytes:
    document = {"uri": "file:///a.txt", "languageId": "text", "version": 3, "text": text}
    message = {"method": "textDocument/didOpen", "params": {"textDocument": document}, **more}
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


@given(st.text(max_size=60), st.integers(0, 400), st.booleans())
def test_a_text_cut_off_anywhere_gives_its_beginning(text: str, cut: int, ascii_only: bool) -> None:
    written = json.dumps(text, ensure_ascii=ascii_only).encode(errors="surrogatepass")[:-1]
    head = _head(written[: max(1, min(cut, len(written)))])
    assert head is not None
    assert text.startswith(head)


def test_the_message_that_opens_a_large_document_brings_only_its_beginning() -> None:
    text = 'a "quoted" é😀\n' * (HEAD_MAX // 4)
    message = opening(did_open(text), kept_max=1000)
    assert message is not None
    item = message["params"]["textDocument"]
    assert (item["uri"], item["languageId"], item["version"]) == ("file:///a.txt", "text", 3)
    assert text.startswith(item["text"])
    assert isinstance(item["text"], Beginning)
    assert item["text"].size >= len(text)


@pytest.mark.parametrize(
    "body",
    [
        did_open("small"),
        did_open("x" * 2000, method="textDocument/didClose"),
        did_open("x" * 2000, params=[]),
        b"x" * 2000,
        b"",
    ],
)
def test_every_other_message_is_left_to_the_decoder(body: bytes) -> None:
    assert opening(body, kept_max=1000) is None


def test_typing_into_a_large_document_costs_nothing_and_a_new_text_is_taken() -> None:
    document = Document("file:///a.txt", source="x" * (KEPT_MAX + 1), version=1)
    assert (document.is_kept, document.size) == (False, KEPT_MAX + 1)
    start = types.Position(0, 0)
    document.apply_change(
        types.TextDocumentContentChangePartial(range=types.Range(start, start), text="y")
    )
    with pytest.raises(TextNotKept):
        assert document.source
    document.apply_change(types.TextDocumentContentChangeWholeDocument(text="new"))
    assert (document.is_kept, document.source) == (True, "new")


def test_tools_take_a_large_document_for_one_that_is_not_open(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    document = Document(path.as_uri(), source="x" * (KEPT_MAX + 1), version=1)
    editor = ConnectionEditor(
        RecordingLink(), lambda: {document.uri: document}, types.ClientCapabilities()
    )
    assert editor.open_text(path.resolve()) is None
