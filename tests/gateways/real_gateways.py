"""Sessions behind real gateways: the real server and SDK, a gateway as it ships, the strict API.

`make gateways` plays them; the suite does not, for it has no gateways. What they taught is there:
`tests/model/test_gateway_answers.py` holds their words.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from corpora.poisoned import GOAL_V8, HISTORY
from e2e.compacting import WINDOW_TOKENS, Compacting
from e2e.damage import LOST, Scene, import_and_go_on
from e2e.live_damage import PLAYS, UNHEARD_OF, in_the_garden
from e2e.server import Server, start
from e2e.survived import SURVIVED
from e2e.test_failover import ASKS, THINKS_AND_CALLS, begun, sent_to
from e2e.test_poisoned_histories import REFUSED_MAX
from gateways.launching import HAIKU, KEY, OPUS
from gateways.rigging import (
    KEYED,
    Rig,
    doctor,
    failed,
    prompted,
    scripted,
    server_at,
    session_in,
)
from holdfast.simulator import InjectedRule, Script, Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

BOTH = ("LiteLLM", "claude-code-router")
IMPORTED = {
    f"{case.id} {case.what}": case for case in (*HISTORY, *GOAL_V8) if case.endpoint == "firstParty"
}
# What cannot be played as without a gateway: LiteLLM mends refused thinking by itself at every
# request, both decide by themselves about models, and a script that looks at the bytes of a request
# does not know LiteLLM's. What needs an honest count of tokens has tests of its own.
ELSEWHERE = {
    "LiteLLM": ("A09 thinking", "A29 a tool", "A34 a model"),
    "claude-code-router": ("A34 a model", "V8 a refusal nobody has seen"),
}
ALIVE = [
    (name, play) for name, left in ELSEWHERE.items() for play in PLAYS if not play.startswith(left)
]


# --- turns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
async def test_R72_a_turn_with_thinking_and_tools_goes_through_it_and_back_unharmed(
    rig: Rig, tmp_path: Path, name: str
) -> None:
    gateway, api = await rig.of(name)
    async with server_at(rig, gateway, tmp_path) as server:
        session_id = await session_in(server, tmp_path)
        api.script(Script.parse(THINKS_AND_CALLS))
        await server.ended(session_id, await prompted(server, session_id, "Look what is there."))
        await server.ended(session_id, await prompted(server, session_id, "And then?"))
        assert api.refusals == [], "the signature of the thinking is as it was made"
        kinds = [b["type"] for m in sent_to(api)[-1]["messages"] for b in m["content"]]
        assert kinds == ["text", "thinking", "text", "tool_use", "tool_result", "text", "text"]
        assert await server.last_answer(session_id) == "You said: And then?"
        assert len(server.of(session_id, "toolStarted")) == 1


async def test_a_translating_route_is_a_compatible_server(rig: Rig, tmp_path: Path) -> None:
    gateway, api = await rig.of("LiteLLM")
    there = {"name": "translated", "kind": "compatible", "baseUrl": gateway.base_url}
    options = {
        "endpoints": [{**there, "keyVariable": "OFFICE_KEY", "models": {OPUS: "translated"}}]
    }
    environment = {**KEYED, "OFFICE_KEY": KEY}
    async with server_at(rig, gateway, tmp_path, environment, **options) as server:
        session_id = await session_in(server, tmp_path)
        await server.command("model.select", sessionId=session_id, endpoint="translated")
        api.script(Script.parse(THINKS_AND_CALLS))
        await server.ended(session_id, await prompted(server, session_id, "Look what is there."))
        await server.ended(session_id, await prompted(server, session_id, "And then?"))
        assert api.refusals == []
        assert await server.last_answer(session_id) == "You said: And then?"
        messages = sent_to(api)[-1]["messages"]
        assert "dulse" in json.dumps(messages), "the output of the tool came through"
        calling = [b["type"] for b in messages[1]["content"]]
        assert calling == ["text", "tool_use"], "in the order in which they were opened"
        assert len(server.of(session_id, "toolStarted")) == 1


# --- compaction and repair ----------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
async def test_P5_a_compaction_by_the_api_goes_through_it_and_the_session_goes_on(
    rig: Rig, tmp_path: Path, name: str
) -> None:
    gateway, api = await rig.of(name)
    async with server_at(rig, gateway, tmp_path, contextWindowTokens=WINDOW_TOKENS) as server:
        scene = Compacting(server, api, tmp_path, nursery=rig.nursery)
        await scene.filled()
        compaction = await scene.compact()
        assert await scene.ended(compaction) == "onDemand"
        await scene.goes_on()


@pytest.mark.parametrize("case", IMPORTED)
@pytest.mark.parametrize("name", BOTH)
async def test_P2_P3_a_poisoned_transcript_goes_on_behind_it_as_it_does_without(
    rig: Rig, poisoned: Callable[[str], Awaitable[Server]], tmp_path: Path, name: str, case: str
) -> None:
    _, api = await rig.of(name)
    server = await poisoned(name)
    survived = await import_and_go_on(Scene(server, api, tmp_path), IMPORTED[case])
    assert survived.kept != LOST
    assert survived == SURVIVED[case]


@pytest.mark.parametrize(("name", "play"), ALIVE)
async def test_P2_P3_damage_to_a_session_that_is_alive_is_survived_behind_it(
    rig: Rig, poisoned: Callable[[str], Awaitable[Server]], tmp_path: Path, name: str, play: str
) -> None:
    _, api = await rig.of(name)
    server = await poisoned(name)
    survived = await PLAYS[play](Scene(server, api, tmp_path))
    assert survived.kept != LOST
    assert survived.refused <= REFUSED_MAX["server"]


async def test_P3_a_place_that_is_refused_as_text_too_is_withheld_though_no_count_tells(
    rig: Rig, poisoned: Callable[[str], Awaitable[Server]], tmp_path: Path
) -> None:
    """It counts tokens by itself: what the API refuses is counted all the same."""
    _, api = await rig.of("claude-code-router")
    scene = Scene(await poisoned("claude-code-router"), api, tmp_path)
    seen = {"content": [{"type": "text", "text": "I have seen it."}]}
    quietly = {"match": {"last_result_contains": "leander"}, "respond": seen}
    session_id = await in_the_garden(scene, quietly)
    api.inject(InjectedRule(text="Oleander", message=UNHEARD_OF, position="block"))
    await scene.goes_on(session_id)
    assert scene.refused() <= REFUSED_MAX["server"]


async def test_P3_what_no_count_can_find_pauses_the_turn_and_the_session_goes_on_without_it(
    rig: Rig, tmp_path: Path
) -> None:
    """It counts tokens by itself, so that nothing free tells which words the API refuses."""
    gateway, api = await rig.of("claude-code-router")
    async with server_at(rig, gateway, tmp_path) as server:
        session_id = await session_in(server, tmp_path)
        await server.ended(session_id, await prompted(server, session_id, "Here is an oleander."))
        api.inject(InjectedRule(text="oleander", message="A rule that no client has heard of"))
        turn_id = await prompted(server, session_id, "And now?")
        assert await server.settled(session_id, turn_id) == "paused"
        assert server.statuses[session_id]["reason"] == "invalidRequest"
        assert len([e for e in api.log if (e.status or 0) >= 400]) <= 3
        api.withdraw()
        await server.command("turn.resume", sessionId=session_id)
        await server.ended(session_id, turn_id)
        assert "oleander" in json.dumps(sent_to(api)[-1]["messages"]), "nothing was taken away"


# --- failures -----------------------------------------------------------------------------------


async def test_C07_a_wrong_key_is_said_and_a_right_one_continues_the_turn(
    rig: Rig, tmp_path: Path
) -> None:
    for name in BOTH:
        gateway, api = await rig.of(name)
        root = tmp_path / name
        root.mkdir()
        async with server_at(rig, gateway, root, {"ANTHROPIC_API_KEY": "sk-wrong"}) as server:
            session_id = await session_in(server, root)
            turn_id = await prompted(server, session_id, "Hello.")
            assert await server.settled(session_id, turn_id) == "paused"
            failure = await failed(server, session_id)
            assert (failure["kind"], failure["cause"]) == ("authentication", "keyRefused")
            assert sent_to(api) == [], "nothing came as far as the API"
            await server.command("credentials.set", apiKey=KEY)
            await server.ended(session_id, turn_id)


async def test_C07_a_wrong_key_of_the_gateway_is_not_put_down_to_the_persons(
    rig: Rig, tmp_path: Path
) -> None:
    for name in BOTH:
        gateway, api = await rig.of(name)
        root = tmp_path / name
        root.mkdir()
        scripted(api, {"fault": {"name": "unauthorized"}, "times": 1})
        async with server_at(rig, gateway, root) as server:
            session_id = await session_in(server, root)
            turn_id = await prompted(server, session_id, "Hello.")
            assert await server.settled(session_id, turn_id) == "paused"
            assert (await failed(server, session_id))["cause"] == "gatewayKeyRefused"
            await server.command("turn.resume", sessionId=session_id)
            await server.ended(session_id, turn_id)


async def test_A34_a_model_that_it_does_not_have_is_said_and_another_one_goes_on(
    rig: Rig, tmp_path: Path
) -> None:
    gateway, api = await rig.of("LiteLLM")
    async with server_at(rig, gateway, tmp_path, model="claude-of-nobody") as server:
        session_id = await session_in(server, tmp_path)
        turn_id = await prompted(server, session_id, "Hello.")
        assert await server.settled(session_id, turn_id) == "paused"
        assert (await failed(server, session_id))["cause"] == "modelGone"
        await server.command("model.select", sessionId=session_id, model=HAIKU)
        await server.settled(session_id, turn_id)
        if server.statuses[session_id]["phase"] == "paused":
            await server.command("turn.resume", sessionId=session_id)
        await server.ended(session_id, turn_id)
        assert sent_to(api)[-1]["model"] == HAIKU


@pytest.mark.parametrize("name", BOTH)
async def test_P3_what_is_behind_it_is_down_and_the_turn_goes_on_by_itself(
    rig: Rig, tmp_path: Path, name: str
) -> None:
    gateway, api = await rig.of(name)
    await api.stop()
    async with server_at(rig, gateway, tmp_path) as server:
        session_id = await session_in(server, tmp_path)
        turn_id = await prompted(server, session_id, "Hello.")
        failure = await failed(server, session_id)
        assert (failure["kind"], failure["cause"]) == ("server", "gatewayUpstream")
        await api.start()
        await server.ended(session_id, turn_id)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("rate-limit", ("rateLimited", "rateLimited")),
        ("overloaded", ("overloaded", "overloaded")),
        ("gateway-timeout-html", ("timeout", "gatewayTimeout")),
        ("reset", ("cut", "cutStream")),
        ("eof", ("cut", "cutStream")),
        ("error-event-overloaded", ("overloaded", "overloaded")),
    ],
)
@pytest.mark.parametrize("name", BOTH)
async def test_P3_trouble_behind_it_is_told_for_what_it_is_and_survived(
    rig: Rig, tmp_path: Path, name: str, fault: str, said: tuple[str, str]
) -> None:
    gateway, api = await rig.of(name)
    scripted(api, {"fault": {"name": fault}, "times": 2})
    async with server_at(rig, gateway, tmp_path) as server:
        session_id = await session_in(server, tmp_path)
        turn_id = await prompted(server, session_id, "Hello.")
        cut = said[0] == "cut"
        if not cut:
            failure = await failed(server, session_id)
            assert (failure["kind"], failure["cause"]) == said
        await server.ended(session_id, turn_id)
        if cut:
            assert server.of(session_id, "responseCut")


async def test_P3_its_own_time_limit_is_told_for_what_it_is(rig: Rig, tmp_path: Path) -> None:
    gateway, api = await rig.of("LiteLLM")
    scripted(api, {"fault": {"name": "headers-never", "hold_ms": 4_000}, "times": 1})
    async with server_at(rig, gateway, tmp_path, model="impatient") as server:
        session_id = await session_in(server, tmp_path)
        turn_id = await prompted(server, session_id, "Hello.")
        failure = await failed(server, session_id)
        assert (failure["kind"], failure["cause"]) == ("timeout", "gatewayTimeout")
        await server.ended(session_id, turn_id)


async def test_P12_a_model_that_it_puts_aside_is_no_rate_limit_and_is_asked_for_again(
    rig: Rig, tmp_path: Path
) -> None:
    gateway, api = await rig.of("LiteLLM by default")
    scripted(api, {"fault": {"name": "overloaded"}, "times": 3})
    async with server_at(rig, gateway, tmp_path) as server:
        session_id = await session_in(server, tmp_path)
        turn_id = await prompted(server, session_id, "Hello.")
        await server.ended(session_id, turn_id)
        causes = {e["failure"].get("cause") for e in server.of(session_id, "requestFailed")}
        assert causes <= {"overloaded", "gatewayCooldown"}
        assert len(sent_to(api)) > len(server.of(session_id, "requestStarted")), "it asks thrice"


# --- endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
async def test_P3_a_session_goes_on_behind_it_when_the_first_endpoint_is_down_in_mid_task(
    rig: Rig, tmp_path: Path, name: str
) -> None:
    gateway, api = await rig.of(name)
    there = {"name": "office", "kind": "gateway", "baseUrl": gateway.base_url}
    options = {
        "endpoints": [{**there, "keyVariable": "OFFICE_KEY", "models": {}}],
        "failover": ["default", "office"],
        "retry": {"maxDelaySeconds": 0.1, "budgetSeconds": 20, "failoverSeconds": 0.3},
        **ASKS,
    }
    async with Simulator() as first:
        server = await start(first, tmp_path, rig.nursery, {"OFFICE_KEY": KEY}, **options)
        try:
            session_id, turn_id, question = await begun(server, first, tmp_path)
            await first.stop()
            await server.command("permission.answer", questionId=question, answer="allow")
            await server.ended(session_id, turn_id)
            assert server.of(session_id, "endpointSelected")[0]["endpoint"] == "office"
            assert api.refusals == [], "the first request there is accepted"
            assert len(server.of(session_id, "toolStarted")) == 1, "P6: nothing runs twice"
        finally:
            assert server.client is not None
            await server.client.stop()


async def test_its_models_are_listed_with_their_sizes_or_it_is_said_that_it_has_no_list(
    rig: Rig, tmp_path: Path
) -> None:
    gateway, _ = await rig.of("LiteLLM")
    async with server_at(rig, gateway, tmp_path / "one") as server:
        listed = {m["model"]: m for m in (await server.command("model.list"))["models"]}
        assert {OPUS, HAIKU, "impatient"} <= set(listed)
        assert listed[HAIKU]["maxOutputTokens"] == 64_000
    gateway, _ = await rig.of("claude-code-router")
    async with server_at(rig, gateway, tmp_path / "two") as server:
        with pytest.raises(Exception, match="does not know the path"):
            await server.command("model.list")


@pytest.mark.parametrize("name", BOTH)
async def test_the_doctor_sees_through_it(rig: Rig, tmp_path: Path, name: str) -> None:
    gateway, api = await rig.of(name)
    healthy = await doctor(gateway, KEY)
    assert healthy["verdict"] == "healthy", healthy
    wrong = await doctor(gateway, "sk-wrong")
    assert wrong["verdict"] == "keyRefused", wrong
    await api.stop()
    try:
        down = await doctor(gateway, KEY)
        assert down["verdict"] == "gatewayUpstream", down
    finally:
        await api.start()
