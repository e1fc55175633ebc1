"""A broken session of Claude Code in an editor that knows nothing of Holdfast (P10).

The editor here only speaks the protocol: it shows diagnostics, applies the edits of code actions to
its text, saves, and runs the commands of lenses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from lsprotocol.converters import get_converter

from holdfast.lsp.documents import Document
from lsp.raw_editor import RawEditor, raw_editor
from transcripts import damages

_converter = get_converter()


class OpenFile:
    """A file in the editor: what is shown of it, and its text."""

    def __init__(self, editor: RawEditor, path: Path) -> None:
        self.editor = editor
        self.path = path
        self.uri = path.as_uri()
        self.document = Document(self.uri, source=path.read_text(), version=1)
        item = {"uri": self.uri, "languageId": "jsonl", "version": 1, "text": self.text}
        editor.notify("textDocument/didOpen", {"textDocument": item})

    @property
    def text(self) -> str:
        return self.document.source

    async def until_shown(self, *expected: tuple[str, int]) -> list[dict[str, Any]]:
        """Wait until exactly these are shown: rule and line, from 0; return the reports."""
        reports: list[dict[str, Any]] = []
        while not reports or short(reports[-1]["diagnostics"]) != sorted(expected):
            message = await self.editor.until_method("textDocument/publishDiagnostics")
            reports.append(message["params"])
        return reports

    async def ask(self, feature: str, **more: Any) -> Any:
        params = {"textDocument": {"uri": self.uri}, **more}
        return await self.editor.request(f"textDocument/{feature}", params)

    async def actions(self, diagnostic: dict[str, Any]) -> list[dict[str, Any]]:
        context = {"diagnostics": [diagnostic]}
        found = await self.ask("codeAction", range=diagnostic["range"], context=context)
        return list(found)

    def apply(self, edit: dict[str, Any]) -> None:
        """Apply an edit to the text, as an editor does: from the end to the beginning."""
        (made,) = edit["documentChanges"]
        assert made["textDocument"] == {"uri": self.uri, "version": self.document.version}
        place = lambda change: (  # noqa: E731
            change["range"]["start"]["line"],
            change["range"]["start"]["character"],
        )
        changes = [
            {"range": each["range"], "text": each["newText"]}
            for each in sorted(made["edits"], key=place, reverse=True)
        ]
        for change in changes:
            kind = types.TextDocumentContentChangePartial
            self.document.apply_change(_converter.structure(change, kind))
        version = (self.document.version or 0) + 1
        self.document.version = version
        changed = {"textDocument": {"uri": self.uri, "version": version}, "contentChanges": changes}
        self.editor.notify("textDocument/didChange", changed)

    def save(self) -> None:
        self.path.write_text(self.text)
        self.editor.notify("textDocument/didSave", {"textDocument": {"uri": self.uri}})


def short(diagnostics: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((each["code"], each["range"]["start"]["line"]) for each in diagnostics)


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncIterator[RawEditor]:
    async with raw_editor(tmp_path / "data") as editor:
        edits = {"workspace": {"workspaceEdit": {"documentChanges": True}}}
        await editor.initialize(edits)
        yield editor


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A session of which a result was overwritten with zeros by a crash."""
    lines = damages.lines_of(damages.story().bytes())
    lines[4] = b"\0" * 64 + b"\n"
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join(lines))
    return path


ALL = (("D05", 4), ("D01", 5), ("R40", 3))


async def test_a_broken_session_is_mended_by_its_quick_fixes_one_by_one(
    editor: RawEditor, broken: Path
) -> None:
    opened = OpenFile(editor, broken)
    reports = await opened.until_shown(*ALL)
    known: list[tuple[str, int]] = []
    for report in reports:
        now = short(report["diagnostics"])
        assert set(known) <= set(now), "what was shown stays shown"
        known = now
    assert len(reports) == 3, "lines, chain and grammar are told as they are known"
    shown = reports[-1]["diagnostics"]
    while shown:
        (fix, *_) = [each for each in await opened.actions(shown[0]) if each.get("isPreferred")]
        assert shown[0]["code"] in [each["code"] for each in fix["diagnostics"]]
        opened.apply(fix["edit"])
        left = len(shown)
        while len(shown) >= left:
            message = await editor.until_method("textDocument/publishDiagnostics")
            shown = message["params"]["diagnostics"]
    opened.save()
    report = await editor.command("holdfast.transcript.check", {"uri": opened.uri})
    assert (report["healthy"], report["findings"]) == (True, [])


async def test_repair_all_gives_what_the_command_line_writes(
    editor: RawEditor, broken: Path
) -> None:
    opened = OpenFile(editor, broken)
    (*_, report) = await opened.until_shown(*ALL)
    copied = await editor.command("holdfast.transcript.repair", {"uri": opened.uri})
    actions = await opened.actions(report["diagnostics"][0])
    (everything,) = [each for each in actions if each["kind"] == "source.fixAll.holdfast"]
    opened.apply(everything["edit"])
    await opened.until_shown()
    assert opened.text == Path(copied["output"]).read_text()


async def test_a_session_goes_on_in_holdfast_with_all_that_was_said(
    editor: RawEditor, broken: Path
) -> None:
    opened = OpenFile(editor, broken)
    await opened.until_shown(*ALL)
    lenses = {each["command"]["title"]: each["command"] for each in await opened.ask("codeLens")}
    command = lenses["Continue in Holdfast"]
    imported = await editor.command(command["command"], *command["arguments"])
    shown = await editor.command("holdfast.session.messages", imported)
    said = " ".join(message["text"] for message in shown["messages"])
    assert [word for word in damages.WORDS if word not in said] == ["dahlia"]


async def test_the_structure_of_a_session_can_be_walked(editor: RawEditor, tmp_path: Path) -> None:
    path = tmp_path / "whole.jsonl"
    path.write_bytes(damages.story().bytes())
    opened = OpenFile(editor, path)
    await opened.until_shown()
    lines = opened.text.splitlines()
    answer = {"line": 4, "character": lines[4].index("toolu_1") + 2}
    (call,) = await opened.ask("definition", position=answer)
    assert call["range"]["start"]["line"] == 3
    context = {"includeDeclaration": False}
    back = await opened.ask("references", position=call["range"]["start"], context=context)
    assert [each["range"]["start"]["line"] for each in back] == [4]
    symbols = await opened.ask("documentSymbol")
    assert len(symbols) == 3, "one for each prompt"
    hover = await opened.ask("hover", position={"line": 3, "character": 10})
    assert "Bash" in hover["contents"]["value"]
    assert await opened.ask("foldingRange")
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 8, "character": 0}}
    assert await opened.ask("inlayHint", range=whole)
