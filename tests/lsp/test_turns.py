"""Turns over real pipes: what an editor is sent while they run, and what it can do about them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from holdfast.simulator import Fault, Match, Respond, Simulator, Step, TextItem, ToolUseItem
from lsp.raw_editor import RawEditor, raw_editor, server_environ

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAPABILITIES = {
    "window": {"workDoneProgress": True},
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}
CREATE = "window/workDoneProgress/create"
ASK = "window/showMessageRequest"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RawEditor]:
    async with raw_editor(tmp_path_factory.mktemp("data"), simulator.base_url) as editor:
        await editor.initialize(CAPABILITIES)
        yield editor
        assert await editor.stop() == 0


@pytest_asyncio.fixture(loop_scope="module")
async def editor(server: RawEditor, simulator: Simulator) -> AsyncIterator[RawEditor]:
    simulator.script([])
    yield server
    # Notifications of a session end with the test; nothing else may be left.
    left = [m for m in server.inbox if m.get("method") not in ("holdfast/event", "holdfast/status")]
    server.inbox.clear()
    assert left == []
    assert simulator.refusals == []


async def new_session(editor: RawEditor, **arguments: Any) -> str:
    created = await editor.command("holdfast.session.create", arguments)
    return str(created["sessionId"])


async def send(editor: RawEditor, session: str, text: str) -> None:
    await editor.command("holdfast.turn.send", {"sessionId": session, "text": text})


async def until_event(editor: RawEditor, kind: str) -> dict[str, Any]:
    message = await editor.until(
        lambda m: m.get("method") == "holdfast/event" and m["params"]["event"]["type"] == kind
    )
    return dict(message["params"]["event"])


async def until_status(editor: RawEditor, phase: str) -> dict[str, Any]:
    message = await editor.until(
        lambda m: m.get("method") == "holdfast/status" and m["params"]["phase"] == phase
    )
    return dict(message["params"])


async def open_session(editor: RawEditor, session: str, **more: Any) -> dict[str, Any]:
    return dict(await editor.command("holdfast.session.open", {"sessionId": session, **more}))


async def until_progress(editor: RawEditor, token: object, kind: str) -> dict[str, Any]:
    message = await editor.until(
        lambda m: (
            m.get("method") == "$/progress"
            and m["params"]["token"] == token
            and m["params"]["value"]["kind"] == kind
        )
    )
    return dict(message["params"]["value"])


# -- following -----------------------------------------------------------------------------------


async def test_every_event_comes_once_and_in_order(editor: RawEditor) -> None:
    session = await new_session(editor, title="A title")
    await send(editor, session, "hello")
    opened = await open_session(editor, session, sinceSeq=0)
    seqs = [item["seq"] for item in opened["events"]]
    await send(editor, session, "again")
    while True:
        message = await editor.until_method("holdfast/event")
        assert message["params"]["sessionId"] == session
        seqs.append(message["params"]["seq"])
        state = await editor.command("holdfast.session.state", {"sessionId": session})
        if (state["phase"], state["seq"]) == ("idle", seqs[-1]):
            break
    assert seqs == list(range(1, len(seqs) + 1))
    first = opened["events"][0]["event"]
    assert (first["type"], first["title"]) == ("sessionCreated", "A title")


async def test_opening_without_a_number_begins_at_the_present(editor: RawEditor) -> None:
    session = await new_session(editor)
    opened = await open_session(editor, session)
    assert (opened["events"], opened["seq"]) == ([], opened["session"]["seq"])
    beyond = await open_session(editor, session, sinceSeq=10_000)
    assert beyond["seq"] == opened["seq"], "a number from the future is the present"


async def test_an_editor_that_stops_reading_loses_nothing(
    simulator: Simulator, tmp_path: Path
) -> None:
    """S15: the journal goes on meanwhile, and the editor catches up.

    A client with views of its own, too: it is neither asked nor told of anything.
    """
    novel = Respond(content=(TextItem(text="0123456789abcdef" * 12_500, chunk=2_000),))
    simulator.script([Step(times=None, respond=novel)])
    views = {"experimental": {"holdfast": {"questions": True, "status": True}}}
    async with raw_editor(tmp_path, simulator.base_url) as editor:
        await editor.initialize(views, maxOutputTokens=64_000)
        session = await new_session(editor)
        await open_session(editor, session)
        for _ in range(6):  # more than all buffers on the way hold together
            await send(editor, session, "write a novel")
        editor.reading.clear()
        await until_at_rest(tmp_path, session)
        editor.reading.set()
        for _ in range(6):
            await until_event(editor, "turnEnded")
        events = [p for p in editor.taken("holdfast/event") if p["sessionId"] == session]
        text = "".join(p["event"]["text"] for p in events if p["event"]["type"] == "blockDelta")
        assert text == "0123456789abcdef" * 12_500 * 6
        assert await editor.stop() == 0


async def until_at_rest(data_dir: Path, session: str) -> None:
    """Look at the store from outside until the session is at rest."""
    environ = {**server_environ(None), "HOLDFAST_DATA_DIR": str(data_dir)}
    async with asyncio.timeout(20):
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "holdfast", "sessions", "list", "--json"),
                stdout=asyncio.subprocess.PIPE,
                env=environ,
            )
            said, _ = await process.communicate()
            (found,) = [s for s in json.loads(said) if session in s.values()]
            if found["phase"] == "idle":
                return


# -- compaction ----------------------------------------------------------------------------------


async def test_a_compaction_reports_on_the_clients_token(editor: RawEditor) -> None:
    session = await new_session(editor)
    await open_session(editor, session)
    for prompt in ("hello" + " word" * 2_000, "and again"):
        await send(editor, session, prompt)
        await until_event(editor, "turnEnded")
    started = await editor.command(
        "holdfast.session.compact", {"sessionId": session, "workDoneToken": "mine"}
    )
    begin = await until_progress(editor, "mine", "begin")
    assert begin["cancellable"] is True
    committed = await until_event(editor, "compactionCommitted")
    assert committed["compactionId"] == started["compactionId"]
    assert "Done" in (await until_progress(editor, "mine", "end"))["message"]
    assert {p["value"]["kind"] for p in editor.taken("$/progress")} <= {"report"}
    undone = await editor.command("holdfast.session.undoCompaction", {"sessionId": session})
    assert undone == started
    undone = await editor.command("holdfast.session.undoCompaction", {"sessionId": session})
    assert undone == {"compactionId": None}


async def test_a_token_ends_in_words_when_nothing_could_be_made_smaller(editor: RawEditor) -> None:
    session = await new_session(editor)
    await open_session(editor, session)
    await send(editor, session, "hello")
    await until_event(editor, "turnEnded")
    await editor.command(
        "holdfast.session.compact", {"sessionId": session, "workDoneToken": "mine"}
    )
    await until_progress(editor, "mine", "begin")
    ended = await until_event(editor, "compactionEnded")
    assert ended["outcome"] == "pointless"
    end = await until_progress(editor, "mine", "end")
    assert end["message"].startswith("Nothing could be made smaller. ")
    told = await editor.command("holdfast.session.compactions", {"sessionId": session})
    assert [(c["state"], c["outcome"]) for c in told["compactions"]] == [("ended", "pointless")]


@pytest.mark.parametrize("by", ["button", "command"])
async def test_a_compaction_is_cancelled_at_once(
    editor: RawEditor, simulator: Simulator, by: str
) -> None:
    """P5: whatever the model does."""
    session = await new_session(editor)
    await open_session(editor, session)
    await send(editor, session, "hello")
    await until_event(editor, "turnEnded")
    simulator.script([Step(times=None, fault=Fault(name="headers-never", hold_ms=60_000))])
    await editor.command("holdfast.session.compact", {"sessionId": session})
    create = await editor.until_method(CREATE)
    editor.answer(create, None)
    token = create["params"]["token"]
    await until_progress(editor, token, "begin")
    if by == "button":
        editor.notify("window/workDoneProgress/cancel", {"token": token})
    else:
        await editor.command("holdfast.session.cancelCompaction", {"sessionId": session})
    assert (await until_event(editor, "compactionEnded"))["outcome"] == "cancelled"
    assert "Cancelled" in (await until_progress(editor, token, "end"))["message"]
    assert {p["value"]["kind"] for p in editor.taken("$/progress")} <= {"report"}


# -- trouble -------------------------------------------------------------------------------------


async def test_a_waiting_turn_is_shown_and_its_button_stops_it(
    editor: RawEditor, simulator: Simulator
) -> None:
    """P7, V5: the wait names attempt, cause and next time, and can be stopped."""
    session = await new_session(editor)
    await open_session(editor, session)
    simulator.script([Step(times=None, fault=Fault(name="overloaded", retry_after_s=30))])
    await send(editor, session, "hello")
    status = await until_status(editor, "waiting")
    assert status["attempt"] >= 1
    assert status["retryAt"] > 0
    create = await editor.until_method(CREATE)
    editor.answer(create, None)
    token = create["params"]["token"]
    begin = await until_progress(editor, token, "begin")
    assert "next try in" in begin["message"]
    editor.notify("window/workDoneProgress/cancel", {"token": token})
    assert (await until_event(editor, "turnEnded"))["reason"] == "stopped"
    await until_progress(editor, token, "end")
    assert {p["value"]["kind"] for p in editor.taken("$/progress")} <= {"report"}


async def test_a_paused_turn_is_told_with_the_next_step(
    editor: RawEditor, simulator: Simulator
) -> None:
    """P3, P12: the API's own words, and what helps."""
    session = await new_session(editor)
    simulator.script([Step(fault=Fault(name="billing", message="Your credit is too low."))])
    await send(editor, session, "hello")
    message = (await editor.until_method("window/showMessage"))["params"]["message"]
    assert "Your credit is too low." in message
    assert "Plans & Billing" in message
    await open_session(editor, session)
    resumed = await editor.command("holdfast.turn.retry", {"sessionId": session})
    assert resumed["phase"] != "paused"
    await until_event(editor, "turnEnded")


