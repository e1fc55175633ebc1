"""`holdfast.doctor.*` through the real server: progress, a stop, a paused turn, a broken store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from holdfast.simulator import Fault, Match, Simulator, Step
from holdfast.simulator.script import Respond, TextItem
from lsp.raw_editor import RawEditor, Refused, raw_editor, result_of


async def test_the_doctor_answers_with_progress_on_the_clients_token(tmp_path: Path) -> None:
    async with Simulator() as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({"window": {"workDoneProgress": True}})
        found = await editor.command("holdfast.doctor.run", {"workDoneToken": "mine"})
        ended = await editor.until(_ends)
        assert ended["params"]["token"] == "mine"
        kinds = [told["value"]["kind"] for told in editor.taken("$/progress")]
        assert kinds[0] == "begin"
        assert found["verdict"] == "healthy", found
        assert found["report"].startswith("# Nothing wrong here")
        assert {check["name"] for check in found["checks"]} >= {"connect", "answer", "stream"}
        assert await editor.stop() == 0


async def test_a_diagnosis_of_a_paused_turn_is_shown_in_its_session(tmp_path: Path) -> None:
    broke = Step(match=Match(kind="messages"), times=None, fault=Fault(name="billing"))
    async with Simulator([broke]) as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({})
        session = await editor.command("holdfast.session.create", {})
        await editor.command("holdfast.turn.send", {**session, "text": "Hello"})
        await _phase(editor, session, "paused")
        found = await editor.command("holdfast.doctor.run", session)
        assert found["verdict"] == "billing", found
        shown = await editor.command("holdfast.session.items", session)
        notices = [item for item in shown["items"] if item.get("code") == "diagnosis"]
        assert [notice["level"] for notice in notices] == ["warning"]
        assert notices[0]["detail"].startswith("# What is wrong")
        state = await editor.command("holdfast.session.state", session)
        assert state["phase"] == "paused", "an examination changes nothing of the turn"
        bundle = (await editor.command("holdfast.doctor.bundle", session))["text"]
        assert "billing" in bundle
        assert await editor.stop() == 0


async def test_an_examination_can_be_stopped_by_its_bar(tmp_path: Path) -> None:
    silent = Step(
        match=Match(kind="models"), times=None, fault=Fault(name="headers-never", hold_ms=60_000)
    )
    async with Simulator([silent]) as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({"window": {"workDoneProgress": True}})
        arguments = {"command": "holdfast.doctor.run", "arguments": [{"workDoneToken": "mine"}]}
        _, answer = editor.begin_request("workspace/executeCommand", arguments)
        await editor.until_method("$/progress")
        editor.notify("window/workDoneProgress/cancel", {"token": "mine"})
        with pytest.raises(Refused) as refused:
            await result_of(answer)
        assert refused.value.data["kind"] == "Cancelled"
        assert await editor.stop() == 0


async def test_the_doctor_works_when_the_store_does_not(tmp_path: Path) -> None:
    (tmp_path / "holdfast.db").mkdir(parents=True)
    async with Simulator() as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({})
        found = await editor.command("holdfast.doctor.run", {"free": True})
        store = next(check for check in found["checks"] if check["name"] == "store")
        assert store["state"] == "bad"
        assert store["says"]
        assert found["verdict"] == "storeFailed", found
        assert await editor.stop() == 0


async def test_a_session_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    async with Simulator() as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({})
        with pytest.raises(Refused) as refused:
            await editor.command("holdfast.doctor.run", {"sessionId": "s_nothing"})
        assert "s_nothing" in json.dumps(refused.value.data) + refused.value.message
        assert await editor.stop() == 0


def _ends(message: dict[str, object]) -> bool:
    return message.get("method") == "$/progress" and '"end"' in json.dumps(message)


async def _phase(editor: RawEditor, session: dict[str, str], wanted: str) -> None:
    async with asyncio.timeout(40):
        while True:
            state = await editor.command("holdfast.session.state", session)
            if state["phase"] == wanted:
                return
            await editor.until(lambda _: True)


async def test_another_endpoint_is_examined_by_its_name(tmp_path: Path) -> None:
    async with (
        Simulator() as api,
        Simulator([Step(times=None, fault=Fault(name="billing"))]) as other,
        raw_editor(tmp_path, api.base_url) as editor,
    ):
        place = {"name": "other", "kind": "gateway", "baseUrl": other.base_url}
        await editor.initialize({}, endpoints=[place, {"name": "aws", "kind": "bedrock"}])
        verdicts = {
            name: (await editor.command("holdfast.doctor.run", {"endpoint": name}))["verdict"]
            for name in ("default", "other", "aws", "nobody")
        }
        assert verdicts == {
            "default": "healthy",
            "other": "billing",
            "aws": "noAddress",
            "nobody": "noAddress",
        }
        assert await editor.stop() == 0


async def test_who_has_sessions_open_is_said(tmp_path: Path) -> None:
    async with Simulator() as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({})
        await editor.command("holdfast.session.create", {})
        found = await editor.command("holdfast.doctor.run", {"free": True})
        store = next(check for check in found["checks"] if check["name"] == "store")
        assert store["state"] == "good"
        assert "1 session open in this server" in store["says"]
        assert [holder["standing"] for holder in store["facts"]["holders"]] == ["here"]
        assert await editor.stop() == 0


async def test_answers_of_a_session_that_died_at_one_age_are_a_verdict(tmp_path: Path) -> None:
    """What a proxy that cuts at T does, for a T that no examination can wait for."""
    words = Respond(content=(TextItem(text="kelp " * 200, chunk=10),), per_delta_ms=200)
    cut = Step(
        match=Match(kind="messages"),
        times=2,
        respond=words,
        fault=Fault(name="reset", after_events=20),
    )
    async with Simulator([Step(), cut]) as api, raw_editor(tmp_path, api.base_url) as editor:
        await editor.initialize({})
        session = await editor.command("holdfast.session.create", {})
        await editor.command("holdfast.session.open", session)
        for text in ("Hello", "And now slowly"):
            await editor.command("holdfast.turn.send", {**session, "text": text})
            await _phase(editor, session, "idle")
        found = await editor.command("holdfast.doctor.run", {**session, "free": True})
        assert found["verdict"] == "durationCap", found
        past = next(check for check in found["checks"] if check["name"] == "past")
        assert len(past["facts"]["endedAfterMs"]) == 2
        first = await editor.command("holdfast.doctor.run", {"free": True})
        assert first["verdict"] == "healthy", "what one session has met is its own"
        assert await editor.stop() == 0
