"""A transcript that is open in an editor: judged on the right lines, followed, and let go."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.lsp.documents import KEPT_MAX
from lsp.served import Composer, Wire, serving
from transcripts import damages

PULLS = {
    "textDocument": {"diagnostic": {}},
    "workspace": {"diagnostics": {"refreshSupport": True}},
}
PUBLISHED = "textDocument/publishDiagnostics"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving(Composer()) as made:
        yield made


def torn(lines: list[bytes]) -> bytes:
    return b"".join(lines) + b'{"type":"user","mess'


def uri(path: Path) -> dict[str, Any]:
    return {"textDocument": {"uri": path.as_uri()}}


def opens(wire: Wire, path: Path, text: str | None = None) -> None:
    document = {
        "uri": path.as_uri(),
        "languageId": "jsonl",
        "version": 1,
        "text": path.read_text() if text is None else text,
    }
    wire.send(method="textDocument/didOpen", params={"textDocument": document})


def types(wire: Wire, path: Path, version: int, text: str) -> None:
    changed = {"uri": path.as_uri(), "version": version}
    params = {"textDocument": changed, "contentChanges": [{"text": text}]}
    wire.send(method="textDocument/didChange", params=params)


def short(diagnostics: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((each["code"], each["range"]["start"]["line"]) for each in diagnostics)


async def until_shown(wire: Wire, expected: list[tuple[str, int]]) -> dict[str, Any]:
    """Wait for a report of exactly these findings: rule and line, from 0."""

    def is_it(message: dict[str, Any]) -> bool:
        shown = message.get("method") == PUBLISHED
        return shown and short(message["params"]["diagnostics"]) == expected

    return dict((await wire.until(is_it))["params"])


async def pulled(wire: Wire, path: Path, previous: str | None = None) -> dict[str, Any]:
    params = {**uri(path), "previousResultId": previous}
    return dict((await wire.request("textDocument/diagnostic", params))["result"])


def worker_ids() -> set[int]:
    """Return the processes that this one has started and that read transcripts."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        int(pid)
        for pid in children
        if b"transcripts.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


async def torn_one(wire: Wire, folder: Path, story: list[bytes]) -> Path:
    """Open a session whose last line is torn, and wait until that is shown."""
    path = folder / "a.jsonl"
    path.write_bytes(torn(story))
    await wire.initialize({})
    opens(wire, path)
    await until_shown(wire, [("D07", len(story))])
    return path


@pytest.fixture
def story() -> list[bytes]:
    return damages.lines_of(damages.story().bytes())


# -- diagnostics -----------------------------------------------------------------------------------


async def test_damage_is_shown_on_its_line_and_goes_with_what_was_typed(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join([*story[:4], b"\0" * 40 + b"\n", *story[5:]]))
    await wire.initialize({})
    opens(wire, path)
    shown = await until_shown(wire, [("D01", 5), ("D05", 4), ("R40", 3)])
    assert shown["version"] == 1
    types(wire, path, 2, b"".join(story).decode())
    assert (await until_shown(wire, []))["version"] == 2
    assert path.read_bytes().count(b"\0") == 40, "looking never writes"


async def test_a_session_that_is_being_written_is_followed(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(story))
    await wire.initialize({})
    opens(wire, path)
    await until_shown(wire, [])
    path.write_bytes(torn(story))
    await until_shown(wire, [("D07", len(story))])
    path.write_bytes(b"".join(story))
    await until_shown(wire, [])


