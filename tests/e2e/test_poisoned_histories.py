"""Every class of poisoned histories (A01 to A35, goal V8) in the real server, by the real SDK,
against the strict API: the next prompt is answered, few requests are refused, no word is lost (P2,
P3, P4, P8, P12).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from corpora.poisoned import GOAL_V8, HISTORY, Poisoned
from differential.campaign import history
from differential.pictures import Json
from e2e.damage import LOST, Scene, import_and_go_on
from e2e.live_damage import GARDEN, MASKED, PLAYS, UNHEARD_OF, in_the_garden
from e2e.nursery import Nursery
from e2e.server import Server, start
from e2e.survived import SURVIVED
from holdfast.simulator import InjectedRule, Script, Simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED_MAX = {"grammar": 0, "budget": 0, "request": 0, "server": 2}
"""How many requests may be refused, by who can know that something is wrong."""
NO_ONE_CAN_SAY_BEFORE = frozenset({"compatible"})
"""Endpoints of which nobody knows what they are until they refuse something."""

FAULTY = 80
"""How many generated histories with one fault each are played (`differential.campaign`)."""

IMPORTED = {f"{case.id} {case.what}": case for case in (*HISTORY, *GOAL_V8)}


class Endpoints:
    """One server process and one API for each kind of endpoint, for all sessions of this module."""

    def __init__(self, stack: AsyncExitStack, nursery: Nursery, root: Path) -> None:
        self._stack = stack
        self._nursery = nursery
        self._root = root
        self._found: dict[str, tuple[Server, Simulator]] = {}

    async def scene(self, endpoint: str, root: Path) -> Scene:
        if endpoint not in self._found:
            simulator = await self._stack.enter_async_context(Simulator(endpoint=endpoint))
            server = await start(simulator, self._root / endpoint, self._nursery)
            assert server.client is not None
            self._stack.push_async_callback(server.client.stop)
            self._found[endpoint] = (server, simulator)
        server, simulator = self._found[endpoint]
        simulator.script(Script(rules=()))
        simulator.clear_log()
        return Scene(server, simulator, root)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoints(
    nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Endpoints]:
    async with AsyncExitStack() as stack:
        yield Endpoints(stack, nursery, tmp_path_factory.mktemp("servers"))


@pytest_asyncio.fixture(loop_scope="module")
async def scene(endpoints: Endpoints, tmp_path: Path) -> Scene:
    return await endpoints.scene("firstParty", tmp_path)


@pytest.mark.survives(
    "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13",
    "A14", "A15", "A16", "A17", "A18", "A19", "A20", "A21", "A22", "A23", "A24", "A25", "A26",
    "A27", "A28", "A31", "A32", "A33", "A35", "V8",
)  # fmt: skip
@pytest.mark.parametrize("name", IMPORTED)
async def test_P2_P3_a_poisoned_transcript_is_imported_and_goes_on(
    endpoints: Endpoints, tmp_path: Path, name: str
) -> None:
    case = IMPORTED[name]
    scene = await endpoints.scene(case.endpoint, tmp_path)
    survived = await import_and_go_on(scene, case)
    assert survived == SURVIVED[name]
    known = "server" if case.endpoint in NO_ONE_CAN_SAY_BEFORE else case.known_to
    assert survived.refused <= REFUSED_MAX[known]
    assert survived.kept != LOST


@pytest.mark.survives(
    "A08", "A09", "A17", "A20", "A21", "A22", "A23", "A26", "A29", "A30", "A34", "A35", "V8"
)
@pytest.mark.parametrize("name", PLAYS)
async def test_P2_P3_damage_to_a_session_that_is_alive_is_survived(scene: Scene, name: str) -> None:
    survived = await PLAYS[name](scene)
    assert survived == SURVIVED[name]
    assert survived.refused <= REFUSED_MAX["server"]
    assert survived.kept != LOST


@pytest.mark.parametrize("first", range(1, FAULTY, FAULTY // 4))
async def test_P2_P3_any_single_fault_in_a_transcript_is_survived(scene: Scene, first: int) -> None:
    for number in range(first, first + FAULTY // 4):
        name, request = history(number)
        messages = [
            {"content": [], **m, "role": "assistant" if m.get("role") == "assistant" else "user"}
            for m in request.messages
        ]
        scene.simulator.clear_log()
        session_id = await scene.imported(messages)
        await scene.answered(session_id, "Go on.")
        survived = await scene.survived(session_id, messages)
        await scene.answered(session_id, "And on.")
        where = f"history {number}: {name}"
        assert survived.refused == scene.refused() <= REFUSED_MAX["server"], where
        assert survived.kept != LOST, where


@pytest.mark.survives("A05", "V8")
@pytest.mark.parametrize("name", ["A05 two calls with one id", "V8 a repeated tool id"])
async def test_a_repeated_id_leaves_each_call_its_own_result(scene: Scene, name: str) -> None:
    await import_and_go_on(scene, IMPORTED[name])
    blocks = [b for m in scene.paid()[-1].body["messages"] for b in m["content"]]
    results = {b["tool_use_id"]: b["content"] for b in blocks if b["type"] == "tool_result"}
    uses = {b["input"]["path"]: b["id"] for b in blocks if b["type"] == "tool_use"}
    given = {
        block["content"]
        for message in IMPORTED[name].messages
        for block in message["content"]
        if block["type"] == "tool_result"
    }
    assert {results[uses["a.txt"]], results[uses["b.txt"]]} == given
    assert results[uses["a.txt"]] == min(given)


# --- taking a repair back -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "A01 a call without a result",
        "A05 two calls with one id",
        "A27 an input that is cut JSON",
        "V8 a block nobody knows",
    ],
)
async def test_P4_a_repair_that_is_undone_leaves_the_earlier_view_byte_for_byte(
    scene: Scene, name: str
) -> None:
    case: Poisoned = IMPORTED[name]
    session_id = await scene.imported(case.messages)

    async def seen() -> tuple[str, str]:
        command = scene.server.command
        messages = await command("session.messages", sessionId=session_id)
        exported = await command("session.export", sessionId=session_id, format="markdown")
        return json.dumps(messages), exported["content"]

    before = await seen()
    dry = await scene.server.command("session.repair", sessionId=session_id, dryRun=True)
    assert (dry["applied"], await seen()) == (False, before)
    done = await scene.server.command("session.repair", sessionId=session_id)
    assert done["repairs"] == dry["repairs"]
    repaired = await seen()
    assert repaired[0] != before[0]
    await scene.server.command("session.repair", sessionId=session_id, undo=done["repairId"])
    assert await seen() == before
    again = await scene.server.command("session.repair", sessionId=session_id)
    assert (again["repairs"], await seen()) == (done["repairs"], repaired)
    await scene.goes_on(session_id)


def without_marks(value: Any) -> Any:
    """Return messages as they bind: marks of the cache move from request to request."""
    match value:
        case dict():
            return {k: without_marks(v) for k, v in value.items() if k != "cache_control"}
        case list():
            return [without_marks(item) for item in value]
    return value


async def test_P4_what_the_ladder_has_changed_is_sent_as_before_once_it_is_undone(
    scene: Scene,
) -> None:
    session_id = await in_the_garden(scene)
    before: list[Json] = without_marks(scene.paid()[-1].body["messages"])
    scene.simulator.inject(InjectedRule(text="Oleander", message=UNHEARD_OF))
    await scene.answered(session_id, "And then?")
    mended: list[Json] = without_marks(scene.paid()[-1].body["messages"])
    assert mended[: len(before)] != before
    scene.simulator.withdraw()
    for event in reversed(scene.server.of(session_id, "historyRepaired")):
        undo = event["repairId"]
        await scene.server.command("session.repair", sessionId=session_id, undo=undo)
    await scene.answered(session_id, "And now?")
    after: list[Json] = without_marks(scene.paid()[-1].body["messages"])
    assert json.dumps(after[: len(before)]) == json.dumps(before)


async def test_P1_P4_a_repair_outlives_its_server_and_is_not_made_again(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with Simulator() as simulator:
        scene = Scene(await start(simulator, tmp_path, nursery), simulator, tmp_path)
        imported = await scene.imported(IMPORTED["A02 a call without a result, long ago"].messages)
        await scene.goes_on(imported)
        alive = await in_the_garden(scene)
        simulator.inject(InjectedRule(text="Oleander", message=UNHEARD_OF))
        await scene.goes_on(alive)
        repairs = {
            session_id: [e["repairId"] for e in scene.server.of(session_id, "historyRepaired")]
            for session_id in (imported, alive)
        }
        assert all(repairs.values())
        assert scene.server.client is not None
        await scene.server.client.kill()
        simulator.clear_log()
        after = Scene(await start(simulator, tmp_path, nursery), simulator, tmp_path)
        for session_id, made in repairs.items():
            opened = await after.server.open(session_id)
            assert opened["session"]["repairs"] == made
            await after.goes_on(session_id)
            again = [e["repairId"] for e in after.server.of(session_id, "historyRepaired")]
            assert again == made
        assert after.refused() == 0
        assert after.server.client is not None
        await after.server.client.stop()


# --- the API's own words ------------------------------------------------------------------------


@pytest.mark.survives("A26")
async def test_P12_the_words_of_a_refusal_that_was_mended_are_with_the_repair(scene: Scene) -> None:
    session_id = await in_the_garden(scene)
    scene.simulator.inject(InjectedRule(block_type="tool_result", message=MASKED))
    await scene.answered(session_id, "And then?")
    [failed] = [entry for entry in scene.paid() if entry.status == 400]
    [event] = scene.server.of(session_id, "requestFailed")
    assert (event["failure"]["message"], event["failure"]["status"]) == (MASKED, 400)
    assert event["failure"]["requestId"] == failed.request_id
    assert json.loads(event["failure"]["raw"])["error"]["message"] == MASKED
    shown = await scene.server.command("session.items", sessionId=session_id, limit=200)
    [told] = [item for item in shown["items"] if item.get("code") == "repaired"]
    assert MASKED in told["detail"]
    assert failed.request_id in told["detail"]


@pytest.mark.survives("A26")
async def test_P12_the_words_of_a_refusal_that_nothing_mends_are_shown_until_it_is_gone(
    scene: Scene,
) -> None:
    session_id = await in_the_garden(scene)
    scene.simulator.inject(InjectedRule(messages_over=0, message=MASKED))
    assert await scene.sent(session_id, "And then?") == "paused"
    assert scene.refused() <= 3, "one refusal costs at most two more"
    last = [entry for entry in scene.paid() if entry.status == 400][-1]
    state = await scene.server.command("session.state", sessionId=session_id)
    assert MASKED in state["message"]
    assert state["advice"]
    raw = state["banner"]["raw"]
    assert f"message: {MASKED}" in raw
    assert last.request_id in raw
    scene.simulator.withdraw()
    await scene.answered(session_id, GARDEN)
    exported = await scene.server.command("session.export", sessionId=session_id, format="jsonl")
    assert MASKED in exported["content"]
