"""Weather that changes within one turn: one fault after another, through the real server (C03, P3).

A VPN that comes and goes, a network that wants a sign-in in the morning, a gateway that is started
anew in the middle of an answer. Nobody presses anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.nursery import Nursery
from e2e.weather import SCALED, WORDS, Play, Scene
from holdfast.session.causes import Cause
from holdfast.simulator import Simulator
from network.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Journey:
    """A fault that is there at first; what it becomes when a request has failed (`failed`) or an
    answer has begun to arrive (`answers`); and what is said on the way, in order.
    """

    first: str
    then: tuple[tuple[str, str], ...]
    told: tuple[Cause, ...]


JOURNEYS: Mapping[str, Journey] = {
    "a VPN that comes and goes": Journey(
        "black hole",
        (
            ("failed", "healthy"),
            ("answers", "black hole"),
            ("failed", "healthy"),
            ("answers", "black hole"),
            ("failed", "healthy"),
        ),
        (Cause.CONNECT_TIMEOUT, Cause.SILENT_STREAM),
    ),
    "a network that wants a sign-in": Journey(
        "name server silent",
        (("failed", "sign-in redirect"), ("failed", "sign-in page"), ("failed", "healthy")),
        (Cause.NAME_SERVER_SILENT, Cause.REDIRECTED, Cause.SIGN_IN_PAGE),
    ),
    "a gateway that is started anew": Journey(
        "healthy",
        (("answers", "refused"), ("failed", "html 502"), ("failed", "healthy")),
        (Cause.CUT_STREAM, Cause.GATEWAY_PAGE),
    ),
}


@pytest.mark.parametrize("name", JOURNEYS)
@pytest.mark.survives("C03", "C01", "V4")
async def test_P7_a_turn_comes_through_weather_that_changes(
    name: str, nursery: Nursery, tmp_path: Path
) -> None:
    journey = JOURNEYS[name]
    async with Stage(tmp_path) as stage, Simulator(SCALED.script) as upstream:
        play = await Scene(stage, upstream, nursery, tmp_path, SCALED).open(journey.first, "one")
        try:
            session, turn = await play.send("a")
            for until, fault in journey.then:
                await happened(play, session, until)
                await play.place.become(fault)
            await play.server.ended(session, turn)
            check(play, session, journey)
            answer = await play.server.last_answer(session)
            assert answer.strip().endswith(WORDS.strip()), "the answer has its end"
        finally:
            await play.end()
        assert [entry for entry in upstream.refusals if entry.rule] == [], "P2"


async def happened(play: Play, session: str, until: str) -> None:
    """Wait until another request has failed, or something more of an answer has arrived."""
    kind = {"failed": "requestFailed", "answers": "blockDelta"}[until]
    before = len(play.server.of(session, kind))
    await play.server.until(lambda: len(play.server.of(session, kind)) > before, until)


def check(play: Play, session: str, journey: Journey) -> None:
    """Each change was told by its name, in order, and what arrived on the way was kept."""
    causes = [event["failure"].get("cause") for event in play.server.of(session, "requestFailed")]
    assert list(dict.fromkeys(causes)) == [cause.value for cause in journey.told]
    cuts = len(play.server.of(session, "responseCut"))
    assert cuts == sum(until == "answers" for until, _ in journey.then), "P1: kept, not forgotten"
    assert len(play.server.of(session, "turnEnded")) == 1
