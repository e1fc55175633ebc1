"""The server of one connection, on a scripted supervisor and a connection in memory."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.api import OpenQuestion, SessionEntry
from holdfast.journal.store import StoreTooNew
from holdfast.settings import Settings
from lsp.scripted import SESSION
from lsp.served import Composer, ServedSupervisor, serving

CONFIGURATION = {"workspace": {"configuration": True}}


# -- settings ------------------------------------------------------------------------------------


async def test_the_supervisor_is_made_with_the_settings_of_initialize() -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize({}, {"holdfast": {"model": "claude-haiku-4-5"}})
        await wire.command("holdfast.session.list")
    assert [settings.model for settings in composer.settings] == ["claude-haiku-4-5"]
    assert composer.settings[0].data_dir == Path("/nowhere")


async def test_settings_are_pulled_from_editors_that_keep_them() -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize(CONFIGURATION, {"holdfast": {"model": "from-options"}})
        asked = await wire.until_method("workspace/configuration")
        assert asked["params"]["items"] == [{"section": "holdfast"}]
        wire.send(id=asked["id"], result=[{"model": "from-the-editor"}])
        await wire.command("holdfast.session.list")
    assert composer.settings[0].model == "from-the-editor"


@pytest.mark.parametrize("answer", [[None], [], None, [{}]])
async def test_an_editor_that_has_none_leaves_the_options_in_force(answer: Any) -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize(CONFIGURATION, {"holdfast": {"model": "from-options"}})
        asked = await wire.until_method("workspace/configuration")
        wire.send(id=asked["id"], result=answer)
        await wire.command("holdfast.session.list")
    assert composer.settings[0].model == "from-options"


async def test_changed_settings_are_handed_on_and_told_when_wrong() -> None:
    changed: list[Settings] = []
    async with serving(Composer(), reconfigure=changed.append) as wire:
        await wire.initialize({})
        await wire.command("holdfast.session.list")
        for section in ({"model": "new"}, {"model": "new"}, {"model": "newer", "no": 1}):
            params = {"settings": {"holdfast": section}}
            wire.send(method="workspace/didChangeConfiguration", params=params)
        told = await wire.until_method("window/showMessage")
    assert "holdfast.no" in told["params"]["message"]
    assert [settings.model for settings in changed] == ["new", "newer"], "the same again is no news"


async def test_the_editor_is_asked_to_say_when_settings_change() -> None:
    async with serving(Composer()) as wire:
        await wire.initialize(
            {"workspace": {"didChangeConfiguration": {"dynamicRegistration": True}}}
        )
        asked = await wire.until_method("client/registerCapability")
        wire.send(id=asked["id"], result=None)
        (registration,) = asked["params"]["registrations"]
        assert registration["method"] == "workspace/didChangeConfiguration"
        assert registration["registerOptions"] == {"section": "holdfast"}


# -- the store -----------------------------------------------------------------------------------


async def test_a_store_that_cannot_be_opened_is_told_once_and_tried_again() -> None:
    """P3: the server goes on, and says what helps."""
    too_new = [StoreTooNew("a.db", 9, 1) for _ in range(3)]
    composer = Composer(*too_new)
    async with serving(composer) as wire:
        await wire.initialize({})
        told = (await wire.until_method("window/showMessage"))["params"]
        assert "Update Holdfast" in told["message"]
        for _ in range(2):
            error = (await wire.command("holdfast.session.list"))["error"]
            assert error["data"]["kind"] == "StoreTooNew"
        assert (await wire.command("holdfast.session.list"))["result"] == {"sessions": []}
        assert [m for m in wire.messages if m.get("method") == "window/showMessage"] == []


async def test_an_unexpected_fault_is_a_sentence_for_the_client_and_a_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(Composer(ZeroDivisionError("secret"), ZeroDivisionError("secret"))) as wire:
        await wire.initialize({})
        await wire.until_method("window/showMessage")
        with caplog.at_level(logging.ERROR):
            error = (await wire.command("holdfast.session.list"))["error"]
    assert error["code"] == -32603
    assert "secret" not in json.dumps(error)
    assert "ZeroDivisionError: secret" in caplog.text


async def test_many_commands_at_once_make_one_supervisor() -> None:
    composer = Composer()
    async with serving(composer) as wire:
        await wire.initialize({})
        await asyncio.gather(*(wire.command("holdfast.session.list") for _ in range(5)))
    assert len(composer.settings) == 1


# -- sessions of a connection --------------------------------------------------------------------


def asking() -> ServedSupervisor:
    supervisor = ServedSupervisor(recovered=[SESSION])
    supervisor.be("asking")
    question = OpenQuestion("q", SESSION, "t", "run", "Run it?", "make", "make *")
    supervisor.view_extras = {"questions": (question,)}
    supervisor.open_questions = {"q"}
    return supervisor


async def test_what_a_dead_server_left_goes_on_and_its_questions_are_asked() -> None:
    """P9: without any command, in the folders of this window."""
    supervisor = asking()
    async with serving(Composer(supervisor=supervisor)) as wire:
        folders = [{"uri": "file:///home/me/project", "name": "project"}]
        await wire.initialize({}, workspaceFolders=folders)
        asked = await wire.until_method("window/showMessageRequest")
        wire.send(id=asked["id"], result={"title": "Deny"})
        while not supervisor.calls:
            await asyncio.sleep(0)
    assert supervisor.folders == ["file:///home/me/project"]
    assert supervisor.calls == [("answer", "q", "deny")]


async def test_a_client_with_a_view_of_questions_is_not_asked() -> None:
    supervisor = asking()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({"experimental": {"holdfast": {"questions": True}}})
        while not supervisor.followers:
            await asyncio.sleep(0)
        await wire.command("holdfast.session.list")
        assert [m for m in wire.messages if m.get("method")] == []


async def test_the_answer_to_open_comes_before_what_follows_it() -> None:
    supervisor = ServedSupervisor()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        supervisor.happen()
        opened = await wire.command("holdfast.session.open", sessionId=SESSION, sinceSeq=0)
        assert [item["seq"] for item in opened["result"]["events"]] == [1]
        assert opened["result"]["seq"] == 1
        assert wire.messages == []
        supervisor.happen()
        event = await wire.until_method("holdfast/event")
        assert event["params"]["seq"] == 2


async def test_the_answer_to_list_comes_before_the_changes_that_follow_it() -> None:
    supervisor = ServedSupervisor()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        assert await wire.command("holdfast.session.list", follow=True)
        entry = SessionEntry(SESSION, "A session", None, None, "idle", 1, 2, 3, archived=False)
        supervisor.entries_now = (entry,)
        supervisor.overview.touch()
        told = await wire.until_method("holdfast/sessions")
        assert told["params"]["removed"] == []
        assert [line["sessionId"] for line in told["params"]["sessions"]] == [SESSION]
        assert "status" not in told["params"]["sessions"][0]


async def test_a_long_past_is_not_answered_in_one_piece() -> None:
    """S9: the rest follows as notifications, and nothing is missing."""
    supervisor = ServedSupervisor()
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        for _ in range(2000):
            supervisor.happen()
        opened = await wire.command("holdfast.session.open", sessionId=SESSION, sinceSeq=0)
        seqs = [item["seq"] for item in opened["result"]["events"]]
        assert len(seqs) < 1100
        assert opened["result"]["seq"] == seqs[-1]
        await wire.until(lambda m: m.get("params", {}).get("seq") == 2000)
        events = [m["params"]["seq"] for m in wire.messages if m["method"] == "holdfast/event"]
        assert [*seqs, *events, 2000] == list(range(1, 2001))


async def test_the_end_of_a_connection_gives_back_its_editor_only() -> None:
    supervisor = ServedSupervisor(recovered=[SESSION])
    async with serving(Composer(supervisor=supervisor)) as wire:
        await wire.initialize({})
        await wire.command("holdfast.session.list")
        (editor,) = supervisor.editors.values()
        assert editor is not None
        await wire.request("shutdown")
        assert list(supervisor.editors.values()) == [None]
        assert supervisor.followers == 0
        assert not supervisor.closed, "sessions are not the connection's to end (P9)"
    assert supervisor.closed, "the end of a process of its own is"
