"""Items over real pipes: an editor that only applies changes shows what the server knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.simulator import Match, Respond, Simulator, Step, TextItem, ToolUseItem
from lsp.raw_editor import RawEditor, raw_editor
from session.dumb_client import DumbClient

ALL = 10_000
SHOWS_ALL_ITSELF = {"experimental": {"holdfast": {"questions": True, "status": True}}}


async def test_an_editor_that_only_applies_changes_shows_what_the_server_knows(
    tmp_path: Path,
) -> None:
    call = ToolUseItem(name="run", input={"command": "echo kelp"})
    script = [
        Step(match=Match(last_user_contains="run it"), respond=Respond(content=(call,))),
        Step(
            match=Match(last_result_contains="kelp"),
            respond=Respond(content=(TextItem(text="It said kelp. " * 50, chunk=7),)),
        ),
    ]
    (tmp_path / "work").mkdir()
    async with (
        Simulator(script) as simulator,
        raw_editor(tmp_path / "data", simulator.base_url) as editor,
    ):
        await editor.initialize(SHOWS_ALL_ITSELF)
        created = await editor.command(
            "holdfast.session.create", {"workspaceUri": (tmp_path / "work").as_uri()}
        )
        session = created["sessionId"]
        opened = await open_items(editor, session)
        assert (opened["items"], opened["more"]) == ([], False)
        client = DumbClient(opened["items"], opened["seq"])

        await send(editor, session, "run it", "p1")
        asking = await until_item(editor, client, "tool", "asking")
        await editor.command(
            "holdfast.permission.answer", {"questionId": asking["questionId"], "answer": "allow"}
        )
        await until_item(editor, client, "text", "done")
        assert [item["kind"] for item in client.items] == ["prompt", "tool", "text"]
        assert [item.get("state") for item in client.items] == ["sent", "finished", "done"]
        assert client.items == await page(editor, session)
        output = await editor.command(
            "holdfast.tool.output", {"sessionId": session, "toolUseId": asking["toolUseId"]}
        )
        assert "kelp" in output["text"]

        # Away for a turn, then attached again from where it was.
        await editor.command("holdfast.session.open", {"sessionId": session})
        await send(editor, session, "and again", "p2")
        await until_event(editor, "turnEnded")
        opened = await open_items(editor, session, sinceSeq=client.seq)
        assert "items" not in opened
        client.apply(opened["changes"])
        assert client.items == await page(editor, session)
        assert client.items[3]["promptId"] == "p2"
        assert simulator.refusals == []
        assert await editor.stop() == 0


async def open_items(editor: RawEditor, session: str, **more: Any) -> dict[str, Any]:
    argument = {"sessionId": session, "view": "items", **more}
    return dict(await editor.command("holdfast.session.open", argument))


async def send(editor: RawEditor, session: str, text: str, prompt_id: str) -> None:
    argument = {"sessionId": session, "text": text, "promptId": prompt_id}
    await editor.command("holdfast.turn.send", argument)


async def until_event(editor: RawEditor, kind: str) -> None:
    await editor.until(
        lambda m: m["method"] == "holdfast/event" and m["params"]["event"]["type"] == kind
    )


async def until_item(
    editor: RawEditor, client: DumbClient, kind: str, state: str
) -> dict[str, Any]:
    """Apply what comes until an item of this kind is in this state."""
    while True:
        message = await editor.until_method("holdfast/items")
        client.apply(message["params"]["changes"], message["params"]["seq"])
        for item in client.items:
            if (item["kind"], item.get("state")) == (kind, state):
                return item


async def page(editor: RawEditor, session: str) -> list[dict[str, Any]]:
    found = await editor.command("holdfast.session.items", {"sessionId": session, "limit": ALL})
    assert found["more"] is False
    return list(found["items"])
