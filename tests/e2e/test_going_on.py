"""What a session learns of its way to the API, and how it comes back, over real sockets.

A proxy that ends every answer at one age, an endpoint that answers again, a key for one endpoint:
through the real server, the real SDK and HTTP.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from e2e.server import running
from holdfast.session.lifetimes import SHORTEST_MS
from holdfast.simulator import Script, Simulator
from network.stage import Stage

AGE_S = SHORTEST_MS / 1000 + 0.3
"""How old an answer may become at the proxy: a little more than what is taken for a limit."""
PROMPTS_MAX = 50

PART = "It goes on and on. "
SLOW = {"content": [{"type": "text", "text": PART * 40, "chunk": 8}], "per_delta_ms": 100}
PIECE = {"content": [{"type": "text", "text": "The piece."}], "stop_reason": "max_tokens"}
END = {"content": [{"type": "text", "text": "The end."}]}
DIES_TWICE = Script.parse(
    [
        {"respond": SLOW, "times": 2},
        {"respond": PIECE, "times": 2},
        {"respond": END, "times": None},
    ]
)


def bodies(simulator: Simulator) -> list[dict[str, Any]]:
    return [e.body for e in simulator.log if e.path == "/v1/messages" and e.body is not None]


@pytest.mark.survives("C06")
async def test_C06_where_every_answer_is_cut_at_one_age_it_is_asked_for_in_pieces(
    tmp_path: Path,
) -> None:
    async with Stage(tmp_path) as stage, Simulator(DIES_TWICE) as upstream:
        place = await stage.set("cut at T", upstream.port, pace_s=AGE_S)
        async with running(place, tmp_path) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session = str(made["sessionId"])
            await server.open(session)
            sent = await server.command("turn.send", sessionId=session, text="Tell me.")
            await server.ended(session, sent["turnId"])

            failures = [e["failure"] for e in server.of(session, "requestFailed")]
            assert [f.get("cause") for f in failures] == ["cutStream", "durationCap"]
            [learned] = server.of(session, "durationCapLearned")
            assert abs(learned["afterMs"] - AGE_S * 1000) < 1_000
            asked = [body["max_tokens"] for body in bodies(upstream)]
            assert asked[0] == asked[1], "one death is weather"
            assert set(asked[2:]) == {learned["answerTokens"]}
            assert learned["answerTokens"] < asked[0], "then less is asked for"
            cuts = [e["cause"] for e in server.of(session, "responseCut")]
            assert cuts == ["failure", "failure", "piece", "piece"]
            assert upstream.refusals == [], "P2: each continuation is a valid request"
            shown = await server.command("session.items", sessionId=session)
            notices = [i for i in shown["items"] if i.get("code") == "durationCap"]
            assert len(notices) == 1, "P12: it is said, once"
            assert await server.last_answer(session) == "The end."


@pytest.mark.survives("V4")
async def test_P3_the_session_goes_back_by_itself_when_the_first_endpoint_answers_again(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        office = {"name": "office", "kind": "compatible", "baseUrl": other.base_url}
        options = {
            "endpoints": [office],
            "failover": ["office"],
            "retry": {"maxDelaySeconds": 0.1, "budgetSeconds": 20, "failoverSeconds": 0.3},
        }
        async with running(first, tmp_path, **options) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session = str(made["sessionId"])
            await server.open(session)

            async def prompt(words: str) -> None:
                sent = await server.command("turn.send", sessionId=session, text=words)
                await server.ended(session, sent["turnId"])

            await prompt("One.")
            await first.stop()
            await prompt("Two.")
            assert [e["reason"] for e in server.of(session, "endpointSelected")] == ["failover"]
            known = len(bodies(first))
            while not any(
                e["reason"] == "lookingBack" for e in server.of(session, "retryScheduled")
            ):
                await prompt("Is it back?")
                assert len(server.of(session, "turnStarted")) < PROMPTS_MAX, "nobody looks"
            assert len(server.of(session, "endpointSelected")) == 1, "it is still down"

            await first.start()
            while len(server.of(session, "endpointSelected")) == 1:
                await prompt("Is it back now?")
                assert len(server.of(session, "turnStarted")) < PROMPTS_MAX, "nobody goes back"
            moved = server.of(session, "endpointSelected")[-1]
            assert (moved["endpoint"], moved["reason"]) == ("", "returned")
            assert len(bodies(first)) == known + 1, "P7: the looks were free"
            assert first.refusals == []
            assert other.refusals == []


async def test_C07_a_key_for_one_endpoint_lets_the_turn_that_waits_there_go_on(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(api_key="the-offices-key") as other:
        office = {"name": "office", "kind": "gateway", "baseUrl": other.base_url}
        async with running(first, tmp_path, endpoints=[office]) as server:
            made = await server.command("session.create", workspaceUri=tmp_path.as_uri())
            session = str(made["sessionId"])
            await server.open(session)
            await server.command("model.select", sessionId=session, endpoint="office")
            sent = await server.command("turn.send", sessionId=session, text="Hello.")
            assert await server.settled(session, sent["turnId"]) == "paused"
            assert server.statuses[session]["reason"] == "authentication"

            given = await server.command(
                "credentials.set", apiKey="the-offices-key", endpoint="office"
            )
            assert given["source"] == "client"
            await server.ended(session, sent["turnId"])
            assert bodies(first) == []
