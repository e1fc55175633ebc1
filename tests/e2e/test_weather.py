"""Every fault on the way to the API, through the real server over real sockets (P3, P7, P12).

All faults are played side by side, each to a server of its own; a test waits for its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from e2e.nursery import Nursery
from e2e.weather import AT_ONCE, GOES_ON_S, SCALED, STOP_S, WORDS, Lived, Scene, live
from e2e.weathered import WEATHER, Weathered
from holdfast.session.causes import CAUSES
from holdfast.simulator import Simulator
from network.faults import FAULTS
from network.stage import Stage

PLAYED = "test_P7_a_fault_is_named_and_the_turn_goes_on_when_it_clears"

Rows = Mapping[str, "asyncio.Task[Lived]"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rows(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rows]:
    names = {item.name for item in request.session.items}
    chosen = [fault for fault in WEATHER if f"{PLAYED}[{fault}]" in names]
    root = tmp_path_factory.mktemp("weather")
    gate = asyncio.Semaphore(AT_ONCE)
    nursery = await Nursery.open()
    async with Stage(root) as stage, Simulator(SCALED.script) as upstream:
        scene = Scene(stage, upstream, nursery, root, SCALED)

        async def row(fault: str) -> Lived:
            async with gate:
                return await live(fault, WEATHER[fault].heals, scene)

        playing = {fault: asyncio.create_task(row(fault)) for fault in chosen}
        yield playing
        for task in playing.values():
            task.cancel()
        await asyncio.gather(*playing.values(), return_exceptions=True)
        assert [entry for entry in upstream.refusals if entry.rule] == [], "P2"
    await nursery.close()


def test_every_fault_of_the_stage_has_a_row() -> None:
    assert set(WEATHER) == set(FAULTS)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", WEATHER)
@pytest.mark.survives("C01", "C02", "C03", "C05", "C06", "C07", "C08", "C12", "V4")
async def test_P7_a_fault_is_named_and_the_turn_goes_on_when_it_clears(
    fault: str, rows: Rows
) -> None:
    promised, lived = WEATHER[fault], await rows[fault]
    assert lived.requests <= promised.requests
    assert lived.verdicts == ([promised.verdict] if promised.verdict else [])
    if promised.heals != "no harm":
        check_told(promised, lived)
    if promised.heals != "elsewhere":
        assert WORDS.strip() in lived.answer
        assert WORDS.strip() in lived.next_answer, "P3: the session is not dead"


def check_told(promised: Weathered, lived: Lived) -> None:
    """A person saw it in time, by its name; stop acted at once; it went on when it could."""
    assert lived.visible_s is not None
    assert lived.visible_s <= promised.visible_s
    assert max(lived.stops_s.values()) <= STOP_S, f"C12: {lived.stops_s}"
    assert lived.looks_in_vain <= 1, "within one interval: one look may have been under way"
    if promised.heals != "elsewhere":
        assert lived.goes_on_s is not None
        assert lived.goes_on_s <= GOES_ON_S
    if promised.heals != "asking":
        assert lived.asked_in_pause == 0, "a pause looks, it does not ask"
    message, advice = lived.said
    if promised.cause is not None:
        words = CAUSES[promised.cause]
        assert words.says.rstrip(".") in message or words.says.rstrip(".") in advice