# -- tools ---------------------------------------------------------------------------------------


def calls(name: str, **arguments: Any) -> list[Step]:
    call = ToolUseItem(name=name, input=arguments)
    done = Respond(content=(TextItem(text="Done."),))
    return [
        Step(match=Match(has_tool_results=False), respond=Respond(content=(call,))),
        Step(respond=done),
    ]


async def test_a_dismissed_question_stays_open_and_is_answered_by_command(
    editor: RawEditor, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.script(calls("write", path="a.txt", content="new\n"))
    session = await new_session(editor, workspaceUri=tmp_path.as_uri())
    await open_session(editor, session)
    await send(editor, session, "write it")
    editor.answer(await editor.until_method(ASK), None)
    state = await editor.command("holdfast.session.state", {"sessionId": session})
    (question,) = state["questions"]
    answer = {"questionId": question["questionId"], "answer": "allow"}
    assert await editor.command("holdfast.permission.answer", answer) == {}
    await until_event(editor, "turnEnded")
    assert (tmp_path / "a.txt").read_text() == "new\n"


async def test_a_question_answered_elsewhere_takes_the_dialog_back(
    editor: RawEditor, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.script(calls("write", path="a.txt", content="new\n"))
    session = await new_session(editor, workspaceUri=tmp_path.as_uri())
    await open_session(editor, session)
    await send(editor, session, "write it")
    dialog = await editor.until_method(ASK)
    asked = await until_event(editor, "questionAsked")
    answer = {"questionId": asked["questionId"], "answer": "deny"}
    await editor.command("holdfast.permission.answer", answer)
    cancelled = await editor.until_method("$/cancelRequest")
    assert cancelled["params"]["id"] == dialog["id"]
    editor.answer(dialog, {"title": "Allow"})
    await until_event(editor, "turnEnded")
    assert not (tmp_path / "a.txt").exists(), "the late answer changed nothing"


async def test_an_open_file_is_changed_in_the_editor(
    editor: RawEditor, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.script(calls("write", path="a.txt", content="one\nnew\n"))
    uri = (tmp_path / "a.txt").as_uri()
    document = {"uri": uri, "languageId": "text", "version": 3, "text": "one\ntwo\n"}
    editor.notify("textDocument/didOpen", {"textDocument": document})
    session = await new_session(editor, workspaceUri=tmp_path.as_uri())
    await open_session(editor, session)
    await send(editor, session, "write it")
    editor.answer(await editor.until_method(ASK), {"title": "Always allow"})
    apply = await editor.until_method("workspace/applyEdit")
    (change,) = apply["params"]["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 3}
    assert change["edits"][0]["newText"] == "new\n"
    editor.answer(apply, {"applied": True})
    await until_event(editor, "turnEnded")
    editor.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert not (tmp_path / "a.txt").exists(), "an open file is the editor's to save"


# -- the other commands --------------------------------------------------------------------------


async def test_a_session_is_managed_from_birth_to_deletion(
    editor: RawEditor, tmp_path: Path
) -> None:
    session = await new_session(editor)
    await open_session(editor, session)
    await send(editor, session, "remember kelp")
    await until_event(editor, "turnEnded")
    on = {"sessionId": session}

    assert await editor.command("holdfast.session.rename", {**on, "title": "Kelp"}) == {}
    assert await editor.command("holdfast.session.archive", on) == {}
    listed = (await editor.command("holdfast.session.list"))["sessions"]
    (mine,) = [s for s in listed if s["sessionId"] == session]
    assert (mine["title"], mine["archived"]) == ("Kelp", True)

    page = await editor.command("holdfast.session.messages", {**on, "limit": 1})
    assert [m["role"] for m in page["messages"]] == ["assistant"]
    older = {**on, "before": page["messages"][0]["origin"]}
    page = await editor.command("holdfast.session.messages", older)
    assert [m["text"] for m in page["messages"]] == ["remember kelp"]

    checked = await editor.command("holdfast.session.repair", {**on, "dryRun": True})
    assert checked.pop("report").startswith("# Repair of “")
    assert checked.pop("applied") is False
    assert checked == {"findings": [], "repairs": [], "changes": [], "inForce": []}

    exported = await editor.command("holdfast.session.export", {**on, "format": "claude-code"})
    (tmp_path / "old.jsonl").write_text(exported["content"], "utf-8")
    uri = (tmp_path / "old.jsonl").as_uri()
    imported = await editor.command("holdfast.session.import", {"uri": uri, "title": "Old"})
    found = await editor.command("holdfast.session.messages", imported)
    assert "remember kelp" in [m["text"] for m in found["messages"]]

    forked = await editor.command("holdfast.session.fork", on)
    found = await editor.command("holdfast.session.messages", forked)
    prompt = (await open_session(editor, session, sinceSeq=0))["events"]
    prompt_id = next(
        e["event"]["promptId"] for e in prompt if e["event"]["type"] == "promptAccepted"
    )
    assert await editor.command("holdfast.session.rewind", {**on, "promptId": prompt_id}) == {}
    assert (await editor.command("holdfast.session.messages", on))["messages"] == []
    assert found["messages"][0]["text"] == "remember kelp"

    models = (await editor.command("holdfast.model.list"))["models"]
    select = {**on, "model": models[0]["model"]}
    assert await editor.command("holdfast.model.select", select) == {}
    assert await editor.command("holdfast.turn.resume", on) == {"phase": "idle"}
    assert await editor.command("holdfast.turn.stop", on) == {"phase": "idle"}
    assert await editor.command("holdfast.session.delete", on) == {}
    listed = (await editor.command("holdfast.session.list"))["sessions"]
    assert session not in [s["sessionId"] for s in listed]


async def test_the_same_prompt_twice_is_one_prompt(editor: RawEditor) -> None:
    session = await new_session(editor)
    argument = {"sessionId": session, "content": [{"type": "text", "text": "hi"}], "promptId": "p"}
    first = await editor.command("holdfast.turn.send", argument)
    again = await editor.command("holdfast.turn.send", argument)
    assert (again["turnId"], again["promptId"]) == (first["turnId"], "p")
