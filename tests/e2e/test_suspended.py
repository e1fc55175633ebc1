"""A laptop that sleeps for a night, in every moment of a turn, and wakes (C09; P1, P2, P3, P6, P7).

All moments are played side by side, each to a server of its own; a test waits for its row. The
settings are those that people have. `make suspended` plays them for five real minutes as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from e2e.nursery import Nursery
from e2e.suspended import MOMENTS, Woken, suspend
from e2e.weather import DEFAULTS

NIGHT_S = 8 * 3_600.0
BREATH_S = 1.0
PLAYED = [name for name, moment in MOMENTS.items() if not moment.others]
WAKES = "test_C09_a_machine_that_slept_for_eight_hours_goes_on_by_itself"

Rows = Mapping[str, "asyncio.Task[Woken]"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rows(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Rows]:
    names = {item.name for item in request.session.items}
    root = tmp_path_factory.mktemp("asleep")

    def play(moment: str) -> asyncio.Task[Woken]:
        folder = root / moment.replace(" ", "-").replace(",", "")
        night = suspend(
            MOMENTS[moment], BREATH_S, nursery, folder, DEFAULTS.options, asleep_s=NIGHT_S
        )
        return asyncio.create_task(night)

    playing = {moment: play(moment) for moment in PLAYED if f"{WAKES}[{moment}]" in names}
    yield playing
    for task in playing.values():
        task.cancel()
    await asyncio.gather(*playing.values(), return_exceptions=True)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", PLAYED)
@pytest.mark.survives("V11")
async def test_C09_a_machine_that_slept_for_eight_hours_goes_on_by_itself(
    moment: str, rows: Rows
) -> None:
    promised, woken = MOMENTS[moment], await rows[moment]
    assert woken.ended == "completed"
    assert woken.answer, "P3"
    assert woken.next_answer, "P3: the session is not dead"
    assert woken.requests <= promised.requests
    assert woken.marks == ({"ran": 1} if promised.commands else {}), "P6"
    if promised.commands:
        assert "the-end" in woken.tool_output