async def test_what_was_saved_is_judged_as_it_was_saved(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = await torn_one(wire, tmp_path, story)
    types(wire, path, 2, b"".join(story).decode())
    path.write_bytes(b"".join(story))
    wire.send(method="textDocument/didSave", params=uri(path))
    await until_shown(wire, [])


async def test_a_text_that_was_never_saved_is_judged_instead_of_its_file(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(story))
    await wire.initialize({})
    opens(wire, path, torn(story[:5]).decode())
    await until_shown(wire, [("D07", 5)])


async def test_a_closed_document_leaves_no_diagnostics(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = await torn_one(wire, tmp_path, story)
    wire.send(method="textDocument/didClose", params=uri(path))
    await until_shown(wire, [])


async def test_a_client_that_pulls_is_sent_nothing_and_told_to_look_again(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(torn(story))
    await wire.initialize(PULLS)
    opens(wire, path)
    first = await pulled(wire, path)
    while short(first["items"]) != [("D07", len(story))]:
        first = await pulled(wire, path)
    assert (await pulled(wire, path, first["resultId"]))["kind"] == "unchanged"
    path.write_bytes(b"".join(story))
    asked = await wire.until_method("workspace/diagnostic/refresh")
    wire.send(id=asked["id"], result=None)
    second = await pulled(wire, path, first["resultId"])
    assert (second["kind"], second["items"]) == ("full", [])
    assert not [message for message in wire.messages if message.get("method") == PUBLISHED]


async def test_a_document_that_is_not_saved_anywhere_is_judged_too(
    wire: Wire, story: list[bytes]
) -> None:
    await wire.initialize({})
    document = {"uri": "untitled:Untitled-1", "languageId": "json", "version": 1}
    text = torn(story).decode()
    wire.send(method="textDocument/didOpen", params={"textDocument": {**document, "text": text}})
    await until_shown(wire, [("D07", len(story))])


async def test_another_document_is_answered_with_nothing_and_starts_no_process(
    wire: Wire, tmp_path: Path
) -> None:
    before = worker_ids()
    await wire.initialize(PULLS)
    for name, text in (("a.py", "def role(): ..."), ("b.json", '{"name": "left-pad"}')):
        path = tmp_path / name
        path.write_text(text)
        opens(wire, path)
        assert await pulled(wire, path) == {"kind": "full", "items": []}
        hover = {**uri(path), "position": {"line": 0, "character": 0}}
        assert (await wire.request("textDocument/hover", hover))["result"] is None
    assert worker_ids() == before


async def test_what_is_named_like_a_transcript_and_is_none_has_no_diagnostics(
    wire: Wire, tmp_path: Path
) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text('{"row": 1}\n{"row": 2}\n')
    await wire.initialize(PULLS)
    opens(wire, path)
    assert (await pulled(wire, path))["items"] == []
    assert (await wire.request("textDocument/codeLens", uri(path)))["result"] is None


async def test_other_agents_transcripts_are_judged_as_an_import_would_take_them(
    wire: Wire, tmp_path: Path
) -> None:
    path = tmp_path / "messages.json"
    path.write_text(json.dumps([{"role": "user", "content": "hello"}, {"role": "user"}]))
    await wire.initialize({})
    opens(wire, path)
    found = await wire.until_method(PUBLISHED)
    assert all(each["severity"] >= 2 for each in found["params"]["diagnostics"])


async def test_a_worker_killed_between_two_requests_is_not_noticed(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(torn(story))
    before = worker_ids()
    await wire.initialize({})
    opens(wire, path)
    await until_shown(wire, [("D07", len(story))])
    (worker,) = worker_ids() - before
    os.kill(worker, 9)
    symbols = await wire.request("textDocument/documentSymbol", uri(path))
    assert symbols["result"]
    assert worker_ids() - before - {worker}


# -- large documents -------------------------------------------------------------------------------


def padded(story: list[bytes]) -> bytes:
    """Return a session with more in it than is kept of a text."""
    filling = "é" * (KEPT_MAX // len(story) // 2 + 1)
    lines = [{**json.loads(line), "filling": filling + "x" * len(filling)} for line in story]
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


async def test_a_large_document_is_judged_as_saved_and_its_text_is_not_kept(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(padded(story) + b'{"torn')
    await wire.initialize({})
    opens(wire, path)
    await until_shown(wire, [("D07", len(story))])
    document = wire.server.documents.opened(path.as_uri())
    assert document is not None
    assert not document.is_kept
    start = {"line": 0, "character": 0}
    typed = {"range": {"start": start, "end": start}, "text": "x"}
    params = {
        "textDocument": {"uri": path.as_uri(), "version": 2},
        "contentChanges": [typed],
    }
    wire.send(method="textDocument/didChange", params=params)
    asked = {
        **uri(path),
        "range": {"start": start, "end": {"line": len(story), "character": 5}},
        "context": {"diagnostics": []},
    }
    actions = (await wire.request("textDocument/codeAction", asked))["result"]
    assert [each for each in actions if "edit" in each] == [], "it is not the text that was judged"


# -- commands --------------------------------------------------------------------------------------


async def test_a_clients_token_shows_a_commands_progress_from_its_begin_to_its_end(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(torn(story))
    await wire.initialize({})
    checked = await wire.command(
        "holdfast.transcript.check", uri=path.as_uri(), workDoneToken="mine"
    )
    assert [each["rule"] for each in checked["result"]["findings"]] == ["D07"]
    kinds = []
    while "end" not in kinds:
        said = (await wire.until_method("$/progress"))["params"]
        assert said["token"] == "mine"
        kinds.append(said["value"]["kind"])
    assert (kinds[0], kinds[-1]) == ("begin", "end")


@pytest.mark.parametrize("reports", [1, 2, 3])
async def test_a_command_that_is_stopped_says_whether_it_has_written(
    tmp_path: Path, story: list[bytes], reports: int
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(padded(story) * 3 + b'{"torn')
    before = set(tmp_path.iterdir())
    async with serving(Composer()) as wire:
        await wire.initialize({})
        arguments = {"uri": path.as_uri(), "workDoneToken": "mine"}
        params = {"command": "holdfast.transcript.repair", "arguments": [arguments]}
        wire.send(id="repair", method="workspace/executeCommand", params=params)
        for _ in range(reports):
            await wire.until_method("$/progress")
        wire.send(method="window/workDoneProgress/cancel", params={"token": "mine"})
        answer = await wire.until(lambda message: message.get("id") == "repair")
    made = {each.as_uri() for each in set(tmp_path.iterdir()) - before}
    if "error" in answer:
        assert (answer["error"]["code"], made) == (-32800, set())
    else:
        assert reports > 1, "nothing is so fast that it cannot be stopped at its beginning"
        assert made == {answer["result"]["outputUri"]}


async def test_copies_get_free_names_beside_the_file_and_nothing_is_written_over(
    wire: Wire, tmp_path: Path, story: list[bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(torn(story))
    await wire.initialize({})

    async def repaired(**more: Any) -> dict[str, Any]:
        return await wire.command("holdfast.transcript.repair", uri=path.as_uri(), **more)

    names = [(await repaired())["result"]["outputUri"] for _ in range(2)]
    assert names == [
        (tmp_path / name).as_uri() for name in ("a.repaired.jsonl", "a.repaired-2.jsonl")
    ]
    refused = (await repaired(outputUri=path.as_uri()))["error"]
    assert refused["data"]["kind"] == "OutputExists"
    assert (await repaired(inPlace=True, dryRun=True))["error"]["code"] == -32602
    assert path.read_bytes() == torn(story)
    in_place = (await repaired(inPlace=True))["result"]
    assert Path(in_place["backup"]).read_bytes() == torn(story)
    assert path.read_bytes() == b"".join(story)
