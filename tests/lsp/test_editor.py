"""The editor port: what is open is read from the editor and changed there, or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from holdfast.lsp.documents import Documents
from holdfast.lsp.editor import ConnectionEditor
from lsp.scripted import RecordingLink

FULL = types.ClientCapabilities(
    workspace=types.WorkspaceClientCapabilities(
        apply_edit=True,
        workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
    )
)
PLAIN = types.ClientCapabilities(workspace=types.WorkspaceClientCapabilities(apply_edit=True))


class Stage:
    def __init__(self, path: Path, capabilities: types.ClientCapabilities = FULL) -> None:
        self.path = path.resolve()
        self.uri = path.as_uri()
        self.link = RecordingLink()
        self.documents = Documents(None)
        self.documents.put_text_document(
            types.TextDocumentItem(self.uri, "python", version=7, text="one\ntwo\n")
        )
        self.editor = ConnectionEditor(
            self.link, lambda: self.documents.text_documents, capabilities
        )

    async def replace(self, text: str, result: Any) -> tuple[bool, Any]:
        work = asyncio.create_task(self.editor.replace_text(self.path, text, "Edit by Holdfast"))
        await self.link.until(lambda: self.link.requests)
        sent = self.link.requests[0]
        if result is None:
            self.link.refuse(sent)
        else:
            sent.answer.set_result(result)
        return await work, sent.params


def test_unsaved_text_is_what_tools_read(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "a.py")
    assert stage.editor.open_text(stage.path) == "one\ntwo\n"
    assert stage.editor.open_text(stage.path.with_name("b.py")) is None


def test_a_document_is_found_behind_links_and_escapes(tmp_path: Path) -> None:
    (tmp_path / "real dir é").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real dir é")
    stage = Stage(tmp_path / "link" / "a b.py")
    assert stage.editor.open_text(tmp_path.resolve() / "real dir é" / "a b.py") is not None


def test_a_closed_document_is_not_open(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "a.py")
    assert stage.editor.open_text(stage.path) is not None
    stage.documents.remove_text_document(stage.uri)
    assert stage.editor.open_text(stage.path) is None


async def test_an_edit_names_the_version_and_only_the_lines_that_change(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "a.py")
    applied, params = await stage.replace("one\n2\n", types.ApplyWorkspaceEditResult(applied=True))
    assert applied
    assert params.label == "Edit by Holdfast"
    (change,) = params.edit.document_changes
    assert change.text_document.version == 7
    assert change.edits == [
        types.TextEdit(types.Range(types.Position(1, 0), types.Position(2, 0)), "2\n")
    ]


async def test_an_older_editor_gets_plain_changes(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "a.py", PLAIN)
    applied, params = await stage.replace("", types.ApplyWorkspaceEditResult(applied=True))
    assert applied
    assert params.edit.document_changes is None
    assert list(params.edit.changes) == [stage.uri]


@pytest.mark.parametrize("result", [types.ApplyWorkspaceEditResult(applied=False), None])
async def test_a_refused_edit_is_false(tmp_path: Path, result: Any) -> None:
    applied, _ = await Stage(tmp_path / "a.py").replace("new", result)
    assert applied is False


async def test_nothing_is_sent_when_nothing_can_be_changed(tmp_path: Path) -> None:
    unable = Stage(tmp_path / "a.py", types.ClientCapabilities())
    assert await unable.editor.replace_text(unable.path, "new", "x") is False
    same = Stage(tmp_path / "a.py")
    assert await same.editor.replace_text(same.path, "one\ntwo\n", "x") is True
    closed = Stage(tmp_path / "a.py")
    assert await closed.editor.replace_text(tmp_path / "b.py", "new", "x") is False
    assert unable.link.requests + same.link.requests + closed.link.requests == []
